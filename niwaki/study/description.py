"""What a study is about, as its run folder tells it: `study.json`."""

import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from niwaki.core.constraints import Constraint
from niwaki.core.errors import LedgerError, RunFolderError
from niwaki.core.files import DAMAGE, write_text_atomically
from niwaki.core.goals import Goal, goal_named
from niwaki.core.objectives import Objective

SCHEMA = 1
FILE_NAME = "study.json"


@dataclass(frozen=True)
class StudyDescription:
    """Enough to read a run folder without the objects that filled it.

    Attributes:
        name: Of the study.
        objectives: What is wanted; of several goals, the objectives of all.
        constraints: Bounds as text, perhaps relative to the baseline; of several goals, those that
            all have.
        values: Every value that a complete measurement has.
        searcher: Name of the searcher.
        scheduler: Name of the scheduler; empty if every evaluation is a full one.
        named_goals: Each with a front of its own; none if the study has one front.
        only: The goal that this is about alone, of one of several; None for the whole study.
        n_evaluations: Budget; 0 if there is no limit.
        seconds: Budget of wall time; 0 if there is no limit.
        seed: Seed of the whole study.
        exports: Whether its candidates are networks that can be exported, as far as the run says.
    """

    name: str
    objectives: tuple[Objective, ...]
    constraints: tuple[Constraint, ...]
    values: tuple[Objective, ...]
    searcher: str
    n_evaluations: int
    seconds: float
    seed: int
    scheduler: str = ""
    named_goals: tuple[Goal, ...] = ()
    only: Goal | None = None
    exports: bool = True

    @property
    def goals(self) -> tuple[Goal, ...]:
        """The goals that have names, or else the only one, which has none."""
        return self.named_goals or (Goal("", self.objectives, self.constraints),)

    def of_goal(self, name: str) -> "StudyDescription":
        """Return the same as if one goal were all that is wanted.

        Raises:
            ConfigError: If there is no goal of that name.
        """
        goal = goal_named(name, self.named_goals)
        return replace(
            self,
            objectives=goal.objectives,
            constraints=goal.constraints,
            named_goals=(),
            only=goal,
        )

    def bounded_by(self, constraints: Sequence[Constraint]) -> "StudyDescription":
        """Return the same with further constraints, on the networks of all goals."""
        goals = [
            replace(goal, constraints=(*goal.constraints, *constraints))
            for goal in self.named_goals
        ]
        all_have = (*self.constraints, *constraints)
        return replace(self, constraints=all_have, named_goals=tuple(goals))

    @property
    def shared_constraints(self) -> tuple[Constraint, ...]:
        """The constraints that all goals have, whoever wrote them down, and however."""
        first, *others = self.goals
        meant = [{constraint.meaning for constraint in goal.constraints} for goal in others]
        return tuple(c for c in first.constraints if all(c.meaning in each for each in meant))

    @property
    def wanted(self) -> tuple[str, ...]:
        """Names of the values that a complete measurement must have."""
        return tuple(dict.fromkeys(name for goal in self.goals for name in goal.wanted))

    def save(self, folder: Path) -> None:
        """Write `study.json`.

        Raises:
            RunFolderError: If the folder cannot be written.
        """
        data = {
            "schema": SCHEMA,
            "name": self.name,
            "objectives": [Objective.to_json(o) for o in self.objectives],
            "constraints": [constraint.text for constraint in self.constraints],
            "values": [Objective.to_json(o) for o in self.values],
            "searcher": self.searcher,
            "scheduler": self.scheduler,
            "budget": {"evaluations": self.n_evaluations, "seconds": self.seconds},
            "seed": self.seed,
            "exports": self.exports,
            "goals": [goal.to_json() for goal in self.named_goals],
        }
        write_text_atomically(folder / FILE_NAME, json.dumps(data, indent=2) + "\n")

    @classmethod
    def load(cls, folder: Path) -> "StudyDescription":
        """Read `study.json`.

        Raises:
            RunFolderError: If there is none, or it is damaged.
            LedgerError: If another version of niwaki wrote it.
        """
        path = folder / FILE_NAME
        try:
            data = json.loads(path.read_text(encoding="utf-8"))
        except (FileNotFoundError, NotADirectoryError) as error:
            raise RunFolderError(
                f"there is no run at '{folder}': it has no {FILE_NAME}. "
                "Give the folder of a run that was started, such as runs/quickstart"
            ) from error
        except (OSError, *DAMAGE) as error:
            raise RunFolderError(
                f"'{path}' cannot be read ({error}): start the same search again to rewrite it"
            ) from error
        if not isinstance(data, dict):
            raise RunFolderError(f"'{path}' is damaged: start the same search again to rewrite it")
        if data.get("schema") != SCHEMA:
            raise LedgerError(
                f"'{path}' has schema {data.get('schema')}, and this niwaki reads {SCHEMA}: "
                "read the run with the version that wrote it, or start a new one"
            )
        try:
            if not data["objectives"]:
                raise ValueError("no objectives")
            return cls(
                name=str(data["name"]),
                objectives=tuple(map(Objective.from_json, data["objectives"])),
                constraints=tuple(map(Constraint.parse, data["constraints"])),
                values=tuple(map(Objective.from_json, data["values"])),
                searcher=str(data["searcher"]),
                n_evaluations=int(data["budget"]["evaluations"]),
                seconds=float(data["budget"]["seconds"]),
                seed=int(data["seed"]),
                scheduler=str(data.get("scheduler", "")),
                exports=data.get("exports", True) is not False,
                named_goals=tuple(map(Goal.from_json, data.get("goals", ()))),
            )
        except (KeyError, TypeError, ValueError, OverflowError) as error:
            raise RunFolderError(
                f"'{path}' is damaged ({error!r}): start the same search again to rewrite it"
            ) from error
