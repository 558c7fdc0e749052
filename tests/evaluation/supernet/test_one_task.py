"""Networks of one task alone: cut from those of all tasks, and exported."""

from functools import partial
from pathlib import Path

import numpy as np
import pytest

from niwaki.core.errors import ConfigError
from niwaki.evaluation.base import Provenance
from niwaki.evaluation.supernet.evaluator import SupernetEvaluator
from niwaki.export.bundle import read_bundle, verify_bundle
from niwaki.tasks.digit_scenes import DigitScenesSettings, load
from tests.evaluation.conftest import SPACE, make_evaluator
from tests.hasty import HASTY


@pytest.fixture(scope="module")
def digits(
    scenes: DigitScenesSettings, evaluator: SupernetEvaluator, folder: Path
) -> SupernetEvaluator:
    """The evaluator of the session, which also looks at networks of one task."""
    settings = make_evaluator(scenes)._settings
    load_data = partial(load, scenes, seed=0)
    found = SupernetEvaluator(load_data, SPACE, HASTY, alone=("digit",), settings=settings)
    found.prepare(folder)
    return found


def test_costs_are_those_of_what_the_task_needs(digits: SupernetEvaluator) -> None:
    candidate = digits.space.sample(np.random.default_rng(0))
    values = digits.evaluate(candidate, fidelity=1.0, seed=0).values
    assert {value.name for value in digits.values} <= set(values)
    for cost in ("macs", "params", "weight_bytes", "size_bytes"):
        assert 0.0 < values[f"digit_{cost}"] < values[cost]


def test_what_is_exported_answers_the_task_alone(digits: SupernetEvaluator, tmp_path: Path) -> None:
    candidate = digits.space.sample(np.random.default_rng(1))
    alone = digits.alone("digit")
    provenance = Provenance("small", (), "0123456789abcdef")
    export = alone.export(candidate, tmp_path / "digit", provenance=provenance, seed=0)
    [timed] = alone.measure_exports([export], seed=0)
    card = read_bundle(export.folder).card
    assert [task.name for task in card.tasks] == ["digit"]
    assert verify_bundle(export.folder).passed
    assert timed.measurement.key == candidate.key
    assert set(timed.measurement.values) == {value.name for value in alone.exported_values}
    assert timed.measurement.values["digit_macs"] == digits.cheap(candidate)["digit_macs"]
    searched = digits.evaluate(candidate, fidelity=1.0, seed=0).values["digit_size_bytes"]
    assert timed.measurement.values["digit_size_bytes"] == pytest.approx(
        searched, abs=1_000
    )  # its metadata


def test_a_task_that_is_not_there_is_named(digits: SupernetEvaluator) -> None:
    with pytest.raises(ConfigError, match="no task 'digits'; did you mean 'digit'"):
        digits.alone("digits")
