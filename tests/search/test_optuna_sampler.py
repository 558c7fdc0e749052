"""Optuna's samplers: what is peculiar to them."""

import logging
from collections.abc import Sequence

import numpy as np
import optuna
import pytest
from optuna.trial import TrialState

from niwaki.core import Direction, Measurement, Objective, Trial
from niwaki.core.candidate import Candidate, Value
from niwaki.core.errors import ConfigError
from niwaki.search import Problem
from niwaki.search.optuna_factory import SAMPLERS
from niwaki.search.optuna_sampler import OptunaSearcher, OptunaSettings, suggested
from niwaki.spaces import Choice, ChoiceSpace, JointSpace, Space
from niwaki.spaces.grammar import Budget, GrammarSpace, read_grammar
from niwaki.testing.toy_run import search
from niwaki.testing.toy_troubles import all_toys
from niwaki.testing.toys import Toy

TOYS = {toy.name: toy for toy in all_toys()}


class Watched(optuna.samplers.RandomSampler):
    """Keeps the study that it sampled for."""

    def __init__(self, seed: int) -> None:
        super().__init__(seed)
        self.study: optuna.Study | None = None

    def sample_independent(
        self,
        study: optuna.Study,
        trial: optuna.trial.FrozenTrial,
        param_name: str,
        param_distribution: optuna.distributions.BaseDistribution,
    ) -> object:
        self.study = study
        return super().sample_independent(study, trial, param_name, param_distribution)


def trials_of(toy: Toy, n: int) -> list[optuna.trial.FrozenTrial]:
    """Return Optuna's own record of a search."""
    made: list[Watched] = []

    def make(seed: int) -> Watched:
        made.append(Watched(seed))
        return made[-1]

    search(OptunaSearcher(toy.problem(seed=0), OptunaSettings(make)), toy, n)
    studies = [sampler.study for sampler in made if sampler.study is not None]
    return studies[0].get_trials()


@pytest.mark.parametrize("name", [name for name in SAMPLERS if name != "gp"])
def test_every_named_sampler_finds_candidates(name: str) -> None:
    toy = TOYS["bounded"]
    asked = search(OptunaSearcher(toy.problem(seed=0), OptunaSettings(name)), toy, 13).asked
    assert len(set(asked)) == 13


def test_gp_finds_candidates_and_resumes() -> None:
    toy, settings = TOYS["bounded"], OptunaSettings("gp", {"n_startup_trials": 4})
    whole = search(OptunaSearcher(toy.problem(seed=0), settings), toy, 7)
    assert len(set(whole.asked)) == 7
    resumed = OptunaSearcher(toy.problem(seed=0), settings)
    resumed.resume(whole.asked[:6])
    resumed.tell(whole.told[:6])
    assert resumed.ask(1) == [whole.asked[6]]


def test_a_failed_trial_fails_in_optuna() -> None:
    toy = TOYS["failing"]
    trials = trials_of(toy, 30)
    n_failed = sum(trial.state is TrialState.FAIL for trial in trials)
    assert len(trials) == 30
    assert 5 <= n_failed <= 15
    assert all(trial.state.is_finished() for trial in trials)


def test_bounds_are_optunas_constraints() -> None:
    worst = [0.0, 0.0]
    for trial in trials_of(TOYS["bounded"], 30):
        slacks = [trial.constraints[key] for key in sorted(trial.constraints)]
        accuracy, cost = trial.values
        if slacks[0] > 0.0:  # turned away for its cost: the worst values so far stand in
            assert [accuracy, cost] == worst
            continue
        assert slacks == pytest.approx([(cost - 15.0) / 15.0, (-7.5 - accuracy) / 7.5])
        worst = [min(worst[0], accuracy), max(worst[1], cost)]


def test_values_keep_their_own_direction() -> None:
    toy = TOYS["flat"]
    trials = trials_of(toy, 5)
    assert all(trial.values[0] < 0.0 < trial.values[1] for trial in trials)


@pytest.mark.parametrize("name", ["tpe", "nsga2"])
def test_it_is_silent_and_leaves_the_users_logging_alone(
    name: str, capfd: pytest.CaptureFixture[str]
) -> None:
    optuna.logging.set_verbosity(optuna.logging.DEBUG)
    try:
        toy = TOYS["bounded"]
        search(OptunaSearcher(toy.problem(seed=0), OptunaSettings(name)), toy, 15)
        assert optuna.logging.get_verbosity() == logging.DEBUG
    finally:
        optuna.logging.set_verbosity(optuna.logging.INFO)
    assert capfd.readouterr() == ("", "")


def test_the_same_path_may_have_other_options_each_time() -> None:
    study = optuna.create_study()

    def walk(options: Sequence[Value]) -> Value:
        return suggested(study.ask())("width", options)

    assert walk((1, 2)) in (1, 2)
    assert walk(((3, 4), "x", None)) in ((3, 4), "x", None)
    assert walk((5,)) == 5


def test_a_sampler_object_lives_as_long_as_the_search() -> None:
    sampler = optuna.samplers.TPESampler(seed=1, n_startup_trials=5)
    toy = TOYS["flat"]
    searcher = OptunaSearcher(toy.problem(seed=0), OptunaSettings(lambda seed: sampler))
    assert len(set(search(searcher, toy, 12).asked)) == 12


