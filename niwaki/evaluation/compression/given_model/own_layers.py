"""Whether copies of a model answer as it does, by layers of their own."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode
from torch.utils._pytree import tree_leaves

from niwaki.compress.pruning.model_calls import (
    Inputs,
    call_model,
    in_evaluation,
    mapped,
    repeatable,
)
from niwaki.core.errors import ConfigError
from niwaki.evaluation.compression.given_model.faithful import clearly_other, other_output
from niwaki.evaluation.compression.given_model.plain_calls import (
    kept,
    kept_outputs,
    named_arrays,
    plain,
    takes_integers,
)
from niwaki.evaluation.compression.given_model.several_inputs import as_given, by_name, inputs_of

_WHY = (
    "what copying leaves as it is, such as a hook or another function that is no method, knows the "
    "original by itself. Write it as a method of a class; what torch.compile made of one, give as "
    "it was before"
)


def require_own_layers(own: nn.Module, original: nn.Module, inputs: Tensor) -> None:
    """Check that a copy of a model answers as the original does, and without what that holds.

    Functions are not copied: what knows a layer by itself, as `lambda x: layer(x)` does, knows
    that of the original, whatever is done to copies, and what keeps features keeps them there.

    Args:
        own: The copy, called plainly, in evaluation mode; left as it is.
        original: That it was copied from, in any mode. It is run, and left as it is but for what
            lies deeper than in attributes of modules and lists and mappings among these.
        inputs: (n, ...) float32, of several side by side; one is taken as integers, too, if the
            original fails on it.

    Raises:
        ConfigError: If it does not.
    """
    numbers = inputs.flip(0)  # others than those that were seen last
    ways: list[Inputs] = [numbers, numbers.long()]
    if takes_integers(own):
        ways = ways[1:]
    elif inputs_of(own) is not None:
        ways = [as_given(own, numbers)]
    with _in_evaluation(original):
        outputs = kept_outputs(own)
        answered = ((given, _answers(original, given, outputs)) for given in ways)
        given, wanted = next((pair for pair in answered if pair[1] is not None), (ways[0], None))
    if inputs_of(own) is not None:
        given = by_name(own, numbers)
    with _Watch(original) as watch:
        found = _answers(own, given)
    if wanted is not None and (other := _other(wanted, found, own, given)):
        raise ConfigError(f"a copy of the model {other} as the model itself does: {_WHY}")
    if watch.met and found is not None and _depends(own, watch.met, given, found):
        raise ConfigError(
            f"a copy of the model computes with '{next(iter(watch.met))}' of the original, which "
            f"would stay as it is whatever is pruned or quantized: {_WHY}"
        )


class _Watch(TorchFunctionMode):
    """Takes note of a model's parameters and buffers that operations are called with, by name."""

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        tensors = (*model.named_parameters(), *model.named_buffers())
        self._names = {id(tensor): name for name, tensor in tensors}
        self.met: dict[str, Tensor] = {}

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        for each in tree_leaves((args, kwargs)):
            if id(each) in self._names:
                self.met[self._names[id(each)]] = each
        return func(*args, **(kwargs or {}))


def _answers(
    model: nn.Module, inputs: Inputs, outputs: Sequence[str] = ()
) -> dict[str, NDArray[Any]] | None:
    """Return what a model answers, each flat, of some outputs or all; None if it fails."""
    try:
        with torch.no_grad(), repeatable(model):
            answer = plain(call_model(model, mapped(inputs, Tensor.clone)))
        found = named_arrays(kept(answer, outputs))
    except Exception:  # the model's own code runs here: it may raise anything
        return None
    return {name: values.ravel() for name, values in found.items()}


def _other(
    wanted: Mapping[str, NDArray[Any]],
    found: Mapping[str, NDArray[Any]] | None,
    own: nn.Module,
    inputs: Inputs,
) -> str:
    """Return what a copy does not do as it should; empty if it answers as is wanted."""
    if found is None:
        return "does not run on the same inputs"
    if wanted.keys() != found.keys():
        return "does not have the same outputs"
    # One that fails with weights that hardly differ says nothing of how sure it is.
    other = clearly_other(wanted, found, own, lambda like: _answers(like, inputs) or found)
    return f"does not answer '{other}'" if other else ""


def _depends(
    own: nn.Module,
    met: Mapping[str, Tensor],
    inputs: Inputs,
    before: Mapping[str, NDArray[Any]],
) -> bool:
    """Whether answers are others when tensors that were met are; who only looks at them may."""
    kept = {name: tensor.data for name, tensor in met.items()}
    try:
        for tensor in met.values():
            if tensor.is_floating_point():
                tensor.data = tensor.data * torch.nan
        after = _answers(own, inputs)
    finally:
        for name, tensor in met.items():
            tensor.data = kept[name]
    return after is None or bool(other_output(before, after))


@contextmanager
def _in_evaluation(original: nn.Module) -> Iterator[None]:
    """Let a model be in evaluation mode for a while, whatever its own `eval` does.

    That may merge weights or freeze them, which is undone.
    """
    modes = [(part, part.training) for part in original.modules()]
    if not any(training for _, training in modes):
        yield
        return
    kept = [
        (each, each.requires_grad, each.data, each.data.clone()) for each in original.parameters()
    ]
    try:
        with repeatable(original):
            in_evaluation(original)
            yield
    finally:
        for parameter, requires_grad, data, values in kept:
            parameter.data = data.copy_(values)
            if parameter.requires_grad != requires_grad:
                parameter.requires_grad_(requires_grad)
        for part, training in modes:  # also scripted ones
            part.training = training
