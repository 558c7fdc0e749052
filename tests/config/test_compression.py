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


def in_need_of_settings(settings: None) -> OnnxRuntimeCpu:
    """Make a target: named by path below."""
    return OnnxRuntimeCpu()


def test_what_makes_no_target_without_arguments_is_refused() -> None:
    with pytest.raises(ConfigError, match=r"takes \(settings\), but .* without arguments"):
        named_target(f"{__name__}:in_need_of_settings")
    with pytest.raises(ConfigError, match="is a str, but a class or a function is needed"):
        named_target(f"{__name__}:__name__")
