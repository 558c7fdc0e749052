"""Verification: torch, the unoptimised graph and the optimised graph say the same on real data."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import onnx
from numpy.typing import NDArray

from niwaki.core.errors import ExportError, VerificationError
from niwaki.core.jsonable import JSON
from niwaki.export.comparison import Difference, OutputKind, Tolerance, compare, root_mean_square
from niwaki.export.inference import infer
from niwaki.export.int8.quantum import has_int8, largest_weight, output_quanta
from niwaki.export.verification_data import NO_CLASSES, Arrays, sampled
from niwaki.targets.cpu_capabilities import cpu_capabilities
from niwaki.targets.machine import processor
from niwaki.targets.sessions import Optimisation, SessionSettings

if TYPE_CHECKING:
    from torch import nn

TORCH, RECORDED = "torch", "recorded"
UNOPTIMISED, OPTIMISED = "unoptimised", "optimised"

_OTHER_LAYERS = "; keep the named layers in fp32, or update onnxruntime"
_OTHER_WEIGHTS = (
    " here: this processor adds pairs of 8-bit products up in 16 bits, and its weights are too "
    "wide for that. Run it where there is VNNI, or search on a machine like this one: weights "
    "then keep to 7 bits"
)
_DEFAULT_TOLERANCE = Tolerance()
_DEFAULT_SETTINGS = SessionSettings()


@dataclass(frozen=True)
class Verification:
    """What came of verifying one model.

    Attributes:
        n_items: Items of real data that it ran on.
        int8: Whether the model has int8 layers.
        differences: Every comparison of every output.
        saturates: Whether products of its weights may not fit where this processor adds them up.
    """

    n_items: int
    int8: bool
    differences: tuple[Difference, ...]
    saturates: bool = False

    @property
    def passed(self) -> bool:
        """Whether every comparison kept to its limit."""
        return all(difference.passed for difference in self.differences)

    @property
    def failures(self) -> tuple[Difference, ...]:
        """The comparisons that did not."""
        return tuple(difference for difference in self.differences if not difference.passed)

    def require(self, what: str) -> None:
        """Raise if a comparison did not keep to its limit.

        Raises:
            VerificationError: With the output, the number and the limit of each.
        """
        if not self.passed:
            details = "; ".join(
                f"{failed}, but {failed.limit} is allowed" for failed in self.failures
            )
            remedy = _OTHER_WEIGHTS if self.saturates else _OTHER_LAYERS
            raise VerificationError(
                f"{what} does not compute what was searched: {details}. Do not deploy it{remedy}"
            )

    def __str__(self) -> str:
        verdict = "verified" if self.passed else "FAILED"
        details = "; ".join(str(difference) for difference in self.differences)
        return f"{verdict} on {self.n_items} items: {details}"

    def summary(self) -> str:
        """Return a few lines for a terminal: of each pair of runs, the largest difference."""
        verdict = "verified" if self.passed else "FAILED"
        lines = [f"{verdict} on {self.n_items} items"]
        for name in dict.fromkeys(difference.between[0] for difference in self.differences):
            alike = [d for d in self.differences if d.between[0] == name]
            lines.append(f"  {name:<11} and {OPTIMISED}: {_largest(alike)}")
        return "\n".join(lines)

    def to_json(self) -> dict[str, JSON]:
        """Return what a model card says of the verification."""
        return {
            "n_items": self.n_items,
            "passed": self.passed,
            "differences": [difference.to_json() for difference in self.differences],
        }


def _largest(differences: Sequence[Difference]) -> str:
    """Return the largest difference of several outputs, in words."""
    words = f"at most {max(d.relative for d in differences):.1e} of an output's range apart"
    quanta = [d.max_quanta for d in differences if d.max_quanta is not None]
    words += f", {max(quanta):.1f} quanta" if quanta else ""
    agreements = [d.argmax_agreement for d in differences if d.argmax_agreement is not None]
    words += f", {min(agreements):.1%} of the classes alike" if agreements else ""
    judged = any(d.limit for d in differences)
    return words if judged else f"{words} (told, not judged: the price of int8)"


def verify_model(
    source: onnx.ModelProto | Path,
    inputs: Arrays,
    *,
    torch_module: nn.Module | None = None,
    torch_outputs: Arrays | None = None,
    recorded: Arrays | None = None,
    class_axes: Mapping[str, int] = NO_CLASSES,
    settings: SessionSettings = _DEFAULT_SETTINGS,
    tolerance: Tolerance = _DEFAULT_TOLERANCE,
) -> Verification:
    """Compare what a model computes with what it should, on real data.

    | comparison                     | fp32 network | network with int8 layers               |
    |--------------------------------|--------------|----------------------------------------|
    | unoptimised with optimised     | judged       | judged, in quanta and by that error    |
    | recorded at export, with now   | judged       | judged, in quanta and by that error    |
    | torch, in float, with now      | judged       | told only: it is the quantization error |

    Args:
        source: The model, or its file.
        inputs: (n, ...) real data by input name.
        torch_module: The float network; runs here, on `inputs`.
        torch_outputs: Its outputs if it ran elsewhere, whole or as `sampled` returns them.
        recorded: Outputs of the optimised graph at export, likewise.
        class_axes: Axis along which scores of classes lie, by name of the outputs that have such.
        settings: How the optimised graph runs.
        tolerance: How far outputs may be apart.

    Returns:
        All comparisons; ask `passed`, or `require` it.

    Raises:
        TargetError: If the model cannot be loaded or run.
        ExportError: If names or shapes of outputs do not fit.
    """
    plain = replace(settings, optimisation=Optimisation.NONE)
    unoptimised = infer(source, inputs, settings=plain)
    optimised = infer(source, inputs, settings=settings)
    model = onnx.load(source) if isinstance(source, Path) else source
    if torch_module is not None:
        torch_outputs = _run_torch(torch_module, inputs, model)
    int8 = has_int8(model)
    kinds = _kinds(model, class_axes)
    if int8 and torch_outputs is not None:
        kinds = _with_errors(kinds, torch_outputs, unoptimised)
    runs: list[tuple[str, Arrays, Tolerance | None]] = [(UNOPTIMISED, unoptimised, tolerance)]
    if recorded is not None:
        runs.append((RECORDED, recorded, tolerance))
    if torch_outputs is not None:
        runs.append((TORCH, torch_outputs, None if int8 else tolerance))
    differences = [
        difference
        for name, outputs, asked in runs
        for difference in _compare_all((name, outputs), optimised, kinds=kinds, tolerance=asked)
    ]
    n_items = min(len(values) for values in optimised.values())
    able = cpu_capabilities(processor())
    saturates = able.reduce_range and largest_weight(model) > able.weight_limit
    return Verification(n_items, int8, tuple(differences), saturates)


def _compare_all(
    first: tuple[str, Arrays],
    optimised: Arrays,
    *,
    kinds: Mapping[str, OutputKind],
    tolerance: Tolerance | None,
) -> list[Difference]:
    first_name, outputs = first
    if set(outputs) != set(optimised):
        raise ExportError(
            f"{first_name} outputs are {sorted(outputs)}, but the model's are {sorted(optimised)}"
        )
    differences = []
    for name, kind in kinds.items():
        expected, computed = _alike(name, (first_name, outputs[name]), optimised[name], kind)
        pair = (first_name, expected), (OPTIMISED, computed)
        differences.append(compare(name, *pair, kind=kind, tolerance=tolerance))
    return differences


def _alike(
    name: str, first: tuple[str, NDArray[Any]], computed: NDArray[Any], kind: OutputKind
) -> tuple[NDArray[Any], NDArray[Any]]:
    """Return two runs' values of an output, the second thinned out if the first is."""
    first_name, expected = first
    whole, expected = computed, expected[: len(computed)]
    if expected.shape != computed.shape:
        axes = {} if kind.class_axis is None else {name: kind.class_axis}
        computed = sampled({name: computed}, axes)[name]
    if expected.shape != computed.shape:
        raise ExportError(
            f"output '{name}' has shape {whole.shape}, but {first_name} values have "
            f"shape {expected.shape}: they are not of this model"
        )
    return expected, computed


