"""Where settings differ, and which of that changes what is measured."""

from niwaki.core.jsonable import JSON
from niwaki.study.comparison.differences import at, differing_paths, dotted, measuring_paths

ONE: dict[str, JSON] = {"searcher": {"kind": "a"}, "evaluator": {"columns": {"v.1": "here"}}}
OTHER: dict[str, JSON] = {"searcher": {"kind": "b"}, "evaluator": {"columns": {"v.1": "there"}}}


def test_what_differs_is_found_whatever_is_in_its_name() -> None:
    paths = differing_paths([ONE, OTHER])
    assert paths == [("evaluator", "columns", "v.1"), ("searcher", "kind")]
    assert [at(OTHER, path) for path in paths] == ["there", "b"]
    assert [dotted(path) for path in paths] == ["evaluator.columns.v.1", "searcher.kind"]
    assert measuring_paths([ONE, OTHER]) == paths[:1]
    assert differing_paths([ONE, ONE]) == []


def test_where_a_section_is_missing_the_difference_is_the_section() -> None:
    assert differing_paths([ONE, {"searcher": {"kind": "a"}}]) == [("evaluator",)]
    assert at(ONE, ("evaluator", "nothing", "v.1")) is None


def test_only_fidelities_of_a_value_are_beside_what_is_measured() -> None:
    def evaluator(column: str, half: str) -> dict[str, JSON]:
        price: JSON = {"column": column, "fidelities": {"0.5": half}}
        return {"evaluator": {"values": {"price": price}}}

    assert measuring_paths([evaluator("p", "h"), evaluator("p", "g")]) == []
    found = measuring_paths([evaluator("p", "h"), evaluator("q", "g")])
    assert found == [("evaluator", "values", "price", "column")]
