"""Gaussian processes of BoTorch for the values of a problem, and what they expect to gain."""

import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
import torch
from botorch import fit_gpytorch_mll
from botorch.acquisition.logei import qLogNoisyExpectedImprovement
from botorch.acquisition.multi_objective import logei
from botorch.acquisition.multi_objective.logei import qLogNoisyExpectedHypervolumeImprovement
from botorch.acquisition.multi_objective.objective import GenericMCMultiOutputObjective
from botorch.acquisition.multi_objective.utils import get_default_partitioning_alpha
from botorch.acquisition.objective import GenericMCObjective
from botorch.exceptions.warnings import BotorchWarning
from botorch.models.gp_regression import SingleTaskGP
from botorch.models.model_list_gp_regression import ModelListGP
from botorch.models.utils.gpytorch_modules import get_covar_module_with_dim_scaled_prior
from botorch.sampling.normal import SobolQMCNormalSampler
from gpytorch.mlls import ExactMarginalLogLikelihood
from linear_operator.utils.warnings import NumericalWarning
from numpy.typing import NDArray
from torch import Tensor
from torch.utils import cpp_extension

from niwaki.core.pareto import non_dominated, scale_of
from niwaki.search.surrogate.history import History, signs_of
from niwaki.search.surrogate.warps import LogAbove, LogBelow, Straight, Warp

Array: TypeAlias = NDArray[np.float64]
Gain: TypeAlias = Callable[[Tensor, Tensor | None], Tensor]

N_STEPS = 75  # of a fit: after these, it hardly improves
N_SAMPLES: Mapping[int, int] = {1: 128, 2: 128, 3: 32, 4: 16}  # by number of objectives
FEW_SAMPLES = 8
AT_ONCE = 128  # candidates that are scored together
_KERNEL = "logei_fused_ext"  # BoTorch compiles it at the first acquisition of all
MARGIN = 0.1  # of the span, from the front's worst corner to the reference point
LEAST_KNOWN = 3  # values, without which nothing is learned


@dataclass(frozen=True)
class Lesson:
    """What was learned about one value.

    Attributes:
        warp: Under which the signed value looks most normal.
        centre: Mean of the warped values that it was learned from.
        spread: Their standard deviation.
        parameters: Of the Gaussian process, which predicts (warped - centre) / spread.
    """

    warp: Warp
    centre: float
    spread: float
    parameters: Mapping[str, Tensor]

    def scaled(self, values: Array) -> Array:
        """Return (n,) values as the process sees them; not finite where the warp has no room."""
        with np.errstate(invalid="ignore", divide="ignore"):
            return np.asarray((self.warp.warped(values) - self.centre) / self.spread)

    def unscaled(self, scaled: Tensor) -> Tensor:
        """Undo `scaled`."""
        warped = scaled * self.spread + self.centre
        match self.warp:
            case LogAbove(origin=origin):
                return origin + warped.exp()
            case LogBelow():
                return -(-warped).exp()
        return warped


@dataclass(frozen=True)
class Lessons:
    """What was learned about every value that matters.

    Attributes:
        by_name: Lessons.
        scale: (d,) by which features are divided.
    """

    by_name: Mapping[str, Lesson]
    scale: Array

    def covers(self, history: History) -> bool:
        """Whether every value of a history is one that the warps have room for."""
        return all(
            np.isfinite(lesson.scaled(history.known(name)[1])).all()
            for name, lesson in self.by_name.items()
        )


def learned(history: History, *, seed: int) -> Lessons | None:
    """Learn hyper-parameters; None if there is too little to learn from.

    Args:
        history: Finished trials.
        seed: Of what is tried when a fit fails.
    """
    names = list(signs_of(history.problem))
    known = {name: history.known(name) for name in names}
    if any(len(values) < LEAST_KNOWN for _, values in known.values()):
        return None
    scale = np.abs(np.array(history.features)).max(axis=0)
    scale = np.where(scale > 0.0, scale, 1.0)
    with _on_its_own(seed):
        lessons = {name: _lesson(X / scale, values) for name, (X, values) in known.items()}
    return Lessons(lessons, scale)


