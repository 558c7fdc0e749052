"""Outputs that are the same for all items, and that a loss of the user's finds best."""

import math
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from niwaki.tasks.answers import Answers
from niwaki.tasks.losses import own_loss
from niwaki.tasks.own import LossSettings, asked_of_constants, constant_shape, spread
from niwaki.tasks.task import Task

_FIT_STEPS = 25  # of answers to custom tasks, of which each may take long
_FIT_EDGE = 1e-3  # of the way between the least and the most, that the first are inside by


def fitted_constant(
    function: str,
    start: NDArray[np.float32],
    targets: NDArray[Any],
    axis: int | None,
    answers: Answers | None = None,
) -> NDArray[np.float32]:
    """Return the (k,) constant outputs that a loss of the user's finds best.

    Args:
        function: Of the loss.
        start: (k,) where the search for them begins; it begins at zeros, too.
        targets: (n, ...) of some items.
        axis: Of the outputs, along which classes lie; None for values.
        answers: Of the model that was given: outputs are looked for within its least and most,
            beyond which the loss may know no answer, such as to probabilities above 1. None looks
            everywhere.

    Raises:
        ConfigError: If the loss is no scalar, or has no gradient.
    """
    truth, shape = torch.from_numpy(targets), constant_shape(targets, axis)
    outputs_of = spread(start, targets, axis)[0].shape
    within = None if answers is None else _ranges(answers, start, axis)
    found: list[tuple[float, NDArray[np.float32]]] = []
    with torch.inference_mode(False), torch.enable_grad(), asked_of_constants():
        for first in (start, np.zeros_like(start)):
            begin = torch.from_numpy(first.copy())
            move = torch.zeros_like(begin).requires_grad_()
            optimiser = torch.optim.LBFGS([move], max_iter=50, line_search_fn="strong_wolfe")

            def outputs(begin: Tensor = begin, move: Tensor = move) -> Tensor:
                return begin + move if within is None else _moved_within(*within, begin, move)

            def loss(move: Tensor = move, outputs: Callable[[], Tensor] = outputs) -> Tensor:
                move.grad = None
                value = own_loss(function, outputs().view(shape).expand(outputs_of), truth)
                value.backward()  # type: ignore[no-untyped-call]
                return value

            optimiser.step(loss)  # type: ignore[no-untyped-call]
            reached = outputs().detach()
            value = own_loss(function, reached.view(shape).expand(outputs_of), truth)
            found.append((float(value.detach()), reached.numpy()))
    finite = [(v, c) for v, c in found if math.isfinite(v) and np.isfinite(c).all()]
    return min(finite, key=lambda each: each[0], default=(0.0, start))[1]


def fitted_answers(
    task: Task, answers: Mapping[str, Answers], targets: NDArray[Any]
) -> dict[str, NDArray[np.float32]]:
    """Return one answer to every item, by output, which a custom task's loss finds best.

    It is the mean of what the model answers, each channel of it moved between the least and the
    most that the model has answered: beyond, functions of the user's may know no answer, such as to
    probabilities above 1.

    Args:
        task: Custom, with a loss of the user's.
        answers: Of the outputs that it reads.
        targets: (n, ...) of some items.

    Raises:
        ConfigError: If the loss is no scalar, or has no gradient.
    """
    assert isinstance(task.loss, LossSettings)
    function, truth = task.loss.function, torch.from_numpy(targets)
    found, best = {name: each.mean for name, each in answers.items()}, math.inf
    outputs = {n: torch.from_numpy(a.constant(found[n], len(targets))) for n, a in answers.items()}
    with torch.inference_mode(False), torch.enable_grad():
        moves = {n: torch.zeros(a.low.shape) for n, a in answers.items() if a.teaches}
        for move in moves.values():
            move.requires_grad_()
        optimiser = torch.optim.LBFGS(
            list(moves.values()), max_iter=_FIT_STEPS, line_search_fn="strong_wolfe"
        )

        def loss() -> Tensor:
            nonlocal best
            optimiser.zero_grad()
            moved = {name: _moved(answers[name], move) for name, move in moves.items()}
            wide = {n: each.expand(outputs[n].shape) for n, each in moved.items()}
            value = own_loss(function, task.answer(outputs | wide), truth)
            value.backward()  # type: ignore[no-untyped-call]
            if float(value.detach()) < best:
                best = float(value.detach())
                found.update({n: each.detach()[0].numpy().copy() for n, each in moved.items()})
            return value

        with asked_of_constants():
            optimiser.step(loss)  # type: ignore[no-untyped-call]
    return found


def _ranges(
    answers: Answers, start: NDArray[np.float32], axis: int | None
) -> tuple[Tensor, Tensor]:
    """Return the (k,) least and most of each output; of all, where channels lie elsewhere."""
    along = 1 if axis is None else axis % (1 + answers.mean.ndim)
    low, high = answers.low, answers.high
    if along != answers.axis or low.shape != start.shape:
        low, high = np.full_like(start, low.min()), np.full_like(start, high.max())
    return torch.from_numpy(low), torch.from_numpy(high)


def _moved(answers: Answers, move: Tensor) -> Tensor:
    """Return the mean answer, (1, ...), moved by (k,) logits of its way from least to most."""
    shape = answers.broadcast
    low, high = (torch.from_numpy(each).view(shape) for each in (answers.low, answers.high))
    return _moved_within(low, high, torch.from_numpy(answers.mean), move.view(shape))


def _moved_within(low: Tensor, high: Tensor, begin: Tensor, move: Tensor) -> Tensor:
    """Return values moved by logits of their way from the least to the most."""
    span = high - low
    share = (begin - low) / span.clamp(min=torch.finfo(span.dtype).tiny)
    return low + span * torch.sigmoid(torch.logit(share, eps=_FIT_EDGE) + move)
