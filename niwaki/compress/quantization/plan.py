"""What precision each layer of a network gets."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from types import MappingProxyType
from typing import TypeVar

from niwaki.core.errors import ConfigError, SpaceError
from niwaki.core.jsonable import JSON
from niwaki.core.registry import nearest

E = TypeVar("E", bound=StrEnum)

LIMIT, REDUCED_LIMIT = 127, 64  # of weights; 2 * 255 * 64 fits in 16 bits
_KEYS = ("precisions", "activation", "reduce_range")


class Precision(StrEnum):
    """The arithmetic a layer is asked to run in."""

    FP32 = "fp32"
    INT8 = "int8"


class ActivationType(StrEnum):
    """The integers that activations are stored in, between layers that run in int8.

    Both stand for the same values; which is fast depends on the processor. x86 wants u8. There
    onnxruntime turns s8 into u8 as it loads a model, but only where one node reads a tensor: in a
    residual network 10 of 24 layers stayed float for it, unless `session.qdqisint8allowed` was set,
    and then its signed kernels were some 25 times slower (onnxruntime 1.32). ARM wants s8.
    """

    U8 = "u8"
    S8 = "s8"


@dataclass(frozen=True)
class QuantizationPlan:
    """A precision for each layer, as data: it holds no weights and fits any checkpoint.

    Weights of int8 layers are signed, symmetric, with one scale per output channel; activations are
    asymmetric, with one scale per tensor.

    Attributes:
        precisions: Precision by qualified path of the layer, such as `encoder.stages.1.0.conv1`.
            A layer that is not named stays fp32.
        activation: The integers of the activations.
        reduce_range: Whether weights keep to 7 bits. x86 processors without VNNI add two products
            of 8 bits in 16, and what does not fit is cut off: networks then compute something else.
    """

    precisions: Mapping[str, Precision]
    activation: ActivationType = ActivationType.U8
    reduce_range: bool = False

    def __post_init__(self) -> None:
        frozen = {layer: Precision(precision) for layer, precision in self.precisions.items()}
        object.__setattr__(self, "precisions", MappingProxyType(frozen))
        object.__setattr__(self, "activation", ActivationType(self.activation))

    @classmethod
    def uniform(
        cls,
        layers: Iterable[str],
        precision: Precision,
        *,
        activation: ActivationType = ActivationType.U8,
        reduce_range: bool = False,
    ) -> "QuantizationPlan":
        """Return the plan that gives every one of `layers` the same precision."""
        return cls(dict.fromkeys(layers, precision), activation, reduce_range)

    @property
    def weight_limit(self) -> int:
        """The largest integer that a weight is written as."""
        return REDUCED_LIMIT if self.reduce_range else LIMIT

    def precision_of(self, layer: str) -> Precision:
        """Return the precision of `layer`; fp32 if the plan does not name it."""
        return self.precisions.get(layer, Precision.FP32)

    @property
    def int8_layers(self) -> tuple[str, ...]:
        """The layers that are asked to run in int8, in the plan's order."""
        return tuple(n for n, precision in self.precisions.items() if precision is Precision.INT8)

    def check_layers(self, known: Iterable[str]) -> None:
        """Raise if the plan names a layer that the network does not have.

        Args:
            known: The quantizable layers of the network.

        Raises:
            SpaceError: With the first unknown layer and the nearest known one.
        """
        names = list(known)
        present = set(names)
        for layer in self.precisions:
            if layer not in present:
                raise SpaceError(
                    f"the quantization plan names layer '{layer}', which the network does not have "
                    f"or cannot quantize{nearest(layer, names)} "
                    f"It has {len(names)} quantizable layers: {_shortened(names)}"
                )

    def to_json(self) -> dict[str, JSON]:
        """Return the plan as a JSON object."""
        return {
            "activation": self.activation.value,
            "reduce_range": self.reduce_range,
            "precisions": {layer: p.value for layer, p in self.precisions.items()},
        }

    @classmethod
    def from_json(cls, data: object) -> "QuantizationPlan":
        """Read what `to_json` wrote.

        Raises:
            ConfigError: If `data` is not a plan: a wrong shape, an unknown key, precision or
                activation type.
        """
        if not isinstance(data, Mapping) or not isinstance(data.get("precisions"), Mapping):
            raise ConfigError(
                "a quantization plan is a JSON object {precisions: {layer: precision}, activation, "
                f"reduce_range}}, but this came: {str(data)[:80]}"
            )
        for key in data:
            if key not in _KEYS:
                hint = nearest(str(key), _KEYS)
                raise ConfigError(f"a quantization plan has no key '{key}'{hint}")
        if not isinstance(reduce_range := data.get("reduce_range", False), bool):
            raise ConfigError(f"the reduce_range is {reduce_range!r}: write true or false")
        return cls(
            {
                str(layer): _member(Precision, value, f"precision of layer '{layer}'")
                for layer, value in data["precisions"].items()
            },
            _member(ActivationType, data.get("activation", "u8"), "activation type"),
            reduce_range,
        )

    def __hash__(self) -> int:
        return hash((frozenset(self.precisions.items()), self.activation, self.reduce_range))


def _member(kind: type[E], value: object, what: str) -> E:
    known = [member.value for member in kind]
    if isinstance(value, str) and value in known:
        return kind(value)
    raise ConfigError(f"the {what} is {value!r}: write one of {', '.join(known)}")


def _shortened(names: list[str], n_shown: int = 8) -> str:
    rest = f", and {len(names) - n_shown} more" if len(names) > n_shown else ""
    return ", ".join(names[:n_shown]) + rest
