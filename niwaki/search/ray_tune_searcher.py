"""Any searcher of niwaki as the search algorithm of Ray Tune."""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from math import isfinite, nan
from pathlib import Path
from typing import Any, TypeAlias, cast

from ray.tune.search import Searcher as TuneSearcher

from niwaki.core.candidate import Candidate, Value
from niwaki.core.errors import ConfigError
from niwaki.core.files import write_text_atomically
from niwaki.core.jsonable import JSON
from niwaki.core.measurement import Measurement, Status, Trial
from niwaki.core.objectives import Direction
from niwaki.search.base import Problem, Searcher
from niwaki.spaces.base import Space

MakeSearcher: TypeAlias = Callable[[Problem], Searcher]

FIDELITY = "fidelity"  # of results that say it themselves, in (0, 1]
MODES = {Direction.MAXIMIZE: "max", Direction.MINIMIZE: "min"}


class RayTuneSearcher(TuneSearcher):
    """Lets `ray.tune.Tuner` ask and tell a searcher, for any number of objectives.

    The configuration of a trial is the candidate's decisions by path, beside whatever constants
    `param_space` holds; `candidate_of` turns it back. A trial reports the problem's objectives, and
    what its bounds name, under these names. It is told once, with its last result: as failed if it
    failed, or never reported them; and with a fidelity below 1 if a scheduler of Tune stopped it
    early, or it ended early by itself.

    What was asked and told is all there is to save: a restored search replays it. So the factory
    and the problem must be picklable, and `Tuner.restore` goes on where the search was.

    Args:
        make_searcher: Builds a searcher for the problem, such as the class `NSGA2`.
        problem: What is searched, and what for.
        time_attr: Name of what a result reports of its progress, as Tune's schedulers call it.
        max_t: Its value at full effort, as Tune's schedulers call it; None if every trial makes
            the full effort. A result that has a value `fidelity` says it by that.

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
        self._log = _Log()
        self._live: Searcher | None = None

    def __getstate__(self) -> dict[str, object]:
        """Travel as what was asked and told, from which a searcher is made anew."""
        return {**self.__dict__, "_live": None}

    def suggest(self, trial_id: str) -> Any:
        """Return the decisions of a new candidate; `FINISHED` if the space has no more."""
        proposed = self._searcher.ask(1, list(self._log.pending.values()))
        if not proposed:
            return TuneSearcher.FINISHED
        self._log.ask(trial_id, proposed[0])
        return dict(proposed[0].decisions)

    def on_trial_complete(
        self, trial_id: str, result: Mapping[str, Any] | None = None, error: bool = False
    ) -> None:
        """Tell the searcher what came of a trial."""
        measurement = self._measurement(self._log.asked[trial_id], {} if error else result or {})
        searcher = self._searcher
        searcher.tell([self._log.tell(trial_id, measurement)])

    def save(self, checkpoint_path: str) -> None:
        """Write what was asked and told, as JSON."""
        write_text_atomically(Path(checkpoint_path), json.dumps(self._log.to_json()))

    def restore(self, checkpoint_path: str) -> None:
        """Go on from what `save` wrote."""
        self._log = _Log.from_json(json.loads(Path(checkpoint_path).read_text()))
        self._live = None

    @property
    def _searcher(self) -> Searcher:
        """The searcher, brought to where the log is."""
        if self._live is None:
            self._live = self._make(self._problem)
            if self._log.asked:
                self._live.resume(list(self._log.asked.values()))
                self._live.tell([trial for _, trial in self._log.told])
        return self._live

    def _measurement(self, candidate: Candidate, result: Mapping[str, Any]) -> Measurement:
        """Return what the last result of a trial says; an empty one is of a trial that failed."""
        wanted = [o.name for o in self._problem.objectives] + [b.name for b in self._problem.bounds]
        values = {name: float(result[name]) for name in wanted if name in result}
        odd = [name for name in wanted if not isfinite(values.get(name, nan))]
        reason = f"its last result has no finite '{odd[0]}'" if odd else ""
        fidelity = self._fidelity(result) if result else 1.0
        return Measurement(
            key=candidate.key,
            values={name: value for name, value in values.items() if name not in odd},
            status=Status.FAILED if odd else Status.COMPLETE,
            reason=reason if result else "the trial failed, or ended without a result",
            fidelity=fidelity,
            seconds=float(result.get("time_total_s", 0.0)),
            worker="ray-tune",
            details={"stopped_early": True} if fidelity < 1.0 else {},
        )

    def _fidelity(self, result: Mapping[str, Any]) -> float:
        """Return the share of the full effort that a result comes from."""
        if FIDELITY in result:
            return float(result[FIDELITY])
        if self._max_t is None:
            return 1.0
        if self._time_attr not in result:
            raise ConfigError(
                f"results have no '{self._time_attr}', which `time_attr` names: report it, or name "
                "what tells how far a trial is"
            )
        return min(1.0, float(result[self._time_attr]) / self._max_t)


def candidate_of(config: Mapping[str, Any], space: Space) -> Candidate:
    """Return the candidate that a trial's configuration spells, for use inside the trial.

    Args:
        config: As Tune hands it to a trainable; what is not a decision of the space is ignored.
        space: That of the problem.

    Raises:
        SpaceError: If a decision is missing, or not one of its options.
    """
    return space.canonical({path: _tuples(value) for path, value in config.items()})


def _tuples(value: Any) -> Value:
    """Undo JSON, which Tune keeps configurations in: its lists were tuples."""
    return tuple(map(_tuples, value)) if isinstance(value, list | tuple) else value


@dataclass
class _Log:
    """What was asked and told, by Tune's names of the trials.

    Attributes:
        asked: Candidates, in order of asking.
        told: Names and trials, in order of telling.
        pending: What was asked and not told.
    """

    asked: dict[str, Candidate] = field(default_factory=dict)
    told: list[tuple[str, Trial]] = field(default_factory=list)
    pending: dict[str, Candidate] = field(default_factory=dict)
    _numbers: dict[str, int] = field(default_factory=dict)

    def ask(self, name: str, candidate: Candidate) -> None:
        """Take note of a candidate that was asked for."""
        self._numbers[name] = len(self.asked)
        self.asked[name] = self.pending[name] = candidate

    def tell(self, name: str, measurement: Measurement) -> Trial:
        """Take note of a measurement; a trial that Tune runs again is told again."""
        trial = Trial(self._numbers[name], self.asked[name], measurement)
        self.told.append((name, trial))
        self.pending.pop(name, None)
        return trial

    def to_json(self) -> dict[str, JSON]:
        """Return everything, as a JSON object."""
        return {
            "asked": [[name, candidate.to_json()] for name, candidate in self.asked.items()],
            "told": [[name, trial.measurement.to_json()] for name, trial in self.told],
        }

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> "_Log":
        """Read what `to_json` wrote."""
        log = cls()
        for name, candidate in data["asked"]:
            log.ask(name, Candidate.from_json(candidate))
        for name, measurement in data["told"]:
            log.tell(name, Measurement.from_json(measurement))
        return log
