"""A user's own grammar: its rules, its modules, its files."""

from itertools import cycle, islice
from pathlib import Path

import numpy as np
import pytest
import torch

from niwaki.core.errors import SpaceError
from niwaki.spaces.einspace import GrammarSettings, NetworkFamily
from niwaki.spaces.grammar import check_file, check_report, count_all
from niwaki.spaces.grammar.attributes import Attributes
from niwaki.spaces.grammar.findings import Level
from niwaki.spaces.grammar.reader import load_grammar
from tests.spaces.einspace.conftest import DIGIT
from tests.spaces.einspace.live_memory import live_bytes
from tests.spaces.einspace.test_networks import check_network

CONFIGS = Path(__file__).parents[3] / "configs/grammars"
OWN = """start Net
input (3, 32, 32)
functions tests.spaces.einspace.own_rules
terminal conv(k=3|5, d=8|16) builds tests.spaces.einspace.own_layers
terminal halve builds tests.spaces.einspace.own_layers:halve
Net -> seq: Net Net [0.3] | conv [0.15] | halve [0.1]
"""


@pytest.fixture
def own(tmp_path: Path) -> GrammarSettings:
    (tmp_path / "own.grammar").write_text(OWN)
    return GrammarSettings(str(tmp_path / "own.grammar"), seeds={"plain": "seq(halve, halve)"})


def test_modules_of_ones_own_are_built(own: GrammarSettings) -> None:
    family = own.family((3, 16, 16), [DIGIT])
    rng = np.random.default_rng(0)
    for _ in range(20):
        check_network(family, family.space.sample(rng), (3, 16, 16))
    assert list(family.seeds) == ["plain"]


def test_what_a_module_of_ones_own_works_in_counts(tmp_path: Path) -> None:
    text = OWN + "terminal roomy(times=1|3) builds tests.spaces.einspace.own_layers:roomy\n"
    (tmp_path / "own.grammar").write_text(text + "Net -> roomy [0.1]\n")
    family = GrammarSettings(str(tmp_path / "own.grammar")).family((3, 16, 16), [DIGIT])
    small, large = (
        family.counts(family.space.candidate(f"roomy(times={times})")) for times in (1, 3)
    )
    given = 3 * 16 * 16
    assert large["elements"] == small["elements"] + 2 * given
    assert small["peak_bytes"] == 4 * (1 + 1) * given
    assert large["peak_bytes"] == 4 * (1 + 3) * given


def test_rules_and_modules_may_be_in_files_of_ones_own(tmp_path: Path) -> None:
    folder = Path(__file__).parent
    path = tmp_path / "own.grammar"
    path.write_text(
        f"start Net\ninput (3, 16, 16)\nfunctions {folder / 'own_rules.py'}\n"
        f"terminal conv(k=3, d=8) builds {folder / 'own_layers.py'}\n"
        f"terminal less = {folder / 'own_rules.py'}:halve builds {folder / 'own_layers.py'}:halve\n"
        "Net -> seq: conv less\n"
    )
    assert check_report(path).exit_code == 0
    family = GrammarSettings(str(path)).family((3, 16, 16), [DIGIT])
    check_network(family, family.space.candidate("seq(conv(k=3,d=8), less)"), (3, 16, 16))


BUILDER = " builds tests.spaces.einspace.own_layers:Twice"
FLOW = f"flow twice = Twice{BUILDER}\nNet -> both@twice: Net Net [0.1]\n"


def test_nodes_of_ones_own_flow_are_built(tmp_path: Path) -> None:
    text = OWN + FLOW
    (tmp_path / "own.grammar").write_text(text)
    family = GrammarSettings(str(tmp_path / "own.grammar")).family((3, 16, 16), [DIGIT])
    tree = "both(seq(conv(k=3,d=8), halve), seq(conv(k=5,d=8), halve))"
    check_network(family, family.space.candidate(tree), (3, 16, 16))
    (tmp_path / "own.grammar").write_text(text.replace(BUILDER, ""))
    with pytest.raises(SpaceError, match="nobody knows how to build 'both'"):
        GrammarSettings(str(tmp_path / "own.grammar")).family((3, 16, 16), [DIGIT])


SPLIT = """terminal thirds builds tests.spaces.einspace.own_layers
terminal weighted(times=1|2) builds tests.spaces.einspace.own_layers
Net -> ways@branch: thirds Net Net weighted [0.1]
"""


