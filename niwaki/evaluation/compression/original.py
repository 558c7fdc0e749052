"""The model that was given, analysed: its outputs, its channel groups, its layers."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from math import prod

import numpy as np
import onnx
import torch
from numpy.typing import NDArray
from torch import nn

from niwaki.compress.allocation import Ladder
from niwaki.compress.pruning import ChannelGrain, ChannelGroups, allowed_counts, analyse
from niwaki.core.errors import DataError, ExportError
from niwaki.evaluation.compression.parts import exportable_parts, recipe_for
from niwaki.evaluation.compression.plain_calls import note_columns
from niwaki.evaluation.deployment import Deployment
from niwaki.export.graph_index import GraphIndex
from niwaki.export.layers import Layer, find_layers, layers_in_float
from niwaki.tasks.base import SplitName, TaskData


@dataclass(frozen=True, eq=False)
class Original:
    """A trained model and what can be done to it.

    Attributes:
        module: In evaluation mode; never changed.
        data: Tasks in the order of its outputs.
        deployment: Where it is written and run.
    """

    module: nn.Module
    data: TaskData
    deployment: Deployment

    @cached_property
    def groups(self) -> ChannelGroups:
        """Its channel groups."""
        return analyse(self.module, example_of(self.data))

    @cached_property
    def layers(self) -> tuple[str, ...]:
        """Paths of its layers that can run in int8, in the order of execution.

        Raises:
            ExportError: If the model cannot be exported; names the parts of it that can.
        """
        return tuple(self.weights)

    @cached_property
    def weights(self) -> Mapping[str, str]:
        """By path of each of these layers, the parameter that is its weight.

        Empty where it cannot be told: where the layer computes with a part of one, for instance.

        Raises:
            ExportError: As of `layers`.
        """
        return weights_in(self._graph, self.module)

    @cached_property
    def in_float(self) -> Mapping[str, str]:
        """Why other products and recurrences cannot run in int8, by path.

        Raises:
            ExportError: As of `layers`.
        """
        return layers_in_float(self._graph)

    @cached_property
    def _graph(self) -> onnx.ModelProto:
        try:
            return self.deployment.float_graph(self.module, quantizable=False).model
        except ExportError as error:
            parts = exportable_parts(self.module, example_of(self.data))
            raise ExportError(
                f"{error}. What cannot be exported cannot run on the target: change that line"
                f"{recipe_for(parts)}"
            ) from error

    def ladder(self, grain: int, *, least_share: float, n_steps: int) -> Ladder:
        """Return the counts that each group may keep: see `ladder_of`."""
        return ladder_of(self.groups, grain, least_share=least_share, n_steps=n_steps)

    def macs_by_layer(self, counts: NDArray[np.int64]) -> Mapping[str, float]:
        """Return multiply-accumulates by path of the layer, for (n_groups,) counts."""
        costs = self.groups.costs
        return _summed(costs.macs_of.owners, costs.macs_per_layer(counts))

    def widths_by_layer(self, counts: NDArray[np.int64]) -> Mapping[str, float]:
        """Return output channels by path of the layer, for (n_groups,) counts."""
        costs = self.groups.costs
        widths = costs.widths_per_layer(counts)[:, -1]
        return dict(zip(costs.macs_of.owners, widths.tolist(), strict=True))

    def params_by_tensor(self, counts: NDArray[np.int64]) -> Mapping[str, float]:
        """Return numbers of parameters by name of the tensor, for (n_groups,) counts."""
        costs = self.groups.costs
        return _summed(costs.params_of.owners, costs.params_per_tensor(counts))


def weights_in(model: onnx.ModelProto, module: nn.Module) -> Mapping[str, str]:
    """Return the parameter that is the weight of each layer that can run in int8, by its path.

    Empty where it cannot be told.

    Args:
        model: As the module was exported.
        module: Whose parameters they are.
    """
    index = GraphIndex(model.graph)
    sizes = {name: parameter.numel() for name, parameter in module.named_parameters()}
    return {
        layer.path: _parameter_of(layer, prod(index.constants[layer.weight].dims), sizes)
        for layer in find_layers(index)
    }


def _parameter_of(layer: Layer, n_weights: int, sizes: Mapping[str, int]) -> str:
    """Return which of the parameters, given by their sizes, is the weight of a layer."""
    if layer.weight in sizes:
        return layer.weight
    # Written in another form, as the projections of attention are: the only one of its size there.
    path, _, _ = layer.path.partition(":")
    above, _, _ = path.rpartition(".")  # of operations that are no module
    near = [
        name for name, n in sizes.items()
        if n == n_weights and name.rpartition(".")[0] in (path, above)
    ]  # fmt: skip
    return near[0] if len(near) == 1 else ""


def ladder_of(groups: ChannelGroups, grain: int, *, least_share: float, n_steps: int) -> Ladder:
    """Return the counts that each group may keep.

    Args:
        groups: Of a model.
        grain: Of the target.
        least_share: Of a group, that always stays.
        n_steps: Of each group, at most.
    """
    steps = []
    for group in groups.groups:
        allowed = allowed_counts(groups, group.name, grain=ChannelGrain(grain))
        enough = [n for n in allowed if n >= least_share * group.n_units]
        steps.append(_thinned(enough, n_steps))
    return Ladder(tuple(steps))


def example_of(data: TaskData) -> torch.Tensor:
    """Return two real inputs: (2, ...)."""
    return torch.from_numpy(next(data[SplitName.CALIBRATION].batches(2)).inputs)


def in_order_of_outputs(data: TaskData, module: nn.Module) -> TaskData:
    """Return the data with tasks in the order in which the module answers them.

    Raises:
        DataError: If the module's outputs are not the tasks.
    """
    note_columns(module, example_of(data))
    with torch.no_grad():
        answer = module(example_of(data))
    names = [task.name for task in data.tasks]
    if isinstance(answer, Mapping):
        given = [str(name) for name in answer]
        if set(given) != set(names):
            raise DataError(
                f"the model answers {', '.join(given)}, but the tasks are {', '.join(names)}: "
                "give one task for each output, of the same name"
            )
        return replace(data, tasks=tuple(sorted(data.tasks, key=lambda t: given.index(t.name))))
    n_outputs = len(answer) if isinstance(answer, tuple | list) else 1
    if n_outputs != len(names):
        raise DataError(
            f"the model returns {n_outputs} outputs, but there are {len(names)} tasks "
            f"({', '.join(names)}): give one task for each output, in the same order"
        )
    return data


def _thinned(counts: list[int], n_steps: int) -> tuple[int, ...]:
    """Return at most so many of some ascending counts, the first and the last among them."""
    chosen = np.linspace(0, len(counts) - 1, min(n_steps, len(counts))).round().astype(int)
    return tuple(counts[i] for i in dict.fromkeys(chosen.tolist()))


def _summed(owners: tuple[str, ...], terms: NDArray[np.float64]) -> dict[str, float]:
    total: dict[str, float] = {}
    for owner, term in zip(owners, terms, strict=True):
        total[owner] = total.get(owner, 0.0) + float(term)
    return total
