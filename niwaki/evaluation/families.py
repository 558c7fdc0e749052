"""Families of networks: what an evaluator needs of a space whose candidates can be built."""

from collections.abc import Mapping, Sequence
from typing import Protocol, runtime_checkable

import torch
from torch import nn

from niwaki.core.candidate import Candidate
from niwaki.core.errors import ConfigError, DataError
from niwaki.core.wording import kind_of
from niwaki.spaces.base import Space
from niwaki.spaces.heads import Head, HeadKind
from niwaki.spaces.layered import LayerRow
from niwaki.spaces.super_network.base import SuperNetwork
from niwaki.spaces.super_network.space import ElasticSpace
from niwaki.tasks.base import SplitName, TaskData
from niwaki.tasks.task import TaskKind


@runtime_checkable
class NetworkFamily(Protocol):
    """Networks of one space, for one shape of inputs and one list of heads. Picklable."""

    @property
    def space(self) -> Space:
        """Where candidates come from; its mutation and crossover are the family's own."""

    def seed(self, name: str) -> Candidate:
        """Return the well-known network of that name.

        Raises:
            SpaceError: If there is none, or why it does not fit the inputs or the budget.
        """

    def counts(self, candidate: Candidate) -> Mapping[str, float]:
        """Return what is known without building: arithmetic alone.

        Returns:
            `params` and `macs` (exact), `elements` (numbers in all outputs: what training keeps in
            memory), and `peak_bytes` (activations alive at once when it is run), all of one item.
        """

    def build(self, candidate: Candidate) -> nn.Module:
        """Return an untrained module, its weights drawn by torch's global generator.

        It maps (B, *input shape) to a tensor per head, in their order; for one head, a bare tensor
        will do.
        """


@runtime_checkable
class LayeredFamily(NetworkFamily, Protocol):
    """A family that names its layers without building them, so that they can be quantized."""

    def layers(self, candidate: Candidate) -> Sequence[LayerRow]:
        """Return the layers that can run in int8, in order of execution."""

    def with_precisions(self, precisions: tuple[str, ...]) -> Space:
        """Return the space of architectures and the precision of each of their layers.

        Its parts are `architecture` and `quantization`; the latter decides a precision by path of
        the layer.
        """

    def spell(self, architecture: Candidate, precision: str) -> Candidate:
        """Return the joint candidate of an architecture with every layer in one precision."""


@runtime_checkable
class NamingFamily(NetworkFamily, Protocol):
    """A family that knows which of its architectures are one and the same network."""

    def identity(self, candidate: Candidate) -> str:
        """Return a name that architectures share if their networks are built alike."""


@runtime_checkable
class FamilySettings(Protocol):
    """Options of a space that describe a family."""

    def family(self, input_shape: tuple[int, ...], heads: tuple[Head, ...]) -> NetworkFamily:
        """Return the family for inputs of a shape, without the batch, and one head per task.

        Raises:
            ConfigError, SpaceError: If the options allow no network.
        """


@runtime_checkable
class ElasticFamily(Protocol):
    """Networks that share the weights of one super-network. Picklable."""

    @property
    def space(self) -> ElasticSpace:
        """Their architectures."""

    def super_network(self, generator: torch.Generator) -> SuperNetwork:
        """Return the super-network, its weights drawn by `generator`.

        Raises:
            SpaceError: If the memory that may be used does not hold it while it is trained.
        """

    def alone(self, task: str) -> "ElasticFamily":
        """Return the networks that answer one of the tasks alone.

        Its space has every decision that matters to the task under the same path, with the same
        options, and none beside them; its super-network has all weights under the same names.
        """


@runtime_checkable
class ElasticSettings(Protocol):
    """Options of a space that describe networks of a super-network."""

    def elastic_family(
        self, input_shape: tuple[int, ...], heads: tuple[Head, ...]
    ) -> ElasticFamily:
        """Return the family for inputs of a shape, without the batch, and one head per task.

        Raises:
            ConfigError, DataError, SpaceError: If the options allow no network.
        """


def family_of(options: object, data: TaskData) -> NetworkFamily:
    """Return the networks that a space's options describe, for the inputs and tasks of `data`.

    Raises:
        ConfigError: If the options describe no networks.
        DataError: If masks and maps are not of the size of the inputs.
        SpaceError: If the options allow no network.
    """
    heads = heads_of(data)
    if isinstance(options, FamilySettings):
        return options.family(data.input_shape, heads)
    if isinstance(options, ElasticSettings):
        family = options.elastic_family(data.input_shape, heads)
        if isinstance(family, NetworkFamily):
            return family
    raise ConfigError(
        f"a space of {type(options).__name__} describes no networks that can be built: choose a "
        "`space` whose options have a method `family(input_shape, heads)`"
    )


def elastic_family_of(options: ElasticSettings, data: TaskData) -> ElasticFamily:
    """Return the networks of a super-network, for the inputs and tasks of `data`.

    Raises:
        ConfigError: If what the options give is no such family.
        DataError: If masks and maps are not of the size of the inputs, or the networks do not read
            such inputs.
        SpaceError: If the options allow no network.
    """
    family = options.elastic_family(data.input_shape, heads_of(data))
    method = f"`elastic_family` of {type(options).__name__}"
    if not isinstance(family, ElasticFamily):
        raise ConfigError(
            f"{method} gave {kind_of(family)}, but a family is needed, with `space`, "
            "`super_network(generator)` and `alone(task)`"
        )
    if not isinstance(family.space, ElasticSpace):
        raise ConfigError(
            f"the `space` that {method} gave is {kind_of(family.space)}: derive it from "
            "`niwaki.spaces.super_network.space.ElasticSpace`"
        )
    return family


def heads_of(data: TaskData) -> tuple[Head, ...]:
    """Return the heads that `data` need: one vector or one map per task.

    Raises:
        ConfigError: If there is a custom task.
        DataError: If masks and maps are not as high and wide as the inputs: networks answer there;
            or if inputs have no places; or if there are sequences to label, or several inputs.
    """
    if data.model_inputs is not None and len(data.model_inputs) > 1:
        raise DataError(
            f"the data give several inputs ({', '.join(data.model_inputs.names)}), and no space "
            "has networks that read them: `niwaki compress` takes models that do"
        )
    targets = next(data[SplitName.TRAIN].targets(1))
    for task in data.tasks:
        if task.kind is TaskKind.CUSTOM:
            raise ConfigError(
                f"task '{task.name}' is {task.kind}: only its metric and loss know what a network "
                "answers, so that none can be built for it. Custom tasks are for a model that is "
                "there, `niwaki compress` and `evaluator: compressed`; for networks that are "
                "searched, give tasks of other kinds, or train them yourself (`evaluator: "
                "function`)"
            )
        if task.kind is TaskKind.TAGGING:
            raise DataError(
                f"task '{task.name}' labels the places of a sequence, and no space has heads for "
                "that: `niwaki compress` takes models that have"
            )
        wanted = data.input_shape[1:]
        found = targets[task.name].shape[1:][-len(wanted) :]
        if task.kind.dense and not wanted:
            raise DataError(
                f"task '{task.name}' wants an answer for each place, and inputs of shape "
                f"{data.input_shape} have none: give images"
            )
        if task.kind.dense and found != wanted:
            given, places = (" x ".join(map(str, sides)) for sides in (found, wanted))
            raise DataError(
                f"task '{task.name}' has targets of {given} places for inputs of {places}: resize "
                "one of them"
            )
    return tuple(
        Head(task.name, HeadKind.MAP if task.kind.dense else HeadKind.VECTOR, task.n_outputs)
        for task in data.tasks
    )
