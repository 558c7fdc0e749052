"""The space of several resolutions: what is decided, and that no two candidates are one network."""

from dataclasses import replace

import numpy as np
import pytest

from niwaki.core.errors import DataError, SpaceError
from niwaki.spaces import Space
from niwaki.spaces.heads import Head, Shape
from niwaki.spaces.multi_resolution import MultiResolutionSettings, MultiResolutionSpace
from niwaki.spaces.precision import INT8, with_precisions
from niwaki.spaces.walks import every_candidate
from niwaki.testing.space_contract import SpaceContract
from tests.spaces.multi_resolution.networks import (
    DEPTH,
    DIGIT,
    SEGMENTATION,
    SETTINGS,
    live_networks,
    parts_of,
    small_space,
    tiny_space,
)


class TestArchitectures(SpaceContract):
    def make(self) -> Space:
        return small_space()


class TestWithPrecisions(SpaceContract):
    def make(self) -> Space:
        return with_precisions(small_space())


class TestFewWithPrecisions(SpaceContract):
    def make(self) -> Space:
        return with_precisions(tiny_space(DIGIT, n_stages=1))


@pytest.mark.parametrize("heads", [(DIGIT,), (DEPTH,), (DIGIT, DEPTH)])
@pytest.mark.parametrize(("n_paths", "n_stages"), [(2, 1), (2, 2), (3, 1)])
def test_candidates_are_the_networks_that_reach_a_head_each_once(
    heads: tuple[Head, ...], n_paths: int, n_stages: int
) -> None:
    space = tiny_space(*heads, n_paths=n_paths, n_stages=n_stages)
    candidates = list(every_candidate(space))
    found = [parts_of(space, candidate.decisions) for candidate in candidates]
    assert len(found) == len(set(found)) == space.size
    assert set(found) == live_networks(space)


@pytest.mark.parametrize("heads", [(DIGIT,), (DEPTH,), (DIGIT, DEPTH)])
def test_the_joint_size_counts_only_layers_that_are_there(heads: tuple[Head, ...]) -> None:
    space = tiny_space(*heads, n_stages=2)
    layers = [len(space.layer_table(candidate)) for candidate in every_candidate(space)]
    assert with_precisions(space).size == sum(2**n for n in layers)
    assert with_precisions(space, (INT8,)).size == space.size


def test_what_is_there_has_a_precision_and_nothing_else_has() -> None:
    space, rng = with_precisions(small_space()), np.random.default_rng(0)
    for _ in range(200):
        candidate = space.sample(rng)
        layers = [layer.path for layer in small_space().layer_table(candidate.part("architecture"))]
        assert list(small_space().layers(candidate.part("architecture"))) == layers
        assert set(candidate.part("quantization").decisions) == set(layers)


def test_every_layer_serves_a_task_and_each_decoder_its_own() -> None:
    space, rng = small_space(), np.random.default_rng(1)
    for _ in range(100):
        for layer in space.layer_table(space.sample(rng)):
            served = [task for task in space.tasks if layer.serves(task)]
            assert served
            if layer.path.startswith("decoders."):
                assert served == [layer.path.split(".")[1]]


@pytest.mark.parametrize("head", [DIGIT, SEGMENTATION, DEPTH])
def test_the_network_of_one_task_is_what_serves_it(head: Head) -> None:
    space, rng = small_space(), np.random.default_rng(2)
    kept = {name: widths for name, widths in (SETTINGS.decoders or {}).items() if name == head.task}
    alone = MultiResolutionSpace(replace(SETTINGS, decoders=kept), space.shape.alone(head.task))
    for _ in range(100):
        candidate = space.sample(rng)
        own = alone.canonical(candidate.decisions)
        serving = [layer for layer in space.layer_table(candidate) if layer.serves(head.task)]
        found = alone.layer_table(own)
        assert [(x.path, x.macs, x.params) for x in found] == [
            (x.path, x.macs, x.params) for x in serving
        ]


def test_nothing_is_decided_about_what_no_head_reads() -> None:
    paths = {choice.path for choice in tiny_space(DIGIT, n_paths=3).choices.choices}
    # Vectors are read from the coarsest path: in the last stage, the finest cannot get there.
    assert "stage1.path1.block0.hidden" in paths
    assert "stage1.path0.block0.hidden" not in paths
    assert "stage1.path1.from_path0" not in paths
    assert "stage0.path0.block0.hidden" in paths


def test_a_map_reads_the_finest_path_and_others_if_that_is_decided() -> None:
    space = tiny_space(DEPTH, n_paths=3)
    reads = {"decoder.depth.from_path1": False, "decoder.depth.from_path2": True}
    candidate = space.canonical({**space.largest.decisions, **reads})
    paths = {layer.path for layer in space.layer_table(candidate)}
    assert "decoders.depth.reads.path2.conv" in paths
    assert "decoders.depth.reads.path1.conv" not in paths
    assert "stage1.path2.block0.hidden" in candidate.decisions


