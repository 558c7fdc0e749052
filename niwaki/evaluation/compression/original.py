"""The model that was given, analysed: its outputs, its channel groups, its layers."""

from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
import onnx
import torch
from numpy.typing import NDArray
from torch import nn

from niwaki.compress.allocation import Ladder
from niwaki.compress.pruning import ChannelGrain, ChannelGroups, allowed_counts, analyse
from niwaki.compress.pruning.model_calls import Inputs
from niwaki.core.errors import DataError, ExportError
from niwaki.evaluation.compression.given_data.answers import answers_to
from niwaki.evaluation.compression.given_data.given_batches import names_by_position
from niwaki.evaluation.compression.given_model.faithful import require_faithful
from niwaki.evaluation.compression.given_model.input_type import inputs_taken
from niwaki.evaluation.compression.given_model.plain_calls import note_answers
from niwaki.evaluation.compression.given_model.several_inputs import by_name
from niwaki.evaluation.compression.given_model.unread import unread_parameters
from niwaki.evaluation.compression.parts import exportable_parts, recipe_for
from niwaki.evaluation.deployment import Deployment
from niwaki.export.int8.layer_weights import LayerWeight, layer_weights, n_applied, read_in_float
from niwaki.export.int8.layers import layers_in_float, without_kernel
from niwaki.export.torch_outputs import torch_outputs
from niwaki.tasks.base import SplitName, TaskData
from niwaki.tasks.own import LossSettings
from niwaki.tasks.task import Task, TaskKind


