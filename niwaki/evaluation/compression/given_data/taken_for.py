"""What an output of a model is, told by its answers alone: scores of one choice, or values.

Both are (n, k) reals, and nothing but the answers tells them apart. A model that embeds, regresses
or answers several yes-or-no questions must not be judged by its largest output, whereas one that
chooses loses little by being judged as values. So values they are unless the answers look like a
choice, and what they are taken for is told.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

_OFF = 1e-3  # of 1, by which sums and lengths of float32 rows may differ from it
_CONFIDENT = 0.5  # of the way from a uniform softmax to one that is certain


@dataclass(frozen=True)
class TakenFor:
    """What an output is taken for.

    Attributes:
        is_choice: Whether its values are scores of one choice among them.
        why: What of the answers says so.
    """

    is_choice: bool
    why: str

    def told(self, name: str, n_outputs: int) -> str:
        """Return a sentence for people: what is done, and how to say that it is something else."""
        if self.is_choice:
            what, judged = (
                f"scores of one choice of {n_outputs}",
                "how often the largest is the same",
            )
            otherwise = "several yes-or-no questions, an embedding or other values: regression"
        else:
            what, judged = f"{n_outputs} values", "how near theirs are"
            otherwise = "scores of one choice: classification"
        given, _, kind = otherwise.rpartition(": ")
        return (
            f"output '{name}' has no targets and is taken for {what}, since {self.why}; smaller "
            f"models are judged by {judged}. If it is {given}, say `--kind {name}={kind}` (in "
            f'Python, `Scoring(kind="{kind}")`)'
        )


def taken_for(answers: NDArray[np.float32]) -> TakenFor:
    """Return what (n, k) answers to some inputs look like, k at least 2.

    Logits that know their class differ by several nats, so that a softmax of them is nearly
    certain; the mean of its largest value says how certain.
    """
    rows = answers.astype(np.float64)
    if not np.isfinite(rows).all():
        return TakenFor(False, "not all are finite")
    if are_embeddings(rows):
        return TakenFor(False, "all rows have length 1, as embeddings do")
    if (rows >= 0.0).all():
        if _sums_to_one(rows):
            return TakenFor(True, "rows are probabilities that sum to 1")
        return TakenFor(False, "none is below 0, and rows do not sum to 1")
    if (rows <= 0.0).all() and _sums_to_one(np.exp(rows)):
        return TakenFor(True, "rows are logarithms of probabilities that sum to 1")
    largest, uniform = _largest(rows), 1.0 / rows.shape[1]
    is_certain = largest >= uniform + _CONFIDENT * (1.0 - uniform)
    size = "puts" if is_certain else "would put no more than"
    return TakenFor(is_certain, f"a softmax of them {size} {largest:.2f} on one")


def are_embeddings(rows: "NDArray[np.floating[Any]]") -> bool:
    """Whether (n, k) rows have length 1, and are no probabilities, one of which is certain."""
    lengths = np.linalg.norm(rows.astype(np.float64), axis=1)
    return bool(np.allclose(lengths, 1.0, atol=_OFF)) and not _sums_to_one(rows)


def _sums_to_one(rows: "NDArray[np.floating[Any]]") -> bool:
    return bool(np.allclose(rows.sum(axis=1), 1.0, atol=_OFF))


def _largest(rows: NDArray[np.float64]) -> float:
    """Return the mean of the largest value of each row's softmax."""
    exponents = np.exp(rows - rows.max(axis=1, keepdims=True))
    return float((1.0 / exponents.sum(axis=1)).mean())
