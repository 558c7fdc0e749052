"""What a configuration says about a function that evaluates."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from niwaki.core.errors import ConfigError
from niwaki.core.fidelity import FULL, Fidelities
from niwaki.core.limits import limits_of
from niwaki.core.objectives import Direction, Objective
from niwaki.spaces.choice_settings import Option


@dataclass(frozen=True)
class NamedValue:
    """A value that the function returns.

    Attributes:
        direction: Which way is better.
        unit: For people.
        least: No value can be below, and no prediction will be: an evaluation that returns one has
            failed; none if that is not known.
        most: The same, above.

    Raises:
        ConfigError: If `least` is not below `most`.
    """

    direction: Literal["maximize", "minimize"]
    unit: str = ""
    least: float | None = None
    most: float | None = None

    def __post_init__(self) -> None:
        limits_of(self.least, self.most)

    def objective(self, name: str) -> Objective:
        """Return the value with its name."""
        limits = limits_of(self.least, self.most)
        return Objective(name, Direction(self.direction), self.unit, *limits)


@dataclass(frozen=True)
class FunctionSettings:
    """A function that scores candidates.

    Attributes:
        function: `path/to/file.py:name` or `package.module:name`. It is called with the decisions
            by name, a dict, and with `fidelity` and `seed` if it has parameters of these names; it
            returns values by name, and raises what goes wrong.
        values: What it returns.
        cheap: The same for a function that returns some of the values at no cost; it is called with
            the decisions alone. Where both give one, the numbers must agree at full effort. Empty
            for none.
        fidelities: Shares of the full effort that the function can be asked for by `fidelity`, such
            as [0.1, 0.3]; the whole can always be.
        baseline: What relative constraints refer to, and is measured first; of decisions that are
            left out, the first option.
        initial: What a search tries before it chooses, spelled like the baseline.

    Raises:
        ConfigError: If there are no values, or fidelities do not rise between 0 and 1.
    """

    function: str
    values: Mapping[str, NamedValue]
    cheap: str = ""
    fidelities: tuple[float, ...] = ()
    baseline: Mapping[str, Option] = field(default_factory=dict)
    initial: tuple[Mapping[str, Option], ...] = ()

    def __post_init__(self) -> None:
        if not self.values:
            raise ConfigError("'values' is empty: name what the function returns")
        _ = self.efforts

    @property
    def efforts(self) -> Fidelities:
        """The shares of the full effort that the function can be asked for, the whole included."""
        return Fidelities(levels=(*(share for share in self.fidelities if share != FULL), FULL))

    @property
    def objectives(self) -> tuple[Objective, ...]:
        """The values with their directions."""
        return tuple(value.objective(name) for name, value in self.values.items())
