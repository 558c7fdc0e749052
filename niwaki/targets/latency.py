"""Latency: what is known about how long a model takes, and how well it is known."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields

from niwaki.core.errors import TargetError
from niwaki.core.jsonable import JSON


@dataclass(frozen=True)
class Latency:
    """How long one run of a model takes on a target.

    Report `latency_ms`: it is the ratio to a reference model that ran interleaved with this one,
    times what the reference takes on this target when nothing disturbs it, so that most of the
    drift of a shared machine cancels. The percentiles are of the raw wall times in this session,
    and move with the machine's load.

    Attributes:
        target_id: Where it was measured.
        ratio: Time of the model over time of the reference model; robust, paired.
        ratio_low: Lower end of the 95% interval of `ratio`: the bootstrap's, within the session,
            widened by what is known to change from session to session.
        ratio_high: Upper end.
        nominal_reference_ms: Calibrated time of the reference model on this target.
        reference_ms: Time of the reference in this session where nothing disturbed it: the lowest
            decile, by the clock that turns are timed with.
        p50_ms: Median wall time of one run.
        p90_ms: 90th percentile.
        p99_ms: 99th percentile.
        min_ms: Fastest run.
        interval_low_ms: Lower end of the 95% bootstrap interval of `p50_ms`.
        interval_high_ms: Upper end.
        n_runs: Timed runs of the model.
        load_average: Of the machine, over the last minute, when the session ended.
        converged: Whether the bootstrap's interval of the ratio got as narrow as was asked for.
    """

    target_id: str
    ratio: float
    ratio_low: float
    ratio_high: float
    nominal_reference_ms: float
    reference_ms: float
    p50_ms: float
    p90_ms: float
    p99_ms: float
    min_ms: float
    interval_low_ms: float
    interval_high_ms: float
    n_runs: int
    load_average: float
    converged: bool

    @property
    def latency_ms(self) -> float:
        """The time to report."""
        return self.ratio * self.nominal_reference_ms

    @property
    def latency_low_ms(self) -> float:
        """Lower end of the 95% interval of `latency_ms`."""
        return self.ratio_low * self.nominal_reference_ms

    @property
    def latency_high_ms(self) -> float:
        """Upper end of the 95% interval of `latency_ms`."""
        return self.ratio_high * self.nominal_reference_ms

    @property
    def relative_interval(self) -> float:
        """Width of the interval of the ratio over the ratio."""
        return (self.ratio_high - self.ratio_low) / self.ratio

    def to_json(self) -> dict[str, JSON]:
        """Return a JSON object, `latency_ms` and its interval first."""
        derived = ("latency_ms", "latency_low_ms", "latency_high_ms")
        return {**{name: float(getattr(self, name)) for name in derived}, **asdict(self)}

    @classmethod
    def from_json(cls, data: Mapping[str, JSON]) -> "Latency":
        """Read what `to_json` wrote.

        Raises:
            TargetError: If a field is missing or of the wrong type.
        """
        known: dict[str, object] = {}
        for field in fields(cls):
            value = data.get(field.name)
            known[field.name] = _checked(field.name, value, field.type)
        return cls(**known)  # type: ignore[arg-type]

    def __str__(self) -> str:
        doubt = "" if self.converged else "; not converged: it varied for as long as it may take"
        return (
            f"{self.latency_ms:.4g} ms "
            f"({self.latency_low_ms:.4g} to {self.latency_high_ms:.4g}, {self.n_runs} runs{doubt})"
        )


def _checked(name: str, value: JSON, kind: object) -> object:
    if kind is float and isinstance(value, int | float) and not isinstance(value, bool):
        return float(value)
    if isinstance(kind, type) and type(value) is kind:
        return value
    raise TargetError(
        f"field '{name}' of a latency holds {value!r}: it was written by another version, "
        "or changed by hand. Measure again"
    )
