"""Progress for people: a live display on a terminal, plain lines elsewhere."""

import sys
import time
from collections.abc import Mapping

from rich.console import Console, Group
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from niwaki.core.constraints import Bound
from niwaki.core.measurement import Status, Trial, whole
from niwaki.core.numerals import numeral
from niwaki.core.objectives import minimised
from niwaki.core.reasons import ReasonCounts
from niwaki.core.wording import for_terminal
from niwaki.study.budget import spent
from niwaki.study.description import StudyDescription
from niwaki.study.record.history import History
from niwaki.study.results.growth import Growth, counts, growth_text
from niwaki.study.watching.observer import Observer

REFRESH_SECONDS = 0.5
LINE_SECONDS = 5.0
N_REASONS = 3


class Tally:
    """The numbers that a display shows, kept up to date trial by trial.

    Attributes:
        description: Of the study.
        history: Grows while the study runs.
        limit: Evaluations that there will be, at most; 0 if there is no limit.
        growths: Of the fronts, by goal.
        reasons: Of failures, counted.
    """

    def __init__(self, description: StudyDescription, history: History) -> None:
        self.description, self.history = description, history
        self.limit = description.n_evaluations
        self._bounds: dict[str, tuple[Bound, ...]] = {}  # none before the baseline
        self.growths = {goal.name: Growth(len(goal.objectives)) for goal in description.goals}
        self.reasons = ReasonCounts()
        self._has_baseline = False
        self._started_at = time.monotonic()
        self._before = history.effort
        if history.baseline is not None:
            self.add_baseline()
        for trial in history.trials:
            self.add(trial)

    def add_baseline(self) -> None:
        """Take note of the baseline: from here on, constraints have numbers, and rates count."""
        self._started_at = time.monotonic()
        baseline = self.history.baseline
        if baseline is not None and not self._has_baseline:
            self._has_baseline = True
            for goal in self.description.goals:
                self._bounds[goal.name] = self.history.bounds(goal.constraints)
            self.add(baseline)

    def add(self, trial: Trial) -> None:
        """Take note of a told trial."""
        measurement = trial.measurement
        if measurement.status is Status.FAILED:
            self.reasons.add(measurement.reason)
        for goal in self.description.goals:
            seen = whole(measurement, goal.wanted)
            if counts(seen, self._bounds.get(goal.name, ())):
                self.growths[goal.name].add(minimised([seen.values], goal.objectives)[0])

    @property
    def front(self) -> str:
        """How far the fronts have grown, in words."""
        return growth_text(self.growths)

    @property
    def rate_per_minute(self) -> float:
        """Paid evaluations per minute in this session, in full ones, preparation left out."""
        minutes = (time.monotonic() - self._started_at) / 60
        return (self.history.effort - self._before) / max(minutes, 1e-9)

    def line(self) -> str:
        """Return everything in one line."""
        history = self.history
        n_infeasible = len(history.trials) - history.n_paid
        n_failed = history.n_paid - history.n_complete
        paid, rate = spent(history, self.limit, sign="/"), numeral(self.rate_per_minute, digits=2)
        return (
            f"{paid} evaluations, {rate}/min, "
            f"front: {self.front}, {n_infeasible} infeasible, {n_failed} failed"
        )


