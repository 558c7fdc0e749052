"""Asking a run: what its measurements say about candidates that were never measured."""

import copy
import hashlib
import pickle
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TypeAlias

import numpy as np
from numpy.typing import ArrayLike, NDArray

from niwaki.core.candidate import Candidate
from niwaki.core.errors import ConfigError, DataError, RunFolderError, SpaceError, StudyError
from niwaki.core.fidelity import FULL
from niwaki.core.jsonable import JSON, fingerprint
from niwaki.core.measurement import Trial
from niwaki.core.objectives import Objective
from niwaki.core.registry import nearest
from niwaki.core.wording import kind_of
from niwaki.predictors.base import Prediction, Predictor
from niwaki.predictors.composed.bounded import Bounded
from niwaki.predictors.composed.calibrated import Calibrated, CalibratedSettings
from niwaki.predictors.composed.vetted import Vetted
from niwaki.predictors.quality import Quality, cross_quality, quality
from niwaki.predictors.rows import share_of_each
from niwaki.predictors.standard import NARROWING, standard_predictor
from niwaki.spaces.base import Space
from niwaki.spaces.features import Features
from niwaki.spaces.many import faults, spelled
from niwaki.study.description import StudyDescription
from niwaki.study.results.run import Run

_Array: TypeAlias = NDArray[np.float64]
Cheap: TypeAlias = Callable[[Candidate], Mapping[str, float]]

FOLDER = "predictor"
LEAST_ROWS, MOST_ROWS = 10, 10_000  # evaluations that a predictor learns from
LEAST_COMPARED = 5  # efforts beside the full one, to tell which values do not depend on them
_SCHEMA = 6
_AT_ONCE = 4096  # candidates whose features are in memory together
_ONE_BY_ONE = "predictions are of a sequence of candidates"
_NO_LIMITS = np.array([[-np.inf], [np.inf]])


def _nothing(candidate: Candidate) -> Mapping[str, float]:  # noqa: ARG001
    return {}


