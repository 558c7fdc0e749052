"""A torch module that rounds where its exported graph rounds, for training with quantization.

The module is traced and written as the graph that `quantize_model` would quantize, and what that
graph rounds is rounded in torch too: the same tensors in the same shared scales, weights by output
channel with batch norm folded in, biases in steps of the product of scales. Gradients pass each
rounding straight through, and stop where a value was cut off. The parameters are the module's own,
so whatever trains this trains the module.

References:
    Jacob et al., CVPR 2018, "Quantization and training of neural networks for efficient
    integer-arithmetic-only inference", section 3; here ranges are those that the export would
    observe, not moving averages. Krishnamoorthi, 2018, "Quantizing deep convolutional networks for
    efficient inference", section 3.2: batch norm folded, its statistics frozen.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import onnx
import torch
import torch.nn.functional as F  # noqa: N812  (as everyone spells it)
from torch import Tensor, fx, nn

from niwaki.compress.pruning.model_calls import in_evaluation
from niwaki.compress.quantization.arithmetic import Affine, channel_scales
from niwaki.compress.quantization.plan import QuantizationPlan
from niwaki.core.errors import ExportError
from niwaki.export.fast_path.folding import affine_of
from niwaki.export.fast_path.fx_graph import WrittenGraph, build_graph, write_graph
from niwaki.export.fast_path.tracing import op_name
from niwaki.export.graph.index import GraphIndex
from niwaki.export.int8.layers import Layer, find_layers
from niwaki.export.int8.quantize import scales
from niwaki.export.int8.regions import Regions, int8_regions

Observe = Callable[[onnx.ModelProto], Mapping[str, tuple[float, float]]]
"""Gives the ranges of a float graph's activations, as `activation_ranges` does."""

_MODULES = (nn.Conv1d, nn.Conv2d, nn.Conv3d, nn.Linear)
_PRODUCTS = ("matmul", "mm")
_CONVOLUTIONS: tuple[Any, ...] = (F.conv1d, F.conv2d, F.conv3d)
# Of these functions; `F.linear` takes the first three.
_ARGUMENTS = ("input", "weight", "bias", "stride", "padding", "dilation", "groups")


class FakeQuantized(nn.Module):
    """Computes what a module would compute once it is exported and quantized by a plan.

    Call `observe` before the first use, and again whenever the weights have moved.

    Args:
        module: Stays in evaluation mode; its parameters are trained in place.
        plan: Names layers of its graph.
        input_shapes: Shape of each input; the first dimension is the batch, whatever its size.
        input_types: Type of each input's numbers; by default, all are float32.
        input_names: Of the graph's inputs, as `observe` feeds them.
        output_names: Of the graph's outputs, in order.

    Raises:
        ExportError: If the module cannot be traced and written by the fast path, or a layer of the
            plan is called in a way that is not followed.
        SpaceError: If the plan names a layer that the module does not have.
    """

    def __init__(
        self,
        module: nn.Module,
        plan: QuantizationPlan,
        input_shapes: Sequence[Sequence[int]],
        *,
        input_types: Sequence[str] | None = None,
        input_names: Sequence[str] | None = None,
        output_names: Sequence[str] | None = None,
    ) -> None:
        super().__init__()
        self.module = in_evaluation(module)
        self._activation = plan.activation
        self._write = (module, input_shapes)
        self._ends: dict[str, Sequence[str] | None] = {
            "input_types": input_types,
            "input_names": input_names,
            "output_names": output_names,
        }
        written = write_graph(module, input_shapes, **self._ends)
        self._index = GraphIndex(written.model.graph)
        plan.check_layers(layer.path for layer in find_layers(self._index))
        self._regions = int8_regions(self._index, plan.int8_layers)
        self._interpreter = _Rounding(written, self._index, self._regions, plan.weight_limit)

    def observe(self, ranges: Observe) -> None:
        """Take the ranges of all activations anew, with the weights of now."""
        model = build_graph(self._write[0], self._write[1], **self._ends)
        found = scales(self._index, self._regions, ranges(model), self._activation)
        self._interpreter.scales = {tensor: affine for tensor, (_, affine) in found.items()}

    def forward(self, *inputs: Tensor) -> Any:
        """Return what the module returns, rounded as the exported graph rounds."""
        return self._interpreter.run(*inputs)

    def train(self, mode: bool = True) -> "FakeQuantized":
        """Stay in evaluation mode: statistics are frozen, and nothing is dropped."""
        del mode
        super().train(False)
        return self


