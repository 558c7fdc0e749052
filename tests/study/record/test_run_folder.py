"""A run folder belongs to one study."""

from pathlib import Path

import pytest

from niwaki.config.yaml_file import read_yaml
from niwaki.core.errors import RunFolderError
from niwaki.core.jsonable import JSON
from niwaki.study.record.events import Started
from niwaki.study.record.ledger import Ledger
from niwaki.study.record.run_folder import RunFolder, config_hash, without
from niwaki.study.record.run_lock import is_locked

CONFIG: dict[str, JSON] = {
    "seed": 7,
    "rate": 1e-5,
    "budget": {"evaluations": 100},
    "executor": {"n_workers": 2, "timeout_s": None},
    "tags": ("on", "1e-5", "é"),
}
FREE = ("budget", "executor.n_workers")


@pytest.fixture
def folder(tmp_path: Path) -> RunFolder:
    return RunFolder(tmp_path / "runs" / "digits")


def test_claiming_creates_locks_and_stores_the_config(folder: RunFolder) -> None:
    with folder.claim(CONFIG):
        assert is_locked(folder.lock)
        stored = folder.read_config()
    assert stored == {**CONFIG, "tags": ["on", "1e-5", "é"]}
    assert not is_locked(folder.lock)


def test_the_same_study_continues(folder: RunFolder) -> None:
    folder.claim(CONFIG).release()
    folder.claim(CONFIG).release()


def test_text_and_numbers_are_stored_as_such(folder: RunFolder) -> None:
    options: dict[str, JSON] = {"text": "1e5", "number": 1e-5, "12e4567": ["1e5", 1e22, "1", 1]}
    folder.claim({"options": options}).release()
    stored = read_yaml(folder.config)
    assert repr(stored) == repr({"options": options})
    assert repr(folder.read_config()) == repr(stored)


def test_an_empty_folder_will_do_and_one_of_something_else_will_not(folder: RunFolder) -> None:
    folder.path.mkdir(parents=True)
    (folder.path / ".gitignore").touch()
    folder.claim(CONFIG).release()
    other = RunFolder(folder.path.parent / "photographs")
    other.path.mkdir()
    (other.path / "garden.jpg").touch()
    with pytest.raises(RunFolderError, match=r"is no run, and holds other files, .* garden\.jpg"):
        other.claim(CONFIG)
    assert [each.name for each in other.path.iterdir()] == ["garden.jpg"]


def test_a_config_of_the_users_own_makes_no_run(folder: RunFolder) -> None:
    (folder.path / "earlier").mkdir(parents=True)
    (folder.path / "earlier" / "notes.txt").write_text("irreplaceable")
    folder.config.write_text("# my notes\nseed: 1\n")
    with pytest.raises(RunFolderError, match=r"is no run, and holds other files"):
        folder.claim(CONFIG)
    assert folder.config.read_text() == "# my notes\nseed: 1\n"
    assert sorted(each.name for each in folder.path.iterdir()) == ["config.yaml", "earlier"]


def test_a_copied_run_without_its_lock_is_a_run(folder: RunFolder) -> None:
    folder.claim(CONFIG).release()
    with Ledger.open(folder.trials) as ledger:
        ledger.append(Started("digits", "", 0))
    folder.lock.unlink()
    folder.claim(CONFIG).release()


def test_a_session_that_died_before_it_began_leaves_a_folder_that_will_do(
    folder: RunFolder,
) -> None:
    folder.artifacts.mkdir(parents=True)
    folder.lock.touch()
    folder.claim(CONFIG).release()


def test_a_claimed_folder_cannot_be_claimed_again(folder: RunFolder) -> None:
    with folder.claim(CONFIG), pytest.raises(RunFolderError, match="in use"):
        folder.claim(CONFIG)


def test_other_settings_are_named_with_old_and_new_values(folder: RunFolder) -> None:
    folder.claim(CONFIG).release()
    folder.artifact("supernet").mkdir()
    other = {**CONFIG, "seed": 8, "executor": {"n_workers": 2, "timeout_s": 60}}
    with pytest.raises(RunFolderError) as caught:
        folder.claim(other)
    assert "executor.timeout_s was null and is now 60; seed was 7 and is now 8" in str(caught.value)
    assert "another name" in str(caught.value)
    assert not is_locked(folder.lock)
    assert folder.read_config()["seed"] == 7


