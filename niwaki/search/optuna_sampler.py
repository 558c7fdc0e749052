"""Any sampler of Optuna as a searcher: its trials answer the space's walk."""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import optuna
from optuna.samplers import BaseSampler, GPSampler, RandomSampler, TPESampler
from optuna.trial import TrialState

from niwaki.core.candidate import Candidate, Value
from niwaki.core.errors import ConfigError, SpaceError
from niwaki.core.measurement import Trial
from niwaki.core.objectives import in_user_direction
from niwaki.core.randomness import derived_seed
from niwaki.search.asked import Asked
from niwaki.search.base import Problem, Searcher
from niwaki.search.optuna_factory import quiet, refuse_listing, sampler_factory
from niwaki.spaces.base import Choose

# They keep nothing between two asks but a random state and caches, so that a fresh one per ask does
# the same job. Any other keeps a state in the study, or in itself.
STATELESS = (TPESampler, GPSampler, RandomSampler)


@dataclass(frozen=True)
class OptunaSettings:
    """Settings of `OptunaSearcher`.

    Attributes:
        sampler: `tpe`, `gp`, `nsga2`, `nsga3`, `random`, `qmc`; a class of `optuna.samplers`;
            `package.module:factory`; or, from Python, a factory that takes a
            seed. A sampler object is given as a factory: `lambda seed: sampler`.
        options: Keyword arguments of the sampler's class, or of the factory.

    Raises:
        ConfigError: If there is no such sampler, it cannot be made with these options, or it only
            works in Optuna's own loop.
    """

    sampler: "str | Callable[[int], BaseSampler]" = "tpe"
    options: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        make = sampler_factory(self.sampler, self.options)
        if isinstance(self.sampler, str):  # what a file names is tried before anything is trained
            with quiet():
                refuse_listing(make(0))


