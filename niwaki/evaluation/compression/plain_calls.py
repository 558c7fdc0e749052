"""Somebody's model, called the way that everything here calls models: a tensor in, tensors out.

Models return dataclasses, nested tuples and None; take flags besides their input; or want integers
where data are float. The model keeps its paths and parameters. Only its class becomes a subclass,
whose `forward` takes one tensor and returns one, or a flat tuple or mapping of them.

A model of several inputs takes them from one tensor, in which they lie side by side, or as they
are, which is how it is analysed and exported.
"""

import inspect
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, fields, is_dataclass
from keyword import iskeyword
from typing import Any

import torch
from numpy.typing import NDArray
from torch import fx, nn

from niwaki.compress.pruning.model_calls import Inputs, named_tensors
from niwaki.core.errors import ConfigError, DataError
from niwaki.evaluation.devices import layout_for
from niwaki.evaluation.own_forward import forward_of, give_forward
from niwaki.tasks.model_inputs import ModelInputs

_INPUTS = "_niwaki_inputs"
_ARGUMENTS = "_niwaki_arguments"
_DECLARED = "_niwaki_declared_inputs"
_INTEGERS = "_niwaki_takes_integers"
_COLUMNS = "_niwaki_columns"
_CONTIGUOUS = "_niwaki_contiguous"


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
        if isinstance(inputs, Mapping):
            named = {name: each.clone(memory_format=layout) for name, each in inputs.items()}
            answer = original(self, **named)
        elif isinstance(inputs, tuple):
            answer = original(self, *(each.clone(memory_format=layout) for each in inputs))
        else:
            given = inputs.long() if takes_integers(self) else inputs
            answer = original(self, given.clone(memory_format=layout))
        return _with_columns(plain(answer), vars(self).get(_COLUMNS, ()))

    give_forward(module, forward)
    vars(module)[_ARGUMENTS] = _Arguments.of(original)
    return module


@dataclass(frozen=True)
class _Arguments:
    """Names by which a `forward` takes tensors, behind the module itself.

    Attributes:
        positional: In order.
        keywords: All that it can be given by name.
        takes_more: Whether it takes any number by position.
    """

    positional: tuple[str, ...]
    keywords: tuple[str, ...]
    takes_more: bool

    @classmethod
    def of(cls, forward: Callable[..., Any]) -> "_Arguments":
        kind = inspect.Parameter
        known = list(inspect.signature(forward).parameters.values())[1:]
        by_position = (kind.POSITIONAL_ONLY, kind.POSITIONAL_OR_KEYWORD)
        by_name = (kind.POSITIONAL_OR_KEYWORD, kind.KEYWORD_ONLY)
        return cls(
            tuple(each.name for each in known if each.kind in by_position),
            tuple(each.name for each in known if each.kind in by_name),
            any(each.kind is kind.VAR_POSITIONAL for each in known),
        )


def declare_inputs(module: nn.Module, inputs: ModelInputs) -> None:
    """Say what a model that `plainly_called` returned takes by position, where a file tells."""
    vars(module)[_DECLARED] = inputs


def declared_inputs(module: nn.Module) -> ModelInputs | None:
    """Return what was declared of a model; None if nothing was."""
    found: ModelInputs | None = vars(module).get(_DECLARED)
    return found


def names_of_inputs(module: nn.Module, n: int) -> tuple[str, ...]:
    """Return what so many inputs that are given by position are called; fewer if it takes fewer."""
    if declared := declared_inputs(module):
        return declared.names[:n]
    known = _arguments(module)
    more = tuple(f"input_{i}" for i in range(len(known.positional), n)) if known.takes_more else ()
    return (known.positional + more)[:n]


def known_inputs(module: nn.Module) -> tuple[str, ...]:
    """Return the names by which a model that `plainly_called` returned can be given inputs."""
    if declared := declared_inputs(module):
        return declared.names
    known = _arguments(module)
    return known.keywords


def _arguments(module: nn.Module) -> _Arguments:
    """Return what a model takes, also one that is called as it was written."""
    return vars(module).get(_ARGUMENTS) or _Arguments.of(forward_of(module))


