"""One process on another machine: started, spoken to, and ended."""

import contextlib
import os
import signal
import subprocess
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import execnet
from execnet import gateway_bootstrap, gateway_io
from execnet.gateway_base import Popen2IO, get_execmodel

from niwaki.targets.remote import boot
from niwaki.targets.remote.wire import Digest

# What the other side needs, below the package's folder.
SENT = (
    *("__init__.py", "_version.py", "core/**/*.py", "targets/**/*.py"),
    *("compress/__init__.py", "compress/quantization/__init__.py", "compress/quantization/plan.py"),
)
BOOT_SECONDS = 120.0
ENDING_SECONDS = 1.0
ENDED_BY_SSH = 255  # by itself, or because the process there was killed: it does not tell

ENDED, SILENT, LOST = "its process ended", "it gave no answer", "the link or its process was lost"


class Pipes(Popen2IO):
    """The command that leads to the other machine, and the pipes to and from it.

    It has a session of its own: what it has started ends with it, and Ctrl-C is not for it.

    Args:
        way: From `way.completed`.

    Raises:
        OSError: If there is no such command.
    """

    remoteaddress: str  # looked for by execnet, where ssh is the command

    def __init__(self, way: execnet.XSpec) -> None:
        if way.ssh is not None:
            arguments, self.remoteaddress = gateway_io.ssh_args(way), way.ssh
        elif way.vagrant_ssh is not None:
            arguments, self.remoteaddress = gateway_io.vagrant_ssh_args(way), way.vagrant_ssh
        else:
            arguments = gateway_io.popen_args(way)
        self.popen = subprocess.Popen(
            arguments, stdin=subprocess.PIPE, stdout=subprocess.PIPE, start_new_session=True
        )
        super().__init__(self.popen.stdin, self.popen.stdout, get_execmodel("thread"))

    def wait(self) -> int:
        """Wait until the command has ended, and return how."""
        return self.popen.wait()

    def kill(self) -> None:
        """End the command, and what it has started."""
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.popen.pid, signal.SIGKILL)

    def end(self, gateway: execnet.Gateway | None, *, at_once: bool = False) -> None:
        """End the command: by an end of its input, unless it has to be at once or does not help."""
        if not at_once:
            with contextlib.suppress(OSError):  # it has ended, with input on its way
                self.close_write()
            with contextlib.suppress(subprocess.TimeoutExpired):
                self.popen.wait(ENDING_SECONDS)
        self.kill()
        self.wait()
        if gateway is not None:
            gateway.join(ENDING_SECONDS)
            if gateway.hasreceiver():  # something beyond the session holds the pipe, and goes on
                return
        with contextlib.suppress(OSError):
            self.close_write()
        self.close_read()


@dataclass
class Session:
    """One process over there, and what it is known to have.

    Attributes:
        pipes: To it.
        gateway: On them.
        channel: To what serves there.
        held: Contents that it was sent, and may have forgotten.
        silent: Whether it was ended because a question took too long.
    """

    pipes: Pipes
    gateway: execnet.Gateway
    channel: execnet.Channel
    held: set[Digest] = field(default_factory=set)
    silent: bool = False

    @classmethod
    def begin(cls, way: execnet.XSpec) -> tuple["Session", object]:
        """Start what serves there, and return the session with its first word.

        Raises:
            execnet.HostNotFound: If ssh ends by itself.
            AssertionError: If what answers is no Python.
            EOFError: If it ends, or takes longer than `BOOT_SECONDS`.
            OSError: If it cannot be started, or ends.
            execnet.RemoteError: If something breaks there.
        """
        pipes = Pipes(way)
        gateway: execnet.Gateway | None = None
        try:
            with _ending(pipes.kill, BOOT_SECONDS):  # execnet itself waits for ever
                gateway = gateway_bootstrap.bootstrap(pipes, way)
                channel = gateway.remote_exec(boot)
                channel.send(sent())
                return cls(pipes, gateway, channel), channel.receive()
        except BaseException:
            pipes.end(gateway, at_once=True)
            raise

    @contextmanager
    def ended_after(self, seconds: float) -> Iterator[None]:
        """End the process if a question takes so long, on its way as well as there."""
        with _ending(self._fall_silent, seconds):
            yield

    def end(self, *, at_once: bool = False) -> None:
        """End the process there.

        Args:
            at_once: Whether something may be on its way that was cut off.
        """
        self.pipes.end(self.gateway, at_once=at_once)

    @property
    def how_it_ended(self) -> str:
        """What came in between, once it is over: `ENDED`, `SILENT` or `LOST`."""
        if self.silent:
            return SILENT
        return LOST if self.pipes.popen.returncode == ENDED_BY_SSH else ENDED

    def _fall_silent(self) -> None:
        self.silent = True
        self.pipes.kill()


@contextmanager
def _ending(end: Callable[[], None], seconds: float) -> Iterator[None]:
    overdue = threading.Timer(seconds, end)
    overdue.daemon = True
    overdue.start()
    try:
        yield
    finally:
        overdue.cancel()


def sent() -> dict[str, tuple[bool, str]]:
    """Return the modules that the other side needs, by name: whether a package, and the text."""
    root = Path(boot.__file__).parents[2]  # niwaki's own folder
    modules = {}
    for file in (file for pattern in SENT for file in sorted(root.glob(pattern))):
        parts = [root.name, *file.relative_to(root).with_suffix("").parts]
        is_package = parts[-1] == "__init__"
        name = ".".join(parts[:-1] if is_package else parts)
        modules[name] = (is_package, file.read_text(encoding="utf-8"))
    return modules
