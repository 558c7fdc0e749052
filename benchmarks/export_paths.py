"""Which architectures the fast path of the export follows, and what both paths take.

Run: python -m benchmarks.export_paths [--width 0.25] [--tables zoo timm] [--names resnet50 ...]

Each architecture, with random weights, is written by both paths, and each graph is run and held
against torch. Seconds are processor time of a process that has written another graph before.
Architectures are niwaki's own; models of other libraries are asked for by name of the library.
"""

import argparse
import statistics
import time
import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain

import numpy as np
import onnx
import onnxruntime
import torch
from torch import Tensor, nn

from benchmarks.public_models import LIBRARIES, Case, zoo
from niwaki.compress.pruning.model_calls import call_model, named_tensors
from niwaki.core.errors import ExportError
from niwaki.evaluation.compression.given_model.input_type import as_called
from niwaki.evaluation.compression.given_model.plain_calls import plainly_called
from niwaki.evaluation.compression.given_model.several_inputs import by_name, together
from niwaki.export.fast_path.fx_graph import build_graph
from niwaki.export.general_path.torch_export import export_module
from niwaki.export.int8.layers import quantizable_layers


@dataclass(frozen=True)
class Written:
    """A graph of a module, what it took, and how far its answers are off."""

    graph: onnx.ModelProto
    seconds: float
    off: float


def written(
    write: Callable[[], onnx.ModelProto], module: nn.Module, inputs: Sequence[Tensor]
) -> Written | str:
    """Return a graph, or why there is none.

    How far it is off is the largest difference over the largest answer of its output.
    """
    started = time.process_time()
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            graph = write()
    except ExportError as error:
        return str(error).split("\n", 1)[0]
    seconds = time.process_time() - started
    session = onnxruntime.InferenceSession(graph.SerializeToString())
    names = [info.name for info in session.get_inputs()]
    feeds = {name: values.numpy() for name, values in zip(names, inputs, strict=True)}
    with torch.no_grad():
        wanted = [each.numpy() for _, each in named_tensors(call_model(module, tuple(inputs)))]
    found = session.run(None, feeds)
    off = max(
        float(np.abs(ours - theirs).max() / max(float(np.abs(theirs).max()), 1e-6))
        for ours, theirs in zip(found, wanted, strict=True)
    )
    return Written(graph, seconds, off)


def both(case: Case, *, general: bool = True) -> tuple[Written | str, Written | str]:
    """Write an architecture by the fast and by the general path, unless that is left out."""
    torch.manual_seed(0)
    module, given = case.make().eval(), case.inputs()
    inputs = (given,) if isinstance(given, Tensor) else tuple(given)
    if isinstance(given, Mapping):  # by name, of arguments of which others are left out
        module = plainly_called(module)
        named = {name: each.numpy() for name, each in given.items()}
        taken = as_called(together(module, {"all": named}, {"all": case.name})["all"])
        of_several = by_name(module, taken)
        inputs = tuple(of_several.values()) if isinstance(of_several, Mapping) else (taken,)
    shapes = [tuple(each.shape) for each in inputs]
    kinds = [str(each.dtype).removeprefix("torch.") for each in inputs]
    fast = written(lambda: build_graph(module, shapes, input_types=kinds), module, inputs)
    if not general:
        return fast, "left out"
    return fast, written(lambda: export_module(module, inputs), module, inputs)


def line(name: str, fast: Written | str, general: Written | str) -> str:
    """Return one line of the table."""
    cells = [
        each if isinstance(each, str) else f"{each.seconds:6.2f} s, off by {each.off:.0e}"
        for each in (fast, general)
    ]
    if isinstance(fast, Written) and isinstance(general, Written):
        layers = [set(quantizable_layers(each.graph)) for each in (fast, general)]
        cells.append("same layers" if layers[0] == layers[1] else "OTHER LAYERS")
    return f"{name:<36}" + " | ".join(cells)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--width", type=float, default=0.25)
    parser.add_argument("--tables", nargs="*", default=["zoo"], choices=["zoo", *LIBRARIES])
    parser.add_argument("--names", nargs="*")
    parser.add_argument("--fast-only", action="store_true", help="leave the general path out")
    arguments = parser.parse_args()
    tables = {"zoo": lambda: zoo(arguments.width), **LIBRARIES}
    both(zoo(arguments.width)[0])  # loads what is loaded once
    rows = []
    for case in chain.from_iterable(tables[table]() for table in arguments.tables):
        if arguments.names and case.name not in arguments.names:
            continue
        rows.append(both(case, general=not arguments.fast_only))
        print(line(case.name, *rows[-1]), flush=True)
    done = [(f, g) for f, g in rows if isinstance(f, Written) and isinstance(g, Written)]
    fast = [f for f, _ in rows if isinstance(f, Written)]
    print(f"\nfollowed: {len(fast)} of {len(rows)}", end="")
    if fast:
        seconds, off = statistics.median(f.seconds for f in fast), max(f.off for f in fast)
        print(f", in {seconds:.2f} s (median), off by {off:.0e} at most")
    if done:
        medians = [statistics.median(each.seconds for each in s) for s in zip(*done, strict=True)]
        print(f"medians of {len(done)} that both write: {medians[0]:.2f} s and {medians[1]:.2f} s")


if __name__ == "__main__":
    main()
