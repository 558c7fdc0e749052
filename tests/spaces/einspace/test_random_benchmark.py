"""The benchmark of random networks: nothing is trained twice, and no training is lost silently."""

from dataclasses import replace
from pathlib import Path

import pytest

from benchmarks.einspace import FULL, SMALL
from benchmarks.einspace_random import SCREENING, RandomNetworks
from benchmarks.einspace_study import EVOLUTION, Plan, Scale, Setup

SCALE = replace(SMALL, train=128, epochs=2, macs=300_000, elements=50_000)


@pytest.fixture
def setup(tmp_path: Path) -> Setup:
    return Setup("invented", SCALE, tmp_path, n_workers=1)


def networks(setup: Setup) -> RandomNetworks:
    return RandomNetworks(setup, "weights", seed=0)


def test_what_was_trained_is_read(setup: Setup) -> None:
    trained = networks(setup).trained(3)
    [file] = setup.folder.iterdir()
    before = file.read_text()
    assert networks(setup).trained(3) == trained
    assert file.read_text() == before
    assert len({each.key for each in trained}) == 3


def test_a_network_that_was_begun_and_never_scored_has_failed(setup: Setup) -> None:
    networks(setup).trained(2)
    [file] = setup.folder.iterdir()
    *lines, _ = file.read_text().splitlines()
    file.write_text("\n".join(lines) + "\n")
    assert [each.failure for each in networks(setup).trained(2)] == ["", "torch crashed"]


def test_only_the_best_of_a_part_of_the_training_are_trained_in_full(setup: Setup) -> None:
    screened = replace(setup, scale=replace(SCALE, screened=1))
    shares = [each.share for each in networks(screened).trained(3)]
    assert sorted(shares) == [SCREENING, SCREENING, 1.0]


def test_results_of_another_scale_are_refused(setup: Setup) -> None:
    networks(setup).trained(1)
    with pytest.raises(SystemExit, match="another scale"):
        networks(replace(setup, scale=replace(SCALE, epochs=3)))


@pytest.mark.parametrize("task", ["digits", "invented"])
@pytest.mark.parametrize("scale", [SMALL, FULL], ids=["small", "full"])
def test_searches_can_start_from_the_known_networks(
    task: str, scale: Scale, tmp_path: Path
) -> None:
    setup = Setup(task, replace(scale, train=40, scored=40), tmp_path, n_workers=1)
    seeds = setup.evaluator(Plan(EVOLUTION, 4), seed=0).initial()
    assert len(seeds) == len(scale.known)
