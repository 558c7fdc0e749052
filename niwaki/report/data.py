"""What a report is made of: plain nouns, gathered by whoever has the study."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

from niwaki.core.candidate import Candidate
from niwaki.core.constraints import Bound
from niwaki.core.errors import ConfigError
from niwaki.core.goals import Goal
from niwaki.core.jsonable import JSON
from niwaki.core.measurement import Measurement, Trial
from niwaki.core.objectives import Objective


@dataclass(frozen=True, kw_only=True)
class ReportData:
    """Everything that the page shows.

    A measurement may carry a layer table in `details["layers"]`, see `niwaki.report.layers`.

    Attributes:
        study: Name of the study.
        goal: Whose front it shows; empty if the study has one front.
        task: That exported models of the goal answer alone; empty if they answer all tasks.
        objectives: m of them, m >= 1, in the order in which the page lists them.
        trials: Finished trials in the order in which they were told.
        status: `running`, or `finished` if no process works on it: it ended, or was stopped.
        created: When the study began, ISO 8601; empty if unknown.
        finished: When it ended, ISO 8601; empty while it runs.
        seed: The study's seed.
        searcher: Name of the searcher.
        n_partial: Trials measured with less than full effort, which the page leaves out.
        effort: What all trials cost, in full evaluations; those turned away cost nothing.
        budget: How many full evaluations the study may spend; 0 for no limit.
        seconds: Wall time spent so far.
        config_yaml: The resolved configuration.
        environment: Versions and hardware, by name; nested values are shown as `name value` pairs.
        target_id: Where latency was measured; empty if nowhere.
        bounds: Constraints with their numbers filled in.
        final_bounds: The same as they bind `finals`: relative to the baseline's own file.
        baseline: What relative constraints and comparisons refer to, measured as trials are.
        baseline_candidate: Its decisions; None if they are not known.
        finals: Measurements of exported models on data the search did not see, by candidate key.
            The baseline's key may be among them: then exported models are compared with that one.
        unexported: Finalists that could not be exported, with their reasons, by candidate key.
        front_keys: Candidate keys of the front.
        spare_keys: Candidate keys of models of the search's front that no finalist was made of.
        knee_key: Candidate key of the front's knee; empty if there is no front.
        chosen_keys: Candidate keys of the models that were chosen for use; the page is about the
            first of them.
        chosen_because: Why that one was chosen, in a few words; empty if nobody said.
        hypervolume: Hypervolume after each trial of `trials`; empty if not known.
        told_at_seconds: Seconds from the study's beginning to the telling of each trial, never
            falling; empty if not known, and then progress is shown by number of evaluations.
        repeat_command: Shell command that runs the same study again.
        export_command: Shell command that exports one model, `{key}` standing for its key; shown
            for models of the front that are among `finals`, as it takes no others.

    Raises:
        ConfigError: If there is no objective, a sequence does not match the trials, or the goal has
            a name that no goal may have.
    """

    study: str
    objectives: tuple[Objective, ...]
    trials: Sequence[Trial]
    goal: str = ""
    task: str = ""
    status: Literal["running", "finished"] = "finished"
    created: str = ""
    finished: str = ""
    seed: int = 0
    searcher: str = ""
    n_partial: int = 0
    effort: float = 0.0
    budget: int = 0
    seconds: float = 0.0
    config_yaml: str = ""
    environment: Mapping[str, JSON] = field(default_factory=dict)
    target_id: str = ""
    bounds: tuple[Bound, ...] = ()
    final_bounds: tuple[Bound, ...] = ()
    baseline: Measurement | None = None
    baseline_candidate: Candidate | None = None
    finals: Mapping[str, Measurement] = field(default_factory=dict)
    unexported: Mapping[str, Measurement] = field(default_factory=dict)
    front_keys: tuple[str, ...] = ()
    spare_keys: tuple[str, ...] = ()
    knee_key: str = ""
    chosen_keys: tuple[str, ...] = ()
    chosen_because: str = ""
    hypervolume: Sequence[float] = ()
    told_at_seconds: Sequence[float] = ()
    repeat_command: str = ""
    export_command: str = ""

    def __post_init__(self) -> None:
        if not self.objectives:
            raise ConfigError("a report needs at least one objective, and none came")
        Goal(self.goal, self.objectives)  # its name goes into the page's address
        for name in ("hypervolume", "told_at_seconds"):
            n_values = len(getattr(self, name))
            if n_values not in (0, len(self.trials)):
                raise ConfigError(
                    f"'{name}' has {n_values} values for {len(self.trials)} trials: "
                    "give one per trial, in the same order, or none"
                )
