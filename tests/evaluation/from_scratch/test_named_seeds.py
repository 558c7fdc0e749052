"""Seeds in files: what is wrong with one is said of its file."""

import json
from pathlib import Path

import pytest

from niwaki.core.errors import SpaceError
from niwaki.evaluation.from_scratch.named_seeds import named_seed
from niwaki.spaces.heads import Head, HeadKind
from niwaki.spaces.slimmable.family import SlimmableFamily
from niwaki.spaces.slimmable.space import SlimmableSettings

FAMILY = SlimmableFamily.of(SlimmableSettings(), (1, 16, 16), (Head("t", HeadKind.VECTOR, 3),))


def test_a_candidate_or_its_architecture_alone_is_a_seed(tmp_path: Path) -> None:
    seed = FAMILY.seed("smallest")
    whole = {f"architecture/{path}": value for path, value in seed.to_json().items()}
    for decisions in (seed.to_json(), {**whole, "quantization/stem": "int8"}):
        (tmp_path / "seed.json").write_text(json.dumps(decisions))
        assert named_seed(str(tmp_path / "seed.json"), FAMILY) == seed


@pytest.mark.parametrize("text", ["[1]", '{"models": [{}]}', '{"a": NaN}', "{}"])
def test_what_is_no_candidate_of_the_space_is_refused_by_its_file(
    tmp_path: Path, text: str
) -> None:
    (tmp_path / "seed.json").write_text(text)
    with pytest.raises(SpaceError, match=r"seed.json' is not of this space: "):
        named_seed(str(tmp_path / "seed.json"), FAMILY)