def test_macs_and_parameters_counted_by_hand() -> None:
    space = small_space()
    by_path = {layer.path: layer for layer in space.layer_table(space.largest)}
    assert by_path["stem.conv"].macs == 3 * 4 * 9 * 64
    assert by_path["entries.path1.conv"].macs == 4 * 6 * 9 * 16
    assert by_path["stages.0.blocks.path1.1.enter.conv"].macs == 6 * 6 * 9 * 16
    assert by_path["stages.0.fusions.path1.from_path0.conv"].macs == 4 * 6 * 9 * 16
    assert by_path["stages.1.fusions.path0.from_path1.conv"].macs == 6 * 4 * 16
    assert by_path["decoders.digit.enter"].macs == 8 * 12
    assert by_path["decoders.depth.enter.conv"].macs == 4 * 6 * 9 * 64
    assert by_path["decoders.depth.reads.path2.conv"].macs == 8 * 6 * 4
    assert by_path["decoders.depth.leave"].params == 6 + 1
    assert [layer.path for layer in space.layer_table(space.smallest)] == [
        "stem.conv",
        "entries.path1.conv",
        "entries.path2.conv",
        "decoders.digit.enter",
        "decoders.digit.leave",
        "decoders.segmentation.enter.conv",
        "decoders.segmentation.leave",
        "decoders.depth.enter.conv",
        "decoders.depth.leave",
    ]


def test_blocks_cost_the_same_if_channels_double() -> None:
    settings = replace(SETTINGS, channels=(4, 8, 16))
    space = MultiResolutionSpace(settings, small_space().shape)
    costs = {x.macs for x in space.layer_table(space.largest) if ".blocks." in x.path}
    assert len(costs) == 1


def test_seeds_are_known_by_name() -> None:
    space = small_space()
    assert list(space.seeds) == ["largest", "half", "apart", "smallest"]
    sums = [sum(x.macs for x in space.layer_table(each)) for each in space.seeds.values()]
    assert sums[0] > max(sums[1:3]) > min(sums[1:3]) > sums[3]
    assert not [x for x in space.layer_table(space.seeds["apart"]) if ".fusions." in x.path]


def test_a_width_of_one_is_no_fusion() -> None:
    settings = replace(SETTINGS, channels=(2, 4, 8), default_decoder=(1, 8))
    space = MultiResolutionSpace(settings, small_space().shape)
    whole, apart = (space.layer_table(space.seeds[name]) for name in ("largest", "apart"))
    ends = [
        [x.n_outputs for x in layers if x.path.startswith("decoders.")] for layers in (whole, apart)
    ]
    assert ends[0] == ends[1]
    first = [x.n_outputs for x in apart if x.path.startswith("stages.0.blocks.path0.")]
    assert first == [2, 2, 2, 2]


@pytest.mark.parametrize(
    ("changes", "fault"),
    [
        ({"channels": (8,)}, "two or more paths; networks of one path are the space 'slimmable'"),
        ({"channels": (8, 0)}, r"'space.channels' is \[8, 0\]: give numbers from 1"),
        ({"n_blocks": 0}, "'space.n_blocks' is 0: give a whole number from 1"),
        ({"n_stages": 1.5}, "'space.n_stages' is 1.5: give a whole number"),
        ({"n_blocks": True}, "'space.n_blocks' is True"),
        ({"hidden": (float("inf"),)}, "'space.hidden' is"),
        ({"hidden": ()}, "'space.hidden' is"),
        ({"hidden": (0.1, 1.0)}, "shares of 4 channels"),
        ({"hidden": (1.0, 1.1)}, "different whole numbers"),
        ({"decoders": {"edges": (8,)}}, "'space.decoders.edges' belongs to no task"),
        ({"default_decoder": (8, 8)}, "give each option once"),
        ({"channels": (4, 8, 16, 32, 64)}, "multiples of 32, or fewer `channels`"),
    ],
)
def test_impossible_settings_are_refused(changes: dict[str, object], fault: str) -> None:
    with pytest.raises(SpaceError, match=fault):
        MultiResolutionSpace(replace(SETTINGS, **changes), small_space().shape)  # type: ignore[arg-type]


def test_inputs_that_are_no_images_are_refused() -> None:
    with pytest.raises(DataError, match=r"reads images of shape \(c, h, w\)"):
        Shape.of((7,), (DIGIT,))


def test_a_large_space_is_counted_without_going_through_its_topologies() -> None:
    settings = replace(SETTINGS, channels=(4, 8, 16, 32), n_stages=4)
    space = MultiResolutionSpace(settings, Shape(3, 32, 32, (DIGIT, SEGMENTATION, DEPTH)))
    sizes = [with_precisions(space, precisions).size for precisions in ((INT8,), ("fp32", INT8))]
    assert sizes[0] == space.size > 1e20
    assert 2.0 ** len(space.all_layers) * sizes[0] > sizes[1] > 1e40


def test_defaults_are_a_space_of_small_images() -> None:
    space = MultiResolutionSpace(MultiResolutionSettings(), Shape(1, 48, 48, (DIGIT, DEPTH)))
    assert space.size > 1e12
