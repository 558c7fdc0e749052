"""Numbers of the published study: rates, counts, probabilities."""

import math
from collections.abc import Callable

import pytest

from niwaki.spaces.einspace import rules
from niwaki.spaces.einspace.settings import GRAMMARS, EinspaceSettings
from niwaki.spaces.grammar import (
    Attributes,
    Counting,
    Effect,
    Grammar,
    branching_rate,
    check_file,
    read_grammar,
    return_rate,
)
from niwaki.spaces.grammar.findings import Level

MODULE = "flow module = niwaki.spaces.einspace.flows:ModuleGrid\n"


def counted(widths: str, most_elements: int) -> Grammar:
    """Return einspace with grids that end with their module, and tensors up to a size."""

    def capped(name: str) -> Callable[..., Effect | str]:
        rule = getattr(rules, name)

        def apply(given: object, **parameters: object) -> Effect | str:
            if name == "im2col" and parameters["k"] != 1 and min(given[0][1:]) < parameters["k"]:  # type: ignore[index]
                return "the study leaves out patches that only zeros around make possible"
            found = rule(given, **parameters)
            shape = found if isinstance(found, str) else found.output[0]
            if isinstance(shape, str) or math.prod(_one(shape)) <= most_elements:
                return found  # type: ignore[no-any-return]
            return "too large"

        return apply

    text = (GRAMMARS / "einspace.grammar").read_text()
    text = text.replace("route:", "route@module:").replace("start S", MODULE + "start S")
    text = text.replace("d=16|32|64|128|256|512|1024|2048", f"d={widths}")
    names = ("linear", "im2col", "concat", "matmul", "group")
    return read_grammar(text, {name: capped(name) for name in names})


def _one(shape: object) -> tuple[int, ...]:
    """Return a shape, or that of the first of several branches."""
    assert isinstance(shape, tuple)
    return shape if isinstance(shape[0], int) else shape[0]


ALL_WIDTHS = "16|32|64|128|256|512|1024|2048"


def test_derivations_are_as_many_as_known() -> None:
    counting = Counting(Attributes(counted(ALL_WIDTHS, 2**20)), distinct=False)
    assert [counting.count(n) for n in (2, 3, 4)] == [169, 5423, 182379]
    assert [len(counting.outputs(n)) for n in (2, 3, 4)] == [8, 251, 941]


def test_derivations_with_fewer_widths_are_as_many_as_known() -> None:
    counting = Counting(Attributes(counted("16|64|256", 65536)), distinct=False)
    counts = [counting.count(n) for n in (2, 3, 4, 5)]
    assert counts[:2] == [64, 1642]
    assert [f"{n:.3e}" for n in counts[2:]] == ["3.529e+04", "8.747e+05"]


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_larger_derivations_are_as_many_as_known() -> None:
    counting = Counting(Attributes(counted(ALL_WIDTHS, 2**20)), distinct=False)
    found = [f"{counting.count(n):.3e}" for n in (5, 6, 7, 8)]
    assert found == ["6.905e+06", "2.795e+08", "1.184e+10", "5.180e+11"]
    assert [len(counting.outputs(n)) for n in (5, 6, 7, 8)] == [1997, 5792, 13824, 26135]
    few = Counting(Attributes(counted("16|64|256", 65536)), distinct=False)
    assert [f"{few.count(n):.3e}" for n in (6, 7, 8)] == ["2.299e+07", "6.312e+08", "1.788e+10"]


def _rates(grammar: Grammar, q: float | None = None) -> tuple[float, float]:
    if q is not None:
        others = (1.0 - q) / 3.0
        weights = {
            index: q if way.items[0].what == "C" else others
            for index, way in enumerate(grammar.productions)
            if way.symbol == "M"
        }
        grammar = grammar.reweighted(weights)
    return return_rate(grammar, "M"), return_rate(grammar, "M", copies=True)


def _with_splits(kept: Callable[[str], bool]) -> Grammar:
    """Return einspace with those splits alone that an input leaves."""
    grammar = EinspaceSettings().grammar((3, 32, 32))
    weights = {
        index: 0.0
        for index, way in enumerate(grammar.productions)
        if way.symbol == "Branch" and not kept(way.items[0].spelled)
    }
    return grammar.reweighted(weights)


SPLITS: dict[str, tuple[Callable[[str], bool], tuple[float, float], tuple[float, float]]] = {
    "all 12": (lambda _: True, (0.9822, 1.7378), (0.3077, 0.6087)),
    "3 channels": (
        lambda split: "clone" in split or ("b=2" in split and "dim=1" not in split),
        (1.0427, 1.496), (0.3478, 0.5455),
    ),
    "sizes from 4 to 7": (
        lambda split: "clone" in split or "b=8" not in split,
        (1.0074, 1.4859), (math.nan, math.nan),
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", SPLITS)
def test_branching_rates_are_those_known(case: str) -> None:
    kept, rates, critical = SPLITS[case]
    grammar = _with_splits(kept)
    assert _rates(grammar) == pytest.approx(rates, abs=6e-5)
    if not math.isnan(critical[0]):
        for copies in (0, 1):
            assert _rates(grammar, critical[copies])[copies] == pytest.approx(1.0, abs=3e-4)


def test_both_modes_of_counting_are_below_one_together_or_not() -> None:
    grammar = EinspaceSettings().grammar((3, 32, 32))
    assert branching_rate(grammar) < 1.0 < branching_rate(grammar, copies=True)


def test_convolutions_are_as_rare_as_known() -> None:
    grammar = EinspaceSettings().grammar((3, 32, 32))

    def share(symbol: str, wanted: str, left_out: tuple[str, ...] = ()) -> float:
        ways = [w for w in grammar.by_symbol[symbol] if w.spelled not in left_out]
        total = sum(way.weight for way in ways)
        return sum(way.weight for way in ways if wanted in way.spelled) / total

    found = (
        share("P", "im2col", ("permute(order=21)",))
        * share("M", "C") * share("C", "linear")
        * share("R", "col2im", tuple(f"permute(order={n})" for n in (132, 213, 231, 312, 321)))
    )  # fmt: skip
    assert found == pytest.approx(0.0353, abs=1e-4)


def test_all_51_functions_are_there() -> None:
    grammar = EinspaceSettings(faithful=True).grammar((3, 32, 32))
    per_group = [len(grammar.leaves_of.get(symbol, ())) for symbol in ("A", "P", "R", "C")]
    splits = {way.items[0].spelled for way in grammar.by_symbol["Branch"]}
    assert [len(splits), *per_group] == [12, 12, 14, 8, 13]
    assert len(grammar.operations) == 51


def test_packaged_grammars_are_sound() -> None:
    for name in ("einspace", "sequences", "published", "published_sequences", "convolutional"):
        found = check_file(GRAMMARS / f"{name}.grammar")
        assert not [each for each in found if each.level is Level.ERROR], name