@pytest.mark.parametrize("damaged", ["seed: 7\nrate:", "seed: [", "", "seed: 8\n", None])
def test_settings_that_were_damaged_or_lost_are_those_that_the_ledger_knows(
    folder: RunFolder, damaged: str | None
) -> None:
    with folder.claim(CONFIG), Ledger.open(folder.trials) as ledger:
        ledger.append(Started("digits", config_hash(CONFIG, free=FREE), seed=7))
    folder.artifact("supernet").mkdir()
    folder.config.unlink() if damaged is None else folder.config.write_text(damaged)
    with pytest.raises(RunFolderError):
        folder.claim({**CONFIG, "rate": 1.0}, free=FREE)
    folder.claim({**CONFIG, "budget": {"evaluations": 200}}, free=FREE).release()
    assert folder.read_config() == {
        **CONFIG,
        "budget": {"evaluations": 200},
        "tags": ["on", "1e-5", "é"],
    }


def test_where_nothing_was_prepared_or_measured_other_settings_take_over(folder: RunFolder) -> None:
    with folder.claim(CONFIG), Ledger.open(folder.trials) as ledger:
        ledger.append(Started("digits", "0" * 16, seed=7))
    folder.claim({**CONFIG, "seed": 8}).release()
    assert folder.read_config()["seed"] == 8
    assert not folder.trials.exists()


def test_what_a_session_began_with_is_nothing_prepared(folder: RunFolder) -> None:
    """A metric that is refused when it is first asked is a mistake, too."""
    noted = [folder.artifacts / f"{name}.json" for name in ("original", "data", "target")]
    folder.claim(CONFIG).release()
    for path in noted:
        path.write_text("{}")
    folder.claim({**CONFIG, "seed": 8}).release()
    assert not any(path.exists() for path in noted)
    for path in (*noted, folder.artifacts / "importance.json"):
        path.write_text("{}")
    with pytest.raises(RunFolderError, match="seed was 8 and is now 9"):
        folder.claim({**CONFIG, "seed": 9})
    assert all(path.exists() for path in noted)


def test_what_a_damaged_ledger_held_is_not_guessed(folder: RunFolder) -> None:
    folder.claim(CONFIG).release()
    folder.trials.write_text("damaged\n")
    with pytest.raises(RunFolderError, match="seed was 7 and is now 8"):
        folder.claim({**CONFIG, "seed": 8})


def test_free_settings_may_change_and_are_stored(folder: RunFolder) -> None:
    folder.claim(CONFIG, free=FREE).release()
    longer = {**CONFIG, "budget": {"hours": 1}, "executor": {"n_workers": 8, "timeout_s": None}}
    folder.claim(longer, free=FREE).release()
    assert folder.read_config()["budget"] == {"hours": 1}


def test_a_removed_setting_is_a_difference(folder: RunFolder) -> None:
    folder.claim(CONFIG).release()
    folder.artifact("supernet").mkdir()
    fewer = {key: value for key, value in CONFIG.items() if key != "rate"}
    with pytest.raises(RunFolderError, match=r"rate was 1e-05 and is now absent"):
        folder.claim(fewer)


def test_trials_without_a_config_are_not_taken_over(folder: RunFolder) -> None:
    folder.path.mkdir(parents=True)
    with Ledger.open(folder.trials) as ledger:
        ledger.append(Started("digits", "", 0))
    with pytest.raises(RunFolderError, match="trials but no config"):
        folder.claim(CONFIG)


@pytest.mark.parametrize("empty", [True, False])
def test_results_without_their_ledger_are_not_written_over(folder: RunFolder, empty: bool) -> None:
    folder.claim({"seed": 0}).release()
    folder.pareto_json.write_text("{}")
    if empty:
        folder.trials.touch()
    with pytest.raises(RunFolderError, match=r"has results .* but no trials in trials\.jsonl"):
        folder.claim({"seed": 0})
    folder.pareto_json.unlink()
    folder.claim({"seed": 0}).release()


