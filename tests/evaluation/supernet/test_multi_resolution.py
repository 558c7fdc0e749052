"""Networks of several resolutions are trained, scored, exported and searched."""

from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
import pytest

from niwaki import load_front
from niwaki.core.candidate import Candidate
from niwaki.core.measurement import Status
from niwaki.evaluation.base import Provenance
from niwaki.evaluation.families import elastic_family_of
from niwaki.evaluation.from_scratch.evaluator import FromScratchEvaluator, FromScratchSettings
from niwaki.evaluation.from_scratch.training import RecipeSettings
from niwaki.evaluation.supernet.evaluator import SupernetEvaluator
from niwaki.evaluation.supernet.task_policies import task_policies
from niwaki.export.bundle import read_bundle, verify_bundle
from niwaki.search.policies import PolicySettings, TaskPolicies
from niwaki.spaces.multi_resolution import MultiResolutionSettings
from niwaki.spaces.multi_resolution.family import MultiResolutionFamily
from niwaki.spaces.precision import FP32, INT8
from niwaki.spaces.walks import every_candidate
from niwaki.tasks.base import TaskData
from niwaki.tasks.digit_scenes import DigitScenesSettings, load
from tests.command_line import TINY, niwaki, write_config
from tests.evaluation.conftest import TRAINING, make_evaluator
from tests.hasty import HASTY
from tests.spaces.multi_resolution.networks import DEPTH, DIGIT, SEGMENTATION, tiny_space

SPACE = MultiResolutionSettings(
    channels=(8, 12, 16),
    n_stages=2,
    n_blocks=1,
    hidden=(0.5, 1.0),
    decoders={"digit": (8, 16)},
    default_decoder=(8,),
)
PROVENANCE = Provenance("small", (), "0123456789abcdef")
TASKS = ("digit", "segmentation", "depth")


@pytest.fixture(scope="module")
def evaluator(
    scenes: DigitScenesSettings, tmp_path_factory: pytest.TempPathFactory
) -> SupernetEvaluator:
    """A prepared evaluator, which looks at networks of one task as well."""
    settings = replace(make_evaluator(scenes)._settings, training=replace(TRAINING, epochs=1))
    found = SupernetEvaluator(
        partial(load, scenes, seed=0), SPACE, HASTY, alone=TASKS, settings=settings
    )
    found.prepare(tmp_path_factory.mktemp("artifacts"))
    return found


def candidates(evaluator: SupernetEvaluator, n: int) -> Sequence[Candidate]:
    """Return the seeds in int8, and random candidates."""
    rng = np.random.default_rng(0)
    seeds = evaluator.architectures.seeds.values()
    return [evaluator.spell(each, INT8) for each in seeds] + [
        evaluator.space.sample(rng) for _ in range(n)
    ]


def test_every_layer_runs_in_the_precision_that_was_asked_for(evaluator: SupernetEvaluator) -> None:
    for candidate in candidates(evaluator, 6):
        measured = evaluator.evaluate(candidate, fidelity=1.0, seed=0)
        assert {value.name for value in evaluator.values} <= set(measured.values)
        assert np.isfinite(list(measured.values.values())).all()
        asked = candidate.part("quantization").decisions
        rows = measured.details["layers"]
        assert {row["path"]: row["realised"] for row in rows} == dict(asked)  # type: ignore[union-attr, call-overload, index]


def test_the_costs_of_one_task_are_those_of_what_it_reads(evaluator: SupernetEvaluator) -> None:
    apart = evaluator.cheap(evaluator.spell(evaluator.architectures.seeds["apart"], FP32))
    fused = evaluator.cheap(evaluator.baseline())
    table = evaluator.architectures.layer_table(evaluator.architectures.seeds["apart"])
    coarse = [x for x in table if ".blocks.path2." in x.path or ".digit." in x.path]
    way = [x for x in table if x.path.startswith(("stem", "entries"))]
    assert apart["digit_macs"] == sum(x.macs for x in (*way, *coarse))
    assert apart["digit_macs"] < fused["digit_macs"] < fused["macs"]


@pytest.mark.parametrize("task", TASKS)
def test_the_network_of_one_task_is_exported_without_what_it_does_not_read(
    task: str, evaluator: SupernetEvaluator, tmp_path: Path
) -> None:
    candidate = evaluator.space.sample(np.random.default_rng(TASKS.index(task)))
    alone = evaluator.alone(task)
    export = alone.export(candidate, tmp_path / task, provenance=PROVENANCE, seed=0)
    card = read_bundle(export.folder).card
    assert [each.name for each in card.tasks] == [task]
    assert verify_bundle(export.folder).passed
    serving = [
        layer.path
        for layer in evaluator.architectures.layer_table(candidate.part("architecture"))
        if layer.serves(task)
    ]
    assert export.measurement.values[f"{task}_macs"] == evaluator.cheap(candidate)[f"{task}_macs"]
    assert sorted(card.candidate.part("quantization").decisions) == sorted(serving)


