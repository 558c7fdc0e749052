"""Fine-tuning by a function of the user's own, with the data and the recipe that it knows."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, ExitStack, contextmanager
from functools import lru_cache
from typing import Any, TypeAlias

import torch
from torch import nn

from niwaki.compress.pruning.copying import copied
from niwaki.core.blame import raised_by
from niwaki.core.calls import misfit
from niwaki.core.errors import ConfigError
from niwaki.core.registry import import_object, named_by
from niwaki.core.wording import kind_of
from niwaki.evaluation.compression.given_model.plain_calls import called_as_written
from niwaki.evaluation.devices import drawing, repeatable

TrainingFunction: TypeAlias = Callable[[nn.Module, float, nn.Module], nn.Module | None]


@lru_cache(maxsize=8)
def training_function(path: str) -> TrainingFunction:
    """Return a function that trains a network.

    Raises:
        ConfigError: If it is not found, or cannot be called with three arguments.
    """
    with named_by("tuning.function"):
        found = import_object(path)
    if fault := misfit(found, ("network", "epochs", "original")):
        raise ConfigError(
            f"'tuning.function': '{path}' {fault}. Let it take three: the network to be trained, "
            "the number of epochs, and the original model"
        )
    function: TrainingFunction = found
    return function


@repeatable()
def trained_by(
    path: str,
    network: nn.Module,
    original: nn.Module,
    *,
    epochs: float,
    seed: int,
    computing: Callable[[], AbstractContextManager[None]],
) -> Mapping[str, Any]:
    """Return the state of a network after a user's training, of a copy of it.

    The function gets copies that are called as the user's own model is, on the device of the
    network: the one to be trained in training mode, the original in evaluation mode.

    Args:
        path: Of the function: see `training_function`.
        network: That `plainly_called` returned, or cut from such.
        original: That it was cut from.
        epochs: What the function is asked for; may be a fraction.
        seed: Of what it draws from the global generators.
        computing: Entered around the function, and anew before each call of the network.

    Raises:
        ConfigError: If it returns something else than a network, or leaves other layers.
    """
    theirs, teacher = (called_as_written(copied(each)) for each in (network, original))
    device = next(network.parameters()).device
    with (
        raised_by(f"the fine-tuning function '{path}'"),
        drawing(seed, device),
        _letting_others_measure(theirs, computing),
    ):
        found = training_function(path)(theirs.train(), epochs, teacher.eval())
    trained = theirs if found is None else found
    if not isinstance(trained, nn.Module):
        raise ConfigError(
            f"the fine-tuning function '{path}' returned {kind_of(found)}: train the network in "
            "place and return nothing, or return the network with its trained weights"
        )
    state = trained.state_dict()
    if fault := _misfit(state, network.state_dict()):
        raise ConfigError(
            f"the fine-tuning function '{path}' left another network: {fault}. Its layers are to "
            "stay as they are: return the network itself; of an average of its weights, or of what "
            "computes on several devices, the `module` inside"
        )
    return state


@contextmanager
def _letting_others_measure(
    network: nn.Module, computing: Callable[[], AbstractContextManager[None]]
) -> Iterator[None]:
    """Compute inside the block, and let those who wait come in before each call of a network."""
    with ExitStack() as held:
        held.enter_context(computing())

        def let_in(*_: object) -> None:
            held.close()
            held.enter_context(computing())

        handle = network.register_forward_pre_hook(let_in)
        try:
            yield
        finally:
            handle.remove()


def _misfit(state: Mapping[str, Any], wanted: Mapping[str, Any]) -> str:
    """Return how a state differs from what a network takes; empty if it does not."""
    if missing := [name for name in wanted if name not in state]:
        return f"it has no '{missing[0]}'"
    if more := [name for name in state if name not in wanted]:
        return f"it has '{more[0]}' besides"
    for name, value in wanted.items():
        if not isinstance(value, torch.Tensor):
            continue
        had, has = ((tuple(each.shape), each.dtype) for each in (value, state[name]))
        if had != has:
            return f"'{name}' was {had[0]} of {had[1]}, and is {has[0]} of {has[1]}"
    return ""
