"""The side of this machine: a connection that starts the other side, asks, and starts it again."""

import atexit
import contextlib
import json
import logging
import os
import shlex
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import execnet
from execnet import gateway_bootstrap, gateway_io
from execnet.gateway_base import get_execmodel

from niwaki.core import errors
from niwaki.core.errors import NiwakiError, TargetError, TargetLostError
from niwaki.targets.capabilities import Capabilities
from niwaki.targets.remote import boot
from niwaki.targets.remote.server import BROKEN, DONE, MISSING, REFUSED, SAID
from niwaki.targets.remote.wire import Digest, Packed, digest_of

KNOWN = {"ssh", "popen", "vagrant_ssh", "ssh_config", "python"}
WAYS = ("ssh", "popen", "vagrant_ssh")
# For those who give none of their own: no question that nobody answers, and a dead link is noticed.
SSH_OPTIONS = "-o BatchMode=yes -o ConnectTimeout=20 -o ServerAliveInterval=15"
# What the other side needs, below the package's folder.
SENT = (
    *("__init__.py", "_version.py", "core/**/*.py", "targets/**/*.py"),
    *("compress/__init__.py", "compress/quantization/__init__.py", "compress/quantization/plan.py"),
)
BOOT_SECONDS = 120.0
ENDING_SECONDS = 1.0
ENDED, SILENT, LOST = "its process ended", "it gave no answer", "the link or its process was lost"
# A link that is lost says little of what was asked. But ssh ends alike if the process is killed.
TRIES = {ENDED: 2, SILENT: 2, LOST: 4}
ENDED_BY_SSH = 255
FIRST_TRIES = 3  # servers of ssh turn some away when many come at once
BETWEEN_TRIES_S = 5.0
_log = logging.getLogger(__name__)


_BROKEN_OFF = (EOFError, OSError, execnet.RemoteError)
_FAILURES = (
    *_BROKEN_OFF,
    execnet.HostNotFound,
    AssertionError,  # execnet's, if something else answers than the Python that was asked for
)


@dataclass(frozen=True)
class Identity:
    """What the target over there is.

    Attributes:
        target_id: As the machine itself would say.
        capabilities: What it can do.
    """

    target_id: str
    capabilities: Capabilities


@dataclass
class _Session:
    """One process over there, and what it is known to have."""

    pipes: gateway_io.Popen2IOMaster
    gateway: execnet.Gateway
    channel: execnet.Channel
    held: set[Digest] = field(default_factory=set)
    silent: bool = False

    @classmethod
    def begin(cls, way: execnet.XSpec) -> tuple["_Session", object]:
        """Start what serves there, and return the session with its first word."""
        pipes = gateway_io.create_io(way, get_execmodel("thread"))
        gateway: execnet.Gateway | None = None
        overdue = threading.Timer(BOOT_SECONDS, pipes.kill)  # execnet itself waits for ever
        overdue.daemon = True
        overdue.start()
        try:
            gateway = gateway_bootstrap.bootstrap(pipes, way)
            channel = gateway.remote_exec(boot)
            channel.send(_sent())
            return cls(pipes, gateway, channel), channel.receive()
        except BaseException:
            _end(pipes, gateway)
            raise
        finally:
            overdue.cancel()

    @contextmanager
    def ended_after(self, seconds: float) -> Iterator[None]:
        """End the process if a question takes so long, on its way as well as there."""
        overdue = threading.Timer(seconds, self._fall_silent)
        overdue.daemon = True
        overdue.start()
        try:
            yield
        finally:
            overdue.cancel()

    def end(self) -> None:
        """End the process there."""
        _end(self.pipes, self.gateway)

    def how_it_ended(self) -> str:
        """Return what came in between, once it is over: a key of `TRIES`."""
        if self.silent:
            return SILENT
        return LOST if self.pipes.popen.returncode == ENDED_BY_SSH else ENDED

    def _fall_silent(self) -> None:
        self.silent = True
        self.pipes.kill()


class _UnfitError(TargetLostError):
    """A machine answers, and has not what it needs: waiting is no use."""