class _Rounding(fx.Interpreter):
    """Runs the calls of a graph, and rounds what the quantized graph would round.

    Attributes:
        scales: By name of the tensor.
    """

    scales: Mapping[str, Affine]

    def __init__(
        self, written: WrittenGraph, index: GraphIndex, regions: Regions, limit: int
    ) -> None:
        super().__init__(written.traced.module, graph=written.traced.nodes[0].graph)
        self.scales = {}
        self._limit = limit
        self._tensors, self._index, self._behind = written.tensors, index, written.folded
        # All readers of what is produced read it rounded; of other tensors, only those inside.
        self._produced, self._inside = regions.produced, regions.nodes
        self._layers = self._calls_of({layer.nodes[0]: layer for layer in regions.layers})
        self._folded: dict[fx.Node, fx.Node] = {}
        for layer in self._layers:
            calls = self._behind.get(layer, ())
            self._folded.update(zip(calls, (layer, *calls), strict=False))

    def run_node(self, n: fx.Node) -> Any:
        """Run one call on what it reads, and round what it gives if that is written as integers."""
        if n in self._folded:
            return self.env[self._folded[n]]
        if n.op in ("placeholder", "output", "get_attr"):
            return super().run_node(n)
        args: Any = fx.map_arg(n.args, lambda used: self._read(used, n))
        kwargs: Any = fx.map_arg(n.kwargs, lambda used: self._read(used, n))
        value = self._called(n, args, kwargs)
        name = self._tensors.get(n, "")
        return self._rounded(value, name) if name in self._produced else value

    def _called(self, n: fx.Node, args: Any, kwargs: Any) -> Any:
        if n in self._layers:
            return self._layer(n, self._layers[n], args, kwargs)
        module = self.fetch_attr(str(n.target)) if n.op == "call_module" else None
        if isinstance(module, nn.SiLU) or n.target is F.silu:
            return args[0] * self._gate(n, args[0])
        if isinstance(module, nn.GLU) or n.target is F.glu:
            dim = module.dim if isinstance(module, nn.GLU) else kwargs.get("dim", (*args, -1)[1])
            value, gate = args[0].chunk(2, dim)
            return value * self._gate(n, gate)
        return getattr(self, n.op)(n.target, args, kwargs)

    def _gate(self, n: fx.Node, x: Tensor) -> Tensor:
        """Return the sigmoid that the written graph multiplies by in a node of its own."""
        gate = torch.sigmoid(x)
        producer = self._index.producer.get(self._tensors[n])
        if producer is None:  # only the size of what it gives is read, so that it is not written
            return gate
        name = self._index.nodes[producer].input[1]
        return self._rounded(gate, name) if name in self.scales else gate

    def _layer(
        self, n: fx.Node, layer: Layer, args: Sequence[Any], kwargs: Mapping[str, Any]
    ) -> Tensor:
        if op_name(n) in _PRODUCTS:
            return self._rounded(args[0], layer.input) @ self._weight(args[1], None, layer)[0]
        if n.target is torch.addmm:
            bias, x, weight = args
            return self._linear(self._rounded(x, layer.input), weight.T, bias, layer)
        module = self.fetch_attr(str(n.target)) if n.op == "call_module" else None
        given = {**dict(zip(_ARGUMENTS, args, strict=False)), **kwargs}
        if module is not None:
            given |= {"weight": module.weight, "bias": module.bias}
        x = self._rounded(given.pop("input"), layer.input)
        weight, bias = given.pop("weight"), given.pop("bias", None)
        behind = affine_of(self.module, self._behind.get(n, ()))
        if behind is not None:
            weight, bias = behind.folded(weight, bias)
        if n.target is F.linear or isinstance(module, nn.Linear):
            return self._linear(x, weight, bias, layer)
        rounded, steps = self._weight(weight, bias, layer)
        if module is not None:
            output: Tensor = module._conv_forward(x, rounded, _stepped(bias, steps))
            return output
        function: Any = n.target
        output = function(x, rounded, _stepped(bias, steps), **given)
        return output

    def _linear(self, x: Tensor, weight: Tensor, bias: Tensor | None, layer: Layer) -> Tensor:
        # The graph of a MatMul holds the transposed weight, and adds the bias in float.
        is_product = layer.weight_axis == 1
        rounded, steps = self._weight(weight.T if is_product else weight, bias, layer)
        rounded = rounded.T if is_product else rounded
        return F.linear(x, rounded, bias if is_product else _stepped(bias, steps))

    def _weight(self, weight: Tensor, bias: Tensor | None, layer: Layer) -> tuple[Tensor, Tensor]:
        """Return the rounded weight, and (C_out,) the steps that its bias is written in."""
        input_scale = self.scales[layer.input].scale
        steps = torch.from_numpy(
            channel_scales(
                weight.detach().cpu().numpy(),
                None if bias is None or not layer.bias else bias.detach().cpu().numpy(),
                axis=layer.weight_axis,
                input_scale=input_scale,
                limit=self._limit,
            )
        ).to(weight.device)
        zeros = torch.zeros_like(steps, dtype=torch.int32)
        rounded = torch.fake_quantize_per_channel_affine(
            weight, steps, zeros, layer.weight_axis, -self._limit, self._limit
        )
        return rounded, steps * float(input_scale)

    def _read(self, used: fx.Node, reader: fx.Node) -> Any:
        """Return what a call reads: rounded, where it runs in int8 itself."""
        value, name = self.env[used], self._tensors.get(used, "")
        given = self._tensors.get(reader, "")
        is_inside = self._index.producer.get(given) in self._inside and given != name
        if name in self.scales and name not in self._produced and is_inside:
            return self._rounded(value, name)
        return value

    def _rounded(self, value: Tensor, tensor: str) -> Tensor:
        affine = self.scales[tensor]
        limits = np.iinfo(affine.dtype)
        return torch.fake_quantize_per_tensor_affine(
            value, float(affine.scale), affine.zero_point, int(limits.min), int(limits.max)
        )

    def _calls_of(self, layers: Mapping[int, Layer]) -> dict[fx.Node, Layer]:
        """Return the layer that each call runs."""
        found: dict[fx.Node, Layer] = {}
        for call, tensor in self._tensors.items():
            position = self._index.producer.get(tensor)
            layer = None if position is None else layers.get(self._product(position))
            product = self._biased(call)
            if layer is not None and layer not in found.values() and self._is_layer(product):
                found[product] = layer
        if lost := [layer.path for layer in layers.values() if layer not in found.values()]:
            raise ExportError(
                f"layer '{lost[0]}' is called in a way that training with quantization does not "
                "follow: leave it in fp32, or train without"
            )
        return found

    def _is_layer(self, call: fx.Node) -> bool:
        if call.op == "call_module":
            return isinstance(self.fetch_attr(str(call.target)), _MODULES)
        is_product = op_name(call) in (*_PRODUCTS, "addmm") and not call.kwargs
        return is_product or call.target in (F.linear, *_CONVOLUTIONS)

    def _biased(self, call: fx.Node) -> fx.Node:
        """Return the product that a sum is of, where both are one node; or the call itself."""
        made = self._index.producer
        products = [used for used in call.all_input_nodes if op_name(used) in _PRODUCTS]
        joined = (used for used in products if self._tensors.get(used) not in made)
        return next(joined, call)

    def _product(self, position: int) -> int:
        """Return the MatMul behind the addition of its bias, or the node itself."""
        node = self._index.nodes[position]
        maker = self._index.producer.get(node.input[0]) if node.op_type == "Add" else None
        is_bias = maker is not None and self._index.is_constant(node.input[1])
        return maker if maker is not None and is_bias else position


def _stepped(bias: Tensor | None, steps: Tensor) -> Tensor | None:
    """Return a bias rounded to (C_out,) steps, with the gradient of the bias itself."""
    if bias is None:
        return None
    exact = bias.detach().double()
    rounded = (exact / steps).round() * steps
    return bias + (rounded - exact).to(bias.dtype)
