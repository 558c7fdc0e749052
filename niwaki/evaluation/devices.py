"""Where torch computes, and how many threads it may use."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TypeAlias, TypeVar

import torch
from torch import Tensor, nn

from niwaki.compress.pruning.copying import copied
from niwaki.compress.pruning.model_calls import in_evaluation
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


def layout_for(network: nn.Module, inputs: Tensor) -> torch.memory_format:
    """Return channels last, which is faster, or contiguous for networks that compute on that alone.

    Code of the user's own may be such: `x.view(len(x), -1)` of a feature map. A network that runs
    on neither gets channels last, and fails where it is used.

    Args:
        network: Contiguous. It stays as it is.
        inputs: (n, ...), on its device, n at least 2.
    """
    layouts = (torch.channels_last, torch.contiguous_format)
    fits = (each for each in layouts if _runs(network, inputs, each))
    return next(fits, torch.channels_last)


def _runs(network: nn.Module, inputs: Tensor, layout: torch.memory_format) -> bool:
    try:
        with torch.no_grad(), drawing(0, inputs.device):
            in_evaluation(placed(copied(network), inputs.device, layout))(
                laid_out(inputs.clone(), layout)
            )
    except Exception:  # of the network's own code, which may raise anything
        return False
    return True


def laid_out(inputs: Tensor, layout: torch.memory_format) -> Tensor:
    """Return inputs (n, ...) with images, of four axes, in a memory layout."""
    if inputs.ndim != 4:
        return inputs
    if layout == torch.channels_last:
        return inputs.to(memory_format=layout)
    # Of one channel, `contiguous` would leave the strides that convolutions go by.
    return inputs.clone(memory_format=layout)


def to_tensors(batch: Batch, device: torch.device) -> Tensors:
    """Return a batch as tensors on `device`, its inputs copied; images are laid out channels-last.

    What is trained on them, or differentiated, must be `placed` channels-last, too, or get them
    `laid_out` as it is.
    """
    # A copy: some networks normalise in place what they are given.
    images = laid_out(torch.tensor(batch.inputs, device=device), torch.channels_last)
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
    if device.type == "cuda":
        torch.cuda.init()  # type: ignore[no-untyped-call]  # only then has it a generator
    with seeded(seed):
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
