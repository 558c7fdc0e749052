"""Operator converters of the fast path, one file per family; importing this fills the table."""

from niwaki.export.operators import (
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
from niwaki.export.operators.table import FUNCTIONS, MODULES, Call, Converter

__all__ = [
    "FUNCTIONS",
    "MODULES",
    "Call",
    "Converter",
    "activations",
    "arithmetic",
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
