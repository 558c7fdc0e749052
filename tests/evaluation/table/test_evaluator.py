"""Tables as evaluators: what users can say about their columns, and what comes of it."""

import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from niwaki.config.settings import read_settings
from niwaki.core.candidate import Candidate
from niwaki.core.errors import ConfigError, DataError, ExportError, SpaceError
from niwaki.core.measurement import Measurement, Status
from niwaki.evaluation.base import Provenance
from niwaki.evaluation.table import TableEvaluator, TableSettings
from niwaki.tasks.paths import data_folder

TABLE = """family,depth,width,name,score,score_early,ms,params,hours
a,1,8,one,0.5,0.2,10,100,1.5
a,2,8,two,0.7,0.3,20,200,3
a,2,16,two,0.8,0.1,,400,4
a,1,16,four,0.6,,15,300,2
b,1,8,five,0.9,0.9,1,1,1
"""
SETTINGS: dict[str, Any] = {
    "decisions": ["depth", "width"],
    "where": {"family": "a"},
    "values": {
        "score": {"direction": "maximize", "fidelities": {0.1: "score_early"}},
        "latency_ms": {"column": "ms", "direction": "minimize", "unit": "ms"},
        "params": {"direction": "minimize"},
    },
    "cheap": ["params"],
    "identity": "name",
}


def table(folder: Path, text: str = TABLE, **changes: Any) -> TableEvaluator:
    """Return the evaluator of a small table."""
    (folder / "t.csv").write_text(text)
    given = {"file": str(folder / "t.csv"), **SETTINGS, **changes}
    return TableEvaluator(read_settings(TableSettings, given, "evaluator"))


def evaluate(
    evaluator: TableEvaluator, depth: int, width: int, fidelity: float = 1.0, seed: int = 0
) -> Measurement:
    candidate = Candidate.of({"depth": depth, "width": width})
    evaluator.space.validate(candidate)
    return evaluator.evaluate(candidate, fidelity=fidelity, seed=seed)


def test_a_row_is_looked_up(tmp_path: Path) -> None:
    measurement = evaluate(table(tmp_path), 2, 8)
    assert dict(measurement.values) == {"score": 0.7, "latency_ms": 20.0, "params": 200.0}
    assert measurement.complete


def test_only_rows_that_match_are_candidates(tmp_path: Path) -> None:
    assert table(tmp_path).space.size == 4
    everything = table(
        tmp_path, where={"family": ["a", "b"]}, decisions=["family", "depth", "width"]
    )
    assert everything.space.size == 5


def test_decisions_can_have_names_of_their_own(tmp_path: Path) -> None:
    space = table(tmp_path, decisions={"net.depth": "depth", "net.width": "width"}).space
    assert space.paths == ("net.depth", "net.width")


def test_less_effort_is_another_column_and_what_has_none_stays(tmp_path: Path) -> None:
    evaluator = table(tmp_path)
    assert evaluator.fidelities.levels == (0.1, 1.0)
    early = evaluate(evaluator, 2, 8, fidelity=0.1)
    assert (early.values["score"], early.values["latency_ms"]) == (0.3, 20.0)
    with pytest.raises(ConfigError, match=r"fidelity 0.5, only for \[0.1, 1.0\]"):
        evaluate(evaluator, 2, 8, fidelity=0.5)


def test_a_missing_value_is_left_out_and_its_column_told(tmp_path: Path) -> None:
    evaluator = table(tmp_path)
    missing = evaluate(evaluator, 2, 16)
    assert missing.complete
    assert set(missing.values) == {"score", "params"}
    assert "the table has no 'latency_ms' for it: 'ms' is empty" in missing.reason
    assert not evaluate(evaluator, 1, 16).reason
    assert "'score_early'" in evaluate(evaluator, 1, 16, fidelity=0.1).reason


def test_a_row_without_any_value_has_failed(tmp_path: Path) -> None:
    given = {**ONE_DECISION, "values": {"y": {"direction": "minimize"}}}
    evaluator = table(tmp_path, "a,y\n1,\n2,3\n", **given)
    found = evaluator.evaluate(Candidate.of({"a": 1}), fidelity=1.0, seed=0)
    assert found.status is Status.FAILED
    assert "'y' is empty" in found.reason