def _lesson(X: Array, values: Array) -> Lesson:
    warp = most_normal(values)
    warped = warp.warped(values)
    spread = float(warped.std()) or 1.0
    lesson = Lesson(warp, float(warped.mean()), spread, {})
    process = _process(X, lesson.scaled(values))
    fit_gpytorch_mll(
        ExactMarginalLogLikelihood(process.likelihood, process),
        optimizer_kwargs={"options": {"maxiter": N_STEPS}},
    )
    return Lesson(warp, lesson.centre, spread, process.state_dict())


def most_normal(values: Array) -> Warp:
    """Return the transform that makes (n,) values most likely to be normal draws.

    References:
        Box and Cox, Journal of the Royal Statistical Society B 1964, "An analysis of
        transformations", eq. 8.
    """

    def evidence(warp: Warp) -> float:
        variance = float(warp.warped(values).var())
        if variance <= 0.0:
            return -np.inf
        return float(warp.log_slope(values).sum()) - 0.5 * len(values) * float(np.log(variance))

    allowed: list[Warp] = [Straight()]
    if values.min() > 0.0:
        allowed.append(LogAbove())
    if values.max() < 0.0:
        allowed.append(LogBelow())
    return max(allowed, key=evidence)


def _process(X: Array, y: Array) -> SingleTaskGP:
    """Return a Gaussian process of (n,) values over (n, d) features, not fitted."""
    covariance = get_covar_module_with_dim_scaled_prior(
        ard_num_dims=X.shape[1], use_rbf_kernel=False
    )
    return SingleTaskGP(
        torch.from_numpy(X),
        torch.from_numpy(y)[:, None],
        covar_module=covariance,
        outcome_transform=None,
    )


def acquisition(
    lessons: Lessons, history: History, waiting: Array, *, n_samples: int, seed: int
) -> Callable[[Array], Array]:
    """Return the function that scores (n, d) features: (n,) logarithms of an expected gain.

    Args:
        lessons: Cover the history.
        history: Finished trials.
        waiting: (k, d) features of pending candidates.
        n_samples: Of the posterior; 0 decides by the number of objectives.
        seed: Of the samples.
    """
    with _on_its_own(seed):
        function = _acquisition(lessons, history, waiting, n_samples=n_samples, seed=seed)

    def score(features: Array) -> Array:
        if not len(features):
            return np.empty(0)  # BoTorch cannot reshape what is not there
        points = torch.from_numpy(features / lessons.scale)[:, None, :]
        with _on_its_own(seed), torch.no_grad():
            scores = [function(part) for part in torch.split(points, AT_ONCE)]
        return np.asarray(torch.cat(scores).numpy())

    return score


def _acquisition(
    lessons: Lessons, history: History, waiting: Array, *, n_samples: int, seed: int
) -> Callable[[Tensor], Tensor]:
    problem = history.problem
    n_objectives = len(problem.objectives)
    n_samples = n_samples or N_SAMPLES.get(n_objectives, FEW_SAMPLES)
    measured = np.flatnonzero(np.isfinite(np.array(history.costs)).all(axis=1))
    baseline = torch.from_numpy(np.array(history.features)[measured] / lessons.scale)
    shared: dict[str, Any] = {
        "model": _conditioned(lessons, history),
        "X_baseline": baseline,
        "sampler": SobolQMCNormalSampler(torch.Size([n_samples]), seed=seed),
        "constraints": _constraints(lessons, history) or None,
        "X_pending": torch.from_numpy(waiting / lessons.scale) if len(waiting) else None,
        "prune_baseline": True,
    }
    gain, worst = _gains(lessons, history)
    if n_objectives == 1:
        return qLogNoisyExpectedImprovement(objective=GenericMCObjective(gain), **shared)
    _spared_of_waiting()
    return qLogNoisyExpectedHypervolumeImprovement(
        objective=GenericMCMultiOutputObjective(gain),
        ref_point=(-worst).tolist(),
        alpha=get_default_partitioning_alpha(n_objectives),
        **shared,
    )


