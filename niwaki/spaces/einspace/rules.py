"""The attribute rules that einspace's grammar files name."""

from niwaki.spaces.einspace.branching import add, clone, concat, group, matmul
from niwaki.spaces.einspace.computation import conv1d, linear, norm, posenc, relu, softmax
from niwaki.spaces.einspace.routing import col2im, identity, im2col, permute

__all__ = [
    "add", "clone", "col2im", "concat", "conv1d", "group", "identity", "im2col", "linear",
    "matmul", "norm", "permute", "posenc", "relu", "softmax",
]  # fmt: skip
