"""Any searcher of niwaki as the search algorithm of Ray Tune."""

import json
import logging
from collections.abc import Callable, Mapping
from math import isfinite, nan
from pathlib import Path
from typing import Any, TypeAlias, cast

from ray.tune.search import Searcher as TuneSearcher

from niwaki.core.candidate import Candidate, Value
from niwaki.core.errors import ConfigError
from niwaki.core.fidelity import FULL
from niwaki.core.files import write_text_atomically
from niwaki.core.measurement import Measurement, Status
from niwaki.core.objectives import Direction
from niwaki.core.refusals import INFEASIBLE_IN_A_ROW, refusal
from niwaki.search.base import Problem, Searcher
from niwaki.search.ray_tune_log import TuneLog
from niwaki.search.schedulers.full_effort_view import FullEffortView
from niwaki.search.vetting import proposed
from niwaki.spaces.base import Space

MakeSearcher: TypeAlias = Callable[[Problem], Searcher]

ENOUGH_ENDED = 20  # trials: of each so many more it is asked whether any came to full effort
ENOUGH_ALIKE = 3  # of them, that ended where no trial went on
_log = logging.getLogger(__name__)

FIDELITY = "fidelity"  # of results that say it themselves, in (0, 1]
MODES = {Direction.MAXIMIZE: "max", Direction.MINIMIZE: "min"}


