"""Targets: what a runtime can do, and how fast."""

from niwaki.targets.base import Effort, Feeds, Model, Outputs, Target
from niwaki.targets.bench import bench
from niwaki.targets.capabilities import Capabilities, Capability, Granularity
from niwaki.targets.latency import Latency
from niwaki.targets.machine import describe_machine
from niwaki.targets.onnxruntime_cpu import OnnxRuntimeCpu
from niwaki.targets.protocol import Budget
from niwaki.targets.registry import TARGETS

__all__ = [
    "TARGETS",
    "Budget",
    "Capabilities",
    "Capability",
    "Effort",
    "Feeds",
    "Granularity",
    "Latency",
    "Model",
    "OnnxRuntimeCpu",
    "Outputs",
    "Target",
    "bench",
    "describe_machine",
]
