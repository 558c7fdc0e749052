"""The model of a run that was chosen for use, and why: `chosen.json`."""

import json
from dataclasses import asdict, dataclass
from pathlib import Path

from niwaki.core.errors import RunFolderError
from niwaki.core.files import DAMAGE, write_text_atomically


@dataclass(frozen=True)
class Choice:
    """What was chosen.

    Attributes:
        key: Of the candidate.
        why: A few words that go on from its name: `the best within 5 ms`.
    """

    key: str
    why: str

    def save(self, path: Path) -> None:
        """Write it.

        Raises:
            RunFolderError: If the folder cannot be written.
        """
        write_text_atomically(path, json.dumps(asdict(self), indent=2) + "\n")

    @classmethod
    def load(cls, path: Path) -> "Choice | None":
        """Read it; None if nothing was chosen.

        Raises:
            RunFolderError: If it is damaged.
        """
        if not path.exists():
            return None
        try:
            data = json.loads(path.read_text(encoding="utf-8"))
            return cls(str(data["key"]), str(data["why"]))
        except (OSError, *DAMAGE) as error:
            raise RunFolderError(
                f"'{path}' cannot be read ({error!r}): delete it, and run the same command again"
            ) from error
