"""Outputs that are the same for all items, and that a loss of the user's finds best."""

import math
from collections.abc import Mapping
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
    function: str, start: NDArray[np.float32], targets: NDArray[Any], axis: int | None
) -> NDArray[np.float32]:
    """Return the (k,) constant outputs that a loss of the user's finds best.

    Args:
        function: Of the loss.
        start: (k,) where the search for them begins; it begins at zeros, too.
        targets: (n, ...) of some items.
        axis: Of the outputs, along which classes lie; None for values.

    Raises:
        ConfigError: If the loss is no scalar, or has no gradient.
    """
    truth, shape = torch.from_numpy(targets), constant_shape(targets, axis)
    outputs_of = spread(start, targets, axis)[0].shape
    found: list[tuple[float, NDArray[np.float32]]] = []
    with torch.inference_mode(False), torch.enable_grad():
        for first in (start, np.zeros_like(start)):
            constant = torch.from_numpy(first.copy()).requires_grad_()
            optimiser = torch.optim.LBFGS([constant], max_iter=50, line_search_fn="strong_wolfe")

            def loss(constant: Tensor = constant) -> Tensor:
                constant.grad = None
                value = own_loss(function, constant.view(shape).expand(outputs_of), truth)
                value.backward()  # type: ignore[no-untyped-call]
                return value

            optimiser.step(loss)  # type: ignore[no-untyped-call]
            reached = constant.detach()
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


def _moved(answers: Answers, move: Tensor) -> Tensor:
    """Return the mean answer, (1, ...), moved by (k,) logits of its way from least to most."""
    shape = answers.broadcast
    low, high = (torch.from_numpy(each).view(shape) for each in (answers.low, answers.high))
    span = high - low
    share = (torch.from_numpy(answers.mean) - low) / span.clamp(min=torch.finfo(span.dtype).tiny)
    return low + span * torch.sigmoid(torch.logit(share, eps=_FIT_EDGE) + move.view(shape))