def _conditioned(lessons: Lessons, history: History) -> ModelListGP:
    """Return the processes, conditioned on all that is known."""
    processes = []
    for name, lesson in lessons.by_name.items():
        X, values = history.known(name)
        process = _process(X / lessons.scale, lesson.scaled(values))
        process.load_state_dict(lesson.parameters)
        processes.append(process.eval())
    return ModelListGP(*processes)


def _gains(lessons: Lessons, history: History) -> tuple[Gain, Array]:
    """Return what maps samples to gains, scaled to the front's range, and the reference point.

    Gains are to be maximised: minus costs. Of one objective they have no axis for objectives.
    """
    names = list(lessons.by_name)
    columns = [names.index(objective.name) for objective in history.problem.objectives]
    by_column = [lessons.by_name[names[column]] for column in columns]
    _, costs = history.feasible()
    if not len(costs):
        costs = np.array(history.costs)
        costs = costs[np.isfinite(costs).all(axis=1)]
    front = costs[non_dominated(costs)]
    low, width = front.min(axis=0), np.ptp(front, axis=0)
    span = scale_of(front, costs)  # BoTorch takes gains below a millionth for nothing

    def gain(samples: Tensor, X: Tensor | None = None) -> Tensor:  # noqa: ARG001 - as BoTorch calls it
        unscaled = [
            (low[i] - lesson.unscaled(samples[..., column])) / span[i]
            for i, (column, lesson) in enumerate(zip(columns, by_column, strict=True))
        ]
        return unscaled[0] if len(unscaled) == 1 else torch.stack(unscaled, dim=-1)

    return gain, width / span + MARGIN


def _constraints(lessons: Lessons, history: History) -> list[Callable[[Tensor], Tensor]]:
    """Return a function for each bound: below 0 where samples keep it."""
    names = list(lessons.by_name)
    found: list[Callable[[Tensor], Tensor]] = []
    for bound in history.problem.bounds:
        column, lesson = names.index(bound.name), lessons.by_name[bound.name]
        sign = bound.sign * signs_of(history.problem)[bound.name]
        limit = bound.sign * bound.limit

        def slack(
            samples: Tensor,
            column: int = column,
            lesson: Lesson = lesson,
            sign: float = sign,
            limit: float = limit,
            scale: float = abs(bound.limit) or 1.0,
        ) -> Tensor:
            return (sign * lesson.unscaled(samples[..., column]) - limit) / scale

        found.append(slack)
    return found


def _spared_of_waiting() -> None:
    """Let BoTorch do without its compiled kernel while somebody compiles it, or died doing so.

    Torch would wait for that without an end. Only times differ without the kernel.
    """
    folder = cpp_extension._get_build_directory(_KERNEL, verbose=False)
    if (Path(folder) / "lock").exists():
        logei._load_attempted = True


@contextmanager
def _on_its_own(seed: int) -> Iterator[None]:
    """Draw from a random state of our own, and keep warnings of numerics off the console.

    Features are not scaled to a unit cube, a fit stops after some steps, and covariances need a
    little added to their diagonals: all of that is meant. Without a compiler, or ninja on the path,
    BoTorch does without its compiled kernel: only times differ.
    """
    with torch.random.fork_rng(devices=[]), warnings.catch_warnings():
        warnings.simplefilter("ignore", BotorchWarning)
        warnings.simplefilter("ignore", NumericalWarning)
        warnings.filterwarnings("ignore", "Failed to compile fused", UserWarning)
        torch.default_generator.manual_seed(seed)  # `torch.manual_seed` is for GPUs, too
        yield
