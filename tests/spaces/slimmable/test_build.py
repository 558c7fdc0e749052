"""Networks and super-networks: slices, masks and extracted modules are the same function."""

from dataclasses import replace
from typing import TypeAlias

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from niwaki.core.candidate import Candidate
from niwaki.core.errors import SpaceError
from niwaki.spaces.heads import Head, HeadKind
from niwaki.spaces.slimmable.build import MultiTaskNetwork, build, super_network
from niwaki.spaces.slimmable.space import SlimmableSpace
from niwaki.spaces.super_network.slices import SlicedNetwork
from tests.spaces.slimmable.networks import Masked, small_space

Supernet: TypeAlias = SlicedNetwork[MultiTaskNetwork]

IMAGE = torch.randn(4, 3, 16, 16, generator=torch.Generator().manual_seed(1))


@pytest.fixture
def supernet() -> Supernet:
    network = super_network(small_space(), torch.Generator().manual_seed(0))
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.add_(
                0.1 * torch.randn(parameter.shape, generator=torch.Generator().manual_seed(2))
            )
    return network


def candidates(space: SlimmableSpace, n: int = 12) -> list[Candidate]:
    rng = np.random.default_rng(3)
    return [space.largest, space.smallest, *(space.sample(rng) for _ in range(n))]


def outputs(supernet: Supernet) -> tuple[Tensor, ...]:
    """Answers of the largest network, as it is extracted."""
    answers: tuple[Tensor, ...] = supernet.extract(supernet.space.largest).train()(IMAGE)
    return answers


def test_extracted_equals_shared(supernet: Supernet) -> None:
    supernet.start_at({"depth": [7.0]}, {"depth": [3.0]})
    for candidate in candidates(small_space()):
        shared = supernet(IMAGE, candidate)
        extracted = supernet.extract(candidate).train()(IMAGE)
        for a, b in zip(shared, extracted, strict=True):
            torch.testing.assert_close(a, b, rtol=0, atol=1e-6)


def test_what_is_built_otherwise_than_the_table_says_is_told() -> None:
    space = small_space()
    supernet = SlicedNetwork(
        space, lambda _: build(space, space.largest), torch.Generator().manual_seed(0)
    )
    supernet.extract(space.largest)
    with pytest.raises(SpaceError, match=r"by the table .* has shape \(4, 3, 3, 3\).* \(6, 3"):
        supernet.extract(space.smallest)


def test_extracted_equals_masked(supernet: Supernet) -> None:
    supernet.full.train()
    for candidate in candidates(small_space()):
        masked = Masked(small_space(), supernet.full, candidate)(IMAGE)
        extracted = supernet.extract(candidate).train()(IMAGE)
        for a, b in zip(masked, extracted, strict=True):
            torch.testing.assert_close(a, b, rtol=1e-5, atol=1e-5)


def test_extraction_copies(supernet: Supernet) -> None:
    extracted = supernet.extract(supernet.space.largest)
    before = supernet.full.stem.conv.weight.clone()
    with torch.no_grad():
        extracted.stem.conv.weight.zero_()
    assert torch.equal(supernet.full.stem.conv.weight, before)


def test_gradients_flow_into_the_active_share_only(supernet: Supernet) -> None:
    sum(output.sum() for output in supernet(IMAGE, supernet.space.smallest)).backward()
    gradient = supernet.full.stages[0][0].enter.conv.weight.grad  # type: ignore[index]
    assert gradient[:4, :4].abs().sum() > 0
    assert gradient[4:].abs().sum() == 0
    assert gradient[:, 4:].abs().sum() == 0
    assert supernet.full.stages[0][1].enter.conv.weight.grad is None  # type: ignore[index]


def test_answers_start_at_constants_and_move_in_their_units(supernet: Supernet) -> None:
    supernet.start_at({"digit": [3e5] * 5, "depth": [7.0]}, {"digit": [1e5] * 5, "depth": [1e-6]})
    for name, constant, unit in (("digit", 3e5, 1e5), ("depth", 7.0, 1e-6)):
        leave = supernet.full.get_submodule(f"decoders.{name}.leave")
        with torch.no_grad():
            leave.get_parameter("weight").zero_()
            before = dict(zip(("digit", "map", "depth"), outputs(supernet), strict=True))[name]
            leave.get_parameter("bias").add_(1.0)
            after = dict(zip(("digit", "map", "depth"), outputs(supernet), strict=True))[name]
        torch.testing.assert_close(before, torch.full_like(before, constant))
        torch.testing.assert_close(after, torch.full_like(after, constant + unit))


def test_a_state_without_units_is_one_of_units_of_1(supernet: Supernet) -> None:
    before = outputs(supernet)
    state = supernet.full.state_dict()
    earlier = {name: v.clone() for name, v in state.items() if not name.endswith(".unit")}
    assert len(earlier) < len(state)
    supernet.start_at({"depth": [7.0]}, {"depth": [9.0]})
    supernet.full.load_state_dict(earlier)
    for a, b in zip(before, outputs(supernet), strict=True):
        torch.testing.assert_close(a, b)


def test_counts_are_those_of_the_module() -> None:
    space = small_space()
    for candidate in candidates(space):
        layers = space.layer_table(candidate)
        network = build(space, candidate)
        assert sum(x.params for x in layers) == sum(p.numel() for p in network.parameters())
        quantizable = {
            n for n, m in network.named_modules() if isinstance(m, nn.Conv2d | nn.Linear)
        }
        assert quantizable == {layer.path for layer in layers}


def test_macs_are_those_that_torch_counts() -> None:
    from torch.utils.flop_counter import FlopCounterMode

    space = small_space()
    for candidate in candidates(space, 4):
        with FlopCounterMode(display=False) as counter:
            build(space, candidate).eval()(IMAGE[:1])
        assert counter.get_total_flops() == 2 * sum(x.macs for x in space.layer_table(candidate))


def test_outputs_have_the_shape_of_their_task() -> None:
    space = small_space()
    outputs = build(space, space.smallest).eval()(IMAGE)
    assert [tuple(output.shape) for output in outputs] == [(4, 5), (4, 4, 16, 16), (4, 1, 16, 16)]


def test_the_same_seed_gives_the_same_weights() -> None:
    first = super_network(small_space(), torch.Generator().manual_seed(5))
    second = super_network(small_space(), torch.Generator().manual_seed(5))
    for a, b in zip(first.parameters(), second.parameters(), strict=True):
        assert torch.equal(a, b)


@pytest.mark.parametrize("task", ["type", "values", "training"])
def test_a_task_with_a_name_of_torchs_own_is_refused_with_what_to_do(task: str) -> None:
    small = small_space()
    heads = (Head(task, HeadKind.VECTOR, 2),)
    space = SlimmableSpace(
        replace(small.settings, decoders=None), replace(small.shape, heads=heads)
    )
    with pytest.raises(SpaceError, match=f"task '{task}' .* such as '{task}_'"):
        super_network(space, torch.Generator())


def test_what_no_memory_holds_is_not_built() -> None:
    small = small_space()
    vast = replace(small.settings, default_decoder=(4, 10**9))
    space = SlimmableSpace(replace(vast, decoders=None), small.shape)
    with pytest.raises(
        SpaceError, match=r"GiB in training, but .* may be used here: give smaller widths"
    ):
        super_network(space, torch.Generator())
