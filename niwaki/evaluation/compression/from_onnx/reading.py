"""From an ONNX file to a torch module that computes the same and can be trained."""

from collections import Counter
from collections.abc import Sequence

import onnx
from torch import fx

from niwaki.core.errors import ConfigError
from niwaki.evaluation.compression.from_onnx.branches import with_branches_taken
from niwaki.evaluation.compression.from_onnx.call import OPERATORS, Call
from niwaki.evaluation.compression.from_onnx.file import STANDARD, OnnxFile
from niwaki.evaluation.compression.from_onnx.known import Known, known_of
from niwaki.evaluation.compression.from_onnx.operators import load_operators
from niwaki.evaluation.compression.from_onnx.writer import ModuleWriter

_OWN = ("com.microsoft", "com.microsoft.nchwc")
_REMEDY = (
    "Export the model without it, compute it outside of the file, or give the torch module, "
    "my_model.py:build"
)
_UNFORESEEN = (ArithmeticError, AssertionError, LookupError, RuntimeError, TypeError, ValueError)
_OPTIMISED = "ONNX Runtime has optimised this file: give the one that it was made from"


def read_module(file: OnnxFile) -> fx.GraphModule:
    """Return the module, in evaluation mode and float32.

    It takes a tensor for each input, (n, ...) of any n, and returns a tensor, or a mapping by the
    names of tasks that the file's outputs have if there are several.

    Raises:
        ConfigError: If something in the file cannot be read: names each node, and what can be done.
    """
    file.require_sizes()
    load_operators()
    file = file.rearranged
    known = known_of(file)
    while (chosen := with_branches_taken(file, known)) is not None:
        file, known = chosen, known_of(chosen)
    nodes = known.needed()
    _require_known_operators(file, nodes)
    writer = ModuleWriter(file.inputs)
    used = frozenset(name for node in nodes for name in node.input).union(file.outputs)
    for node in nodes:
        if all(name in writer.values for name in node.output if name):
            continue  # written with the node before it
        try:
            parts = _read(Call(node, known, writer), used)
        except ConfigError as error:
            raise ConfigError(f"'{file.typed}': {error}. {_REMEDY}") from error
        writer.values.update(
            {name: part for name, part in zip(node.output, parts, strict=False) if name}
        )
    return writer.finished(_outputs(file, known, writer))


def _read(call: Call, used: frozenset[str]) -> list[fx.Node]:
    """Return what a node gives, in order.

    Raises:
        ConfigError: If it cannot be read, or gives more of what is used.
    """
    try:
        found = OPERATORS[call.node.op_type](call)
    except ConfigError:
        raise
    except _UNFORESEEN as error:
        # ONNX allows more than a converter was written for.
        what = f"{type(error).__name__}: {error}"
        raise call.refusal(f"it is used in a way not known here: {what}") from error
    parts = [found] if isinstance(found, fx.Node) else list(found)
    for name in call.node.output[len(parts) :]:
        if name in used:
            raise call.refusal(f"its output '{name}' is not known here")
    return parts


def _require_known_operators(file: OnnxFile, nodes: Sequence[onnx.NodeProto]) -> None:
    unknown = [n for n in nodes if n.domain not in STANDARD or n.op_type not in OPERATORS]
    if not unknown:
        return
    first = unknown[0]
    counts = Counter(f"{n.domain}.{n.op_type}".removeprefix(".") for n in unknown)
    kinds = ", ".join(f"{kind} ({count})" for kind, count in counts.items())
    raise ConfigError(
        f"'{file.typed}' has operators that are not known here: {kinds}; first node "
        f"'{first.name or first.output[0]}'. {_OPTIMISED if first.domain in _OWN else _REMEDY}"
    )


def _outputs(file: OnnxFile, known: Known, writer: ModuleWriter) -> dict[str, fx.Node]:
    for name in file.outputs:
        if name not in known.of_input:
            raise ConfigError(
                f"the output '{name}' of '{file.typed}' is the same whatever the input: export the "
                "model without it"
            )
    return {task: writer.values[name] for task, name in zip(file.tasks, file.outputs, strict=True)}