class PlainProgress(Observer):
    """One line now and then, for logs and pipes.

    Args:
        console: Where lines go; standard error if not given.
    """

    def __init__(self, console: Console | None = None) -> None:
        self._console = console or Console(file=sys.stderr, soft_wrap=True, highlight=False)
        self._tally: Tally | None = None
        self._printed_at = -LINE_SECONDS

    def begin(self, description: StudyDescription, history: History) -> None:
        self._tally = Tally(description, history)
        again = f", {len(history.trials)} trials told before" if history.trials else ""
        searched = f", searcher {description.searcher}" if description.searcher else ""
        self.say(f"study '{description.name}'{searched}{again}")

    def say(self, sentence: str) -> None:
        self._console.print(for_terminal(sentence), markup=False, emoji=False)

    def baseline(self, values: Mapping[str, float]) -> None:
        assert self._tally is not None
        self._tally.add_baseline()
        self.say(f"baseline: {_named(self._tally.description, values)}")

    def plan(self, n_evaluations: int) -> None:
        assert self._tally is not None
        self._tally.limit = n_evaluations

    def told(self, trial: Trial) -> None:
        assert self._tally is not None
        self._tally.add(trial)
        if trial.measurement.status is Status.FAILED:
            self.say(f"trial {trial.number} failed: {trial.measurement.reason}")
        now = time.monotonic()
        if now - self._printed_at >= LINE_SECONDS:
            self._printed_at = now
            self.say(self._tally.line())

    def end(self) -> None:
        if self._tally is not None:
            self.say(self._tally.line())


class LiveProgress(Observer):
    """A display that stays in place: budget, rate, front, failures with their reasons.

    What is said is printed above it, and stays.

    Args:
        console: A terminal.
    """

    def __init__(self, console: Console) -> None:
        self._console = console
        self._tally: Tally | None = None
        self._live: Live | None = None
        self._drawn_at = 0.0

    def begin(self, description: StudyDescription, history: History) -> None:
        self._tally = Tally(description, history)
        self._live = Live(self._draw(), console=self._console, auto_refresh=False)
        self._live.start(refresh=True)

    def say(self, sentence: str) -> None:
        self._console.print(for_terminal(sentence), markup=False, emoji=False)

    def baseline(self, values: Mapping[str, float]) -> None:
        assert self._tally is not None
        self._tally.add_baseline()
        self.say(f"baseline: {_named(self._tally.description, values)}")

    def plan(self, n_evaluations: int) -> None:
        assert self._tally is not None
        self._tally.limit = n_evaluations

    def told(self, trial: Trial) -> None:
        assert self._tally is not None
        self._tally.add(trial)
        self._show(always=False)

    def end(self) -> None:
        if self._live is not None:
            self._show(always=True)
            self._live.stop()
            self._console.print()

    def _show(self, *, always: bool) -> None:
        now = time.monotonic()
        if self._live is not None and (always or now - self._drawn_at >= REFRESH_SECONDS):
            self._drawn_at = now
            self._live.update(self._draw(), refresh=True)

    def _draw(self) -> Group:
        tally = self._tally
        assert tally is not None
        history, description = tally.history, tally.description
        table = Table.grid(padding=(0, 2))
        table.add_column(style="dim")
        table.add_column()
        bar = ProgressBar(total=max(1, tally.limit), completed=history.effort, width=40)
        table.add_row("budget", bar)
        paid, rate = spent(history, tally.limit), numeral(tally.rate_per_minute, digits=2)
        table.add_row("evaluations", f"{paid}, {rate} per minute")
        table.add_row("front", tally.front)
        n_infeasible = len(history.trials) - history.n_paid
        table.add_row("turned away", f"{n_infeasible} by a cheap count, at no cost")
        for n, reason in tally.reasons.lines(N_REASONS):
            table.add_row(Text(f"failed x{n}", style="red"), Text(for_terminal(reason)))
        name, searcher = for_terminal(description.name), for_terminal(description.searcher)
        title = Text.assemble((name, "bold"), f"  {searcher}")
        return Group(title, table)


def progress_for(console: Console) -> Observer:
    """Return a live display if `console` is a terminal, else plain lines."""
    return LiveProgress(console) if console.is_terminal else PlainProgress(console)


def _named(description: StudyDescription, values: Mapping[str, float]) -> str:
    wanted = [o for o in description.objectives if o.name in values]
    return ", ".join(
        f"{o.name} {numeral(values[o.name])}{' ' + o.unit if o.unit else ''}" for o in wanted
    )
