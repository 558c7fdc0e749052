"""How policies are learned."""

from dataclasses import dataclass

from niwaki.core.errors import ConfigError
from niwaki.core.limits import require_at_least, require_positive, require_share


@dataclass(frozen=True)
class PolicySettings:
    """How the policies of tasks are learned while a super-network trains.

    Attributes:
        budget: What a task's networks may cost on average, as a share of its largest one's
            multiply-accumulates.
        warmup: Share of the steps before the policies are drawn from, and learn.
        learning_rate: Of Adam, on the logits.
        n_candidates: Networks of each task that a search tries first.

    Raises:
        ConfigError: On a number out of its range.
    """

    budget: float = 0.5
    warmup: float = 0.3
    learning_rate: float = 0.05
    n_candidates: int = 1

    def __post_init__(self) -> None:
        require_positive(self, "budget", "learning_rate")
        require_share(self, "budget", "warmup")
        require_at_least(self, {"n_candidates": 0})
        if self.warmup == 1.0:
            raise ConfigError("'warmup' is 1: leave steps in which policies learn")
