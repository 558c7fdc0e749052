"""Where torch computes, and how many threads it may use."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TypeAlias, TypeVar

import torch
from torch import Tensor, nn

from niwaki.core.user_randomness import seeded
from niwaki.evaluation.narrow_convolutions import spared
from niwaki.tasks.base import Batch

M = TypeVar("M", bound=nn.Module)

_CONVOLUTIONS = (nn.Conv2d, nn.ConvTranspose2d)  # volumes and signals have another layout

# Inputs, and targets by task.
Tensors: TypeAlias = tuple[Tensor, dict[str, Tensor]]


def best_device() -> torch.device:
    """Return `cuda` where there is one, else the CPU."""
    return torch.device("cuda" if torch.cuda.is_available() else "cpu")


def placed(module: M, device: torch.device, layout: torch.memory_format) -> M:
    """Move a module to a device, the 4-D weights of its convolutions in the given memory layout.

    Other tensors keep theirs: code of the user's own may look at a table by `view`. Channels last
    on a processor, narrow convolutions that skip pixels get only the others: see `spared`.
    """
    moved = module.to(device)
    convolutions = [layer for layer in moved.modules() if isinstance(layer, _CONVOLUTIONS)]
    for tensor in (weight for layer in convolutions for weight in layer.parameters()):
        if tensor.ndim == 4:  # those of a parametrization, too
            tensor.data = tensor.data.to(memory_format=layout)
    on_cpu = device.type == "cpu"
    return spared(moved, narrow=on_cpu and layout == torch.channels_last)


def to_tensors(batch: Batch, device: torch.device) -> Tensors:
    """Return a batch as tensors on `device`; images are laid out channels-last.

    What is trained on them, or differentiated, must be `placed` channels-last, too.
    """
    images = torch.from_numpy(batch.inputs).to(device)
    if images.ndim == 4:
        images = images.to(memory_format=torch.channels_last)
    return images, {name: torch.from_numpy(y).to(device) for name, y in batch.targets.items()}


@contextmanager
def repeatable() -> Iterator[None]:
    """Let convolutions on a GPU give the same numbers every time inside the block.

    Left alone, cuDNN adds up gradients of weights in the order in which its threads finish.
    """
    cudnn = torch.backends.cudnn
    before = cudnn.deterministic, cudnn.benchmark
    cudnn.deterministic, cudnn.benchmark = True, False
    try:
        yield
    finally:
        cudnn.deterministic, cudnn.benchmark = before


@contextmanager
def drawing(seed: int, device: torch.device) -> Iterator[None]:
    """Let a network draw what belongs to `seed` inside the block, and leave no trace of it outside.

    Dropout, and code of the user's own, draw from the global generators: those of torch on the
    CPU and on `device`, numpy's and Python's.
    """
    with torch.random.fork_rng(devices=[device] if device.type == "cuda" else []), seeded(seed):
        torch.manual_seed(seed)
        yield


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