def test_splits_and_joins_of_ones_own_are_built(tmp_path: Path) -> None:
    (tmp_path / "own.grammar").write_text(OWN + SPLIT)
    family = GrammarSettings(str(tmp_path / "own.grammar")).family((3, 16, 16), [DIGIT])
    tree = "ways(thirds, conv(k=3,d=8), seq(halve, conv(k=5,d=16)), weighted(times=2))"
    with pytest.raises(SpaceError, match="other sides"):
        family.space.candidate(tree)
    tree = tree.replace("conv(k=3,d=8)", "seq(conv(k=3,d=8), halve)")
    check_network(family, family.space.candidate(tree), (3, 16, 16))
    samples = map(family.space.sample, map(np.random.default_rng, range(60)))
    drawn = [each for each in samples if "ways" in str(family.space.tree(each))]
    assert len(drawn) > 4
    for candidate in drawn:
        check_network(family, candidate, (3, 16, 16))


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (SPLIT.replace("thirds builds tests.spaces.einspace.own_layers", "thirds"), "'thirds' has"),
        (
            SPLIT.replace("(times=1|2) builds tests.spaces.einspace.own_layers", ""),
            "'weighted' has",
        ),
        (
            SPLIT.replace("own_layers\n", "own_layers:halves\n", 1),
            r"gives \(\(2, 16, 16\), \(1, 16, 16\)\), but its attribute rule says 0 and \(\(1, 16",
        ),
    ],
)
def test_splits_and_joins_that_cannot_be_built_are_named(
    tmp_path: Path, text: str, words: str
) -> None:
    text = text.replace("weighted [", "weighted(times=1) [")
    (tmp_path / "own.grammar").write_text(OWN + text)
    tree = "ways(thirds, conv(k=3,d=8), conv(k=5,d=8), weighted(times=1))"
    with pytest.raises(SpaceError, match=words):
        family = GrammarSettings(str(tmp_path / "own.grammar")).family((3, 16, 16), [DIGIT])
        family.build(family.space.candidate(tree))


def test_an_operation_that_nobody_builds_is_named(tmp_path: Path) -> None:
    text = "input (3, 8, 8)\nterminal odd\nterminal nothing [identity]\nS -> nothing | odd [0.01]"
    (tmp_path / "own.grammar").write_text(text)
    with pytest.raises(SpaceError, match="'odd' has no module: say what makes it"):
        GrammarSettings(str(tmp_path / "own.grammar")).family((3, 8, 8), [DIGIT])


def test_a_branch_that_nobody_builds_is_named_every_time(tmp_path: Path) -> None:
    (tmp_path / "own.grammar").write_text(OWN + FLOW + "terminal odd\nNet -> odd [0.1]\n")
    space = GrammarSettings(str(tmp_path / "own.grammar")).space_for((3, 16, 16))
    family = NetworkFamily(space, (DIGIT,))
    candidate = family.space.candidate("both(odd, odd)")
    for _ in range(2):
        with pytest.raises(SpaceError, match="'odd' has no module: say what makes it"):
            family.counts(candidate)


def test_a_grammar_without_shapes_is_refused(tmp_path: Path) -> None:
    (tmp_path / "own.grammar").write_text("terminal odd\nS -> odd")
    with pytest.raises(SpaceError, match="let `input` and the attribute rules speak of shapes"):
        GrammarSettings(str(tmp_path / "own.grammar")).family((3, 8, 8), [DIGIT])


def test_a_grammar_of_sequences_with_their_features_first_is_refused(tmp_path: Path) -> None:
    (tmp_path / "own.grammar").write_text(
        "input (3, 16)\nterminal nothing [identity]\nS -> nothing"
    )
    settings = GrammarSettings(str(tmp_path / "own.grammar"))
    with pytest.raises(SpaceError, match=r"\(3, 16\), features first, but .* \(16, 3\) of"):
        settings.family((3, 16), [DIGIT])
    assert settings.family((16, 16), [DIGIT]).space.grammar.input == (16, 16)


def test_images_for_a_grammar_of_sequences_are_refused(tmp_path: Path) -> None:
    (tmp_path / "own.grammar").write_text(
        "input (32, 4)\nterminal nothing [identity]\nS -> nothing"
    )
    settings = GrammarSettings(str(tmp_path / "own.grammar"))
    assert settings.family((4, 16), [DIGIT]).space.grammar.input == (16, 4)
    with pytest.raises(SpaceError, match=r"of sequences, \(32, 4\), but the data are images"):
        settings.family((1, 4, 32), [DIGIT])


WRONG = [
    ("fails", "fails to make its module: RuntimeError"),
    ("no_module", "makes an int"),
    ("halve", r"gives \(3, 4, 4\), but its attribute rule says 0 and \(3, 8, 8\)"),
    ("breaks", "fails for \\(3, 8, 8\\)"),
]


@pytest.mark.parametrize(("name", "words"), WRONG)
def test_modules_that_are_not_what_was_said_are_refused(
    tmp_path: Path, name: str, words: str
) -> None:
    path = tmp_path / "own.grammar"
    path.write_text(
        f"input (3, 8, 8)\nterminal odd builds tests.spaces.einspace.own_layers:{name}\nS -> odd"
    )
    family = GrammarSettings(str(path)).family((3, 8, 8), [DIGIT])
    with pytest.raises(SpaceError, match=words):
        family.build(family.space.candidate("odd"))


