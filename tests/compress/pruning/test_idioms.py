"""Every idiom is pruned right or left alone, and never damaged."""

import copy
from functools import cache
from typing import Any

import pytest
import torch
from torch import nn

from niwaki.compress.pruning import ChannelGroups, analyse, apply_plan, masked
from niwaki.compress.pruning.tracer import NOT_FOLLOWED
from niwaki.testing.pruning_idioms import IDIOMS
from tests.compress.pruning.equality import (
    doubled,
    half_of_each,
    outputs,
    scrambled,
    worst_difference,
    zero_slices,
)


def _network(name: str) -> tuple[nn.Module, Any]:
    torch.manual_seed(0)
    idiom = IDIOMS[name]
    return scrambled(idiom.make()), doubled(idiom.inputs())


@cache
def _analysed(name: str) -> ChannelGroups:
    return analyse(*_network(name))


def test_there_are_enough_of_them() -> None:
    assert len(IDIOMS) >= 57


@pytest.mark.parametrize("name", IDIOMS)
def test_the_pruned_network_is_the_masked_one(name: str) -> None:
    module, inputs = _network(name)
    groups = _analysed(name)
    assert groups.groups
    plan = half_of_each(groups)
    smaller = apply_plan(module, plan)
    with masked(module, plan):
        expected = outputs(module, inputs)
    assert worst_difference(expected, outputs(smaller, inputs)) < 1e-9
    if IDIOMS[name].exact:
        by_hand = copy.deepcopy(module)
        zero_slices(by_hand, plan)
        assert worst_difference(outputs(by_hand, inputs), outputs(smaller, inputs)) < 1e-9


@pytest.mark.parametrize("name", IDIOMS)
def test_the_network_given_is_not_touched(name: str) -> None:
    module, inputs = _network(name)
    module.train()
    before, before_state = (
        outputs(copy.deepcopy(module), inputs),
        copy.deepcopy(module.state_dict()),
    )
    groups = analyse(module, inputs)
    apply_plan(module, half_of_each(groups))
    assert all(child.training for child in module.modules())
    after = module.state_dict()
    assert before_state.keys() == after.keys()
    assert all(torch.equal(before_state[key], after[key]) for key in after)
    assert worst_difference(before, outputs(module, inputs)) == 0.0


@pytest.mark.parametrize("name", IDIOMS)
def test_costs_are_those_of_the_rebuilt_network(name: str) -> None:
    module, inputs = _network(name)
    groups = _analysed(name)
    plan = half_of_each(groups)
    smaller = apply_plan(module, plan)
    kept = [len(plan.kept.get(group.name, range(group.n_units))) for group in groups.groups]
    n_parameters = sum(parameter.numel() for parameter in smaller.parameters())
    assert float(groups.costs.params(kept)) == pytest.approx(n_parameters)
    again = analyse(smaller, inputs)
    assert float(groups.costs.macs(kept)) == pytest.approx(float(again.costs.macs(again.n_units)))


@pytest.mark.parametrize("name", IDIOMS)
def test_every_call_is_followed(name: str) -> None:
    reasons = [refusal.reason for refusal in _analysed(name).refused]
    assert not [reason for reason in reasons if NOT_FOLLOWED in reason]


# Units of each group, counted by hand.
UNITS = {
    "residual": [16, 24],
    "chained_residuals": [16, 8, 8, 8],
    "dense_block": [16, 8, 8, 8],
    "cross_stage_chunk": [16, 16, 24],
    "constant_slice": [16],
    "split_by_measured_size": [16],
    "split_by_rest_of_attribute": [12, 20, 12],
    "channel_flip": [8, 24],
    "depthwise_multiplier": [16, 24],
    "padded_shortcut": [16, 32],
    "fused_attention": [24, 4],
    "constant_heads": [24, 6, 6],
    "attention_of_the_input_width": [4],
    "grouped_query_attention": [24, 4],
    "multi_query_attention": [24, 8, 8],
    "rotary_attention": [24, 4],
    "attention_layer": [4, 48],
    "tied_embedding": [24, 48],
    "token_mixing": [24, 32, 48],
    "memory_alone": [12],
    "gated_recurrent_unit": [12, 16, 20],
    "memory_both_ways": [12, 16],
    "projected_memory": [8, 16],
    "packed_memory": [12, 16],
    "memory_with_a_start": [12, 16],
    "cells_in_a_loop": [8, 10, 12, 16],
    "memory_of_columns": [12, 16, 24],
    "message_passing": [16, 24, 32],
    "graph_attention": [16, 24],
    "chosen_experts": [24, 32],
    "picked_positions": [24, 32],
    "convolution_over_tokens": [24],
    "channel_and_spatial_attention": [24, 16],
    "response_norm": [16, 24, 12],
    "norm_by_hand": [24, 48],
    "heads_and_groups": [8, 8],
    "linear_attention": [24, 4],
    "larger_of_two": [24, 16],
    "widths_compared": [12, 24],
    "measured_widths_compared": [16, 24],
    "width_asserted": [24, 16],
    "heads_of_a_measured_width": [8],
}


@pytest.mark.parametrize("name", UNITS)
def test_groups_are_those_counted_by_hand(name: str) -> None:
    assert sorted(_analysed(name).n_units.tolist()) == sorted(UNITS[name])
