"""What fine-tuning did to networks: whether it helped, and what people are told of it."""

import json
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from niwaki.core.files import computed_before, write_text_atomically
from niwaki.core.jsonable import JSON
from niwaki.tasks.scoring import MEAN_SKILL

TUNING_DETAILS = "tuning"
"""Name among a measurement's details."""

IN_FLOAT, ROUNDED = "float", "quantized"
"""Stages of fine-tuning."""

LOSS = "loss"
"""What niwaki's own fine-tuning minimises, and is judged by."""

_TAKEN_BACK = "taken_back"


@dataclass(frozen=True)
class Effect:
    """What fine-tuning did to a network, on items that it has not learnt from.

    Attributes:
        before: Of the network as it was cut, on items of the search split.
        after: The same when it was fine-tuned.
        measure: What these are: the mean loss, which niwaki's own fine-tuning minimises; or, of
            somebody's who may minimise something else, the mean skill over tasks.
    """

    before: float
    after: float
    measure: str = LOSS

    @property
    def is_harm(self) -> bool:
        """Whether the network was better before."""
        worse = (
            self.after < self.before
            if self.measure == MEAN_SKILL.name
            else self.after > self.before
        )
        return worse or math.isnan(self.after) > math.isnan(self.before)

    def __str__(self) -> str:
        what = self.measure.replace("_", " ")
        return f"the {what} on the search split was {self.before:.4g}, and became {self.after:.4g}"

    def to_json(self) -> dict[str, JSON]:
        """Return both, null where one is no finite number, and whether it was taken back."""
        both = {f"{self.measure}_before": self.before, f"{self.measure}_after": self.after}
        finite = {name: each if math.isfinite(each) else None for name, each in both.items()}
        return {**finite, _TAKEN_BACK: self.is_harm}


Tell = Callable[[Effect], None]


def nobody(effect: Effect) -> None:
    """Tell nobody."""


class NotedEffects:
    """Effects that are kept beside the weights, for measurements whose weights were made before.

    Args:
        folder: Created with the first one.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def note(self, name: str, effect: Effect) -> None:
        """Keep the effect on the weights of that name."""
        self._folder.mkdir(exist_ok=True)
        write_text_atomically(self._path(name), json.dumps(effect.to_json()) + "\n")

    def details(self, names: Mapping[str, str]) -> dict[str, JSON]:
        """Return what a measurement says of its weights, by stage; nothing if none was tuned.

        Args:
            names: Of weights, by stage.
        """
        paths = {stage: self._path(name) for stage, name in names.items()}
        found = {s: computed_before(path, dict) for s, path in paths.items() if path.exists()}
        return {TUNING_DETAILS: found} if found else {}

    def _path(self, name: str) -> Path:
        return self._folder / f"{name}.json"


def was_tuned(details: Mapping[str, JSON], stage: str) -> bool:
    """Whether the details of a measurement say that its network went through a stage."""
    stages = details.get(TUNING_DETAILS)
    return isinstance(stages, Mapping) and stage in stages


def was_taken_back(details: Mapping[str, JSON]) -> bool:
    """Whether the details of a measurement say that fine-tuning did harm, in some stage."""
    stages = details.get(TUNING_DETAILS)
    found = stages.values() if isinstance(stages, Mapping) else ()
    return any(isinstance(each, Mapping) and bool(each.get(_TAKEN_BACK)) for each in found)


def was_tuned_by_function(details: Mapping[str, JSON]) -> bool:
    """Whether the details of a measurement say that a function of the user's did it."""
    stages = details.get(TUNING_DETAILS)
    found = stages.get(IN_FLOAT) if isinstance(stages, Mapping) else None
    return isinstance(found, Mapping) and f"{MEAN_SKILL.name}_before" in found
