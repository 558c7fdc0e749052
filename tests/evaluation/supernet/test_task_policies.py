"""Policies of a super-network's tasks: learned as it trains, tried first by a search."""

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from niwaki.config.build import build_evaluator
from niwaki.config.reader import parse_config
from niwaki.core.candidate import Candidate
from niwaki.core.errors import ConfigError
from niwaki.evaluation.checkpoints import load_checkpoint, save_checkpoint
from niwaki.evaluation.families import elastic_family_of
from niwaki.evaluation.supernet.evaluator import SupernetEvaluator
from niwaki.evaluation.supernet.one_task import only_task
from niwaki.evaluation.supernet.task_policies import task_policies
from niwaki.evaluation.supernet.training import SuperNetworkTraining, TrainingSettings
from niwaki.search.policies import PolicySettings, TaskPolicies
from niwaki.spaces.multi_resolution import MultiResolutionSettings
from niwaki.spaces.precision import ARCHITECTURE, FP32, INT8, QUANTIZATION
from niwaki.study.record.run_folder import RunFolder
from niwaki.tasks.base import TaskData
from niwaki.tasks.digit_scenes import DigitScenesSettings, load
from tests.command_line import TINY, events, niwaki, write_config
from tests.evaluation.conftest import SPACE, TRAINING
from tests.hasty import HASTY

POLICIES = PolicySettings(budget=0.6, warmup=0.5)
SETTINGS = replace(TRAINING, n_random=2, batch_size=24, policies=POLICIES)


def training(data: TaskData, settings: TrainingSettings = SETTINGS) -> SuperNetworkTraining:
    return SuperNetworkTraining(elastic_family_of(SPACE, data), data, settings, seed=0)


def policies_of(run: SuperNetworkTraining) -> TaskPolicies:
    assert run.policies is not None
    return run.policies


@pytest.fixture
def policies(data: TaskData) -> TaskPolicies:
    """Return policies of the three tasks of the scenes, at equal odds."""
    return task_policies(elastic_family_of(SPACE, data), POLICIES)


@pytest.mark.parametrize(
    ("path", "value"), [("decoder.depth.width", 8), ("stage0.width", 8), ("stage0.depth", 1)]
)
def test_a_decoder_matters_to_its_own_task_and_the_encoder_to_all(
    path: str, value: int, data: TaskData, policies: TaskPolicies
) -> None:
    space = elastic_family_of(SPACE, data).space
    changed = space.canonical({**space.largest.decisions, path: value})
    pair = (space.largest, changed)
    slopes = policies.gradient(pair, np.array([[1.0] * 3, [0.0] * 3]))
    expected = [task == "depth" or not path.startswith("decoder") for task in policies.tasks]
    assert slopes.any(axis=1).tolist() == expected
    assert [policies.relative_cost(task, changed) < 1.0 for task in policies.tasks] == expected


def test_costs_are_the_macs_of_one_task(
    scenes: DigitScenesSettings, data: TaskData, policies: TaskPolicies
) -> None:
    evaluator = SupernetEvaluator(partial(load, scenes, seed=0), SPACE, HASTY, alone=policies.tasks)
    candidate = evaluator.space.sample(np.random.default_rng(0))
    own, full = (evaluator.cheap(each) for each in (candidate, evaluator.baseline()))
    expected = [own[f"{task}_macs"] / full[f"{task}_macs"] for task in policies.tasks]
    found = [policies.relative_cost(task, candidate.part(ARCHITECTURE)) for task in policies.tasks]
    assert found == pytest.approx(expected)


