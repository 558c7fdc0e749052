"""torch's own transformer layers, followed into what they compute.

Their code decides by values and runs fused kernels, which no symbolic trace follows. While a module
is traced, it is as if they were written plainly, of the same parts: so each layer of theirs is a
layer of the graph.
"""

from collections.abc import Callable
from typing import Any

import torch
import torch.nn.functional as F  # noqa: N812  (as everyone spells it)
from torch import Tensor, fx, nn
from torch.nn.modules.linear import NonDynamicallyQuantizableLinear

Forward = Callable[..., Any]


def plain_forward(module: nn.Module) -> Forward | None:
    """Return a `forward` that can be followed, for a layer that is followed into; else None."""
    if module._forward_hooks or module._forward_pre_hooks or "forward" in module.__dict__:
        return None
    match module:
        case nn.MultiheadAttention() if _is_plain(module):
            return lambda *args, **kwargs: _attention(module, *args, **kwargs)
        case nn.TransformerEncoderLayer() if type(module) is nn.TransformerEncoderLayer:
            return lambda *args, **kwargs: _encoder_layer(module, *args, **kwargs)
        case nn.TransformerEncoder() if type(module) is nn.TransformerEncoder:
            return lambda *args, **kwargs: _encoder(module, *args, **kwargs)
        case nn.TransformerDecoderLayer() if type(module) is nn.TransformerDecoderLayer:
            return lambda *args, **kwargs: _decoder_layer(module, *args, **kwargs)
        case nn.TransformerDecoder() if type(module) is nn.TransformerDecoder:
            return lambda *args, **kwargs: _decoder(module, *args, **kwargs)
    return None


def _is_plain(module: nn.MultiheadAttention) -> bool:
    """Whether one weight projects queries, keys and values, and nothing is added to them.

    torch reads the weights of `out_proj` without calling it, whatever was put there.
    """
    is_joined = module._qkv_same_embed_dim and module.bias_k is None and module.bias_v is None
    is_linear = type(module.out_proj) in (NonDynamicallyQuantizableLinear, nn.Linear)
    is_own = type(module) is nn.MultiheadAttention
    return is_own and is_joined and is_linear and not module.add_zero_attn


def _encoder(
    module: nn.TransformerEncoder,
    src: Any,
    mask: Any = None,
    src_key_padding_mask: Any = None,
    is_causal: bool | None = None,  # noqa: ARG001  (a hint about the mask)
) -> Any:
    x = src
    for layer in module.layers:
        x = layer(x, src_mask=mask, src_key_padding_mask=src_key_padding_mask)
    return x if module.norm is None else module.norm(x)


def _encoder_layer(
    module: nn.TransformerEncoderLayer,
    src: Any,
    src_mask: Any = None,
    src_key_padding_mask: Any = None,
    is_causal: bool = False,  # noqa: ARG001  (a hint about the mask)
) -> Any:
    def attended(x: Any) -> Any:
        answer, _ = module.self_attn(
            x,
            x,
            x,
            attn_mask=src_mask,
            key_padding_mask=src_key_padding_mask,
            need_weights=False,
        )
        return module.dropout1(answer)

    def fed_forward(x: Any) -> Any:
        inner = module.dropout(module.activation(module.linear1(x)))
        return module.dropout2(module.linear2(inner))

    if module.norm_first:
        x = src + attended(module.norm1(src))
        return x + fed_forward(module.norm2(x))
    x = module.norm1(src + attended(src))
    return module.norm2(x + fed_forward(x))


def _decoder(
    module: nn.TransformerDecoder,
    tgt: Any,
    memory: Any,
    tgt_mask: Any = None,
    memory_mask: Any = None,
    tgt_key_padding_mask: Any = None,
    memory_key_padding_mask: Any = None,
    tgt_is_causal: bool | None = None,  # noqa: ARG001  (a hint about the mask)
    memory_is_causal: bool = False,  # noqa: ARG001
) -> Any:
    x = tgt
    for layer in module.layers:
        x = layer(
            x,
            memory,
            tgt_mask=tgt_mask,
            memory_mask=memory_mask,
            tgt_key_padding_mask=tgt_key_padding_mask,
            memory_key_padding_mask=memory_key_padding_mask,
        )
    return x if module.norm is None else module.norm(x)


