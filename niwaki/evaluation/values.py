"""The values that measured networks have, beside those of their tasks."""

from dataclasses import replace

from niwaki.core.objectives import Direction, Objective
from niwaki.tasks import MEAN_SKILL
from niwaki.tasks.base import TaskData

LATENCY = Objective("latency_ms", Direction.MINIMIZE, "ms", least=0.0)
SIZE = Objective("size_bytes", Direction.MINIMIZE, "B", least=0.0)
MACS = Objective("macs", Direction.MINIMIZE, least=0.0)
PARAMS = Objective("params", Direction.MINIMIZE, least=0.0)
WEIGHT_BYTES = Objective("weight_bytes", Direction.MINIMIZE, "B", least=0.0)
PEAK_BYTES = Objective("peak_bytes", Direction.MINIMIZE, "B", least=0.0)

_COUNTED = (MACS, PARAMS, WEIGHT_BYTES)
OWN_COSTS = (LATENCY, SIZE, *_COUNTED)
"""What a network of one task has of its own. Its scores are those of the network of all tasks."""


def deployed_values(data: TaskData) -> tuple[Objective, ...]:
    """Return the values of a network that was deployed and counted."""
    scores = [objective for task in data.tasks for objective in task.objectives]
    return (MEAN_SKILL, *scores, LATENCY, SIZE, MACS, PARAMS, WEIGHT_BYTES)


def own_name(task: str, cost: str) -> str:
    """Return the name of a cost of the network of one task, `depth_latency_ms`, or of all tasks."""
    return f"{task}_{cost}" if task else cost


def own_costs(task: str) -> tuple[Objective, ...]:
    """Return the values that the network of one task has of its own."""
    return tuple(_own(task, cost) for cost in OWN_COSTS)


def counted_costs(task: str) -> tuple[Objective, ...]:
    """Return those of them that are counted, not measured."""
    return tuple(_own(task, cost) for cost in _COUNTED)


def _own(task: str, cost: Objective) -> Objective:
    return replace(cost, name=own_name(task, cost.name))
