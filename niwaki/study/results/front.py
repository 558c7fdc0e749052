"""The front: what a study hands back."""

import csv
import io
import json
import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from numbers import Real
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from niwaki.core.candidate import Candidate
from niwaki.core.constraints import Constraint
from niwaki.core.errors import ConfigError, ExportError
from niwaki.core.files import write_text_atomically
from niwaki.core.jsonable import JSON, finite_or_none
from niwaki.core.measurement import Measurement
from niwaki.core.objectives import Objective, minimised
from niwaki.core.pareto import hypervolume, knee, non_dominated
from niwaki.core.registry import nearest
from niwaki.study.description import StudyDescription
from niwaki.study.record.history import History
from niwaki.study.record.run_folder import RunFolder
from niwaki.study.results.cells import column_name, decision_cell
from niwaki.study.results.choice import Choice
from niwaki.study.results.misses import LOOSEN

KNEE = "knee"
CHOSEN = "chosen"
ALL = "all"
NOT_YET = (
    "no model of the front was exported yet, a search ends with that: start the same search again, "
    "with `finalists` above 0; `niwaki status` tells of those that could not be"
)
NEVER = (
    "this run exports nothing: its evaluator makes no networks, as `table`, or keeps them to "
    "itself, as `function`. Build the network by its decisions, which `niwaki front --json` tells"
)
BEST = "best:"
GOAL, KEY, NUMBER, ROLE = "goal", "key", "number", "role"  # columns of the CSV beside values


@dataclass(frozen=True)
class FrontModel:
    """One model of a front.

    Attributes:
        number: Trial number; -1 for the baseline.
        candidate: Its decisions.
        searched: What the search measured.
        final: What was measured from the exported file; None if it was not exported.
    """

    number: int
    candidate: Candidate
    searched: Measurement
    final: Measurement | None

    @property
    def key(self) -> str:
        """The candidate's key."""
        return self.candidate.key

    @property
    def values(self) -> Mapping[str, float]:
        """The values to go by: those of the exported file where there is one."""
        return self.searched.values if self.final is None else self.final.values