def _with_errors(
    kinds: Mapping[str, OutputKind], torch_outputs: Arrays, unoptimised: Arrays
) -> dict[str, OutputKind]:
    """Return the kinds, with the quantization error of each output."""
    found = dict(kinds)
    for name in kinds.keys() & torch_outputs.keys():
        exact, rounded = _alike(name, (TORCH, torch_outputs[name]), unoptimised[name], kinds[name])
        apart = np.abs(rounded.astype(np.float64) - exact.astype(np.float64))
        if np.isfinite(apart).all():
            error = root_mean_square(apart)
            found[name] = replace(kinds[name], error=error, worst_error=float(apart.max()))
    return found


def _kinds(model: onnx.ModelProto, class_axes: Mapping[str, int]) -> dict[str, OutputKind]:
    int8 = has_int8(model)
    return {
        name: OutputKind(int8=int8, quantum=quantum, class_axis=class_axes.get(name))
        for name, quantum in output_quanta(model).items()
    }


def _run_torch(module: nn.Module, inputs: Arrays, model: onnx.ModelProto) -> Arrays:
    # Only here, so that verifying a bundle needs no torch.
    from niwaki.export.torch_outputs import torch_outputs

    ordered = [inputs[node.name] for node in model.graph.input if node.name in inputs]
    return torch_outputs(module, ordered, [node.name for node in model.graph.output])