@dataclass(frozen=True)
class LayerCounts:
    """Of one layer: output channels, multiply-accumulates of one item, values of its weight."""

    width: int
    macs: float
    n_weights: float


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
        """Its channel groups, without what no answer depends on: it is not deployed."""
        return analyse(self.module, self._example).without(self._unread)

    @cached_property
    def layers(self) -> tuple[str, ...]:
        """Paths of its layers that can run in int8, in the order of execution.

        Raises:
            ExportError: If the model cannot be exported; names the parts of it that can. If what is
                written of it does not compute what it does.
        """
        return tuple(self.weights)

    @cached_property
    def weights(self) -> Mapping[str, LayerWeight]:
        """The weight of each of these layers, by path.

        Raises:
            ExportError: As of `layers`.
        """
        return layer_weights(self._graph, self.module, but=self._unread)

    @cached_property
    def in_float(self) -> Mapping[str, str]:
        """Why other products and recurrences cannot run in int8, by path.

        Raises:
            ExportError: As of `layers`.
        """
        return layers_in_float(self._graph)

    @cached_property
    def _unread(self) -> frozenset[str]:
        return unread_parameters(self.module, self._example)

    @property
    def _example(self) -> Inputs:
        return by_name(self.module, example_of(self.data))

    @cached_property
    def _graph(self) -> onnx.ModelProto:
        try:
            model = self.deployment.float_graph(self.module, quantizable=False).model
        except ExportError as error:
            parts = exportable_parts(self.module, example_of(self.data))
            raise ExportError(
                f"{error}. What cannot be exported cannot run on the target: change that line"
                f"{recipe_for(parts)}"
            ) from error
        for path, kind in without_kernel(model).items():
            raise ExportError(
                f"the weight of '{path}' is {kind}, in which the runtime does not compute it: give "
                "a model with float32 weights, `model.float()`, that casts to no other type inside"
            )
        require_faithful(model, self.module, self.deployment.timing_feeds(n_images=2))
        return model

    def ladder(self, grain: int, *, least_share: float, n_steps: int) -> Ladder:
        """Return the counts that each group may keep: see `ladder_of`."""
        return ladder_of(self.groups, grain, least_share=least_share, n_steps=n_steps)

    @cached_property
    def _read_in_float(self) -> frozenset[str]:
        return read_in_float(self._graph)

    @cached_property
    def _n_applied(self) -> Mapping[str, int]:
        return n_applied(self._graph, self.deployment.timing_feeds())

    def params(self, counts: NDArray[np.int64]) -> float:
        """Return the number of parameters, for (n_groups,) counts."""
        return sum(self.params_by_tensor(counts).values())

    def layer_counts(self, counts: NDArray[np.int64]) -> Mapping[str, LayerCounts]:
        """Return what each layer that can run in int8 has and does, for (n_groups,) counts."""
        sizes = self._weight_sizes(self.params_by_tensor(counts))
        macs = self.groups.costs.macs_per_layer(counts)
        return {
            path: LayerCounts(
                round(weight.width * self._kept_share(weight, counts)),
                float(macs[self._products[path]])
                if path in self._products
                else self._n_applied[path] * sizes[weight.constant],
                sizes[weight.constant],
            )
            for path, weight in self.weights.items()
        }

    @cached_property
    def _products(self) -> Mapping[str, int]:
        """Number of the product of the costs that each layer is, by path; where that can be told.

        What runs along positions is applied once to each channel, so less often in a pruned model.
        """
        costs, counted = self.groups.costs, self._n_applied
        products = {call: i for i, call in enumerate(_numbered(costs.macs_of.owners))}
        calls = _numbered(path.partition(":")[0] for path in self.weights)
        found = {p: products[c] for p, c in zip(self.weights, calls, strict=True) if c in products}
        whole = costs.macs_per_layer(costs.whole)
        return {
            path: product
            for path, product in found.items()
            if whole[product] == counted[path] * self.weights[path].n_values
        }

    def weight_bytes(self, counts: NDArray[np.int64], in_int8: Collection[str]) -> float:
        """Return the bytes of all weights, for (n_groups,) counts and the paths in int8.

        A parameter that layers in int8 read and something in float as well is there in both.
        """
        params = self.params_by_tensor(counts)
        sizes = self._weight_sizes(params)
        weights = {weight.constant: weight for weight in self.weights.values()}
        integers = {w.constant for path, w in self.weights.items() if path in in_int8}
        in_float = {w.constant for path, w in self.weights.items() if path not in in_int8}
        in_float |= self._read_in_float
        whole = {w.parameter for w in weights.values() if w.constant in in_float and w.share == 1.0}
        saved = dict.fromkeys(params, 0.0)
        for name in integers - in_float:
            owner = weights[name].parameter
            if owner not in {*whole, *in_float}:
                saved[owner] = saved.get(owner, 0.0) + sizes[name]
        n_saved = sum(min(n, params.get(owner, n)) for owner, n in saved.items())
        return 4 * (sum(params.values()) - n_saved) + sum(sizes[name] for name in integers)

    def _weight_sizes(self, params: Mapping[str, float]) -> Mapping[str, float]:
        """Return the number of values of each layer's weight, by its constant."""
        return {
            w.constant: w.share * params[w.parameter] if w.parameter else float(w.n_values)
            for w in self.weights.values()
        }

    def _kept_share(self, weight: LayerWeight, counts: NDArray[np.int64]) -> float:
        """Return the part of a layer's output channels that stays."""
        lost = 0.0
        for group, kept in zip(self.groups.groups, counts.tolist(), strict=True):
            for member in group.members:
                if (member.owner, member.dim) == (weight.parameter, weight.axis):
                    lost += (1 - kept / group.n_units) * member.indices.size / member.size
        return 1.0 - lost

    def params_by_tensor(self, counts: NDArray[np.int64]) -> Mapping[str, float]:
        """Return numbers of parameters by name of the tensor, for (n_groups,) counts."""
        costs = self.groups.costs
        return _summed(costs.params_of.owners, costs.params_per_tensor(counts))


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


def example_of(data: TaskData, n: int = 2) -> torch.Tensor:
    """Return some real inputs: (n, ...), or as many as there are; several side by side."""
    return torch.from_numpy(next(data[SplitName.CALIBRATION].batches(n)).inputs)


