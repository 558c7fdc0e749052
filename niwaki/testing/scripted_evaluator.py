"""An evaluator that does what its candidate says, good or bad, to test executors and studies."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from niwaki.core.candidate import Candidate, Value
from niwaki.core.errors import TargetLostError
from niwaki.core.measurement import Measurement
from niwaki.core.objectives import Direction, Objective
from niwaki.evaluation.base import UnexportedEvaluator
from niwaki.spaces import Choice, ChoiceSpace, Condition, Space

SCRIPTS = ChoiceSpace(
    (
        Choice("do", ("return", "raise")),
        Choice("value", tuple(range(10)), when=(Condition("do", ("return",)),)),
    )
)


def script(do: str, **decisions: Value) -> Candidate:
    """Return the candidate that makes `ScriptedEvaluator` do something.

    Args:
        do: `return`, `sleep` (`seconds`; `marker`: path of a file made before, if given),
            `raise` (`message`), `lose` (the target), `exit` (`code`), `hang`,
            `die` (`signal`), `die_once` (`marker`: path of a file, made before dying),
            `orphan` or `parent` (start a child that sleeps on, write its number to the file
            `marker`, and die or hang), or `environment` (`variable`).
        **decisions: What that action needs; `value` is what is returned in the end, 1 by default.
    """
    return Candidate.of({"do": do, **decisions})


@dataclass(frozen=True)
class ScriptedEvaluator(UnexportedEvaluator):
    """Follows the script in its candidate.

    Its measurements have the values `value`, `seed` and `fidelity`, and in their details the number
    of the process.

    Attributes:
        space: Scripts to search; any other script can be evaluated as well.
    """

    space: Space = SCRIPTS

    @property
    def values(self) -> tuple[Objective, ...]:
        return (Objective("value", Direction.MAXIMIZE), Objective("seed", Direction.MINIMIZE))

    def prepare(self, folder: Path) -> None:
        """Do nothing: there is nothing to prepare."""

    def baseline(self) -> Candidate:
        return script("return")

    def initial(self) -> tuple[Candidate, ...]:
        return ()

    def cheap(self, candidate: Candidate) -> Mapping[str, float]:
        return {"cost": _number(candidate, "cost")} if "cost" in candidate.decisions else {}

    def evaluate(self, candidate: Candidate, *, fidelity: float, seed: int) -> Measurement:
        extra = _act(candidate)
        values = {
            "value": _number(candidate, "value", 1.0),
            "seed": float(seed),
            "fidelity": fidelity,
            **extra,
        }
        return Measurement(key=candidate.key, values=values, details={"pid": os.getpid()})

    def why_not_exported(self, candidate: Candidate) -> str:  # noqa: ARG002
        return "a script has no network: nothing can be exported"


def _act(candidate: Candidate) -> dict[str, float]:
    match candidate.decisions["do"]:
        case "return":
            return {}
        case "sleep":
            if "marker" in candidate.decisions:
                Path(str(candidate.decisions["marker"])).touch()
            time.sleep(_number(candidate, "seconds"))
        case "raise":
            raise ValueError(str(candidate.decisions.get("message", "as the script says")))
        case "lose":
            raise TargetLostError("the board is gone: plug it in")
        case "exit":
            sys.exit(int(_number(candidate, "code")))
        case "hang":
            signal.pause()
        case "die":
            os.kill(os.getpid(), int(_number(candidate, "signal", signal.SIGKILL)))
        case "die_once":
            _die_unless_marked(Path(str(candidate.decisions["marker"])))
        case "parent":
            _start_child(Path(str(candidate.decisions["marker"])))
            signal.pause()
        case "orphan":
            _start_child(Path(str(candidate.decisions["marker"])))
            os.kill(os.getpid(), signal.SIGKILL)
        case "environment":
            text = os.environ.get(str(candidate.decisions["variable"]), "nan")
            return {"environment": float(text)}
        case unknown:
            raise ValueError(f"there is no action '{unknown}': see `script`")
    return {}


def _start_child(marker: Path) -> None:
    child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
    marker.write_text(str(child.pid))


def _die_unless_marked(marker: Path) -> None:
    if marker.exists():
        return
    marker.touch()
    os.kill(os.getpid(), signal.SIGKILL)


def _number(candidate: Candidate, name: str, default: float = 0.0) -> float:
    value = candidate.decisions.get(name, default)
    if isinstance(value, int | float | str):  # text, so that a script can hold 'nan'
        return float(value)
    raise TypeError(f"'{name}' of a script must be a number, not {value!r}")
