"""Sub-networks of a trained super-network: extracted, recalibrated, and written as graphs."""

from collections import OrderedDict
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass

import onnx
import torch
from torch import Tensor

from niwaki.core.candidate import Candidate
from niwaki.evaluation.deployment import INPUT_NAME, Deployment
from niwaki.evaluation.training import best_device, placed, to_tensors
from niwaki.export.fx_graph import build_graph
from niwaki.spaces.slimmable.build import MultiTaskNetwork, SuperNetwork, recalibrate
from niwaki.tasks.base import SplitName, TaskData

N_KEPT_GRAPHS = 64
RECALIBRATION_BATCH = 128


@dataclass(frozen=True)
class FloatGraph:
    """What all precisions of one architecture share.

    Attributes:
        model: The float graph, batch-norm folded.
        ranges: Low and high of its activations on the calibration split, by tensor name.
    """

    model: onnx.ModelProto
    ranges: Mapping[str, tuple[float, float]]


class SubNetworks:
    """Gives the sub-networks of one trained super-network.

    Args:
        supernet: Trained.
        deployment: Where graphs are calibrated.
        n_recalibration: Train images that batch-norm statistics are taken from.
    """

    def __init__(
        self, supernet: SuperNetwork, deployment: Deployment, *, n_recalibration: int
    ) -> None:
        self._device = best_device()
        self._supernet = placed(supernet, self._device, torch.channels_last)
        self._deployment = deployment
        self._images = list(_first_images(deployment.data, n_recalibration, self._device))
        self._graphs: OrderedDict[str, FloatGraph] = OrderedDict()

    def extract(self, architecture: Candidate) -> MultiTaskNetwork:
        """Return a plain module on the CPU, in evaluation mode, with statistics of its own."""
        module = self._supernet.extract(architecture)
        module = placed(module, self._device, torch.channels_last)
        recalibrate(module, iter(self._images))
        return placed(module, torch.device("cpu"), torch.contiguous_format)

    def graph(self, architecture: Candidate) -> FloatGraph:
        """Return the float graph of an architecture and its ranges; recent ones are kept."""
        if architecture.key not in self._graphs:
            self._graphs[architecture.key] = self._write(architecture)
            if len(self._graphs) > N_KEPT_GRAPHS:
                self._graphs.popitem(last=False)
        self._graphs.move_to_end(architecture.key)
        return self._graphs[architecture.key]

    def _write(self, architecture: Candidate) -> FloatGraph:
        shape = self._supernet.space.shape
        model = build_graph(
            self.extract(architecture),
            [(1, shape.channels, shape.height, shape.width)],
            input_names=[INPUT_NAME],
            output_names=self._deployment.output_names,
        )
        return FloatGraph(model, self._deployment.ranges(model))


@contextmanager
def torch_threads(n_threads: int) -> Iterator[None]:
    """Let torch use `n_threads` inside the block; 0 changes nothing."""
    before = torch.get_num_threads()
    if n_threads:
        torch.set_num_threads(n_threads)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def _first_images(data: TaskData, n_images: int, device: torch.device) -> Iterator[Tensor]:
    left = n_images
    for batch in data[SplitName.TRAIN].batches(min(RECALIBRATION_BATCH, n_images)):
        images, _ = to_tensors(batch, device)
        yield images[:left]
        left -= len(batch)
        if left <= 0:
            return
