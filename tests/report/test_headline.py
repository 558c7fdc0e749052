"""The first sentence of the page."""

from dataclasses import replace

from niwaki.core.candidate import Candidate
from niwaki.core.measurement import Measurement, Status, Trial
from niwaki.core.objectives import Direction, Objective
from niwaki.report import ReportData
from niwaki.report.headline import headline
from niwaki.report.models import Models
from tests.report.studies import LATENCY, SIZE, SKILL, study

FOUND = Candidate.of({"width": 8})
BASELINE = Measurement("base", {"latency_ms": 1.302, "mean_skill": 0.722, "size_bytes": 1e6})


def found(values: dict[str, float], *objectives: Objective) -> ReportData:
    trial = Trial(0, FOUND, Measurement(FOUND.key, values))
    return ReportData(
        study="s",
        objectives=objectives,
        trials=[trial],
        baseline=BASELINE,
        front_keys=(FOUND.key,),
        knee_key=FOUND.key,
    )


def said(data: ReportData) -> str:
    return headline(Models(data)).text.replace("\N{NO-BREAK SPACE}", " ")


def test_speed_comes_first_and_changes_are_told() -> None:
    data = found({"latency_ms": 0.42, "mean_skill": 0.71, "size_bytes": 5e5}, SKILL, LATENCY, SIZE)
    assert said(data) == (
        "One model on the front. It runs in 0.420 ms (3.1× faster than the baseline), "  # noqa: RUF001
        "with mean_skill 0.710 (−0.012), size_bytes 500 kB (2.0× smaller)."  # noqa: RUF001
    )


def test_without_a_baseline_nothing_is_compared() -> None:
    data = replace(found({"mean_skill": 0.71}, SKILL), baseline=None)
    assert said(data) == "The best of 1 measured models has mean_skill 0.710."


def test_a_baseline_that_nothing_beats_is_not_compared_with_itself() -> None:
    data = found({"mean_skill": 0.7}, SKILL)
    beaten = replace(data, front_keys=("base",), knee_key="base")
    assert said(beaten) == (
        "None of 1 measured models is better than the baseline, which has mean_skill 0.722."
    )
    two = replace(beaten, objectives=(SKILL, LATENCY))
    assert said(two) == (
        "The baseline alone is on the front. It runs in 1.30 ms, with mean_skill 0.722."
    )
    among = replace(two, front_keys=("base", FOUND.key))
    assert said(among).startswith(
        "2 models on the front. The knee, the baseline itself, runs in 1.30 ms, with"
    )


def test_a_maximised_rate_is_told_by_its_difference() -> None:
    rate = Objective("mean_skill", Direction.MAXIMIZE)
    other = Objective("depth_rmse", Direction.MINIMIZE, "m")
    text = said(found({"mean_skill": 0.8, "depth_rmse": 0.2}, rate, other))
    assert text == (
        "One model on the front. It has mean_skill 0.800 (+0.078 against the baseline), "
        "depth_rmse 0.200 m."
    )


def test_exported_models_are_compared_with_an_exported_baseline_only() -> None:
    data = found({"latency_ms": 0.5}, LATENCY)
    exported = {FOUND.key: Measurement(FOUND.key, {"latency_ms": 0.4})}
    assert "0.500 ms" in said(replace(data, finals=exported))
    both = {**exported, "base": Measurement("base", {"latency_ms": 0.8})}
    assert "0.400 ms (2.0× faster" in said(replace(data, finals=both))  # noqa: RUF001


def test_nothing_found_is_explained() -> None:
    data = study(0)
    assert said(data) == "Nothing was evaluated with full effort."
    assert said(replace(data, status="running")) == "Nothing was evaluated with full effort so far."
    assert said(study(12, failing=1.0)).startswith("All 12 evaluations failed, most often because:")
    assert said(study(1, failing=1.0)).startswith("The only evaluation failed: ")


def test_what_was_measured_with_less_effort_did_not_fail() -> None:
    text = said(replace(study(2, failing=1.0), n_partial=15))
    assert text == (
        "No model is on the front. Of 17 tried: 2 failed, 15 measured with less than full effort."
    )


def test_no_front_counts_what_happened() -> None:
    trials = [
        Trial(0, FOUND, Measurement(FOUND.key, status=Status.FAILED, reason="NaN")),
        Trial(1, FOUND, Measurement("x", status=Status.INFEASIBLE, reason="macs")),
    ]
    data = ReportData(study="s", objectives=(LATENCY,), trials=trials)
    expected = "No model is on the front. Of 2 tried: 1 failed, 1 turned away by a cheap count."
    assert said(data) == expected


def test_the_page_is_about_the_model_that_was_chosen() -> None:
    other = Candidate.of({"width": 4})
    data = found({"latency_ms": 0.42, "mean_skill": 0.71}, SKILL, LATENCY)
    cheaper = Measurement(other.key, {"latency_ms": 0.2, "mean_skill": 0.6})
    both = replace(
        data,
        trials=[*data.trials, Trial(1, other, cheaper)],
        front_keys=(FOUND.key, other.key),
        knee_key=other.key,
    )
    assert said(both).startswith("2 models on the front. The knee runs in 0.200 ms")
    chosen = replace(both, chosen_keys=(FOUND.key,), chosen_because="the best within 1 ms")
    assert said(chosen).startswith(
        "2 models on the front. The chosen one (the best within 1 ms) runs in 0.420 ms"
    )
