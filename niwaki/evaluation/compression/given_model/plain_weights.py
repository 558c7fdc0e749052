"""Weights that are computed at each call, as weight norm does, turned into plain ones."""

from torch import nn
from torch.nn.utils import parametrize, prune
from torch.nn.utils.spectral_norm import (
    SpectralNorm,
    SpectralNormLoadStateDictPreHook,
    remove_spectral_norm,
)
from torch.nn.utils.weight_norm import WeightNorm, remove_weight_norm

from niwaki.compress.pruning.copying import copied
from niwaki.compress.pruning.model_calls import in_evaluation

_Hook = WeightNorm | SpectralNorm | prune.BasePruningMethod


def computed_weights(module: nn.Module) -> tuple[str, ...]:
    """Return the names of the parameters that a model computes from others at each call."""
    return tuple(
        f"{path}.{name}" if path else name
        for path, child in module.named_modules()
        for name in (*_parametrized(child), *(_computed_by(hook) for hook in _hooks(child)))
    )


def with_plain_weights(module: nn.Module) -> nn.Module:
    """Return a model that computes the same from plain weights: itself if it has no others.

    A layer of a normalised weight can lose channels and be quantized like any other, and what is
    deployed never computes the norm anyhow. Fine-tuning changes the weight itself.
    """
    if not computed_weights(module):
        return module
    plain = in_evaluation(copied(module))
    for child in list(plain.modules()):
        _own_class(child)
        for name in _parametrized(child):
            parametrize.remove_parametrizations(child, name, leave_parametrized=True)
            _own(child, name)
        for hook in _hooks(child):
            _remove(child, hook)
    return plain


def _own_class(module: nn.Module) -> None:
    """Give a copied layer a class of its own: torch takes the weight from it, for all copies."""
    kind = type(module)
    if parametrize.is_parametrized(module):
        given = {k: v for k, v in vars(kind).items() if k not in ("__dict__", "__weakref__")}
        module.__class__ = type(kind.__name__, kind.__bases__, given)


def _own(module: nn.Module, name: str) -> None:
    """Make a weight a parameter; torch leaves a buffer where what it was made of is frozen."""
    if name in module._buffers:
        frozen = module._buffers.pop(name)
        assert frozen is not None
        module.register_parameter(name, nn.Parameter(frozen, requires_grad=False))


def _parametrized(module: nn.Module) -> tuple[str, ...]:
    if not parametrize.is_parametrized(module):
        return ()
    found = module.parametrizations
    assert isinstance(found, nn.ModuleDict)
    return tuple(found)


def _hooks(module: nn.Module) -> tuple[_Hook, ...]:
    return tuple(h for h in module._forward_pre_hooks.values() if isinstance(h, _Hook))


def _computed_by(hook: _Hook) -> str:
    return hook._tensor_name if isinstance(hook, prune.BasePruningMethod) else hook.name


def _remove(module: nn.Module, hook: _Hook) -> None:
    match hook:
        case WeightNorm():
            remove_weight_norm(module, hook.name)
        case prune.BasePruningMethod():
            prune.remove(module, _computed_by(hook))  # type: ignore[no-untyped-call]
        case SpectralNorm():
            remove_spectral_norm(module, hook.name)
            _load_plainly(module, hook)


def _load_plainly(module: nn.Module, removed: SpectralNorm) -> None:
    """Forget a hook that torch leaves behind: it would look for the norm in each saved state."""
    for key, kept in list(module._load_state_dict_pre_hooks.items()):
        inner = getattr(kept, "hook", kept)  # torch wraps it
        if isinstance(inner, SpectralNormLoadStateDictPreHook) and inner.fn is removed:
            del module._load_state_dict_pre_hooks[key]
