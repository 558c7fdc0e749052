"""Operator converters of the fast path, one file per family; importing this fills the table."""

from niwaki.export.fast_path.operators import (
    activations,
    arithmetic,
    convolutions,
    gated,
    linear,
    normalisation,
    padding,
    pooling,
    recurrent,
    reshaping,
    resizing,
)
from niwaki.export.fast_path.operators.table import (
    FUNCTIONS,
    MODULES,
    VIEWS,
    Call,
    Converter,
    converter_of,
)

__all__ = [
    "FUNCTIONS",
    "MODULES",
    "VIEWS",
    "Call",
    "Converter",
    "activations",
    "arithmetic",
    "converter_of",
    "convolutions",
    "gated",
    "linear",
    "normalisation",
    "padding",
    "pooling",
    "recurrent",
    "reshaping",
    "resizing",
]
