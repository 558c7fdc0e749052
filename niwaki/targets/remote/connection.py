"""The side of this machine: asks a process on another one, and starts it again when it was lost."""

import atexit
import json
import logging
import os
import shlex
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, TypeAlias

import execnet

from niwaki.core import errors
from niwaki.core.errors import NiwakiError, TargetError, TargetLostError
from niwaki.targets.capabilities import Capabilities
from niwaki.targets.remote import boot
from niwaki.targets.remote.server import BROKEN, DONE, MISSING, REFUSED, SAID
from niwaki.targets.remote.session import ENDED, ENDING_SECONDS, LOST, SILENT, Session
from niwaki.targets.remote.way import completed, remedy
from niwaki.targets.remote.wire import Digest, Packed

# How often the same question is asked. A link that is lost says little of what was asked, unless it
# is lost again and again.
TRIES = {ENDED: 2, SILENT: 2, LOST: 4}
FIRST_TRIES = 3  # servers of ssh turn some away when many come at once
BETWEEN_TRIES_S = 5.0
MOST_ROUNDS = 3  # in which contents are asked for that were sent and forgotten
_BROKEN_OFF = (EOFError, OSError, execnet.RemoteError)
_FAILURES = (
    *_BROKEN_OFF,
    execnet.HostNotFound,
    AssertionError,  # execnet's, if something else answers than the Python that was asked for
)
NOTHING: Mapping[Digest, Packed] = MappingProxyType({})
_Question: TypeAlias = tuple[str, str, dict[str, object]]  # method, settings, arguments
_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Identity:
    """What the target over there is.

    Attributes:
        target_id: As the machine itself would say.
        capabilities: What it can do.
    """

    target_id: str
    capabilities: Capabilities


@dataclass(frozen=True)
class Patience:
    """How long to wait for another machine.

    Attributes:
        return_s: Until one that was reached before is back, in s; 0 for one that never was.
        answer_s: For an answer, after which its process is taken for lost, in s.
    """

    return_s: float
    answer_s: float


class _UnfitError(TargetLostError):
    """A machine answers, and is not what is needed: waiting is no use."""


class _GarbledError(EOFError):
    """What came is no answer of ours."""


