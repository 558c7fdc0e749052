"""A driver process for crash tests: `python -m tests.study.executors.ray_driver MODE ADDRESS ...`.

`study ADDRESS FOLDER` runs, or continues, a study of 30 evaluations in the folder `run` of FOLDER;
`interrupt ADDRESS` waits for an evaluation, takes Ctrl-C, says what came of it, and hangs.
"""

import os
import signal
import sys
from functools import partial
from pathlib import Path

from niwaki.evaluation.base import Evaluator
from niwaki.search.nsga2 import NSGA2
from niwaki.study.budget import Budget
from niwaki.study.executors import Executor, Job
from niwaki.study.executors.ray_cluster import RayClusterSettings, create
from niwaki.study.study import Study, StudySettings
from niwaki.testing.scripted_evaluator import ScriptedEvaluator, script
from tests.study.executors.evaluators import Sociable

N_EVALUATIONS = 30


def say(*words: object) -> None:
    print(*words, flush=True)  # noqa: T201


def make(settings: RayClusterSettings, logs: Path, evaluator: Evaluator) -> Executor:
    logs.mkdir(parents=True, exist_ok=True)
    return create(evaluator, settings, logs=logs)


def study(address: str, folder: Path) -> None:
    run = folder / "run"
    settings = StudySettings(objectives=("gain", "price"), budget=Budget(N_EVALUATIONS))
    executor = partial(make, RayClusterSettings(address=address), run / "logs")
    evaluator = Sociable(visits=folder / "visits", seconds=0.2)
    Study(run, evaluator, NSGA2, settings, make_executor=executor).run()


def interrupt(address: str, folder: Path) -> None:
    pool = make(RayClusterSettings(address=address, n_workers=1), folder, ScriptedEvaluator())
    pool.submit(Job(0, script("return")))
    [first] = pool.wait()
    say(first.measurement.details["pid"])
    pool.submit(Job(1, script("sleep", seconds=2.0)))
    try:
        say("waiting")
        pool.wait()
    except KeyboardInterrupt:
        say("interrupted")
    [second] = pool.wait()
    say(second.measurement.status, second.measurement.details)
    signal.pause()


if __name__ == "__main__":
    signal.signal(signal.SIGINT, signal.default_int_handler)
    {"study": study, "interrupt": interrupt}[sys.argv[1]](sys.argv[2], Path(sys.argv[3]))
    os._exit(0)
