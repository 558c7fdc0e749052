"""What the command line of compressing names."""

import pytest

from niwaki.config.compression import named_target
from niwaki.core.errors import ConfigError
from niwaki.targets.onnxruntime_cpu import OnnxRuntimeCpu


def test_a_target_has_a_short_name() -> None:
    assert isinstance(named_target("cpu"), OnnxRuntimeCpu)


def test_an_unknown_target_names_the_short_ones_too() -> None:
    with pytest.raises(
        ConfigError, match=r"no 'gpu' among the targets.*or cpu for onnxruntime_cpu"
    ):
        named_target("gpu")
