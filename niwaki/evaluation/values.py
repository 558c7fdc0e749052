"""The values that measured networks have, beside those of their tasks."""

from niwaki.core.objectives import Direction, Objective
from niwaki.tasks import MEAN_SKILL
from niwaki.tasks.base import TaskData

LATENCY = Objective("latency_ms", Direction.MINIMIZE, "ms", least=0.0)
SIZE = Objective("size_bytes", Direction.MINIMIZE, "B", least=0.0)
MACS = Objective("macs", Direction.MINIMIZE, least=0.0)
PARAMS = Objective("params", Direction.MINIMIZE, least=0.0)
WEIGHT_BYTES = Objective("weight_bytes", Direction.MINIMIZE, "B", least=0.0)
PEAK_BYTES = Objective("peak_bytes", Direction.MINIMIZE, "B", least=0.0)


def deployed_values(data: TaskData) -> tuple[Objective, ...]:
    """Return the values of a network that was deployed and counted."""
    scores = [objective for task in data.tasks for objective in task.objectives]
    return (MEAN_SKILL, *scores, LATENCY, SIZE, MACS, PARAMS, WEIGHT_BYTES)
