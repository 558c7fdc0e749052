"""What reading an `.npz` file raises when bytes of it are missing, flipped or foreign."""

import lzma
import struct
import zipfile
import zlib

NPZ_DAMAGE = (
    zipfile.BadZipFile,
    zlib.error,
    lzma.LZMAError,
    struct.error,
    RuntimeError,  # a flag that says encrypted; as NotImplementedError, a version or a method
    ValueError,
    OSError,
    EOFError,
    MemoryError,  # a shape that never was
)
"""All that numpy and zipfile were seen to raise, or may by their sources."""
