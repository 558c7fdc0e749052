"""The ranges of a float graph's tensors, observed on real inputs."""

from collections.abc import Iterable, Mapping

import numpy as np
import onnx
from numpy.typing import NDArray

from niwaki.compress.quantization.plan import QuantizationPlan


def activation_ranges(
    model: onnx.ModelProto,
    batches: Iterable[Mapping[str, NDArray[np.float32]]],
    *,
    observer: str = "percentile",
    plan: QuantizationPlan | None = None,
    n_threads: int = 1,
) -> dict[str, tuple[float, float]]:
    """Return the range of every tensor that Q/DQ insertion may need, by tensor name."""
    raise NotImplementedError
