"""A training step as one CUDA graph: a small network's hundreds of kernels, launched at once.

Small networks leave a GPU idle between kernels, for launching one takes longer than it runs. A
graph is captured once for batches of one shape, and replayed with other numbers in its inputs.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TypeAlias

import torch
from torch import Tensor, nn

# From inputs and targets by task to the loss, its gradients in the weights.
Gradients: TypeAlias = Callable[[Tensor, Mapping[str, Tensor]], Tensor]

# Modules of these packages do the same in every step.
_KNOWN = ("torch.nn.", "niwaki.")
_N_WARM_UP = 2  # before capturing, libraries set up what they cannot set up during it


def captured(
    compute: Gradients, network: nn.Module, images: Tensor, targets: Mapping[str, Tensor]
) -> "CapturedGradients | None":
    """Return the function as a graph; None if it cannot be one, and has to run kernel by kernel.

    A user's own modules may do something else in each step, or wait for numbers on the host, so
    networks with such are none. What goes wrong in running a function is raised there.
    """
    if not all(type(module).__module__.startswith(_KNOWN) for module in network.modules()):
        return None
    try:
        return CapturedGradients(compute, network, images, targets)
    except torch.cuda.OutOfMemoryError:
        raise
    except RuntimeError:
        network.zero_grad(set_to_none=True)  # of a trial that failed half way
        return None


class CapturedGradients:
    """Computes a loss and its gradients as a captured function does, for batches of one shape.

    Weights are read and gradients written where they lay when the graph was captured: optimisers
    must change weights in place.

    Args:
        compute: Captured. It must not look at numbers on the host, nor copy them there.
        network: Whose parameters have the gradients, and whose buffers `compute` may change.
        images: (n, ...) of the shape that batches will have.
        targets: By task, likewise.

    Raises:
        RuntimeError: If `compute` cannot be captured.
    """

    def __init__(
        self,
        compute: Gradients,
        network: nn.Module,
        images: Tensor,
        targets: Mapping[str, Tensor],
    ) -> None:
        self._images = images.clone()
        self._targets = {name: values.clone() for name, values in targets.items()}
        self._parameters = list(network.parameters())
        with _unchanged(list(network.buffers())):
            self._warm_up(compute)
            network.zero_grad(set_to_none=True)  # the graph writes gradients, and adds to none
            self._graph = torch.cuda.CUDAGraph()
            with torch.cuda.graph(self._graph):
                self._loss = compute(self._images, self._targets)
        self._gradients = [parameter.grad for parameter in self._parameters]

    def __call__(self, images: Tensor, targets: Mapping[str, Tensor]) -> Tensor:
        """Return the loss of a batch, a scalar that the next call overwrites."""
        self._images.copy_(images)
        for name, values in targets.items():
            self._targets[name].copy_(values)
        for parameter, gradient in zip(self._parameters, self._gradients, strict=True):
            parameter.grad = gradient
        self._graph.replay()
        return self._loss

    def _warm_up(self, compute: Gradients) -> None:
        """Run it a few times beside the main stream."""
        beside = torch.cuda.Stream()  # type: ignore[no-untyped-call]
        beside.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(beside), _no_waiting():
            for _ in range(_N_WARM_UP):
                compute(self._images, self._targets)
        torch.cuda.current_stream().wait_stream(beside)


@contextmanager
def _unchanged(tensors: Sequence[Tensor]) -> Iterator[None]:
    """Give tensors the numbers back, in place, that they had before the block."""
    before = [tensor.clone() for tensor in tensors]
    try:
        yield
    finally:
        for tensor, numbers in zip(tensors, before, strict=True):
            tensor.copy_(numbers)


@contextmanager
def _no_waiting() -> Iterator[None]:
    """Raise a RuntimeError inside the block where something would wait for the GPU."""
    before = torch.cuda.get_sync_debug_mode()
    torch.cuda.set_sync_debug_mode("error")
    try:
        yield
    finally:
        torch.cuda.set_sync_debug_mode(before)