def fitted_to(data: TaskData, module: nn.Module) -> TaskData:
    """Return the data with the inputs of a module, and tasks in the order in which it answers them.

    Raises:
        DataError: If the module's outputs are not those of the tasks, or not of the shapes that
            these need.
    """
    example = example_of(data)
    note_answers(module, example)
    data = replace(data, model_inputs=inputs_taken(module, data.input_shape))
    with torch.no_grad():
        answer = module(example)
    names = data.output_names
    if isinstance(answer, Mapping):
        given = [str(name) for name in answer]
        if set(given) != set(names):
            raise DataError(
                f"the model answers {', '.join(given)}, but the tasks read {', '.join(names)}: "
                "give one task for each output, of the same name, or one of kind custom that reads "
                "several"
            )
        tasks = tuple(sorted(data.tasks, key=lambda t: min(map(given.index, t.outputs))))
        return _fitting(replace(data, tasks=tasks, outputs=tuple(given)), module)
    n_outputs = len(answer) if isinstance(answer, tuple | list) else 1
    if n_outputs != len(names):
        raise DataError(
            f"the model returns {n_outputs} outputs, but the tasks read {len(names)} "
            f"({', '.join(names)}): give one task for each output, in the same order, or one of "
            "kind custom that reads several"
        )
    return _fitting(replace(data, outputs=_in_order(names)), module)


def _in_order(names: Sequence[str]) -> tuple[str, ...]:
    """Return names of a tuple's outputs in its order: `output_1` and the like are at their places.

    Other names take the places that are left, in the order of the tasks.
    """
    by_position = names_by_position(len(names))
    others = iter([name for name in names if name not in by_position])
    return tuple(name if name in names else next(others) for name in by_position)


def _fitting(data: TaskData, module: nn.Module) -> TaskData:
    """Return the data if each output has the shape that its task and its targets ask for.

    With what the model answers to train items, where a task is custom or has a loss of the user's.
    """
    batch = next(data[SplitName.SEARCH].batches(2))
    outputs = torch_outputs(module, [batch.inputs], data.output_names)
    custom = [task for task in data.tasks if task.kind is TaskKind.CUSTOM]
    for task in data.tasks:
        if task in custom:
            continue
        given, target = outputs[task.name].shape, batch.targets[task.name].shape
        if not _fits(task, given, target):
            n_outputs = f"{task.n_outputs} {'classes' if task.kind.has_classes else 'values'}"
            raise DataError(
                f"the model's output '{task.name}' has shape {given}, which does not fit a "
                f"{task.kind} task of {n_outputs} with targets of shape {target}: declare what the "
                f"model answers in `data.tasks.{task.name}`, or let it return what is declared"
            )
    own = [t for t in data.tasks if t in custom or isinstance(t.loss, LossSettings)]
    return replace(data, answers=answers_to(own, module, data))


def _fits(task: Task, given: tuple[int, ...], target: tuple[int, ...]) -> bool:
    """Whether an output is one for targets; it may know more classes than are asked for."""
    if not task.kind.has_classes:
        return given == target
    if len(given) != len(target) + 1:
        return False
    places = list(given)
    n_classes = places.pop(task.kind.class_axis)
    return tuple(places) == target and n_classes >= task.n_outputs


def _thinned(counts: list[int], n_steps: int) -> tuple[int, ...]:
    """Return at most so many of some ascending counts, the first and the last among them."""
    chosen = np.linspace(0, len(counts) - 1, min(n_steps, len(counts))).round().astype(int)
    return tuple(counts[i] for i in dict.fromkeys(chosen.tolist()))


def _numbered(names: Iterable[str]) -> Iterator[tuple[str, int]]:
    """Yield each name with how often it came before."""
    seen: Counter[str] = Counter()
    for name in names:
        yield name, seen[name]
        seen[name] += 1


def _summed(owners: tuple[str, ...], terms: NDArray[np.float64]) -> dict[str, float]:
    total: dict[str, float] = {}
    for owner, term in zip(owners, terms, strict=True):
        total[owner] = total.get(owner, 0.0) + float(term)
    return total
