"""Somebody's model, called the way that everything here calls models: a tensor in, tensors out.

Models return dataclasses, nested tuples and None; take flags besides their input; or want integers
where data are float. The model keeps its paths and parameters. Only its class becomes a subclass,
whose `forward` takes one tensor and returns one, or a flat tuple or mapping of them.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import fields, is_dataclass
from typing import Any, TypeVar

import torch
from numpy.typing import NDArray
from torch import fx, nn

from niwaki.compress.pruning.model_calls import named_tensors
from niwaki.core.errors import ConfigError, DataError
from niwaki.core.registry import nearest
from niwaki.evaluation.compression.given_data.given_batches import names_by_position
from niwaki.evaluation.compression.given_model.arguments import note_arguments
from niwaki.evaluation.devices import layout_for
from niwaki.evaluation.own_forward import forward_of, give_forward

M = TypeVar("M", bound=nn.Module)

_INTEGERS = "_niwaki_takes_integers"
_COLUMNS = "_niwaki_columns"
_CONTIGUOUS = "_niwaki_contiguous"
_OUTPUTS = "_niwaki_outputs"
_WRITTEN = "_niwaki_written"


def plainly_called(module: nn.Module) -> nn.Module:
    """Let a model take one tensor and return plain ones from now on; return it.

    Not a model beside it that shares its parts: methods that it holds, as hooks, know it alone.

    Raises:
        ConfigError: If it is a scripted model, whose code cannot be followed; or if its
            `forward` was replaced by a function that knows this object alone.
    """
    if isinstance(module, torch.jit.ScriptModule):
        raise ConfigError(
            "the model is scripted (torch.jit): its layers cannot be changed. Give the "
            "torch.nn.Module that it was made from"
        )
    original = forward_of(module)

    def forward(self: Any, inputs: Any) -> Any:
        # Copies: some models normalise in place what they are given, and others are to read it too.
        # Of one channel, `contiguous` would leave the strides that convolutions go by.
        keeps = vars(self).get(_CONTIGUOUS)
        layout = torch.contiguous_format if keeps else torch.preserve_format
        given = _cloned(inputs.long() if takes_integers(self) else inputs, layout)
        if isinstance(given, Mapping):
            answer = original(self, **given)
        elif isinstance(given, tuple):
            answer = original(self, *given)
        else:
            answer = original(self, given)
        return _with_columns(kept(plain(answer), kept_outputs(self)), vars(self).get(_COLUMNS, ()))

    give_forward(module, forward)
    note_arguments(module, original)
    vars(module)[_WRITTEN] = original
    return module


def called_as_written(module: M) -> M:
    """Let a model that `plainly_called` returned be called as it was before; in place."""
    if (written := vars(module).get(_WRITTEN)) is not None:
        give_forward(module, written)
    return module


def _cloned(inputs: Any, layout: torch.memory_format) -> Any:
    """Return a copy of a tensor, or of those of several inputs, which may be nested once."""
    if isinstance(inputs, Mapping):
        return {name: _cloned(each, layout) for name, each in inputs.items()}
    if isinstance(inputs, tuple):
        return tuple(_cloned(each, layout) for each in inputs)
    return inputs.clone(memory_format=layout)


def keep_outputs(module: nn.Module, names: Sequence[str]) -> None:
    """Let a model that `plainly_called` returned answer nothing but some of its outputs."""
    vars(module)[_OUTPUTS] = tuple(names)


def kept_outputs(module: nn.Module) -> tuple[str, ...]:
    """Return the outputs that a model was told to keep; empty if it has all."""
    names: tuple[str, ...] = vars(module).get(_OUTPUTS, ())
    return names


def kept(answer: Any, names: Sequence[str]) -> Any:
    """Return a plain answer without all outputs that are not named; as it is if none is.

    Raises:
        DataError: If there is none of a name: says which there are.
    """
    if not names:
        return answer
    parts = {"output": answer} if _is_tensor(answer) else _parts(answer)
    if not isinstance(answer, Mapping):
        parts = dict(zip(names_by_position(len(parts)), parts.values(), strict=True))
    if lost := [name for name in names if name not in parts]:
        or_this = nearest(lost[0], list(parts))
        raise DataError(
            f"the model has no output '{lost[0]}' to keep (`outputs`){or_this} It answers "
            f"{', '.join(parts)}"
        )
    return {name: values for name, values in parts.items() if name in names}


def take_integers(module: nn.Module) -> None:
    """Let a model that `plainly_called` returned get integers, whatever it is given."""
    vars(module)[_INTEGERS] = True


def takes_integers(module: nn.Module) -> bool:
    """Whether a model was told to `take_integers`."""
    return bool(vars(module).get(_INTEGERS))


def note_answers(module: nn.Module, inputs: torch.Tensor) -> None:
    """Let a model that `plainly_called` returned answer as these inputs show that it can.

    Where it answers (n,), it answers (n, 1) from now on. It is kept contiguous if it fails on
    channels last: that is faster, but `x.view(len(x), -1)` of a feature map does not bear it.

    Args:
        module: In evaluation mode.
        inputs: (n, ...), on which it runs.
    """
    if layout_for(module, inputs) == torch.contiguous_format:
        vars(module)[_CONTIGUOUS] = True
    with torch.no_grad():
        answer = module(inputs)
    found = {"": answer} if _is_tensor(answer) else _parts(answer)
    vectors = [name for name, values in found.items() if getattr(values, "ndim", 0) == 1]
    vars(module)[_COLUMNS] = (*vars(module).get(_COLUMNS, ()), *vectors)


def layout_of(module: nn.Module) -> torch.memory_format:
    """Return the layout in which to compute with a model that `plainly_called` returned."""
    keeps = vars(module).get(_CONTIGUOUS, False)
    return torch.contiguous_format if keeps else torch.channels_last


def _with_columns(answer: Any, names: tuple[str, ...]) -> Any:
    """Return a plain answer with another axis for outputs that are one number per item."""
    if not names:
        return answer
    if _is_tensor(answer):
        return answer.unsqueeze(1)
    parts = {k: v.unsqueeze(1) if k in names else v for k, v in _parts(answer).items()}
    return parts if isinstance(answer, Mapping) else tuple(parts.values())


def plain(answer: Any) -> Any:
    """Return a model's answer as a tensor, a flat sequence or a flat mapping of tensors.

    What is flat stays as it is. In what is nested, tensors are named by their path with
    underscores. Whatever is no tensor is left out. Names become such as tasks can have: those that
    begin with a digit, as of feature pyramids, go behind `output_`.

    Raises:
        DataError: If two of these paths are alike.
    """
    if _is_tensor(answer):
        return answer
    parts = _parts(answer)
    if (
        parts
        and isinstance(answer, Mapping | tuple | list)
        and all(map(_is_tensor, parts.values()))
    ):
        return _named(parts) if isinstance(answer, Mapping) else tuple(answer)
    found = _leaves(answer, "")
    if not found:
        return answer
    if isinstance(answer, tuple | list) and all(name.isdigit() for name in found):
        tensors = tuple(found.values())
        return tensors if len(tensors) > 1 else tensors[0]
    return _named(found)


def named_arrays(answer: Any) -> dict[str, NDArray[Any]]:
    """Return the tensors of an answer by name, as float arrays; one alone is `output`."""
    named = named_tensors(answer)
    return {name or "output": each.detach().float().cpu().numpy() for name, each in named}


def _leaves(value: Any, name: str) -> dict[str, Any]:
    if _is_tensor(value):
        return {name: value}
    found: dict[str, Any] = {}
    for key, item in _parts(value).items():
        inner = _leaves(item, f"{name}_{key}" if name else key)
        if twice := sorted(found.keys() & inner.keys()):
            raise _called_alike(twice[0])
        found |= inner
    return found


def _named(found: Mapping[str, Any]) -> dict[str, Any]:
    """Return tensors by names that begin with no digit, and have no other signs than `_`."""
    named: dict[str, Any] = {}
    for key, tensor in found.items():
        name = re.sub(r"\W", "_", key)
        name = name if name.isidentifier() else f"output_{name}"
        if name in named:
            raise _called_alike(name)
        named[name] = tensor
    return named


def _called_alike(name: str) -> DataError:
    return DataError(
        f"two of the model's answers would be called '{name}', which names the path to each: give "
        "one of them another name"
    )


def _parts(value: Any) -> dict[str, Any]:
    if isinstance(value, Mapping):
        return {str(key): item for key, item in value.items()}
    if isinstance(value, tuple) and isinstance(getattr(value, "_fields", None), tuple):
        return dict(zip(value._fields, value, strict=True))  # type: ignore[attr-defined]
    if isinstance(value, tuple | list):
        return {str(i): item for i, item in enumerate(value)}
    if is_dataclass(value) and not isinstance(value, type):
        return {field.name: getattr(value, field.name) for field in fields(value)}
    return {}


def _is_tensor(value: Any) -> bool:
    # A proxy stands for a tensor while a model is traced.
    return isinstance(value, torch.Tensor | fx.Proxy)