def test_noise_of_what_is_there_is_the_same_beside_what_is_not(tmp_path: Path) -> None:
    noisy = {"direction": "minimize", "noise": 1.0}
    given = {**ONE_DECISION, "values": {"x": noisy, "y": noisy}}
    read = [
        table(tmp_path, f"a,x,y\n1,{cell},2\n", **given)
        .evaluate(Candidate.of({"a": 1}), fidelity=1.0, seed=0)
        .values["y"]
        for cell in ("3", "")
    ]
    assert read[0] == read[1] != 2.0


def test_the_best_lacks_nothing_unless_all_do(tmp_path: Path) -> None:
    values = {name: {"direction": "minimize"} for name in ("x", "y")}
    given = {**ONE_DECISION, "values": values, "baseline": "best:x"}
    whole = table(tmp_path, "a,x,y\n1,1,\n2,3,4\n3,2,5\n", **given)
    assert dict(whole.baseline().items) == {"a": 3}
    gaps = table(tmp_path, "a,x,y\n1,2,\n2,,4\n3,1,\n", **given)
    assert dict(gaps.baseline().items) == {"a": 3}


def test_rows_can_be_said_to_fail(tmp_path: Path) -> None:
    failing = table(tmp_path, failed={"name": ["one", "five"]})
    assert "'name' is one" in evaluate(failing, 1, 8).reason
    assert evaluate(failing, 2, 8).complete


