"""Asking a run about candidates that it never measured."""

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import cast

import numpy as np
import pytest
from numpy.typing import NDArray

from niwaki.core.candidate import Candidate
from niwaki.core.errors import ConfigError, RunFolderError, SpaceError, StudyError
from niwaki.core.measurement import Measurement
from niwaki.core.objectives import Direction, Objective
from niwaki.core.randomness import stream
from niwaki.predictors.base import Predictor
from niwaki.search.random_search import RandomSearch
from niwaki.spaces import ChoiceSpace
from niwaki.spaces.features import Features
from niwaki.study.answers import prediction
from niwaki.study.answers.asking import predictions_json, predictions_text, read_candidates
from niwaki.study.answers.prediction import run_predictor
from niwaki.study.budget import Budget
from niwaki.study.results.run import Run
from niwaki.study.study import Study, StudySettings
from tests.study.climbing import ClimbingEvaluator, climbing_study
from tests.study.formulas import SPACE, FormulaEvaluator

CHEAP = FormulaEvaluator().cheap


class SometimesMore(FormulaEvaluator):
    """Gives another value of every fifth candidate or so."""

    @property
    def values(self) -> tuple[Objective, ...]:
        return (*super().values, Objective("more", Direction.MINIMIZE))

    def evaluate(self, candidate: Candidate, *, fidelity: float, seed: int) -> Measurement:
        found = super().evaluate(candidate, fidelity=fidelity, seed=seed)
        if candidate.decisions["x1"] != 3:
            return found
        return replace(found, values={**found.values, "more": found.values["price"] + 1.0})


def searched(folder: Path, n: int, evaluator: FormulaEvaluator | None = None) -> Run:
    """Run a study of n random evaluations, or continue it."""
    settings = StudySettings(
        objectives=("gain", "price"), constraints=("weight <= 29",), budget=Budget(n), n_finalists=0
    )
    Study(folder, evaluator or FormulaEvaluator(fails=True), RandomSearch, settings).run()
    return Run.read(folder)


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Run:
    return searched(tmp_path_factory.mktemp("runs") / "asked", 80)


@pytest.fixture
def candidates() -> list[Candidate]:
    return [SPACE.sample(stream(number, "asked")) for number in range(60)]


def test_what_was_not_measured_is_predicted(run: Run, candidates: list[Candidate]) -> None:
    predictor = run_predictor(run, SPACE)
    assert predictor.names == ("gain", "price", "weight")
    prediction = predictor.predict(candidates)
    truth = np.array([[c.decisions[f"x{i}"] for i in range(6)] for c in candidates], dtype=float)
    gain = truth @ np.arange(1.0, 7.0)
    assert np.corrcoef(prediction.mean[:, 0], gain)[0, 1] > 0.97
    low, high = prediction.interval()
    assert ((low[:, 0] <= gain) & (gain <= high[:, 0])).mean() > 0.75
    assert predictor.quality["gain"].kendall_tau > 0.8


