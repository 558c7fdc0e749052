"""What the command line of compressing gives."""

import pytest

from niwaki.config.compression import compression_request
from niwaki.core.errors import ConfigError
from niwaki.study.compression import CompressionRequest
from niwaki.tasks.own import LossSettings, MetricSettings, Scoring


def request(
    metrics: list[str],
    losses: list[str],
    kinds: list[str] | None = None,
    tasks: list[str] | None = None,
) -> CompressionRequest:
    return compression_request(
        only="",
        latency_ms=None,
        evaluations=0,
        n_workers=0,
        seed=0,
        tasks=tasks or [],
        metrics=metrics,
        losses=losses,
        kinds=kinds or [],
    )


def test_metrics_and_losses_are_of_the_only_output_or_of_one_that_is_named() -> None:
    found = request(["m.py:f1", "mask=m.py:dice", "mask=miou"], ["mask=m.py:soft_dice"])
    assert found.scoring == {
        "": Scoring(("m.py:f1",)),
        "mask": Scoring(("m.py:dice", "miou"), "m.py:soft_dice"),
    }
    assert request([], []).scoring == {}


def test_settings_of_metrics_and_losses_are_yaml() -> None:
    error = "{function: m.py:mae, direction: minimize}"
    found = request([error, f"depth={error}"], ["depth={function: m.py:l1, chance: 0.7}"])
    metric = MetricSettings("m.py:mae", direction="minimize")
    assert found.scoring == {
        "": Scoring((metric,)),
        "depth": Scoring((metric,), LossSettings("m.py:l1", 0.7)),
    }
    with pytest.raises(ConfigError, match=r"'--metric\.direktion'.*'direction'"):
        request(["{function: m.py:mae, direktion: minimize}"], [])
    with pytest.raises(ConfigError, match="--metric"):
        request(["{function: m.py:mae"], [])


def test_an_output_has_one_loss() -> None:
    with pytest.raises(ConfigError, match=r"has 'm\.py:a' already"):
        request([], ["m.py:a", "m.py:b"])


def test_an_output_is_of_one_kind() -> None:
    found = request(["mask=miou"], [], ["mask=segmentation", "regression"])
    assert found.scoring == {
        "mask": Scoring(("miou",), kind="segmentation"),
        "": Scoring(kind="regression"),
    }
    with pytest.raises(ConfigError, match="is 'regression' already"):
        request([], [], ["regression", "classification"])


def test_the_outputs_of_a_task_are_named() -> None:
    given = ["spots=my_own.py:f1", "spots=my_own.py:recall"], ["spots=my_own.py:loss"]
    metrics = ("my_own.py:f1", "my_own.py:recall")
    wanted = Scoring(metrics, "my_own.py:loss", outputs=("small", "large"))
    assert request(*given, tasks=["spots=small, large"]).scoring == {"spots": wanted}
    for wrong in (["spots"], ["spots="], ["=a"], ["spots=a,"], ["spots=a", "spots=b"]):
        with pytest.raises(ConfigError, match="--task objects=p3,p4,p5"):
            request(*given, tasks=wrong)


def test_outputs_to_keep_are_settings() -> None:
    asked = {"only": "", "latency_ms": None, "evaluations": 0, "n_workers": 0, "seed": 0}
    found = compression_request(**asked, outputs=["logits", "boxes"])  # type: ignore[arg-type]
    assert found.settings.outputs == ("logits", "boxes")
