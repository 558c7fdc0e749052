"""What has room in one ONNX file."""

from torch import nn

from niwaki.core.errors import ExportError

_MOST_BYTES = 2**31 - 2**20  # of a message of protobuf, less something for the graph


def require_room(module: nn.Module) -> None:
    """Check that the numbers of a module fit into one file.

    Raises:
        ExportError: If they do not.
    """
    n_bytes = sum(values.nbytes for values in (*module.parameters(), *module.buffers()))
    if n_bytes > _MOST_BYTES:
        raise ExportError(
            f"{type(module).__name__} has {n_bytes / 2**30:.2f} GiB of weights, and one ONNX file "
            "holds less than 2 GiB"
        )