class RayTuneSearcher(TuneSearcher):
    """Lets `ray.tune.Tuner` ask and tell a searcher, for any number of objectives.

    The configuration of a trial is the candidate's decisions by path, beside whatever constants
    `param_space` holds; `candidate_of` turns it back. A trial reports the problem's objectives, and
    what its bounds name, under these names, but for what the problem computes at no cost
    (`Problem.cheap`): candidates of which that breaks a bound are never run. A trial is told once,
    with its last result: as failed if it failed, or never reported them; and with a fidelity below
    1 if a scheduler of Tune stopped it early, or it ended early by itself. Values of little effort
    are brought to the scale of the full one before a searcher hears of them, by what became of
    trials that went on: `FullEffortView`.

    What was asked and told is all there is to save: a restored search replays it. So the factory
    and the problem must be picklable, and `Tuner.restore` goes on where the search was.

    Args:
        make_searcher: Builds a searcher for the problem, such as the class `NSGA2`.
        problem: What is searched, and what for.
        time_attr: Name of what a result reports of its progress, as Tune's schedulers call it.
        max_t: Its value at full effort, that of the scheduler, of which Tune tells a searcher
            nothing; None if every trial makes the full effort. Trials that go on beyond, or never
            come there, are told of, once. A result that has a value `fidelity` says it by that.

    Example::

        searcher = RayTuneSearcher(NSGA2, problem, max_t=27)
        scheduler = ASHAScheduler(metric="accuracy", mode="max", max_t=27)
        tune.Tuner(train, tune_config=tune.TuneConfig(
            search_alg=searcher, scheduler=scheduler, num_samples=200, max_concurrent_trials=8,
        )).fit()

    References:
        Liaw, Liang, Nishihara, Moritz, Gonzalez and Stoica, ICML AutoML workshop 2018, "Tune: a
        research platform for distributed model selection and training".
    """

    def __init__(
        self,
        make_searcher: MakeSearcher,
        problem: Problem,
        *,
        time_attr: str = "training_iteration",
        max_t: float | None = None,
    ) -> None:
        names = [objective.name for objective in problem.objectives]
        modes = [MODES[objective.direction] for objective in problem.objectives]
        one = len(names) == 1
        # Lists are what it wants for several objectives, whatever its annotation says.
        metric, mode = cast("tuple[str, str]", (names[0], modes[0]) if one else (names, modes))
        super().__init__(metric, mode)
        if max_t is not None and not max_t > 0:
            raise ConfigError(f"'max_t' is {max_t}: give a number above 0")
        self._make, self._problem = make_searcher, problem
        self._time_attr, self._max_t = time_attr, max_t
        self._log = TuneLog()
        self._counts: dict[str, Mapping[str, float]] = {}  # of trials on their way, at no cost
        self._live: Searcher | None = None
        self._has_doubts = False  # about `max_t`, which were told

    def __getstate__(self) -> dict[str, object]:
        """Travel as what was asked and told, from which a searcher is made anew."""
        return {**self.__dict__, "_live": None, "_counts": {}}

    def suggest(self, trial_id: str) -> Any:
        """Return the decisions of a new candidate; `FINISHED` if the space has no more.

        Raises:
            ConfigError: If what costs nothing to know breaks the bounds again and again.
            StudyError: If the searcher proposes what is not of the space, or anything again.
        """
        for _ in range(INFEASIBLE_IN_A_ROW):
            answer = self._searcher.ask(1, list(self._log.pending.values()))
            candidate = proposed(answer, self._problem.space, self._log.__contains__)
            if candidate is None:
                return TuneSearcher.FINISHED
            counts = self._problem.cheap(candidate)
            refused = refusal(candidate, counts, self._problem.bounds)
            name = f"turned away {len(self._log.asked)}" if refused else trial_id
            self._log.ask(name, candidate)
            if refused is None:
                self._counts[trial_id] = counts
                return dict(candidate.decisions)
            self._tell(name, refused)
        bounds = ", ".join(map(str, self._problem.bounds))
        raise ConfigError(
            f"{INFEASIBLE_IN_A_ROW} candidates in a row were infeasible by a cheap count: loosen "
            f"what they broke of {bounds}"
        )

    def on_trial_result(self, trial_id: str, result: Mapping[str, Any]) -> None:
        """Take note of how far a trial has come."""
        if self._fidelity(result) is not None:
            self._check_beyond(trial_id, result)
            self._log.see(trial_id, self._measurement(trial_id, result))

    def on_pause(self, trial_id: str) -> None:
        """Do nothing: a trial that `HyperBandForBOHB` pauses is on its way still."""

    def on_unpause(self, trial_id: str) -> None:
        """Do nothing, as for a pause."""

    def on_trial_complete(
        self, trial_id: str, result: Mapping[str, Any] | None = None, error: bool = False
    ) -> None:
        """Tell the searcher what came of a trial."""
        seen = self._log.seen.get(trial_id)
        if seen and not (result or error):  # stopped while it was paused: as `HyperBandScheduler`
            measurement = seen[-1]
        else:
            if result and not error:
                self._check_beyond(trial_id, result)
            measurement = self._measurement(trial_id, {} if error else result or {})
        self._tell(trial_id, measurement)
        self._check_reached()

    def _check_beyond(self, trial_id: str, result: Mapping[str, Any]) -> None:
        """Say once that a trial that had come to the full effort went on."""
        seen = self._log.seen.get(trial_id)
        if self._has_doubts or self._max_t is None or FIDELITY in result or not seen:
            return
        reached = _number(result.get(self._time_attr))
        if seen[-1].fidelity >= FULL and reached > self._max_t:
            self._doubt(f"trials go on beyond it, to {reached:g}, which counts as no more")

    def _check_reached(self) -> None:
        """Say once that trials end where none goes on, before the full effort."""
        told = self._log.told
        if self._has_doubts or self._max_t is None or len(told) % ENOUGH_ENDED:
            return
        ends = [t.measurement.fidelity for _, t in told if t.measurement.complete]
        furthest = max(ends, default=FULL)
        went_on = any(seen[-1].fidelity > furthest for seen in self._log.seen.values())
        if furthest < FULL and ends.count(furthest) >= ENOUGH_ALIKE and not went_on:
            self._doubt(
                f"of {len(ends)} trials none came there, and {ends.count(furthest)} ended at "
                f"{furthest * self._max_t:g}, beyond which none went"
            )

    def _doubt(self, why: str) -> None:
        self._has_doubts = True
        _log.warning(
            "`max_t` of RayTuneSearcher is %g, but %s: give the value of '%s' at which the "
            "scheduler, or the trial itself, makes an end",
            self._max_t,
            why,
            self._time_attr,
        )

    def _tell(self, name: str, measurement: Measurement) -> None:
        self._counts.pop(name, None)
        searcher = self._searcher
        if self._log.tell(name, measurement):
            self._live = None
        else:
            searcher.tell(list(self._log.lessons(len(self._log.told) - 1)))

    def save(self, checkpoint_path: str) -> None:
        """Write what was asked and told, as JSON."""
        write_text_atomically(Path(checkpoint_path), json.dumps(self._log.to_json()))

    def restore(self, checkpoint_path: str) -> None:
        """Go on from what `save` wrote."""
        self._log = TuneLog.from_json(json.loads(Path(checkpoint_path).read_text(encoding="utf-8")))
        self._live = None

    @property
    def _searcher(self) -> Searcher:
        """The searcher, brought to where the log is."""
        if self._live is None:
            self._live = self._make(self._problem)
            if not self._live.sees_fidelities:
                self._live = FullEffortView(self._problem, self._make)
            if self._log.asked:
                self._live.resume(list(self._log.asked.values()))
                self._live.tell(list(self._log.lessons()))
        return self._live

    def _measurement(self, trial_id: str, result: Mapping[str, Any]) -> Measurement:
        """Return what a result of a trial says; an empty one is of a trial that failed."""
        wanted = self._problem.wanted
        known = {**result, **self._counts_of(trial_id)} if result else {}
        values = {name: _number(known[name]) for name in wanted if name in known}
        odd = [name for name in wanted if not isfinite(values.get(name, nan))]
        reason = f"its last result has no finite '{odd[0]}'" if odd else ""
        fidelity = self._fidelity(result) if result else 1.0
        if fidelity is None:
            raise ConfigError(
                f"results have no '{self._time_attr}', which `time_attr` names, above 0: report "
                "it, or name what tells how far a trial is"
            )
        return Measurement(
            key=self._log.asked[trial_id].key,
            values={name: value for name, value in values.items() if name not in odd},
            status=Status.FAILED if odd else Status.COMPLETE,
            reason=reason if result else "the trial failed, or ended without a result",
            fidelity=fidelity,
            seconds=float(result.get("time_total_s", 0.0)),
            worker="ray-tune",
            details={"stopped_early": True} if fidelity < 1.0 else {},
        )

    def _counts_of(self, trial_id: str) -> Mapping[str, float]:
        """Return what costs nothing, computed once for all results of a trial."""
        if trial_id not in self._counts:  # after a search was restored
            self._counts[trial_id] = self._problem.cheap(self._log.asked[trial_id])
        return self._counts[trial_id]

    def _fidelity(self, result: Mapping[str, Any]) -> float | None:
        """Return the share of the full effort that a result comes from; None if it is not said."""
        if FIDELITY in result:
            share = _number(result[FIDELITY])
        elif self._max_t is None:
            return 1.0
        else:
            share = _number(result.get(self._time_attr)) / self._max_t
        return min(1.0, share) if share > 0.0 else None


def candidate_of(config: Mapping[str, Any], space: Space) -> Candidate:
    """Return the candidate that a trial's configuration spells, for use inside the trial.

    Args:
        config: As Tune hands it to a trainable; what is not a decision of the space is ignored.
        space: That of the problem.

    Raises:
        SpaceError: If a decision is missing, or not one of its options.
    """
    return space.canonical({path: _tuples(value) for path, value in config.items()})


def _number(value: Any) -> float:
    """Return what a result reports as a number; NaN if it is none."""
    try:
        return float(value)
    except (TypeError, ValueError):
        return nan


def _tuples(value: Any) -> Value:
    """Undo JSON, which Tune keeps configurations in: its lists were tuples."""
    return tuple(map(_tuples, value)) if isinstance(value, list | tuple) else value
