"""What was done to a model, as data that can be done to another checkpoint of it."""

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import onnx
import torch
from numpy.typing import NDArray
from torch import nn

from niwaki.compress.pruning import PruningPlan, compensated, input_moments
from niwaki.compress.pruning.copying import copied
from niwaki.compress.pruning.model_calls import Inputs, in_evaluation
from niwaki.compress.pruning.rebuilding import check_fits
from niwaki.compress.quantization.plan import QuantizationPlan
from niwaki.core.errors import ConfigError, DataError
from niwaki.core.files import write_text_atomically
from niwaki.core.jsonable import JSON
from niwaki.core.registry import nearest
from niwaki.evaluation.compression.given_data.given_batches import read_inputs
from niwaki.evaluation.compression.given_model.as_written import as_written
from niwaki.evaluation.compression.given_model.input_type import inputs_taken
from niwaki.evaluation.compression.given_model.plain_calls import plainly_called, take_integers
from niwaki.evaluation.compression.given_model.plain_weights import with_plain_weights
from niwaki.evaluation.compression.given_model.several_inputs import as_given, inputs_of, together
from niwaki.export.float_graph import float_graph
from niwaki.export.graph.tied_weights import tied
from niwaki.export.int8.calibration import activation_ranges
from niwaki.export.int8.equalisation import LEAST_SPREAD, equalised
from niwaki.export.int8.quantize import quantize_model

_KEYS = ["pruning", "quantization"]


@dataclass(frozen=True)
class CompressionPlans:
    """The plans of one compressed model. They hold no weights.

    Attributes:
        pruning: Which channels go.
        quantization: Which of the layers that are left run in int8.
    """

    pruning: PruningPlan
    quantization: QuantizationPlan

    def prune(self, module: nn.Module, batches: torch.Tensor | Iterable[Inputs] = ()) -> nn.Module:
        """Return a smaller copy of a checkpoint of the model, in evaluation mode, not fine-tuned.

        Args:
            module: The checkpoint, in any mode; not touched.
            batches: (n, ...) real inputs, one tensor or several batches, by which the weights that
                read channels are fitted to those that stay; without any, weights are cut, not
                fitted. A batch of several inputs is a tuple, or a mapping by name.

        Raises:
            SpaceError: If the plan does not fit: names the first layer that differs.
        """
        whole = in_evaluation(with_plain_weights(as_written(module)))
        check_fits(whole, self.pruning)
        given = _several(batches)
        if not given:
            return compensated(whole, self.pruning, None)
        plain = plainly_called(copied(whole))
        seen = (as_given(plain, torch.from_numpy(each)) for each in _read(plain, given))
        return compensated(whole, self.pruning, input_moments(whole, seen))

    def quantize(
        self,
        module: nn.Module,
        batches: torch.Tensor | Iterable[Inputs],
        *,
        observer: str = "percentile",
        output_names: list[str] | None = None,
    ) -> onnx.ModelProto:
        """Return the quantized graph of a module that was pruned by these plans.

        Args:
            module: As `prune` returns it, fine-tuned or not; in any mode; not touched.
            batches: (n, ...) real inputs, as for `prune`, that ranges of activations are taken
                from. Inputs of the graph are called as the model calls them, and have the types
                that these have, reals float32.
            observer: See `niwaki.compress.quantization.observers`.
            output_names: Of the graph.

        Raises:
            SpaceError: If the plan names a layer that the module does not have.
            DataError: If there are no batches.
            ExportError: If the module cannot be written.
        """
        given = _several(batches)
        if not given:
            raise DataError("there is no batch to calibrate on: give at least one")
        module = plainly_called(in_evaluation(as_written(module)))
        arrays = _read(module, given)
        if inputs_of(module) is None and arrays[0].dtype.kind in "iub":
            take_integers(module)
        inputs = inputs_taken(module, arrays[0].shape[1:])
        feeds = [inputs.feeds(array) for array in arrays]
        model = float_graph(
            module,
            [(1, *each.shape) for each in inputs],
            lambda: [torch.from_numpy(values[:2]) for values in feeds[0].values()],
            input_types=[each.dtype for each in inputs],
            input_names=list(inputs.names),
            output_names=output_names,
        )
        if not self.quantization.int8_layers:
            return tied(model)
        model = equalised(model, least_spread=LEAST_SPREAD)
        ranges = activation_ranges(model, feeds, observer=observer, plan=self.quantization)
        return quantize_model(model, self.quantization, ranges)

    def to_json(self) -> dict[str, JSON]:
        """Return the plans as a JSON object."""
        return {"pruning": self.pruning.to_json(), "quantization": self.quantization.to_json()}

    @classmethod
    def from_json(cls, data: object) -> "CompressionPlans":
        """Read what `to_json` wrote.

        Raises:
            ConfigError: If it is something else.
        """
        if not isinstance(data, Mapping) or not set(_KEYS) <= set(data):
            raise ConfigError(
                "plans are a JSON object {pruning, quantization}, but this came: "
                f"{str(data)[:80]}"
            )
        if unknown := [key for key in data if key not in _KEYS]:
            raise ConfigError(f"plans have no key '{unknown[0]}'{nearest(str(unknown[0]), _KEYS)}")
        return cls(
            PruningPlan.from_json(data["pruning"]),
            QuantizationPlan.from_json(data["quantization"]),
        )

    def save(self, path: Path) -> None:
        """Write the plans as JSON, whole or not at all."""
        path.parent.mkdir(parents=True, exist_ok=True)
        write_text_atomically(path, json.dumps(self.to_json()) + "\n")

    @classmethod
    def load(cls, path: Path) -> "CompressionPlans":
        """Read what `save` wrote.

        Raises:
            ConfigError: If the file cannot be read, or is something else.
        """
        try:
            data: Any = json.loads(path.read_text(encoding="utf-8"))
        except (OSError, ValueError) as error:
            raise ConfigError(f"plans cannot be read from '{path}': {error}") from error
        return cls.from_json(data)


def _several(batches: torch.Tensor | Iterable[Inputs]) -> list[Any]:
    return [batches] if isinstance(batches, torch.Tensor) else list(batches)


def _read(module: nn.Module, batches: list[Any]) -> list[NDArray[Any]]:
    """Return batches of inputs as one array each, in which the model takes them."""
    origin = "the batches"
    read = dict(enumerate(read_inputs(batches, origin)))
    return list(together(module, read, dict.fromkeys(read, origin)).values())