@pytest.mark.parametrize("tasks", [("digit",), ("digit", "segmentation", "depth")])
def test_networks_run_per_step_are_as_many_whatever_the_number_of_tasks(
    tasks: tuple[str, ...], data: TaskData, monkeypatch: pytest.MonkeyPatch
) -> None:
    own = data if len(tasks) > 1 else only_task(lambda: data, tasks[0])
    run = training(own, replace(SETTINGS, epochs=1))
    run_network: Callable[..., Any] = run.network.forward
    candidates: list[Candidate] = []

    def counted(images: Any, candidate: Candidate) -> Any:
        candidates.append(candidate)
        return run_network(images, candidate)

    monkeypatch.setattr(run.network, "forward", counted)
    before = policies_of(run).probabilities
    run.run_epoch()
    assert policies_of(run).tasks == tasks
    assert len(candidates) == 4 * (1 + 1 + 2)  # steps of 24 images: largest, smallest, two drawn
    assert not np.array_equal(policies_of(run).probabilities, before)


def test_nothing_is_learned_before_the_warmup_ends(data: TaskData) -> None:
    run = training(data)
    run.run_epoch()
    assert "learned from no step" in policies_of(run).warning()
    run.run_epoch()
    assert "learned from no step" not in policies_of(run).warning()


def test_continued_equals_uninterrupted(data: TaskData, tmp_path: Path) -> None:
    settings = replace(SETTINGS, epochs=3, policies=replace(POLICIES, warmup=0.0))
    whole, again = training(data, settings), training(data, settings)
    whole.run_epoch()
    save_checkpoint(whole.state(), tmp_path / "state.pt")
    whole.run_epoch()
    again.restore(load_checkpoint(tmp_path / "state.pt"))
    again.run_epoch()
    assert policies_of(again).state() == policies_of(whole).state()


def test_one_network_in_a_step_is_no_pair() -> None:
    with pytest.raises(ConfigError, match="'n_random' is 1, but 'policies' learn from pairs"):
        TrainingSettings(policies=PolicySettings())


def test_a_search_tries_what_policies_found_in_every_precision(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    learned = {"budget": 0.7, "warmup": 0.2, "n_candidates": 1}
    training = {**TINY["evaluator"]["training"], "n_random": 2, "policies": learned}
    evaluator = {**TINY["evaluator"], "training": {**training, "epochs": 2, "batch_size": 10}}
    config = write_config(
        tmp_path / "c.yaml", TINY, evaluator=evaluator, budget={"evaluations": 14}, finalists=0
    )
    done = niwaki("search", str(config), "--name", "own", cwd=tmp_path)
    assert done.code == 0, done.err
    assert "policies: " in done.out + done.err
    run = tmp_path / "runs" / "own"
    assert "policies" in load_checkpoint(run / "artifacts" / "supernet.pt")
    again = build_evaluator(parse_config(RunFolder(run).read_config()), notify=lambda _: None)
    again.prepare(run / "artifacts")
    first = [event["candidate"] for event in events(run) if event["event"] == "asked"]
    initial = again.initial()
    assert [Candidate.from_json(each) for each in first[: len(initial)]] == list(initial)
    fp32, int8 = (
        {candidate.part(ARCHITECTURE) for candidate in initial if precisions(candidate) == {own}}
        for own in (FP32, INT8)
    )
    assert int8 - fp32 == {again.baseline().part(ARCHITECTURE)}
    assert len(int8) > 3  # largest, half as wide, smallest


def precisions(candidate: Candidate) -> set[object]:
    """Return the precisions of a candidate's layers."""
    return {*candidate.part(QUANTIZATION).decisions.values()}


def test_candidates_of_topologies_differ_in_what_reaches_the_task(data: TaskData) -> None:
    settings = MultiResolutionSettings(
        channels=(4, 8), n_stages=1, n_blocks=2, default_decoder=(4,)
    )
    family = elastic_family_of(settings, data)
    policies = task_policies(family, replace(POLICIES, budget=1.0))
    for task in policies.tasks:
        found = policies.candidates(task, 20, np.random.default_rng(0), within=0.0)
        alone = family.alone(task).space
        own = {alone.canonical(candidate.decisions).key for candidate in found}
        assert len(own) == len(found) > 1
