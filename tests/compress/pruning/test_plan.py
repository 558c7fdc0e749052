"""Plans are data: JSON both ways, checked against the model, for any of its checkpoints."""

import copy
import json
from typing import Any

import pytest
import torch
from torch import nn

from niwaki.compress.pruning import ChannelGroups, PruningPlan, analyse, apply_plan
from niwaki.core.errors import ConfigError, SpaceError
from niwaki.testing.pruning_idioms import IDIOMS
from tests.compress.pruning.equality import half_of_each, outputs, worst_difference, zero_slices


@pytest.fixture(scope="module")
def module() -> nn.Module:
    torch.manual_seed(0)
    return IDIOMS["fused_attention"].make()


@pytest.fixture(scope="module")
def groups(module: nn.Module) -> ChannelGroups:
    return analyse(module, IDIOMS["fused_attention"].inputs())


def test_json_both_ways(groups: ChannelGroups) -> None:
    plan = half_of_each(groups)
    again = PruningPlan.from_json(json.loads(json.dumps(plan.to_json())))
    assert again == plan
    assert (again.key, hash(again)) == (plan.key, hash(plan))


def test_equal_plans_have_equal_keys_and_others_do_not(groups: ChannelGroups) -> None:
    name = groups.names[0]
    assert groups.plan({name: [2, 0]}).key == groups.plan({name: [0, 2]}).key
    assert groups.plan({name: [0, 2]}).key != groups.plan({name: [0, 1]}).key


def test_another_checkpoint_of_the_model_is_pruned_the_same(
    module: nn.Module, groups: ChannelGroups
) -> None:
    torch.manual_seed(7)
    other = IDIOMS["fused_attention"].make()
    inputs, plan = IDIOMS["fused_attention"].inputs(), half_of_each(groups)
    smaller = apply_plan(other, PruningPlan.from_json(plan.to_json()))
    zero_slices(other, plan)
    assert worst_difference(outputs(other, inputs), outputs(smaller, inputs)) < 1e-4


def test_an_empty_plan_changes_nothing(module: nn.Module, groups: ChannelGroups) -> None:
    plan = groups.plan({name: range(groups[name].n_units) for name in groups.names})
    assert plan == PruningPlan()
    assert apply_plan(module, plan).state_dict().keys() == module.state_dict().keys()


def test_attributes_follow(module: nn.Module, groups: ChannelGroups) -> None:
    heads = next(group.name for group in groups.groups if group.n_units == 4)
    smaller = apply_plan(module, groups.plan({heads: [1, 3, 2]}))
    assert [vars(each)["num_heads"] for each in (smaller, module)] == [3, 4]


def test_the_width_of_a_norm_without_parameters_follows() -> None:
    module, inputs = IDIOMS["instance_normalised"].make(), IDIOMS["instance_normalised"].inputs()
    found = analyse(module, inputs)
    smaller = apply_plan(module, half_of_each(found))
    norms = [layer for layer in smaller.children() if isinstance(layer, nn.InstanceNorm2d)]
    assert [norm.num_features for norm in norms] == [8, 12]


def test_a_pruned_model_is_not_pruned_again_by_mistake(
    module: nn.Module, groups: ChannelGroups
) -> None:
    plan = half_of_each(groups)
    with pytest.raises(SpaceError, match="before it was pruned"):
        apply_plan(apply_plan(module, plan), plan)


def test_a_plan_for_another_model_is_refused_and_nothing_is_changed(groups: ChannelGroups) -> None:
    other = nn.Linear(3, 4)
    before = copy.deepcopy(other.state_dict())
    with pytest.raises(SpaceError, match="does not have"):
        apply_plan(other, half_of_each(groups))
    assert all(torch.equal(before[key], value) for key, value in other.state_dict().items())


def test_a_plan_keeps_at_least_one_unit(groups: ChannelGroups) -> None:
    with pytest.raises(SpaceError, match="at least one"):
        groups.plan({groups.names[0]: []})


