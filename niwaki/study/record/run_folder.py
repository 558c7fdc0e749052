"""A run folder: the names of everything in it, and the right to write to it."""

import json
import shutil
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from niwaki.core.errors import LedgerError, RunFolderError
from niwaki.core.files import DAMAGE, cannot_read, cannot_write, write_text_atomically
from niwaki.core.jsonable import JSON, fingerprint
from niwaki.study.record.environment import changed_fields
from niwaki.study.record.events import Note, Started, utc_now
from niwaki.study.record.ledger import decode_line, read_ledger
from niwaki.study.record.run_lock import RunLock

RESTORED = (
    "the command that the search began with, with the same settings, writes it anew; with others, "
    "give the run another name"
)


@dataclass(frozen=True)
class RunFolder:
    """Where one study keeps everything.

    Attributes:
        path: The folder, usually `runs/<name>`.
    """

    path: Path

    @property
    def config(self) -> Path:
        """The resolved configuration, YAML."""
        return self.path / "config.yaml"

    @property
    def environment(self) -> Path:
        """What it ran on, one entry per change, JSON."""
        return self.path / "environment.json"

    @property
    def space(self) -> Path:
        """The space if it is one of choices, JSON."""
        return self.path / "space.json"

    @property
    def trials(self) -> Path:
        """The ledger, JSON lines."""
        return self.path / "trials.jsonl"

    @property
    def lock(self) -> Path:
        """Held by the one writer."""
        return self.path / "lock"

    @property
    def artifacts(self) -> Path:
        """Files of single candidates, a folder each; and what evaluators prepare."""
        return self.path / "artifacts"

    @property
    def original(self) -> Path:
        """Fingerprint of the model that a compression began with, JSON."""
        return self.artifacts / "original.json"

    @property
    def _begun_with(self) -> tuple[Path, ...]:
        """What a session notes of its model, its data and its target before it prepares anything.

        Later ones are held against it.
        """
        return (self.original, self.artifacts / "data.json", self.artifacts / "target.json")

    @property
    def earlier(self) -> Path:
        """Copies of the runs that the study learns from, in the order in which it names them."""
        return self.path / "earlier"

    @property
    def logs(self) -> Path:
        """What workers print."""
        return self.path / "logs"

    @property
    def chosen(self) -> Path:
        """Which model a compression chose, and why."""
        return self.path / "chosen.json"

    @property
    def pareto_json(self) -> Path:
        """The front, for programs."""
        return self.path / "pareto.json"

    @property
    def pareto_csv(self) -> Path:
        """The front, for spreadsheets."""
        return self.path / "pareto.csv"

    def report(self, *, goal: str = "") -> Path:
        """Return the front, for people: one offline HTML page, or that of one goal alone."""
        return self.path / (f"report-{goal}.html" if goal else "report.html")

    def artifact(self, key: str, *, goal: str = "") -> Path:
        """Return the folder of the candidate with this key, for a goal if there are any.

        It may not exist yet.
        """
        return self.artifacts / (f"{goal}-{key}" if goal else key)

    def claim(self, config: Mapping[str, JSON], *, free: Sequence[str] = ()) -> RunLock:
        """Create the folder, or take over one of the same study, and become its only writer.

        Args:
            config: The resolved configuration; it is stored, and compared on the next claim.
            free: Dotted keys that do not change any single result and may differ from the last
                claim, such as `budget` or `executor.n_workers`. A key frees everything below it.

        Where nothing was prepared or measured yet, as after a mistake in the configuration, another
        one takes the folder over. A stored one that was damaged, edited or lost is written anew if
        the ledger says that the study began with `config`.

        Returns:
            The held lock: release it, or use it in a `with` statement.

        Raises:
            RunFolderError: If another process holds the folder, if it belongs to a study with
                another configuration, if it is none but holds other files, if it has results but
                not the ledger that they were made from, or if it cannot be written.
        """
        self.require_run_or_nothing()
        try:
            self.artifacts.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise cannot_write(self.path, error) from error
        lock = RunLock(self.lock).acquire()
        try:
            plain = _plain(config)
            self.require_its_ledger()
            self._check_same_study(plain, free)
            text = yaml.dump(plain, Dumper=_Dumper, sort_keys=False, allow_unicode=True)
            write_text_atomically(self.config, text)
        except OSError as error:
            lock.release()
            raise cannot_write(self.path, error) from error
        except BaseException:
            lock.release()
            raise
        return lock

    def read_config(self) -> Mapping[str, JSON]:
        """Return the stored configuration.

        Raises:
            RunFolderError: If there is none, or it cannot be read.
        """
        try:
            config = yaml.safe_load(self.config_text())
        except (yaml.YAMLError, *DAMAGE) as error:
            raise self._unreadable(error) from error
        if not isinstance(config, Mapping):
            raise RunFolderError(f"'{self.config}' holds no settings: {RESTORED}")
        return config

    def config_text(self) -> str:
        """Return the stored configuration as it is written.

        Raises:
            RunFolderError: If there is none, or it cannot be read.
        """
        try:
            return self.config.read_text(encoding="utf-8")
        except FileNotFoundError as error:
            raise RunFolderError(
                f"there is no run at '{self.path}': it has no {self.config.name}. "
                "Give the folder of a run that was started"
            ) from error
        except (OSError, UnicodeDecodeError) as error:
            raise self._unreadable(error) from error

    def _unreadable(self, error: Exception) -> RunFolderError:
        return RunFolderError(
            f"'{self.config}' cannot be read ({' '.join(str(error).split())}): {RESTORED}"
        )

    def record_environment(self, environment: Mapping[str, JSON]) -> list[str]:
        """Store the environment of this session, if it differs from that of the last.

        Returns:
            Dotted names of what changed since the last session; empty in the first.
        """
        sessions = self.sessions()
        before = sessions[-1]["environment"] if sessions else None
        changed = changed_fields(before, environment) if sessions else []
        if changed or not sessions:
            sessions.append({"at": utc_now(), "environment": environment})
            text = json.dumps({"sessions": sessions}, indent=2) + "\n"
            write_text_atomically(self.environment, text)
        return changed

    def sessions(self) -> list[dict[str, Any]]:
        """Return what `record_environment` stored, of one session after another.

        Raises:
            RunFolderError: If it is damaged.
        """
        if not self.environment.exists():
            return []
        try:
            sessions = json.loads(self.environment.read_text(encoding="utf-8"))["sessions"]
            return [
                {"at": each["at"], "environment": dict(each["environment"])} for each in sessions
            ]
        except (OSError, *DAMAGE) as error:
            raise RunFolderError(
                f"'{self.environment}' cannot be read ({error!r}): delete it, no result depends on "
                "it; the next session writes it anew"
            ) from error

    def require_run_or_nothing(self) -> None:
        """Check that the folder can be looked into, and is none of something else.

        Raises:
            RunFolderError: If it cannot be looked into, or is no run and holds other files.
        """
        try:
            # A session may have died before `config.yaml`.
            if self._is_run() or not self.path.is_dir():
                return
            names = sorted(each.name for each in self.path.iterdir())
        except OSError as error:
            raise cannot_read(self.path, error) from error
        own = {self.artifacts.name, self.logs.name, self.lock.name}
        others = [name for name in names if name not in own and not name.startswith(".")]
        if others:
            raise RunFolderError(
                f"'{self.path}' is no run, and holds other files, such as {others[0]}: give the "
                "run another name, or another folder of runs (--runs)"
            )

    def _is_run(self) -> bool:
        """Whether this is surely a run: anybody may have a `config.yaml` of their own."""
        # Both are made before anything else is, and stay.
        return self._has_begun() or (self.lock.is_file() and self.artifacts.is_dir())

    def _has_begun(self) -> bool:
        """Whether the ledger has its first line."""
        return self._started() is not None

    def _started(self) -> Started | None:
        """Return the first line of the ledger; None if there is none, or it is damaged."""
        try:
            with self.trials.open("rb") as file:
                event = decode_line(file.readline())
        except (OSError, ValueError, KeyError, TypeError):
            return None
        return event if isinstance(event, Started) else None

    def require_its_ledger(self) -> None:
        """Check that what a search found was not parted from its ledger.

        Raises:
            RunFolderError: If it was: a search would write over it.
        """
        if self.pareto_json.exists() and not (self.trials.exists() and self.trials.stat().st_size):
            raise RunFolderError(
                f"'{self.path}' has results ({self.pareto_json.name}) but no trials in "
                f"{self.trials.name}, which they were made from: restore it from a copy, give the "
                "run another name, or delete the folder to begin anew"
            )

    def _check_same_study(self, config: Mapping[str, JSON], free: Sequence[str]) -> None:
        started = self._started()
        if started and started.config_hash == config_hash(config, free=free):
            return  # whatever became of the stored one
        if not self.config.exists():
            if self.trials.exists():
                raise RunFolderError(
                    f"'{self.path}' has trials but no {self.config.name}: {RESTORED}"
                )
            return
        stored = self.read_config()
        before, now = (given(without(each, free)) for each in (stored, config))
        changed = changed_fields(before, now)
        if changed and self._holds_nothing():
            if self._has_begun():  # else no session came as far as to keep earlier runs
                shutil.rmtree(self.earlier, ignore_errors=True)
            for path in (self.trials, *self._begun_with):
                path.unlink(missing_ok=True)
        elif changed:
            differences = _differences(stored, config, changed)
            raise RunFolderError(
                f"'{self.path}' holds a run with other settings: {differences}. "
                "Give this run another name, restore the settings, or delete the folder"
            )

    def _holds_nothing(self) -> bool:
        """Whether no session came as far as to prepare or measure anything."""
        if set(self.artifacts.iterdir()) - set(self._begun_with):
            return False
        try:
            events = read_ledger(self.trials) if self.trials.exists() else []
        except LedgerError:
            return False  # nobody knows what it held
        return all(isinstance(event, Started | Note) for event in events)


