"""Networks of several resolutions: slices, plain modules and counts agree."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TypeAlias

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.nn.modules.module import register_module_forward_hook
from torch.utils.flop_counter import FlopCounterMode

from niwaki.core.candidate import Candidate, Value
from niwaki.spaces.multi_resolution.build import MultiResolutionNetwork, build, super_network
from niwaki.spaces.multi_resolution.family import MultiResolutionFamily
from niwaki.spaces.super_network.slices import SlicedNetwork
from tests.spaces.multi_resolution.networks import small_space

IMAGE = torch.randn(4, 3, 16, 16, generator=torch.Generator().manual_seed(1))
Supernet: TypeAlias = SlicedNetwork[MultiResolutionNetwork]


@pytest.fixture
def supernet() -> Supernet:
    network = super_network(small_space(), torch.Generator().manual_seed(0))
    network.start_at({"depth": [7.0]}, {"depth": [3.0]})
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.add_(
                0.1 * torch.randn(parameter.shape, generator=torch.Generator().manual_seed(2))
            )
    return network


def candidates(n: int) -> list[Candidate]:
    space, rng = small_space(), np.random.default_rng(3)
    return [*space.seeds.values(), *(space.sample(rng) for _ in range(n))]


def copied(full: nn.Module, small: nn.Module) -> nn.Module:
    """Copy the first channels of each weight of a full network into a small one."""
    weights = dict(full.named_parameters())
    with torch.no_grad():
        for name, parameter in small.named_parameters():
            wide = weights[name]
            own = wide[tuple(slice(n) for n in parameter.shape)]
            task = name.split(".")[1] if name.startswith("decoders.") else ""
            if task and ".leave." in name:
                unit = full.get_buffer(f"decoders.{task}.unit")
                own = own * unit.view(-1, *(1,) * (own.ndim - 1))
            parameter.copy_(own)
    return small


def test_a_slice_is_the_small_network_with_copied_weights(supernet: Supernet) -> None:
    for candidate in candidates(30):
        small = copied(supernet.full, build(small_space(), candidate)).train()
        answers: tuple[Tensor, ...] = small(IMAGE)
        for shared, extracted, own in zip(
            supernet(IMAGE, candidate),
            supernet.extract(candidate).train()(IMAGE),
            answers,
            strict=True,
        ):
            torch.testing.assert_close(shared, own, rtol=0, atol=1e-5)
            torch.testing.assert_close(extracted, own, rtol=0, atol=1e-5)


def test_what_is_not_there_is_what_adds_nothing(supernet: Supernet) -> None:
    """Blocks and fusions of the whole network whose norms put out zeros are as if left out."""
    supernet.start_at({"depth": [7.0]})
    space, full = small_space(), supernet.full.train()
    for candidate in candidates(10):
        widest = widened(candidate)
        missing = set(space.all_layers) - {layer.path for layer in space.layer_table(widest)}
        for layer in missing:
            norm = full.get_submodule(layer.removesuffix(".conv")).get_submodule("norm")
            if ".enter." not in layer:
                norm.register_forward_hook(zeros)
        masked = full(IMAGE)
        for module in full.modules():
            module._forward_hooks.clear()
        for own, answer in zip(supernet(IMAGE, widest), masked, strict=True):
            torch.testing.assert_close(own, answer, rtol=1e-5, atol=1e-5)


def widened(candidate: Candidate) -> Candidate:
    """Return the candidate of the same topology, as wide as can be."""

    def answer(path: str, options: Sequence[Value]) -> Value:
        if path.endswith(".width") or candidate.decisions[path]:
            return options[-1]
        return options[0]

    return small_space().decide(answer)


def zeros(module: nn.Module, inputs: object, output: Tensor) -> Tensor:
    """Return zeros in the place of an output."""
    return torch.zeros_like(output)


def test_random_networks_build_and_are_what_was_counted() -> None:
    space = small_space()
    for candidate in candidates(200):
        layers, network = space.layer_table(candidate), build(space, candidate)
        modules = [
            name for name, m in network.named_modules() if isinstance(m, nn.Conv2d | nn.Linear)
        ]
        assert set(modules) == {layer.path for layer in layers}
        assert sum(x.params for x in layers) == sum(p.numel() for p in network.parameters())
        with FlopCounterMode(display=False) as counter, torch.no_grad():
            outputs = network.eval()(IMAGE[:1])
        assert counter.get_total_flops() == 2 * sum(x.macs for x in layers)
        assert [tuple(o.shape) for o in outputs] == [(1, 5), (1, 4, 16, 16), (1, 1, 16, 16)]


def test_layers_are_listed_in_the_order_in_which_they_run() -> None:
    space = small_space()
    for candidate in candidates(10):
        network = build(space, candidate).eval()
        name_of = {module: name for name, module in network.named_modules()}
        with torch.no_grad(), ran_modules() as modules:
            network(IMAGE)
        ran = [name_of[m] for m in modules if isinstance(m, nn.Conv2d | nn.Linear)]
        assert ran == [layer.path for layer in space.layer_table(candidate)]


@contextmanager
def ran_modules() -> Iterator[list[nn.Module]]:
    """Note which modules run inside the block, in order."""
    ran: list[nn.Module] = []
    handle = register_module_forward_hook(lambda module, *_: ran.append(module))
    try:
        yield ran
    finally:
        handle.remove()


def test_each_task_gets_gradients_for_what_serves_it_and_nothing_else(supernet: Supernet) -> None:
    space = small_space()
    for candidate in candidates(10):
        network = build(space, candidate).train()
        for index, task in enumerate(space.tasks):
            network.zero_grad(set_to_none=True)
            network(IMAGE)[index].square().sum().backward()
            for layer in space.layer_table(candidate):
                gradient = network.get_parameter(f"{layer.path}.weight").grad
                assert (gradient is not None) == layer.serves(task), (layer.path, task)


@pytest.mark.parametrize("task", ["digit", "segmentation", "depth"])
def test_the_network_of_one_task_answers_as_that_of_all(task: str, supernet: Supernet) -> None:
    family = MultiResolutionFamily(small_space())
    alone = family.alone(task)
    own = alone.super_network(torch.Generator())
    trained = supernet.full.state_dict()
    own.full.load_state_dict({name: trained[name] for name in own.full.state_dict()})
    for candidate in candidates(10):
        [answer] = own(IMAGE, alone.space.canonical(candidate.decisions))
        expected = supernet(IMAGE, candidate)[family.space.tasks.index(task)]
        torch.testing.assert_close(answer, expected, rtol=0, atol=1e-5)


def test_networks_that_are_built_alike_have_one_identity() -> None:
    family, space = MultiResolutionFamily(small_space()), small_space()
    first, second, none = (
        space.canonical({**space.largest.decisions, **dict.fromkeys(left_out, 0)})
        for left_out in (
            ["stage0.path1.block0.hidden"],
            ["stage0.path1.block1.hidden"],
            ["stage0.path1.block0.hidden", "stage0.path1.block1.hidden"],
        )
    )
    names = [family.identity(each) for each in (first, second, none, space.largest)]
    assert names[0] == names[1]
    assert len(set(names)) == 3
    shapes = [[p.shape for p in family.build(each).parameters()] for each in (first, second)]
    assert shapes[0] == shapes[1]
