"""Cross-layer equalisation of a torch module, as `equalisation` does it to its graph."""

from collections import Counter, defaultdict

import torch
import torch.nn.functional as F  # noqa: N812  (as everyone spells it)
from torch import Tensor, fx, nn

from niwaki.export.fast_path.fx_graph import WrittenGraph
from niwaki.export.int8.equalisation import LEAST_SPREAD, Pair, equalising_scales

# Layers of one's own call these functions with their weights.
_LAYERS = (nn.Conv1d, nn.Conv2d, nn.Linear, nn.BatchNorm1d, nn.BatchNorm2d)
_FUNCTIONS = (F.conv1d, F.conv2d, F.linear, F.batch_norm)


def equalise_module(
    module: nn.Module, written: WrittenGraph, *, least_spread: float = LEAST_SPREAD
) -> None:
    """Scale the channels between the layers of a module, in place; it computes the same.

    Pairs are left alone where something else reads the weights that would be scaled, or where there
    are none, as in a batch norm without `affine`. A graph has a copy of them for each call.

    Args:
        module: In evaluation mode.
        written: Its graph.
        least_spread: As for `equalising_scales`.
    """
    norms = {_layer_of(call): _layer_of(last) for call, (*_, last) in written.folded.items()}
    own = _with_own_weights(module, written)

    def can_be_scaled(pair: Pair) -> bool:
        first, second = pair.first.path, pair.second.path
        return first in own and norms.get(first, first) in own and second in own

    found = equalising_scales(written.model, least_spread=least_spread, among=can_be_scaled)
    for pair, scales in found.items():
        giver = module.get_submodule(norms.get(pair.first.path, pair.first.path))
        scale = torch.from_numpy(scales).to(giver.get_parameter("weight"))
        with torch.no_grad():
            for parameter in giver.parameters(recurse=False):
                parameter.div_(scale.reshape(-1, *[1] * (parameter.ndim - 1)))
            _multiply_inputs(module.get_submodule(pair.second.path), scale)


def _layer_of(call: fx.Node) -> str:
    """Return the path of the module that a call is of, or that the weights are of that it reads."""
    if call.op == "call_module":
        return str(call.target)
    read = [str(each.target) for each in call.all_input_nodes if each.op == "get_attr"]
    return read[0].rpartition(".")[0] if read else ""


def _with_own_weights(module: nn.Module, written: WrittenGraph) -> set[str]:
    """Return the paths of the modules that are called once, with weights that they alone read."""
    weights = dict(module.named_parameters(remove_duplicate=False))
    n_readers: Counter[int] = Counter()
    read: dict[str, set[int]] = defaultdict(set)
    for node in written.traced.nodes:
        if node.op == "call_module":
            called = module.get_submodule(str(node.target))
            storages = {_storage(weight) for weight in called.parameters()}
            read[str(node.target)] |= storages
            n_readers.update(storages)
        elif node.op == "get_attr" and str(node.target) in weights:
            storage = _storage(weights[str(node.target)])
            n_readers.update([storage] * len(node.users))
            owner = str(node.target).rpartition(".")[0]
            plain = all(reader.target in _FUNCTIONS for reader in node.users)
            if plain and isinstance(module.get_submodule(owner), _LAYERS):
                read[owner].add(storage)
            else:
                n_readers.update([storage])  # others compute with it, too
    return {
        path
        for path, storages in read.items()
        if storages and all(n_readers[storage] == 1 for storage in storages)
    }


def _storage(weight: Tensor) -> int:
    """Return what tells apart weights that share no number: one may be a view of another."""
    return weight.untyped_storage().data_ptr()


def _multiply_inputs(layer: nn.Module, scale: Tensor) -> None:
    """Multiply what a layer reads channel by channel: runs of inputs, behind a flatten."""
    weight = layer.get_parameter("weight")  # (C_out, C_in / groups, ...)
    groups = layer.groups if isinstance(layer, nn.Conv1d | nn.Conv2d) else 1
    n_read = weight.shape[1] * groups
    by_input = scale.repeat_interleave(n_read // len(scale)).reshape(groups, 1, -1)
    by_group = weight.view(groups, -1, *weight.shape[1:])
    by_group.mul_(by_input.reshape(groups, 1, weight.shape[1], *[1] * (weight.ndim - 2)))
