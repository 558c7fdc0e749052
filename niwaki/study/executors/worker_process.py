"""One worker process as the driver sees it."""

import contextlib
import multiprocessing
import os
import signal
import sys
import threading
from collections.abc import Iterator, Mapping
from multiprocessing import connection
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess
from types import ModuleType
from typing import Any

from niwaki.study.executors.pool import Queued, Worker
from niwaki.study.executors.worker_main import Message, Order, WorkerSettings, run_worker
from niwaki.study.record.environment import THREAD_COUNTS

# Between a worker's pipe closing and its exit code there is only the kernel's clean-up.
EXIT_PATIENCE_S = 2.0
_MAIN = threading.Lock()  # held by the one thread that may hide the main script


class WorkerProcess(Worker):
    """A spawned process, the pipe to it, and the job it is running.

    Attributes:
        began: Whether it has said that it evaluates its job.
        connection: Becomes readable when the process says something or closes it.
        sentinel: File descriptor that becomes readable when the process ends.
    """

    def __init__(self, settings: WorkerSettings, *, with_main: bool) -> None:
        """Start the process; it says `Hello` when it is up.

        Args:
            settings: What it is called, and what it runs with.
            with_main: Whether it imports the main script, as processes of multiprocessing do: all
                of it, down to the start of a study where no `if __name__ == "__main__":` is before.
        """
        super().__init__(settings.name, settings.log)
        self.began = False
        context = multiprocessing.get_context("spawn")
        self.connection: Connection[Any, Any]
        self.connection, theirs = context.Pipe()
        # Not daemonic: a daemonic process may not start children, and data loaders do.
        self._process = context.Process(
            target=run_worker, args=(theirs, settings), name=f"niwaki {settings.name}"
        )
        threads = dict.fromkeys(THREAD_COUNTS, str(settings.n_threads))
        # Both are inherited at birth: numeric libraries read the variables when they are imported,
        # and a Ctrl-C while the child is starting is not meant for it.
        variables = {**threads, **settings.environment}
        with _environment(variables), _interrupts_held_back(), _main_script(shown=with_main):
            self._process.start()
        theirs.close()
        self.sentinel = _open_sentinel(self._process)
        self._gone = False
        self._exit_code: int | None = None

    def load(self, evaluator: bytes) -> None:
        """Send the packed evaluator; the answer is `Ready` or `Refused`.

        Raises:
            OSError: If the process is gone.
        """
        self.connection.send_bytes(evaluator)

    def give(self, queued: Queued) -> None:
        """Send a job; the answers are `Began` and `Done`.

        A process can be dead a moment before its pipe is: only `Began` says that somebody reads.

        Raises:
            OSError: If the process is gone; it then has no job.
        """
        self.connection.send(Order.of(queued.job))
        self.began = False
        self.take(queued)

    def has_begun(self) -> bool:
        return self.began

    def messages(self) -> Iterator[Message]:
        """Yield what has come, without waiting.

        Raises:
            EOFError, OSError: If the process is gone and everything it said has been read.
        """
        while self.connection.poll():
            message: Message = self.connection.recv()
            yield message

    def cause_of_death(self) -> str:
        """Kill what is left of a process that closed its pipe or ended; returns why it did."""
        ended = bool(connection.wait([self.sentinel], EXIT_PATIENCE_S))
        self.kill()  # changes nothing about how a process that has ended did so
        known = ended and self._exit_code is not None
        return describe_exit(self._exit_code or 0) if known else "it closed its pipe"

    def kill_group(self) -> None:
        """Kill the process and its children; it stays there to be asked for its exit code."""
        if self._gone:  # its number may be somebody else's by now
            return
        with contextlib.suppress(ProcessLookupError, PermissionError):
            assert self._process.pid is not None
            os.killpg(self._process.pid, signal.SIGKILL)
        self._process.kill()  # it may not have founded its group yet

    def kill(self) -> None:
        """End the process and its children now. Calling it again does nothing."""
        if self._gone:
            return
        self.kill_group()
        self._process.join()
        self._gone = True
        self._exit_code = self._process.exitcode
        if self.sentinel != self._process.sentinel:
            os.close(self.sentinel)
        self._process.close()
        self.connection.close()

    def dismiss(self) -> None:
        """Ask an idle process to end, by closing its pipe."""
        self.connection.close()

    def leave(self, patience_s: float) -> None:
        """Wait for a dismissed process, and kill what is left of it."""
        connection.wait([self.sentinel], patience_s)
        self.kill()


def _open_sentinel(process: BaseProcess) -> int:
    """Return a descriptor of the process itself, where the system has such.

    The sentinel of multiprocessing is a pipe, which children forked from the process keep open.
    """
    assert process.pid is not None
    if sys.platform == "linux":
        with contextlib.suppress(OSError):  # before Linux 5.3, or forbidden
            return os.pidfd_open(process.pid)
    return process.sentinel


@contextlib.contextmanager
def _environment(variables: Mapping[str, str]) -> Iterator[None]:
    """Set environment variables for a moment: a spawned process takes them over."""
    before = {name: os.environ.get(name) for name in variables}
    os.environ.update(variables)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value


@contextlib.contextmanager
def _main_script(*, shown: bool) -> Iterator[None]:
    """Hide the main script for a moment, if it is not shown: a process started now imports none."""
    with _MAIN:
        main = sys.modules["__main__"]
        if not shown:
            sys.modules["__main__"] = ModuleType("__main__")
        try:
            yield
        finally:
            sys.modules["__main__"] = main


@contextlib.contextmanager
def _interrupts_held_back() -> Iterator[None]:
    """Hold back Ctrl-C for a moment; the driver gets it afterwards, a child born here never."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def describe_exit(code: int) -> str:
    """Return how a process ended: its exit code, or minus the number of a signal, in words."""
    if code >= 0:
        return f"it exited with code {code}"
    try:
        name = signal.Signals(-code).name
    except ValueError:
        name = "unknown"
    hints = {
        "SIGKILL": "; perhaps out of memory",
        "SIGSEGV": "; native code crashed",
        "SIGBUS": "; native code crashed, or a disk or shared memory is full",
        "SIGABRT": "; native code gave up",
        "SIGILL": "; a library was built for another processor",
    }
    return f"killed by signal {-code} ({name}){hints.get(name, '')}"
