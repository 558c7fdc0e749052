"""A target for tests that are not about latencies: a moment of each network will do."""

from niwaki.targets.onnxruntime_cpu import OnnxRuntimeCpu
from niwaki.targets.protocol import Budget

BRIEF = Budget(1, 0.0, 1, 0.0, 0.01, 0.5)
HASTY = OnnxRuntimeCpu(quick=BRIEF, thorough=BRIEF)
