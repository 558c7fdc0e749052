"""What people are shown while a search runs."""

import io
import re
from dataclasses import replace
from pathlib import Path

import pytest
from rich.console import Console

from niwaki.core.candidate import Candidate
from niwaki.core.measurement import Measurement, Trial
from niwaki.search.base import Problem
from niwaki.search.listed import Listed
from niwaki.search.nsga2 import NSGA2
from niwaki.study.answers.tables import status_json, status_text
from niwaki.study.budget import Budget
from niwaki.study.record.history import History
from niwaki.study.record.run_lock import RunLock
from niwaki.study.results.run import Run
from niwaki.study.study import Study, StudySettings
from niwaki.study.watching.observer import Silence
from niwaki.study.watching.progress import LiveProgress, PlainProgress, Tally
from tests.study.formulas import SPACE, FormulaEvaluator, formula_study

SETTINGS = StudySettings(("gain", "price"), ("price <= 0.5 * baseline",), Budget(30))


class Watcher(Silence):
    """Keeps the number of evaluations that were announced."""

    def __init__(self) -> None:
        self.planned: list[int] = []
        self.n_told = 0

    def plan(self, n_evaluations: int) -> None:
        self.planned.append(n_evaluations)

    def told(self, trial: Trial) -> None:
        self.n_told += 1


class ThreeNetworks(FormulaEvaluator):
    """Knows three networks, and the baseline."""

    def initial(self) -> tuple[Candidate, ...]:
        low = SPACE.decide(lambda _, options: options[0])
        high = SPACE.decide(lambda _, options: options[-1])
        middle = SPACE.decide(lambda _, options: options[2])
        return (self.baseline(), low, high, middle)


class Diverging(FormulaEvaluator):
    """Fails now and then, each time after another number of steps."""

    def evaluate(self, candidate: Candidate, *, fidelity: float, seed: int) -> Measurement:
        if seed % 3 == 0 and candidate != self.baseline():
            raise RuntimeError(f"diverged after {seed} steps")
        return super().evaluate(candidate, fidelity=fidelity, seed=seed)


class _Interrupted(FormulaEvaluator):
    def evaluate(self, candidate: Candidate, *, fidelity: float, seed: int) -> Measurement:
        if candidate != self.baseline():
            raise KeyboardInterrupt
        return super().evaluate(candidate, fidelity=fidelity, seed=seed)


def test_what_a_search_that_ended_had_in_flight_is_repeated(tmp_path: Path) -> None:
    with pytest.raises(KeyboardInterrupt):
        formula_study(tmp_path / "run", _Interrupted()).run()
    run = Run.read(tmp_path / "run")
    assert "1 interrupted (repeated when the search continues), 0 infeas" in status_text(run)
    assert (status_json(run)["in_flight"], status_json(run)["interrupted"]) == (0, 1)
    with RunLock(run.folder.lock).acquire():
        assert ", 1 in flight, 0 infeas" in status_text(run)
        assert (status_json(run)["in_flight"], status_json(run)["interrupted"]) == (1, 0)


def test_a_search_that_ends_by_itself_says_how_many_evaluations_it_takes(tmp_path: Path) -> None:
    watcher = Watcher()
    settings = StudySettings(("gain", "price"), budget=Budget(15))
    study = Study(tmp_path / "run", ThreeNetworks(), Listed, settings, observer=watcher)
    study.run()
    assert (watcher.planned, watcher.n_told) == ([3], 3)
    assert Run.read(tmp_path / "run").description.n_evaluations == 3
    study.run()
    assert watcher.planned == [3, 3]


def test_a_search_that_may_go_on_is_shown_against_its_budget(tmp_path: Path) -> None:
    watcher = Watcher()
    Study(tmp_path / "run", FormulaEvaluator(), NSGA2, SETTINGS, observer=watcher).run()
    assert watcher.planned == []
    assert Run.read(tmp_path / "run").description.n_evaluations == 30


def test_what_continues_is_tallied_as_what_was_never_interrupted(tmp_path: Path) -> None:
    Study(tmp_path / "run", FormulaEvaluator(), NSGA2, SETTINGS).run()
    run = Run.read(tmp_path / "run")
    tally = Tally(run.description, run.history)
    assert tally.growths[""].factor == run.growth.factor
    feasible = [t for t in run.history.trials if t.measurement.values["price"] <= 48.0]
    assert 0 < len(tally.growths[""]) <= len(feasible) < 30


