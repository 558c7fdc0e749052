"""A run that was started from a file can be asked by its folder alone."""

from pathlib import Path

import numpy as np
import pytest

from niwaki.config.build import build_study
from niwaki.config.prediction import load_predictor
from niwaki.config.reader import parse_config
from niwaki.core.errors import RunFolderError

TABLE = {
    "objectives": ["gain"],
    "searcher": {"kind": "random"},
    "executor": {"kind": "in_process"},
    "budget": {"evaluations": 30},
    "finalists": 0,
}


def test_a_run_is_asked_by_its_folder(tmp_path: Path) -> None:
    lines = [
        "a,b,c,gain",
        *(f"{a},{b},{c},{a + 2 * b - c}" for a in range(4) for b in range(4) for c in range(4)),
    ]
    (tmp_path / "table.csv").write_text("\n".join(lines) + "\n")
    evaluator = {
        "kind": "table",
        "file": str(tmp_path / "table.csv"),
        "decisions": ["a", "b", "c"],
        "values": {
            "gain": {"column": "gain", "direction": "maximize"},
            "size": {"column": "b", "direction": "minimize"},
        },
        "cheap": ["size"],
        "baseline": {"a": 0, "b": 0, "c": 0},
    }
    config = parse_config({**TABLE, "evaluator": evaluator, "name": "asked"})
    build_study(config, tmp_path / "asked").run()
    predictor = load_predictor(tmp_path / "asked")
    assert predictor.names == ("gain",)
    candidate = predictor.space.canonical({"a": 3, "b": 3, "c": 0})
    assert predictor.predict([candidate]).mean[0, 0] == pytest.approx(9.0, abs=2.0)
    assert np.isfinite(predictor.predict([candidate]).interval()[0]).all()
    counted = load_predictor(tmp_path / "asked", names=["size"])
    assert (counted.computed, counted.predict([candidate]).mean.tolist()) == (("size",), [[3.0]])


def test_predictions_keep_to_what_a_value_can_be(tmp_path: Path) -> None:
    text = "".join(f"{a},{b},{max(0, a * a - 9 * b)},{b}\n" for a in range(8) for b in range(8))
    (tmp_path / "table.csv").write_text("a,b,error,size\n" + text)
    evaluator = {
        "kind": "table",
        "file": str(tmp_path / "table.csv"),
        "decisions": ["a", "b"],
        "values": {
            "error": {"direction": "minimize", "least": 0},
            "size": {"direction": "minimize"},
        },
        "cheap": ["size"],
    }
    objectives = ["error", "size"]
    config = parse_config(
        {**TABLE, "evaluator": evaluator, "objectives": objectives, "name": "asked"}
    )
    build_study(config, tmp_path / "asked").run()
    predictor = load_predictor(tmp_path / "asked")
    everything = [{"a": a, "b": b} for a in range(8) for b in range(8)]
    candidates = [predictor.space.canonical(decisions) for decisions in everything]
    prediction = predictor.predict(candidates)
    low, high = prediction.interval()
    assert low[:, 0].min() == prediction.mean[:, 0].min() == 0.0
    assert (high[:, 0] > 0.0).all()
    np.testing.assert_array_equal(low[:, 1], high[:, 1])


def test_what_proposed_the_candidates_need_not_be_here(tmp_path: Path) -> None:
    (tmp_path / "table.csv").write_text("a,gain\n" + "".join(f"{a},{a}\n" for a in range(20)))
    evaluator = {
        "kind": "table",
        "file": str(tmp_path / "table.csv"),
        "decisions": ["a"],
        "values": {"gain": {"direction": "maximize"}},
    }
    plugin = tmp_path / "mine.py"
    plugin.write_text("from niwaki.search.random_search import RandomSearch\n")
    searcher = {"kind": f"{plugin}:RandomSearch"}
    config = parse_config({**TABLE, "evaluator": evaluator, "searcher": searcher, "name": "asked"})
    build_study(config, tmp_path / "asked").run()
    plugin.unlink()
    assert load_predictor(tmp_path / "asked").names == ("gain",)


def test_a_folder_without_a_run_is_named(tmp_path: Path) -> None:
    with pytest.raises(RunFolderError, match="there is no run at"):
        load_predictor(tmp_path)
