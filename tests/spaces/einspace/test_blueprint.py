"""Which modules a tree becomes: fused where equal, and nothing that copies without need."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from niwaki.spaces.einspace import EinspaceSettings, NetworkFamily
from niwaki.spaces.einspace.blueprint import Fork, Line
from niwaki.spaces.heads import Head
from tests.spaces.einspace.conftest import DEPTH, DIGIT, SMALL
from tests.spaces.einspace.live_memory import live_bytes


def kinds(line: Line) -> list[str]:
    return [piece.join.kind if isinstance(piece, Fork) else piece.kind for piece in line.pieces]


CONV = "route(im2col(k=3,s=2,p=1), linear(d=16), col2im)"
FUSED = [
    (f"seq({CONV}, relu)", ["conv2d", "relu"]),
    (f"seq({CONV}, {CONV})", ["conv2d", "conv2d"]),
    ("route(im2col(k=4,s=4,p=0), linear(d=16), identity)", ["conv2d"]),
    ("route(im2col(k=4,s=4,p=0), seq(linear(d=16), relu, linear(d=32)), col2im)",
     ["conv2d", "relu", "conv2d"]),
    ("route(im2col(k=1,s=1,p=0), relu, col2im)", ["relu"]),
    ("route(im2col(k=3,s=1,p=1), relu, col2im)", ["patches", "relu"]),
    ("route(im2col(k=4,s=4,p=0), seq(linear(d=16), norm, linear(d=16)), col2im)",
     ["conv2d", "to_tokens", "layer_norm", "linear", "to_image"]),
    ("seq(route(im2col(k=4,s=4,p=0), linear(d=16), permute(order=21)), relu)",
     ["conv2d", "relu", "flatten"]),
    (f"seq({CONV}, route(permute(order=231), relu, permute(order=312)))", ["conv2d", "relu"]),
    ("route(permute(order=231), relu, permute(order=231))", ["relu", "permute"]),
    ("route(permute(order=132), softmax, permute(order=132))", ["permute", "softmax", "permute"]),
    (f"seq({CONV}, two(group(dim=1,b=2), relu, relu, concat(dim=1)))", ["conv2d", "relu"]),
    (f"seq({CONV}, eight(group(dim=1,b=8), route(permute(order=132), relu, permute(order=132)), "
     "concat(dim=1)))", ["conv2d", "relu"]),
    (f"seq({CONV}, two(group(dim=1,b=2), relu, identity, concat(dim=1)))", ["conv2d", "concat"]),
    (f"seq({CONV}, two(group(dim=2,b=2), relu, relu, concat(dim=1)))", ["conv2d", "concat"]),
    ("seq(relu, identity)", ["relu"]),
    ("seq(linear(d=16), norm)", ["linear", "batch_norm"]),
    (f"two(clone(b=2), {CONV}, route(im2col(k=1,s=2,p=0), linear(d=16), col2im), add)", ["add"]),
]  # fmt: skip


@pytest.mark.parametrize(("tree", "wanted"), FUSED)
def test_what_is_equal_is_fused(tree: str, wanted: list[str], large: NetworkFamily) -> None:
    assert kinds(large.blueprint(large.space.candidate(tree)).body) == wanted


def test_reorderings_that_meet_are_one(large: NetworkFamily) -> None:
    images = torch.randn(2, 3, 32, 32)
    for first, second in [("231", "231"), ("213", "132"), ("312", "213"), ("321", "231")]:
        tree = f"route(permute(order={first}), relu, permute(order={second}))"
        found = large.build(large.space.candidate(tree)).get_submodule("body")(images)
        wanted = torch.nn.functional.leaky_relu(images)
        for order in (first, second):
            wanted = wanted.permute(0, *(int(digit) for digit in order))
        torch.testing.assert_close(found, wanted)


def test_unfused_patches_are_those_of_unfold(large: NetworkFamily) -> None:
    for k, s, p in [(3, 1, 1), (3, 2, 1), (4, 4, 0), (1, 2, 0)]:
        tree = f"route(im2col(k={k},s={s},p={p}), softmax, identity)"
        network = large.build(large.space.candidate(tree))
        images = torch.randn(2, 3, 32, 32)
        columns = torch.nn.functional.unfold(images, k, stride=s, padding=p)
        found = network.get_submodule("body")(images)
        torch.testing.assert_close(found.flatten(2), columns.softmax(1))


def test_a_convolution_is_patches_and_a_linear_layer(large: NetworkFamily) -> None:
    network = large.build(large.space.candidate(f"seq({CONV}, relu)"))
    conv = network.get_submodule("body.0")
    assert isinstance(conv, torch.nn.Conv2d)
    images = torch.randn(2, 3, 32, 32)
    columns = torch.nn.functional.unfold(images, 3, stride=2, padding=1).transpose(1, 2)
    tokens = torch.nn.functional.linear(columns, conv.weight.flatten(1), conv.bias)
    image = tokens.transpose(1, 2).unflatten(2, (16, 16))  # type: ignore[no-untyped-call]
    torch.testing.assert_close(conv(images), image)


def test_peak_memory_by_hand(large: NetworkFamily) -> None:
    # 3 x 32 x 32 in, 16 x 16 x 16 out of each branch; the input stays for the second one.
    tree = f"two(clone(b=2), {CONV}, route(im2col(k=1,s=2,p=0), linear(d=16), col2im), add)"
    plan = large.blueprint(large.space.candidate(tree))
    image, feature = 3 * 32 * 32, 16 * 16 * 16
    assert plan.peak == image + 3 * feature
    assert plan.totals.elements == 3 * feature + 16 + 10


def test_what_others_read_stays(large: NetworkFamily) -> None:
    def tokens(*layers: str) -> str:
        return f"route(im2col(k=4,s=4,p=0), seq({', '.join(layers)}), col2im)"

    swollen = tokens("linear(d=16)", "linear(d=256)", "linear(d=16)")
    tree = f"two(clone(b=2), {swollen}, {tokens('linear(d=16)', 'relu')}, add)"
    plan = large.blueprint(large.space.candidate(tree))
    assert plan.peak == 3 * 32 * 32 + (16 + 256) * 8 * 8  # the image is for the other branch


@pytest.mark.parametrize("heads", [[DIGIT], [DEPTH, DIGIT]])
def test_peak_memory_is_what_torch_has_in_use(heads: list[Head]) -> None:
    family = EinspaceSettings(budget=SMALL).family((3, 32, 32), heads)
    ratios = []
    for seed in range(30):
        candidate = family.space.sample(np.random.default_rng(seed))
        found = live_bytes(family.build(candidate).eval(), torch.randn(1, 3, 32, 32))
        ratios.append(family.counts(candidate)["peak_bytes"] / found)
    # Less where torch adds a bias apart, or adds up branches one by one.
    assert 0.45 < min(ratios) < max(ratios) < 1.01
    assert np.median(ratios) > 0.9


def test_copies_are_one_line_in_memory_and_many_modules(large: NetworkFamily) -> None:
    candidate = large.space.candidate("eight(clone(b=8), seq(norm, norm), add)")
    fork = large.blueprint(candidate).body.pieces[0]
    assert isinstance(fork, Fork)
    assert len({id(line) for line in fork.branches}) == 1
    network = large.build(candidate)
    branches = [network.get_submodule(f"body.0.branches.{index}") for index in range(8)]
    assert len({id(branch) for branch in branches}) == 8


def test_forks_of_kin_are_as_if_written_anew(large: NetworkFamily) -> None:
    rng = np.random.default_rng(0)
    found = [large.seed("resnet18"), large.seed("vit_small")]
    for _ in range(25):
        first, second = (found[int(rng.integers(len(found)))] for _ in range(2))
        found += [large.space.mutate(first, rng), large.space.crossover(first, second, rng)]
    for candidate in found:
        assert large.blueprint(candidate) == replace(large).blueprint(candidate)


def test_a_fork_that_wants_tokens_gets_them_wherever_it_is_met_again(large: NetworkFamily) -> None:
    fork = "two(group(dim=1,b=2), softmax, norm, concat(dim=1))"
    tokens = "route(im2col(k=4,s=4,p=0), linear(d=16), identity)"
    for tree in (f"seq({tokens}, {fork})", f"seq({tokens}, {fork}, softmax)"):
        found = kinds(large.blueprint(large.space.candidate(tree)).body)
        assert found[:3] == ["conv2d", "to_tokens", "concat"]


def test_a_fork_is_written_once(large: NetworkFamily) -> None:
    start = f"{CONV}, two(clone(b=2), norm, relu, add)"
    first, second = (
        large.blueprint(large.space.candidate(f"seq({start}, {end})")) for end in ("norm", "relu")
    )
    assert first.body.pieces[1] is second.body.pieces[1]
