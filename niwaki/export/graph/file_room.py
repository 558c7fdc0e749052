"""What has room in one ONNX file."""

import torch
from torch import nn

from niwaki.core.errors import ExportError

_MOST_BYTES = 2**31 - 2**20  # of a message of protobuf, less something for the graph


def require_room(module: nn.Module) -> None:
    """Check that the numbers of a module fit into one file.

    Raises:
        ExportError: If they do not.
    """
    held = (*module.parameters(), *module.buffers())
    n_bytes = sum(values.nbytes for values in held if values.layout == torch.strided)
    if n_bytes > _MOST_BYTES:
        raise ExportError(
            f"{type(module).__name__} has {n_bytes / 2**30:.2f} GiB of weights, and one ONNX file "
            "holds less than 2 GiB"
        )
