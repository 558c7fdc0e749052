"""How far something is, told seldom."""

from niwaki.evaluation.compression.proposing.progress import SECONDS, told


def test_what_takes_long_is_told_about_now_and_then() -> None:
    said: list[str] = []
    now = iter(range(100))
    seconds = SECONDS / 2
    items = told("abcdef", said.append, "are done", clock=lambda: next(now) * seconds)
    assert list(items) == [*"abcdef"]
    assert said == ["1 of 6 are done", "3 of 6 are done", "5 of 6 are done"]


def test_what_is_soon_done_is_not_told_about() -> None:
    said: list[str] = []
    assert list(told("abc", said.append, "are done")) == [*"abc"]
    assert said == []
