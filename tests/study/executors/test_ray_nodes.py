"""The executor `ray` on a cluster of two nodes, of which one goes away."""

import logging
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("ray")

import ray
from ray.cluster_utils import Cluster

from niwaki.config.build import build_study
from niwaki.config.reader import parse_config
from niwaki.core.errors import StudyError
from niwaki.core.measurement import Trial
from niwaki.search.nsga2 import NSGA2
from niwaki.study.budget import Budget
from niwaki.study.executors import Job
from niwaki.study.executors.ray_cluster import RayClusterSettings
from niwaki.study.executors.ray_executor import RayExecutor
from niwaki.study.record.ledger import read_ledger
from niwaki.study.results.run import Run
from niwaki.study.study import Study, StudySettings
from niwaki.study.watching.observer import Silence
from niwaki.testing.executor_contract import PATIENCE_S, run_all
from niwaki.testing.scripted_evaluator import script
from tests.study.executors.evaluators import Prepared, Sociable
from tests.study.executors.own_plugin import own_evaluator, write_plugin
from tests.study.executors.ray_local import until
from tests.study.executors.test_local_processes import gone

ROOT = Path(__file__).parents[3]
ON_BOARD = RayClusterSettings(n_workers=1, target_resource="board")


@pytest.fixture(scope="module")
def cluster() -> Iterator[Any]:
    """Yield a cluster of one node with one processor, to which this process is connected."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("RAY_USAGE_STATS_ENABLED", "0")
        patch.setenv("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "0")
        head = {"num_cpus": 1, "include_dashboard": False}
        started = Cluster(initialize_head=True, head_node_args=head)
        ray.init(address=started.address, log_to_driver=False, logging_level=logging.ERROR)
        try:
            yield started
        finally:
            ray.shutdown()
            started.shutdown()  # type: ignore[no-untyped-call]


@pytest.fixture
def board(cluster: Any) -> Iterator[Any]:
    """Yield a second node, which has the target device."""
    node = cluster.add_node(num_cpus=1, resources={"board": 1})
    cluster.wait_for_nodes()
    yield node
    if node in cluster.list_all_nodes():
        cluster.remove_node(node)


class Saboteur(Silence):
    """Takes a node away once an evaluation has begun there, which would not end by itself.

    Attributes:
        removed: Whether it is gone.
    """

    def __init__(self, cluster: Any, node: Any, begun: Path) -> None:
        self._cluster, self._node, self._begun = cluster, node, begun
        self.removed = False

    def told(self, trial: Trial) -> None:
        if self._begun.exists() and not self.removed:
            self._cluster.remove_node(self._node)
            self.removed = True


def test_a_node_that_is_lost_costs_one_evaluation_one_try(
    cluster: Any, board: Any, tmp_path: Path
) -> None:
    begun = tmp_path / "begun"
    saboteur = Saboteur(cluster, board, begun)
    evaluator = Sociable(seconds=0.2, slow_node=board.node_id, begun=begun)
    settings = StudySettings(objectives=("gain", "price"), budget=Budget(50))
    study = Study(
        tmp_path / "run", evaluator, NSGA2, settings, make_executor=RayExecutor, observer=saboteur
    )
    study.run()
    measurements = [trial.measurement for trial in _trials(tmp_path / "run")]
    assert saboteur.removed
    assert [m.complete for m in measurements] == [True] * 50
    assert len({m.key for m in measurements}) == 50
    retried = [m.details for m in measurements if "n_tries" in m.details]
    assert [details["n_tries"] for details in retried] == [2]
    assert retried[0]["node"] != board.node_id


@pytest.mark.slow
def test_without_retries_a_lost_node_is_a_failed_evaluation(
    cluster: Any, board: Any, tmp_path: Path
) -> None:
    begun = tmp_path / "begun"
    settings = RayClusterSettings(n_workers=1, n_retries=0, target_resource="board")
    with RayExecutor(Sociable(slow_node=board.node_id, begun=begun), settings) as pool:
        pool.submit(Job(0, Sociable().baseline()))
        until(lambda: bool(pool.wait(0.1) or begun.exists()))
        cluster.remove_node(board)
        [finished] = pool.wait(PATIENCE_S)
    assert finished.measurement.reason == "worker died: its node was lost"


def test_evaluations_run_only_where_the_target_is(board: Any) -> None:
    settings = RayClusterSettings(n_workers=2, target_resource="board")
    with RayExecutor(Sociable(), settings) as pool:
        candidates = [Sociable().space.decide(lambda _, options, i=i: options[i]) for i in range(4)]
        finished = run_all(pool, candidates)
    assert {one.measurement.details["node"] for one in finished.values()} == {board.node_id}


@pytest.mark.slow
def test_another_node_reads_what_was_prepared_on_a_shared_disk(board: Any, tmp_path: Path) -> None:
    evaluator = Prepared()
    evaluator.prepare(tmp_path)
    with RayExecutor(evaluator, ON_BOARD, artifacts=tmp_path) as pool:
        measurement = run_all(pool, [script("return")])[0].measurement
    assert measurement.values == {"value": 7.0}
    assert measurement.details["folder"] == str(tmp_path)


def test_what_was_prepared_is_sent_to_a_node_that_does_not_see_it(
    board: Any, tmp_path: Path
) -> None:
    evaluator = Prepared()
    evaluator.prepare(tmp_path)
    with RayExecutor(evaluator, ON_BOARD, artifacts=tmp_path) as pool:
        pool.submit(Job(0, script("return")))
        # For the other node, these are other files than those the search has begun with.
        os.utime(tmp_path / "inner" / "weights", (0, 0))
        [finished] = pool.wait(PATIENCE_S)
    assert finished.measurement.values == {"value": 7.0}
    assert finished.measurement.details["folder"] != str(tmp_path)


def test_an_evaluator_in_a_file_is_sent_to_a_node_that_does_not_see_it(
    board: Any, tmp_path: Path
) -> None:
    with RayExecutor(own_evaluator(tmp_path / "mine"), ON_BOARD) as pool:
        pool.submit(Job(0, script("return", value=3)))
        shutil.rmtree(tmp_path / "mine")
        [finished] = pool.wait(PATIENCE_S)
    assert finished.measurement.values["value"] == 29.0
    assert finished.measurement.details["file"] == str(tmp_path / "mine" / "shop_of_mine.py")


def test_a_configuration_that_names_files_runs_on_the_cluster(board: Any, tmp_path: Path) -> None:
    file = write_plugin(tmp_path / "mine")
    config = {
        "evaluator": {"kind": f"{file}:create"},
        "objectives": ["value", "seed"],
        "searcher": {"kind": f"{ROOT / 'examples' / 'own_searcher.py'}:HillClimbing"},
        "executor": {"kind": "ray", "n_workers": 2},
        "budget": {"evaluations": 6},
        "finalists": 0,
    }
    build_study(parse_config({"name": "own", **config}), tmp_path / "run").run()
    trials = _trials(tmp_path / "run")
    assert len(trials) == 6
    values = {trial.measurement.values.get("value") for trial in trials}
    assert values <= {None, *(10.0 * value - 1.0 for value in range(10))}


@pytest.mark.slow
def test_a_worker_that_never_starts_is_given_up_and_the_others_go_on(
    board: Any, tmp_path: Path
) -> None:
    evaluator = Prepared(objection="this run was measured on another device", seconds=1.0)
    evaluator.prepare(tmp_path)
    with RayExecutor(evaluator, RayClusterSettings(), artifacts=tmp_path) as pool:
        with pytest.warns(RuntimeWarning, match=r"given up after 3.*measured on another device"):
            finished = run_all(pool, [script("return", value=value) for value in range(15)])
        assert pool.n_free == 1
    assert all(one.measurement.complete for one in finished.values())


@pytest.mark.slow
def test_a_node_that_the_evaluator_objects_to_is_not_used(board: Any, tmp_path: Path) -> None:
    evaluator = Prepared(objection="this run was measured on another device")
    evaluator.prepare(tmp_path)
    with RayExecutor(evaluator, ON_BOARD, artifacts=tmp_path) as pool:
        pool.submit(Job(0, script("return")))
        with pytest.raises(StudyError, match=r"3 failed in a row.*measured on another device"):
            pool.wait(PATIENCE_S)


def test_a_killed_driver_leaves_nothing_and_the_same_command_continues(
    cluster: Any, tmp_path: Path
) -> None:
    command = [sys.executable, "-m", "tests.study.executors.ray_driver", "study", cluster.address]
    command.append(str(tmp_path))
    with subprocess.Popen(command, cwd=ROOT) as first:
        until(lambda: _n_told(tmp_path / "run") >= 5)
        first.send_signal(signal.SIGKILL)
    pids = {trial.measurement.details["pid"] for trial in _trials(tmp_path / "run")}
    subprocess.run(command, cwd=ROOT, check=True, timeout=120)
    assert all(isinstance(pid, int) and gone(pid) for pid in pids)
    trials = _trials(tmp_path / "run")
    assert sorted(trial.number for trial in trials) == list(range(30))
    assert all(trial.measurement.complete for trial in trials)
    # The baseline, every candidate, and again what was in flight: two at most.
    assert 31 <= len((tmp_path / "visits").read_text().splitlines()) <= 33


def _trials(run: Path) -> list[Trial]:
    return Run.read(run).history.trials


def _n_told(run: Path) -> int:
    path = run / "trials.jsonl"
    return sum(event.kind == "told" for event in read_ledger(path)) if path.exists() else 0
