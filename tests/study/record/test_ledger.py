"""The ledger keeps every complete event, whatever happens to the process, the disk and the file."""

import os
import re
import resource
import signal
import subprocess
import sys
import zlib
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from niwaki.core import Candidate, Measurement
from niwaki.core.errors import LedgerError, RunFolderError
from niwaki.study.record.events import Asked, Event, Note, Started, Told
from niwaki.study.record.ledger import Ledger, LedgerReader, decode_line, encode_line, read_ledger

CANDIDATE = Candidate.of({"width": 16, "name": "b\u00e4ume"})
EVENTS: list[Event] = [
    Started("digits", "abc", 7),
    Asked(0, CANDIDATE),
    Told(0, Measurement(CANDIDATE.key, {"loss": 0.25})),
    Asked(1, CANDIDATE),
    Note("enough"),
]


def write(path: Path, events: list[Event]) -> bytes:
    with Ledger.open(path) as ledger:
        for event in events:
            ledger.append(event)
    return path.read_bytes()


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "trials.jsonl"


def test_what_is_appended_is_read(path: Path) -> None:
    write(path, EVENTS)
    assert read_ledger(path) == EVENTS


def test_opening_again_gives_the_events_and_appends_after_them(path: Path) -> None:
    write(path, EVENTS[:3])
    with Ledger.open(path) as ledger:
        assert ledger.events == EVENTS[:3]
        ledger.append(EVENTS[3])
    assert read_ledger(path) == EVENTS[:4]


def test_cut_at_any_byte_all_complete_events_are_read(path: Path) -> None:
    data = write(path, EVENTS)
    ends = [match.start() for match in re.finditer(b"\n", data)]
    for n_bytes in range(len(data) + 1):
        path.write_bytes(data[:n_bytes])
        assert read_ledger(path) == EVENTS[: sum(end <= n_bytes for end in ends)]


@given(data=st.data())
@settings(max_examples=60, deadline=None)
def test_cut_at_any_byte_the_writer_goes_on_after_the_last_complete_event(
    data: st.DataObject, tmp_path_factory: pytest.TempPathFactory
) -> None:
    path = tmp_path_factory.mktemp("cut") / "trials.jsonl"
    lines = [encode_line(event) for event in EVENTS]
    n_complete = data.draw(st.integers(1, len(lines) - 1))
    n_more = data.draw(st.integers(0, len(lines[n_complete])))
    path.write_bytes(b"".join(lines[:n_complete]) + lines[n_complete][:n_more])
    n_complete += n_more >= len(lines[n_complete]) - 1
    with Ledger.open(path) as ledger:
        ledger.append(Note("after"))
    events = read_ledger(path)
    assert events[:n_complete] == EVENTS[:n_complete]
    assert [type(event) for event in events[n_complete:]] in ([Note], [Note, Note])


def test_a_torn_first_line_is_no_study(path: Path) -> None:
    path.write_bytes(encode_line(EVENTS[0])[:-10])
    with Ledger.open(path) as ledger:
        assert ledger.events == []
        ledger.append(EVENTS[0])
    assert read_ledger(path) == EVENTS[:1]


def test_a_repair_is_noted_with_what_was_removed(path: Path) -> None:
    data = write(path, EVENTS[:2])
    path.write_bytes(data + b'{"event":"told","num')
    with Ledger.open(path) as ledger:
        note = ledger.events[-1]
    assert isinstance(note, Note)
    assert note.text == 'removed a torn last line of 20 bytes: {"event":"told","num'
    assert read_ledger(path) == [*EVENTS[:2], note]


@pytest.mark.parametrize("n_torn", [1, 20, 5000])
def test_zeros_left_by_a_power_failure_are_a_torn_line(path: Path, n_torn: int) -> None:
    data = write(path, EVENTS)
    path.write_bytes(data + b"\0" * n_torn)
    with Ledger.open(path) as ledger:
        assert ledger.events[:-1] == EVENTS
    assert b"\0" not in path.read_bytes()


def test_reading_never_writes(path: Path) -> None:
    data = write(path, EVENTS)[:-9]
    path.write_bytes(data)
    read_ledger(path)
    assert path.read_bytes() == data