def test_unknown_units_and_groups_are_refused(groups: ChannelGroups) -> None:
    with pytest.raises(SpaceError, match="units 0 to"):
        groups.plan({groups.names[0]: [0, 999]})
    with pytest.raises(SpaceError, match="no channel group 'qkw'"):
        groups.plan({"qkw": [0]})


@pytest.mark.parametrize(
    "damage",
    [
        lambda data: data | {"cut": []},
        lambda data: data | {"cuts": [{"tensor": "a"}]},
        lambda data: data | {"kept": {"a": ["x"]}},
        lambda data: data | {"cuts": [{"tensor": "a", "dim": 0, "size": 4, "removed": [2, 2]}]},
        lambda data: {"kept": {}},
        lambda data: [data],
    ],
)
def test_damaged_json_is_refused(groups: ChannelGroups, damage: object) -> None:
    assert callable(damage)
    with pytest.raises(ConfigError):
        PruningPlan.from_json(damage(half_of_each(groups).to_json()))


def test_tied_and_frozen_parameters_stay_so() -> None:
    module = IDIOMS["tied_embedding"].make()
    module.words.weight.requires_grad_(False)  # type: ignore[union-attr]
    smaller = apply_plan(module, half_of_each(analyse(module, IDIOMS["tied_embedding"].inputs())))
    assert not smaller.words.weight.requires_grad  # type: ignore[union-attr]
    assert smaller.words.weight.shape == (50, 12)  # type: ignore[union-attr]


class _Scaled(nn.Parameter):
    """A parameter that is made of more than its values."""

    scale: float

    def __new__(cls, data: torch.Tensor, scale: float) -> "_Scaled":
        made = data.detach().as_subclass(cls)
        made.requires_grad_()
        made.scale = scale
        return made

    def __deepcopy__(self, memo: dict[int, Any]) -> "_Scaled":
        memo[id(self)] = made = _Scaled(self.data.clone(), self.scale)
        return made


def test_what_is_noted_on_parameters_and_their_classes_stay() -> None:
    module = nn.Sequential(nn.Linear(6, 16), nn.ReLU(), nn.Linear(16, 3))
    module[0].weight = _Scaled(module[0].get_parameter("weight"), 0.5)
    for layer, noted in ((0, "no_decay"), (2, "slow")):
        setattr(module[layer].weight, noted, True)
        setattr(module[layer].bias, noted, [module])
    module[2].bias.requires_grad_(False)
    found = analyse(module, torch.randn(2, 6))
    smaller = apply_plan(module, found.plan({"0": [0, 1, 5]}))
    weight, last = smaller[0].weight, smaller[2]
    assert (type(weight), vars(weight)) == (_Scaled, {"scale": 0.5, "no_decay": True})
    assert weight.shape == (3, 6) and weight.requires_grad and weight.is_leaf
    assert vars(last.weight) == {"slow": True} and vars(last.bias) == {"slow": [smaller]}
    assert not last.bias.requires_grad


class _Nested(nn.Module):
    """Knows its heads, and their width, in a tuple within a list."""

    def __init__(self, sizes: Any) -> None:
        super().__init__()
        self.sizes, self.read, self.head = sizes, nn.Linear(6, 16), nn.Linear(16, 3)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        n_heads, width = self.sizes[-1][-1]
        heads = self.read(x).view(-1, n_heads, width)
        answer: torch.Tensor = self.head(heads.relu().view(-1, n_heads * width))
        return answer


@pytest.mark.parametrize("sizes", [[2, (7, (4, 4))], ([(4, 4)],)])
def test_numbers_deep_inside_of_lists_and_tuples_follow(sizes: Any) -> None:
    module = _Nested(sizes)
    found = analyse(module, torch.randn(2, 6))
    (group,) = found.groups
    assert group.n_units == 4
    smaller = apply_plan(module, found.plan({group.name: [0, 2, 3]}))
    assert sorted(vars(smaller)["sizes"][-1][-1]) == [3, 4]
    assert type(vars(smaller)["sizes"]) is type(sizes)
    assert vars(module)["sizes"][-1][-1] == (4, 4)
    assert smaller(torch.randn(5, 6)).shape == (5, 3)
