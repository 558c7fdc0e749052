"""Groups against those of torch-pruning, and models of timm, where those are installed."""

import importlib
from typing import Any

import pytest
import torch
from torch import nn

from niwaki.compress.pruning import ChannelGroup, analyse, apply_plan, masked
from niwaki.compress.pruning.provenance import Role
from niwaki.testing.model_zoo import ZOO
from tests.compress.pruning.equality import half_of_each, outputs, worst_difference

TIMM = (
    "resnet18 resnet50d mobilenetv3_small_100 efficientnet_b0 regnetx_002 convnext_atto "
    "vit_tiny_patch16_224 densenet121 res2net50_26w_4s cspresnet50 ghostnet_100 hrnet_w18_small"
)


def _optional(name: str) -> Any:
    try:
        return importlib.import_module(name)
    except ImportError:
        pytest.skip(f"{name} is not installed")


def _written(group: ChannelGroup) -> frozenset[str]:
    return frozenset(
        member.owner for member in group.tensors if member.role is Role.WRITES and member.dim == 0
    )


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("name", ["resnet18", "vgg11_bn", "squeezenet", "unet", "multi_task"])
def test_the_same_layers_are_bound_together(name: str) -> None:
    engine = _optional("torch_pruning")
    torch.manual_seed(0)
    module, inputs = ZOO[name].make(0.25).eval(), ZOO[name].inputs()
    ours = {_written(group) for group in analyse(module, inputs).groups} - {frozenset()}
    graph = engine.DependencyGraph().build_dependency(module, example_inputs=inputs)
    names = {child: path for path, child in module.named_modules()}
    convolutions = (nn.Conv2d, nn.Linear)
    theirs = set()
    for group in graph.get_all_groups(root_module_types=convolutions):
        layers = {
            f"{names[dep.target.module]}.weight"
            for dep, _ in group
            if isinstance(dep.target.module, convolutions)
            and graph.is_out_channel_pruning_fn(dep.handler)
        }
        theirs.add(frozenset(layers))
    # Theirs has groups for the outputs of the model too, which must stay.
    assert ours and ours <= theirs


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("name", TIMM.split())
def test_models_of_timm(name: str) -> None:
    timm = _optional("timm")
    torch.manual_seed(0)
    module, inputs = timm.create_model(name, pretrained=False).eval(), torch.randn(2, 3, 224, 224)
    groups = analyse(module, inputs)
    assert groups.groups
    plan = half_of_each(groups)
    smaller = apply_plan(module, plan)
    with masked(module, plan):
        expected = outputs(module, inputs)
    assert worst_difference(expected, outputs(smaller, inputs)) < 1e-3