def tpe(seed: int, n_startup_trials: int) -> optuna.samplers.BaseSampler:
    """Make a sampler: named by path below."""
    return optuna.samplers.TPESampler(seed=seed, n_startup_trials=n_startup_trials)


def forgetful(seed: int) -> None:
    """Make a sampler, and do not return it."""
    optuna.samplers.TPESampler(seed=seed)


@pytest.mark.parametrize("path", [f"{__name__}:tpe", "optuna.samplers:TPESampler"])
def test_a_factory_can_be_named_by_path(path: str) -> None:
    settings = OptunaSettings(path, {"n_startup_trials": 3})
    searcher = OptunaSearcher(TOYS["flat"].problem(seed=0), settings)
    assert len(search(searcher, TOYS["flat"], 6).asked) == 6


@pytest.mark.parametrize(
    ("sampler", "options", "said"),
    [
        ("tpee", {}, r"no Optuna sampler 'tpee'; did you mean 'tpe'\?"),
        ("TPESample", {}, "did you mean 'TPESampler'"),
        ("__name__", {}, "no Optuna sampler '__name__'"),
        ("tpe", {"n_startup": 3}, "no option 'n_startup'; did you mean 'n_startup_trials'"),
        ("nsga2", {"population_size": 1}, "cannot be made: `population_size`"),
        ("PartialFixedSampler", {}, "cannot be made: "),
        ("BruteForceSampler", {}, "only works in Optuna's own loop"),
        ("no_such_module:make", {}, "cannot be imported"),
        (f"{__name__}:forgetful", {}, "'forgetful' made a NoneType, but an Optuna sampler"),
        (
            f"{__name__}:tpe",
            {"n": 3},
            r"'tpe', .* called with \(seed, n=\.\.\.\): .* or other options",
        ),
    ],
)
def test_settings_that_make_no_sense_are_refused(
    sampler: str, options: dict[str, int], said: str
) -> None:
    with pytest.raises(ConfigError, match=said):
        OptunaSettings(sampler, options)


def test_an_option_that_only_an_ask_finds_out_about_is_told() -> None:
    settings = OptunaSettings("tpe", {"n_startup_trials": "x"})
    with pytest.raises(ConfigError, match=r"TPESampler can propose nothing.*other options"):
        search(OptunaSearcher(TOYS["flat"].problem(seed=0), settings), TOYS["flat"], 6)


def test_a_sampler_for_one_objective_says_so() -> None:
    searcher = OptunaSearcher(TOYS["flat"].problem(seed=0), OptunaSettings("CmaEsSampler"))
    with pytest.raises(ConfigError, match=r"CmaEsSampler.*multi-objective.*another sampler"):
        searcher.ask(1)


def test_a_proposal_that_was_asked_before_is_replaced_by_its_neighbour() -> None:
    space = ChoiceSpace((Choice("a", tuple(range(40))),))
    problem = Problem(space, (Objective("value", Direction.MINIMIZE),))

    class Stubborn(optuna.samplers.RandomSampler):
        def sample_independent(self, *arguments: object) -> object:
            return 7

    searcher = OptunaSearcher(problem, OptunaSettings(lambda seed: Stubborn()))
    asked = searcher.ask(40)
    assert asked[0].decisions["a"] == 7
    assert len(set(asked)) == 40


TREES = GrammarSpace(
    read_grammar(
        "start N\nterminal a(k=1|2|3), b, split [symmetric], add [commutative]\n"
        "N -> chain: N N [0.4] | a | b | fork@branch: split N N add [0.3]"
    ),
    Budget(operations=12),
    expected_operations=4.0,
)
PRECISION = ChoiceSpace((Choice("precision", ("fp32", "int8")),))


@pytest.mark.parametrize("sampler", ["tpe", "nsga2"])
@pytest.mark.parametrize(
    "space",
    [TREES, JointSpace({"tree": TREES, "layers": PRECISION})],
    ids=["trees", "trees and precisions"],
)
def test_trees_that_optuna_did_not_propose_are_told_and_resumed(space: Space, sampler: str) -> None:
    problem = Problem(space, (Objective("length", Direction.MINIMIZE),), seed=1)
    settings = OptunaSettings(sampler)
    elsewhere = space.sample(np.random.default_rng(5))

    def told(number: int, candidate: Candidate) -> list[Trial]:
        length = {"length": float(abs(len(str(candidate)) - 60))}
        return [Trial(number, candidate, Measurement(candidate.key, length))]

    searcher, asked = OptunaSearcher(problem, settings), []
    searcher.tell(told(-1, elsewhere))
    for number in range(30):
        asked += searcher.ask(1)
        searcher.tell(told(number, asked[-1]))
    assert len(set(asked)) == 30

    resumed = OptunaSearcher(problem, settings)
    resumed.resume(asked[:20])
    resumed.tell(told(-1, elsewhere))
    for number, candidate in enumerate(asked[:20]):
        resumed.tell(told(number, candidate))
    assert resumed.ask(1) == [asked[20]]