def test_of_very_many_evaluations_an_even_share_is_learned_from(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = searched(tmp_path / "many", 40)
    n_usable = run_predictor(run, SPACE).n_rows
    monkeypatch.setattr(prediction, "MOST_ROWS", 20)
    asked = run_predictor(run, SPACE)
    assert n_usable > 20 and asked.n_rows == asked.quality["gain"].n == 20


def test_a_value_that_few_of_very_many_have_is_learned_from_all_of_these(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = searched(tmp_path / "rare", 80, SometimesMore())
    rare = [t for t in run.history.trials if "more" in t.measurement.values]
    assert 10 <= len(rare) < 20
    monkeypatch.setattr(prediction, "MOST_ROWS", 60)
    asked = run_predictor(run, SPACE, names=("gain", "more"))
    assert (asked.n_rows, asked.quality["more"].n) == (60, len(rare))
    monkeypatch.setattr(prediction, "LEAST_ROWS", 30)
    with pytest.raises(StudyError, match=f"value of 'more', and the run has {len(rare)}: "):
        run_predictor(run, SPACE, names=("more",))


def test_many_are_predicted_a_few_at_a_time(
    run: Run, candidates: list[Candidate], monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = run_predictor(run, SPACE).predict(candidates)
    n_encoded: list[int] = []

    class Counting(ChoiceSpace):
        def encode(self, candidates: Sequence[Candidate]) -> NDArray[np.float64]:
            n_encoded.append(len(candidates))
            return super().encode(candidates)

    predictor = run_predictor(run, Counting(SPACE.choices))
    n_encoded.clear()
    monkeypatch.setattr(prediction, "_AT_ONCE", 25)
    parts = predictor.predict(candidates)
    assert n_encoded == [25, 25, 10]
    assert np.allclose(parts.mean, whole.mean) and np.allclose(parts.std, whole.std)
    assert np.allclose(parts.interval(), whole.interval())


def test_failed_evaluations_are_left_out_and_the_baseline_counts(run: Run) -> None:
    n_complete = sum(trial.measurement.complete for trial in run.history.trials)
    assert n_complete < len(run.history.trials)
    assert run_predictor(run, SPACE).n_rows == n_complete + 1


def test_of_little_effort_values_that_do_not_hang_on_it_are_learned(tmp_path: Path) -> None:
    climbing_study(tmp_path / "run", ClimbingEvaluator(), n=30).run()
    run = Run.read(tmp_path / "run")
    fidelities = {t.candidate: t.measurement.fidelity for t in run.history.trials}  # the last ones
    n_full = 1 + sum(fidelity == 1.0 for fidelity in fidelities.values())
    quality = run_predictor(run, SPACE, names=["gain", "price"]).quality
    assert quality["gain"].n == n_full
    assert quality["price"].n == 1 + len(fidelities) > 2 * n_full


def test_a_fit_is_kept_until_something_new_is_measured(
    tmp_path: Path, candidates: list[Candidate], monkeypatch: pytest.MonkeyPatch
) -> None:
    first = run_predictor(searched(tmp_path / "run", 20), SPACE, names=["price"])

    def never(self: Predictor, X: object, y: object) -> None:
        raise AssertionError("it was fitted again")

    with monkeypatch.context() as patch:
        patch.setattr(type(first.predictor), "fit", never)
        again = run_predictor(Run.read(tmp_path / "run"), SPACE, names=["price"])
    there, here = first.predict(candidates), again.predict(candidates)
    np.testing.assert_array_equal(there.mean, here.mean)
    np.testing.assert_array_equal(there.interval()[0], here.interval()[0])
    assert again.quality == first.quality
    more = run_predictor(searched(tmp_path / "run", 30), SPACE, names=["price"])
    assert more.n_rows > first.n_rows


def test_a_copy_of_features_that_were_made_in_another_way_is_fitted_again(
    tmp_path: Path, candidates: list[Candidate]
) -> None:
    class Mistaken(ChoiceSpace):
        def encode(self, candidates: Sequence[Candidate]) -> NDArray[np.float64]:
            return super().encode(candidates)[:, ::-1]

    run = searched(tmp_path / "run", 40)
    run_predictor(run, Mistaken(SPACE.choices), names=["gain"])
    mended = run_predictor(run, SPACE, names=["gain"]).predict(candidates)
    (tmp_path / "run" / "predictor").rename(tmp_path / "other")
    anew = run_predictor(run, SPACE, names=["gain"]).predict(candidates)
    np.testing.assert_array_equal(mended.mean, anew.mean)


def test_a_damaged_copy_is_fitted_again(tmp_path: Path, candidates: list[Candidate]) -> None:
    run = searched(tmp_path / "run", 20)
    before = run_predictor(run, SPACE, names=["gain"]).predict(candidates)
    [kept] = (tmp_path / "run" / "predictor").iterdir()
    kept.write_bytes(b"not a predictor")
    again = run_predictor(run, SPACE, names=["gain"]).predict(candidates)
    np.testing.assert_array_equal(again.mean, before.mean)
    assert kept.stat().st_size > 100


def test_values_may_be_chosen(run: Run) -> None:
    assert run_predictor(run, SPACE, names=["price"]).names == ("price",)
    with pytest.raises(ConfigError, match="'prise' is no value of this run; did you mean 'price'"):
        run_predictor(run, SPACE, names=["prise"])


def test_too_few_evaluations_are_counted(tmp_path: Path) -> None:
    with pytest.raises(StudyError, match=r"needs 10 complete evaluations .*, and the run has 5"):
        run_predictor(searched(tmp_path / "run", 4), SPACE)


def test_a_value_that_few_evaluations_have_is_named(tmp_path: Path) -> None:
    few = searched(tmp_path / "few", 30)
    for trial in few.history.trials[5:]:
        cast("dict[str, float]", trial.measurement.values).pop("price", None)
    fault = r"needs 10 complete evaluations .* that have a value of 'price', and the run has [56]:"
    with pytest.raises(StudyError, match=fault):
        run_predictor(few, SPACE)
    assert run_predictor(few, SPACE, names=["gain"]).names == ("gain",)


def test_a_candidate_outside_the_space_is_named(run: Run, candidates: list[Candidate]) -> None:
    predictor = run_predictor(run, SPACE)
    wrong = Candidate.of({**candidates[3].decisions, "x2": 9})
    with pytest.raises(
        SpaceError, match=r"candidate 4 of 4: decision 'x2' is 9, which is not one of"
    ):
        predictor.predict([*candidates[:3], wrong])
    with pytest.raises(SpaceError, match=r"^decision 'x2' is 9"):
        predictor.predict([wrong])


def test_what_is_no_list_of_candidates_is_told(run: Run, candidates: list[Candidate]) -> None:
    predictor, decisions = run_predictor(run, SPACE), dict(candidates[0].decisions)
    with pytest.raises(SpaceError, match=r"but a dict came: write Candidate\.of\(decisions\)"):
        predictor.predict([decisions])  # type: ignore[list-item]
    for alone in (candidates[0], decisions):
        with pytest.raises(SpaceError, match="but one alone came: put it into a list"):
            predictor.predict(alone)  # type: ignore[arg-type]


def test_a_number_may_be_spelled_as_json_may(run: Run, candidates: list[Candidate]) -> None:
    predictor = run_predictor(run, SPACE)
    whole = candidates[0]
    fractions = Candidate.of({path: float(str(value)) for path, value in whole.items})
    assert predictor.spelled([fractions]) == [whole] != [fractions]
    mean = predictor.predict([whole, fractions]).mean
    np.testing.assert_array_equal(mean[0], mean[1])


def test_a_wrong_candidate_is_named_by_its_place(run: Run, candidates: list[Candidate]) -> None:
    wrong = Candidate.of({**candidates[1].decisions, "x2": True})
    with pytest.raises(SpaceError, match=r"^line 7: decision 'x2' is True, which is not one of"):
        run_predictor(run, SPACE).spelled([candidates[0], wrong], places=["line 5", "line 7"])


def test_candidates_come_from_files(tmp_path: Path, candidates: list[Candidate]) -> None:
    one, many = tmp_path / "one.json", tmp_path / "many.jsonl"
    one.write_text(json.dumps(candidates[0].to_json(), indent=2))
    lines = [
        json.dumps(candidates[0].to_json()),
        "",
        json.dumps({"candidate": candidates[1].to_json()}),
    ]
    many.write_text("\n".join(lines) + "\n", encoding="utf-8-sig")
    assert read_candidates(one, None) == ([f"'{one}'"], candidates[:1])
    places = [f"'{many}', line {n}" for n in (1, 3)]
    assert read_candidates(None, many) == (places, candidates[:2])


@pytest.mark.parametrize(
    ("text", "error", "said"),
    [
        ("{", SpaceError, "line 2' is not JSON"),
        ('{"x0": 1, "x0": 2}', SpaceError, "line 2: decision 'x0' is given twice"),
        ("[" * 100_000, SpaceError, "line 2' is not JSON"),
        ("[1]", SpaceError, "line 2: a candidate is a JSON object"),
        ('{"x0": {"a": 1}}', SpaceError, "line 2: decision 'x0' holds a dict"),
    ],
)
def test_a_bad_line_is_named(tmp_path: Path, text: str, error: type[Exception], said: str) -> None:
    path = tmp_path / "many.jsonl"
    path.write_text('{"x0": 1}\n' + text + "\n")
    with pytest.raises(error, match=said.replace("2' is", "2 is")):
        read_candidates(None, path)


def test_text_may_hold_separators_of_lines(tmp_path: Path) -> None:
    path = tmp_path / "many.jsonl"
    path.write_bytes('{"x0": "a\u2028b"}\r\n{"x0": 1}\r\n'.encode())
    found = [candidate.decisions["x0"] for candidate in read_candidates(None, path)[1]]
    assert found == ["a\u2028b", 1]


def test_one_file_is_wanted(tmp_path: Path) -> None:
    for arguments in ((None, None), (tmp_path, tmp_path)):
        with pytest.raises(ConfigError, match="give either --candidate FILE or --batch"):
            read_candidates(*arguments)
    with pytest.raises(ConfigError, match="cannot be read"):
        read_candidates(tmp_path / "none.json", None)


def test_answers_carry_intervals_and_quality(run: Run, candidates: list[Candidate]) -> None:
    predictor = run_predictor(run, SPACE)
    prediction = predictor.predict(candidates[:2])
    answer = predictions_json(predictor, candidates[:2], prediction, level=0.5)
    data = json.loads(json.dumps(answer))
    price = data["predictions"][1]["values"]["price"]
    assert data["predictions"][1]["key"] == candidates[1].key
    assert price["low"] < price["mean"] < price["high"]
    assert data["units"]["price"] == "ms"
    assert (data["level"], data["quality_level"]) == (0.5, 0.9)
    assert set(data["quality"]["gain"]) == {"n", "kendall_tau", "rmse", "coverage", "mean_width"}
    text = predictions_text(predictor, candidates[:2], prediction)
    assert candidates[1].key[:8] in text
    assert " ms  90% in [" in text
    assert "99.9% in" in predictions_text(predictor, candidates[:2], prediction, level=0.999)


def test_what_costs_nothing_is_computed(run: Run, candidates: list[Candidate]) -> None:
    predictor = run_predictor(run, SPACE, names=["weight", "price"], cheap=CHEAP)
    assert predictor.computed == ("weight",)
    prediction = predictor.predict(candidates)
    weights = [CHEAP(candidate)["weight"] for candidate in candidates]
    low, high = prediction.interval(0.999)
    for column in (prediction.mean, low, high):
        np.testing.assert_array_equal(column[:, 0], weights)
    assert np.isinf(high[:, 1]).all()
    assert (predictor.quality["weight"].rmse, predictor.quality["weight"].coverage) == (0.0, 1.0)
    alone = run_predictor(run, SPACE, names=["price"], cheap=CHEAP).predict(candidates)
    np.testing.assert_array_equal(prediction.mean[:, 1:], alone.mean)
    np.testing.assert_array_equal(prediction.interval()[0][:, 1:], alone.interval()[0])


def test_what_costs_nothing_is_learned_from(run: Run) -> None:
    assert run_predictor(run, SPACE, names=["price"]).features.counts.units == {}
    predictor = run_predictor(run, SPACE, names=["price"], cheap=CHEAP)
    assert predictor.features == Features(SPACE, CHEAP)
    assert set(predictor.features.counts.units) == {"weight"}


def test_what_costs_nothing_is_asked_for_once(run: Run, candidates: list[Candidate]) -> None:
    asked: Counter[str] = Counter()

    def cheap(candidate: Candidate) -> Mapping[str, float]:
        asked[candidate.key] += 1
        return CHEAP(candidate)

    predictor = run_predictor(run, SPACE, names=["weight"], cheap=cheap)
    assert asked.total() == predictor.n_rows
    predictor = run_predictor(run, SPACE, names=["weight", "price"], cheap=cheap)
    asked.clear()
    predictor.predict(candidates)
    assert asked == Counter(candidate.key for candidate in candidates)


def test_what_is_computed_needs_few_evaluations(
    tmp_path: Path, candidates: list[Candidate]
) -> None:
    run = searched(tmp_path / "run", 2)
    predictor = run_predictor(run, SPACE, names=["weight"], cheap=CHEAP)
    prediction = predictor.predict(candidates[:1])
    weight = CHEAP(candidates[0])["weight"]
    text = predictions_text(predictor, candidates[:1], prediction)
    assert text == f"{candidates[0].key[:8]}  {'weight':<20} {weight:.12g}  computed"
    data = json.loads(json.dumps(predictions_json(predictor, candidates[:1], prediction)))
    assert data["computed"] == ["weight"]
    expected = {"mean": weight, "std": 0.0, "low": weight, "high": weight}
    assert data["predictions"][0]["values"] == {"weight": expected}
    with pytest.raises(StudyError, match="and the run has 3"):
        run_predictor(run, SPACE, names=["weight", "gain"], cheap=CHEAP)


def test_a_folder_without_a_run_is_named(tmp_path: Path) -> None:
    with pytest.raises(RunFolderError, match="there is no run at"):
        Run.read(tmp_path)