class OptunaSearcher(Searcher):
    """Asks an Optuna sampler, and mutates its proposal where that was asked before.

    Every decision is a categorical parameter. Bounds become Optuna's constraints; a candidate that
    a cheap count turned away is a complete trial with its violation and, for values, the worst ones
    so far; a failed trial is a failed trial.

    TPE, GP and random search are made afresh for each ask, from a seed of its own, so that they
    resume exactly. Samplers with a state (NSGA-II, NSGA-III, QMC, CMA-ES, any other) live as long
    as the search; `resume` replays their asks, which is exact if one candidate was pending at a
    time, and a legitimate search in any case.

    References:
        Akiba, Sano, Yanase, Ohta and Koyama, KDD 2019, "Optuna: a next-generation hyperparameter
        optimization framework".
    """

    def __init__(self, problem: Problem, settings: OptunaSettings | None = None) -> None:
        self._problem = problem
        self._asked = Asked(problem)
        settings = settings or OptunaSettings()
        self._make = sampler_factory(settings.sampler, settings.options)
        self._trials: dict[str, optuna.Trial] = {}  # by key of the candidate, until it is told
        self._worst = np.full(len(problem.objectives), np.nan)  # costs told so far
        self._to_replay: list[Candidate] = []
        self._told_meanwhile: list[Trial] = []
        with quiet():
            sampler = self._make(derived_seed(problem.seed, "sampler"))
            refuse_listing(sampler)
            again = self._make(derived_seed(problem.seed, "sampler"))
            self._fresh = isinstance(sampler, STATELESS) and again is not sampler
            self._study = optuna.create_study(
                directions=[objective.direction.value for objective in problem.objectives],
                sampler=sampler,
            )

    def ask(self, n: int, pending: Sequence[Candidate] = ()) -> list[Candidate]:  # noqa: ARG002
        with quiet():
            self._replay()
            drawn = [candidate for _ in range(n) for candidate in self._ask_one()]
        return drawn

    def tell(self, trials: Sequence[Trial]) -> None:
        self._asked.told(trials)
        if self._to_replay:
            self._told_meanwhile.extend(trials)
            return
        with quiet():
            for trial in trials:
                self._finish(trial)

    def resume(self, asked: Sequence[Candidate]) -> None:
        # Not before the next ask: what was told first, such as a baseline, is Optuna's first trial.
        self._to_replay.extend(asked)

    def _ask_one(self) -> list[Candidate]:
        """Return one new candidate, or none if there is no more."""
        proposals: list[_Proposal] = []

        def propose(rng: np.random.Generator) -> Candidate:  # noqa: ARG001 - samplers have their own
            proposals.append(self._proposal())
            return proposals[-1].candidate

        drawn = self._asked.draw(1, propose)
        if not drawn:
            self._drop(proposals)
        for candidate in drawn:
            self._keep(candidate, proposals)
        return drawn

    def _proposal(self) -> "_Proposal":
        if self._fresh:
            seed = derived_seed(self._problem.seed, "ask", len(self._asked))
            self._study.sampler = self._make(seed)
        try:
            trial = self._study.ask()
            return _Proposal(trial, self._problem.space.decide(suggested(trial)))
        except (ValueError, TypeError) as error:  # such as CMA-ES about several objectives
            reason = str(error).rstrip(".")
            raise ConfigError(
                f"Optuna's {type(self._study.sampler).__name__} can propose nothing for this "
                f"problem: {reason}. Choose another sampler, or other options for it"
            ) from error

    def _keep(self, candidate: Candidate, proposals: Sequence["_Proposal"]) -> None:
        """Let a trial of `candidate` run: the proposed one, if any, or one made for it."""
        if proposals and proposals[0].candidate == candidate:
            own = proposals[0].trial
            # Several walks may end at one tree. Whoever resumes will not know which one this was.
            if not self._fresh or own.params == self._parameters(candidate):
                self._trials[candidate.key] = own
                return
        self._drop(proposals)
        if (trial := self._enqueued(candidate)) is not None:
            self._trials[candidate.key] = trial

    def _drop(self, proposals: Sequence["_Proposal"]) -> None:
        for proposal in proposals:
            self._study.tell(proposal.trial, state=TrialState.FAIL)

    def _enqueued(self, candidate: Candidate) -> optuna.Trial | None:
        """Return a running trial of a candidate that no sampler proposed, if a walk is known."""
        parameters = self._parameters(candidate)
        if parameters is None:
            return None
        self._study.enqueue_trial(parameters)
        trial = self._study.ask()
        self._problem.space.decide(suggested(trial))
        return trial

    def _parameters(self, candidate: Candidate) -> dict[str, int] | None:
        """Return Optuna's parameters of a candidate; None if no walk is known to end there."""
        try:
            answers = self._problem.space.answers(candidate)
        except SpaceError:
            return None
        parameters: dict[str, int] = {}

        def answer(path: str, options: Sequence[Value]) -> Value:
            index = options.index(answers[path])
            if len(options) > 1:
                parameters[_name(path, options)] = index
            return options[index]

        self._problem.space.decide(answer)
        return parameters

    def _finish(self, trial: Trial) -> None:
        own = self._trials.pop(trial.candidate.key, None) or self._enqueued(trial.candidate)
        if own is None:
            return
        violation = float(self._problem.violations([trial])[0])
        if math.isinf(violation):
            self._study.tell(own, state=TrialState.FAIL)
            return
        values = trial.measurement.values
        for number, bound in enumerate(self._problem.bounds):
            slack = bound.relative_slack(values)
            # Not counted before the candidate was turned away. GP wants every constraint each time.
            own.set_constraint(f"{number}: {bound}", 0.0 if math.isnan(slack) else slack)
        self._study.tell(own, self._values(trial))

    def _values(self, trial: Trial) -> list[float]:
        """Return a value per objective: what was measured, or else the worst so far."""
        objectives = self._problem.objectives
        if trial.measurement.complete:
            self._worst = np.fmax(self._worst, self._problem.costs([trial])[0])
            return [trial.measurement.values[objective.name] for objective in objectives]
        # Infinity would say it better, but not every sampler can compute with it.
        worst = np.where(np.isnan(self._worst), 0.0, self._worst)
        return [float(value) for value in in_user_direction(worst, objectives)]

    def _replay(self) -> None:
        """Bring the study, and a sampler with a state, to where the earlier process left them."""
        asked, told = self._to_replay, self._told_meanwhile
        self._to_replay, self._told_meanwhile = [], []
        if not asked:
            return
        unasked = {candidate.key for candidate in asked}
        n_told = 0
        for candidate in asked:
            while n_told < len(told) and told[n_told].candidate.key not in unasked:
                self._finish(told[n_told])
                n_told += 1
            unproposed = self._fresh or candidate in self._problem.initial
            self._keep(candidate, [] if unproposed else [self._proposal()])
            self._asked.resume([candidate])
            unasked.remove(candidate.key)
        for trial in told[n_told:]:
            self._finish(trial)


@dataclass(frozen=True)
class _Proposal:
    """A running trial, and the candidate that it suggests."""

    trial: optuna.Trial
    candidate: Candidate


def suggested(trial: optuna.Trial) -> Choose:
    """Answer a walk by the suggestions of an Optuna trial."""

    def choose(path: str, options: Sequence[Value]) -> Value:
        if len(options) == 1:
            return options[0]
        # By position: an option may be a tuple, which Optuna does not take. Not as an integer, even
        # where options are sorted: with as few as a width has, TPE finds less that way.
        position: int = trial.suggest_categorical(_name(path, options), range(len(options)))
        return options[position]

    return choose


def _name(path: str, options: Sequence[Value]) -> str:
    # Optuna wants the same options under the same name each time; a space may vary them.
    return f"{path} {options!r}"