def test_the_hash_ignores_free_settings_alone() -> None:
    longer = {**CONFIG, "budget": {"evaluations": 200}}
    assert config_hash(CONFIG, free=FREE) == config_hash(longer, free=FREE)
    assert config_hash(CONFIG) != config_hash(longer)
    assert config_hash(CONFIG, free=FREE) != config_hash({**CONFIG, "seed": 8}, free=FREE)


def test_without_removes_nested_keys_only_where_named() -> None:
    assert without({"a": {"b": 1, "c": 2}, "b": 3}, ("a.b",)) == {"a": {"c": 2}, "b": 3}


@pytest.mark.parametrize("text", ["[1", "- 1", "\udcff", "[" * 100_000, f"a: {'1' * 5000}"])
def test_a_damaged_config_is_an_error(folder: RunFolder, text: str) -> None:
    folder.path.mkdir(parents=True)
    folder.config.write_bytes(text.encode(errors="surrogateescape"))
    with pytest.raises(RunFolderError, match="writes it anew"):
        folder.read_config()


def test_a_run_that_does_not_exist_is_an_error(folder: RunFolder) -> None:
    with pytest.raises(RunFolderError, match="no run at"):
        folder.read_config()


def test_the_environment_is_stored_when_it_changes(folder: RunFolder) -> None:
    folder.path.mkdir(parents=True)
    first: dict[str, JSON] = {"python": "3.11", "packages": {"torch": "2.9"}}
    second: dict[str, JSON] = {"python": "3.11", "packages": {"torch": "2.13"}}
    assert folder.record_environment(first) == []
    written = folder.environment.read_text()
    assert folder.record_environment(first) == []
    assert folder.environment.read_text() == written
    assert folder.record_environment(second) == ["packages.torch"]
    assert folder.environment.read_text().count('"environment"') == 2


def test_a_section_that_came_later_and_is_empty_is_no_other_setting(folder: RunFolder) -> None:
    folder.claim(CONFIG).release()
    folder.claim({**CONFIG, "scheduler": None}).release()
    folder.artifact("supernet").mkdir()
    with pytest.raises(RunFolderError, match="scheduler was null and is now"):
        folder.claim({**CONFIG, "scheduler": {"kind": "asha"}})


def test_a_setting_that_came_later_and_is_not_given_is_none_either(folder: RunFolder) -> None:
    values: JSON = {"accuracy": {"direction": "maximize"}, "stages": [{"width": 8}]}
    folder.claim({**CONFIG, "values": values}).release()
    later: dict[str, JSON] = {
        "accuracy": {"direction": "maximize", "least": None},
        "stages": [{"width": 8, "height": None}],
    }
    folder.claim({**CONFIG, "values": later}).release()
    folder.artifact("supernet").mkdir()
    given: JSON = {**later, "accuracy": {"direction": "maximize", "least": 0.0}}
    with pytest.raises(RunFolderError, match=r"values\.accuracy\.least was null and is now 0"):
        folder.claim({**CONFIG, "values": given})


@pytest.mark.parametrize(
    "text", ["[" * 100_000, "[]", '{"sessions": [{"at": "", "environment": []}, {}]}']
)
def test_a_damaged_environment_is_told(folder: RunFolder, text: str) -> None:
    folder.path.mkdir(parents=True)
    folder.environment.write_text(text)
    with pytest.raises(RunFolderError, match=r"environment\.json' cannot be read .*: delete it"):
        folder.sessions()


def test_an_environment_that_cannot_be_read_is_told(folder: RunFolder) -> None:
    folder.environment.mkdir(parents=True)
    with pytest.raises(RunFolderError, match=r"environment\.json' cannot be read"):
        folder.record_environment({})


def test_a_name_that_no_folder_can_have_is_told(folder: RunFolder) -> None:
    folder.path.parent.mkdir()
    with pytest.raises(RunFolderError, match=r"cannot be (read|written): .*File name too long"):
        RunFolder(folder.path.parent / ("n" * 300)).claim(CONFIG)
