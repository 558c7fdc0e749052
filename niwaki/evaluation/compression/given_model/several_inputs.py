"""Models of several inputs, which take them from one tensor, in which they lie side by side.

Whoever analyses, exports or checks such a model gives it each input by itself, as anybody would;
trainers and teachers give it batches as all models here get them.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from enum import Enum, auto
from keyword import iskeyword
from typing import Any, TypeVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from niwaki.compress.pruning.copying import copied
from niwaki.compress.pruning.model_calls import Inputs
from niwaki.core.errors import ConfigError, DataError
from niwaki.core.registry import nearest
from niwaki.evaluation.compression.given_data.given_batches import ALONE, GivenInputs
from niwaki.evaluation.compression.given_model.arguments import arguments_of, declared_inputs
from niwaki.evaluation.compression.given_model.first_call import called, fails
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
    """What a model takes, and how.

    Attributes:
        inputs: In the order in which they lie side by side.
        way: How `forward` takes them.
        order: Numbers of the inputs in the order of their positions.
    """

    inputs: ModelInputs
    way: Way
    order: tuple[int, ...]

    def given(self, parts: Sequence[Any]) -> Inputs:
        """Return the inputs in the form in which the model's own `forward` is called."""
        named = dict(zip(self.inputs.names, parts, strict=True))
        match self.way:
            case Way.BY_POSITION:
                return tuple(parts[i] for i in self.order)
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
    if way is None:
        for split, (other, _) in named.items():
            if other is not None:
                raise DataError(
                    f"{origins[split]}: there are several inputs, and one in {origins[first]}: "
                    "give each split the same"
                )
        return {split: next(iter(each.values())) for split, (_, each) in named.items()}
    whole = {
        name: values.astype(
            np.result_type(values, *(each[name] for _, each in named.values() if name in each)),
            copy=False,
        )
        for name, values in arrays.items()
    }
    inputs = _take(module, whole, way, origins[first])
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
    way, named = _named(module, {name: feeds[name] for name in inputs.names}, origin)
    assert way is not None  # of several
    _take(module, named, way, origin, order=inputs.names)


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
) -> tuple[Way | None, dict[str, NDArray[Any]]]:
    """Return inputs by the names that the model has for them, in its order, and how it has them.

    Nothing is special about the way of one input, if that is the first that the model takes.
    """
    known, is_read = arguments_of(module), declared_inputs(module) is not None
    firsts = known.first(len(given))
    if is_read and len(given) < len(known.needed):
        raise DataError(
            f"{origin}: the file takes {len(known.needed)} inputs ({', '.join(known.needed)}), but "
            f"the data have {len(given)}: give a mapping by these names, or as many in their order"
        )
    if all(isinstance(key, int) for key in given):
        if len(firsts) == len(given):
            way = None if len(given) == 1 else Way.BY_POSITION
            return way, dict(zip(firsts, given.values(), strict=True))
        if known.needs_one and not is_read:
            numbered = [f"{firsts[0]}_{i}" for i in range(len(given))]
            return Way.AS_TUPLE, dict(zip(numbered, given.values(), strict=True))
        takes = f"{len(firsts)} ({', '.join(firsts)})" if firsts else "none"
        raise DataError(
            f"{origin}: {len(given)} inputs are given by position, but the model takes {takes}: "
            "give as many, in the order of the arguments of its `forward`, or a mapping by name"
        )
    named = {str(key): values for key, values in given.items()}
    if given.keys() == {ALONE} or (len(named) == 1 and firsts == tuple(named)):
        return None, named
    if unknown := [name for name in named if not known.takes(name)]:
        if known.needs_one and not is_read and len(unknown) == len(named):
            return Way.AS_MAPPING, named
        raise DataError(
            f"{origin}: there is an input '{unknown[0]}'{nearest(unknown[0], known.by_name)} The "
            f"model takes {', '.join(known.by_name) or 'none by name'}: a batch is (inputs, "
            "targets), or inputs alone, and several inputs are a mapping by these names"
        )
    in_order = [name for name in known.by_name if name in named]
    others = [name for name in named if name not in known.by_name]
    way = Way.BY_POSITION if is_read else Way.BY_NAME
    return way, {name: named[name] for name in (*in_order, *others)}


