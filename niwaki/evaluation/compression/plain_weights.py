"""Weights that are computed at each call, as weight norm does, turned into plain ones."""

from torch import nn
from torch.nn.utils import parametrize
from torch.nn.utils.spectral_norm import SpectralNorm, remove_spectral_norm
from torch.nn.utils.weight_norm import WeightNorm, remove_weight_norm

from niwaki.compress.pruning.copying import copied


def computed_weights(module: nn.Module) -> tuple[str, ...]:
    """Return the names of the parameters that a model computes from others at each call."""
    return tuple(
        f"{path}.{name}" if path else name
        for path, child in module.named_modules()
        for name in (*_parametrized(child), *(hook.name for hook in _hooks(child)))
    )


def with_plain_weights(module: nn.Module) -> nn.Module:
    """Return a model that computes the same from plain weights: itself if it has no others.

    A layer of a normalised weight can lose channels and be quantized like any other, and what is
    deployed never computes the norm anyhow. Fine-tuning changes the weight itself.
    """
    if not computed_weights(module):
        return module
    plain = copied(module).eval()
    for child in list(plain.modules()):
        _own_class(child)
        for name in _parametrized(child):
            parametrize.remove_parametrizations(child, name, leave_parametrized=True)
            _own(child, name)
        for hook in _hooks(child):
            if isinstance(hook, WeightNorm):
                remove_weight_norm(child, hook.name)
            else:
                remove_spectral_norm(child, hook.name)
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


def _hooks(module: nn.Module) -> tuple[WeightNorm | SpectralNorm, ...]:
    hooks = module._forward_pre_hooks.values()
    return tuple(hook for hook in hooks if isinstance(hook, WeightNorm | SpectralNorm))