class Connection:
    """Asks a process on another machine, which it starts, and starts again when it was lost.

    Use `connection_to`: there is one connection of a kind in each process. Several threads may use
    it, one at a time.

    Args:
        way: As execnet writes it: see `check_way`.
    """

    def __init__(self, way: str) -> None:
        self._way, self._lock = way, threading.Lock()
        self._session: _Session | None = None
        self._worked, self._number = False, 0
        self._identities: dict[str, Identity] = {}
        atexit.register(self._close_in, os.getpid())

    def identity(self, settings: str) -> Identity:
        """Return what the target with these settings is; asked for once.

        Raises:
            TargetError: If it cannot have these settings, or cannot be reached.
        """
        if settings not in self._identities:
            found = json.loads(self.ask("identify", settings))
            self._identities[settings] = Identity(
                found["target_id"], Capabilities.from_json(found["capabilities"])
            )
        return self._identities[settings]

    def ask(
        self,
        method: str,
        settings: str,
        *,
        contents: Sequence[Packed] = (),
        arguments: Mapping[str, object] | None = None,
        patience_s: float = 0.0,
        silence_s: float = 3600.0,
    ) -> Any:
        """Return the answer to a question.

        Args:
            method: What `Server` is asked.
            settings: Of the target.
            contents: Models and inputs that the arguments name by their digests.
            arguments: Plain values.
            patience_s: How long to try again to reach a machine that was reached before, in s.
            silence_s: After how long without an answer the process there is taken for lost, in s.

        Raises:
            TargetLostError: If the machine cannot be reached.
            NiwakiError: What the target raised there, or a `TargetError` if something broke, or the
                process there ended over this question again and again.
        """
        by_digest = {digest_of(content): content for content in contents}
        question = (method, settings, dict(arguments or {}))
        tries = dict(TRIES)
        with self._lock:
            while True:
                session = self._session or self._reached(patience_s)
                try:
                    with session.ended_after(silence_s):
                        return self._exchange(session, question, by_digest)
                except _BROKEN_OFF as error:
                    self._drop()
                    end = session.how_it_ended()
                    tries[end] -= 1
                    if not tries[end]:
                        raise TargetError(
                            f"each time that '{self._way}' was asked to {method} this, {end}: "
                            f"{_said_by(error)}. Perhaps it ran out of memory there, or native "
                            "code crashed"
                        ) from error
                    _log.warning("'%s' was asked to %s, and %s; again", self._way, method, end)

    def close(self) -> None:
        """End the process there; the next question starts another."""
        with self._lock:
            self._drop()

    def _exchange(
        self,
        session: _Session,
        question: tuple[str, str, dict[str, object]],
        contents: Mapping[Digest, Packed],
    ) -> Any:
        wanted = [digest for digest in contents if digest not in session.held]
        while True:
            for digest in wanted:
                session.channel.send(("keep", digest, contents[digest]))
                session.held.add(digest)
            self._number += 1
            session.channel.send((self._number, *question))
            outcome, payload = self._answer_to(self._number, session)
            if outcome == DONE:
                return payload
            if outcome == MISSING:
                session.held.difference_update(payload)
                wanted = payload
                continue
            raise self._error(outcome, payload)

    def _answer_to(self, number: int, session: _Session) -> tuple[str, Any]:
        """Wait for an answer, past those to questions whose asker was interrupted."""
        while True:
            answered, outcome, payload = session.channel.receive()
            if answered == number and outcome != SAID:
                return outcome, payload
            if answered == number:
                _log.warning("on '%s': %s", self._way, payload)

    def _error(self, outcome: str, payload: Any) -> NiwakiError:
        if outcome == REFUSED:
            name, text = payload
            kind: type[NiwakiError] = getattr(errors, name, TargetError)
            return kind(f"on '{self._way}': {text}")
        assert outcome == BROKEN
        return TargetError(f"something broke on '{self._way}':\n{payload}")

    def _reached(self, patience_s: float) -> _Session:
        """Start a process there; of a machine that was reached before, wait until it is back.

        Raises:
            TargetLostError: If it cannot be reached.
        """
        give_up_at = time.monotonic() + (patience_s if self._worked else 0.0)
        tries, told = 0, False
        while True:
            tries += 1
            try:
                self._session = self._opened()
            except _UnfitError:
                raise
            except TargetLostError as error:
                if time.monotonic() > give_up_at and (self._worked or tries >= FIRST_TRIES):
                    raise
                if self._worked and not told:
                    told = True
                    _log.warning("%s. Waiting for it, for up to %g s", error, patience_s)
                time.sleep(BETWEEN_TRIES_S if self._worked else tries)
                continue
            if told:
                _log.warning("'%s' is back", self._way)
            self._worked = True
            return self._session

    def _opened(self) -> _Session:
        try:
            session, said = _Session.begin(_completed(self._way))
        except _FAILURES as error:
            raise TargetLostError(
                f"'{self._way}' cannot be reached ({_said_by(error)}): {_remedy(self._way)}"
            ) from error
        if said != boot.READY:
            session.end()
            raise _UnfitError(f"'{self._way}' cannot serve as a target: {said}")
        return session

    def _drop(self) -> None:
        session, self._session = self._session, None
        if session is not None:
            session.end()

    def _close_in(self, process: int) -> None:
        """Close at the end of a process, unless it is a copy of the one that this belongs to."""
        if os.getpid() == process:
            self.close()


