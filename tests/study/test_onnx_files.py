"""`niwaki.compress` of an ONNX file alone: no torch code, no class, no weights in another form."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
import torch
import yaml

import niwaki
from niwaki.config.build import build_study
from niwaki.config.reader import parse_config
from niwaki.core.errors import ConfigError
from niwaki.evaluation.compression.settings import CompressionSettings, PruningSettings
from niwaki.evaluation.compression.tuning.fine_tuning import TuningSettings
from niwaki.export.bundle import find_bundles, verify_bundle
from niwaki.export.fast_path.fx_graph import build_graph
from niwaki.study.compression import Compressed, CompressionRequest
from niwaki.study.results.run import Run
from tests.evaluation.compression.small import build, loaders, unlabelled
from tests.hasty import HASTY

SETTINGS = CompressionSettings(
    pruning=PruningSettings(
        price="macs", shares=(0.5,), n_judged=64, criterion="l1", allocation="uniform"
    ),
    tuning=TuningSettings(epochs=1.0, batch_size=32, n_recalibration=64),
)


def compressed(file: str, tasks: Any = None, inputs: Any = None, **wanted: Any) -> Compressed:
    """Compress a file."""
    request = CompressionRequest(**{"settings": SETTINGS, **wanted})
    return niwaki.compress(file, inputs, tasks, HASTY, folder="run", request=request)


@pytest.fixture
def file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """Write a trained model with two outputs to where one works; return what one would type."""
    monkeypatch.chdir(tmp_path)
    onnx.save(build_graph(build(), [(1, 1, 16, 16)]), "my_model.onnx")
    return "my_model.onnx"


def test_a_file_is_pruned_tuned_quantized_and_verified(file: str) -> None:
    found = compressed(file, loaders(), n_workers=1, n_finalists=2)
    trials = Run.read(Path("run")).history.trials
    assert [t.measurement.reason for t in trials if not t.measurement.complete] == []
    smallest = min(t.measurement.values["params"] for t in trials)
    assert smallest < 0.7 * found.original.values["params"]
    written = Run.read(Path("run")).folder.read_config()
    assert "'model': 'my_model.onnx'" in str(written["subject"])
    bundles = find_bundles(Path("run/artifacts"))
    assert bundles
    for folder in bundles:
        verify_bundle(folder).require(str(folder))


def test_a_run_keeps_to_the_content_of_its_file(file: str) -> None:
    def run(n_finalists: int) -> int:
        only = replace(SETTINGS, only="quantize")
        compressed(file, unlabelled(), n_finalists=n_finalists, settings=only)
        return len(Run.read(Path("run")).history.trials)

    assert run(n_finalists=0) == run(n_finalists=1)  # goes on, and pays for nothing twice
    other = build()
    with torch.no_grad():
        next(other.parameters()).add_(0.01)
    onnx.save(build_graph(other, [(1, 1, 16, 16)]), file)
    with pytest.raises(ConfigError, match="began with a model of fingerprint"):
        run(n_finalists=2)


def test_a_configuration_names_a_file(file: str) -> None:
    text = """
    name: from-file
    objectives: [mean_skill, macs]
    evaluator:
      kind: compressed
      model: my_model.onnx
      only: prune
      pruning: {price: macs, shares: [0.5], n_judged: 64, criterion: l1, allocation: uniform}
      tuning: {epochs: 0.5, batch_size: 32}
    data:
      kind: python
      function: tests.evaluation.compression.small:loaders
      layout: as_given
      tasks:
        quarter: {kind: classification, classes: 4}
        brightness: {kind: regression}
    target: {kind: onnxruntime_cpu}
    searcher: random
    budget: {evaluations: 2}
    finalists: 0
    """
    front = build_study(parse_config(yaml.safe_load(text)), Path("run").absolute()).run()
    assert front.models
    assert Run.read(Path("run")).history.baseline is not None


def test_what_is_read_wrongly_is_told_before_anything_is_paid_for(
    file: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    from niwaki.evaluation.compression.from_onnx import call

    def wrong(node: call.Call) -> object:
        return node.function(torch.sigmoid, node.data())

    monkeypatch.setitem(call.OPERATORS, "Relu", wrong)
    with pytest.raises(ConfigError, match=r"'my_model.onnx' answers otherwise than ONNX Runtime"):
        compressed(file, loaders())
    assert not Path("run/ledger.jsonl").exists() or not Run.read(Path("run")).history.trials


@pytest.mark.parametrize("given", ["function", "batches", "inputs"])
def test_sizes_that_a_file_leaves_open_are_those_of_the_data(file: str, given: str) -> None:
    model = onnx.load(file)
    for dim in model.graph.input[0].type.tensor_type.shape.dim[2:]:
        dim.dim_param = "side"
    del model.graph.value_info[:]
    onnx.save(model, file)
    only = replace(SETTINGS, only="quantize")
    inputs = torch.from_numpy(np.concatenate(unlabelled()["train"]))
    tasks = {
        "function": "tests.evaluation.compression.small:unlabelled",
        "batches": {"train": iter([inputs])},
    }.get(given)
    compressed(file, tasks, inputs, n_workers=1, n_finalists=0, settings=only)
    trials = Run.read(Path("run")).history.trials
    assert trials and all(t.measurement.complete for t in trials)
