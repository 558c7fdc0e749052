"""The precision in which each layer really runs, read from the runtime's optimised graph."""

from collections.abc import Iterable, Mapping
from enum import StrEnum
from pathlib import Path

import onnx


class Realised(StrEnum):
    """The precision in which the runtime executes a layer."""

    INT8 = "int8"
    FP32 = "fp32"
    ABSENT = "absent"


def realised_precisions(
    optimised: onnx.ModelProto | Path, layers: Iterable[str]
) -> Mapping[str, Realised]:
    """Return the precision of each of `layers` in a graph that the runtime optimised."""
    raise NotImplementedError
