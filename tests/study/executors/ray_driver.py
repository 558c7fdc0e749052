"""A driver process for crash tests: `python -m tests.study.executors.ray_driver MODE ADDRESS ...`.

`study ADDRESS FOLDER` runs, or continues, a study of 30 evaluations in the folder `run` of FOLDER;
`interrupt ADDRESS` waits for an evaluation, takes Ctrl-C, says what came of it, and hangs;
`tune ADDRESS FOLDER` runs, or continues, 16 trials of `tune.Tuner`.
"""

import os
import signal
import sys
from functools import partial
from pathlib import Path

from niwaki.evaluation.base import Evaluator
from niwaki.search.nsga2 import NSGA2
from niwaki.search.ray_tune_searcher import RayTuneSearcher
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


def tune(address: str, folder: Path) -> None:
    import ray
    from ray import tune as ray_tune

    from niwaki.study.executors.ray_trainable import evaluation_trainable
    from tests.study.executors.test_ray_trainable import TWO, Chronicled

    ray.init(address=address, log_to_driver=False)
    Chronicled.path = folder / "told"
    trainable = evaluation_trainable(Sociable(seconds=0.3))
    if ray_tune.Tuner.can_restore(str(folder / "run")):
        tuner = ray_tune.Tuner.restore(str(folder / "run"), trainable)
    else:
        tuner = ray_tune.Tuner(
            trainable,
            tune_config=ray_tune.TuneConfig(
                search_alg=RayTuneSearcher(Chronicled, TWO),
                num_samples=16,
                max_concurrent_trials=1,
                reuse_actors=True,
            ),
            run_config=ray_tune.RunConfig(name="run", storage_path=str(folder), verbose=0),
        )
    tuner.fit()


if __name__ == "__main__":
    signal.signal(signal.SIGINT, signal.default_int_handler)
    {"study": study, "interrupt": interrupt, "tune": tune}[sys.argv[1]](
        sys.argv[2], Path(sys.argv[3])
    )
    os._exit(0)
