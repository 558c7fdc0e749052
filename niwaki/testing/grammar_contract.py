"""What every space of a grammar must do. Subclass `GrammarContract` and implement `make`.

A candidate is one decision, the tree, and the walk asks for its productions: so the laws of spaces
that name single decisions of the walk are stated on the tree here.
"""

import pytest

from niwaki.core.candidate import Candidate
from niwaki.core.errors import SpaceError
from niwaki.spaces.base import Space
from niwaki.testing.space_contract import SpaceContract


class GrammarContract(SpaceContract):
    """Laws of spaces whose candidates are trees."""

    def test_a_path_is_asked_for_once(self, space: Space) -> None:
        asked: list[str] = []

        def choose(path: str, options: object) -> object:
            asked.append(path)
            assert isinstance(options, list)
            return options[-1]

        assert list(space.decide(choose).decisions) == ["tree"]  # type: ignore[arg-type]
        assert len(set(asked)) == len(asked)

    def test_a_missing_decision_is_named(
        self,
        space: Space,
        samples: list[Candidate],  # noqa: ARG002
    ) -> None:
        with pytest.raises(SpaceError, match="'tree' is missing"):
            space.canonical({})

    def test_a_wrong_value_is_named(
        self,
        space: Space,
        samples: list[Candidate],  # noqa: ARG002
    ) -> None:
        assert "'no such option'" in space.check(Candidate.of({"tree": "no such option"}))
