"""The slimmable space: decisions, size, layouts."""

from itertools import product

import numpy as np
import pytest

from niwaki.core.errors import SpaceError
from niwaki.spaces.precision import INT8, with_precisions
from niwaki.spaces.slimmable import SlimmableSettings, SlimmableSpace, StageSettings
from tests.spaces.slimmable.networks import SETTINGS, SHAPE, small_space


def test_its_size_is_counted_by_hand() -> None:
    stage0 = 2 * (2 + 2**2)  # widths x (one block or two, each with two hidden widths)
    stage1 = 3 * (2 + 2**2 + 2**3)
    assert small_space().size == 2 * stage0 * stage1 * 2 * 2 * 2


def test_the_joint_size_counts_only_layers_that_are_there() -> None:
    space = small_space()
    expected = 0
    for d0, d1 in product((1, 2), (1, 2, 3)):
        n_layers = 1 + (2 * d0 + 1) + (2 * d1 + 1) + 2 + 2 * (1 + 1)
        architectures = 2 * 2 * 2**d0 * 3 * 2**d1 * 2 * 2 * 2
        expected += architectures * 2**n_layers
    assert with_precisions(space).size == expected


def test_absent_layers_have_no_precision() -> None:
    space = with_precisions(small_space())
    rng = np.random.default_rng(0)
    for _ in range(50):
        candidate = space.sample(rng)
        layers = small_space().layer_table(candidate.part("architecture"))
        assert set(candidate.part("quantization").decisions) == {layer.path for layer in layers}


def test_layers_depend_on_depths_alone() -> None:
    space = small_space()
    rng = np.random.default_rng(1)
    for _ in range(50):
        candidate = space.sample(rng)
        assert space.layers(candidate) == tuple(x.path for x in space.layer_table(candidate))


def test_uniform_takes_the_nearest_width_everywhere() -> None:
    decided = small_space().uniform(0.5).decisions
    assert decided["stage1.width"] == 6
    assert decided["stage1.depth"] == 3


def test_macs_of_one_network_counted_by_hand() -> None:
    space = small_space()
    by_path = {layer.path: layer for layer in space.layer_table(space.smallest)}
    assert by_path["stem.conv"].macs == 3 * 4 * 9 * 64
    assert by_path["stages.1.0.enter.conv"].macs == 4 * 4 * 9 * 16
    assert by_path["stages.1.0.shortcut.conv"].macs == 4 * 6 * 1 * 16
    assert by_path["decoders.digit.enter"].macs == 6 * 8
    assert by_path["decoders.depth.merges.0.conv"].macs == (6 + 4) * 4 * 9 * 64
    assert by_path["decoders.depth.leave"].macs == 4 * 1 * 64
    assert len(by_path) == 1 + 3 + 3 + 2 + 2 * 2


def test_a_decoder_reads_its_skip_at_the_full_offset() -> None:
    space = small_space()
    by_path = {layer.path: layer for layer in space.layer_table(space.smallest)}
    deep, skip = by_path["decoders.depth.merges.0.conv"].inputs
    assert (deep.offset, deep.n, skip.offset, skip.n) == (0, 6, 10, 4)


@pytest.mark.parametrize(
    ("settings", "fault"),
    [
        (SlimmableSettings(stages=()), "at least one stage"),
        (SlimmableSettings(stem_widths=(0,)), "stem_widths"),
        (SlimmableSettings(decoders={"edges": (8,)}), "edges"),
        (SlimmableSettings(stages=(StageSettings((8,), (8,), stride=3),)), "stride"),
        (
            SlimmableSettings(stages=(StageSettings((8, 16), (8, 8)),)),
            r"'space.stages\[0\].hidden' is \[8, 8\]: give each option once",
        ),
        (SlimmableSettings(stages=(StageSettings((8,), (8,)),) * 4), "multiples of 32"),
    ],
)
def test_impossible_settings_are_refused(settings: SlimmableSettings, fault: str) -> None:
    with pytest.raises(SpaceError, match=fault):
        SlimmableSpace(settings, SHAPE)


def test_a_single_precision_leaves_the_architectures_alone() -> None:
    space = SlimmableSpace(SETTINGS, SHAPE)
    assert with_precisions(space, (INT8,)).size == space.size
