"""Graphs that are kept, up to so many bytes."""

import onnx

from niwaki.evaluation.deployment import FloatGraph
from niwaki.evaluation.recent_graphs import RecentGraphs


def test_what_was_asked_for_last_is_kept() -> None:
    made = list[str]()

    def graph(name: str, n_bytes: int = 1000) -> FloatGraph:
        def make() -> FloatGraph:
            made.append(name)
            return FloatGraph(onnx.ModelProto(doc_string="x" * n_bytes), {})

        return graphs.get(name, make)

    graphs = RecentGraphs(most_bytes=2500)
    first = graph("a")
    assert graph("a") is first
    graph("b")
    graph("a")
    graph("c")  # b was asked for longest ago
    assert graph("a") is first
    graph("b")
    assert made == ["a", "b", "c", "b"]
    graph("large", 10_000)
    graph("large", 10_000)
    assert made[4:] == ["large"]