def test_a_failure_that_no_row_has_is_told_with_what_there_is(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    table(tmp_path, failed={"name": ["one", "twoo"], "family": "b"}).prepare(tmp_path)
    assert [record.getMessage() for record in caplog.records] == [
        f"nothing failed by it: '{tmp_path / 't.csv'}' has no row with 'twoo' in column 'name', "
        "which holds 'one', 'two', 'four', 'five': correct 'failed' if it is misspelled"
    ]


def test_a_value_that_is_decided_is_told_unless_it_is_cheap(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    decisions = {"d": "depth", "w": "width", "takes": "ms", "size": "params"}
    table(tmp_path, decisions=decisions).prepare(tmp_path)
    assert [record.getMessage() for record in caplog.records] == [
        f"column 'ms' of '{tmp_path / 't.csv'}' is a decision, and the value 'latency_ms': "
        "searchers are told it before it is measured. Take it out of 'decisions', or name "
        "'latency_ms' in 'cheap' if it costs nothing to know"
    ]


def test_rows_fail_by_any_of_several_columns_and_the_best_is_none_of_them(tmp_path: Path) -> None:
    evaluator = table(tmp_path, failed={"name": "four", "hours": 3}, baseline="best:score")
    assert evaluate(evaluator, 2, 8).reason == "the table says that it failed: 'hours' is 3.0"
    assert dict(evaluator.baseline().items) == {"depth": 1, "width": 8}


def test_a_table_of_which_all_rows_fail_names_the_setting(tmp_path: Path) -> None:
    failing = table(tmp_path, failed={"family": "a"})
    with pytest.raises(DataError, match=r"all candidates .* fail by 'failed', \{'family': 'a'\}"):
        failing.baseline()


def test_the_repetition_that_failed_is_named(tmp_path: Path) -> None:
    text = "a,y,state\n1,2,fine\n1,3,broken\n"
    settings = {"decisions": ["a"], "values": {"y": {"direction": "maximize"}}, "where": {}}
    rest = {"cheap": [], "identity": "", "duplicates": "mean", "failed": {"state": "broken"}}
    evaluator = table(tmp_path, text, **settings, **rest)
    measurement = evaluator.evaluate(Candidate.of({"a": 1}), fidelity=1.0, seed=0)
    assert measurement.reason.endswith("'state' is broken")


@pytest.mark.parametrize(
    ("cells", "fault"),
    [
        (
            ["1", "n/a", "2"],
            "holds 'n/a' in row 2: a value needs numbers in all its cells, or empty ones; leave it "
            "empty, or if such rows failed say `failed: {y: n/a}`",
        ),
        (["3", "93.4%", "95 %"], "'93.4%' in row 2, and 1 more .* the number alone, as 1234.5"),
        (['"1,234.5"', "3"], "'1,234.5' in row 1: .* the number alone, as 1234.5"),
        (["true", "false"], "'True' in row 1.*; write its numbers as numbers"),
        (["", "", ""], "has no row with a value of 'y'"),
        ([], "has no rows: nothing to search"),
    ],
)
def test_a_column_without_values_says_what_is_wrong(
    tmp_path: Path, cells: list[str], fault: str
) -> None:
    text = "\n".join(["a,y", *(f"{row},{cell}" for row, cell in enumerate(cells))])
    settings = {"decisions": ["a"], "values": {"y": {"direction": "maximize"}}, "where": {}}
    with pytest.raises(DataError, match=fault):
        table(tmp_path, text, **settings, cheap=[], identity="").baseline()


def test_cheap_values_and_identity_need_no_evaluation(tmp_path: Path) -> None:
    evaluator = table(tmp_path)
    first, second = (Candidate.of({"depth": 2, "width": width}) for width in (8, 16))
    assert dict(evaluator.cheap(first)) == {"params": 200.0}
    assert evaluator.identity(first) == evaluator.identity(second) == "two"
    plain = table(tmp_path, identity="")
    assert plain.identity(first) != plain.identity(second)


def test_rows_of_one_network_may_be_said_to_be_measured_apart(tmp_path: Path) -> None:
    evaluator = table(tmp_path, identity="", alike="name")
    first, second = (Candidate.of({"depth": 2, "width": width}) for width in (8, 16))
    assert evaluator.alike is not None
    assert evaluator.alike(first) == evaluator.alike(second) == "two"
    assert evaluator.identity(first) != evaluator.identity(second)
    assert table(tmp_path).alike is None


def test_the_time_an_evaluation_had_taken_is_a_column(tmp_path: Path) -> None:
    evaluator = table(tmp_path, seconds="hours")
    assert evaluate(evaluator, 2, 8).seconds == 3.0
    assert evaluate(evaluator, 2, 8, fidelity=0.1).seconds == pytest.approx(0.3)


def test_noise_depends_on_the_seed_alone(tmp_path: Path) -> None:
    values = {**SETTINGS["values"], "score": {"direction": "maximize", "noise": 0.1}}
    evaluator = table(tmp_path, values=values)
    scores = np.array([evaluate(evaluator, 2, 8, seed=s).values["score"] for s in range(400)])
    assert evaluate(evaluator, 2, 8, seed=3).values["score"] == scores[3]
    assert scores.mean() == pytest.approx(0.7, abs=4 * 0.1 / 20)
    assert scores.std() == pytest.approx(0.1, rel=0.15)


@pytest.mark.parametrize(
    ("baseline", "expected"),
    [
        ({"name": "one"}, (1, 8)),
        ({"depth": 2, "width": 8}, (2, 8)),
        ("best:score", (2, 8)),
        ("best:latency_ms", (1, 8)),
        ("median:params", (2, 8)),
        ("median", (1, 16)),
    ],
)
def test_the_baseline_is_a_row_of_ones_choice(
    tmp_path: Path, baseline: object, expected: tuple[int, int]
) -> None:
    decisions = table(tmp_path, baseline=baseline).baseline().decisions
    assert (decisions["depth"], decisions["width"]) == expected


def test_an_empty_cell_is_named_by_null(tmp_path: Path) -> None:
    text = "kernel,size,score\n3,1,0.5\n,1,0.6\n3,2,0.7\n,2,\n"
    few = {"decisions": ["kernel", "size"], "where": {}, "cheap": [], "identity": ""}
    values = {"score": {"direction": "maximize"}}
    evaluator = table(tmp_path, text, **few, values=values, baseline={"kernel": None, "size": 1})
    assert evaluator.evaluate(evaluator.baseline(), fidelity=1.0, seed=0).values == {"score": 0.6}
    bare = table(tmp_path, text, **few | {"where": {"kernel": None, "score": 0.6}}, values=values)
    assert bare.space.size == 1
    fails = table(tmp_path, text, **few, values=values, failed={"kernel": [None, 5]})
    assert not fails.evaluate(evaluator.baseline(), fidelity=1.0, seed=0).complete


@pytest.mark.parametrize(
    ("baseline", "fault"),
    [
        ({"name": "two"}, "2 candidates of the table have that"),
        ({"name": "six"}, "'baseline': there is no row with 'six' in column 'name', which holds"),
        ({"name": "one", "depth": 2}, "meets all of 'baseline' at once"),
        ("best:scores", "did you mean 'score'"),
        ("median:x", "where <value> is one of score, latency_ms"),
        ("worst", "Give best, median"),
    ],
)
def test_a_baseline_that_is_not_one_row_is_refused(
    tmp_path: Path, baseline: object, fault: str
) -> None:
    with pytest.raises(ConfigError, match=fault):
        _ = table(tmp_path, baseline=baseline).space


TWICE = TABLE + "a,2,8,two,0.9,0.5,22,200,3\n"


def test_rows_that_decide_alike_are_refused_unless_one_says_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"1 candidates in more than one row.*depth=2, width=8"):
        _ = table(tmp_path, TWICE).space
    first = evaluate(table(tmp_path, TWICE, duplicates="first"), 2, 8)
    assert first.values["score"] == 0.7
    mean = evaluate(table(tmp_path, TWICE, duplicates="mean"), 2, 8)
    assert mean.values["score"] == pytest.approx(0.8)
    drawing = table(tmp_path, TWICE, duplicates="draw")
    pairs = {(m.values["score"], m.values["latency_ms"]) for m in _of_seeds(drawing, 30)}
    assert pairs == {(0.7, 20.0), (0.9, 22.0)}


def test_where_the_first_row_is_taken_a_later_one_may_have_failed(tmp_path: Path) -> None:
    rows = "depth,width,score,state\n1,8,0.5,fine\n1,8,0.1,broken\n2,8,0.7,broken\n2,8,0.9,fine\n"
    rest = {"where": {}, "values": {"score": {"direction": "maximize"}}, "cheap": []}
    evaluator = table(
        tmp_path, rows, duplicates="first", failed={"state": "broken"}, identity="", **rest
    )
    assert dict(evaluate(evaluator, 1, 8).values) == {"score": 0.5}
    assert evaluate(evaluator, 2, 8).status is Status.FAILED
    assert evaluator.baseline().decisions["depth"] == 1


@pytest.mark.parametrize("duplicates", ["first", "mean"])
def test_a_cheap_value_is_the_evaluated_one_also_of_several_rows(
    tmp_path: Path, duplicates: str
) -> None:
    evaluator = table(tmp_path, TABLE + "a,2,8,two,0.9,0.5,22,260,3\n", duplicates=duplicates)
    cheap = dict(evaluator.cheap(Candidate.of({"depth": 2, "width": 8})))
    assert cheap == {"params": {"first": 200.0, "mean": 230.0}[duplicates]}
    assert cheap["params"] == evaluate(evaluator, 2, 8).values["params"]


def test_no_baseline_may_be_drawn_from_rows_of_which_one_fails(tmp_path: Path) -> None:
    half_measured = TABLE + "a,2,8,two,0.8,0.1,,200,3\n"
    drawing = table(tmp_path, half_measured, duplicates="draw", baseline="best")
    assert not all("latency_ms" in found.values for found in _of_seeds(drawing, 10))
    assert drawing.baseline() == Candidate.of({"depth": 1, "width": 16})


def test_of_rows_that_are_drawn_only_what_all_of_them_have_is_known(tmp_path: Path) -> None:
    candidate = Candidate.of({"depth": 2, "width": 8})
    alike = table(tmp_path, TWICE, duplicates="draw")
    assert dict(alike.cheap(candidate)) == {"params": 200.0}
    unlike = table(tmp_path, TABLE + "a,2,8,two,0.9,0.5,22,260,3\n", duplicates="draw")
    assert dict(unlike.cheap(candidate)) == {}


def _of_seeds(evaluator: TableEvaluator, n: int) -> list[Measurement]:
    return [evaluate(evaluator, 2, 8, seed=seed) for seed in range(n)]


def test_what_says_absent_is_no_decision(tmp_path: Path) -> None:
    text = "a,b,y\n1,-,1\n1,0,2\n2,,3\n"
    values = {"y": {"direction": "minimize"}}
    common = {"where": {}, "cheap": [], "identity": "", "values": values}
    space = table(tmp_path, text, decisions=["a", "b"], **common).space
    assert {str(space.candidate(row)) for row in range(3)} == {"a=1, b=None", "a=1, b=0", "a=2"}
    whole = table(tmp_path, text, decisions=["a", "b"], absent={"b": ["-", "0"]}, **common)
    with pytest.raises(ConfigError, match="more than one row"):
        _ = whole.space


def test_whole_numbers_stay_whole_beside_empty_cells(tmp_path: Path) -> None:
    values = {"y": {"direction": "minimize"}}
    common = {"where": {}, "cheap": [], "identity": "", "values": values}
    space = table(tmp_path, "a,y\n1,1\n,2\n", decisions=["a"], **common).space
    assert space.options == ((1, None),)
    assert isinstance(space.options[0][0], int)


ONE_DECISION: dict[str, Any] = {
    "decisions": ["a"],
    "where": {},
    "cheap": [],
    "identity": "",
    "values": {"y": {"direction": "minimize"}},
}


def test_numbers_beside_what_says_absent_are_numbers(tmp_path: Path) -> None:
    text = "a,y\n16,1\n-,2\n8,3\n,4\n128,5\n"
    given = {**ONE_DECISION, "ordered": ["a"], "duplicates": "first", "baseline": {"a": 128}}
    evaluator = table(tmp_path, text, **given)
    assert evaluator.space.options == ((8, 16, 128, None),)
    assert dict(evaluator.baseline().items) == {"a": 128}


def test_what_says_absent_can_be_conditions_of_rows(tmp_path: Path) -> None:
    text = "a,y\n16,1\n-,2\n8,3\n1,4\n"
    space = table(tmp_path, text, **{**ONE_DECISION, "where": {"a": ["-", 8, True]}}).space
    assert space.options == ((8, None),)


@pytest.mark.parametrize("cells", [("1", "inf"), ("1.5", "-inf", "")])
def test_infinite_decisions_are_refused(tmp_path: Path, cells: tuple[str, ...]) -> None:
    text = "a,y\n" + "".join(f"{cell},1\n" for cell in cells)
    with pytest.raises(DataError, match=r"'a' of .* holds an infinite number"):
        _ = table(tmp_path, text, **ONE_DECISION).space


def test_seconds_that_are_no_numbers_are_refused_with_their_column(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"'s' of .* holds '2 min' in row 2: a value needs numbers"):
        _ = table(tmp_path, "a,y,s\n1,2,1\n2,3,2 min\n", **ONE_DECISION, seconds="s").space


def test_what_is_written_in_place_of_a_value_can_say_that_it_failed(tmp_path: Path) -> None:
    text = "a,y,s\n1,2,9\n2,OOM,no\n3,-1,8\n4,4,7\n"
    failed = {"y": ["OOM", -1], "s": "no"}
    evaluator = table(tmp_path, text, **ONE_DECISION, seconds="s", failed=failed)
    results = [
        evaluator.evaluate(Candidate.of({"a": a}), fidelity=1.0, seed=0) for a in (1, 2, 3, 4)
    ]
    assert [each.complete for each in results] == [True, False, False, True]
    assert results[1].reason.endswith("'y' is OOM")
    assert results[2].reason.endswith("'y' is -1")
    assert results[3].seconds == 7.0
    whole = table(tmp_path, f"{text}5,,1\n", **ONE_DECISION, incomplete="leave_out", failed=failed)
    assert whole.space.options == ((1, 2, 3, 4),)


def test_ordered_names_of_a_table_rise_as_they_are_listed(tmp_path: Path) -> None:
    text = "a,size,y\n1,small,2\n2,large,3\n3,medium,1\n"
    settings = {**ONE_DECISION, "decisions": ["a", "size"]}
    ordered = {"a": [], "size": ["small", "medium", "large"]}
    space = table(tmp_path, text, **settings, ordered=ordered).space
    assert space.options[1] == ("small", "medium", "large")
    with pytest.raises(SpaceError, match=r"'size' is in 'ordered', which does not list 'large'"):
        _ = table(tmp_path, text, **settings, ordered=["size"]).space


def test_rows_without_a_value_fail_with_the_remedy_or_are_left_out(tmp_path: Path) -> None:
    text = "a,y,early\n1,2,1\n2,,1\n3,-inf,1\n4,1,\n"
    values = {"y": {"direction": "minimize", "fidelities": {0.1: "early"}}}
    given = {**ONE_DECISION, "values": values}
    failing = table(tmp_path, text, **given)
    reasons = [
        failing.evaluate(Candidate.of({"a": a}), fidelity=1.0, seed=0).reason for a in (1, 2, 3, 4)
    ]
    assert (reasons[0], reasons[3]) == ("", "")
    assert "is empty (`incomplete: leave_out`" in reasons[1]
    assert "is infinite (`incomplete: leave_out`" in reasons[2]
    assert table(tmp_path, text, **given, incomplete="leave_out").space.options == ((1,),)


def test_a_table_without_a_whole_row_has_nothing_to_search(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="no row with all values"):
        _ = table(tmp_path, "a,y\n1,\n", **ONE_DECISION, incomplete="leave_out").space


@pytest.mark.parametrize(
    ("changes", "fault"),
    [
        ({"decisions": ["depht"]}, "did you mean 'depth'"),
        (
            {"where": {"family": ["c", "a "]}},
            "no row with 'c' or 'a ' in column 'family', which holds 'a', 'b': correct 'where'",
        ),
        ({"where": {"depth": True}}, "no row with True in column 'depth', which holds 1, 2"),
        ({"where": {"depth": 2, "family": "b"}}, "no row that meets all of 'where' at once"),
        (
            {"values": {"name": {"direction": "minimize"}}, "cheap": []},
            "'one' in row 1, and 3 more such cells: a value needs numbers",
        ),
        ({"cheap": ["parms"]}, "'cheap' names 'parms'"),
        (
            {"values": {**SETTINGS["values"], "params": {"direction": "minimize", "noise": 1}}},
            "'cheap' names 'params', which has noise",
        ),
        ({"decisions": []}, "at least one"),
        ({"decisions": {"x": "depth", "y": "depth"}}, "twice"),
        ({"ordered": ["height"]}, "'ordered' names 'height'"),
        ({"values": {"score": {"direction": "up"}}}, "'maximize' or 'minimize'"),
        ({"values": {"score": {"direction": "maximize", "fidelities": {2: "ms"}}}}, "below 1"),
        ({"colums": 1}, "unknown key 'evaluator.colums'"),
    ],
)
def test_wrong_settings_are_refused_with_the_reason(
    tmp_path: Path, changes: dict[str, Any], fault: str
) -> None:
    with pytest.raises((ConfigError, DataError), match=fault):
        _ = table(tmp_path, **changes).space


def test_it_travels_without_its_table(tmp_path: Path) -> None:
    evaluator = table(tmp_path)
    assert evaluator.space.size == 4
    sent = pickle.dumps(evaluator)
    assert len(sent) < 2000
    assert evaluate(pickle.loads(sent), 1, 8) == evaluate(evaluator, 1, 8)


def test_rows_cannot_be_exported(tmp_path: Path) -> None:
    evaluator = table(tmp_path)
    provenance = Provenance("study", evaluator.values, "")
    with pytest.raises(ExportError, match="no network"):
        evaluator.export(evaluator.baseline(), tmp_path, provenance=provenance, seed=0)
    assert not evaluator.exports


NASBENCH = {
    "file": "nasbench201_devices.parquet",
    "decisions": [f"op{i}" for i in range(6)],
    "values": {"accuracy": {"column": "c100_val", "direction": "maximize"}},
    "identity": "unique_str",
}


@pytest.mark.data
@pytest.mark.parametrize(
    ("given", "n_candidates"),
    [
        (NASBENCH, 15_625),
        (
            {
                "file": "transnasbench101_3tasks.parquet",
                "decisions": [f"g{i}" for i in range(6)],
                "where": {"space": "macro"},
                "absent": [0],
                "values": {
                    "accuracy": {"column": "class_object__valid_top1", "direction": "maximize"},
                    "mean_iou": {"column": "segmentsemantic__valid_mIoU", "direction": "maximize"},
                },
                "seconds": "class_object__time_elapsed",
            },
            3_256,
        ),
        (
            {
                "file": "accel_nasbench.parquet",
                "decisions": [
                    f"block{i}_{what}" for i in range(7) for what in ("e", "k", "l", "se")
                ],
                "values": {"top1": {"column": "val_top1", "direction": "maximize"}},
                "duplicates": "mean",
            },
            5_125,
        ),
    ],
    ids=["nasbench201", "transnas_macro", "accel_nasbench"],
)
def test_public_tables_are_read(given: dict[str, Any], n_candidates: int) -> None:
    pytest.importorskip("pyarrow")
    if not (data_folder() / given["file"]).is_file():
        pytest.skip(f"{given['file']} is not in the folder of shared data (NIWAKI_DATA)")
    evaluator = TableEvaluator(read_settings(TableSettings, given, "evaluator"))
    assert evaluator.space.size == n_candidates
    candidates = [evaluator.space.candidate(row) for row in range(0, n_candidates, 97)]
    assert [evaluator.space.check(candidate) for candidate in candidates] == [""] * len(candidates)
    assert all(evaluator.evaluate(c, fidelity=1.0, seed=0).complete for c in candidates)


def test_numbers_of_any_size_are_values_and_what_is_none_is_shown(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"column 'y' .* holds 1000.*, beyond the largest number"):
        _ = table(tmp_path, f"a,y\n1,{10**400}\n2,5\n", **ONE_DECISION).space
    large = table(tmp_path, f"a,y\n1,{10**30}\n2,5\n", **ONE_DECISION)
    assert large.evaluate(Candidate.of({"a": 1}), fidelity=1.0, seed=0).values["y"] == 1e30
    with pytest.raises(DataError, match=r"column 'y' of .* holds '1_000'"):
        _ = table(tmp_path, "a,y\n1,1e3\n2,1_000\n", **ONE_DECISION).space


def test_values_keep_to_their_limits(tmp_path: Path) -> None:
    score = {"direction": "maximize", "least": 0, "most": 1, "noise": 1.0}
    evaluator = table(tmp_path, values={"score": score}, cheap=[])
    assert (evaluator.values[0].least, evaluator.values[0].most) == (0.0, 1.0)
    read = {evaluate(evaluator, 2, 8, seed=seed).values["score"] for seed in range(40)}
    assert {0.0, 1.0} <= read
    assert min(read) == 0.0
    assert max(read) == 1.0


def test_a_cell_beyond_the_limits_is_named(tmp_path: Path) -> None:
    score = {"direction": "maximize", "most": 0.75}
    with pytest.raises(DataError, match=r"column 'score' of .* holds 0.8, but 'score' has .*0.75"):
        _ = table(tmp_path, values={"score": score}, cheap=[]).space
    early = {"direction": "maximize", "least": 0.3, "fidelities": {0.1: "score_early"}}
    with pytest.raises(DataError, match=r"column 'score_early' of .* holds 0.2"):
        _ = table(tmp_path, values={"score": early}, cheap=[]).space
    with pytest.raises(ConfigError, match="give the smaller one as 'least'"):
        table(tmp_path, values={"score": {"direction": "maximize", "least": 1, "most": 0}})


def test_networks_whose_names_look_like_one_number_are_several(tmp_path: Path) -> None:
    text = "depth,width,score,hash\n1,8,0.5,1e3\n2,8,0.7,1000\n3,8,0.6,\n"
    values = {"score": {"direction": "maximize"}}
    rest: dict[str, Any] = {"where": {}, "cheap": [], "values": values}
    evaluator = table(tmp_path, text, identity="hash", **rest)
    names = [evaluator.identity(evaluator.space.candidate(i)) for i in range(3)]
    assert names == ["1e3", "1000", evaluator.space.candidate(2).key]
    numbers = table(tmp_path, text, identity="depth", **rest)  # a decision, too
    assert numbers.identity(numbers.space.candidate(0)) == "1"


def test_values_may_be_whole_numbers_beyond_a_double_beside_gaps(tmp_path: Path) -> None:
    text = f"depth,width,score,hours\n1,8,{2**60 + 1},2\n2,8,,3\n"
    values = {"score": {"direction": "maximize"}}
    rest: dict[str, Any] = {"where": {}, "cheap": [], "identity": "", "values": values}
    assert evaluate(table(tmp_path, text, **rest), 1, 8).values == {"score": 2.0**60}
    assert not evaluate(table(tmp_path, text, **rest), 2, 8).complete


def test_seconds_are_never_negative(tmp_path: Path) -> None:
    text = TABLE.replace(",1.5\n", ",-1.5\n")
    with pytest.raises(DataError, match=r"column 'hours' of .* holds -1.5, .* never negative"):
        _ = table(tmp_path, text, seconds="hours").space
