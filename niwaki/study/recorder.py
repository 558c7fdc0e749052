"""Writing down what happens: the ledger first, then the history that everything else reads."""

from dataclasses import dataclass

from niwaki.study.events import Event
from niwaki.study.history import History
from niwaki.study.ledger import Ledger


@dataclass(frozen=True)
class Recorder:
    """Keeps a ledger and its history in step.

    Attributes:
        ledger: Open for appending.
        history: The state after everything in the ledger.
    """

    ledger: Ledger
    history: History

    def record(self, event: Event) -> None:
        """Append an event, and only then act as if it had happened.

        Raises:
            RunFolderError: If it cannot be written.
        """
        self.ledger.append(event)
        self.history.add(event)
