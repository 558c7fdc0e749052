"""Which operations may stand for which, and in which order."""

import tracemalloc

from niwaki.spaces.grammar import Grammar, read_grammar
from niwaki.spaces.grammar.options import Options

GRAMMAR = """
start S
terminal conv(k=1|3|5, d=32|8|128)
terminal act(kind=relu|gelu|silu)
terminal fork(b=2|3)
terminal join
S -> seq: S S [0.3] | conv | act | two: fork(b=2) S S join | three: fork(b=3) S*3 join
"""


def test_numbers_are_in_numeric_order_and_words_as_declared() -> None:
    options = Options(read_grammar(GRAMMAR))
    widths = ("conv(k=3,d=8)", "conv(k=3,d=32)", "conv(k=3,d=128)")
    assert options.along("conv(k=3,d=32)", "d") == widths
    kinds = ("act(kind=relu)", "act(kind=gelu)", "act(kind=silu)")
    assert options.along("act(kind=silu)", "kind") == kinds


def test_what_stands_elsewhere_alone_is_no_option() -> None:
    options = Options(read_grammar(GRAMMAR))
    assert options.others("fork(b=2)") == ()
    assert options.others("join") == ()
    assert options.parameters("fork(b=2)") == []
    assert options.along("join", "b") == ()


def test_all_that_can_stand_in_a_place_are_kept_once() -> None:
    many = "|".join(map(str, range(1, 2001)))
    grammar = read_grammar(f"start S\nterminal l(d={many})\nS -> seq: S S | s: L L\nL -> l\n")
    options = Options(grammar)
    tracemalloc.start()
    for spelled in grammar.operations:
        assert options.any_other(spelled)
        assert len(options.along(spelled, "d")) == 2000
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 2000 * 2000  # bytes: less than one for each pair


def test_what_stands_in_two_places_can_stand_for_all_of_both() -> None:
    grammar = read_grammar("start S\nterminal l(d=1|2|3)\nS -> a: l(d=1|2) | b: l(d=2|3) S\n")
    options = Options(grammar)
    assert options.others("l(d=1)") == ("l(d=2)",)
    assert options.others("l(d=2)") == ("l(d=1)", "l(d=3)")


def test_symbols_around_do_not_matter() -> None:
    text = "terminal conv(d=1|2), act\nS -> A | B\nA -> x: conv(d=1) C\nB -> x: conv(d=2) D\n"
    options = Options(read_grammar(f"start S\n{text}C -> act\nD -> act"))
    assert options.others("conv(d=1)") == ("conv(d=2)",)


def test_a_parameter_that_comes_with_another_has_no_line_of_its_own(einspace: Grammar) -> None:
    options = Options(einspace)
    assert options.along("im2col(k=1,s=1,p=0)", "s") == (
        "im2col(k=1,s=1,p=0)", "im2col(k=1,s=2,p=0)",
    )  # fmt: skip
    assert options.along("im2col(k=3,s=1,p=1)", "k") == ("im2col(k=3,s=1,p=1)",)
    assert len(options.others("im2col(k=3,s=1,p=1)")) == 6
