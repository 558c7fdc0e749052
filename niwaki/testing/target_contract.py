"""What every target must do. Subclass `TargetContract` and implement `make`."""

import os
import pickle
import subprocess
import sys
from abc import ABC, abstractmethod

import numpy as np
import onnx
import pytest

from niwaki.core.errors import TargetError
from niwaki.core.jsonable import canonical_json
from niwaki.targets.base import Feeds, Target
from niwaki.targets.reference import reference_feeds, reference_model

_PRINT_ID = (
    "import pickle, sys; print(pickle.loads(bytes.fromhex(sys.stdin.read())).target_id, end='')"
)


class TargetContract(ABC):
    """Laws of targets, checked with the reference network."""

    @abstractmethod
    def make(self) -> Target:
        """Return a target of the kind under test, with small budgets."""

    @abstractmethod
    def make_other(self) -> Target:
        """Return one that differs in a setting which changes latency, such as its threads."""

    @pytest.fixture
    def target(self) -> Target:
        return self.make()

    @pytest.fixture
    def feeds(self) -> Feeds:
        return reference_feeds()

    def test_the_id_is_readable_and_short(self, target: Target) -> None:
        assert 8 <= len(target.target_id) <= 64
        assert all(c.isalnum() or c in "-._" for c in target.target_id)

    def test_the_id_follows_the_settings_alone(self, target: Target) -> None:
        assert self.make().target_id == target.target_id
        assert self.make_other().target_id != target.target_id

    def test_the_id_travels(self, target: Target) -> None:
        answer = subprocess.run(
            [sys.executable, "-c", _PRINT_ID],
            input=pickle.dumps(target).hex(),
            env={**os.environ, "PYTHONHASHSEED": "7"},
            capture_output=True,
            text=True,
            check=True,
            timeout=120,
        )
        assert answer.stdout == target.target_id

    def test_a_copy_is_equal(self, target: Target) -> None:
        assert pickle.loads(pickle.dumps(target)) == target

    def test_calibration_leaves_the_id(self, target: Target) -> None:
        assert target.calibrated(0.5).target_id == target.target_id

    @pytest.mark.parametrize("nominal", [0.0, -1.0, float("nan"), float("inf")])
    def test_a_nominal_time_is_positive(self, target: Target, nominal: float) -> None:
        with pytest.raises(TargetError, match="nominal"):
            target.calibrated(nominal)

    def test_calibration_finds_a_time(self, target: Target) -> None:
        assert 0.0 < target.calibrate() < 1e4

    def test_run_answers_by_output_name(self, target: Target, feeds: Feeds) -> None:
        outputs = target.run(reference_model(), feeds)
        assert list(outputs) == ["y"]
        assert outputs["y"].shape == (1, 10)

    def test_a_model_is_loaded_once_and_run_often(self, target: Target, feeds: Feeds) -> None:
        runner = target.open(reference_model())
        first, second = runner(feeds)["y"], runner(feeds)["y"]
        np.testing.assert_array_equal(first, second)
        np.testing.assert_array_equal(first, target.run(reference_model(), feeds)["y"])

    def test_the_optimised_graph_computes_the_same(self, target: Target, feeds: Feeds) -> None:
        optimised = target.optimised(reference_model())
        assert isinstance(optimised, onnx.ModelProto)
        before, after = (target.run(m, feeds)["y"] for m in (reference_model(), optimised))
        np.testing.assert_allclose(after, before, rtol=1e-3, atol=1e-4)

    def test_every_model_is_measured_in_its_place(self, target: Target, feeds: Feeds) -> None:
        found = target.measure([reference_model()] * 3, [feeds] * 3)
        assert len(found) == 3
        for latency in found:
            assert latency.target_id == target.target_id
            assert latency.latency_ms > 0.0
            assert 0.0 <= latency.latency_low_ms <= latency.latency_ms <= latency.latency_high_ms
            assert 0.0 < latency.min_ms <= latency.p50_ms <= latency.p90_ms <= latency.p99_ms
            assert latency.n_runs >= 1

    def test_the_reference_takes_about_what_it_takes(self, target: Target, feeds: Feeds) -> None:
        [latency] = target.calibrated(3.0).measure([reference_model()], [feeds])
        assert latency.nominal_reference_ms == 3.0
        assert 0.5 < latency.ratio < 2.0  # a wide net for a machine under load
        assert latency.latency_ms == pytest.approx(3.0 * latency.ratio)

    def test_a_latency_is_json(self, target: Target, feeds: Feeds) -> None:
        [latency] = target.measure([reference_model()], [feeds])
        text = canonical_json(latency.to_json())
        assert '"latency_ms"' in text
        assert type(latency).from_json(latency.to_json()) == latency

    def test_models_and_inputs_come_in_pairs(self, target: Target, feeds: Feeds) -> None:
        with pytest.raises(TargetError, match="2 models came with 1 inputs"):
            target.measure([reference_model()] * 2, [feeds])

    @pytest.mark.parametrize("value", [0.0, 1e-40, float("nan")], ids=["zeros", "subnormal", "nan"])
    def test_unreal_inputs_are_refused(self, target: Target, feeds: Feeds, value: float) -> None:
        unreal = {name: np.full_like(values, value) for name, values in feeds.items()}
        with pytest.raises(TargetError, match="real data"):
            target.measure([reference_model()], [unreal])

    def test_a_damaged_model_is_refused(self, target: Target, feeds: Feeds) -> None:
        damaged = reference_model()[:1000]
        with pytest.raises(TargetError, match="cannot load"):
            target.measure([damaged], [feeds])

    def test_a_missing_input_is_refused(self, target: Target) -> None:
        with pytest.raises(TargetError, match="wants inputs"):
            target.run(reference_model(), {})

    def test_the_table_knows_convolutions(self, target: Target) -> None:
        assert target.capabilities.supports("conv", "fp32")
        assert target.capabilities.fast_precisions("conv")
        assert not target.capabilities.supports("conv", "no such precision")
        canonical_json(target.capabilities.to_json())
