"""Operator converters of the fast path, one file per family; importing this fills the table."""

from niwaki.export.fast_path.operators import (  # noqa: F401  (each fills the table)
    activations,
    arithmetic,
    attention,
    choices,
    convolutions,
    filled,
    gated,
    indexing,
    linear,
    lookups,
    normalisation,
    padding,
    pooling,
    recurrent,
    reductions,
    reshaping,
    resizing,
    types,
    windows,
)
from niwaki.export.fast_path.operators.table import (
    FUNCTIONS,
    MODULES,
    VIEWS,
    Call,
    Converter,
    converter_of,
)

__all__ = ["FUNCTIONS", "MODULES", "VIEWS", "Call", "Converter", "converter_of"]