class Connection:
    """Asks a process on another machine, which it starts, and starts again when it was lost.

    Use `connection_to`: there is one connection of a kind in each process. Several threads may use
    it, one at a time.

    Args:
        way: As execnet writes it: see `way.check_way`.
    """

    def __init__(self, way: str) -> None:
        self._way, self._lock = way, threading.Lock()
        self._session: Session | None = None
        self._number = 0
        self._identities: dict[str, Identity] = {}
        atexit.register(self._close_in, os.getpid())

    @property
    def was_reached(self) -> bool:
        """Whether it was, from this process."""
        return bool(self._identities)

    def identity(self, settings: str, *, patience: Patience) -> Identity:
        """Return what the target with these settings is; asked for once.

        Raises:
            TargetError: If it cannot have these settings, or cannot be reached.
        """
        if settings not in self._identities:
            self._identities[settings] = _identity(
                self.ask("identify", settings, patience=patience)
            )
        return self._identities[settings]

    def ask(
        self,
        method: str,
        settings: str,
        *,
        patience: Patience,
        contents: Mapping[Digest, Packed] = NOTHING,
        arguments: Mapping[str, object] | None = None,
    ) -> Any:
        """Return the answer to a question.

        Args:
            method: What `Server` is asked.
            settings: Of the target.
            patience: How long to wait.
            contents: Models and inputs that the arguments name by their digests, by these.
            arguments: Plain values.

        Raises:
            TargetLostError: If the machine cannot be reached, or is another one by now.
            NiwakiError: What the target raised there, or a `TargetError` if something broke, or the
                process there ended over this question again and again.
        """
        question = (method, settings, dict(arguments or {}))
        tries = dict(TRIES)
        with self._lock:
            while True:
                session = self._session or self._reached(patience)
                try:
                    with session.ended_after(patience.answer_s):
                        return self._exchange(session, question, contents)
                except _BROKEN_OFF as error:
                    self._drop()
                    end = session.how_it_ended
                    tries[end] -= 1
                    if not tries[end]:
                        raise TargetError(
                            f"each time that the target's machine was asked to {method} this, "
                            f"{end}: {_said_by(error)}. Perhaps it ran out of memory there, or "
                            "native code crashed"
                        ) from error
                    _log.warning("'%s' was asked to %s, and %s; again", self._way, method, end)
                except NiwakiError:
                    raise
                except BaseException:  # such as Ctrl-C, with half of a message on its way
                    self._drop(at_once=True)
                    raise

    def close(self) -> None:
        """End the process there; the next question starts another."""
        with self._lock:
            self._drop()

    def _exchange(
        self, session: Session, question: _Question, contents: Mapping[Digest, Packed]
    ) -> Any:
        wanted = [digest for digest in contents if digest not in session.held]
        for _ in range(MOST_ROUNDS):
            for digest in wanted:
                session.channel.send(("keep", digest, contents[digest]))
                session.held.add(digest)
            self._number += 1
            session.channel.send((self._number, *question))
            outcome, payload = self._answer_to(self._number, session)
            if outcome == DONE:
                return payload
            if outcome != MISSING or not isinstance(payload, list):
                raise _error(outcome, payload)
            wanted = [digest for digest in contents if digest in payload]
            session.held.difference_update(wanted)
        raise _GarbledError("it asks for what it was sent, again and again")

    def _answer_to(self, number: int, session: Session) -> tuple[str, Any]:
        """Wait for an answer, past those to questions whose asker was interrupted."""
        while True:
            match session.channel.receive():
                case (int(answered), str(outcome), payload):
                    pass
                case _:
                    raise _GarbledError("what came is no answer")
            if answered != number:
                continue
            if outcome != SAID:
                return outcome, payload
            _log.warning("on '%s': %s", self._way, payload)

    def _reached(self, patience: Patience) -> Session:
        """Start a process there; of a machine that was reached before, wait until it is back.

        Raises:
            TargetLostError: If it cannot be reached, or is another one by now.
        """
        waits = patience.return_s > 0
        give_up_at = time.monotonic() + patience.return_s
        tries, told = 0, False
        while True:
            tries += 1
            try:
                self._session = self._opened(patience)
            except _UnfitError:
                raise
            except TargetLostError as error:
                if time.monotonic() > give_up_at and (waits or tries >= FIRST_TRIES):
                    raise
                if waits and not told:
                    told = True
                    _log.warning("%s. Waiting for it, for up to %g s", error, patience.return_s)
                time.sleep(BETWEEN_TRIES_S if waits else tries)
                continue
            if told:
                _log.warning("'%s' is back", self._way)
            return self._session

    def _opened(self, patience: Patience) -> Session:
        """Start a process there, which has to be what it was before."""
        try:
            session, said = Session.begin(completed(self._way))
        except _FAILURES as error:
            raise self._lost(error) from error
        try:
            if said != boot.READY:
                raise _UnfitError(f"'{self._way}' cannot serve as a target: {said}")
            for settings, known in list(self._identities.items()):  # others may ask meanwhile
                with session.ended_after(patience.answer_s):
                    answer = self._exchange(session, ("identify", settings, {}), NOTHING)
                require_same(self._way, known.target_id, _identity(answer).target_id)
        except BaseException as error:
            session.end(at_once=True)
            if isinstance(error, _BROKEN_OFF):
                raise self._lost(error) from error
            if isinstance(error, NiwakiError) and not isinstance(error, TargetLostError):
                raise _UnfitError(f"'{self._way}' is not what it was: {error}") from error
            raise
        return session

    def _lost(self, error: BaseException) -> TargetLostError:
        return TargetLostError(
            f"'{self._way}' cannot be reached ({_said_by(error)}): {remedy(self._way)}"
        )

    def _drop(self, *, at_once: bool = False) -> None:
        session, self._session = self._session, None
        if session is not None:
            session.end(at_once=at_once)

    def _close_in(self, process: int) -> None:
        """Close at the end of a process, unless it is a copy of the one that this belongs to.

        A thread that is left behind may be waiting for an answer: it gets none.
        """
        if os.getpid() != process:
            return
        is_free = self._lock.acquire(timeout=ENDING_SECONDS)
        try:
            self._drop(at_once=not is_free)
        finally:
            if is_free:
                self._lock.release()


_connections: dict[tuple[int, str], Connection] = {}
_connecting = threading.Lock()


def connection_to(way: str) -> Connection:
    """Return this process's connection; a forked process has its own."""
    key = os.getpid(), way
    with _connecting:
        if key not in _connections:
            _connections[key] = Connection(way)
        return _connections[key]


def require_same(way: str, before: str, now: str) -> None:
    """Check that a machine is the one that it was.

    Raises:
        TargetLostError: If it is another one.
    """
    if before != now:
        raise _UnfitError(
            f"'{way}' was '{before}' before, and is '{now}' now: latencies do not compare. Bring "
            "back the machine, versions and settings that this began with, or start a run with "
            "another name"
        )


def _identity(answer: object) -> Identity:
    found = json.loads(str(answer))
    return Identity(found["target_id"], Capabilities.from_json(found["capabilities"]))


def _error(outcome: str, payload: Any) -> NiwakiError:
    match outcome, payload:
        case str(how), (str(name), str(text)) if how == REFUSED:
            ours = {name for name, kind in vars(errors).items() if _is_ours(kind)}
            kind: type[NiwakiError] = getattr(errors, name) if name in ours else TargetError
            return kind(f"on the target's machine: {text}")
        case str(how), str(text) if how == BROKEN:
            return TargetError(f"something broke on the target's machine:\n{text}")
    raise _GarbledError("what came is no answer")


def _is_ours(kind: object) -> bool:
    return isinstance(kind, type) and issubclass(kind, NiwakiError)


def _said_by(error: BaseException) -> str:
    match error:
        case execnet.HostNotFound():
            return "ssh finds no host, or is not let in"
        case AssertionError():
            return "what answers is not Python"
        case FileNotFoundError():
            return f"there is no command {shlex.quote(str(error.filename))}"
        case _GarbledError() | execnet.RemoteError():
            return " ".join(str(error).split())
    return "the process there ended"
