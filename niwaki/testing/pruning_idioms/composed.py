"""Networks written as one function of their parts."""

from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional


class Composed(nn.Module):
    """A module whose forward pass is a function of the module and its inputs.

    Args:
        compute: Called with the module, and then with what the module is called with.
        parts: Attributes: modules and parameters are registered, tensors become buffers, and
            anything else is kept as it is.
    """

    def __init__(self, compute: Callable[..., Any], parts: Mapping[str, Any]) -> None:
        super().__init__()
        self._compute = compute
        for name, part in parts.items():
            if isinstance(part, Tensor) and not isinstance(part, nn.Parameter):
                self.register_buffer(name, part)
            else:
                setattr(self, name, part)

    def forward(self, *inputs: Any) -> Any:
        """Compute."""
        return self._compute(self, *inputs)


def conv(n_in: int, n_out: int, kernel: int = 3, *, stride: int = 1, groups: int = 1) -> nn.Conv2d:
    """Return a convolution that keeps the size, but for its stride."""
    return nn.Conv2d(n_in, n_out, kernel, stride, kernel // 2, groups=groups)


def conv_norm(
    n_in: int, n_out: int, kernel: int = 3, *, stride: int = 1, groups: int = 1
) -> nn.Sequential:
    """Return a convolution, batch-norm and ReLU."""
    layer = nn.Conv2d(n_in, n_out, kernel, stride, kernel // 2, groups=groups, bias=False)
    return nn.Sequential(layer, nn.BatchNorm2d(n_out), nn.ReLU())


def head(n_in: int, n_out: int = 5) -> nn.Sequential:
    """Return global pooling and a linear layer."""
    return nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(n_in, n_out))


def parameter(*shape: int) -> nn.Parameter:
    """Return a parameter of random values around one."""
    return nn.Parameter(1.0 + 0.3 * torch.randn(*shape))


def relu(x: Tensor) -> Tensor:
    """Return the positive part."""
    return functional.relu(x)
