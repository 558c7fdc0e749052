"""Tasks: data in named splits, metrics, skill. Losses, which need torch, are in `losses`."""

from niwaki.tasks.base import Batch, Split, SplitName, TaskData
from niwaki.tasks.preprocessing import Preprocessing
from niwaki.tasks.registry import DATA
from niwaki.tasks.scoring import MEAN_SKILL, mean_skill, score
from niwaki.tasks.task import Task, TaskKind, TaskSettings

__all__ = [
    "DATA",
    "MEAN_SKILL",
    "Batch",
    "Preprocessing",
    "Split",
    "SplitName",
    "Task",
    "TaskData",
    "TaskKind",
    "TaskSettings",
    "mean_skill",
    "score",
]
