"""Whether a super-network's networks are what the table of their layers says, before it is trained.

Costs are never measured: `macs`, `params` and `weight_bytes` come from the table, and so do the
layers whose precision is searched. Where somebody's own is wrong, so would be the front.
"""

from collections.abc import Iterator, Sequence

import torch
from torch import Tensor, nn

from niwaki.core.candidate import Candidate
from niwaki.core.errors import SpaceError
from niwaki.core.randomness import stream
from niwaki.core.user_randomness import seeded
from niwaki.predictors.proxies.base import TRANSPOSED
from niwaki.spaces.super_network.base import SuperNetwork
from niwaki.spaces.super_network.space import ElasticSpace, SharedLayer

N_SAMPLES = 4
_REMEDY = (
    "let `layer_table`, `layer_conditions` and `extract` say the same; "
    "`niwaki.testing.super_network_contract` tests all of it"
)


def require_true_table(
    space: ElasticSpace, network: SuperNetwork, input_shape: tuple[int, ...]
) -> None:
    """Compare the table with the largest network, the smallest, those with names, and a few others.

    Args:
        space: Of the architectures.
        network: Its super-network, trained or not; left as it is.
        input_shape: Of one input, without the batch.

    Raises:
        SpaceError: On the first difference, with what is said and what is there.
    """
    known = (space.largest, space.smallest, *space.seeds.values(), *_samples(space))
    for candidate in dict.fromkeys(known):
        table = space.layer_table(candidate)
        _require_names(space, candidate, [layer.path for layer in table])
        with seeded():  # whose draws are put back
            module = network.extract(candidate)
        _require_costs(module, table, candidate, input_shape)


def _samples(space: ElasticSpace) -> Iterator[Candidate]:
    for number in range(N_SAMPLES):
        yield space.sample(stream(number, "table check"))


def _require_names(space: ElasticSpace, candidate: Candidate, paths: list[str]) -> None:
    named = list(space.layers(candidate))
    if named == paths:
        return
    only = {
        "`layer_table`": sorted({*paths} - {*named}),
        "`layer_conditions`": sorted({*named} - {*paths}),
    }
    said = [f"only {who} has {', '.join(found)}" for who, found in only.items() if found]
    difference = "; ".join(said) or "`layer_table` and `layer_conditions` have them in other orders"
    raise SpaceError(f"of the layers of {candidate.key} ({candidate}), {difference}: {_REMEDY}")


def _require_costs(
    module: nn.Module,
    table: Sequence[SharedLayer],
    candidate: Candidate,
    input_shape: tuple[int, ...],
) -> None:
    modules, weights = dict(module.named_modules()), dict(module.named_parameters())
    for layer in table:
        weight = weights.get(f"{layer.path}.weight")
        found = 0 if weight is None else weight.numel()
        _compare(f"'{layer.path}' has {{}} weights", candidate, layer.n_weights, found)
    n_params = sum(layer.params for layer in table)
    found = sum(parameter.numel() for parameter in module.parameters())
    _compare("all layers have {} parameters, norms and biases included", candidate, n_params, found)
    watched = {layer.path: modules[layer.path] for layer in table}
    places = _places(module, watched, input_shape)
    for layer in table:
        own = modules[layer.path]
        n_channels = own.in_channels if isinstance(own, TRANSPOSED) else layer.n_outputs
        n_macs = layer.n_weights * places[layer.path] // n_channels
        _compare(f"'{layer.path}' has {{}} multiply-accumulates", candidate, layer.macs, n_macs)


def _places(
    module: nn.Module, watched: dict[str, nn.Module], input_shape: tuple[int, ...]
) -> dict[str, int]:
    """Return how many numbers each layer puts out, or takes if transposed, for one input."""
    places = dict.fromkeys(watched, 0)

    def watch(path: str, layer: nn.Module) -> torch.utils.hooks.RemovableHandle:
        def count(layer: nn.Module, given: tuple[Tensor, ...], output: Tensor) -> None:
            counted = given[0] if isinstance(layer, TRANSPOSED) else output
            places[path] += counted[0].numel()

        return layer.register_forward_hook(count)

    handles = [watch(*item) for item in watched.items()]
    device = next(module.parameters()).device
    with torch.no_grad():
        module.eval()(torch.zeros(1, *input_shape, device=device))
    for handle in handles:
        handle.remove()
    return places


def _compare(what: str, candidate: Candidate, said: int, found: int) -> None:
    if said != found:
        raise SpaceError(
            f"by the table of layers {what.format(f'{said:,}')}, and {found:,} in the network that "
            f"is extracted of {candidate.key} ({candidate}): {_REMEDY}"
        )
