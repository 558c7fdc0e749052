"""ONNX Runtime on this processor: what its id says, what it runs, what it refuses."""

import math
import subprocess
import sys
import threading
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from onnx import TensorProto, helper

from niwaki.core.errors import TargetError
from niwaki.targets.base import Effort
from niwaki.targets.capabilities import Granularity
from niwaki.targets.cpu_capabilities import cpu_capabilities
from niwaki.targets.lock import measurement_lock
from niwaki.targets.machine import Processor, affinity, usable_cores
from niwaki.targets.onnxruntime_cpu import OnnxRuntimeCpu
from niwaki.targets.protocol import Budget
from niwaki.targets.registry import TARGETS
from tests.targets.networks import conv_net, image, int8_conv, model

SMALL = Budget(
    warmup_runs=2,
    warmup_seconds=0.0,
    min_runs=8,
    min_seconds=0.02,
    max_seconds=0.1,
    relative_interval=0.1,
)
TARGET = OnnxRuntimeCpu(quick=SMALL, thorough=SMALL)


@pytest.mark.parametrize(
    "same",
    [
        {"nominal_reference_ms": 0.5},
        {"lock_path": Path("elsewhere")},
        {"lock_timeout_seconds": 1.0},
        {"quick": replace(SMALL, max_seconds=9.0)},
    ],
    ids=lambda change: next(iter(change)),
)
def test_what_does_not_change_latency_keeps_the_id(same: dict[str, object]) -> None:
    assert replace(TARGET, **same).target_id == TARGET.target_id  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "change",
    [
        {"threads": 2},
        {"spinning": True},
        {"cores": affinity()[:1]},
        {"disabled_optimizers": ("WeightBiasQuantization",)},
    ],
    ids=lambda change: next(iter(change)),
)
def test_what_changes_latency_changes_the_id(change: dict[str, object]) -> None:
    assert replace(TARGET, **change).target_id != TARGET.target_id  # type: ignore[arg-type]


def test_the_id_says_runtime_and_threads() -> None:
    assert replace(TARGET, threads=3).target_id.startswith("onnxruntime-cpu-t3-")


def test_a_larger_network_takes_longer() -> None:
    small, large = TARGET.measure(
        [conv_net(16, 24, 2), conv_net(64, 48, 6)], [image(24), image(48)]
    )
    assert small.latency_ms < large.latency_ms  # by a hundredfold


def test_int8_runs_as_int8() -> None:
    kinds = [node.op_type for node in TARGET.optimised(int8_conv()).graph.node]
    assert "QLinearConv" in kinds
    assert "Conv" not in kinds


def test_disabled_optimizers_are_left_out() -> None:
    plain = replace(TARGET, disabled_optimizers=("QDQSelectorActionTransformer",))
    kinds = [node.op_type for node in plain.optimised(int8_conv()).graph.node]
    assert "QLinearConv" not in kinds


def test_a_pinned_target_leaves_the_thread_as_it_was() -> None:
    before = affinity()
    target = replace(TARGET, cores=before[:1])
    assert target.measure([conv_net(8, 16, 1)], [image(16)])[0].ratio > 0
    assert affinity() == before


def test_a_core_that_is_not_ours_is_refused() -> None:
    with pytest.raises(TargetError, match="core 4096"):
        OnnxRuntimeCpu(cores=(4096,))


def test_no_threads_are_refused() -> None:
    with pytest.raises(TargetError, match="at least 1 thread"):
        OnnxRuntimeCpu(threads=0)


@pytest.mark.parametrize("cores", [(), affinity()[:1]])
def test_more_threads_than_cores_are_not_measured(cores: tuple[int, ...]) -> None:
    n_cores = len(cores) or math.ceil(usable_cores())
    crowded = replace(TARGET, threads=n_cores + 1, cores=cores)
    for measure in (crowded.calibrate, lambda: crowded.measure([conv_net(8, 16, 1)], [image(16)])):
        with pytest.raises(TargetError, match=rf"{n_cores + 1} threads .* there are {n_cores} cor"):
            measure()


def test_what_varies_too_much_says_so() -> None:
    latency = TARGET.measure([conv_net(8, 16, 1)], [image(16)])[0]
    assert "not converged" in str(replace(latency, converged=False))
    assert "converged" not in str(replace(latency, converged=True))


