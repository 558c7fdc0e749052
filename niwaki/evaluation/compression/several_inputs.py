"""Models of several inputs, which take them from one tensor, in which they lie side by side.

Whoever analyses, exports or checks such a model gives it each input by itself, as anybody would;
trainers and teachers give it batches as all models here get them.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from enum import Enum, auto
from keyword import iskeyword
from typing import Any, TypeVar

import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from niwaki.compress.pruning.copying import copied
from niwaki.compress.pruning.model_calls import Inputs
from niwaki.core.errors import DataError
from niwaki.core.registry import nearest
from niwaki.evaluation.compression.arguments import arguments_of, declared_inputs
from niwaki.evaluation.compression.first_call import called, fails
from niwaki.evaluation.compression.given_batches import ALONE
from niwaki.evaluation.compression.given_batches import Inputs as GivenInputs
from niwaki.evaluation.own_forward import forward_of, give_forward
from niwaki.tasks.model_inputs import FLOAT, ModelInputs

Split = TypeVar("Split")

_TAKING = "_niwaki_taking"


class Way(Enum):
    """How a `forward` takes several inputs."""

    BY_POSITION = auto()
    BY_NAME = auto()
    AS_MAPPING = auto()  # as its one argument
    AS_TUPLE = auto()  # the same


@dataclass(frozen=True)
class _Taking:
    """What a model takes, and how."""

    inputs: ModelInputs
    way: Way

    def given(self, parts: Sequence[Any]) -> Inputs:
        """Return the inputs in the form in which the model's own `forward` is called."""
        named = dict(zip(self.inputs.names, parts, strict=True))
        match self.way:
            case Way.BY_POSITION:
                return tuple(parts)
            case Way.BY_NAME:
                return named
            case Way.AS_MAPPING:
                return (named,)
            case Way.AS_TUPLE:
                return (tuple(parts),)


def together(
    module: nn.Module, given: Mapping[Split, GivenInputs], origins: Mapping[Split, str]
) -> dict[Split, NDArray[Any]]:
    """Return the inputs of each split as one array, in which the model takes them from then on.

    Args:
        module: That `plainly_called` returned, in evaluation mode.
        given: As loaders gave them; all splits alike. What the first has is looked at.
        origins: Of the splits, for messages.

    Returns:
        (n, ...) by split: what was given if it is one input, else all side by side, in float32.

    Raises:
        DataError: If the model does not take them, or splits differ.
    """
    named = {split: _named(module, inputs, origins[split]) for split, inputs in given.items()}
    first = next(iter(given))
    way, arrays = named[first]
    if len(arrays) == 1:
        for split, (_, each) in named.items():
            _require_first(module, each, origins[split])
        return {split: next(iter(each.values())) for split, (_, each) in named.items()}
    inputs = _take(module, arrays, way, origins[first])
    return {split: inputs.packed(each, origins[split]) for split, (_, each) in named.items()}


def take_declared(module: nn.Module, inputs: ModelInputs, first: NDArray[Any], origin: str) -> None:
    """Let a model take several inputs that data were declared with.

    Args:
        module: That `plainly_called` returned, in evaluation mode.
        inputs: As they lie side by side.
        first: (n, ...) some of them.
        origin: Of the data, for messages.

    Raises:
        DataError: If the model does not take them.
    """
    feeds = inputs.feeds(first)
    way, named = _named(module, dict(feeds.items()), origin)
    if way is Way.BY_POSITION and tuple(named) != inputs.names:
        raise DataError(
            f"{origin} gives the inputs {', '.join(inputs.names)}, and the file takes "
            f"{', '.join(named)}: give them in this order"
        )
    _take(module, {name: named[name] for name in inputs.names}, way, origin)


def inputs_of(module: nn.Module) -> ModelInputs | None:
    """Return the several inputs that a model takes from one tensor; None if it takes one."""
    taking: _Taking | None = vars(module).get(_TAKING)
    return None if taking is None else taking.inputs


def as_given(module: nn.Module, side_by_side: Tensor) -> Inputs:
    """Return inputs as the model is called that this one was copied from.

    Args:
        module: That `plainly_called` returned.
        side_by_side: (n, ...); if it takes one input, that itself.
    """
    taking: _Taking | None = vars(module).get(_TAKING)
    if taking is None:
        return side_by_side
    return taking.given(_apart(taking.inputs, side_by_side))


def by_name(module: nn.Module, side_by_side: Tensor) -> Inputs:
    """Return inputs one by one, as a model takes them, with names where it has any for them."""
    inputs = inputs_of(module)
    if inputs is None:
        return side_by_side
    parts = _apart(inputs, side_by_side)
    return dict(zip(inputs.names, parts, strict=True)) if _are_words(inputs) else parts


class TakingApart(nn.Module):
    """A module of several inputs, called with one tensor in which they lie side by side.

    Args:
        module: Takes each input by position.
        inputs: What these are.
    """

    def __init__(self, module: nn.Module, inputs: ModelInputs) -> None:
        super().__init__()
        self.module, self._inputs = module, inputs

    def forward(self, side_by_side: Tensor) -> Any:
        """Return what the module answers to the inputs apart."""
        return self.module(*_apart(self._inputs, side_by_side))