def inputs_of(module: nn.Module) -> ModelInputs | None:
    """Return what a model was told to `take_inputs`; None if it takes one tensor."""
    found: ModelInputs | None = vars(module).get(_INPUTS)
    return found


def take_inputs(module: nn.Module, inputs: ModelInputs) -> None:
    """Let a model that `plainly_called` returned take several inputs from one tensor.

    It still takes them one by one, each in its type, where all of them are given.

    Args:
        module: Not told so before, or told the same.
        inputs: At least two, by names that the model knows, or as `names_of_inputs` calls them.
    """
    if inputs_of(module) is not None:
        return
    by_name = _by_name(module, inputs)
    plain_forward = forward_of(module)

    def of_several(self: Any, given: tuple[Any, ...]) -> Any:
        parts = given if given[1] is not None else inputs_apart(inputs, given[0])
        return plain_forward(
            self, dict(zip(inputs.names, parts, strict=True)) if by_name else parts
        )

    names = inputs.names if _are_words(inputs) else [f"input_{i}" for i in range(len(inputs))]
    vars(module)[_INPUTS] = inputs
    give_forward(module, _taking(names, of_several))


def _are_words(inputs: ModelInputs) -> bool:
    """Whether Python can call arguments so; in a file, inputs may be called anything."""
    return all(name.isidentifier() and not iskeyword(name) for name in inputs.names)


def _by_name(module: nn.Module, inputs: ModelInputs) -> bool:
    return inputs.names != names_of_inputs(module, len(inputs))


def inputs_apart(inputs: ModelInputs, together: torch.Tensor) -> tuple[torch.Tensor, ...]:
    """Return each input of a model in its type, from a tensor in which they lie side by side."""
    parts = zip(inputs, inputs.apart(together), strict=True)
    return tuple(part.to(getattr(torch, each.dtype)) for each, part in parts)


def as_taken(module: nn.Module, together: torch.Tensor) -> Inputs:
    """Return inputs as a model takes them, and as the one takes them that it is a copy of.

    Args:
        module: That `plainly_called` returned.
        together: (n, ...), of several side by side.
    """
    inputs = inputs_of(module)
    if inputs is None:
        return together
    parts = inputs_apart(inputs, together)
    return dict(zip(inputs.names, parts, strict=True)) if _by_name(module, inputs) else parts


def by_names(module: nn.Module, together: torch.Tensor) -> Inputs:
    """Return inputs as `as_taken` does, with names for messages wherever they can have any."""
    inputs = inputs_of(module)
    if inputs is None or not _are_words(inputs):
        return as_taken(module, together)
    return dict(zip(inputs.names, inputs_apart(inputs, together), strict=True))


class TakingApart(nn.Module):
    """A module of several inputs, called with one tensor in which they lie side by side.

    Args:
        module: Takes each input by position.
        inputs: What these are.
    """

    def __init__(self, module: nn.Module, inputs: ModelInputs) -> None:
        super().__init__()
        self.module, self._inputs = module, inputs

    def forward(self, together: torch.Tensor) -> Any:
        """Return what the module answers to the inputs apart."""
        return self.module(*inputs_apart(self._inputs, together))


def _taking(names: Sequence[str], call: Callable[[Any, tuple[Any, ...]], Any]) -> Any:
    """Return a function of a module and arguments of these names; only the first has to be given.

    Who follows a model symbolically looks at the code of its `forward` for what it takes.
    """
    first, *others = names
    listed = ", ".join([first, *(f"{name}=None" for name in others)])
    source = f"lambda self, {listed}: call(self, ({', '.join(names)},))"
    return eval(source, {"call": call})


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
    underscores. Whatever is no tensor is left out.

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
        return dict(answer) if isinstance(answer, Mapping) else tuple(answer)
    found = _leaves(answer, "")
    if not found:
        return answer
    if isinstance(answer, tuple | list) and all(name.isdigit() for name in found):
        tensors = tuple(found.values())
        return tensors if len(tensors) > 1 else tensors[0]
    return {name if not name[0].isdigit() else f"output_{name}": t for name, t in found.items()}


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
            raise DataError(
                f"two of the model's answers would be called '{twice[0]}', which names the path to "
                "each: give one of them another name"
            )
        found |= inner
    return found


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
