"""Batches for batch-norm statistics: of all classes, and never of one item."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from niwaki.core.errors import TargetError
from niwaki.core.randomness import stream
from niwaki.evaluation.batches import inputs_for_statistics
from niwaki.evaluation.deployment import INPUT_NAME, Deployment, DeploymentSettings
from niwaki.evaluation.families import heads_of
from niwaki.evaluation.from_scratch.training import RecipeSettings, ScratchTraining
from niwaki.evaluation.supernet.subnetworks import SubNetworks
from niwaki.spaces.slimmable import SlimmableSettings, StageSettings
from niwaki.spaces.slimmable.build import MultiTaskNetwork
from niwaki.spaces.slimmable.family import SlimmableFamily
from niwaki.targets.base import Feeds
from niwaki.tasks.arrays import ArraySplit
from niwaki.tasks.base import SplitName, TaskData
from tests.evaluation.shades import shades
from tests.hasty import HASTY

CPU = torch.device("cpu")
SPACE = SlimmableSettings((4,), (StageSettings((4, 8), (4,), (1,)),), default_decoder=(4,))


@pytest.fixture(scope="module")
def data() -> TaskData:
    return shades()


@pytest.fixture(scope="module")
def ordered(data: TaskData) -> TaskData:
    """The train split as a file of one class after the other, as image folders are."""
    train = data[SplitName.TRAIN]
    assert isinstance(train, ArraySplit)
    by_class = np.argsort(train.arrays.targets["bright"], kind="stable")
    sorted_train = ArraySplit(train.arrays.take(by_class), train.preprocessing)
    return replace(data, splits={**data.splits, SplitName.TRAIN: sorted_train})


@pytest.mark.parametrize(("n_items", "sizes"), [(1, [2]), (20, [20]), (200, [83])])
def test_as_many_as_are_wanted_and_never_one(
    data: TaskData, n_items: int, sizes: list[int]
) -> None:
    found = inputs_for_statistics(data[SplitName.TRAIN], n_items, CPU, rng=stream(0, "x"))
    assert [len(batch) for batch in found] == sizes


def test_an_item_that_is_left_alone_is_left_out() -> None:
    train = shades()[SplitName.TRAIN]
    assert isinstance(train, ArraySplit)
    many = ArraySplit(train.arrays.take(np.arange(140) % 83), train.preprocessing)
    found = inputs_for_statistics(many, 129, CPU, rng=stream(0, "x"))
    assert [len(batch) for batch in found] == [128]


def first_means(network: torch.nn.Module, data: TaskData) -> list[torch.Tensor]:
    """Return the first norm's mean, that of all train items, and that of the first 24."""
    (batch,) = data[SplitName.TRAIN].batches(83)
    assert isinstance(network, MultiTaskNetwork)
    stem = network.get_submodule("stem")
    with torch.no_grad():
        features = stem.get_submodule("conv")(torch.from_numpy(batch.inputs))
    means = [part.mean(dim=(0, 2, 3)) for part in (features, features[:24])]
    return [dict(stem.named_buffers())["norm.running_mean"], *means]


def test_sub_networks_have_statistics_of_all_classes(ordered: TaskData) -> None:
    family = SlimmableFamily.of(SPACE, ordered.input_shape, heads_of(ordered))
    supernet = family.super_network(torch.Generator())
    deployment = Deployment(ordered, HASTY, DeploymentSettings())
    networks = SubNetworks(supernet, deployment, n_recalibration=24, seed=0)
    extracted = networks.extract(supernet.space.smallest)
    mean, of_all, of_first = first_means(extracted, ordered)
    assert (mean - of_all).norm() < 0.5 * (of_first - of_all).norm()


def test_networks_from_scratch_have_statistics_of_all_classes(ordered: TaskData) -> None:
    family = SlimmableFamily.of(SPACE, ordered.input_shape, heads_of(ordered))
    recipe = RecipeSettings(epochs=1, batch_size=64, n_recalibration=24)
    training = ScratchTraining(
        lambda: family.build(family.space.smallest), ordered, recipe, fidelity=1.0, seed=0
    )
    mean, of_all, of_first = first_means(training.finished(), ordered)
    assert (mean - of_all).norm() < 0.5 * (of_first - of_all).norm()


def test_ranges_are_not_those_of_the_first_images(data: TaskData) -> None:
    split = data[SplitName.CALIBRATION]
    assert isinstance(split, ArraySplit)
    dim = split.arrays.inputs.copy()
    dim[:10] //= 4
    calibration = ArraySplit(replace(split.arrays, inputs=dim), split.preprocessing)
    splits = {**data.splits, SplitName.CALIBRATION: calibration}
    settings = DeploymentSettings(n_calibration=10, batch_size=5)
    deployment = Deployment(replace(data, splits=splits), HASTY, settings)
    family = SlimmableFamily.of(SPACE, data.input_shape, heads_of(data))
    graph = deployment.float_graph(family.build(family.space.smallest).eval())
    (batch,) = calibration.batches(20)
    assert graph.ranges[INPUT_NAME][1] > batch.inputs[:10].max() + 0.5


def test_the_latency_is_taken_on_the_first_image_that_is_not_blank(data: TaskData) -> None:
    calibration = data[SplitName.CALIBRATION]
    assert isinstance(calibration, ArraySplit)
    plain = replace(calibration.preprocessing, mean=(0.0,) * 3)

    def feeds(n_blank: int) -> Feeds:
        arrays = calibration.arrays.take(np.arange(len(calibration.arrays)))
        arrays.inputs[:n_blank] = 0
        splits = {**data.splits, SplitName.CALIBRATION: ArraySplit(arrays, plain)}
        deployment = Deployment(replace(data, splits=splits), HASTY, DeploymentSettings())
        return deployment.timing_feeds()

    wanted = plain.apply(calibration.arrays.inputs)
    for n_blank in (0, 3):
        assert (feeds(n_blank)[INPUT_NAME] == wanted[n_blank : n_blank + 1]).all()
    with pytest.raises(TargetError, match="all zeros"):
        feeds(len(calibration.arrays))
