"""Families: inputs, heads, precisions, and what travels."""

import pickle

import numpy as np
import pytest
import torch

from niwaki.core.candidate import Candidate
from niwaki.core.errors import ConfigError, SpaceError
from niwaki.spaces.einspace import EinspaceSettings, NetworkFamily
from niwaki.spaces.grammar import Budget
from niwaki.spaces.precision import QUANTIZATION
from tests.spaces.einspace.conftest import DEPTH, DIGIT


def test_tokens_are_averaged_and_the_published_head_averages_features() -> None:
    tree = "route(im2col(k=4,s=4,p=0), linear(d=16), identity)"
    heads = {}
    for faithful in (False, True):
        family = EinspaceSettings(faithful=faithful).family((3, 32, 32), [DIGIT])
        network = family.build(family.space.candidate(tree))
        *_, heads[faithful] = network.get_submodule("heads.digit_head").children()
    assert heads[False].in_features == 16
    assert heads[True].in_features == 64


def test_features_of_standardised_heads_have_mean_0_and_deviation_1() -> None:
    network = _of_patches(EinspaceSettings())
    seen: list[torch.Tensor] = []
    *_, linear = network.get_submodule("heads.digit_head").children()
    linear.register_forward_hook(lambda _, given, answer: seen.append(given[0]))
    network.train()(torch.randn(64, 3, 32, 32))
    torch.testing.assert_close(seen[0].mean(0), torch.zeros(16), rtol=0, atol=1e-5)
    torch.testing.assert_close(seen[0].std(0, correction=0), torch.ones(16), rtol=1e-2, atol=0)


def test_standardised_heads_have_the_parameters_of_plain_ones_and_take_one_example() -> None:
    plain, standardised = (
        _of_patches(EinspaceSettings(heads=heads)) for heads in ("plain", "standardised")
    )
    standardised.load_state_dict(plain.state_dict(), strict=False)
    assert len(list(plain.parameters())) == len(list(standardised.parameters()))
    image = torch.randn(1, 3, 32, 32)
    for network in (plain, standardised):
        network.train()(image)[0].sum().backward()
    for other, one in zip(plain.parameters(), standardised.parameters(), strict=True):
        assert one.grad is not None and other.grad is not None
        assert one.grad.shape == other.grad.shape


def _of_patches(settings: EinspaceSettings) -> torch.nn.Module:
    family = settings.family((3, 32, 32), [DIGIT])
    tree = "route(im2col(k=4,s=4,p=0), linear(d=16), identity)"
    return family.build(family.space.candidate(tree))


def test_heads_of_no_style_are_refused() -> None:
    with pytest.raises(SpaceError, match="'standardised' or 'plain', but 'norm' came"):
        EinspaceSettings(heads="norm")  # type: ignore[arg-type]


def test_maps_of_tokens_know_where_they_stand() -> None:
    tree = "seq(route(im2col(k=16,s=16,p=0), linear(d=16), identity), norm)"
    family = EinspaceSettings().family((3, 32, 32), [DEPTH])
    network = family.build(family.space.candidate(tree)).eval()
    images = torch.zeros(1, 3, 32, 32)
    changed = images.clone()
    changed[..., :16, 16:] = 5.0
    with torch.no_grad():
        before, after = network(images)[0], network(changed)[0]
    moved = (before - after).abs().sum((0, 1))
    assert moved[:8, 24:].min() > 0.0  # the corner that changed
    assert moved[24:, :8].max() == 0.0  # the one across


def test_inputs_that_einspace_does_not_read_are_refused() -> None:
    for shape in [(3,), (1, 3, 8, 8), (3, 0, 8)]:
        with pytest.raises(SpaceError, match="reads images"):
            EinspaceSettings().family(shape, [DIGIT])
    with pytest.raises(SpaceError, match="at least one task"):
        EinspaceSettings().family((3, 8, 8), [])


def test_settings_that_make_no_sense_are_refused() -> None:
    with pytest.raises(SpaceError, match="no extra grammar 'gate'; did you mean 'gates'"):
        EinspaceSettings(extras=("gate",))
    with pytest.raises(SpaceError, match="leave out `extras`"):
        EinspaceSettings(faithful=True, extras=("gates",))
    with pytest.raises(ConfigError, match="'batch_size' is 0"):
        EinspaceSettings(batch_size=0)
    with pytest.raises(SpaceError, match="'depthwise' is for images only"):
        EinspaceSettings(extras=("depthwise",)).family((4, 64), [DIGIT])
    with pytest.raises(SpaceError, match="no tree is known"):
        EinspaceSettings(budget=Budget(operations=1)).family((3, 8, 8), [DIGIT])


def test_a_family_travels(family: NetworkFamily) -> None:
    candidate = family.space.sample(np.random.default_rng(0))
    counts = family.counts(candidate)
    again: NetworkFamily = pickle.loads(pickle.dumps(family))
    assert again.counts(candidate) == counts
    assert again.space.sample(np.random.default_rng(0)) == candidate
    assert set(again.seeds) == set(family.seeds)


def test_each_layer_has_a_precision_and_changes_keep_them(family: NetworkFamily) -> None:
    joint = family.with_precisions(("fp32", "int8"))
    rng = np.random.default_rng(0)
    candidate = family.spell(family.space.sample(rng), "int8")
    assert joint.check(candidate) == ""
    for _ in range(30):
        child = joint.mutate(candidate, rng)
        assert child != candidate
        assert joint.check(child) == ""
        assert joint.check(joint.crossover(candidate, child, rng)) == ""
        candidate = child
    layers = family.layers(candidate.part("architecture"))
    assert {row.path for row in layers} == set(candidate.part(QUANTIZATION).decisions)
    assert joint.encode([candidate]).shape == joint.encode([joint.sample(rng)]).shape


ALIKE = [
    ("route(im2col(k=1,s=1,p=0), linear(d=16), identity)",
     "route(im2col(k=1,s=1,p=0), linear(d=16), col2im)"),
    ("route(im2col(k=3,s=2,p=1), seq(linear(d=16), posenc), identity)",
     "seq(route(im2col(k=3,s=2,p=1), linear(d=16), identity), posenc)"),
]  # fmt: skip


@pytest.mark.parametrize(("first", "second"), ALIKE)
def test_trees_of_one_network_share_a_name(first: str, second: str, family: NetworkFamily) -> None:
    one, two = map(family.space.candidate, (first, second))
    assert one != two
    assert family.identity(one) == family.identity(two)
    torch.manual_seed(0)
    networks = [family.build(candidate) for candidate in (one, two)]
    networks[1].load_state_dict(networks[0].state_dict())
    images = torch.randn(4, 3, 32, 32)
    answers = [network(images)[0] for network in networks]
    torch.testing.assert_close(answers[0], answers[1])


def test_networks_that_differ_have_names_of_their_own(family: NetworkFamily) -> None:
    rng = np.random.default_rng(0)
    candidates = list({family.space.sample(rng) for _ in range(150)})
    by_name: dict[str, list[Candidate]] = {}
    for candidate in candidates:
        by_name.setdefault(family.identity(candidate), []).append(candidate)
    assert len(by_name) > 0.9 * len(candidates)
    for alike in by_name.values():
        assert len({str(family.counts(each)) for each in alike}) == 1
