"""How much a study may spend."""

import math
from dataclasses import dataclass
from numbers import Integral, Real

from niwaki.core.errors import ConfigError
from niwaki.core.fidelity import FULL
from niwaki.study.record.history import History

MOST = 10**15  # nobody gets so far, and sums with shares of one are exact
ROUNDING = 1e-6  # of a budget, for sums of shares such as 0.06


@dataclass(frozen=True)
class Budget:
    """When to stop, over all workers and all sessions together.

    Attributes:
        evaluations: Evaluations that are paid for, in full ones: an evaluation with less effort
            counts as that share of one. Those turned away by a cheap count cost nothing.
        seconds: Study time, pauses between sessions left out; infinite if there is no limit.

    Raises:
        ConfigError: If one is below 0, or NaN, or evaluations are more than can be counted.
    """

    evaluations: int = 100
    seconds: float = math.inf

    def __post_init__(self) -> None:
        for name in ("evaluations", "seconds"):
            value = getattr(self, name)
            if not (isinstance(value, Real) and value >= 0):  # type: ignore[operator]
                raise ConfigError(f"the budget's `{name}` is {value!r}: give a number from 0 on")
            plain = int(value) if isinstance(value, Integral) else float(value)
            if isinstance(plain, int) and plain > MOST:
                raise ConfigError(f"the budget's `{name}` is above {MOST:g}: give less")
            object.__setattr__(self, name, plain)  # what is written down has no numpy's


def spent(history: History, limit: int, *, sign: str = " of ") -> str:
    """Return what was paid for, in full evaluations, and at which fidelities if at several.

    More than the limit is what an earlier session paid for, whose budget was larger.
    """
    beyond = 0 < limit < history.effort - ROUNDING
    text = f"{history.effort:.6g}{'' if beyond else f'{sign}{limit}'}"
    counts = history.paid_by_fidelity()
    told = [f"of a budget of {limit}"] if beyond else []
    if not set(counts) <= {FULL}:
        told.append(", ".join(f"{n} at {fidelity:.3g}" for fidelity, n in counts.items()))
    return f"{text} ({'; '.join(told)})" if told else text
