"""The known networks are those known networks: same sizes, and same answers from same weights."""

from collections.abc import Callable

import pytest
import torch
from torch import nn

from niwaki.core.errors import SpaceError
from niwaki.spaces.einspace import EinspaceSettings, NetworkFamily
from tests.spaces.einspace import references
from tests.spaces.einspace.conftest import DIGIT

# Parameters of the backbones, Ericsson et al.; at 3 x 32 x 32 as the published code counts them.
PUBLISHED: dict[tuple[int, ...], dict[str, int]] = {
    (3, 64, 64): {
        "resnet18": 11_210_560, "wrn16_4": 2_748_576, "vit": 4_367_872, "mlp_mixer": 6_472_192,
    },
    (3, 32, 32): {"vit": 4_269_568, "mlp_mixer": 2_434_048},
}  # fmt: skip
OUTPUTS = {
    "resnet18": (512, 2, 2), "wrn16_4": (256, 8, 8), "vit": (64, 512), "mlp_mixer": (64, 512),
}  # fmt: skip
PLAIN: dict[str, Callable[[], nn.Module]] = {
    "resnet18": references.ResNet18,
    "wrn16_4": references.WideResNet16x4,
    "vit": lambda: references.VisionTransformer(64),
    "mlp_mixer": lambda: references.MLPMixer(64),
}


@pytest.mark.parametrize("shape", PUBLISHED)
def test_backbones_have_the_published_parameters(shape: tuple[int, ...]) -> None:
    family = EinspaceSettings().family(shape, [DIGIT])
    costs = {name: family.space.evaluation(family.seed(name)).cost for name in PUBLISHED[shape]}
    assert {name: cost.parameters for name, cost in costs.items()} == PUBLISHED[shape]


def test_backbones_give_the_published_shapes(large: NetworkFamily) -> None:
    given = {name: large.space.evaluation(large.seed(name)).output for name in OUTPUTS}
    assert {name: typed[0] for name, typed in given.items() if isinstance(typed, tuple)} == OUTPUTS


@pytest.mark.parametrize("training", [False, True])
@pytest.mark.parametrize("name", PLAIN)
def test_a_seed_answers_as_its_plain_implementation(
    name: str, training: bool, large: NetworkFamily
) -> None:
    torch.manual_seed(0)
    ours, plain = large.build(large.seed(name)), PLAIN[name]()
    references.copy_weights(ours, plain)
    images = torch.randn(2, 3, 32, 32)
    with torch.no_grad():
        answers, expected = (net.train(training)(images) for net in (ours, plain))
    torch.testing.assert_close(answers[0], expected, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("shape", [(3, 32, 32), (3, 28, 28), (12, 18, 18), (1, 24, 24), (4, 128)])
def test_there_are_small_seeds_for_every_input(shape: tuple[int, ...]) -> None:
    family = EinspaceSettings().family(shape, [DIGIT])
    small = [name for name, seed in family.seeds.items() if family.counts(seed)["macs"] < 30e6]
    assert len(small) >= 2


def test_a_mixer_fits_any_number_of_tokens_by_relative_widths() -> None:
    family = EinspaceSettings(extras=("relative",)).family((3, 28, 28), [DIGIT])
    assert family.space.evaluation(family.seed("mixer_small")).output == ((49, 64), (0, 7, 7))


def test_a_seed_that_does_not_fit_says_why(family: NetworkFamily) -> None:
    assert "resnet18" not in family.seeds
    with pytest.raises(SpaceError, match="'resnet18' does not fit here: operations is 121"):
        family.seed("resnet18")
    with pytest.raises(SpaceError, match="no seed 'resnet'; did you mean 'resnet18'"):
        family.seed("resnet")