def _take(
    module: nn.Module,
    given: Mapping[str, NDArray[Any]],
    way: Way,
    origin: str,
    *,
    order: Sequence[str] = (),
) -> ModelInputs:
    """Let a model take inputs, in types that it runs on, and return them.

    They have the types that they are given in; all are float32 if it does not run on these.

    Args:
        module: That `plainly_called` returned, in evaluation mode.
        given: (n, ...) by name, in the model's order.
        way: How it takes them.
        origin: Of the inputs, for messages.
        order: In which they lie side by side; the model's by default.
    """
    if (known := inputs_of(module)) is not None:
        return known
    _require_no_hook(module)
    as_they_are = _typed(module, given, order or tuple(given), origin)
    in_floats = ModelInputs(tuple(replace(each, dtype=FLOAT) for each in as_they_are))
    # What a file takes, it takes in its own types.
    may_be = [as_they_are, in_floats][: 1 if declared_inputs(module) else 2]
    first = {name: values[:2] for name, values in given.items()}
    failures = []
    for inputs in dict.fromkeys(may_be):
        taking = _Taking(inputs, way, tuple(map(inputs.names.index, given)))
        like = copied(module)
        _let_take(like, taking)
        side_by_side = torch.from_numpy(inputs.packed(first, origin))
        failure = called(like, by_name(like, side_by_side)).failure
        if failure is None:
            _let_take(module, taking)
            return inputs
        failures.append(failure)
    if way in (Way.AS_MAPPING, Way.AS_TUPLE):
        one, reason = arguments_of(module).first(1)[0], str(failures[0]).partition("\n")[0]
        raise DataError(
            f"{origin}: there are {len(given)} inputs ({', '.join(given)}), but the model takes "
            f"one, '{one}', and fails on all of them in it: {reason}. A batch is (inputs, "
            "targets), or inputs alone, and several inputs are those that `forward` takes"
        ) from failures[0]
    told = ", ".join(f"{e.name} {(2, *e.shape)} {e.dtype}" for e in as_they_are)
    raise fails(module, told, origin, failures[0]) from failures[0]


def _typed(
    module: nn.Module, given: Mapping[str, NDArray[Any]], order: Sequence[str], origin: str
) -> ModelInputs:
    """Return inputs as they are given, or as the file that the model was read from takes them."""
    found = {each.name: each for each in ModelInputs.of(given)}
    for each in declared_inputs(module) or ():
        if each.name in found and found[each.name].shape != each.shape:
            raise DataError(
                f"{origin}: items of input '{each.name}' have shape {found[each.name].shape}, but "
                f"the file takes {each.shape}: give data as the file was made for, or export it "
                "for these"
            )
        found[each.name] = each
    return ModelInputs(tuple(found[name] for name in order))


def _require_no_hook(module: nn.Module) -> None:
    if module._forward_pre_hooks:
        raise ConfigError(
            "the model has a hook in front of its `forward`, and would be called with several "
            "inputs as one in training, and one by one when it is exported: let `forward` do "
            "what the hook does"
        )


def _let_take(module: nn.Module, taking: _Taking) -> None:
    """Let a model take inputs from one tensor, or one by one where all are given."""
    plain_forward, inputs = forward_of(module), taking.inputs

    def of_several(self: Any, given: tuple[Any, ...]) -> Any:
        is_apart = len(given) > 1 and given[1] is not None
        return plain_forward(self, taking.given(given if is_apart else _apart(inputs, given[0])))

    names = inputs.names if _are_words(inputs) else [f"input_{i}" for i in range(len(inputs))]
    vars(module)[_TAKING] = taking
    give_forward(module, _function_of(names, of_several))


def _function_of(names: Sequence[str], call: Callable[[Any, tuple[Any, ...]], Any]) -> Any:
    """Return a function of a module and arguments of these names; only the first has to be given.

    Who follows a model symbolically looks at the code of its `forward` for what it takes.
    """
    first, *others = names
    listed = ", ".join([first, *(f"{name}=None" for name in others)])
    given = ", ".join(names)
    return eval(f"lambda self, {listed}: _niwaki_call(self, ({given},))", {"_niwaki_call": call})


def _apart(inputs: ModelInputs, side_by_side: Tensor) -> tuple[Tensor, ...]:
    """Return each input in its type."""
    parts = zip(inputs, inputs.apart(side_by_side), strict=True)
    return tuple(part.to(getattr(torch, each.dtype)) for each, part in parts)


def _are_words(inputs: ModelInputs) -> bool:
    """Whether Python can call arguments so; in a file, inputs may be called anything."""
    return all(name.isidentifier() and not iskeyword(name) for name in inputs.names)
