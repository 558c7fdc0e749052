"""What searchers answer, checked where it is heard: anybody may write one."""

from collections.abc import Callable, Sequence
from typing import TypeGuard

from niwaki.core.candidate import Candidate
from niwaki.core.errors import StudyError
from niwaki.core.excerpt import excerpt
from niwaki.spaces.base import Space


def proposed(
    answer: object, space: Space, asked: Callable[[Candidate], object]
) -> Candidate | None:
    """Return the candidate that a searcher gave when it was asked for one; None if it has no more.

    Args:
        answer: Of its `ask`.
        space: That it searches.
        asked: Gives something true for a candidate that was asked for before.

    Raises:
        StudyError: If it gave anything but a list of at most one new candidate of the space.
    """
    if not are_candidates(answer) or len(answer) > 1:
        raise StudyError(
            f"`ask(1, pending)` of the searcher gave {excerpt(repr(answer))}: it must be a list of "
            "one Candidate, or an empty one if there are no more"
        )
    if not answer:
        return None
    [candidate] = answer
    if fault := space.check(candidate):
        raise StudyError(
            f"the searcher proposed a candidate that is not of its space: {fault}. "
            "Candidates come from `decide`, `sample`, `mutate` and `crossover` of `problem.space`; "
            "if this one does, it is the space that has to be mended"
        )
    if asked(candidate):
        raise StudyError(
            f"the searcher proposed {candidate.key} ({candidate}) again: let it remember what "
            "it gave and what it resumed with, and give an empty list once nothing is new"
        )
    return candidate


def are_candidates(found: object) -> TypeGuard[Sequence[Candidate]]:
    """Tell whether an answer is candidates in a row, perhaps none."""
    return isinstance(found, Sequence) and all(isinstance(each, Candidate) for each in found)