@dataclass(frozen=True, repr=False)
class Front:
    """Models that no other model beats in every objective at once, constraints kept.

    Attributes:
        objectives: m of them.
        models: Sorted by the first objective, best first.
        folder: The run folder they come from.
        choice: Which model was chosen for use, if any was; it may have left the front since.
        weights: Of objectives by name, where the knee is looked for; 1 where there is none.
        goal: That it is the front of; empty if it is that of a study.
        goals: Of a study with goals, each one's own front. Then `models` are those of all of them,
            with the values that the search measured, and `objectives` those of all goals.
        exports: Whether the candidates are networks that can be exported.

    Raises:
        ConfigError: If a weight is of no objective, is negative or not finite, or all are 0.
    """

    objectives: tuple[Objective, ...]
    models: tuple[FrontModel, ...]
    folder: Path
    choice: Choice | None = None
    weights: Mapping[str, float] = field(default_factory=dict)
    goal: str = ""
    goals: Mapping[str, "Front"] = field(default_factory=dict)
    exports: bool = True

    def __post_init__(self) -> None:
        known = [objective.name for objective in self.objectives]
        for name, weight in self.weights.items():
            if name not in known:
                raise ConfigError(
                    f"there is no objective '{name}' to weigh{nearest(name, known)} There are "
                    f"{', '.join(known)}"
                )
            if not _is_weight(weight):
                raise ConfigError(f"the weight of '{name}' is {weight!r}: give a number from 0 on")
        if not any(self._weights):
            raise ConfigError("all objectives weigh 0: leave one out that matters")

    @property
    def _weights(self) -> list[float]:
        return [self.weights.get(objective.name, 1.0) for objective in self.objectives]

    def __len__(self) -> int:
        return len(self.models)

    def __repr__(self) -> str:
        """Return one line, for notebooks: all of it may be thousands."""
        names = ", ".join(f"{o.name} {o.direction}" for o in self.objectives)
        of = f" of goal '{self.goal}'" if self.goal else ""
        return f"<Front{of} of {len(self)} models in {str(self.folder)!r}: {names}>"

    @property
    def costs(self) -> NDArray[np.float64]:
        """(n, m) minimised costs."""
        return minimised([model.values for model in self.models], self.objectives)

    @property
    def knee(self) -> FrontModel | None:
        """The model nearest to the ideal after scaling, by weights; None if the front is empty.

        None of a study with goals, too: each of its fronts has its own.
        """
        return self._knee() if self.models and not self.goals else None

    @property
    def chosen(self) -> FrontModel | None:
        """The model that a compression chose; None if none was, or if it left the front."""
        key = "" if self.choice is None else self.choice.key
        return next((model for model in self.models if model.key == key), None)

    @property
    def roles(self) -> Mapping[str, list[str]]:
        """Which models are `chosen`, `knee` or both, by key; others are left out.

        Of a study with goals, which of their fronts a model is on, such as `depth`, and which knees
        it is, such as `depth:knee`.
        """
        roles: dict[str, list[str]] = {}
        for goal, front in self.goals.items():
            for model in front.models:
                parts = [goal, *(f"{goal}:{role}" for role in front.roles.get(model.key, ()))]
                roles.setdefault(model.key, []).extend(parts)
        if not self.goals:
            for role, named in ((CHOSEN, self.chosen), (KNEE, self.knee)):
                if named is not None:
                    roles.setdefault(named.key, []).append(role)
        return roles

    def hypervolume(self, reference: Mapping[str, float]) -> float:
        """Return the volume dominated up to a reference point, in the user's own directions."""
        corner = minimised([reference], self.objectives)[0]
        if np.isnan(corner).any():
            names = ", ".join(objective.name for objective in self.objectives)
            raise ConfigError(f"the reference point needs a number for each of {names}")
        return hypervolume(self.costs, corner)

    def choose(self, which: str) -> tuple[FrontModel, ...]:
        """Return the models that `which` names.

        Args:
            which: `all`, `chosen`, `knee`, `best:<objective>`, or the first digits of a key.

        Raises:
            ConfigError: If nothing fits, with what would.
        """
        if which == ALL:
            return self.models
        if not self.models:
            raise ConfigError(
                "the front is empty: no model was measured yet, or none keeps to the constraints. "
                f"Search on with a larger budget, or {LOOSEN}"
            )
        if which == CHOSEN:
            return (self._chosen(),)
        if which == KNEE and self.goals:
            raise ConfigError(f"each goal has its own knee: choose one of {', '.join(self.goals)}")
        if which == KNEE:
            return (self._knee(),)
        if which.startswith(BEST):
            return (self._best(which.removeprefix(BEST)),)
        found = [model for model in self.models if model.key.startswith(which)]
        if len(found) != 1:
            keys = ", ".join(model.key for model in self.models)
            fault = "names more than one model" if found else "is no model of the front"
            names = "all, chosen, knee" if self.chosen is not None else "all, knee"
            raise ConfigError(f"'{which}' {fault}: give {names}, best:<objective> or one of {keys}")
        return (found[0],)

    def export(self, to: Path | str, *, which: str = ALL) -> list[Path]:
        """Copy the chosen models' folders: `model.onnx`, its card and its verification data.

        Args:
            to: Created if need be; each model gets a folder named by its key, and by its goal if it
                is of one.
            which: As in `choose`, of each goal's own front if there are goals.

        Returns:
            The models' folders.

        Raises:
            ConfigError: If there is nothing that `which` names.
            ExportError: If the search has not exported its finalists, or cannot.
            RunFolderError: If `to` cannot be written.
        """
        from niwaki.export.bundle import copy_bundle

        sources = self._sources(which)
        return [copy_bundle(source, Path(to) / source.name) for source in sources]

    def _sources(self, which: str) -> list[Path]:
        """Return the folders of exported models that `which` names."""
        if self.goals:
            return self._sources_of_goals(which)
        chosen = self.choose(which)
        if any(model.final is None for model in chosen):
            raise ExportError(NOT_YET if self.exports else NEVER)
        run = RunFolder(self.folder)
        return [run.artifact(model.key, goal=self.goal) for model in chosen]

    def _sources_of_goals(self, which: str) -> list[Path]:
        """Return those of the goals that have what `which` names: at least one."""
        found, faults = self._tried(which)
        if not found:
            for name, fault in faults.items():
                if isinstance(fault, ExportError):
                    raise ExportError(f"goal '{name}': {fault}")
            self.choose(which)  # says what there is of all goals
            raise next(iter(faults.values()))
        return found

    def lacking(self, which: str = ALL) -> Mapping[str, str]:
        """Return by name of which goals `export` writes nothing, and why; none without goals.

        Where it is for want of models: whether they have what `which` names is not looked at.
        """
        _, faults = self._tried(which)
        empty = [name for name, front in self.goals.items() if not front.models]
        return dict.fromkeys(empty, "its front is empty") | {
            name: str(fault)
            for name, fault in faults.items()
            if isinstance(fault, ExportError) and name not in empty
        }

    def _tried(self, which: str) -> tuple[list[Path], Mapping[str, ConfigError | ExportError]]:
        """Return what there is of all goals, and for which there is nothing."""
        found: list[Path] = []
        faults: dict[str, ConfigError | ExportError] = {}
        for name, front in self.goals.items():
            try:
                found += front._sources(which)
            except (ConfigError, ExportError) as error:
                faults[name] = error
        return found, faults

    def _knee(self) -> FrontModel:
        return self.models[knee(self.costs, self._weights)]

    def _chosen(self) -> FrontModel:
        chosen = self.chosen
        if chosen is None:
            fault = "no model of the front was chosen: only `niwaki compress` chooses one"
            if self.choice is not None:
                fault = (
                    f"{self.choice.key}, which was chosen, is not on this front: a constraint or "
                    "better models keep it off"
                )
            raise ConfigError(
                f"{fault}. Give all, knee, best:<objective> or the first digits of a key"
            )
        return chosen

    def _best(self, name: str) -> FrontModel:
        known = {objective.name: objective for objective in self.objectives}
        if name not in known:
            raise ConfigError(f"'{name}' is not an objective; these are: {', '.join(known)}")
        costs = minimised([model.values for model in self.models], [known[name]])
        return self.models[int(costs[:, 0].argmin())]

    def to_json(self) -> dict[str, JSON]:
        """Return the front as a JSON object."""
        best = self.knee
        return {
            "schema": 1,
            "objectives": [objective.to_json() for objective in self.objectives],
            "knee": None if best is None else best.key,
            "chosen": None if self.chosen is None else self.chosen.key,
            **({"goal": self.goal} if self.goal else {}),
            "models": [self._model_to_json(model) for model in self.models],
            **self._goals_to_json(),
        }

    def _goals_to_json(self) -> dict[str, JSON]:
        if not self.goals:
            return {}
        return {"goals": {name: front.to_json() for name, front in self.goals.items()}}

    def _model_to_json(self, model: FrontModel) -> dict[str, JSON]:
        exported = model.final is not None and model.final.complete
        return {
            "key": model.key,
            "number": model.number,
            "values": _plain(model.values),
            "searched": _plain(model.searched.values),
            "test": {} if model.final is None else model.final.details.get("test", {}),
            "target_id": (model.final or model.searched).target_id,
            "artifact": self._artifact(model) if exported else None,
            "candidate": model.candidate.to_json(),
        }

    def _artifact(self, model: FrontModel) -> str:
        run = RunFolder(self.folder)
        return run.artifact(model.key, goal=self.goal).relative_to(run.path).as_posix()

    def to_csv(self) -> str:
        """Return one line per model: key, trial number, values, objectives first, decisions, roles.

        The last column, `role`, is what `roles` says. A value that has the name of
        one of the other columns, such as `number`, is in a column `number (value)`, and a decision
        that has that of one before it in `width (decision)`. Of a study with
        goals, there is a line per model of each goal's front, and a first column `goal`.
        """
        fronts = [*self.goals.values()] or [self]
        wanted = [objective.name for objective in self.objectives]
        found = [name for front in fronts for model in front.models for name in model.values]
        names = list(dict.fromkeys(wanted + found))
        models = [model for front in fronts for model in front.models]
        paths = list(dict.fromkeys(path for model in models for path, _ in model.candidate.items))
        buffer = io.StringIO()
        writer = csv.writer(buffer, lineterminator="\n")
        fixed = [GOAL, KEY, NUMBER] if self.goals else [KEY, NUMBER]
        value_heads = [column_name(name, "value", {*fixed, ROLE}) for name in names]
        taken = {*fixed, *value_heads, ROLE}
        decision_heads = [column_name(path, "decision", taken) for path in paths]
        writer.writerow([*fixed, *value_heads, *decision_heads, ROLE])
        for front in fronts:
            roles = front.roles
            for model in front.models:
                named = [front.goal, model.key] if self.goals else [model.key]
                values = [model.values.get(name) for name in names]
                decided = [decision_cell(model.candidate.decisions, path) for path in paths]
                role = " ".join(roles.get(model.key, ()))
                writer.writerow([*named, model.number, *values, *decided, role])
        return buffer.getvalue()

    def save(self) -> None:
        """Write `pareto.json` and `pareto.csv` into the run folder.

        Raises:
            RunFolderError: If they cannot be written.
        """
        run = RunFolder(self.folder)
        write_text_atomically(run.pareto_json, json.dumps(self.to_json(), indent=2) + "\n")
        write_text_atomically(run.pareto_csv, self.to_csv())


