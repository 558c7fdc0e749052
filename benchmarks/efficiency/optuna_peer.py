"""Optuna's samplers as their users run them: ask and tell, a categorical parameter per choice."""

import logging
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import numpy as np
import optuna
from optuna.distributions import CategoricalDistribution
from optuna.exceptions import ExperimentalWarning
from optuna.samplers import BaseSampler, GPSampler, NSGAIISampler, TPESampler
from optuna.trial import TrialState, create_trial

from benchmarks.efficiency.scenario import Meter

SETTINGS = "defaults of Optuna, categorical parameters, one trial at a time; see `Way`"


@dataclass(frozen=True)
class Way:
    """How a sampler is run.

    Attributes:
        make: Builds it from a seed.
        repaired: Whether it is told where a table with holes was really evaluated. Samplers with
            generations need the trials that they asked for: they get the nearest row's values.
        repeats: Whether a suggestion that was evaluated before is told again, as Optuna's manual
            has it. If not, a random new row takes its place: GP suggests one row for ever.
    """

    make: Callable[[int], BaseSampler]
    repaired: bool = True
    repeats: bool = True


def _run(meter: Meter, seed: int, *, way: Way) -> None:
    """Search until the meter is done."""
    scenario = meter.scenario
    distributions = {
        path: CategoricalDistribution(tuple(range(len(options))))
        for path, options in zip(scenario.space.paths, scenario.space.options, strict=True)
    }
    logging.getLogger("optuna").setLevel(logging.ERROR)
    warnings.simplefilter("ignore", ExperimentalWarning)
    rng = np.random.default_rng(seed)
    study = optuna.create_study(
        directions=["minimize"] * len(scenario.objectives), sampler=way.make(seed)
    )
    while not meter.done:
        trial = study.ask(distributions)
        row = scenario.row([trial.params[path] for path in scenario.space.paths])
        if not way.repeats and row in meter.rows:
            row = int(rng.choice(np.setdiff1d(np.arange(len(scenario.grid)), meter.rows)))
        answer = meter.evaluate_row(row)
        there = dict(zip(scenario.space.paths, scenario.grid[row].tolist(), strict=True))
        if answer.costs is None:
            study.tell(trial, state=TrialState.FAIL)
        elif way.repaired and there != trial.params:
            study.tell(trial, state=TrialState.FAIL)
            values = answer.costs.tolist()
            study.add_trial(create_trial(params=there, distributions=distributions, values=values))
        else:
            study.tell(trial, answer.costs.tolist())


run_tpe = partial(_run, way=Way(lambda seed: TPESampler(seed=seed)))
run_nsga2 = partial(_run, way=Way(lambda seed: NSGAIISampler(seed=seed), repaired=False))
run_gp = partial(_run, way=Way(lambda seed: GPSampler(seed=seed), repeats=False))
