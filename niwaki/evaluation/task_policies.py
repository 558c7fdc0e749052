"""Policies of a super-network's tasks: what matters to each, and what its networks cost alone."""

from collections.abc import Mapping, Sequence
from typing import Any

from niwaki.core.candidate import Candidate, Value
from niwaki.core.errors import ConfigError
from niwaki.search.policies import PolicySettings, TaskPolicies
from niwaki.spaces.super_network.space import ElasticSpace


def task_policies(architectures: ElasticSpace, settings: PolicySettings) -> TaskPolicies:
    """Return policies of all tasks over the architectures, at equal odds.

    A network costs the multiply-accumulates of what serves the task.
    """
    tasks = architectures.tasks
    largest = _macs(architectures, architectures.largest, tasks)

    def relative_costs(candidate: Candidate) -> Mapping[str, float]:
        own = _macs(architectures, candidate, tasks)
        return {task: own[task] / largest[task] for task in tasks}

    shaping = {task: _shaping(architectures, task) for task in tasks}
    return TaskPolicies(
        architectures.choices,
        tasks,
        settings,
        relative_costs=relative_costs,
        matters=lambda task, path: path in shaping[task],
    )


def restore_policies(policies: TaskPolicies, checkpoint: Mapping[str, Any]) -> None:
    """Continue from what a checkpoint of training holds.

    Raises:
        ConfigError: If it was trained without policies, or with those of other tasks or spaces.
    """
    if "policies" not in checkpoint:
        raise ConfigError(
            "the super-network was trained without policies: begin a new run (--name), or leave "
            "`policies` out"
        )
    policies.restore(checkpoint["policies"])


def _served(
    space: ElasticSpace, candidate: Candidate, task: str
) -> tuple[tuple[str, int, int, int], ...]:
    """Return the layers of a candidate's network that answers one task alone, as it has them."""
    layers = (layer for layer in space.layer_table(candidate) if layer.serves(task))
    return tuple((each.path, each.n_outputs, each.params, each.macs) for each in layers)


def _macs(space: ElasticSpace, candidate: Candidate, tasks: Sequence[str]) -> dict[str, int]:
    layers = space.layer_table(candidate)
    return {task: sum(each.macs for each in layers if each.serves(task)) for task in tasks}


def _shaping(space: ElasticSpace, task: str) -> frozenset[str]:
    """Return the paths of the decisions that change the network of one task."""
    whole = _served(space, space.largest, task)
    return frozenset(
        choice.path
        for choice in space.choices.choices
        for option in choice.options
        if _served(space, _with(space, choice.path, option), task) != whole
    )


def _with(space: ElasticSpace, path: str, option: Value) -> Candidate:
    """Return the largest candidate, but for one decision."""
    return space.canonical({**space.largest.decisions, path: option})
