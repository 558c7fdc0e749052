"""Running an exported model over many items."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray

from niwaki.core.errors import ExportError
from niwaki.targets.sessions import Session, SessionSettings, open_session, run_session

_DEFAULT_BATCH = 32


def infer(
    source: onnx.ModelProto | bytes | Path,
    inputs: Mapping[str, NDArray[Any]],
    *,
    settings: SessionSettings,
    batch_size: int = _DEFAULT_BATCH,
) -> dict[str, NDArray[Any]]:
    """Return the outputs of a model for n items, by name.

    Args:
        source: The model, or its file.
        inputs: (n, ...) by input name.
        settings: How to run it.
        batch_size: Items at a time; a model whose batch size is fixed keeps to its own, and items
            that do not fill its last batch are left out.

    Raises:
        TargetError: If the model cannot be loaded or run.
        ExportError: If there are no items, or fewer than one fixed batch.
    """
    session = open_session(source, settings)
    fixed = _fixed_batch(session)
    n_items = min((len(values) for values in inputs.values()), default=0)
    size = fixed or min(batch_size, n_items)
    if n_items < max(size, 1):
        raise ExportError(
            f"the model takes batches of {max(size, 1)}, but {n_items} items came: give more data"
        )
    starts = range(0, n_items - size + 1 if fixed else n_items, size)
    parts = [
        run_session(session, {name: values[i : i + size] for name, values in inputs.items()})
        for i in starts
    ]
    return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}


def _fixed_batch(session: Session) -> int | None:
    sizes = [node.shape[0] for node in session.get_inputs() if node.shape]
    return next((size for size in sizes if isinstance(size, int)), None)
