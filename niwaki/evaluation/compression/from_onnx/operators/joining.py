"""Tensors joined, and taken apart."""

import operator

import torch
from torch import fx, nn

from niwaki.evaluation.compression.from_onnx.call import Call, operator_named


class Split(nn.Module):
    """Parts of given sizes, which follow the channels that are left.

    Args:
        sizes: Of the parts.
        axis: That is split.
    """

    def __init__(self, sizes: tuple[int, ...], axis: int) -> None:
        super().__init__()
        self.sizes, self._axis = sizes, axis

    def forward(self, inputs: torch.Tensor) -> tuple[torch.Tensor, ...]:
        """Return the parts."""
        return torch.split(inputs, list(self.sizes), self._axis)


@operator_named("Concat")
def read_concatenation(call: Call) -> fx.Node:
    """Read tensors joined along an axis."""
    axis = int(call.attribute("axis")) % len(call.result_shape())
    n_items = call.result_shape()[0]
    tensors = []
    for index in range(len(call.node.input)):
        tensor = call.tensor(index)
        if axis and not call.is_data(index) and call.shape(index)[0] != n_items:
            raise call.refusal("it joins a constant of one item to all items")
        tensors.append(tensor)
    return call.function(torch.cat, tensors, axis)


@operator_named("Split")
def read_split(call: Call) -> tuple[fx.Node, ...]:
    """Read parts along an axis."""
    call.require_given(1)
    axis = call.axis(0)
    dims = [call.result_shape(i)[axis] for i in range(len(call.node.output))]
    if any(first != second for first, second in dims):
        raise call.refusal("it splits the batch")
    sizes = tuple(first for first, _ in dims)
    if len(set(sizes)) == 1:
        parts = call.function(torch.chunk, call.data(), len(sizes), axis)
    else:
        parts = call.layer(lambda: Split(sizes, axis), call.data())
    return tuple(call.function(operator.getitem, parts, i) for i in range(len(sizes)))


@operator_named("DepthToSpace")
def read_pixel_shuffle(call: Call) -> fx.Node:
    """Read channels turned into pixels, in torch's order."""
    if call.attribute("mode", "DCR") != "CRD":
        raise call.refusal("its order of channels is 'DCR', and torch's is 'CRD'")
    return call.function(torch.pixel_shuffle, call.data(), call.attribute("blocksize"))
