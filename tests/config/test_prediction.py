"""A run that was started from a file can be asked by its folder alone."""

import shutil
import threading
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from niwaki.config.build import build_study
from niwaki.config.prediction import load_predictor
from niwaki.config.reader import parse_config
from niwaki.core.errors import ConfigError, DataError, RunFolderError, StudyError
from niwaki.predictors.base import Prediction, Predictor
from niwaki.predictors.state import State
from niwaki.study.results.run import Run

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


def test_a_space_that_was_changed_since_is_told(squares: Path, tmp_path: Path) -> None:
    run, table = shutil.copytree(squares, tmp_path / "run"), tmp_path / "table.csv"
    rows = (squares.parent / "table.csv").read_text().splitlines()
    table.write_text("\n".join(row for row in rows if not row.startswith("3")) + "\n")
    config = run / "config.yaml"
    config.write_text(config.read_text().replace(str(squares.parent / "table.csv"), str(table)))
    with pytest.raises(StudyError, match=r"evaluation \d+ of the run is not of its space any more"):
        load_predictor(run)


@pytest.fixture(scope="module")
def squares(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the folder of a run on a table."""
    folder = tmp_path_factory.mktemp("squares")
    rows = "".join(f"{a},{b},{a * a - 3 * b},{b}\n" for a in range(6) for b in range(8))
    (folder / "table.csv").write_text("a,b,gain,size\n" + rows)
    evaluator = {
        "kind": "table",
        "file": str(folder / "table.csv"),
        "decisions": ["a", "b"],
        "values": {"gain": {"direction": "maximize"}, "size": {"direction": "minimize"}},
    }
    config = parse_config({**TABLE, "evaluator": evaluator, "objectives": ["gain", "size"]})
    build_study(config, folder / "run").run()
    return folder / "run"


class Means(Predictor):
    """Predicts the mean of what it saw, whatever it is asked."""

    def __init__(self, settings: None = None) -> None:
        self._mean = np.zeros(0)

    def fit(self, X: NDArray[np.float64], y: NDArray[np.float64]) -> None:
        self._mean = np.nanmean(y, axis=0)

    def predict(self, X: NDArray[np.float64]) -> Prediction:
        mean = np.tile(self._mean, (len(X), 1))
        return Prediction(mean, np.ones_like(mean))

    def state(self) -> State:
        return {"mean": self._mean}

    def restore(self, state: State) -> None:
        self._mean = state["mean"]


class Bare(Means):
    """Forgets that predictions have a spread."""

    def predict(self, X: NDArray[np.float64]) -> Prediction:
        return super().predict(X).mean  # type: ignore[return-value]


class Sure(Means):
    """Gives a spread below zero."""

    def predict(self, X: NDArray[np.float64]) -> Prediction:
        found = super().predict(X)
        return Prediction(found.mean, -found.std)


class Failing(Means):
    """Learns nothing."""

    def fit(self, X: NDArray[np.float64], y: NDArray[np.float64]) -> None:
        raise ValueError("no idea")


@dataclass(frozen=True)
class ShiftSettings:
    """By how much predictions are off."""

    by: float = 3.0


class Shifted(Means):
    """Adds to the mean what its settings say."""

    def __init__(self, settings: ShiftSettings) -> None:
        super().__init__()
        self._by = settings.by

    def fit(self, X: NDArray[np.float64], y: NDArray[np.float64]) -> None:
        self._mean = np.nanmean(y, axis=0) + self._by


@dataclass(frozen=True)
class NeedySettings:
    """What has no default."""

    by: float


class Needy(Shifted):
    """Cannot be made by its name alone."""

    def __init__(self, settings: NeedySettings) -> None:
        super().__init__(ShiftSettings(settings.by))


@pytest.mark.parametrize("predictor", [Means(), f"{__name__}:Means"])
def test_a_predictor_of_ones_own_answers(squares: Path, predictor: Predictor | str) -> None:
    measured = [trial.measurement.values["gain"] for trial in Run.read(squares).history.trials]
    own = load_predictor(squares, predictor=predictor, names=["gain"])
    candidates = [own.space.canonical({"a": a, "b": 2}) for a in (0, 5)]
    mean = own.predict(candidates).mean
    assert mean[0] == mean[1]
    assert min(measured) < mean[0] < max(measured)
    standard = load_predictor(squares)
    assert standard.quality["gain"].rmse < 0.5 * own.quality["gain"].rmse
    assert own.quality["gain"].coverage > 0.8  # its intervals are calibrated
    assert (
        load_predictor(squares).predict(candidates).mean[0, 0] != mean[0]
    )  # nothing of it is kept


class Empty(Means):
    """Has a length, of 0: not true, and there all the same."""

    def __len__(self) -> int:
        return 0


def test_what_a_predictor_learned_is_not_kept_whatever_its_truth_value(tmp_path: Path) -> None:
    evaluator = {
        "kind": "table",
        "file": str(tmp_path / "table.csv"),
        "decisions": ["a"],
        "values": {"gain": {"direction": "maximize"}},
    }
    rows = "".join(f"{a},{a * a}\n" for a in range(30))
    (tmp_path / "table.csv").write_text("a,gain\n" + rows)
    build_study(parse_config({**TABLE, "evaluator": evaluator}), tmp_path / "run").run()
    load_predictor(tmp_path / "run", predictor=Empty())
    assert not list((tmp_path / "run" / "predictor").glob("*"))


def test_one_predictor_answers_for_several_runs(squares: Path) -> None:
    predictor = Means()
    gain = load_predictor(squares, predictor=predictor, names=["gain"])
    candidates = [gain.space.canonical({"a": 1, "b": 2})]
    before = gain.predict(candidates).mean.tolist()
    load_predictor(squares, predictor=predictor, names=["size", "gain"])
    assert gain.predict(candidates).mean.tolist() == before


def test_a_predictor_that_cannot_be_copied_is_told(squares: Path) -> None:
    class Locked(Means):
        def __init__(self) -> None:
            super().__init__()
            self.lock = threading.Lock()

    with pytest.raises(ConfigError, match=r"'.*Locked' cannot be copied.*: open files, locks"):
        load_predictor(squares, predictor=Locked())


def test_a_predictor_is_chosen_by_its_name(squares: Path) -> None:
    found = [
        load_predictor(squares, predictor=n).quality["gain"] for n in ("ridge", "gaussian_process")
    ]
    assert found[0] != found[1]


def test_a_predictor_by_its_name_has_the_defaults_of_its_settings(squares: Path) -> None:
    plain, shifted = (
        load_predictor(squares, predictor=f"{__name__}:{name}", names=["gain"])
        for name in ("Means", "Shifted")
    )
    asked = [plain.space.canonical({"a": 0, "b": 2})]
    assert shifted.predict(asked).mean[0, 0] == pytest.approx(plain.predict(asked).mean[0, 0] + 3.0)


@pytest.mark.parametrize(
    ("name", "error", "message"),
    [
        ("rigde", ConfigError, "did you mean 'ridge'"),
        (f"{__name__}:TABLE", ConfigError, "is a dict, but a class or a function is needed"),
        ("niwaki.predictors.base:Predictor", ConfigError, "without `fit`, `predict`, `restore`"),
        ("collections:Counter", ConfigError, "is a Counter: it must be a niwaki.predictors"),
        (f"{__name__}:Needy", ConfigError, "Needy' cannot be made .*: 'by' is missing: give it a"),
        (f"{__name__}:Bare", DataError, r"'Bare' gave array.* of shape \(\d+, 2\)"),
        (f"{__name__}:Sure", DataError, "'Sure' gave Prediction.* std from 0 on"),
    ],
)
def test_what_is_no_predictor_is_told(
    squares: Path, name: str, error: type[Exception], message: str
) -> None:
    with pytest.raises(error, match=message):
        load_predictor(squares, predictor=name)


def test_what_a_predictor_raises_says_whose_it_is(squares: Path) -> None:
    with pytest.raises(ValueError, match="no idea") as raised:
        load_predictor(squares, predictor=Failing())
    assert "`fit` of the predictor 'Failing'" in raised.value.__notes__[0]


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


def test_what_a_run_is_made_from_and_is_not_here_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "table.csv").write_text("a,gain\n" + "".join(f"{a},{a}\n" for a in range(40)))
    values = {"gain": {"direction": "maximize"}}
    evaluator = {"kind": "table", "file": "table.csv", "decisions": ["a"], "values": values}
    monkeypatch.chdir(tmp_path)
    build_study(parse_config({**TABLE, "evaluator": evaluator}), Path("run")).run()
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    with pytest.raises(DataError, match=r"config\.yaml names: the table .* ask from there"):
        load_predictor(tmp_path / "run")


def test_a_folder_without_a_run_is_named(tmp_path: Path) -> None:
    with pytest.raises(RunFolderError, match="there is no run at"):
        load_predictor(tmp_path)