def test_measuring_waits_for_the_machine(tmp_path: Path) -> None:
    path = tmp_path / "lock"
    target = replace(TARGET, lock_path=path, lock_timeout_seconds=0.05)
    with measurement_lock(path), pytest.raises(TargetError, match="one run measures at a time"):
        target.measure([conv_net(8, 16, 1)], [image(16)])


def test_errors_come_before_the_waiting(tmp_path: Path) -> None:
    path = tmp_path / "lock"
    target = replace(TARGET, lock_path=path, lock_timeout_seconds=30.0)
    with measurement_lock(path), pytest.raises(TargetError, match="wants inputs"):
        target.measure([conv_net(8, 16, 1)], [{"wrong": image(16)["x"]}])


def test_several_processes_measure_in_turn(tmp_path: Path) -> None:
    path, n_done = tmp_path / "lock", []
    target = replace(TARGET, lock_path=path)

    def measure() -> None:
        n_done.append(target.measure([conv_net(8, 16, 1)], [image(16)])[0].n_runs)

    threads = [threading.Thread(target=measure) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(n_done) == 3


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(TargetError, match=r"no model file '.*gone\.onnx'"):
        TARGET.run(tmp_path / "gone.onnx", image(16))


def test_an_unknown_operator_is_named() -> None:
    nodes = [helper.make_node("Bonsai", ["x"], ["y"], domain="garden")]
    strange = model(nodes, [("x", TensorProto.FLOAT, [1])], [("y", TensorProto.FLOAT, [1])], [])
    strange.opset_import.append(helper.make_opsetid("garden", 1))
    with pytest.raises(TargetError, match="Bonsai"):
        TARGET.run(strange, {"x": np.ones(1, np.float32)})


def test_an_input_of_a_wrong_shape_is_refused() -> None:
    with pytest.raises(TargetError, match="cannot run"):
        TARGET.run(conv_net(8, 16, 1), image(20))


def test_uncalibrated_takes_the_reference_of_the_session() -> None:
    [latency] = TARGET.measure([conv_net(8, 16, 1)], [image(16)], effort=Effort.THOROUGH)
    assert latency.nominal_reference_ms == latency.reference_ms


def test_vnni_needs_no_reduced_range() -> None:
    vnni = cpu_capabilities(Processor("x", "x86_64", ("avx2", "avx512f", "avx512_vnni")))
    plain = cpu_capabilities(Processor("x", "x86_64", ("avx2",)))
    assert (vnni.reduce_range, plain.reduce_range) == (False, True)
    assert (vnni.channel_grain["fp32"], plain.channel_grain["fp32"]) == (16, 8)
    assert plain.plan({}).reduce_range and (vnni.weight_limit, plain.weight_limit) == (127, 64)


def test_depthwise_layers_are_faster_in_int8_with_vnni_alone() -> None:
    vnni = cpu_capabilities(Processor("x", "x86_64", ("avx2", "avx512f", "avx512_vnni")))
    plain = cpu_capabilities(Processor("x", "x86_64", ("avx2",)))
    assert vnni.fast_precisions("depthwise_conv") == ("fp32", "int8")
    assert plain.fast_precisions("depthwise_conv") == ("fp32",)
    assert plain.supports("depthwise_conv", "int8")
    assert plain.fast_precisions("conv") == ("fp32", "int8")


def test_arm_wants_signed_activations() -> None:
    arm = cpu_capabilities(Processor("x", "aarch64", ("asimd", "asimddp")))
    assert (arm.activation, arm.reduce_range, arm.channel_grain["fp32"]) == ("s8", False, 8)


def test_what_is_not_fast_is_not_offered() -> None:
    table = TARGET.capabilities
    assert table.fast_precisions("conv") == ("fp32", "int8")
    assert table.fast_precisions("gelu") == ("fp32",)
    assert table.supports("conv", "int8", Granularity.PER_CHANNEL)
    assert not table.supports("linear", "int4")


def test_the_registry_makes_it() -> None:
    record = TARGETS.find("onnxruntime_cpu")
    assert record.load()(threads=2) == OnnxRuntimeCpu(threads=2)


def test_importing_targets_loads_no_torch() -> None:
    code = "import sys, niwaki.targets; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
