"""Measuring what pruned networks cost on the target."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import onnx
from numpy.typing import NDArray

from niwaki.compress.allocation import Ladder
from niwaki.compress.pruning import apply_plan
from niwaki.core.files import noted
from niwaki.core.jsonable import JSON
from niwaki.core.randomness import stream
from niwaki.evaluation.compression.original import Original
from niwaki.evaluation.compression.proposing.masked_oracle import Ranked
from niwaki.evaluation.compression.proposing.prices import LatencyPrice
from niwaki.evaluation.compression.proposing.progress import told
from niwaki.evaluation.deployment import plan_of
from niwaki.spaces.precision import INT8
from niwaki.targets.base import Effort


@dataclass(frozen=True, eq=False)
class Pricing:
    """Prunes a model at random, as it will run, to learn what each of its layers costs.

    Attributes:
        original: The model.
        ranked: Its channels, by importance.
        ladder: The counts that its groups may keep.
        precisions: What its layers may run in.
        seed: The study's.
        notify: Told of the progress, in sentences.
    """

    original: Original
    ranked: Ranked
    ladder: Ladder
    precisions: Sequence[str]
    seed: int
    notify: Callable[[str], None]

    def latency_price(self, n_networks: int, path: Path) -> LatencyPrice:
        """Measure pruned networks, and fit what each layer costs.

        Args:
            n_networks: At least 2.
            path: Of the file that keeps what was measured.

        Raises:
            ExportError: If one cannot be written.
            TargetError: If one cannot be run.
        """
        drawn = self._drawn(n_networks)
        asked, latencies = noted(path, lambda: self._measured(drawn), "precision", "latency_ms")
        price = LatencyPrice(self.original.groups.costs, drawn, latencies)
        self.notify(
            f"latency of {len(drawn)} pruned networks in {asked}: {min(latencies):.3g} to "
            f"{max(latencies):.3g} ms; each is predicted from the others within "
            f"{price.relative_error:.1%} (median)"
        )
        return price

    def _measured(self, drawn: Sequence[NDArray[np.int64]]) -> dict[str, JSON]:
        asked = self._fastest_precision()
        what = "pruned networks are exported, to measure their latency"
        by_turns = told(drawn, self.notify, what)
        graphs = [each for counts in by_turns for each in self._pruned(counts, [asked])]
        return {"precision": asked, "latency_ms": list[JSON](self._latencies(graphs))}

    def _drawn(self, n_networks: int) -> list[NDArray[np.int64]]:
        """Return counts of networks of all sizes, each about as thin everywhere."""
        rng = stream(self.seed, "price")
        steps = self.ladder.steps
        drawn = [self.ladder.whole, self.ladder.least]
        for _ in range(n_networks - len(drawn)):
            share = rng.random()
            near = [min(len(s) - 1, int(rng.normal(share, 0.2) * len(s))) for s in steps]
            drawn.append(np.array([s[max(0, i)] for s, i in zip(steps, near, strict=True)]))
        return drawn

    def _fastest_precision(self) -> str:
        """Return that of the whole model: small ones are slower in int8 on some machines."""
        if len(self.precisions) == 1:
            return self.precisions[0]
        whole = self._pruned(self.ladder.whole, self.precisions)
        return self.precisions[int(np.argmin(self._latencies(whole)))]

    def _pruned(
        self, counts: NDArray[np.int64], precisions: Sequence[str]
    ) -> list[onnx.ModelProto]:
        """Return a pruned network as it will run, all layers in one precision, for each of some."""
        deployment = self.original.deployment
        module = apply_plan(self.original.module, self.ranked.plan(counts))
        graph = deployment.float_graph(module, quantizable=INT8 in precisions)
        asked = (dict.fromkeys(self.original.layers, each) for each in precisions)
        return [deployment.quantized(graph, plan_of(each, deployment.target)) for each in asked]

    def _latencies(self, models: Sequence[onnx.ModelProto]) -> list[float]:
        deployment = self.original.deployment
        feeds = [deployment.timing_feeds()] * len(models)
        measured = deployment.target.measure(models, feeds, effort=Effort.QUICK, seed=self.seed)
        return [latency.latency_ms for latency in measured]