@given(data=st.data())
@settings(max_examples=200, deadline=None)
def test_a_changed_byte_in_the_middle_is_found_and_its_line_named(data: st.DataObject) -> None:
    lines = [encode_line(event) for event in EVENTS]
    number = data.draw(st.integers(0, len(lines) - 2))
    position = data.draw(st.integers(0, len(lines[number]) - 2))
    flipped = bytearray(lines[number])
    flipped[position] ^= data.draw(st.integers(1, 255))
    with pytest.raises((ValueError, KeyError, TypeError)):
        decode_line(bytes(flipped))


@pytest.mark.parametrize("number", [1, 2, 4])
def test_a_damaged_line_in_the_middle_stops_readers_and_the_writer(path: Path, number: int) -> None:
    lines = write(path, EVENTS).splitlines(keepends=True)
    lines[number - 1] = lines[number - 1].replace(b"a", b"e", 1)
    path.write_bytes(b"".join(lines))
    remedy = "keep only its first" if number > 1 else "give the run another name"
    for open_it in (read_ledger, Ledger.open):
        with pytest.raises(LedgerError, match=rf"line {number} of .* {remedy}"):
            open_it(path)
    assert path.read_bytes() == b"".join(lines)


@pytest.mark.parametrize("number", ["1" + "0" * 400, "[" * 100_000])
def test_what_no_number_holds_and_what_nests_too_deeply_is_damage(path: Path, number: str) -> None:
    lines = write(path, EVENTS).splitlines(keepends=True)
    body = lines[1].replace(b'"fidelity":1.0', f'"fidelity":{number}'.encode()).rsplit(b",", 1)[0]
    lines[1] = b'%s,"crc32":"%08x"}\n' % (body, zlib.crc32(body + b"}"))
    path.write_bytes(b"".join(lines))
    with pytest.raises(LedgerError, match="line 2 of"):
        read_ledger(path)


def test_a_complete_last_line_is_never_removed(path: Path) -> None:
    data = write(path, EVENTS).replace(b"enough", b"enougj")
    path.write_bytes(data)
    with pytest.raises(LedgerError, match="line 5"):
        Ledger.open(path)
    assert path.read_bytes() == data


def test_a_ledger_starts_with_its_study(path: Path) -> None:
    path.write_bytes(encode_line(EVENTS[1]))
    with pytest.raises(LedgerError, match="starts with the event 'study'"):
        read_ledger(path)


@pytest.mark.parametrize(("schema", "age"), [(0, "an older"), (2, "a newer")])
def test_another_schema_is_named(path: Path, schema: int, age: str) -> None:
    path.write_bytes(encode_line(Started("digits", "abc", 7, schema=schema)))
    for open_it in (read_ledger, Ledger.open):
        with pytest.raises(
            LedgerError, match=f"schema {schema} by {age} niwaki, .* reads schema 1"
        ):
            open_it(path)


def test_there_must_be_a_ledger_to_read(path: Path) -> None:
    with pytest.raises(RunFolderError, match="no ledger"):
        read_ledger(path)


def test_a_closed_ledger_refuses(path: Path) -> None:
    ledger = Ledger.open(path)
    ledger.close()
    ledger.close()
    with pytest.raises(RunFolderError, match="closed"):
        ledger.append(EVENTS[0])


def test_a_reader_follows_the_writer_line_by_line(path: Path) -> None:
    reader = LedgerReader(path)
    assert reader.poll() == []
    with Ledger.open(path) as ledger:
        for event in EVENTS:
            ledger.append(event)
            assert reader.poll() == [event]
    assert reader.poll() == []


def test_a_follower_waits_for_the_rest_of_a_line_and_counts_lines_on(path: Path) -> None:
    data = b"".join(encode_line(event) for event in EVENTS)
    path.write_bytes(data[:-30])
    reader = LedgerReader(path)
    assert reader.poll() == EVENTS[:4]
    path.write_bytes(data + b"{}\n")
    with pytest.raises(LedgerError, match="line 6"):
        reader.poll()


@pytest.fixture
def synced(monkeypatch: pytest.MonkeyPatch) -> list[Path]:
    """What was made to survive a power failure, in order."""
    paths: list[Path] = []
    monkeypatch.setattr(os, "fsync", lambda n: paths.append(Path(f"/proc/self/fd/{n}").readlink()))
    return paths


