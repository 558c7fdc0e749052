"""How operators are read, one file for each kind; importing one fills the table."""

from importlib import import_module

_KINDS = (
    "activations",
    "arithmetic",
    "convolutions",
    "indexing",
    "joining",
    "norms",
    "pooling",
    "products",
    "recurrent",
    "reductions",
    "resizing",
    "shapes",
)


def load_operators() -> None:
    """Fill the table of operators."""
    for kind in _KINDS:
        import_module(f"{__name__}.{kind}")
