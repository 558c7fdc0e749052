"""Whole architectures: the pruned model is the masked one, on random weights."""

import copy

import pytest
import torch

from niwaki.compress.pruning import analyse, apply_plan, masked
from niwaki.testing.model_zoo import ZOO
from tests.compress.pruning.equality import (
    doubled,
    half_of_each,
    outputs,
    scrambled,
    worst_difference,
    zero_slices,
)

WIDTH = 0.25
# What is left of the multiply-accumulates when half of each group goes, where that is much.
LEFT = {
    "shufflenet_v1": 0.9,
    "shufflenet_v2": 0.6,
}
SLOW = (
    "resnet34 resnet50 wide_resnet50 se_resnet50 regnet_x regnet_y res2net50 vgg16_bn densenet121 "
    "deeplab_v3 convnext_tiny convnext_v2 efficientnet_b0 yolo_csp googlenet mobileone hrnet "
    "mobilenet_v2 xception ghostnet retinanet"
)
NAMES = [
    pytest.param(name, marks=pytest.mark.slow) if name in SLOW.split() else name for name in ZOO
]


def test_there_are_enough_of_them() -> None:
    assert len(ZOO) >= 30


@pytest.mark.parametrize("name", NAMES)
def test_the_pruned_model_is_the_masked_one(name: str) -> None:
    torch.manual_seed(0)
    module, inputs = scrambled(ZOO[name].make(WIDTH)), doubled(ZOO[name].inputs())
    groups = analyse(module, inputs)
    plan = half_of_each(groups)
    smaller = apply_plan(module, plan)
    with masked(module, plan):
        expected = outputs(module, inputs)
    assert worst_difference(expected, outputs(smaller, inputs)) < 1e-7
    if ZOO[name].exact:
        by_hand = copy.deepcopy(module)
        zero_slices(by_hand, plan)
        assert worst_difference(outputs(by_hand, inputs), outputs(smaller, inputs)) < 1e-7
    kept = [len(plan.kept.get(group.name, range(group.n_units))) for group in groups.groups]
    share = float(groups.costs.macs(kept)) / float(groups.costs.macs(groups.n_units))
    assert share <= LEFT.get(name, 0.45)


def test_a_group_knows_the_tasks_it_can_reach() -> None:
    torch.manual_seed(0)
    groups = analyse(ZOO["multi_task"].make(WIDTH), ZOO["multi_task"].inputs())
    everything = ("depth", "edges", "label", "segmentation")
    assert groups["stages.0.0.conv1.0"].outputs == everything
    decoders = [group for group in groups.groups if group.name.startswith("decoders.depth")]
    assert decoders and all(group.outputs == ("depth",) for group in decoders)


def test_smaller_models_can_be_trained() -> None:
    torch.manual_seed(0)
    module, inputs = ZOO["mobilenet_v3_small"].make(WIDTH), ZOO["mobilenet_v3_small"].inputs()
    smaller = apply_plan(module, half_of_each(analyse(module, inputs))).train()
    smaller(inputs).square().sum().backward()
    assert all(parameter.grad is not None for parameter in smaller.parameters())
