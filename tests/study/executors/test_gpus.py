"""Workers share the GPUs of a machine among them."""

from collections.abc import Mapping

import pytest
import torch

from niwaki.study.executors import LocalProcessExecutor, LocalProcessSettings
from niwaki.study.executors.gpus import VISIBLE, gpu_of
from niwaki.testing.executor_contract import run_all
from niwaki.testing.scripted_evaluator import ScriptedEvaluator, script


def seen(
    monkeypatch: pytest.MonkeyPatch, n_gpus: int, names: str | None
) -> list[Mapping[str, str]]:
    monkeypatch.setattr(torch.cuda, "device_count", lambda: n_gpus)
    monkeypatch.delenv(VISIBLE, raising=False)
    if names is not None:
        monkeypatch.setenv(VISIBLE, names)
    return [gpu_of(slot) for slot in range(3)]


@pytest.mark.parametrize("n_gpus", [0, 1])
def test_without_several_nothing_is_set(monkeypatch: pytest.MonkeyPatch, n_gpus: int) -> None:
    assert seen(monkeypatch, n_gpus, None) == [{}, {}, {}]


def test_workers_take_turns(monkeypatch: pytest.MonkeyPatch) -> None:
    assert [each[VISIBLE] for each in seen(monkeypatch, 2, None)] == ["0", "1", "0"]


def test_what_is_hidden_from_the_driver_stays_hidden(monkeypatch: pytest.MonkeyPatch) -> None:
    assert [each[VISIBLE] for each in seen(monkeypatch, 2, "GPU-a, 5")] == ["GPU-a", "5", "GPU-a"]


def test_each_worker_process_sees_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    seen(monkeypatch, 2, "3,7")
    executor = LocalProcessExecutor(ScriptedEvaluator(), LocalProcessSettings(n_workers=2))
    asked = [script("environment", variable=VISIBLE, n=n) for n in range(6)]
    measurements = [each.measurement for each in run_all(executor, asked).values()]
    executor.close()
    assert {m.values["environment"] for m in measurements if m.worker == "local-0"} <= {3.0}
    assert {m.values["environment"] for m in measurements if m.worker == "local-1"} <= {7.0}
