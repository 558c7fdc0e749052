"""An evaluator as a trainable of Ray Tune, which Tune's schedulers can stop between fidelities."""

from collections.abc import Callable, Mapping
from typing import Any

from ray import cloudpickle, tune

from niwaki.core.errors import StudyError
from niwaki.evaluation.base import Evaluator
from niwaki.search.ray_tune_searcher import FIDELITY, candidate_of
from niwaki.study.executors.attempt import attempt
from niwaki.study.executors.base import Job
from niwaki.study.executors.travel import packed, unpacked


def evaluation_trainable(
    evaluator: Evaluator, *, reduction: float = 3.0, least: float = 0.0, seed: int = 0
) -> Callable[[Mapping[str, Any]], None]:
    """Return a function for `ray.tune.Tuner` that evaluates a trial's candidate.

    It evaluates at each fidelity that the evaluator has, from the least to the whole, and reports
    all values, and the `fidelity`, after each. So `training_iteration` counts the rungs: a
    scheduler such as ASHA is given `grace_period=1` and `max_t` no less than their number. What an
    evaluation cannot do ends its trial as an error, with the reason.

    Args:
        evaluator: Prepared, in a folder given by an absolute path that every node sees: Tune runs
            each trial in a working directory of its own.
        reduction: Least ratio of one fidelity to the one before, above 1.
        least: No fidelity is below it.
        seed: Of everything random in the evaluations.
    """
    rungs = evaluator.fidelities.ladder(reduction=reduction, least=least)
    function: Callable[[Mapping[str, Any]], None] = tune.with_parameters(
        _evaluate,
        evaluator=packed(evaluator, cloudpickle.dumps),
        rungs=rungs,
        seed=seed,
    )
    return function


def _evaluate(
    config: Mapping[str, Any], evaluator: bytes, rungs: tuple[float, ...], seed: int
) -> None:
    there = unpacked(evaluator)
    candidate = candidate_of(config, there.space)
    for number, fidelity in enumerate(rungs):
        job = Job(number, candidate, fidelity, seed)
        measurement = attempt(there, job, worker="ray-tune")
        if not measurement.complete:
            raise StudyError(measurement.reason)
        tune.report({**measurement.values, FIDELITY: fidelity})
