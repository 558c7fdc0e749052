"""BoTorch's noisy expected hypervolume improvement as a searcher."""

import importlib
import warnings
from dataclasses import dataclass
from math import ceil
from types import ModuleType
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from niwaki.core.candidate import Candidate
from niwaki.core.errors import ConfigError
from niwaki.core.limits import require_at_least
from niwaki.core.pareto import non_dominated
from niwaki.core.randomness import derived_seed
from niwaki.search.base import Problem
from niwaki.search.surrogate.catalogue import grow
from niwaki.search.surrogate.history import History, signs_of
from niwaki.search.surrogate.model_based import ModelBased
from niwaki.search.surrogate.pool import Pool

if TYPE_CHECKING:
    from niwaki.search.botorch_model import Lessons

GROWTH = 1.15  # of the number of trials, from one fit of hyper-parameters to the next
MOST_TRIALS = 300  # that a model is conditioned on
MOST_PARENTS = 64


@dataclass(frozen=True)
class BotorchSettings:
    """Settings of `BotorchSearcher`.

    Attributes:
        n_initial: How many candidates are drawn at random before a model is fitted.
        pool_size: About how many candidates the acquisition function is computed for, per ask.
        n_samples: Of the model's joint posterior; 0 takes fewer the more objectives there are,
            because each sample's dominated space is cut into boxes.

    Raises:
        ConfigError: On a number out of its range.
    """

    n_initial: int = 16
    pool_size: int = 500
    n_samples: int = 0

    def __post_init__(self) -> None:
        require_at_least(self, {"n_initial": 2, "pool_size": 10, "n_samples": 0})


class BotorchSearcher(ModelBased):
    """Asks for the candidate with the largest qLogNEHVI, or qLogNEI for one objective.

    One Gaussian process per value: Matern 5/2 over the features of the space, which are ones and
    zeros for options, with a length for each and a prior that suits many dimensions; values are
    warped by the transform that makes them most normal. Pending candidates are taken into account,
    bounds are outcome constraints, and the candidates that are compared are bred by the space's own
    operators. Hyper-parameters are fitted when there are 15% more trials. All values are predicted,
    those that a cheap count gives too; but what a cheap count turns away is never asked for while
    there is anything else. Failed trials teach nothing, and penalties are taken for failures.

    Needs the extra `botorch`.

    Raises:
        ConfigError: If BoTorch is not installed.

    References:
        Daulton, Balandat and Bakshy, NeurIPS 2021, "Parallel Bayesian optimization of multiple
        noisy objectives with expected hypervolume improvement"; Ament, Daulton, Eriksson, Balandat
        and Bakshy, NeurIPS 2023, "Unexpected improvements to expected improvement for Bayesian
        optimization"; Hvarfner, Hellsten and Nardi, ICML 2024, "Vanilla Bayesian optimization
        performs great in high dimensions", for the prior of lengths.
    """

    def __init__(self, problem: Problem, settings: BotorchSettings | None = None) -> None:
        self._model = _model()
        super().__init__(problem)
        self._settings = settings or BotorchSettings()
        self._lessons: tuple[int, Lessons | None] = (0, None)  # from how many trials

    def _propose(self, rng: np.random.Generator) -> Candidate:
        history = _lesson_of(self._history)
        lessons = self._latest_lessons(history)
        if len(self._asked) < self._settings.n_initial or lessons is None:
            return self._problem.space.sample(rng)
        waiting = self._catalogue.pool(list(self._pending.values()))
        acquisition = self._model.acquisition(
            lessons,
            history,
            waiting.features,
            n_samples=self._settings.n_samples,
            seed=derived_seed(self._problem.seed, "acquisition", len(self._asked)),
        )
        scores: dict[str, float] = {name: -np.inf for name in {*self._told, *self._pending}}

        def score(pool: Pool) -> NDArray[np.float64]:
            new = pool.without(set(scores))
            allowed = np.flatnonzero(self._catalogue.violations(new) == 0.0)
            found = np.full(len(new), -np.inf)
            found[allowed] = acquisition(new.features[allowed])
            scores.update(zip(new.identities, found.tolist(), strict=True))
            return np.array([scores[name] for name in pool.identities])

        size = self._settings.pool_size
        pool = grow(self._catalogue, self._parents(rng), rng, size=size, score=score)
        return pool.candidates[int(np.argmax(score(pool)))]

    def _parents(self, rng: np.random.Generator) -> list[Candidate]:
        """Return candidates of the measured front, in random order."""
        candidates, costs = self._history.feasible()
        front = np.flatnonzero(non_dominated(costs))
        return [candidates[i] for i in rng.permutation(front)[:MOST_PARENTS]]

    def _latest_lessons(self, history: History) -> "Lessons | None":
        """Return what was learned when it was last due: a function of the first trials alone."""
        due = _last_due(len(self._history))
        if self._lessons[0] != due:
            self._lessons = (due, self._learned(due))
        lessons = self._lessons[1]
        if lessons is None or lessons.covers(history):
            return lessons
        return self._learned(len(self._history))

    def _learned(self, n_trials: int) -> "Lessons | None":
        history = _lesson_of(self._history.first(n_trials))
        seed = derived_seed(self._problem.seed, "lessons", n_trials)
        lessons: Lessons | None = self._model.learned(history, seed=seed)
        return lessons


def require_botorch(settings: BotorchSettings) -> None:  # noqa: ARG001
    """Raise if BoTorch cannot be imported: better known before a network is trained for hours.

    Raises:
        ConfigError: With what to install.
    """
    _model()


def _model() -> ModuleType:
    """Import what needs BoTorch, which takes seconds.

    Raises:
        ConfigError: If it is not installed.
    """
    try:
        with warnings.catch_warnings():
            # linear_operator compiles functions in a way that torch would have it leave behind.
            warnings.filterwarnings("ignore", r".*torch\.jit", DeprecationWarning)
            return importlib.import_module("niwaki.search.botorch_model")
    except ImportError as error:
        raise ConfigError(
            f"the searcher 'botorch' cannot be imported: {error}. Install the extra: "
            "pip install 'niwaki[botorch]'"
        ) from error


def _lesson_of(history: History) -> History:
    """Return what a model is conditioned on."""
    condensed = history.condensed(MOST_TRIALS)
    return condensed.without_penalties(signs_of(history.problem))


def _last_due(n_trials: int) -> int:
    """Return the largest number, up to `n_trials`, at which hyper-parameters are fitted."""
    due = 0
    while (following := max(due + 1, ceil(due * GROWTH))) <= n_trials:
        due = following
    return due
