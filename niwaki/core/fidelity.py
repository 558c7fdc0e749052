"""Fidelity: the share of the full effort that an evaluation is given."""

from dataclasses import dataclass

from niwaki.core.errors import ConfigError

FULL = 1.0
_SLACK = 1e-9  # of shares that were computed, such as 1 / 3 ** 3


@dataclass(frozen=True)
class Fidelities:
    """The shares of the full effort that an evaluator can be asked for.

    What a share means is the evaluator's business, and it says so in its own words: epochs or
    steps of training, a share of the training data, a smaller image. All that counts here is that
    effort grows in proportion, and that 1 is what the search is about.

    Attributes:
        levels: Shares that can be asked for, rising, each in (0, 1], the last one 1.
        any_from: Any share from here up to 1 can be asked for as well; 1 if only the levels can.
        continues: Whether an evaluation takes up where one of the same candidate and seed stopped
            at a lower share, so that only the difference is paid for.

    Raises:
        ConfigError: If the levels do not rise to 1 within (0, 1], or `any_from` is outside.
    """

    levels: tuple[float, ...] = (FULL,)
    any_from: float = FULL
    continues: bool = False

    def __post_init__(self) -> None:
        rising = all(low < high for low, high in zip(self.levels, self.levels[1:], strict=False))
        if not (self.levels and rising and self.levels[0] > 0.0 and self.levels[-1] == FULL):
            raise ConfigError(
                f"fidelities are {list(self.levels)}: give shares of the full effort, above 0, "
                "rising, the last one 1"
            )
        if not 0.0 < self.any_from <= FULL:
            raise ConfigError(f"'any_from' is {self.any_from}: give a share in (0, 1]")

    @property
    def several(self) -> bool:
        """Whether there is anything below the full effort."""
        return self.least < FULL

    @property
    def least(self) -> float:
        """The smallest share."""
        return min(self.levels[0], self.any_from)

    def allow(self, fidelity: float) -> bool:
        """Whether this share can be asked for."""
        return fidelity in self.levels or self.any_from <= fidelity <= FULL

    def effort(self, fidelity: float, *, reached: float = 0.0) -> float:
        """Return what an evaluation costs, in full evaluations.

        Args:
            fidelity: Of the evaluation.
            reached: The highest at which the same candidate was evaluated before; 0 if never.
        """
        return fidelity - reached if self.continues and reached < fidelity else fidelity

    def ladder(self, *, reduction: float, least: float = 0.0) -> tuple[float, ...]:
        """Return shares that rise to 1, each at least `reduction` times the one before.

        Args:
            reduction: Above 1.
            least: No share is below it.

        Raises:
            ConfigError: If `reduction` is not above 1.
        """
        if not reduction > 1.0:
            raise ConfigError(f"'reduction' is {reduction}: give a number above 1")
        rungs = [FULL]
        lowest = max(least, self.least) - _SLACK
        while rungs[-1] > (lower := self._at_most(rungs[-1] / reduction)) >= lowest:
            rungs.append(lower)
        return tuple(reversed(rungs))

    def _at_most(self, share: float) -> float:
        """Return the largest share that can be asked for and is not above `share`; 0 if none."""
        if share >= self.any_from - _SLACK:
            return max(share, self.any_from)
        return max((level for level in self.levels if level <= share + _SLACK), default=0.0)
