"""The values that measured networks have, beside those of their tasks."""

from niwaki.core.objectives import Direction, Objective
from niwaki.tasks import MEAN_SKILL
from niwaki.tasks.base import TaskData

LATENCY = Objective("latency_ms", Direction.MINIMIZE, "ms")
SIZE = Objective("size_bytes", Direction.MINIMIZE, "B")
MACS = Objective("macs", Direction.MINIMIZE)
PARAMS = Objective("params", Direction.MINIMIZE)
WEIGHT_BYTES = Objective("weight_bytes", Direction.MINIMIZE, "B")
PEAK_BYTES = Objective("peak_bytes", Direction.MINIMIZE, "B")


def deployed_values(data: TaskData) -> tuple[Objective, ...]:
    """Return the values of a network that was deployed and counted."""
    scores = [objective for task in data.tasks for objective in task.objectives]
    return (MEAN_SKILL, *scores, LATENCY, SIZE, MACS, PARAMS, WEIGHT_BYTES)
