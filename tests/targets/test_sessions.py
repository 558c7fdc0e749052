"""Sessions of the runtime, and what is said where one cannot be opened."""

from pathlib import Path

import pytest

from niwaki.core.errors import TargetError
from niwaki.targets.sessions import SessionSettings, open_session
from tests.targets.networks import int8_conv


def test_a_graph_that_cannot_be_written_is_told_with_its_place(tmp_path: Path) -> None:
    path = tmp_path / "gone" / "optimised.onnx"
    with pytest.raises(TargetError, match=r"cannot write '.*optimised\.onnx': .* in TMPDIR"):
        open_session(int8_conv(), SessionSettings(), optimised_path=path)


def test_a_model_that_cannot_be_loaded_is_told_as_such(tmp_path: Path) -> None:
    damaged = int8_conv().SerializeToString()[:-40]
    with pytest.raises(TargetError, match=r"cannot load a model of .* export it again"):
        open_session(damaged, SessionSettings(), optimised_path=tmp_path / "optimised.onnx")