def _is_weight(value: object) -> bool:
    return isinstance(value, Real) and 0.0 <= value < math.inf  # type: ignore[operator]


def weights_of(texts: Iterable[str]) -> dict[str, float]:
    """Read weights of objectives, each as `name=number`.

    Raises:
        ConfigError: If one is not of that form, or a name comes twice.
    """
    weights: dict[str, float] = {}
    for text in texts:
        name, _, number = (part.strip() for part in text.partition("="))
        try:
            weight = float(number)
        except ValueError:
            raise ConfigError(f"weight '{text}' cannot be read: write `objective=number`") from None
        if name in weights:
            raise ConfigError(f"'{name}' is weighed twice: give one number")
        weights[name] = weight
    return weights


def front_of(
    history: History,
    *,
    objectives: tuple[Objective, ...],
    constraints: tuple[Constraint, ...],
    folder: Path,
    exported: bool = True,
) -> Front:
    """Return the front of a study.

    Once finalists were exported, they alone are on it, by the values of their files: a candidate
    whose file was not measured cannot be compared with them. Before that, it is the front of what
    the search measured at full effort. The baseline competes like any other model.

    Args:
        history: Of the study.
        objectives: At least one.
        constraints: That models of the front keep, relative to the baseline as it was measured
            like them: from its own file, once it was exported.
        folder: Of the run.
        exported: Whether exported files count; without, it is the front of the search itself.
    """
    baseline = [] if history.baseline is None else [history.baseline]
    finals = history.exported if exported else {}
    models = [
        FrontModel(t.number, t.candidate, t.measurement, finals.get(t.candidate.key))
        for t in {t.candidate.key: t for t in (*history.full_trials, *baseline)}.values()
        if t.measurement.complete
    ]
    models = [model for model in models if model.final is not None] or models
    bounds = history.bounds(constraints, exported=exported)
    feasible = [m for m in models if all(bound.is_kept(m.values) for bound in bounds)]
    costs = minimised([model.values for model in feasible], objectives)
    kept = [model for model, on in zip(feasible, non_dominated(costs), strict=True) if on]
    kept.sort(key=lambda model: objectives[0].sign * model.values[objectives[0].name])
    return Front(objectives, tuple(kept), folder)


def front_of_study(
    history: History, description: StudyDescription, folder: Path, *, exported: bool = True
) -> Front:
    """Return the front of a study, or those of all its goals, joined.

    Args:
        history: Of the study.
        description: Of the study.
        folder: Of the run.
        exported: As in `front_of`.
    """
    fronts = {
        goal.name: replace(
            front_of(
                history.of_goal(goal),
                objectives=goal.objectives,
                constraints=goal.constraints,
                folder=folder,
                exported=exported,
            ),
            goal=goal.name,
            exports=description.exports,
        )
        for goal in description.goals
    }
    if not description.named_goals:
        return fronts[""]
    first = description.objectives[0]
    models = {m.key: replace(m, final=None) for front in fronts.values() for m in front.models}
    costs = minimised([model.values for model in models.values()], [first])[:, 0]
    rows = np.argsort(costs, kind="stable")
    joined = tuple([*models.values()][row] for row in rows)
    return Front(description.objectives, joined, folder, goals=fronts, exports=description.exports)


def _plain(values: Mapping[str, float]) -> dict[str, JSON]:
    return {name: finite_or_none(value) for name, value in values.items()}
