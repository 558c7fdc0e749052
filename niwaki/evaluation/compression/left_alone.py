"""What of a model is left as it is, and why."""

import json
from collections.abc import Iterable, Mapping, Sequence
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
        stays = [(f"{each.name} ({each.n_channels})", each.reason) for each in self.channels]
        return f"; left alone, with their channels: {_by_reason(stays)}" if stays else ""

    @property
    def by_quantization(self) -> str:
        """The end of a sentence about quantization."""
        return f"; left in float: {_by_reason(self.in_float.items())}" if self.in_float else ""

    def save(self, path: Path) -> None:
        """Write all of it, of which sentences only name the first."""
        plain = {"pruning": [str(each) for each in self.channels], "int8": dict(self.in_float)}
        write_text_atomically(path, json.dumps(plain, indent=1, ensure_ascii=False) + "\n")


def _by_reason(reasons: Iterable[tuple[str, str]]) -> str:
    """Return the first reasons, each after the first of what it holds for."""
    named: dict[str, list[str]] = {}
    for name, why in reasons:
        named.setdefault(why, []).append(name)
    sentences = [f"{_first(names, ', ', 'more')}, because {why}" for why, names in named.items()]
    return _first(sentences, "; ", "more reasons")


def _first(items: Sequence[str], separator: str, others: str) -> str:
    more = f" and {len(items) - _N_SHOWN} {others} ({LEFT_ALONE_FILE})"
    return separator.join(items[:_N_SHOWN]) + (more if len(items) > _N_SHOWN else "")
