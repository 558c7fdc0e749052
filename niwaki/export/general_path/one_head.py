"""Attention of one head, as torch's exporter takes it: with an axis for the heads.

torch computes `scaled_dot_product_attention` of (B, L, D) as well as of (B, heads, L, D); its
exporter writes the latter alone.
"""

from typing import Any

from torch.nn import functional
from torch.overrides import TorchFunctionMode


def _attention(
    query: Any,
    key: Any,
    value: Any,
    attn_mask: Any = None,
    dropout_p: float = 0.0,
    is_causal: bool = False,
    **options: Any,
) -> Any:
    """Attend as torch does, and with an axis for the heads where there is none."""
    lacks_heads = query.ndim == key.ndim == value.ndim == 3
    if lacks_heads:
        query, key, value = (factor.unsqueeze(1) for factor in (query, key, value))
        if attn_mask is not None and attn_mask.ndim == 3:
            attn_mask = attn_mask.unsqueeze(1)
    attended = functional.scaled_dot_product_attention(
        query, key, value, attn_mask, dropout_p, is_causal, **options
    )
    return attended.squeeze(1) if lacks_heads else attended


class OneHeadApart(TorchFunctionMode):
    """Lets attention over three axes, inside the block, run over four."""

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if func is functional.scaled_dot_product_attention:
            func = _attention
        return func(*args, **(kwargs or {}))
