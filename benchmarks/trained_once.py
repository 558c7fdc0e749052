"""Networks that are trained once, and read back from then on."""

from collections.abc import Callable
from pathlib import Path

import torch
from torch import nn


def trained_once(
    path: Path,
    build: Callable[[], nn.Module],
    train: Callable[[nn.Module], nn.Module],
    *,
    seed: int,
) -> nn.Module:
    """Return a trained network in evaluation mode, its weights from `path` if they are there.

    Args:
        path: Of the weights; its folder is created if need be.
        build: Returns the network, untrained.
        train: Trains it.
        seed: Of the initial weights.
    """
    torch.manual_seed(seed)
    network = build()
    if path.exists():
        network.load_state_dict(torch.load(path, weights_only=True))
        return network.eval()
    network = train(network)
    path.parent.mkdir(parents=True, exist_ok=True)
    torch.save(network.state_dict(), path)
    return network