UNBUILT = [
    ("odd builds tests.spaces.einspace.own_layers:nowhere", "has no 'nowhere'"),
    ("odd(k=3) builds tests.spaces.einspace.own_layers:conv", "missing a required argument: 'd'"),
]


@pytest.mark.parametrize(("terminal", "words"), UNBUILT)
def test_makers_that_are_missing_or_take_other_parameters_are_refused_before_a_search(
    tmp_path: Path, terminal: str, words: str
) -> None:
    path = tmp_path / "own.grammar"
    path.write_text(f"input (3, 8, 8)\nterminal halve\nterminal {terminal}\nS -> halve | odd")
    with pytest.raises(SpaceError, match=words):
        GrammarSettings(str(path)).family((3, 8, 8), [DIGIT])
    assert [each.line for each in check_file(path) if each.level is Level.ERROR] == [3]


def test_an_identity_needs_no_module(tmp_path: Path) -> None:
    (tmp_path / "own.grammar").write_text(
        OWN + "terminal nothing [identity]\nNet -> pair@cell: nothing nothing nothing [0.1]\n"
    )
    family = GrammarSettings(str(tmp_path / "own.grammar")).family((3, 16, 16), [DIGIT])
    tree = "seq(conv(k=3,d=8), pair(nothing, nothing, nothing))"
    check_network(family, family.space.candidate(tree), (3, 16, 16))


SHIPPED = [("cells.grammar", None), ("gated_einspace.grammar", 12.0), ("chain.yaml", None)]


@pytest.mark.parametrize(("name", "operations"), SHIPPED)
def test_shipped_grammars_are_sound_and_build(name: str, operations: float | None) -> None:
    assert check_report(CONFIGS / name).exit_code == 0
    settings = GrammarSettings(str(CONFIGS / name), expected_operations=operations)
    family = settings.family((3, 16, 16), [DIGIT])
    rng = np.random.default_rng(1)
    small = [c for c in (family.space.sample(rng) for _ in range(20)) if _small(family.counts(c))]
    assert len(small) > 4
    for candidate in small:
        check_network(family, candidate, (3, 16, 16))


def _small(counts: dict[str, float]) -> bool:
    return counts["elements"] < 1e6 and counts["params"] < 1e6


def test_cells_are_as_many_as_in_the_benchmark() -> None:
    assert count_all(Attributes(load_grammar(CONFIGS / "cells.grammar"))) == 5**6


CELL = """start S
input ((4, 8, 8), none)
functions niwaki.spaces.einspace.rules
terminal relu
terminal identity [identity]
S -> net@cell: {}
E -> relu | identity"""


@pytest.mark.parametrize(("n_edges", "n_sums"), [(3, 1), (6, 2), (10, 3)])
@pytest.mark.parametrize("edges", [("relu",), ("identity",), ("relu", "identity")])
def test_memory_of_a_cell_has_the_sums_of_its_nodes(
    tmp_path: Path, edges: tuple[str, ...], n_edges: int, n_sums: int
) -> None:
    (tmp_path / "cell.grammar").write_text(CELL.format(" ".join("E" * n_edges)))
    family = GrammarSettings(str(tmp_path / "cell.grammar")).family((4, 8, 8), [DIGIT])
    each = list(islice(cycle(edges), n_edges))
    candidate = family.space.candidate(f"net({', '.join(each)})")
    body, n_values = family.blueprint(candidate).body, 4 * 8 * 8
    assert body.totals.elements == (each.count("relu") + n_sums) * n_values
    network = family.build(candidate).eval().get_submodule("body")
    assert 4 * body.peak == live_bytes(network, torch.randn(1, 4, 8, 8))


def test_a_cell_sums_at_its_nodes() -> None:
    family = GrammarSettings(str(CONFIGS / "cells.grammar")).family((3, 8, 8), [DIGIT])
    stem = "stem(im2col(k=3,s=1,p=1), linear(d=32), col2im, norm)"
    edges = ["identity", "zero", "identity", "identity", "zero", "identity"]
    tree = f"net({stem}, cell({', '.join(edges)}))"
    network = family.build(family.space.candidate(tree)).eval()
    images = torch.randn(2, 3, 8, 8)
    body = network.get_submodule("body")
    assert isinstance(body, torch.nn.Sequential)
    stem_only, whole = body[:2](images), body(images)
    # Edges 0-1 and 1-2 and 2-3 hand on, and so does 0-3: each cell doubles, and there are three.
    torch.testing.assert_close(whole, 8 * stem_only)