def test_a_rate_counts_no_preparation_and_less_than_one_a_minute_is_no_0(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = 1000.0
    monkeypatch.setattr("time.monotonic", lambda: now)
    Study(tmp_path / "run", FormulaEvaluator(), NSGA2, SETTINGS).run()
    run = Run.read(tmp_path / "run")
    tally = Tally(run.description, History.of([]))
    now += 600.0  # a super-network is trained
    tally.history = run.history
    tally.add_baseline()
    now += 3600.0
    assert " evaluations, 0.5/min, " in tally.line()


def test_failures_that_differ_in_numbers_are_told_in_one_line(tmp_path: Path) -> None:
    Study(tmp_path / "run", Diverging(), NSGA2, SETTINGS).run()
    run = Run.read(tmp_path / "run")
    (said,) = [line for line in status_text(run).splitlines() if line.startswith("failed x")]
    assert len(run.failures) > 1
    assert said == f"failed x{len(run.failures)}: {run.failures[0].reason}"
    (shown,) = Tally(run.description, run.history).reasons.lines(3)
    assert shown == (len(run.failures), run.failures[0].reason)


def test_both_displays_show_the_evaluations_that_there_will_be(tmp_path: Path) -> None:
    for display in (PlainProgress, LiveProgress):
        text = io.StringIO()
        observer = display(Console(file=text, width=200))
        settings = StudySettings(("gain", "price"), budget=Budget(15))
        folder = tmp_path / display.__name__
        Study(folder, ThreeNetworks(), Listed, settings, observer=observer).run()
        assert "3/3 evaluations" in text.getvalue() or "3 of 3" in text.getvalue()


def test_a_long_sentence_is_read_to_its_end_on_a_narrow_terminal(tmp_path: Path) -> None:
    text = io.StringIO()
    console = Console(file=text, width=50, force_terminal=True, soft_wrap=True, highlight=False)
    observer = LiveProgress(console)
    study = Study(tmp_path / "run", FormulaEvaluator(), NSGA2, SETTINGS, observer=observer)
    observer.begin(study.description, History.of([]))
    observer.say("waiting for process 4711, which holds the machine, and the remedy is at its end")
    observer.end()
    assert "the remedy is at its end" in " ".join(text.getvalue().split())


def test_what_looks_like_a_command_to_a_terminal_is_shown_as_it_is() -> None:
    for display in (PlainProgress, LiveProgress):
        text = io.StringIO()
        display(Console(file=text, width=80)).say("x:a:y [red]z[/] \x1b[31m")
        assert text.getvalue() == "x:a:y [red]z[/] \\x1b[31m\n"


def test_names_that_look_like_commands_are_shown_as_they_are(tmp_path: Path) -> None:
    text = io.StringIO()
    observer = LiveProgress(Console(file=text, width=80, force_terminal=True))
    study = Study(tmp_path / "run", FormulaEvaluator(), NSGA2, SETTINGS, observer=observer)
    odd = replace(study.description, name="a\x1b]0;b", searcher="c\x1b[31m")
    observer.begin(odd, History.of([]))
    observer.end()
    assert r"a\x1b]0;b" in text.getvalue() and r"c\x1b[31m" in text.getvalue()


def test_what_was_said_stays_on_a_terminal(tmp_path: Path) -> None:
    text = io.StringIO()
    observer = LiveProgress(Console(file=text, width=80, force_terminal=True, soft_wrap=True))
    study = Study(tmp_path / "run", FormulaEvaluator(), NSGA2, SETTINGS, observer=observer)
    observer.begin(study.description, History.of([]))
    for sentence in ("a file has changed", "the search begins", "the search is over"):
        observer.say(sentence)
    observer.end()
    assert _on_screen(text.getvalue())[:3] == [
        "a file has changed",
        "the search begins",
        "the search is over",
    ]


def _on_screen(written: str) -> list[str]:
    """Return the lines that a terminal shows of what was written to it."""
    lines, row = [""], 0
    for code, letter in re.findall(r"\x1b\[\??\d*(?:;\d+)*([a-zA-Z])|([^\x1b])", written):
        if code == "A":
            row -= 1
        elif code == "K":
            lines[row] = ""
        elif letter == "\n":
            row += 1
            lines += [""] * (row == len(lines))
        elif letter and letter != "\r":
            lines[row] += letter
    return lines


def test_nothing_is_left_to_a_list_whose_end_was_reached() -> None:
    evaluator = ThreeNetworks()
    listed = Listed(Problem(SPACE, evaluator.values[:2], initial=evaluator.initial()))
    assert listed.n_left == 4
    listed.ask(3)
    assert listed.n_left == 1