def _end(pipes: gateway_io.Popen2IOMaster, gateway: execnet.Gateway | None) -> None:
    """End a process: politely, by an end of its input, and then not."""
    with contextlib.suppress(OSError):  # it has ended, with input on its way
        pipes.close_write()
    try:
        pipes.popen.wait(ENDING_SECONDS)
    except subprocess.TimeoutExpired:
        pipes.kill()
        pipes.wait()
    if gateway is not None:
        gateway.join(ENDING_SECONDS)
        if gateway.hasreceiver():  # a child of the process holds the pipe, and may go on to
            return
    pipes.close_read()


_connections: dict[tuple[int, str], Connection] = {}
_connecting = threading.Lock()


def connection_to(way: str) -> Connection:
    """Return this process's connection; a forked process has its own."""
    key = os.getpid(), way
    with _connecting:
        if key not in _connections:
            _connections[key] = Connection(way)
        return _connections[key]


def check_way(way: str) -> None:
    """Check how a machine is to be reached, without reaching for it.

    Args:
        way: In execnet's notation, parts divided by `//`: `ssh=pi@raspi4//python=python3.11`, where
            `ssh` is what the command of that name takes, or `popen//python=docker exec -i board
            python3`, for any command that runs a Python elsewhere.

    Raises:
        TargetError: If it cannot be read.
    """
    parts = [part.partition("=")[0].partition(":")[0] for part in way.split("//")]
    remedy = "write ssh=user@host, or popen//python=command that runs Python there"
    if sum(part in WAYS for part in parts) != 1:
        raise TargetError(f"'{way}' does not say how to reach the target: {remedy}")
    if unknown := [part for part in parts if part not in KNOWN]:
        raise TargetError(
            f"'{way}' has '{unknown[0]}', which is none of {', '.join(sorted(KNOWN))}: {remedy}"
        )
    try:
        execnet.XSpec(way)
    except (ValueError, AttributeError, IndexError) as error:
        raise TargetError(f"'{way}' cannot be read ({error}): {remedy}") from error


def _completed(way: str) -> execnet.XSpec:
    """Return the way with what goes without saying."""
    found = execnet.XSpec(f"{way}//id=target//execmodel=thread")
    if found.ssh is not None:
        *options, host = found.ssh.split()
        found.ssh = " ".join([*options, SSH_OPTIONS, host])  # of two options, ssh takes the first
        found.python = found.python or "python3"
    return found


def _remedy(way: str) -> str:
    found = execnet.XSpec(way)
    config = f"-F {found.ssh_config} " if found.ssh_config else ""
    if found.ssh is not None:
        command = f"ssh {config}{found.ssh} {found.python or 'python3'} --version"
    elif found.vagrant_ssh is not None:
        command = f"vagrant ssh {found.vagrant_ssh} -- {found.python or 'python'} --version"
    else:
        command = f"{found.python or sys.executable} --version"
    return f"check that `{command}` works without a question, and prints nothing else"


def _said_by(error: BaseException) -> str:
    match error:
        case execnet.HostNotFound():
            return "ssh finds no host, or is not let in"
        case AssertionError():
            return "what answers is not Python"
        case FileNotFoundError():
            return f"there is no command '{shlex.quote(str(error.filename))}'"
        case EOFError() | OSError():
            return "the process there ended"
    return " ".join(str(error).split())


def _sent() -> dict[str, tuple[bool, str]]:
    """Return the modules that the other side needs, by name: whether a package, and the text."""
    root = Path(boot.__file__).parents[2]  # niwaki's own folder
    files = [file for pattern in SENT for file in sorted(root.glob(pattern))]
    modules = {}
    for file in files:
        parts = [root.name, *file.relative_to(root).with_suffix("").parts]
        is_package = parts[-1] == "__init__"
        name = ".".join(parts[:-1] if is_package else parts)
        modules[name] = (is_package, file.read_text(encoding="utf-8"))
    return modules
