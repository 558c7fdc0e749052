"""niwaki: searches for neural networks that fit.

Names are imported on first use, so that `import niwaki` is quick and pulls in no framework.
"""

import os
from importlib import import_module
from typing import TYPE_CHECKING

from niwaki._version import __version__

if TYPE_CHECKING:
    from niwaki.config import study_from_config
    from niwaki.config.prediction import load_predictor
    from niwaki.core import Candidate, Constraint, Direction, Measurement, Objective
    from niwaki.study.budget import Budget
    from niwaki.study.comparison import Comparison, compare_runs
    from niwaki.study.compression import CompressionRequest, compress
    from niwaki.study.results.front import Front
    from niwaki.study.results.run import Run, load_front
    from niwaki.study.study import Study, StudySettings
    from niwaki.study.wishes import GoalSettings

_HOMES = {
    "Budget": "niwaki.study.budget",
    "Candidate": "niwaki.core",
    "Comparison": "niwaki.study.comparison",
    "CompressionRequest": "niwaki.study.compression",
    "Constraint": "niwaki.core",
    "Direction": "niwaki.core",
    "Front": "niwaki.study.results.front",
    "GoalSettings": "niwaki.study.wishes",
    "Measurement": "niwaki.core",
    "Objective": "niwaki.core",
    "Run": "niwaki.study.results.run",
    "Study": "niwaki.study.study",
    "StudySettings": "niwaki.study.study",
    "compare_runs": "niwaki.study.comparison",
    "load_front": "niwaki.study.results.run",
    "load_predictor": "niwaki.config.prediction",
    "study_from_config": "niwaki.config",
}

__all__ = [
    "Budget",
    "Candidate",
    "Comparison",
    "CompressionRequest",
    "Constraint",
    "Direction",
    "Front",
    "GoalSettings",
    "Measurement",
    "Objective",
    "Run",
    "Study",
    "StudySettings",
    "__version__",
    "compare_runs",
    "compress",
    "load_front",
    "load_predictor",
    "study_from_config",
]

if "OMP_WAIT_POLICY" not in os.environ:
    # GNU OpenMP, torch's on Linux, lets a thread that waits for others burn its core for
    # milliseconds: where cores are shared, a training takes several times as long. It is read once,
    # when torch is imported, and processes that are started take it over.
    os.environ.setdefault("GOMP_SPINCOUNT", "10000")


def __getattr__(name: str) -> object:
    if name == "compress":  # the folder of that name, which can be called
        return import_module("niwaki.compress")
    if name not in _HOMES:
        raise AttributeError(f"module 'niwaki' has no attribute '{name}'")
    return getattr(import_module(_HOMES[name]), name)
