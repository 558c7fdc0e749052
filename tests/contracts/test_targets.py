"""The contract of targets, held by each target that ships."""

import sys

from niwaki.targets.base import Target
from niwaki.targets.onnxruntime_cpu import OnnxRuntimeCpu
from niwaki.targets.remote.target import RemoteOnnxRuntime
from niwaki.testing.target_contract import TargetContract
from tests.targets.budgets import SMALL


class TestOnnxRuntimeCpu(TargetContract):
    def make(self) -> Target:
        return OnnxRuntimeCpu(quick=SMALL, thorough=SMALL)

    def make_other(self) -> Target:
        return OnnxRuntimeCpu(threads=2, quick=SMALL, thorough=SMALL)


class TestOnnxRuntimeCpuOnTwoThreads(TargetContract):
    def make(self) -> Target:
        return OnnxRuntimeCpu(threads=2, quick=SMALL, thorough=SMALL)

    def make_other(self) -> Target:
        return OnnxRuntimeCpu(threads=2, spinning=True, quick=SMALL, thorough=SMALL)


class TestRemoteOnnxRuntime(TargetContract):
    def make(self) -> Target:
        return RemoteOnnxRuntime(
            connection=f"popen//python={sys.executable}", quick=SMALL, thorough=SMALL
        )

    def make_other(self) -> Target:
        return RemoteOnnxRuntime(
            connection=f"popen//python={sys.executable}", threads=2, quick=SMALL, thorough=SMALL
        )
