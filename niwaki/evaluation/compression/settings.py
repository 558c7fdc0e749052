"""Settings of compression."""

from dataclasses import dataclass, field

from niwaki.compress.allocation import GreedySettings, PagcpSettings
from niwaki.core.errors import ConfigError
from niwaki.core.limits import require_at_least
from niwaki.evaluation.compression.proposing.importance import require_criterion
from niwaki.evaluation.compression.proposing.proposals import require_allocator
from niwaki.evaluation.compression.tuning.fine_tuning import TuningSettings
from niwaki.evaluation.deployment import DeploymentSettings

PRICES = ("latency", "macs")


@dataclass(frozen=True)
class PruningSettings:
    """How channels are removed.

    Attributes:
        criterion: Which channels of a group go first: see `importance.CRITERIA`.
        allocation: How many of each group: `greedy` (ours), `pagcp` (as published), `uniform` or
            `global`.
        price: What is traded: `latency`, measured on whole pruned networks, or `macs`.
        shares: Parts of the whole network's price that allocations are made for; of the way to the
            smallest network's where that costs more.
        budgets: Further prices to make allocations for: milliseconds, or multiply-accumulates.
        least_share: Of a group's channels, that always stay.
        n_steps: Counts of each group that a search may choose from, at most.
        n_priced: Pruned networks whose latency is measured to fit the price.
        n_judged: Items of the calibration split that the oracle looks at, in whole batches, and
            that layers in int8 are scored on, one by one.
        n_recalibration: Train items that the oracle takes batch-norm statistics from.
        n_compensation: Train items by which the weights that read channels are fitted, in
            closed form, to those that stay; 0 leaves the weights as they are.
        greedy: Floors and rounds of `greedy`.
        pagcp: Tolerances of `pagcp`.

    Raises:
        ConfigError: On an unknown name, or a number out of its range.
    """

    criterion: str = "taylor"
    allocation: str = "greedy"
    price: str = "latency"
    shares: tuple[float, ...] = (0.75, 0.55, 0.4, 0.28)
    budgets: tuple[float, ...] = ()
    least_share: float = 0.125
    n_steps: int = 8
    n_priced: int = 20
    n_judged: int = 256
    n_recalibration: int = 128
    n_compensation: int = 1024
    greedy: GreedySettings = field(default_factory=GreedySettings)
    pagcp: PagcpSettings = field(default_factory=PagcpSettings)

    def __post_init__(self) -> None:
        require_criterion(self.criterion)
        require_allocator(self.allocation)
        least = {"n_steps": 2, "n_priced": 2, "n_judged": 1, "n_recalibration": 2}
        require_at_least(self, {**least, "n_compensation": 0, "least_share": 0})
        if self.price not in PRICES:
            raise ConfigError(f"'price' is '{self.price}': choose one of {', '.join(PRICES)}")
        if not all(0.0 < share < 1.0 for share in self.shares):
            raise ConfigError(f"'shares' are {list(self.shares)}: give numbers between 0 and 1")
        if not all(budget > 0.0 for budget in self.budgets):
            raise ConfigError(f"'budgets' are {list(self.budgets)}: give numbers above 0")
        if self.least_share > 1.0:
            raise ConfigError(f"'least_share' is {self.least_share}: give at most 1")


@dataclass(frozen=True)
class CompressionSettings:
    """How a trained model is compressed.

    Attributes:
        model: `path/to/model.onnx`; or `path/to/file.py:function` or `package.module:function`,
            which returns the trained module; empty if it is given as an object.
        outputs: Of the model that are kept, such as `logits`; empty for all.
        only: `prune` or `quantize`; empty for both.
        pruning: How channels are removed.
        tuning: How what is left is fine-tuned.
        deployment: How int8 models are calibrated, and models scored.
        tuned_mib: Disk for tuned weights and graphs, so that each is made once for all precisions.
        n_threads: Torch's threads in a worker; 0 leaves torch's own choice.

    Raises:
        ConfigError: On an unknown name, or a number out of its range.
    """

    model: str = ""
    outputs: tuple[str, ...] = ()
    only: str = ""
    pruning: PruningSettings = field(default_factory=PruningSettings)
    tuning: TuningSettings = field(default_factory=TuningSettings)
    deployment: DeploymentSettings = field(default_factory=DeploymentSettings)
    tuned_mib: float = 2048.0
    n_threads: int = 1

    def __post_init__(self) -> None:
        require_at_least(self, {"tuned_mib": 0, "n_threads": 0})
        if self.only not in ("", "prune", "quantize"):
            raise ConfigError(f"'only' is '{self.only}': give prune or quantize, or leave it out")