@pytest.mark.parametrize(
    ("path", "value", "tasks"),
    [
        # What is on the finest path behind the last stage, and comes to it there, no digit reads.
        ("stage1.path0.block0.hidden", 0, {"segmentation", "depth"}),
        ("stage1.path0.from_path1", False, {"segmentation", "depth"}),
        ("stage1.path2.from_path1", False, {"digit", "segmentation", "depth"}),
        ("decoder.depth.from_path2", False, {"depth"}),
        ("decoder.digit.width", 8, {"digit"}),
        ("stage0.path0.from_path1", False, {"segmentation", "depth"}),
        ("stage0.path1.from_path0", False, {"digit", "segmentation", "depth"}),
    ],
)
def test_candidates_that_differ_for_others_are_one_network_of_a_task(
    path: str, value: int | bool, tasks: set[str], evaluator: SupernetEvaluator
) -> None:
    largest = evaluator.baseline()
    other = evaluator.space.canonical({**largest.decisions, f"architecture/{path}": value})
    differ = {
        task
        for task in TASKS
        if evaluator.alone(task).identity(other) != evaluator.alone(task).identity(largest)
    }
    assert differ == tasks


def test_policies_know_what_matters_to_a_task(data: TaskData) -> None:
    family = elastic_family_of(SPACE, data)
    space, policies = family.space, task_policies(family, PolicySettings())
    least = {choice.path: choice.options[0] for choice in space.choices.choices}
    for path, expected in (
        ("stage1.path1.block0.hidden", [True, True, True]),  # fused into both ends
        ("stage1.path0.from_path1", [False, True, True]),
        ("stage1.path2.from_path1", [True, True, True]),  # maps may read the coarsest path, too
        ("decoder.segmentation.from_path2", [False, True, False]),
        ("decoder.digit.width", [True, False, False]),
    ):
        changed = space.canonical({**space.largest.decisions, path: least[path]})
        slopes = policies.gradient((space.largest, changed), np.array([[1.0] * 3, [0.0] * 3]))
        assert slopes.any(axis=1).tolist() == expected, path
        cheaper = [policies.relative_cost(task, changed) < 1.0 for task in policies.tasks]
        assert cheaper == expected, path


def test_what_reaches_others_only_has_no_part_in_what_a_task_learns() -> None:
    """Over all networks, weights are 1 on average, and make odds those of each task alone."""
    family = MultiResolutionFamily(tiny_space(DIGIT, SEGMENTATION, DEPTH, n_paths=3, n_stages=1))
    networks = list(every_candidate(family.space))
    policies = unlike(task_policies(family, PolicySettings()), seed=0)
    codes = family.space.encode(networks)  # (n, d)
    chances = np.exp(np.log(policies.probabilities) @ codes.T)  # (T, n)
    weights = np.array([policies.weights([network]) for network in networks])  # (n, T)
    np.testing.assert_allclose(chances.mean(axis=0) @ weights, 1.0)
    for task, name in enumerate(TASKS):
        alone = family.alone(name).space
        own = [alone.canonical(network.decisions) for network in networks]
        drawn = chances.mean(axis=0) * weights[:, task]
        shares = np.exp(np.log(policies.probabilities[task]) @ family.space.encode(own).T)
        for network in set(own):
            there = np.array([each == network for each in own])
            assert drawn[there].sum() == pytest.approx(shares[there][0])


def unlike(policies: TaskPolicies, *, seed: int) -> TaskPolicies:
    """Give policies odds of their own."""
    state = policies.state()
    shape = np.array(state["logits"]).shape
    policies.restore({**state, "logits": np.random.default_rng(seed).normal(size=shape).tolist()})
    return policies


def test_they_are_trained_from_scratch_too_and_quantized(
    scenes: DigitScenesSettings, tmp_path: Path
) -> None:
    recipe = RecipeSettings(epochs=1, batch_size=32, n_recalibration=32)
    settings = FromScratchSettings(
        recipe=recipe,
        deployment=make_evaluator(scenes)._settings.deployment,
        seeds=("smallest", "apart"),
    )
    evaluator = FromScratchEvaluator(
        partial(load, scenes, seed=0),
        SPACE,
        HASTY,
        precisions=(FP32, INT8),
        settings=settings,
    )
    evaluator.prepare(tmp_path)
    candidate = evaluator.space.sample(np.random.default_rng(0))
    measured = evaluator.evaluate(candidate, fidelity=1.0, seed=0)
    assert measured.status is Status.COMPLETE
    assert evaluator.cheap(candidate)["macs"] == measured.values["macs"]


def test_a_search_from_the_command_line(tmp_path: Path) -> None:
    own = {"n_random": 2, "policies": {"warmup": 0.0, "budget": 0.7}}
    training = {**TINY["evaluator"]["training"], **own}
    config = write_config(
        tmp_path / "c.yaml",
        {name: TINY[name] for name in TINY if name != "objectives"},
        space={
            "kind": "multi_resolution",
            "channels": [4, 8],
            "n_stages": 1,
            "n_blocks": 1,
            "default_decoder": [4],
        },
        evaluator={**TINY["evaluator"], "training": training},
        goals={
            "digit": {"task": "digit", "objectives": ["digit_accuracy", "digit_macs"]},
            "all": {"objectives": ["mean_skill", "latency_ms"]},
        },
        searcher={"kind": "surrogate"},
        budget={"evaluations": 8},
        finalists=1,
    )
    done = niwaki("search", str(config), "--name", "own", cwd=tmp_path)
    assert done.code == 0, done.err
    for goal in ("digit", "all"):
        assert len(load_front(tmp_path / "runs" / "own", goal=goal))
