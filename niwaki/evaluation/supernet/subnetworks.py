"""Sub-networks of a trained super-network: extracted, recalibrated, and written as graphs."""

import torch
from torch import nn

from niwaki.core.candidate import Candidate
from niwaki.core.randomness import stream
from niwaki.evaluation.batches import inputs_for_statistics
from niwaki.evaluation.deployment import Deployment, FloatGraph
from niwaki.evaluation.devices import best_device, placed
from niwaki.evaluation.recalibration import recalibrate
from niwaki.evaluation.recent_graphs import RecentGraphs
from niwaki.spaces.super_network.base import SuperNetwork
from niwaki.tasks.base import SplitName


class SubNetworks:
    """Gives the sub-networks of one trained super-network.

    Args:
        supernet: Trained.
        deployment: Where graphs are calibrated.
        n_recalibration: Train images that batch-norm statistics are taken from.
        seed: Draws these images, the same for all sub-networks.
    """

    def __init__(
        self, supernet: SuperNetwork, deployment: Deployment, *, n_recalibration: int, seed: int
    ) -> None:
        self._device = best_device()
        self._supernet = placed(supernet, self._device, torch.channels_last)
        self._deployment = deployment
        train = deployment.data[SplitName.TRAIN]
        rng = stream(seed, "recalibration")
        self._images = list(inputs_for_statistics(train, n_recalibration, self._device, rng=rng))
        self._graphs = RecentGraphs()

    def extract(self, architecture: Candidate) -> nn.Module:
        """Return a plain module on the CPU, in evaluation mode, with statistics of its own."""
        module = self._supernet.extract(architecture)
        module = placed(module, self._device, torch.channels_last)
        recalibrate(module, (images.clone() for images in self._images))  # it may change them
        return placed(module, torch.device("cpu"), torch.contiguous_format)

    def graph(self, architecture: Candidate, *, quantizable: bool = True) -> FloatGraph:
        """Return the float graph of an architecture, with its ranges if layers may be quantized.

        Recent ones are kept.
        """
        return self._graphs.get(
            (architecture.key, quantizable),
            lambda: self._deployment.float_graph(
                self.extract(architecture), quantizable=quantizable
            ),
        )
