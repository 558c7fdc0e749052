"""Reasons that are counted as one."""

from niwaki.core.reasons import ReasonCounts


def counts_of(*reasons: str) -> ReasonCounts:
    counts = ReasonCounts()
    for reason in reasons:
        counts.add(reason)
    return counts


def test_reasons_that_differ_in_numbers_are_one_and_the_first_is_told() -> None:
    counts = counts_of("diverged after 380 steps", "no memory", "diverged after 7 steps")
    assert counts.lines(5) == [(2, "diverged after 380 steps"), (1, "no memory")]


def test_what_finds_no_place_is_counted_all_the_same() -> None:
    counts = counts_of("a", "a", "a", "b", "b", "c", "d", "d")
    assert counts.lines(4) == [(3, "a"), (2, "b"), (2, "d"), (1, "c")]
    assert counts.lines(3) == [(3, "a"), (2, "b"), (3, "2 other reasons")]