class _Dumper(yaml.SafeDumper):
    """Quotes all text that may be taken for a number, such as 1e5: PyYAML takes it for text."""

    def represent_str(self, data: str) -> yaml.ScalarNode:
        node = super().represent_str(data)
        with suppress(ValueError):
            float(data)
            node.style = "'"
        return node


_Dumper.add_representer(str, _Dumper.represent_str)


def config_hash(config: Mapping[str, JSON], *, free: Sequence[str] = ()) -> str:
    """Return the fingerprint of everything in `config` that changes results.

    Args:
        config: The resolved configuration.
        free: Dotted keys to leave out, as in `RunFolder.claim`.
    """
    return fingerprint(without(config, free))


def without(config: Mapping[str, JSON], free: Sequence[str]) -> dict[str, JSON]:
    """Return `config` without the dotted keys in `free` and all that is below them."""
    kept: dict[str, JSON] = {}
    for key, value in config.items():
        if key in free:
            continue
        below = [path.removeprefix(f"{key}.") for path in free if path.startswith(f"{key}.")]
        kept[key] = without(value, below) if below and isinstance(value, Mapping) else value
    return kept


def given(config: Mapping[str, JSON]) -> dict[str, JSON]:
    """Return the settings that hold something: a run of old lacks those that came later."""
    return {name: _held(value) for name, value in config.items() if value is not None}


def _held(value: JSON) -> JSON:
    if isinstance(value, Mapping):
        return given(value)
    return [_held(item) for item in value] if isinstance(value, list) else value


def _plain(config: Mapping[str, JSON]) -> dict[str, JSON]:
    """Return what reading the stored file gives back: tuples and enums become lists and text."""
    plain: dict[str, JSON] = json.loads(json.dumps(config))
    return plain


def _differences(stored: JSON, given: JSON, paths: Sequence[str], *, n_shown: int = 5) -> str:
    shown = [f"{path} was {_at(stored, path)} and is now {_at(given, path)}" for path in paths]
    more = f"; and {len(paths) - n_shown} more" if len(paths) > n_shown else ""
    return "; ".join(shown[:n_shown]) + more


def _at(value: JSON, path: str) -> str:
    for key in path.split("."):
        if not isinstance(value, Mapping) or key not in value:
            return "absent"
        value = value[key]
    return json.dumps(value)
