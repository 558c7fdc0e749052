"""Policies of a super-network's tasks: what matters to each, and what its networks cost alone."""

from collections.abc import Mapping, Sequence
from typing import Any

from niwaki.core.candidate import Candidate
from niwaki.core.errors import ConfigError
from niwaki.evaluation.families import ElasticFamily
from niwaki.search.policies import PolicySettings, TaskPolicies
from niwaki.spaces.super_network.space import ElasticSpace


def task_policies(family: ElasticFamily, settings: PolicySettings) -> TaskPolicies:
    """Return policies of all tasks over the architectures of a family, at equal odds.

    A network costs the multiply-accumulates of what serves the task, and depends on what is decided
    about the network of the task alone.
    """
    space, tasks = family.space, family.space.tasks
    largest = _macs(space, space.largest, tasks)

    def relative_costs(candidate: Candidate) -> Mapping[str, float]:
        own = _macs(space, candidate, tasks)
        return {task: own[task] / largest[task] for task in tasks}

    alone = {task: family.alone(task).space for task in tasks}
    shaping = {task: {choice.path for choice in alone[task].choices.choices} for task in tasks}
    return TaskPolicies(
        space.choices,
        tasks,
        settings,
        relative_costs=relative_costs,
        matters=lambda task, path: path in shaping[task],
        own=lambda task, candidate: alone[task].canonical(candidate.decisions),
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


def _macs(space: ElasticSpace, candidate: Candidate, tasks: Sequence[str]) -> dict[str, int]:
    layers = space.layer_table(candidate)
    return {task: sum(each.macs for each in layers if each.serves(task)) for task in tasks}
