"""Standard streams of a program: its answer arrives or that is an error; its talk may get lost."""

import io
import os
import sys
from typing import TYPE_CHECKING

from niwaki.core.errors import RunFolderError

if TYPE_CHECKING:
    from _typeshed import ReadableBuffer


class OutputLostError(RunFolderError):
    """The answer cannot be written to standard output, as where its disk is full."""


class _Answer(io.FileIO):
    """Raises where it cannot be written, and drops all that comes later."""

    def write(self, data: "ReadableBuffer", /) -> int:
        try:
            return super().write(data)
        except OSError as error:
            _lead_nowhere(self.fileno())  # or Python complains again, when it ends
            if isinstance(error, BrokenPipeError):  # whoever listened has heard enough
                raise
            raise OutputLostError(
                f"standard output cannot be written ({error.strerror}): free some space, or send "
                "it elsewhere"
            ) from error


class _Talk(io.FileIO):
    """Drops what cannot be written: nobody hears it, and work goes on."""

    def write(self, data: "ReadableBuffer", /) -> int:
        try:
            return super().write(data)
        except OSError:
            return memoryview(data).nbytes


def guard_standard_streams() -> None:
    """Guard the process's own standard output and standard error; others stay as they are."""
    if isinstance(sys.stdout, io.TextIOWrapper) and sys.stdout is sys.__stdout__:
        sys.stdout = _over(_Answer, sys.stdout)
    if isinstance(sys.stderr, io.TextIOWrapper) and sys.stderr is sys.__stderr__:
        sys.stderr = _over(_Talk, sys.stderr)


def _over(kind: type[io.FileIO], stream: io.TextIOWrapper) -> io.TextIOWrapper:
    return io.TextIOWrapper(
        io.BufferedWriter(kind(stream.fileno(), "w", closefd=False)),
        encoding=stream.encoding,
        errors=stream.errors,
        line_buffering=stream.line_buffering,
        write_through=stream.write_through,
    )


def _lead_nowhere(descriptor: int) -> None:
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, descriptor)
    os.close(nowhere)
