"""Where in a file a module that was read from it begins to compute something else."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from torch import Tensor, fx, nn, no_grad
from torch import from_numpy as tensor_from

from niwaki.core.errors import TargetError
from niwaki.evaluation.compression.from_onnx.file import OnnxFile, in_single_precision
from niwaki.evaluation.compression.from_onnx.writer import VALUE
from niwaki.evaluation.compression.given_model.faithful import other_output
from niwaki.targets.sessions import Optimisation, SessionSettings, open_session, run_session


def first_difference(module: nn.Module, file: OnnxFile, inputs: NDArray[np.float32]) -> str:
    """Return the node whose values are the first that differ, in words; empty if none is seen.

    Args:
        module: That was read from the file.
        file: As it was given.
        inputs: (n, ...), as many as it takes; of several side by side.
    """
    if not isinstance(module, fx.GraphModule):
        return ""
    file = file.rearranged
    noting = _Noting(module)
    found = noting.values_for(file.inputs.apart(inputs))
    try:
        wanted = _values_in_file(file, inputs, set(found))
    except TargetError:
        return ""  # the runtime does not give all inner values of all models
    for node in file.given.graph.node:
        for name in node.output:
            if name in wanted and other_output({name: wanted[name]}, {name: found[name]}):
                return f"node '{node.name or name}' ({node.op_type})"
        if noting.failed in node.output:
            return f"node '{node.name or noting.failed}' ({node.op_type})"
    return ""


class _Noting(fx.Interpreter):
    """Runs a module and keeps what is a value of its file.

    Attributes:
        failed: The value in whose place the module fails; None if it runs, or none is known.
    """

    def __init__(self, module: fx.GraphModule) -> None:
        super().__init__(module)
        self._found: dict[str, NDArray[Any]] = {}
        self.failed: str | None = None

    def values_for(self, inputs: Sequence[NDArray[np.float32]]) -> dict[str, NDArray[Any]]:
        """Return the values by their names in the file, up to where the module fails."""
        try:
            with no_grad():
                self.run(*(tensor_from(np.array(each)) for each in inputs))
        except (RuntimeError, IndexError, ValueError):
            return self._found
        return self._found

    def run_node(self, n: fx.Node) -> Any:
        """Run a node, and keep its value."""
        self.failed = n.meta.get(VALUE)
        value = super().run_node(n)
        self.failed = None
        if VALUE in n.meta and isinstance(value, Tensor):
            self._found[n.meta[VALUE]] = value.numpy().copy()
        return value


def _values_in_file(
    file: OnnxFile, inputs: NDArray[np.float32], names: set[str]
) -> dict[str, NDArray[Any]]:
    model = in_single_precision(file.given)
    known = {info.name for info in model.graph.output}
    made = [name for node in model.graph.node for name in node.output if name in names - known]
    model.graph.output.extend(map(onnx.helper.make_empty_tensor_value_info, made))
    session = open_session(model, SessionSettings(optimisation=Optimisation.NONE))
    found = run_session(session, file.inputs.feeds(inputs))
    return {name: values for name, values in found.items() if name in names}