def _named(
    module: nn.Module, given: GivenInputs, origin: str
) -> tuple[Way, dict[str, NDArray[Any]]]:
    """Return inputs by the names that the model has for them, in its order, and how it has them."""
    if given.keys() == {ALONE}:
        return Way.BY_POSITION, {ALONE: given[ALONE]}
    known = arguments_of(module)
    if all(isinstance(key, int) for key in given):
        names = known.first(len(given))
        if len(names) == len(given):
            return Way.BY_POSITION, dict(zip(names, given.values(), strict=True))
        if known.takes_one and declared_inputs(module) is None:
            numbered = [f"{names[0]}_{i}" for i in range(len(given))]
            return Way.AS_TUPLE, dict(zip(numbered, given.values(), strict=True))
        takes = f"{len(names)} ({', '.join(names)})" if names else "none"
        raise DataError(
            f"{origin} gives {len(given)} inputs by position, but the model takes {takes}: give as "
            "many, in the order of the arguments of its `forward`, or a mapping by name"
        )
    named = {str(key): values for key, values in given.items()}
    is_read = declared_inputs(module) is not None
    if known.takes_one and not is_read and len(named) > 1 and not set(named) & set(known.by_name):
        return Way.AS_MAPPING, named
    if unknown := [name for name in named if name not in known.by_name]:
        raise DataError(
            f"{origin} gives the input '{unknown[0]}'{nearest(unknown[0], known.by_name)} The "
            f"model takes {', '.join(known.by_name) or 'none by name'}: a batch is (inputs, "
            "targets), or inputs alone, and several inputs are a mapping by these names"
        )
    way = Way.BY_POSITION if is_read else Way.BY_NAME
    return way, {name: named[name] for name in known.by_name if name in named}


def _require_first(module: nn.Module, given: Mapping[str, NDArray[Any]], origin: str) -> None:
    """Check that one input alone is the one that the model has to be given."""
    first = next(iter(arguments_of(module).first(1)), ALONE)
    if len(given) > 1 or next(iter(given)) not in (ALONE, first):
        raise DataError(
            f"{origin} gives {', '.join(given)}, and other inputs elsewhere, or lacks '{first}', "
            "which the model takes first: give the same in each split, by the model's names"
        )


def _take(
    module: nn.Module, given: Mapping[str, NDArray[Any]], way: Way, origin: str
) -> ModelInputs:
    """Let a model take inputs that lie in this order, in types that it runs on; return them.

    They have the types that they are given in; all are float32 if it does not run on these.
    """
    if (known := inputs_of(module)) is not None:
        return known
    types = {each.name: each.dtype for each in declared_inputs(module) or ()}
    as_they_are = ModelInputs(
        tuple(replace(e, dtype=types.get(e.name, e.dtype)) for e in ModelInputs.of(given))
    )
    in_floats = ModelInputs(tuple(replace(each, dtype=FLOAT) for each in as_they_are))
    first = {name: values[:2] for name, values in given.items()}
    failures = []
    for inputs in (as_they_are,) if types else (as_they_are, in_floats):
        like = copied(module)
        _let_take(like, _Taking(inputs, way))
        together = torch.from_numpy(inputs.packed(first, origin))
        failure = called(like, by_name(like, together)).failure
        if failure is None:
            _let_take(module, _Taking(inputs, way))
            return inputs
        failures.append(failure)
    told = ", ".join(f"{e.name} {(2, *e.shape)} {e.dtype}" for e in as_they_are)
    if way in (Way.AS_MAPPING, Way.AS_TUPLE):
        one = arguments_of(module).first(1)[0]
        raise DataError(
            f"{origin} gives {len(given)} inputs ({', '.join(given)}), but the model takes one, "
            f"'{one}', and fails on all of them in it: {failures[0]}. A batch is (inputs, "
            "targets), or inputs alone, and several inputs are those that `forward` takes"
        ) from failures[0]
    raise fails(module, told, origin, failures[0]) from failures[0]


def _let_take(module: nn.Module, taking: _Taking) -> None:
    """Let a model take several inputs from one tensor, or one by one where all are given."""
    plain_forward, inputs = forward_of(module), taking.inputs

    def of_several(self: Any, given: tuple[Any, ...]) -> Any:
        parts = given if given[1] is not None else _apart(inputs, given[0])
        return plain_forward(self, taking.given(parts))

    names = inputs.names if _are_words(inputs) else [f"input_{i}" for i in range(len(inputs))]
    vars(module)[_TAKING] = taking
    give_forward(module, _function_of(names, of_several))


def _function_of(names: Sequence[str], call: Callable[[Any, tuple[Any, ...]], Any]) -> Any:
    """Return a function of a module and arguments of these names; only the first has to be given.

    Who follows a model symbolically looks at the code of its `forward` for what it takes.
    """
    first, *others = names
    listed = ", ".join([first, *(f"{name}=None" for name in others)])
    return eval(f"lambda self, {listed}: call(self, ({', '.join(names)},))", {"call": call})


def _apart(inputs: ModelInputs, side_by_side: Tensor) -> tuple[Tensor, ...]:
    """Return each input in its type."""
    parts = zip(inputs, inputs.apart(side_by_side), strict=True)
    return tuple(part.to(getattr(torch, each.dtype)) for each, part in parts)


def _are_words(inputs: ModelInputs) -> bool:
    """Whether Python can call arguments so; in a file, inputs may be called anything."""
    return all(name.isidentifier() and not iskeyword(name) for name in inputs.names)
