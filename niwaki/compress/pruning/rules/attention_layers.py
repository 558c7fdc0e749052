"""`nn.MultiheadAttention`, which torch computes in one function."""

import inspect
from collections.abc import Mapping
from typing import Any

from torch import Tensor
from torch.nn import functional

from niwaki.compress.pruning.labels import Label
from niwaki.compress.pruning.provenance import Call, CostTerm, Provenance, Role, tensors_in
from niwaki.compress.pruning.rules.products import inner_axis
from niwaki.compress.pruning.sizes import tag_of

_SIGNATURE = inspect.signature(functional.multi_head_attention_forward)
_MASKS = ("key_padding_mask", "attn_mask")


def multi_head_attention(state: Provenance, call: Call) -> None:
    """Whole heads go, and from the inputs as many channels: it is as wide inside as its query.

    What it returns may have any width. Where keys or values have widths of their own, or the mask
    differs by head, it stays as it is.
    """
    given = _SIGNATURE.bind(*call.args, **call.kwargs)
    given.apply_defaults()
    obstacle = _obstacle(given.arguments)
    if obstacle:
        state.record_fixed(call, f"{_name(call)} {obstacle}")
        return
    columns, rows = _bind_inside(state, call, given.arguments)
    out_weight, out_bias = (given.arguments[f"out_proj_{name}"] for name in ("weight", "bias"))
    because = f"{_name(call)} adds a bias"
    outside = state.along(out_weight, 0, because)
    if out_bias is not None:
        state.atoms.unite(state.along(out_bias, 0, because), outside, because)
    for mask in tensors_in([given.arguments[name] for name in _MASKS]):
        for label in state.labels(mask):
            state.atoms.pin(label.atoms, f"{_name(call)} takes them as a mask")
    found, scores = call.out
    state.record(call, found, [Label((found.ndim - 1,), outside)] if len(outside) > 1 else [])
    if scores is not None:
        state.record(call, scores)
    _note_costs(state, call, given.arguments, (columns, rows, outside))


def _name(call: Call) -> str:
    return f"nn.MultiheadAttention {call.site.module}"


def _obstacle(given: Mapping[str, Any]) -> str:
    """Return why nothing of it can go; empty if something can."""
    mask = given["attn_mask"]
    if given["use_separate_proj_weight"]:
        return "has keys or values of another width than its queries"
    if given["bias_k"] is not None or given["static_k"] is not None:
        return "adds keys and values of its own"
    if mask is not None and mask.ndim == 3:
        return "has a mask for each head"
    return ""


def _bind_inside(state: Provenance, call: Call, given: Mapping[str, Any]) -> tuple[Tensor, Tensor]:
    """Bind everything that is as wide as the query.

    Returns:
        (E,) atoms of what is read, and (3, E) of the queries, keys and values computed.
    """
    why = f"{_name(call)} is as wide inside as its input"
    n_heads, weight = given["num_heads"], given["in_proj_weight"]
    heads = inner_axis(state, call, int(n_heads), "heads")
    state.follow(tag_of(n_heads), heads, why)
    columns = state.along(weight, 1, why)
    rows = state.along(weight, 0, why).reshape(3, -1)  # (queries, keys and values; channels)
    state.atoms.unite(columns.reshape(len(heads), -1), heads[:, None], why)
    state.follow(tag_of(given["embed_dim_to_check"]), columns, why)
    state.atoms.unite(rows.reshape(3, len(heads), -1), heads[:, None], why)
    if given["in_proj_bias"] is not None:
        bias = state.along(given["in_proj_bias"], 0, why)
        state.atoms.unite(bias, rows.reshape(-1), f"{_name(call)} adds a bias")
    read = state.along(given["out_proj_weight"], 1, why)
    state.atoms.unite(read.reshape(len(heads), -1), heads[:, None], why)
    for name in ("query", "key", "value"):
        x: Tensor = given[name]
        for label in state.labels(x):
            if x.ndim - 1 not in label.dims:
                state.atoms.pin(label.atoms, f"{_name(call)} attends to them")
        state.atoms.unite(state.along(x, -1, why), columns, f"{_name(call)} reads them")
    return columns, rows


def _note_costs(
    state: Provenance, call: Call, given: Mapping[str, Any], ends: tuple[Tensor, Tensor, Tensor]
) -> None:
    columns, rows, outside = ends
    width = len(columns)
    n_queries, n_keys = (given[name].numel() / width for name in ("query", "key"))
    n_examples = given["query"].shape[1] if given["query"].ndim == 3 else 1
    n_pairs = n_queries * (n_keys / n_examples + given["add_zero_attn"])
    terms = [
        (n_queries, (columns, rows[0])),
        (n_keys, (columns, rows[1])),
        (n_keys, (columns, rows[2])),
        (n_pairs, (rows[1],)),
        (n_pairs, (rows[2],)),
        (n_queries, (rows[2], outside)),
    ]
    state.costs.extend(CostTerm(call.site.module, float(n), factors) for n, factors in terms)
    for name, dim, role in (
        ("in_proj_weight", 0, Role.WRITES),
        ("in_proj_weight", 1, Role.READS),
        ("out_proj_weight", 0, Role.WRITES),
        ("out_proj_weight", 1, Role.READS),
    ):
        state.note_role(state.origin(given[name]).described, dim, role)
