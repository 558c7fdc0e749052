"""Every network builds, runs both ways, and is what was predicted, number by number."""

import numpy as np
import pytest
import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from niwaki.core.candidate import Candidate
from niwaki.core.errors import SpaceError
from niwaki.spaces.einspace import EXTRAS, EinspaceSettings, NetworkFamily
from niwaki.spaces.einspace.attributes import shape_of
from niwaki.spaces.einspace.tasks import Ends
from niwaki.spaces.grammar import Budget
from tests.spaces.einspace.conftest import DEPTH, DIGIT, SHAPES, SMALL

LAYERS = (nn.Linear, nn.Conv1d, nn.Conv2d)


def check_network(family: NetworkFamily, candidate: Candidate, shape: tuple[int, ...]) -> None:
    """Build a network and compare it with everything that was said of it before."""
    counts, network = family.counts(candidate), family.build(candidate)
    inputs = torch.randn(2, *shape)
    with FlopCounterMode(display=False) as counter:
        answers = network(inputs)
    wanted = [(2, h.n_outputs, *(shape[1:] if h.kind.value == "map" else ())) for h in family.heads]
    assert [tuple(answer.shape) for answer in answers] == wanted
    n_parameters = sum(weight.numel() for weight in network.parameters())
    assert n_parameters == counts["params"]
    assert counter.get_total_flops() == 2 * 2 * counts["macs"]  # two per MAC, two examples
    _check_features(family, candidate, network, inputs)
    loss = sum(answer.square().mean() for answer in answers)
    assert isinstance(loss, torch.Tensor)
    loss.backward()  # type: ignore[no-untyped-call]
    if not any(terminal.builder for terminal in family.space.grammar.terminals.values()):
        _check_layers(family, candidate, network)


def _check_features(
    family: NetworkFamily, candidate: Candidate, network: nn.Module, inputs: torch.Tensor
) -> None:
    """Compare what the tree says: its output's size, and the parameters without heads."""
    evaluation = family.space.evaluation(candidate)
    heads = sum(weight.numel() for weight in network.get_submodule("heads").parameters())
    whole = sum(weight.numel() for weight in network.parameters())
    assert evaluation.cost.parameters == whole - heads
    if not isinstance(evaluation.output, Ends):
        features = network.get_submodule("body")(inputs)
        assert features[0].numel() == np.prod(shape_of(evaluation.output))


def _check_layers(family: NetworkFamily, candidate: Candidate, network: nn.Module) -> None:
    modules = {n: m for n, m in network.named_modules() if isinstance(m, LAYERS)}
    rows = {row.path: row for row in family.layers(candidate)}
    assert set(rows) == set(modules)
    for path, module in modules.items():
        assert module.weight.numel() == rows[path].n_weights
        assert module.weight.shape[0] == rows[path].n_outputs


def _check_many(family: NetworkFamily, shape: tuple[int, ...], n: int, n_children: int) -> None:
    rng = np.random.default_rng(0)
    for _ in range(n):
        check_network(family, family.space.sample(rng), shape)
    candidate = family.space.sample(rng)
    for _ in range(n_children):
        child = family.space.mutate(candidate, rng)
        assert child != candidate
        check_network(family, child, shape)
        candidate = child


@pytest.mark.parametrize("shape", SHAPES)
def test_random_networks_and_children_are_as_predicted(shape: tuple[int, ...]) -> None:
    heads = [DIGIT] if len(shape) == 2 else [DIGIT, DEPTH]
    _check_many(EinspaceSettings(budget=SMALL).family(shape, heads), shape, 8, 8)


@pytest.mark.slow
@pytest.mark.parametrize("shape", SHAPES)
def test_a_thousand_networks_and_a_hundred_children_are(shape: tuple[int, ...]) -> None:
    _check_many(EinspaceSettings(budget=SMALL).family(shape, [DIGIT]), shape, 1000, 100)


@pytest.mark.parametrize("shape", [(3, 32, 32), (4, 128)])
def test_networks_of_the_published_grammar_are_as_predicted(shape: tuple[int, ...]) -> None:
    settings = EinspaceSettings(faithful=True, budget=SMALL)
    _check_many(settings.family(shape, [DIGIT, DEPTH]), shape, 6, 4)


@pytest.mark.parametrize("extra", [*EXTRAS, "all"])
def test_networks_of_the_extra_grammars_are_as_predicted(extra: str) -> None:
    names = tuple(EXTRAS) if extra == "all" else (extra,)
    family = EinspaceSettings(extras=names, budget=SMALL).family((12, 18, 18), [DIGIT, DEPTH])
    _check_many(family, (12, 18, 18), 5, 5)


@pytest.mark.parametrize("extra", ["gates", "slimmable", "experts", "relative", "tasks"])
def test_extra_grammars_work_on_sequences(extra: str) -> None:
    family = EinspaceSettings(extras=(extra,), budget=SMALL).family((4, 128), [DIGIT])
    _check_many(family, (4, 128), 4, 4)


EXTRA_TREES = {
    "depthwise": "seq(depthwise(k=5,s=2), grouped(k=3,s=1,g=4,d=16))",
    "gates": "seq(gated(clone(b=2), relu, softmax, gate(by=silu)), glu)",
    "slimmable": "route(im2col(k=3,s=1,p=1), slimmable(d=64,ratio=0.375), col2im)",
    "experts": "experts4(router(b=4), route(im2col(k=4,s=4,p=0), linear(d=16), identity), mix)",
    "relative": "route(permute(order=231), widen(by=4), permute(order=312))",
    "tasks": "tasks(seq(relu, norm), route(im2col(k=3,s=1,p=1), linear(d=16), col2im), identity)",
}


@pytest.mark.parametrize("extra", EXTRA_TREES)
def test_every_extra_operation_is_built(extra: str) -> None:
    family = EinspaceSettings(extras=(extra,)).family((12, 18, 18), [DIGIT, DEPTH])
    candidate = family.space.candidate(EXTRA_TREES[extra])
    check_network(family, candidate, (12, 18, 18))
    assert set(EXTRA_TREES) == set(EXTRAS)


def test_a_bomb_is_refused_before_it_is_built() -> None:
    family = EinspaceSettings(most_bytes=10**6).family((3, 32, 32), [DIGIT])
    with pytest.raises(SpaceError, match=r"would take about 0\.1 GiB, above 0\.0 GiB"):
        family.build(family.seed("wrn10_1"))


def test_budgets_hold_for_what_is_built() -> None:
    budget = Budget(operations=24, depth=8, parameters=50_000, macs=10**6, elements=60_000)
    family = EinspaceSettings(budget=budget).family((3, 32, 32), [DIGIT])
    rng = np.random.default_rng(3)
    for _ in range(40):
        candidate = family.space.sample(rng)
        network = family.build(candidate)
        heads = sum(weight.numel() for weight in network.get_submodule("heads").parameters())
        assert sum(weight.numel() for weight in network.parameters()) - heads <= 50_000
