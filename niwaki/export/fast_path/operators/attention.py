"""Attention, and the masks that say what it leaves out."""

import math

import numpy as np
import torch.nn.functional as F  # noqa: N812  (as everyone spells it)

from niwaki.export.fast_path.attention import attention_weights, joined_masks
from niwaki.export.fast_path.operators.filled import repeated_items
from niwaki.export.fast_path.operators.table import Call, function_converter
from niwaki.export.graph.writer import Shape, Tensor

_BOOL = "bool"


@function_converter(F.scaled_dot_product_attention)
def convert_attention(
    call: Call,
    query: Tensor,
    key: Tensor,
    value: Tensor,
    attn_mask: Tensor | None = None,
    dropout_p: float = 0.0,
    is_causal: bool = False,
    *,
    scale: float | None = None,
    enable_gqa: bool = False,
) -> Tensor:
    """Write a softmax of scaled products, times the values."""
    if dropout_p:
        raise call.unsupported("dropout is active: pass dropout_p=0 in evaluation")
    width = query.shape[-1]
    if enable_gqa:
        key, value = (_for_each_query(call, query, each) for each in (key, value))
    if width is None or query.rank != key.rank or query.rank != value.rank:
        raise call.unsupported("queries have other axes than keys, or grow with the batch")
    writer, path = call.writer, call.path
    factor = writer.scalar(f"{path}.scale", 1 / math.sqrt(width) if scale is None else scale)
    order = [*range(key.rank - 2), key.rank - 1, key.rank - 2]
    turned_shape = tuple(key.shape[axis] for axis in order)
    turned = writer.node("Transpose", [key], turned_shape, name=f"{path}.keys", perm=order)
    shape = (*call.shape[:-1], key.shape[-2])
    # Of scaled queries that are values, too, ONNX Runtime 1.32 loses the one or the other.
    scaled = writer.node("Mul", [turned, factor], turned_shape, name=f"{path}.scaled")
    scores = writer.node("MatMul", [query, scaled], shape, name=f"{path}.scores")
    if is_causal:
        scores = _before(call, scores, shape)
    if attn_mask is not None:
        scores = _masked(call, scores, attn_mask, shape)
    weights = writer.node("Softmax", [scores], shape, name=f"{path}.softmax", axis=-1)
    if attn_mask is not None:
        # Who sees nothing gets zeros from torch, and no number from the softmax.
        lost = writer.node("IsNaN", [weights], shape, name=f"{path}.lost")
        none = writer.scalar(f"{path}.none", 0.0)
        weights = writer.node("Where", [lost, none, weights], shape, name=f"{path}.weights")
    return writer.node("MatMul", [weights, value], call.shape, name=path)


def _for_each_query(call: Call, query: Tensor, x: Tensor) -> Tensor:
    """Repeat heads of keys or values, (..., heads, items, channels), for those of queries."""
    wanted, given = query.shape[-3], x.shape[-3]
    if wanted is None or given is None:
        raise call.unsupported("how many heads there are depends on the batch")
    if wanted == given:
        return x
    shape = (*x.shape[:-3], wanted, *x.shape[-2:])
    target = [-1 if size is None else size for size in shape]
    if target.count(-1) > 1:
        raise call.unsupported("more than one axis grows with the batch")
    copies = repeated_items(call, x, wanted // given, x.rank - 3)
    name = call.writer.integers(f"{call.path}.shape", target)
    return call.writer.node("Reshape", [copies, name], shape, name=f"{call.path}.heads")


def _before(call: Call, scores: Tensor, shape: Shape) -> Tensor:
    """Leave out of scores what comes later."""
    n_queries, n_keys = shape[-2:]
    if n_queries is None or n_keys is None:
        raise call.unsupported("its length grows with the batch")
    later = np.triu(np.full((n_queries, n_keys), -np.inf, np.float32), 1)
    mask = call.writer.constant(f"{call.path}.later", later)
    return call.writer.node("Add", [scores, mask], shape, name=f"{call.path}.causal")


def _masked(call: Call, scores: Tensor, mask: Tensor, shape: Shape) -> Tensor:
    if mask.dtype != _BOOL:
        return call.writer.node("Add", [scores, mask], shape, name=f"{call.path}.masked")
    out = call.writer.scalar(f"{call.path}.out", -math.inf)
    return call.writer.node("Where", [mask, scores, out], shape, name=f"{call.path}.masked")


@function_converter(joined_masks)
def convert_masks(call: Call, padding: Tensor | None, pairs: Tensor | None) -> Tensor:
    """Write the sum of what each mask adds to scores."""
    parts = []
    if padding is not None:
        batch, n_keys = padding.shape
        parts.append(_added(call, padding, [1, 2], (batch, 1, 1, n_keys)))
    if pairs is not None:
        n_queries, n_keys = pairs.shape
        parts.append(_added(call, pairs, [0, 1], (1, 1, n_queries, n_keys)))
    if len(parts) == 1:
        return parts[0]
    return call.writer.node("Add", parts, call.shape, name=call.path)


def _added(call: Call, mask: Tensor, new_axes: list[int], shape: Shape) -> Tensor:
    """Write what a mask adds to scores, with axes for batch and heads."""
    writer, path = call.writer, call.path
    axes = writer.integers(f"{path}.axes", new_axes)
    if mask.dtype == _BOOL:
        out, kept = writer.scalar(f"{path}.out", -math.inf), writer.scalar(f"{path}.in", 0.0)
        mask = writer.node("Where", [mask, out, kept], mask.shape, name=f"{path}.added")
    return writer.node("Unsqueeze", [mask, axes], shape, name=f"{path}.mask")


@function_converter(attention_weights)
def convert_attention_weights(call: Call, *_args: object) -> Tensor:
    """Refuse what hardly anybody reads; where nobody does, it is not called."""
    raise call.unsupported("the weights of its attention are read")
