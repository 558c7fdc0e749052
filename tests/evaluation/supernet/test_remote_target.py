"""The super-network evaluator with a target in another process, reached as another machine is."""

import sys
from pathlib import Path

import pytest

from niwaki.evaluation.base import Provenance
from niwaki.evaluation.supernet.evaluator import SupernetEvaluator
from niwaki.export.bundle import read_bundle, verify_bundle
from niwaki.spaces.precision import INT8
from niwaki.targets.remote.target import RemoteOnnxRuntime
from niwaki.tasks.digit_scenes import DigitScenesSettings
from tests.evaluation.conftest import make_evaluator


@pytest.mark.parametrize("scores_here", [False, True])
def test_what_is_measured_there_is_what_is_measured_here(
    evaluator: SupernetEvaluator,
    scenes: DigitScenesSettings,
    folder: Path,
    tmp_path: Path,
    scores_here: bool,
) -> None:
    way = f"popen//python={sys.executable}"
    remote = make_evaluator(scenes, RemoteOnnxRuntime(connection=way, scores_here=scores_here))
    remote.prepare(folder)  # the same super-network, on what is the same target

    candidate = evaluator.spell(evaluator.architectures.smallest, INT8)
    here = evaluator.evaluate(candidate, fidelity=1.0, seed=0)
    there = remote.evaluate(candidate, fidelity=1.0, seed=0)
    assert there.target_id == here.target_id
    assert there.details["layers"] == here.details["layers"]
    timed = {name for name in here.values if "latency_ms" in name}
    assert {n: v for n, v in there.values.items() if n not in timed} == {
        n: v for n, v in here.values.items() if n not in timed
    }
    assert all(there.values[name] > 0 for name in timed)

    provenance = Provenance("small", (), "0123456789abcdef")
    made = remote.export(candidate, tmp_path / "model", provenance=provenance, seed=0)
    [export] = remote.measure_exports([made], seed=0)
    verify_bundle(export.folder).require("the model")
    card = read_bundle(export.folder).card
    assert card.latency is not None
    assert card.latency.target_id == here.target_id
