"""The ledger: everything that happened in a study, one checksummed JSON line per event.

A line is the event's JSON object with a last field `crc32`: eight hexadecimal digits of the CRC-32
of the bytes of the line without that field. One process writes, by appending; any number may read.
"""

import contextlib
import json
import os
import time
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Self

from niwaki.core.errors import LedgerError, RunFolderError
from niwaki.core.files import DAMAGE, cannot_write, sync_to_disk
from niwaki.study.record.events import (
    REPAIR,
    SCHEMA,
    Asked,
    Event,
    Note,
    Started,
    event_from_json,
    event_to_json,
)

_CHECKSUM = b',"crc32":"'
_N_CHECKSUM_BYTES = len(_CHECKSUM) + 8 + len(b'"}')


def encode_line(event: Event) -> bytes:
    """Return the event as one line, with its checksum and its newline.

    Raises:
        ValueError: If the event holds NaN or an infinity outside a measurement's values.
    """
    text = json.dumps(event_to_json(event), separators=(",", ":"), allow_nan=False)
    body = text.encode()
    return b'%s%s%08x"}\n' % (body[:-1], _CHECKSUM, zlib.crc32(body))


def decode_line(line: bytes) -> Event:
    """Read what `encode_line` wrote; the newline may be missing.

    Raises:
        ValueError, KeyError, TypeError: If the checksum or a field is wrong.
    """
    line = line.rstrip(b"\n")
    body = line[:-_N_CHECKSUM_BYTES] + b"}"
    if line != b'%s%s%08x"}' % (body[:-1], _CHECKSUM, zlib.crc32(body)):
        raise ValueError("its checksum is wrong")
    return event_from_json(json.loads(body))


def read_ledger(path: Path) -> list[Event]:
    """Return all complete events, also while another process is writing.

    Never locks and never writes; a torn last line is left alone and left out.

    Raises:
        RunFolderError: If there is no ledger at `path`.
        LedgerError: If a line is damaged, or the ledger has another schema.
    """
    return _scan(_read(path), path).events


class LedgerReader:
    """Follows a ledger that another process is writing.

    Args:
        path: The ledger; it need not exist yet.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._n_bytes = 0
        self._n_lines = 0

    def poll(self) -> list[Event]:
        """Return the events that were completed since the last call.

        Raises:
            LedgerError: If a line is damaged, or the ledger has another schema.
        """
        if not self._path.exists():
            return []
        data = _read(self._path, self._n_bytes)
        whole = data[: data.rfind(b"\n") + 1]
        events = list(_events(whole, self._path, n_lines_before=self._n_lines))
        self._n_bytes += len(whole)
        self._n_lines += whole.count(b"\n")
        return events


class Ledger:
    """The one writer of a ledger. Hold the folder's `RunLock` while it is open.

    An appended event survives the death of this process at once, and of the machine after the
    next `fsync`: one per `sync_interval_s` at most while events come fast, one per result when
    evaluations take longer than that, and one on closing.

    Attributes:
        path: The file.
        events: Everything that was there on opening, a repair's note included.
    """

    def __init__(self, path: Path, *, sync_interval_s: float = 0.25) -> None:
        """Prefer `Ledger.open`."""
        self.path = path
        self._sync_interval_s = sync_interval_s
        self._synced_at = -float("inf")
        self._descriptor = -1
        self.events: list[Event] = []

    @classmethod
    def open(cls, path: Path, *, sync_interval_s: float = 0.25) -> Self:
        """Open for appending, creating the file if there is none, and repair a torn tail.

        Args:
            path: The file; its folder must exist.
            sync_interval_s: Least time between two `fsync`s; 0 syncs every result.

        Raises:
            LedgerError: If a line before the last is damaged, or the ledger has another schema.
            RunFolderError: If the file cannot be written.
        """
        ledger = cls(path, sync_interval_s=sync_interval_s)
        try:
            ledger._descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o666)
            sync_to_disk(path.parent)
            ledger.events = ledger._recover()
        except OSError as error:
            ledger.close()
            raise cannot_write(path, error) from error
        except LedgerError:
            ledger.close()
            raise
        return ledger

    def append(self, event: Event) -> None:
        """Write one event, in one piece.

        Raises:
            RunFolderError: If the disk is full: nothing of this event was written, everything
                before it is intact, and the ledger can be used again once there is space. If it
                cannot be synced: the event is there, but may not survive a power failure.
        """
        self._write(encode_line(event))
        # An ask can be asked again; a result was paid for.
        if not isinstance(event, Asked):
            self._sync_if_due()

    def sync(self) -> None:
        """Make everything appended so far survive a power failure.

        Raises:
            RunFolderError: If the disk refuses.
        """
        try:
            os.fsync(self._descriptor)
        except OSError as error:
            raise cannot_write(self.path, error) from error
        self._synced_at = time.monotonic()

    def close(self) -> None:
        """Sync and close. Calling it again does nothing."""
        if self._descriptor < 0:
            return
        try:
            self.sync()
        finally:
            os.close(self._descriptor)
            self._descriptor = -1

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def _write(self, line: bytes) -> None:
        if self._descriptor < 0:
            raise RunFolderError(f"the ledger '{self.path}' is closed: open it again to append")
        start = os.lseek(self._descriptor, 0, os.SEEK_END)
        try:
            n_written = os.write(self._descriptor, line)
            # A nearly full disk takes part of a line; only the next write says why.
            while n_written < len(line):
                n_written += os.write(self._descriptor, line[n_written:])
        except OSError as error:
            with contextlib.suppress(OSError):  # what stays is a torn tail, which opening repairs
                os.ftruncate(self._descriptor, start)
            raise cannot_write(self.path, error) from error

    def _sync_if_due(self) -> None:
        if time.monotonic() - self._synced_at >= self._sync_interval_s:
            self.sync()

    def _recover(self) -> list[Event]:
        """Read all events and leave the file ending in a newline."""
        data = _read(self.path)
        scan = _scan(data, self.path)
        if scan.torn:
            self._repair(scan)
        elif data and not data.endswith(b"\n"):
            self._write(b"\n")
        return scan.events

    def _repair(self, scan: "_Scan") -> None:
        """Overwrite the torn tail with a note of it; a kill halfway leaves a torn tail again."""
        size = scan.n_bytes
        # A torn first line means that the study had not begun, so there is nothing to note.
        if scan.events:
            text = scan.torn[:200].decode(errors="replace")
            note = Note(f"{REPAIR} of {len(scan.torn)} bytes: {text}")
            line, end = encode_line(note), size + len(encode_line(note))
            while size < end:  # a nearly full disk takes part of it; only the next write says why
                size += os.pwrite(self._descriptor, line[size - end :], size)
            scan.events.append(note)
        os.ftruncate(self._descriptor, size)


@dataclass(frozen=True)
class _Scan:
    """The events in a ledger's bytes, how many bytes they take, and what is torn after them."""

    events: list[Event]
    n_bytes: int
    torn: bytes


