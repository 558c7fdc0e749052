"""Parameters that no answer of a model depends on: they are in no file that is deployed."""

from collections.abc import Collection

import torch
from torch import Tensor, nn

from niwaki.compress.pruning.copying import copied
from niwaki.compress.pruning.model_calls import Inputs, call_model, named_tensors, repeatable

_FAR_OFF = 1e3


def unread_parameters(module: nn.Module, inputs: Inputs) -> frozenset[str]:
    """Return the names of the parameters without which the model answers the same.

    Auxiliary heads are such, that run in training alone, and layers that are defined and not
    called. Those that autograd does not reach are looked at: with NaN in their place, or with large
    numbers of either sign, the answers change if the model's code reads them in a way that autograd
    does not see. Classes and masks need the latter: of NaN they may be what they were.

    Args:
        module: In evaluation mode; it is not changed.
        inputs: A few real ones, batch first, as it takes them.
    """
    model = copied(module)
    suspects = _not_reached(model, inputs)
    expected = _answers(model, inputs)
    if _is_same(model, inputs, expected, without=suspects):
        return frozenset(suspects)
    return frozenset(s for s in suspects if _is_same(model, inputs, expected, without=[s]))


def _not_reached(model: nn.Module, inputs: Inputs) -> list[str]:
    """Return the names of parameters that autograd does not reach; all where it does not run."""
    named = {name: p for name, p in model.named_parameters() if p.is_floating_point()}
    wanted = {name: p.requires_grad for name, p in named.items()}
    try:
        for parameter in named.values():
            parameter.requires_grad_(True)
        with torch.enable_grad(), repeatable(model):
            answers = [t for _, t in named_tensors(call_model(model, inputs)) if t.requires_grad]
            total = torch.stack([answer.abs().sum().double() for answer in answers]).sum()
            found = torch.autograd.grad(total, list(named.values()), allow_unused=True)
            gradients = list[Tensor | None](found)
    except Exception:  # of the model's own code under autograd, which may raise anything
        return list(named)
    finally:
        for name, parameter in named.items():
            parameter.requires_grad_(wanted[name])
    return [name for name, each in zip(named, gradients, strict=True) if each is None]


def _is_same(
    model: nn.Module, inputs: Inputs, expected: list[Tensor], *, without: Collection[str]
) -> bool:
    """Whether a model answers the same with others in the place of some parameters."""
    parameters = dict(model.named_parameters())
    kept = {name: parameters[name].detach().clone() for name in without}
    try:
        for factor in (torch.nan, _FAR_OFF, -_FAR_OFF):
            with torch.no_grad():
                for name, values in kept.items():
                    ramp = torch.linspace(1.0, 2.0, values.numel()).reshape(values.shape)
                    parameters[name].copy_(factor * ramp)
            if not _all_equal(_answers(model, inputs), expected):
                return False
        return True
    except Exception:  # of the model's own code on such values: it reads them
        return False
    finally:
        with torch.no_grad():
            for name, values in kept.items():
                parameters[name].copy_(values)


def _answers(model: nn.Module, inputs: Inputs) -> list[Tensor]:
    with torch.no_grad(), repeatable(model):
        return [tensor for _, tensor in named_tensors(call_model(model, inputs))]


def _all_equal(found: list[Tensor], expected: list[Tensor]) -> bool:
    return len(found) == len(expected) and all(map(torch.equal, found, expected))
