"""The idioms by name, with inputs for each."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn

from niwaki.testing.pruning_idioms import convolutional, recurrent, sequences, sharing


@dataclass(frozen=True)
class Idiom:
    """One small network.

    Attributes:
        name: Its function's.
        summary: What is special, for people.
        make: Returns a new one, with random weights from torch's generator.
        inputs: Returns inputs for it.
        exact: Whether zeroed slices alone give what the pruned network computes; a norm over
            channels, if it loses some, counts zeros.
    """

    name: str
    summary: str
    make: Callable[[], nn.Module]
    inputs: Callable[[], Any]
    exact: bool = True


def _image() -> Any:
    return torch.randn(2, 3, 8, 8)


def _images() -> Any:
    return torch.randn(2, 3, 8, 8), torch.randn(2, 3, 8, 8)


def _image_and_vector() -> Any:
    return torch.randn(2, 3, 8, 8), torch.randn(2, 7)


def _sequence() -> Any:
    return torch.randn(2, 7, 6)


def _sequences() -> Any:
    return torch.randn(2, 7, 6), torch.randn(2, 5, 10)


def _words() -> Any:
    return torch.randint(1, 50, (2, 7))


_CONVOLUTIONAL = (
    "plain residual chained_residuals projection_shortcut concatenation dense_block "
    "nested_concatenation split_after_concatenation cross_stage_chunk split_by_attribute "
    "split_by_half_of_attribute split_by_rest_of_attribute split_by_ratio_of_attributes "
    "split_by_measured_size slices_by_attribute "
    "half_slices strided_slices constant_slice channel_shuffle plain_shuffle shuffle_layer "
    "channel_flip grouped many_groups depthwise depthwise_multiplier transposed "
    "grouped_transposed depthwise_transposed squeeze_excite squeeze_excite_linear "
    "efficient_channel_attention channel_and_spatial_attention selective_kernel gated_function "
    "flattened multi_scale_flatten unflattened pixel_shuffle pixel_unshuffle repeated "
    "repeated_interleaved padded_shortcut zeros_joined buffer_gain gain_of_open_shape layer_scale "
    "group_normalised instance_normalised slopes upsampled_skip blurred one_and_three_dimensions "
    "neighbours_normalised larger_of_two"
)
_SHARING = (
    "weight_used_twice module_used_twice tied_embedding shared_head siamese two_inputs "
    "several_heads dataclass_output checkpointed detached frozen without_gradient in_place "
    "own_function written_by_number through_numpy picked_by_index control_flow parameter_list "
    "channel_softmax unit_length weight_norm spectral_norm standardised_weight"
)
_SEQUENCES = (
    "tokens_with_positions gated_mlp bilinear_fusion fused_attention separate_attention "
    "constant_heads attention_of_the_input_width channel_attention "
    "grouped_query_attention multi_query_attention attention_layer encoder_layer cross_attention "
    "biased_attention rotary_attention windowed patch_merging token_mixing channels_last_block "
    "plain_layer_norm root_mean_square_norm response_norm batch_norm_of_features einsum_products "
    "bare_matrices patches_by_unfold words_and_convolution message_passing graph_attention "
    "chosen_experts picked_positions convolution_over_tokens "
    "norm_by_hand heads_and_groups linear_attention widths_compared measured_widths_compared "
    "width_asserted heads_of_a_measured_width"
)
_RECURRENT = (
    "long_short_term_memory gated_recurrent_unit memory_alone memory_both_ways projected_memory "
    "packed_memory memory_with_a_start cells_in_a_loop memory_of_columns"
)
_INPUTS: Mapping[str, Callable[[], Any]] = {
    "siamese": _images,
    "two_inputs": _image_and_vector,
    "cross_attention": _sequences,
    "tied_embedding": _words,
    "words_and_convolution": _words,
    "tokens_with_positions": _image,
    "windowed": _image,
    "linear_attention": _image,
    "heads_and_groups": _image,
    "patch_merging": _image,
    "token_mixing": _image,
    "channels_last_block": _image,
    "patches_by_unfold": _image,
    "memory_of_columns": _image,
}
_CHANNEL_NORMS = (
    "group_normalised tokens_with_positions patch_merging token_mixing channels_last_block "
    "plain_layer_norm root_mean_square_norm attention_layer encoder_layer channel_softmax "
    "neighbours_normalised response_norm channel_and_spatial_attention norm_by_hand "
    "larger_of_two"
)


def _idioms() -> dict[str, Idiom]:
    found = {}
    for module, names, usual in (
        (convolutional, _CONVOLUTIONAL, _image),
        (sharing, _SHARING, _image),
        (sequences, _SEQUENCES, _sequence),
        (recurrent, _RECURRENT, _sequence),
    ):
        for name in names.split():
            make: Callable[[], nn.Module] = getattr(module, name)
            summary = (make.__doc__ or "").splitlines()[0].rstrip(".")
            found[name] = Idiom(
                name,
                summary,
                make,
                _INPUTS.get(name, usual),
                exact=name not in _CHANNEL_NORMS.split(),
            )
    return found


IDIOMS: Mapping[str, Idiom] = _idioms()
"""Every idiom by name."""