def test_the_files_name_and_every_result_survive_a_power_failure(
    path: Path, synced: list[Path]
) -> None:
    with Ledger.open(path, sync_interval_s=0.0) as ledger:
        assert synced == [path.parent]
        for event in EVENTS:  # of which two are asks, which can be asked again
            ledger.append(event)
        assert synced == [path.parent, path, path, path]


def test_results_that_come_fast_are_synced_once_and_on_closing(
    path: Path, synced: list[Path]
) -> None:
    with Ledger.open(path, sync_interval_s=1000.0) as ledger:
        for event in EVENTS:
            ledger.append(event)
        assert synced == [path.parent, path]
    assert synced == [path.parent, path, path]


def test_strangers_can_check_the_lines_as_the_readme_says(path: Path) -> None:
    write(path, EVENTS)
    readme = (Path(__file__).parents[3] / "niwaki/study/README.md").read_text()
    [snippet] = re.findall(r"```python\n(.*?)```", readme, flags=re.DOTALL)
    command = [sys.executable, "-c", snippet]
    done = subprocess.run(command, cwd=path.parent, capture_output=True, text=True, check=True)
    assert done.stdout.split() == [event.kind for event in EVENTS]


WRITER = """
import sys
from pathlib import Path
from niwaki.study.record.events import Note, Started
from niwaki.study.record.ledger import Ledger
with Ledger.open(Path(sys.argv[1])) as ledger:
    ledger.append(Started("killed", "abc", 0))
    for number in range(10**9):
        ledger.append(Note(f"{number} " + "x" * 500))
        print(number, flush=True)
"""


def test_a_killed_writer_loses_nothing_that_was_appended(path: Path) -> None:
    command = [sys.executable, "-c", WRITER, str(path)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as writer:
        assert writer.stdout is not None
        while int(writer.stdout.readline()) < 200:
            pass
        writer.send_signal(signal.SIGKILL)
        n_said = 201 + len(writer.stdout.readlines())
    with Ledger.open(path) as ledger:
        notes = [event for event in ledger.events if isinstance(event, Note)]
    assert len(notes) >= n_said
    assert [int(note.text.split()[0]) for note in notes[:n_said]] == list(range(n_said))


def append_until_refused(path: Path) -> int:
    """Fill the ledger; return how many events were taken before the disk refused."""
    with Ledger.open(path) as ledger:
        ledger.append(EVENTS[0])
        for number in range(10_000):
            try:
                ledger.append(Note("x" * 100))
            except RunFolderError as error:
                assert "free some space" in str(error)
                return number
    raise AssertionError("the disk was never full")


@pytest.fixture
def full_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 64 KiB."""
    folder = tmp_path / "tiny"
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", str(folder)]
    if subprocess.run(mount, capture_output=True, check=False).returncode != 0:
        pytest.skip("mounting a file system needs root")
    yield folder
    subprocess.run(["umount", str(folder)], check=True)


def test_a_full_disk_takes_nothing_away(full_disk: Path) -> None:
    path = full_disk / "trials.jsonl"
    (full_disk / "ballast").write_bytes(b"0" * 20_000)
    n_taken = append_until_refused(path)
    assert n_taken > 100
    assert len(read_ledger(path)) == n_taken + 1
    assert path.read_bytes().endswith(b"\n")
    (full_disk / "ballast").unlink()
    with Ledger.open(path) as ledger:
        ledger.append(Note("space again"))
    assert len(read_ledger(path)) == n_taken + 2


def test_a_quota_in_the_middle_of_a_line_leaves_whole_lines(path: Path) -> None:
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (10_001, before[1]))
    try:
        n_taken = append_until_refused(path)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert len(read_ledger(path)) == n_taken + 1
    assert path.read_bytes().endswith(b"\n")


def test_a_disk_that_fills_up_while_a_tail_is_repaired_leaves_a_torn_tail(path: Path) -> None:
    with Ledger.open(path) as ledger:
        ledger.append(Started("s", "h", 0))
    whole = path.stat().st_size
    with path.open("ab") as file:
        file.write(b'{"event":"told","number":')
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (whole + 60, before[1]))
    try:
        with pytest.raises(RunFolderError, match="full"):
            Ledger.open(path)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    with Ledger.open(path) as ledger:
        ledger.append(Note("space again"))
    assert read_ledger(path)[-1].kind == "note"
