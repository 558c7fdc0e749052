"""What int8 is worth on this processor, layer by layer: eight of a kind in a row, one thread.

Beside weights of 8 bits, those of 7 that processors without VNNI need: `off` is how far the
optimised graph is from the one that is computed in float, in quanta of the output, on average.

Run: python -m benchmarks.int8_layers
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from torch import nn

from niwaki.compress.quantization.plan import Precision, QuantizationPlan
from niwaki.export.fast_path.fx_graph import build_graph
from niwaki.export.int8.calibration import activation_ranges
from niwaki.export.int8.layers import quantizable_layers
from niwaki.export.int8.quantize import quantize_model
from niwaki.export.verify import verify_model
from niwaki.targets.base import Effort
from niwaki.targets.onnxruntime_cpu import OnnxRuntimeCpu

N_LAYERS = 8
N_ITEMS = 8


@dataclass(frozen=True)
class Kind:
    """A kind of layer.

    Attributes:
        name: For people.
        make: Returns one.
        shape: Of its input, with the batch.
    """

    name: str
    make: Callable[[], nn.Module]
    shape: tuple[int, ...]


KINDS = (
    Kind("conv 3x3, 32 channels, 32 px", lambda: nn.Conv2d(32, 32, 3, 1, 1), (1, 32, 32, 32)),
    Kind("conv 3x3, 128 channels, 16 px", lambda: nn.Conv2d(128, 128, 3, 1, 1), (1, 128, 16, 16)),
    Kind("conv 1x1, 128 channels, 16 px", lambda: nn.Conv2d(128, 128, 1), (1, 128, 16, 16)),
    Kind("depthwise 3x3, 32 channels, 32 px", lambda: _depthwise(32), (1, 32, 32, 32)),
    Kind("depthwise 3x3, 128 channels, 16 px", lambda: _depthwise(128), (1, 128, 16, 16)),
    Kind("linear, 512 features, one row", lambda: nn.Linear(512, 512), (1, 512)),
    Kind("linear, 512 features, 64 rows", lambda: nn.Linear(512, 512), (64, 512)),
)


def _depthwise(n_channels: int) -> nn.Module:
    return nn.Conv2d(n_channels, n_channels, 3, 1, 1, groups=n_channels)


def line(kind: Kind, target: OnnxRuntimeCpu) -> str:
    """Return one row of the table: latencies, speed-ups, and how far off each is."""
    torch.manual_seed(0)
    layers = [each for _ in range(N_LAYERS) for each in (kind.make(), nn.ReLU())]
    graph = build_graph(nn.Sequential(*layers).eval(), [kind.shape], input_names=["x"])
    rng = np.random.default_rng(0)
    x = rng.normal(size=(N_ITEMS, *kind.shape[1:])).astype(np.float32)
    ranges = activation_ranges(graph, [{"x": x}])
    plans = [
        QuantizationPlan.uniform(quantizable_layers(graph), Precision.INT8, reduce_range=reduced)
        for reduced in (False, True)
    ]
    models = [graph, *(quantize_model(graph, plan, ranges) for plan in plans)]
    feeds = {"x": np.resize(x, kind.shape)}
    latencies = target.measure(models, [feeds] * len(models), effort=Effort.THOROUGH)
    fp32, *int8 = (latency.latency_ms for latency in latencies)
    cells = [kind.name, f"{fp32:.3f}"]
    for model, latency in zip(models[1:], int8, strict=True):
        unoptimised = verify_model(model, {"x": x}).differences[0]
        cells += [f"{latency:.3f}", f"{fp32 / latency:.2f}", f"{unoptimised.mean_quanta:.2f}"]
    return f"| {' | '.join(cells)} |"


def main() -> None:
    """Print the table."""
    target = OnnxRuntimeCpu()
    print(target.target_id)
    of_width = "times as fast | off"
    print(f"| layer | fp32, ms | 8 bits, ms | {of_width} | 7 bits, ms | {of_width} |")
    print("|---|---|---|---|---|---|---|---|")
    for kind in KINDS:
        print(line(kind, target), flush=True)


if __name__ == "__main__":
    main()