@dataclass(frozen=True)
class RunPredictor:
    """Predicts the values of a run's candidates, measured or not.

    Attributes:
        features: What is known of a candidate of the run's space before it is measured.
        values: What is predicted, m of them, each in the user's own direction and unit.
        quality: By name, how good predictions are of evaluations that were held out. A search looks
            where values are good, so these are better known there than elsewhere in the space.
        n_rows: Evaluations that it was fitted on.
        predictor: From features to those values that are not computed.
        computed: Names of the values that cost nothing to know: exact, and never predicted.
    """

    features: Features
    values: tuple[Objective, ...]
    quality: Mapping[str, Quality]
    n_rows: int
    predictor: Predictor
    computed: tuple[str, ...] = ()

    @property
    def space(self) -> Space:
        """Of the run."""
        return self.features.space

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the m values."""
        return tuple(value.name for value in self.values)

    def predict(self, candidates: Sequence[Candidate]) -> Prediction:
        """Return what is believed of n candidates: (n, m), columns in the order of `names`.

        Raises:
            SpaceError: If a candidate is not of the run's space, with its position from 1 and the
                first decision that is wrong.
        """
        return self.predict_spelled(self.spelled(candidates))

    def predict_spelled(self, candidates: Sequence[Candidate]) -> Prediction:
        """Return what `predict` does, of candidates as `spelled` gives them: not checked again."""
        exact = np.array([name in self.computed for name in self.names])
        counts = [self.features.cheap(candidate) for candidate in candidates]
        counted = _counted(counts, self.names)
        if exact.all():
            return counted
        found = self._learned(candidates, counts)
        if not exact.any():
            return found
        counted.mean[:, ~exact], counted.std[:, ~exact] = found.mean, found.std
        errors = _among(found.errors, ~exact, np.nan)
        limits = _among(found.limits, ~exact, _NO_LIMITS)
        return Prediction(counted.mean, counted.std, errors, exact, limits)

    def _learned(
        self, candidates: Sequence[Candidate], counts: Sequence[Mapping[str, float]]
    ) -> Prediction:
        """Return what the predictor says; features of all at once might fill the memory."""
        starts = range(0, max(1, len(candidates)), _AT_ONCE)
        some = [slice(start, start + _AT_ONCE) for start in starts]
        parts = [
            self.predictor.predict(self.features.encode(candidates[each], counts[each]))
            for each in some
        ]
        mean = np.concatenate([part.mean for part in parts])
        return replace(parts[0], mean=mean, std=np.concatenate([part.std for part in parts]))

    def spelled(
        self, candidates: Sequence[Candidate], *, places: Sequence[str] = ()
    ) -> list[Candidate]:
        """Return candidates as the space spells them, 3 for 3.0, so that their keys are right.

        Args:
            candidates: n of them.
            places: Where each is written, for messages; none for positions from 1.

        Raises:
            SpaceError: If one is not of the run's space, with its place and the first decision that
                is wrong; or if it is no candidate at all.
        """
        if isinstance(candidates, Candidate | Mapping):
            raise SpaceError(f"{_ONE_BY_ONE}, but one alone came: put it into a list")
        candidates = list(candidates)
        for candidate in candidates:
            if not isinstance(candidate, Candidate):
                raise SpaceError(
                    f"{_ONE_BY_ONE}, but {kind_of(candidate)} came: write Candidate.of(decisions)"
                )
        found = spelled(self.space, candidates)
        n = len(found)
        for position, (_, fault) in enumerate(found):
            if fault and (places or n > 1):
                place = places[position] if places else f"candidate {position + 1} of {n}"
                raise SpaceError(f"{place}: {fault}")
            if fault:
                raise SpaceError(fault)
        return [candidate for candidate, _ in found]

    def quality_json(self) -> dict[str, JSON]:
        """Return the quality of each value, and on how many evaluations it was judged."""
        return {name: found.to_json() for name, found in self.quality.items()}


def _among(learned: _Array | None, which: NDArray[np.bool_], rest: ArrayLike) -> _Array | None:
    """Return (k, n_learned) columns in their places among all m; `rest` is in the others."""
    if learned is None:
        return None
    columns = np.empty((len(learned), len(which)))
    columns[:] = rest
    columns[:, which] = learned
    return columns


def _counted(counts: Iterable[Mapping[str, float]], names: Sequence[str]) -> Prediction:
    """Return (n, m) values that cost nothing to know, as exact; NaN where there is none."""
    rows = [[count.get(name, np.nan) for name in names] for count in counts]
    mean = np.array(rows).reshape(len(rows), len(names))
    return Prediction(mean, np.zeros_like(mean), exact=np.ones(len(names), dtype=bool))


def run_predictor(
    run: Run,
    space: Space,
    *,
    names: Sequence[str] = (),
    cheap: Cheap = _nothing,
    predictor: Predictor | None = None,
) -> RunPredictor:
    """Return the predictor of a run: a cached one if nothing was measured since, or a new one.

    Fitting a few hundred evaluations takes seconds; what was learned is kept in the run's folder
    `predictor/`. Of evaluations at a part of the full effort, values are learned from that do not
    depend on effort: those that were the same at full effort of whatever got there. Of more than
    `MOST_ROWS` an even share is learned from, in which values that few have keep theirs: fitting
    takes a second for every few hundred.

    Args:
        run: Finished or not.
        space: Its space.
        names: Values to predict; the objectives and what constraints are on, if empty.
        cheap: What costs nothing to know about a candidate, as `Evaluator.cheap` says: such values
            are computed, however few evaluations there are, and the others learned from them, too.
        predictor: What learns in the place of the standard one, built unfitted: a copy of it is
            fitted, so that one can be given for several runs, and what that learned is not kept.
            Its intervals are calibrated as those of the standard one are.

    Raises:
        ConfigError: If a name is of no value of the run, or `predictor` cannot be copied.
        DataError: If `predictor` gives what is no prediction.
        StudyError: If too few evaluations are complete, or have one of the values, or one is not of
            the space.
    """
    values = _values(run.description, names)
    wanted = [value.name for value in values]
    usable = _usable(run, space, wanted)
    measured = np.isfinite(_table(usable, wanted))
    trials = [usable[row] for row in share_of_each(measured, MOST_ROWS).tolist()]
    _require_of(space, trials)
    counts = [cheap(trial.candidate) for trial in trials]
    computed = tuple(n for n in wanted if counts and all(n in count for count in counts))
    learned = [name for name in wanted if name not in computed]
    y = _table(trials, learned)
    for name, n in zip(wanted, measured.sum(axis=0), strict=True):
        if name in learned and n < LEAST_ROWS:
            which = "" if n == len(usable) else f" that have a value of '{name}'"
            raise StudyError(
                f"a predictor needs {LEAST_ROWS} complete evaluations at full effort{which}, and "
                f"the run has {n}: run the search for longer"
            )
    seed = run.description.seed
    agreement = quality(_counted(counts, computed), _table(trials, computed))
    known = dict(zip(computed, agreement, strict=True))
    limits = _limits(value for value in values if value.name in learned)
    inner = standard_predictor(seed=seed) if predictor is None else _calibrated(predictor, seed)
    learner = Bounded(inner, limits)
    features = Features(space, cheap)
    if learned:
        X = features.encode([trial.candidate for trial in trials], counts)
        path = run.folder.path / FOLDER / f"{fingerprint(learned)}.npz"
        digest = _digest(trials, X, y, limits)
        own = path if predictor is None else None
        known |= zip(learned, _fitted(own, learner, digest, (X, y), seed=seed), strict=True)
    ordered = {name: known[name] for name in wanted}
    return RunPredictor(features, values, ordered, len(trials), learner, computed)


def _calibrated(predictor: Predictor, seed: int) -> Predictor:
    name = type(predictor).__qualname__
    try:
        own = copy.deepcopy(predictor)
    except (TypeError, RuntimeError, pickle.PickleError, copy.Error) as error:
        raise ConfigError(
            f"the predictor '{name}' cannot be copied, and a copy is what is fitted ({error}): "
            "open files, locks and the like in `fit`, or give the name of its class, such as "
            f"'my_file.py:{name}'"
        ) from error
    vetted = Vetted(own, name)
    return Calibrated(vetted, CalibratedSettings(seed=seed, narrowing=NARROWING))


def _values(description: StudyDescription, names: Sequence[str]) -> tuple[Objective, ...]:
    known = {value.name: value for value in (*description.values, *description.objectives)}
    for name in names:
        if name not in known:
            raise ConfigError(
                f"'{name}' is no value of this run{nearest(name, list(known))} "
                f"Known: {', '.join(known)}"
            )
    return tuple(known[name] for name in dict.fromkeys(names or description.wanted))


def _usable(run: Run, space: Space, names: Sequence[str]) -> list[Trial]:
    """Return what says something about full effort, the baseline included if it is of the space.

    That is what was measured at full effort and, of candidates that never were, the values that do
    not depend on effort.
    """
    trials = [*run.history.baseline_of(space), *run.history.trials]
    complete = [trial for trial in trials if trial.measurement.complete]
    full = {t.candidate: t for t in complete if t.measurement.fidelity >= FULL}
    partial = [trial for trial in complete if trial.measurement.fidelity < FULL]
    fixed = [name for name in names if _is_fixed(name, full, partial)]
    if not fixed:
        return list(full.values())
    known = {t.candidate: _with_values(t, fixed) for t in partial if t.candidate not in full}
    return [*full.values(), *known.values()]


def _is_fixed(name: str, full: Mapping[Candidate, Trial], partial: Sequence[Trial]) -> bool:
    """Tell whether a value was the same at any effort, of all candidates that had several."""
    pairs = [
        (trial.measurement.values.get(name), full[trial.candidate].measurement.values.get(name))
        for trial in partial
        if trial.candidate in full
    ]
    return len(pairs) >= LEAST_COMPARED and all(a is not None and a == b for a, b in pairs)


def _with_values(trial: Trial, names: Sequence[str]) -> Trial:
    values = trial.measurement.values
    kept = {name: values[name] for name in names if name in values}
    return replace(trial, measurement=replace(trial.measurement, values=kept))


def _require_of(space: Space, trials: Sequence[Trial]) -> None:
    for trial, fault in zip(trials, faults(space, [t.candidate for t in trials]), strict=True):
        if fault:
            which = f"evaluation {trial.number}" if trial.number >= 0 else "the baseline"
            raise StudyError(
                f"{which} of the run is not of its space any more: {fault}. What describes the "
                "space has changed since, in the run's config.yaml or in your own code: restore it"
            )


def _table(trials: Sequence[Trial], names: Sequence[str]) -> NDArray[np.float64]:
    rows = [[trial.measurement.values.get(name, np.nan) for name in names] for trial in trials]
    return np.array(rows, dtype=np.float64).reshape(len(trials), len(names))


def _limits(values: Iterable[Objective]) -> _Array:
    """Return the (2, m) least and most that values can be."""
    return np.array([(value.least, value.most) for value in values]).reshape(-1, 2).T


def _digest(trials: Sequence[Trial], X: _Array, y: _Array, limits: _Array) -> str:
    """Return the fingerprint of everything that a fit depends on.

    A plug-in may encode the same candidates in another way since.
    """
    rows: list[JSON] = [
        [trial.candidate.key, *map(repr, row)]
        for trial, row in zip(trials, y.tolist(), strict=True)
    ]
    features = hashlib.sha256(np.ascontiguousarray(X).tobytes()).hexdigest()
    about: dict[str, JSON] = {"schema": _SCHEMA, "features": features, "rows": rows}
    return fingerprint({**about, "limits": [*map(repr, limits.ravel().tolist())]})


def _fitted(
    path: Path | None,
    predictor: Predictor,
    digest: str,
    examples: tuple[_Array, _Array],
    *,
    seed: int,
) -> tuple[Quality, ...]:
    """Restore `predictor` from `path`, or fit it and write it there; return its quality.

    Without a path, it is fitted and not written.
    """
    try:
        if path is not None:
            return _qualities(predictor.load(path), digest)
    except DataError:
        pass  # missing, outdated or damaged: it is no more than a copy
    X, y = examples
    quality = cross_quality(predictor, X, y, seed=seed)
    predictor.fit(X, y)
    if path is None:
        return quality
    try:
        path.parent.mkdir(exist_ok=True)
        predictor.save(path, {"digest": digest, "quality": [one.to_json() for one in quality]})
    except (OSError, RunFolderError):
        pass  # a run that may only be read can be asked all the same
    return quality


def _qualities(about: Mapping[str, JSON], digest: str) -> tuple[Quality, ...]:
    rows = about.get("quality")
    if about.get("digest") != digest or not isinstance(rows, list):
        raise DataError("the saved predictor was fitted on other evaluations: fit it again")
    return tuple(map(Quality.from_json, rows))
