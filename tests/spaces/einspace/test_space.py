"""einspace keeps the laws of spaces, however it is sampled."""

import numpy as np
import pytest

from niwaki.spaces.base import Space
from niwaki.spaces.einspace import EinspaceSettings
from niwaki.spaces.einspace.attributes import features, shape_of
from niwaki.spaces.heads import Head, HeadKind
from niwaki.testing.grammar_contract import GrammarContract
from tests.spaces.einspace.conftest import SMALL


class TestEinspace(GrammarContract):
    def make(self) -> Space:
        return EinspaceSettings(budget=SMALL).space_for((3, 32, 32))

    def test_size_counts_the_candidates(self, space: Space, samples: object) -> None:
        assert space.size == float("inf")


class TestEverything(TestEinspace):
    def make(self) -> Space:
        settings = EinspaceSettings(
            budget=SMALL, extras=("gates", "experts", "tasks"), sampling="convolutions"
        )
        return settings.space_for((3, 32, 32), n_tasks=2)


class TestSequencesBySize(TestEinspace):
    def make(self) -> Space:
        return EinspaceSettings(budget=SMALL, sampling="sizes").space_for((4, 64))


def test_convolution_aware_samples_hold_convolutions() -> None:
    settings = EinspaceSettings(sampling="convolutions", expected_operations=24.0)
    plain = EinspaceSettings(expected_operations=24.0)
    shares = []
    for each in (settings, plain):
        space = each.space_for((3, 32, 32))
        drawn = [str(space.tree(space.sample(np.random.default_rng(i)))) for i in range(40)]
        shares.append(np.mean(["col2im" in tree and "im2col(k=3" in tree for tree in drawn]))
    assert shares[0] > 0.8 > 0.3 > shares[1]


@pytest.mark.parametrize("shape", [(1, 24, 24), (4, 64)])
def test_many_convolution_aware_samples_make_features_of_places(shape: tuple[int, ...]) -> None:
    space = EinspaceSettings(sampling="convolutions").space_for(shape)
    drawn = [space.tree(space.sample(np.random.default_rng(i))) for i in range(60)]
    ends = [",".join(map(str, tree.children[-3:])) for tree in drawn]
    by_place = np.mean(["permute(order=21)" in end for end in ends])
    assert 0.25 < by_place < 0.75


def test_samples_by_size_have_all_sizes() -> None:
    space = EinspaceSettings(sampling="sizes", largest_sample=40).space_for((3, 32, 32))
    rng = np.random.default_rng(0)
    sizes = [space.tree(space.sample(rng)).n_leaves for _ in range(120)]
    doublings = np.histogram(sizes, bins=[2, 4, 8, 16, 32, 41])[0]
    # Shapes end some trees before their size is reached, so the largest are fewer.
    assert doublings[:3].min() >= 20
    assert doublings[3] >= 10


@pytest.mark.parametrize("sampling", ["weights", "convolutions", "sizes"])
def test_random_networks_give_a_head_as_many_features_as_it_has_answers(sampling: str) -> None:
    settings = EinspaceSettings(budget=SMALL, sampling=sampling)  # type: ignore[arg-type]
    space = settings.family((3, 16, 16), [Head("answer", HeadKind.VECTOR, 20)]).space
    rng = np.random.default_rng(0)
    shapes = [shape_of(space.evaluation(space.sample(rng)).output) for _ in range(60)]
    assert np.mean([features(shape) >= 20 for shape in shapes]) > 0.95


def test_sizes_that_cannot_please_are_never_tried() -> None:
    heads = [Head("answer", HeadKind.VECTOR, 10)]
    space = EinspaceSettings(budget=SMALL, sampling="sizes").family((1, 16, 16), heads).space
    drawn = [space._drawn(np.random.default_rng(seed)) for seed in range(300)]
    sizes = [each.tree.n_leaves for each in drawn]
    # Two operations in sequence keep an image's one channel; three may be a route.
    assert min(sizes) == 3
    assert 0.06 < sizes.count(3) / len(sizes) < 0.17


def test_what_is_derived_gives_what_its_tree_gives() -> None:
    space = EinspaceSettings(budget=SMALL, sampling="sizes").space_for((3, 16, 16))
    for seed in range(60):
        tree, output = space._drawn(np.random.default_rng(seed))
        assert space.engine.attributes.whole(tree).output == output


def test_what_random_networks_should_be_rules_nothing_out() -> None:
    heads = [Head("answer", HeadKind.VECTOR, 20)]
    space = EinspaceSettings(budget=SMALL).family((3, 16, 16), heads).space
    assert not space.check(space.candidate("seq(relu, norm)"))


def test_samples_drawn_as_published_are_left_as_they_are() -> None:
    settings = EinspaceSettings(budget=SMALL, faithful=True, expected_operations=None)
    space = settings.family((3, 16, 16), [Head("answer", HeadKind.VECTOR, 20)]).space
    plain = settings.space_for((3, 16, 16))
    for seed in range(30):
        assert space.sample(np.random.default_rng(seed)) == plain.sample(
            np.random.default_rng(seed)
        )