def _decoder_layer(
    module: nn.TransformerDecoderLayer,
    tgt: Any,
    memory: Any,
    tgt_mask: Any = None,
    memory_mask: Any = None,
    tgt_key_padding_mask: Any = None,
    memory_key_padding_mask: Any = None,
    tgt_is_causal: bool = False,  # noqa: ARG001  (a hint about the mask)
    memory_is_causal: bool = False,  # noqa: ARG001
) -> Any:
    own = {"attn_mask": tgt_mask, "key_padding_mask": tgt_key_padding_mask}
    others = {"attn_mask": memory_mask, "key_padding_mask": memory_key_padding_mask}

    def attended(x: Any) -> Any:
        answer, _ = module.self_attn(x, x, x, **own, need_weights=False)
        return module.dropout1(answer)

    def looked_up(x: Any) -> Any:
        answer, _ = module.multihead_attn(x, memory, memory, **others, need_weights=False)
        return module.dropout2(answer)

    def fed_forward(x: Any) -> Any:
        inner = module.dropout(module.activation(module.linear1(x)))
        return module.dropout3(module.linear2(inner))

    if module.norm_first:
        x = tgt + attended(module.norm1(tgt))
        x = x + looked_up(module.norm2(x))
        return x + fed_forward(module.norm3(x))
    x = module.norm1(tgt + attended(tgt))
    x = module.norm2(x + looked_up(x))
    return module.norm3(x + fed_forward(x))


def _attention(
    module: nn.MultiheadAttention,
    query: Any,
    key: Any,
    value: Any,
    key_padding_mask: Any = None,
    need_weights: bool = True,
    attn_mask: Any = None,
    average_attn_weights: bool = True,
    is_causal: bool = False,  # noqa: ARG001  (a hint about the mask)
) -> Any:
    given = (query, key, value)
    if not module.batch_first:
        given = (query.transpose(0, 1), key.transpose(0, 1), value.transpose(0, 1))
    if query is key and key is value:
        queries, keys, values = _projected(module, given[0], None)
    else:
        queries, keys, values = (_projected(module, x, i)[0] for i, x in enumerate(given))
    mask = None
    if key_padding_mask is not None or attn_mask is not None:
        mask = _call(joined_masks, key_padding_mask, attn_mask)
    found = F.scaled_dot_product_attention(queries, keys, values, attn_mask=mask)
    answer = module.out_proj(found.transpose(1, 2).flatten(2))
    if not module.batch_first:
        answer = answer.transpose(0, 1)
    if not need_weights:
        return answer, None
    return answer, _call(attention_weights, queries, keys, mask, average_attn_weights)


def _projected(module: nn.MultiheadAttention, x: Any, part: int | None) -> Any:
    """Return queries, keys and values, or one of them: (batch, heads, items, channels) each."""
    weight: Any = module.in_proj_weight
    bias: Any = module.in_proj_bias
    if part is not None:
        rows = slice(part * module.embed_dim, (part + 1) * module.embed_dim)
        weight, bias = weight[rows], None if bias is None else bias[rows]
    shape = (3 if part is None else 1, module.num_heads, module.head_dim)
    heads = F.linear(x, weight, bias).reshape(x.shape[0], x.shape[1], *shape)
    return heads.permute(2, 0, 3, 1, 4).unbind(0)


def _call(function: Callable[..., Any], *args: Any) -> Any:
    """Call a function, or note the call where it is given stand-ins for tensors."""
    tracer = next((arg.tracer for arg in args if isinstance(arg, fx.Proxy)), None)
    if tracer is None:
        return function(*args)
    return tracer.create_proxy("call_function", function, args, {})


def joined_masks(padding: Tensor | None, pairs: Tensor | None) -> Tensor:
    """Return what is added to the scores of all heads: (batch or 1, 1, queries or 1, keys).

    Args:
        padding: (batch, keys); true, or minus infinity, for what is left out.
        pairs: (queries, keys), the same.

    Raises:
        NotImplementedError: If there is a mask for each head.
    """
    if pairs is not None and pairs.ndim != 2:
        raise NotImplementedError("a mask for each head")
    parts = [] if padding is None else [_added(padding)[:, None, None, :]]
    if pairs is not None:
        parts.append(_added(pairs)[None, None, :, :])
    return parts[0] if len(parts) == 1 else parts[0] + parts[1]


def _added(mask: Tensor) -> Tensor:
    if mask.dtype != torch.bool:
        return mask
    return torch.zeros_like(mask, dtype=torch.float32).masked_fill(mask, float("-inf"))


def attention_weights(queries: Tensor, keys: Tensor, mask: Tensor | None, average: bool) -> Tensor:
    """Return the weights of attention, (batch, queries, keys), or of each head."""
    scores = queries @ keys.transpose(-2, -1) / queries.shape[-1] ** 0.5
    weights = torch.softmax(scores if mask is None else scores + mask, dim=-1)
    return weights.mean(1) if average else weights
