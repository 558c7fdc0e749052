"""What of a model is left as it is, and why."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from niwaki.compress.pruning.groups import Refusal
from niwaki.core.files import write_text_atomically

LEFT_ALONE_FILE = "left_alone.json"
_N_SHOWN = 3


@dataclass(frozen=True)
class LeftAlone:
    """What is neither pruned nor quantized.

    Attributes:
        channels: That stay, with reasons.
        in_float: Why products and recurrences stay in float, by path.
    """

    channels: Sequence[Refusal]
    in_float: Mapping[str, str]

    @property
    def by_pruning(self) -> str:
        """The end of a sentence about pruning."""
        return f"; left alone: {_first(list(map(str, self.channels)))}" if self.channels else ""

    @property
    def by_quantization(self) -> str:
        """The end of a sentence about quantization."""
        reasons = []
        for why in dict.fromkeys(self.in_float.values()):
            paths = [path for path in self.in_float if self.in_float[path] == why]
            reasons.append(f"{_first(paths, ', ')}, because {why}")
        return f"; left in float: {'; '.join(reasons)}" if reasons else ""

    def save(self, path: Path) -> None:
        """Write all of it, of which sentences only name the first."""
        plain = {"pruning": [str(each) for each in self.channels], "int8": dict(self.in_float)}
        write_text_atomically(path, json.dumps(plain, indent=1, ensure_ascii=False) + "\n")


def _first(items: Sequence[str], separator: str = "; ") -> str:
    more = f" and {len(items) - _N_SHOWN} more ({LEFT_ALONE_FILE})"
    return separator.join(items[:_N_SHOWN]) + (more if len(items) > _N_SHOWN else "")
