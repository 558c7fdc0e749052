"""What a pruned network costs: multiply-accumulates, or latency fitted to whole networks."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import nnls

from niwaki.compress.allocation import Counts, Price
from niwaki.compress.allocation.base import Floats
from niwaki.compress.pruning import CostModel
from niwaki.core.errors import TargetError

_SHRINKAGE = 0.02


class MacsPrice(Price):
    """Multiply-accumulates of one example."""

    def __init__(self, costs: CostModel) -> None:
        self._costs = costs

    @property
    def unit(self) -> str:
        return "MACs"

    def of(self, counts: Counts) -> Floats:
        return self._costs.macs(counts)


class LatencyPrice(Price):
    """Latency as a sum over layers, fitted to measurements of whole pruned networks.

    Each layer costs something per multiply-accumulate and something per output channel, and the
    network something at all; none of these can be negative. Layers that the measurements say
    little of are held to the average cost. Never a sum of layers measured alone: in the network,
    they share caches and are fused.

    Args:
        costs: Of the model.
        counts: (n, n_groups) that were measured; whole networks and small ones among them.
        latencies_ms: (n,) of these.

    Attributes:
        relative_error: Median over the measured networks, each predicted from all others.

    Raises:
        TargetError: If there is nothing to fit.

    References:
        Lawson and Hanson, 1974, "Solving least squares problems", chapter 23 (non-negative least
        squares); relative errors, with shrinkage to one common cost.
    """

    def __init__(
        self, costs: CostModel, counts: Sequence[Counts], latencies_ms: Sequence[float]
    ) -> None:
        measured = np.asarray(latencies_ms, np.float64)
        if len(measured) < 2 or not np.all(measured > 0.0):
            raise TargetError(
                f"a latency model needs at least two measurements, but {measured.tolist()} came"
            )
        self._costs = costs
        self._scale = np.maximum(self._raw(costs.whole), 1e-12)
        features = self._features(np.asarray(counts))  # (n, d)
        self._coefficients = self._fitted(features, measured)
        self.relative_error = self._left_out_error(features, measured)

    @property
    def unit(self) -> str:
        return "ms"

    def of(self, counts: Counts) -> Floats:
        total: Floats = self._features(np.asarray(counts)) @ self._coefficients
        return total

    def _raw(self, counts: Counts) -> NDArray[np.float64]:
        macs = self._costs.macs_per_layer(counts)
        widths = self._costs.widths_per_layer(counts)[..., -1]
        return np.concatenate([macs, widths], axis=-1)

    def _features(self, counts: Counts) -> NDArray[np.float64]:
        """Return (..., d): one, and costs of each layer relative to those of the whole network."""
        relative = self._raw(counts) / self._scale
        return np.concatenate([np.ones((*relative.shape[:-1], 1)), relative], axis=-1)

    def _average(
        self, features: NDArray[np.float64], measured: NDArray[np.float64]
    ) -> NDArray[np.float64]:
        """Return (d,) coefficients if all of the time went into multiply-accumulates alike."""
        share = np.zeros(features.shape[1])
        n_layers = len(self._costs.macs_of.owners)
        macs = self._scale[:n_layers]
        share[1 : 1 + n_layers] = macs / macs.sum()
        together = np.stack([np.ones(len(measured)), features @ share], axis=1)
        (fixed, slope), _ = nnls(together / measured[:, None], np.ones(len(measured)))
        average: NDArray[np.float64] = slope * share
        average[0] = fixed
        return average

    def _fitted(
        self, features: NDArray[np.float64], measured: NDArray[np.float64]
    ) -> NDArray[np.float64]:
        """Return (d,) coefficients of the least relative errors, drawn to the average ones."""
        rows = np.vstack([features / measured[:, None], _SHRINKAGE * np.eye(features.shape[1])])
        average = self._average(features, measured)
        wanted = np.concatenate([np.ones(len(measured)), _SHRINKAGE * average])
        coefficients: NDArray[np.float64] = nnls(rows, wanted)[0]
        return coefficients

    def _left_out_error(
        self, features: NDArray[np.float64], measured: NDArray[np.float64]
    ) -> float:
        errors = []
        for left_out in range(len(measured)):
            others = np.arange(len(measured)) != left_out
            coefficients = self._fitted(features[others], measured[others])
            errors.append(abs(features[left_out] @ coefficients / measured[left_out] - 1.0))
        return float(np.median(errors))
