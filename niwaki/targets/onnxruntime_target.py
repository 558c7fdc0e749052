"""What targets that run ONNX Runtime on a processor have in common, here or elsewhere."""

import math
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Self

from niwaki.core.errors import TargetError
from niwaki.targets.base import Target
from niwaki.targets.protocol import QUICK, THOROUGH, Budget
from niwaki.targets.sessions import SessionSettings


@dataclass(frozen=True)
class OnnxRuntimeTarget(Target):
    """ONNX Runtime on a processor, and how it is measured there.

    Attributes:
        threads: Threads inside one operator. With one, times are processor times of the thread
            and hardly feel other processes; with more they are wall times, and do.
        cores: Cores to run on; empty leaves it to the system. Pinning helps on an idle machine
            with unlike cores, and hurts where others use the same ones.
        spinning: Whether idle threads burn their core while they wait.
        disabled_optimizers: Optimizers of the runtime to leave out, when measuring and when
            deploying.
        nominal_reference_ms: From `calibrate`; None takes what the reference takes in each session.
        quick: Budget of `Effort.QUICK`.
        thorough: Budget of `Effort.THOROUGH`.
        lock_path: Lock file that measurements of one machine share; None is one per user.
        lock_timeout_seconds: How long to wait for other measurements, and for computations.

    Raises:
        TargetError: On threads below 1, or a nominal time that is not positive and finite.
    """

    threads: int = 1
    cores: tuple[int, ...] = ()
    spinning: bool = False
    disabled_optimizers: tuple[str, ...] = ()
    nominal_reference_ms: float | None = None
    quick: Budget = QUICK
    thorough: Budget = THOROUGH
    lock_path: Path | None = None
    lock_timeout_seconds: float = 600.0

    def __post_init__(self) -> None:
        _ = self.session_settings  # raises if they are wrong
        given = self.nominal_reference_ms
        if given is not None and not (math.isfinite(given) and given > 0):
            raise TargetError(
                f"the nominal time of the reference is {given} ms: it must be positive and "
                "finite. Take it from `calibrate()`"
            )

    @property
    def session_settings(self) -> SessionSettings:
        """How models run there."""
        return SessionSettings(self.threads, self.spinning, self.disabled_optimizers)

    def calibrated(self, nominal_reference_ms: float) -> Self:
        return replace(self, nominal_reference_ms=nominal_reference_ms)
