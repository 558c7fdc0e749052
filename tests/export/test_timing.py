"""Exported models are timed on the real inputs that they carry."""

from dataclasses import replace
from pathlib import Path

import pytest

from niwaki.core.errors import TargetError
from niwaki.export.bundle import write_bundle
from niwaki.export.timing import time_models
from niwaki.targets.onnxruntime_cpu import OnnxRuntimeCpu
from niwaki.targets.protocol import QUICK
from tests.export.modules import CARD, Convolution, answers, images


def with_blanks(folder: Path, n_blank: int) -> None:
    """Write a model whose first inputs are blank."""
    module, inputs = Convolution(), images(4)
    for values in inputs.values():
        values[:n_blank] = 0.0
    write_bundle(folder, module.onnx(), CARD, inputs=inputs, torch_outputs=answers(module, inputs))


def test_a_blank_item_is_passed_over(tmp_path: Path) -> None:
    with_blanks(tmp_path / "model", 2)
    found = time_models(tmp_path, OnnxRuntimeCpu(thorough=QUICK))
    assert found[tmp_path / "model"].p50_ms > 0


def test_a_model_of_blank_items_alone_is_not_timed(tmp_path: Path) -> None:
    with_blanks(tmp_path / "model", 4)
    with pytest.raises(TargetError, match="all zeros"):
        time_models(tmp_path, OnnxRuntimeCpu(thorough=QUICK))


def test_optimizers_that_only_the_target_leaves_out_are_told(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with_blanks(tmp_path / "model", 0)
    target = OnnxRuntimeCpu(thorough=QUICK)
    for optimizers in (CARD.disabled_optimizers, ("ConvActivationFusion",)):
        time_models(tmp_path, replace(target, disabled_optimizers=optimizers))
    (told,) = caplog.messages
    assert told.endswith("and not the target's: ConvActivationFusion")