def _scan(data: bytes, path: Path) -> _Scan:
    end = data.rfind(b"\n") + 1
    events = list(_events(data[:end], path, n_lines_before=0))
    tail = data[end:]
    try:
        # The tail may lack its newline and nothing else: then it is a complete event.
        events += _events(tail, path, n_lines_before=len(events))
    except LedgerError:
        return _Scan(events, end, tail)
    return _Scan(events, len(data), b"")


def _events(data: bytes, path: Path, *, n_lines_before: int) -> Iterator[Event]:
    if not data:
        return
    for number, line in enumerate(data.removesuffix(b"\n").split(b"\n"), n_lines_before + 1):
        if number == 1:
            _check_schema(line, path)
        try:
            event = decode_line(line)
        except DAMAGE as error:
            raise _damaged(path, number, error) from error
        if number == 1 and not isinstance(event, Started):
            raise _damaged(path, number, ValueError("a ledger starts with the event 'study'"))
        yield event


def _check_schema(line: bytes, path: Path) -> None:
    try:
        schema = json.loads(line)["schema"]
    except DAMAGE:
        return  # damaged, which the checksum will say
    if schema != SCHEMA:
        age = "a newer" if isinstance(schema, int) and schema > SCHEMA else "an older"
        raise LedgerError(
            f"'{path}' was written with schema {schema} by {age} niwaki, and this one reads "
            f"schema {SCHEMA}: use that version to continue, or give the run another name"
        )


def _damaged(path: Path, number: int, error: Exception) -> LedgerError:
    what = f"field {error} is missing" if isinstance(error, KeyError) else str(error)
    told = f"line {number} of '{path}' is damaged: {what}"
    if number == 1:
        return LedgerError(f"{told}. Restore the file from a copy, or give the run another name")
    return LedgerError(
        f"{told}. The lines before it are intact: restore "
        f"the file from a copy, or keep only its first {number - 1} lines and run the search again"
    )


def _read(path: Path, offset: int = 0) -> bytes:
    try:
        with path.open("rb") as file:
            file.seek(offset)
            return file.read()
    except FileNotFoundError as error:
        raise RunFolderError(
            f"there is no ledger at '{path}': give the folder of a run that was started"
        ) from error
    except OSError as error:
        raise RunFolderError(
            f"the ledger '{path}' cannot be read: {error.strerror}; check its permissions"
        ) from error
