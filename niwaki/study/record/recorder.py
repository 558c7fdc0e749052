"""Writing down what happens: the ledger first, then the history that everything else reads."""

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from niwaki.study.record.events import Event, Note
from niwaki.study.record.history import SESSION, History
from niwaki.study.record.ledger import Ledger

LEAST_JUMP_S = 10.0  # of the time of day; a clock that is only steered never goes so far


@dataclass
class Recorder:
    """Keeps a ledger and its history in step.

    Attributes:
        ledger: Open for appending.
        history: The state after everything in the ledger.
        clock: Gives seconds; stands still while the machine sleeps.
    """

    ledger: Ledger
    history: History
    clock: Callable[[], float] = time.monotonic
    _recorded_at: float | None = field(default=None, init=False)

    def record(self, event: Event) -> None:
        """Append an event, and only then act as if it had happened.

        Where the time of day jumped since the last one, notes say so first: a night that a laptop
        slept through, or an hour by which its clock was set, is no study time.

        Raises:
            RunFolderError: If it cannot be written.
        """
        now = self.clock()
        for each in (*self._notes_of_jump(event.at, now), event):
            self.ledger.append(each)
            self.history.add(each)
            self._recorded_at = now

    def _notes_of_jump(self, at: str, now: float) -> tuple[Note, ...]:
        if self._recorded_at is None:
            return ()
        passed = timedelta(seconds=now - self._recorded_at)
        expected = datetime.fromisoformat(self.history.last_at) + passed
        jump_s = (datetime.fromisoformat(at) - expected).total_seconds()
        if abs(jump_s) < LEAST_JUMP_S:
            return ()
        text = f"the time of day jumped by {jump_s:.0f} s: the machine slept, or its clock was set"
        ended = expected.isoformat(timespec="milliseconds")
        return Note(text, at=ended), Note(f"{SESSION} goes on", at=at)
