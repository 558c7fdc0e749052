"""What travels between this machine and the target's: arrays, digests, and settings as text.

Both sides have the same text of this module, since the machine there is sent it.
"""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, fields
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from niwaki.targets.base import Feeds
from niwaki.targets.onnxruntime_cpu import OnnxRuntimeCpu
from niwaki.targets.onnxruntime_target import OnnxRuntimeTarget
from niwaki.targets.protocol import Budget

# Type, shape and bytes of an array; bytes alone of a model.
Packed: TypeAlias = tuple[str, tuple[int, ...], bytes] | bytes
Digest: TypeAlias = str


def packed(values: NDArray[Any]) -> Packed:
    """Return an array as plain values."""
    return values.dtype.str, values.shape, np.ascontiguousarray(values).tobytes()


def unpacked(array: Packed) -> NDArray[Any]:
    """Return the array that `packed` has packed, not to be written to."""
    kind, shape, data = array
    return np.frombuffer(data, np.dtype(str(kind))).reshape(shape)  # type: ignore[arg-type]


def digest_of(content: Packed) -> Digest:
    """Return what names a content, wherever it is."""
    digest = hashlib.blake2b(digest_size=16)
    if isinstance(content, bytes):
        digest.update(content)
    else:
        kind, shape, data = content
        digest.update(f"{kind}{shape}".encode())
        digest.update(data)
    return digest.hexdigest()


def size_of(content: Packed) -> int:
    """Return the bytes of a content."""
    return len(content if isinstance(content, bytes) else content[2])


def packed_feeds(feeds: Feeds) -> dict[str, Packed]:
    """Return inputs or outputs by name as plain values.

    Raises:
        ValueError: If one of them is no numeric array.
    """
    for name, values in feeds.items():
        if values.dtype.hasobject:
            raise ValueError(f"'{name}' holds {values.dtype}, which does not travel")
    return {name: packed(values) for name, values in feeds.items()}


def settings_text(target: OnnxRuntimeTarget) -> str:
    """Return the settings that a target has in common with the one that runs there."""
    given = {field.name: getattr(target, field.name) for field in fields(OnnxRuntimeTarget)}
    for name in ("quick", "thorough"):
        given[name] = asdict(given[name])
    return json.dumps(given, default=str, sort_keys=True)


def target_of(text: str) -> OnnxRuntimeCpu:
    """Return the target that runs here, where `text` came from elsewhere.

    Raises:
        TargetError: If it cannot have these settings here.
    """
    given: Mapping[str, Any] = json.loads(text)
    return OnnxRuntimeCpu(
        **{
            **given,
            "cores": tuple(given["cores"]),
            "disabled_optimizers": tuple(given["disabled_optimizers"]),
            "quick": Budget(**given["quick"]),
            "thorough": Budget(**given["thorough"]),
            "lock_path": None if given["lock_path"] is None else Path(given["lock_path"]),
        }
    )
