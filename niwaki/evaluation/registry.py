"""The evaluators that configuration files can name, and what they are built from."""

from collections.abc import Callable
from dataclasses import dataclass

from niwaki.core.errors import ConfigError
from niwaki.core.registry import Record, Registry
from niwaki.targets.base import Target
from niwaki.tasks.base import TaskData


@dataclass(frozen=True)
class Ingredients:
    """What a configuration gives an evaluator, beside its own settings.

    Attributes:
        space: Options of the space, an instance of what `SPACES` names; None if there is no
            `space` section.
        load_data: Gives the data; picklable. None if there is no `data` section.
        target: Where models run; None if there is no `target` section.
        precisions: What layers may run in.
        seed: The study's.
        notify: Takes sentences about long preparations.
        alone: Tasks of which networks are wanted that answer nothing else.
    """

    space: object | None
    load_data: Callable[[], TaskData] | None
    target: Target | None
    precisions: tuple[str, ...]
    seed: int
    notify: Callable[[str], None]
    alone: tuple[str, ...] = ()

    def data_and_target(self, evaluator: str) -> tuple[Callable[[], TaskData], Target]:
        """Return what loads the data, and the target.

        Args:
            evaluator: Name of the evaluator that needs them.

        Raises:
            ConfigError: If one of the sections is absent.
        """
        if self.load_data is None:
            raise ConfigError(f"evaluator '{evaluator}' needs a section `data`")
        if self.target is None:
            raise ConfigError(f"evaluator '{evaluator}' needs a section `target`")
        return self.load_data, self.target

    def tell_unread(self, evaluator: str, *sections: str) -> None:
        """Tell of sections that are given, though nothing depends on what they say.

        Args:
            evaluator: Name of the evaluator that reads none of them.
            sections: Among `space`, `data` and `target`.
        """
        held = {"space": self.space, "data": self.load_data, "target": self.target}
        for name in sections:
            if held[name] is not None:
                self.notify(f"evaluator '{evaluator}' does not read the section `{name}`")


# Each factory takes (settings, ingredients).
EVALUATORS = Registry(
    "evaluators",
    (
        Record(
            "compressed",
            "smaller versions of one trained model: pruned, fine-tuned, quantized",
            "niwaki.evaluation.compression.evaluator:create",
        ),
        Record(
            "supernet",
            "slices of one trained super-network, quantized and run on the target",
            "niwaki.evaluation.supernet.evaluator:create",
        ),
        Record(
            "from_scratch",
            "each candidate trained from its initial weights, quantized and run on the target",
            "niwaki.evaluation.from_scratch.evaluator:create",
        ),
        Record(
            "table",
            "rows of a table of networks that were measured before, perhaps at several fidelities",
            "niwaki.evaluation.table.evaluator:create",
        ),
        Record(
            "function",
            "a function of yours: decisions in, values out",
            "niwaki.evaluation.function.evaluator:create",
        ),
    ),
)
