"""Which rule holds for which torch function. What is not named here pins all that it touches."""

from collections.abc import Callable, Mapping
from types import MappingProxyType

import torch

from niwaki.compress.pruning.provenance import Call, Provenance
from niwaki.compress.pruning.rules import (
    attention_layers,
    convolutions,
    elementwise,
    indexing,
    joining,
    norms,
    products,
    recurrence,
    reductions,
    scattering,
    shapes,
)

Rule = Callable[[Provenance, Call], None]


def _named(rule: Rule, names: str) -> dict[str, Rule]:
    return dict.fromkeys(names.split(), rule)


_ELEMENTWISE = """
    relu relu6 leaky_relu rrelu elu celu selu gelu silu mish sigmoid logsigmoid tanh hardtanh
    hardswish hardsigmoid hardshrink softshrink tanhshrink softplus softsign threshold dropout
    dropout1d dropout2d dropout3d alpha_dropout feature_dropout feature_alpha_dropout native_dropout
    abs absolute neg negative positive exp exp2 expm1 log log2 log10 log1p sqrt rsqrt square
    reciprocal sin cos tan asin acos atan sinh cosh asinh acosh atanh erf erfc erfinv floor ceil
    round trunc frac sign sgn clamp clip clamp_min clamp_max nan_to_num isnan isinf isfinite
    logical_not bitwise_not logit sinc
    add sub subtract mul multiply div divide true_divide truediv floordiv floor_divide pow
    remainder fmod mod maximum minimum fmax fmin atan2 hypot lerp addcmul addcdiv where masked_fill
    eq ne lt le gt ge equal_ logical_and logical_or logical_xor bitwise_and bitwise_or bitwise_xor
    and or xor invert copysign heaviside xlogy logaddexp copy rsub rdiv rpow
    clone contiguous detach alias type float half double bfloat16 int long bool cpu cuda
    requires_grad data real fill zero uniform normal bernoulli exponential
    fake_quantize_per_tensor_affine pin_memory
"""
_FLIPS = "flip fliplr flipud"
_MOVES: Mapping[str, Callable[..., torch.Tensor]] = {
    "permute": torch.Tensor.permute,
    "transpose": torch.transpose,
    "swapaxes": torch.swapaxes,
    "swapdims": torch.swapdims,
    "movedim": torch.movedim,
    "moveaxis": torch.moveaxis,
    "flip": torch.Tensor.flip,
    "fliplr": torch.fliplr,
    "flipud": torch.flipud,
    "repeat_interleave": torch.repeat_interleave,
    "pixel_unshuffle": torch.pixel_unshuffle,
    "rot90": torch.rot90,
}

RULES: Mapping[str, Rule] = MappingProxyType(
    {
        **_named(elementwise.elementwise, _ELEMENTWISE),
        **_named(
            elementwise.like, "zeros_like ones_like empty_like full_like rand_like randn_like"
        ),
        **_named(
            elementwise.made,
            "zeros ones empty full rand randn arange linspace tensor as_tensor scalar_tensor eye "
            "new_zeros new_ones new_empty new_full new_tensor randint randperm from_numpy",
        ),
        **_named(elementwise.cast, "to type_as"),
        **_named(elementwise.prelu, "prelu"),
        **{name: shapes.moved_by(function) for name, function in _MOVES.items()},
        **_named(shapes.transposed, "T mT H mH t adjoint"),
        **_named(
            shapes.reshaped,
            "view reshape flatten unflatten view_as reshape_as squeeze unsqueeze ravel",
        ),
        **_named(shapes.expanded, "expand expand_as broadcast_to repeat tile"),
        **_named(shapes.padded, "pad"),
        **_named(shapes.rolled, "roll"),
        **_named(shapes.pixel_shuffled, "pixel_shuffle"),
        **_named(shapes.channel_shuffled, "channel_shuffle native_channel_shuffle"),
        **_named(shapes.unfolded, "unfold im2col"),
        **_named(shapes.folded, "fold"),
        **_named(joining.concatenated, "cat concat concatenate"),
        **_named(joining.stacked, "stack"),
        **_named(
            joining.separated, "chunk split split_with_sizes tensor_split unbind unsafe_chunk"
        ),
        **_named(joining.gated, "glu"),
        **_named(products.linear, "linear"),
        **_named(products.bilinear, "bilinear"),
        **_named(products.matmul, "matmul mm bmm mv dot rmatmul"),
        **_named(products.added_product, "addmm baddbmm"),
        **_named(products.einsum, "einsum"),
        **_named(products.attention, "scaled_dot_product_attention"),
        **_named(attention_layers.multi_head_attention, "multi_head_attention_forward"),
        **_named(products.embedding, "embedding"),
        **_named(
            convolutions.convolution,
            "conv1d conv2d conv3d conv_transpose1d conv_transpose2d conv_transpose3d",
        ),
        **_named(recurrence.recurrence, "lstm gru rnn_tanh rnn_relu"),
        **_named(recurrence.cell, "lstm_cell gru_cell rnn_tanh_cell rnn_relu_cell"),
        **_named(recurrence.packed, "_pack_padded_sequence _pad_packed_sequence"),
        **_named(norms.per_channel, "batch_norm instance_norm"),
        **_named(norms.layer_norm, "layer_norm rms_norm"),
        **_named(norms.group_norm, "group_norm"),
        **_named(norms.across_channels, "local_response_norm"),
        **_named(
            reductions.reduced,
            "sum mean amax amin max min prod var std norm vector_norm logsumexp argmax argmin all "
            "any median nansum nanmean count_nonzero",
        ),
        **_named(
            reductions.along,
            "softmax log_softmax softmin gumbel_softmax cumsum cumprod normalize sort argsort topk",
        ),
        **_named(
            reductions.over_space,
            "max_pool1d max_pool2d max_pool3d avg_pool1d avg_pool2d avg_pool3d lp_pool1d lp_pool2d "
            "adaptive_avg_pool1d adaptive_avg_pool2d adaptive_avg_pool3d adaptive_max_pool1d "
            "adaptive_max_pool2d adaptive_max_pool3d interpolate upsample upsample_nearest "
            "upsample_bilinear grid_sample max_unpool2d fractional_max_pool2d",
        ),
        **_named(indexing.indexed, "getitem"),
        **_named(indexing.narrowed, "narrow"),
        **_named(indexing.selected, "select"),
        **_named(indexing.index_selected, "index_select"),
        **_named(indexing.assigned, "setitem"),
        **_named(scattering.gathered, "gather"),
        **_named(scattering.taken_along, "take_along_dim"),
        **_named(scattering.scattered, "scatter scatter_add scatter_reduce"),
        **_named(scattering.scattered_in_slices, "index_add index_copy index_reduce index_fill"),
    }
)
"""Rules by canonical name."""

_SILENT = """
    size dim ndim numel nelement ndimension stride storage_offset is_contiguous
    is_floating_point is_complex get_device element_size len is_tensor is_same_size has_names
    format repr hash retain_grad register_hook is_inference is_pinned is_signed
    get_default_dtype set_grad_enabled result_type can_cast broadcast_shapes
"""
SILENT = frozenset(_SILENT.split())
"""Functions that tell only about shapes and types, so that they bind nothing."""
