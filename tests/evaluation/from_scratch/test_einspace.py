"""Networks of einspace, trained from scratch: whatever is drawn is built, counted and deployed."""

from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
import pytest

from niwaki.core.candidate import Candidate
from niwaki.core.errors import DataError
from niwaki.evaluation.base import Provenance
from niwaki.evaluation.deployment import DeploymentSettings
from niwaki.evaluation.devices import torch_threads
from niwaki.evaluation.families import heads_of
from niwaki.evaluation.from_scratch.evaluator import FromScratchEvaluator, FromScratchSettings
from niwaki.evaluation.from_scratch.training import RecipeSettings
from niwaki.export.bundle import verify_bundle
from niwaki.spaces import einspace
from niwaki.spaces.einspace import EinspaceSettings
from niwaki.spaces.grammar import Budget
from niwaki.spaces.precision import FP32, INT8
from niwaki.tasks.arrays import Arrays
from niwaki.tasks.assembly import Preparation, declared_tasks, prepare
from niwaki.tasks.base import SplitName, TaskData
from niwaki.tasks.checks import Given
from niwaki.tasks.task import TaskSettings
from tests.evaluation.shades import shades
from tests.hasty import HASTY

WIDE_ENOUGH = partial(shades, 2, side=16)  # the seed halves its inputs three times
SPACE = EinspaceSettings(
    budget=Budget(operations=96, parameters=100_000, macs=2_000_000, elements=200_000),
    sampling="convolutions",
)
SETTINGS = FromScratchSettings(
    recipe=RecipeSettings(epochs=2, batch_size=16, n_recalibration=32),
    deployment=DeploymentSettings(n_calibration=16, batch_size=20),
    seeds=("resnet8_w16",),
    final_threads=1,
)


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    with torch_threads(1):
        yield


@pytest.fixture(scope="module")
def evaluator(tmp_path_factory: pytest.TempPathFactory) -> FromScratchEvaluator:
    made = FromScratchEvaluator(
        WIDE_ENOUGH, SPACE, HASTY, precisions=(FP32, INT8), settings=SETTINGS
    )
    made.prepare(tmp_path_factory.mktemp("artifacts"))
    return made


def test_counts_are_those_of_the_modules(evaluator: FromScratchEvaluator) -> None:
    rng = np.random.default_rng(0)
    for _ in range(20):
        candidate = evaluator.space.sample(rng)
        module = evaluator.family.build(candidate.part("architecture"))
        n_params = sum(p.numel() for p in module.parameters())
        assert evaluator.cheap(candidate)["params"] == n_params


def test_random_networks_and_their_children_are_trained_and_deployed(
    evaluator: FromScratchEvaluator,
) -> None:
    n_complete = 0
    for seed in range(4):
        rng = np.random.default_rng(seed)
        candidate = evaluator.space.mutate(evaluator.space.sample(rng), rng)
        measurement = evaluator.evaluate(candidate, fidelity=0.5, seed=seed)
        assert measurement.complete or "diverged" in measurement.reason
        if measurement.complete:
            assert set(measurement.values) == {value.name for value in evaluator.values}
            n_complete += 1
    assert n_complete > 0


def test_a_seed_learns_and_runs_in_int8(evaluator: FromScratchEvaluator) -> None:
    base = evaluator.baseline()
    int8 = evaluator.space.canonical(
        {p: INT8 if p.startswith("quantization/") else v for p, v in base.items}
    )
    in_fp32, in_int8 = (evaluator.evaluate(c, fidelity=1.0, seed=0) for c in (base, int8))
    assert in_fp32.values["mean_skill"] > 0.3
    assert in_int8.values["mean_skill"] > 0.2
    assert in_int8.values["size_bytes"] < 0.6 * in_fp32.values["size_bytes"]


def test_a_mutant_of_a_seed_is_exported_and_verified(
    evaluator: FromScratchEvaluator, tmp_path: Path
) -> None:
    mutant = evaluator.space.mutate(evaluator.baseline(), np.random.default_rng(1))
    provenance = Provenance("einspace", (), "0123456789abcdef")
    export = evaluator.export(mutant, tmp_path, provenance=provenance, seed=0)
    assert verify_bundle(export.folder).passed
    assert evaluator.measure_exports([export], seed=0)[0].measurement.values["latency_ms"] > 0


def labelled(length: int = 12) -> TaskData:
    """Return sequences of 12 steps, and for each step which of two channels is higher."""
    steps = np.random.default_rng(0).normal(size=(160, 2, 12)).astype(np.float32)
    tasks = declared_tasks({"higher": TaskSettings("segmentation", classes=2)})
    higher = steps.argmax(axis=1)[:, :length]
    given = {SplitName.TRAIN: Given(Arrays(steps, {"higher": higher}), "sequences")}
    return prepare(tasks, given, Preparation("NCL"), seed=0)


def test_each_step_of_a_sequence_is_labelled(tmp_path: Path) -> None:
    recipe = replace(SETTINGS.recipe, epochs=4, learning_rate=0.05)
    settings = replace(SETTINGS, recipe=recipe, seeds=())
    evaluator = FromScratchEvaluator(labelled, SPACE, HASTY, precisions=(FP32,), settings=settings)
    evaluator.prepare(tmp_path)
    candidate = Candidate.of({"tree": ("seq", "linear(d=16)", "relu")})
    assert evaluator.evaluate(candidate, fidelity=1.0, seed=0).values["mean_skill"] > 0.6
    with pytest.raises(DataError, match="targets of 7 places for inputs of 12"):
        heads_of(labelled(7))


def test_a_small_memory_limit_refuses_what_would_not_fit(evaluator: FromScratchEvaluator) -> None:
    strict = FromScratchEvaluator(
        WIDE_ENOUGH,
        SPACE,
        HASTY,
        precisions=(FP32, INT8),
        settings=replace(SETTINGS, max_memory_mib=0.5),
    )
    measurement = strict.evaluate(evaluator.baseline(), fidelity=1.0, seed=0)
    assert "above `max_memory_mib`" in measurement.reason


def test_trees_of_one_network_are_one_and_so_are_their_precisions(
    evaluator: FromScratchEvaluator,
) -> None:
    texts = [f"route(im2col(k=1,s=1,p=0), linear(d=16), {end})" for end in ("identity", "col2im")]
    family = evaluator.family
    assert isinstance(family, einspace.NetworkFamily)
    one, two = (family.space.candidate(text) for text in texts)
    assert one != two
    names = [
        evaluator.identity(family.spell(architecture, precision))
        for precision in (FP32, INT8)
        for architecture in (one, two)
    ]
    assert names[0] == names[1] != names[2] == names[3]
