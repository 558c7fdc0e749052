"""The command line: exit codes, messages, and one search from its start to its models."""

import itertools
import json
import os
import shutil
import signal
import subprocess
import sys
import time
import traceback
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest

from niwaki import cli
from niwaki.core.errors import ConfigError
from niwaki.export.bundle import read_bundle, verify_bundle
from niwaki.export.fast_path.fx_graph import build_graph
from niwaki.study.record.run_lock import RunLock
from niwaki.study.results.front import Front
from niwaki.study.results.run import Run, load_front
from tests.command_line import (
    COMMAND,
    FORMULAS,
    ROOT,
    TINY,
    Done,
    count,
    environment,
    events,
    finish,
    niwaki,
    start,
    write_config,
)
from tests.evaluation.compression.small import build
from tests.report.test_page import payload_of
from tests.study.executors.own_plugin import write_plugin

COMMANDS = [
    *("search", "compress", "status", "front", "export", "verify", "report", "predict", "bench"),
    *("list", "schema", "doctor", "grammar", "compare", "trials"),
]
Call = Callable[..., Done]
FULL = Path("/dev/full")
RUN_ERROR = ("RunFolderError", 8)


@pytest.fixture
def call(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Call:
    """Run the command line in this process, from an empty folder."""
    monkeypatch.chdir(tmp_path)

    def run(*arguments: str) -> Done:
        monkeypatch.setattr(sys, "argv", ["niwaki", *arguments])
        with pytest.raises(SystemExit) as stop:
            cli.main()
        out, err = capsys.readouterr()
        return Done(int(stop.value.code or 0), out, err)

    return run


@pytest.fixture(scope="module")
def searched(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Done]:
    """Return the folder that a tiny search was started from, and what it said."""
    folder = tmp_path_factory.mktemp("search")
    config = write_config(folder / "tiny.yaml", TINY)
    done = niwaki("search", config.name, "--json", cwd=folder)
    assert done.code == 0, done.err
    return folder, done


@pytest.fixture(scope="module")
def models(searched: tuple[Path, Done]) -> Path:
    """Return a folder with the exported models of the tiny search."""
    folder, _ = searched
    done = niwaki("export", "runs/tiny", "--to", "out", "--json", cwd=folder)
    assert done.code == 0, done.err
    assert all(model["passed"] for model in done.json["models"])
    return folder / "out"


@pytest.fixture
def formulas(call: Call, tmp_path: Path) -> Path:
    """Return the run folder of a finished search that cost nothing."""
    done = call("search", str(write_config(tmp_path / "formulas.yaml", FORMULAS)))
    assert done.code == 0, done.err
    return tmp_path / "runs" / "formulas"


def refused(done: Done, kind: str, code: int) -> str:
    """Check an error that was printed as JSON, and return its message."""
    error = done.json["error"]
    assert (done.code, error["kind"], error["code"]) == (code, kind, code)
    assert "Traceback" not in done.err
    return str(error["message"])


def test_a_traceback_begins_with_the_command(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "rash.py").write_text("raise RuntimeError('at import')\n")
    config = write_config(tmp_path / "rash.yaml", {**FORMULAS, "searcher": "rash.py:Mine"})
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "argv", ["niwaki", "search", str(config)])
    with pytest.raises(RuntimeError, match="at import") as caught:
        cli.main()
    names = [frame.name for frame in traceback.extract_tb(caught.value.__traceback__)]
    assert names[1] == "search"  # after this test itself


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_explains_itself(call: Call, command: str) -> None:
    done = call(command, "--help")
    assert done.code == 0
    assert f"Usage: niwaki {command}" in done.out


def test_help_names_every_command_and_cuts_no_sentence(call: Call) -> None:
    done = call("--help")
    assert done.code == 0
    assert "..." not in done.out.replace("[ARGS]...", "")
    assert all(f"  {command} " in done.out for command in COMMANDS)


@pytest.mark.parametrize("arguments", [[], ["--version"]])
def test_no_command_is_no_error(call: Call, arguments: list[str]) -> None:
    assert call(*arguments).out


def test_an_unknown_command_is_a_usage_error(call: Call) -> None:
    done = call("serch")
    assert done.code == 2
    assert "No such command 'serch'" in done.err


def test_an_unknown_key_is_a_config_error(call: Call, tmp_path: Path) -> None:
    config = str(write_config(tmp_path / "a.yaml", TINY, sed=3))
    message = refused(call("search", config, "--json"), "ConfigError", 2)
    assert "unknown key 'sed'; did you mean 'seed'?" in message
    done = call("search", config)
    assert (done.code, done.err) == (2, f"error: {message}\n")
    assert not (tmp_path / "runs").exists()


def test_a_missing_configuration_is_a_config_error(call: Call) -> None:
    message = refused(call("search", "nothing.yaml", "--json"), "ConfigError", 2)
    assert "there is no configuration at 'nothing.yaml'" in message


def npz(path: Path, n_items: int) -> dict[str, Any]:
    """Write a small data set and return the section that reads it."""
    images = np.zeros((n_items, 16, 16, 3), np.uint8)
    np.savez(path, inputs=images, age=np.arange(n_items, dtype=np.float32))
    return {"kind": "npz", "path": path.name, "tasks": {"age": {"kind": "regression"}}}


def test_a_missing_data_file_is_a_data_error(call: Call, tmp_path: Path) -> None:
    data = {**npz(tmp_path / "a.npz", 8), "path": "b.npz"}
    config = write_config(tmp_path / "a.yaml", TINY, data=data)
    message = refused(call("search", str(config), "--json"), "DataError", 4)
    assert "'b.npz' (file of the train split) does not exist. Relative paths start" in message


def test_an_empty_split_is_a_data_error(call: Call, tmp_path: Path) -> None:
    full, empty = npz(tmp_path / "a.npz", 8), npz(tmp_path / "b.npz", 0)
    data = {**full, "path": {"train": full["path"], "val": empty["path"]}}
    config = write_config(tmp_path / "a.yaml", TINY, data=data)
    message = refused(call("search", str(config), "--json"), "DataError", 4)
    assert "'b.npz' has no items" in message


def test_an_impossible_space_leaves_no_run_folder_behind(call: Call, tmp_path: Path) -> None:
    data = npz(tmp_path / "a.npz", 40)
    config = write_config(tmp_path / "a.yaml", TINY, data=data, objectives=["macs"])
    done = call("search", str(config), "--set", "space.default_decoder=[0]", "--json")
    assert "'space.default_decoder' is [0]" in refused(done, "SpaceError", 3)
    assert not (tmp_path / "runs" / "a").exists()


def test_an_unknown_objective_is_a_config_error(call: Call, tmp_path: Path) -> None:
    config = write_config(tmp_path / "a.yaml", FORMULAS, objectives=["gian"])
    message = refused(call("search", str(config), "--json"), "ConfigError", 2)
    assert "no value is called 'gian'; did you mean 'gain'? Known: gain, price" in message


def test_a_run_folder_in_use_is_refused(call: Call, tmp_path: Path) -> None:
    config = write_config(tmp_path / "a.yaml", FORMULAS)
    with (tmp_path / "held").open("w") as _:
        (tmp_path / "runs" / "a").mkdir(parents=True)
        holder = start_holder(tmp_path / "runs" / "a" / "lock")
    try:
        message = refused(call("search", str(config), "--json"), "RunFolderError", 8)
    finally:
        os.kill(holder, signal.SIGKILL)
        os.waitpid(holder, 0)
    assert str(holder) in message


def start_holder(lock: Path) -> int:
    """Fork a process that holds a lock until it is killed, and return its number."""
    ready, tell = os.pipe()
    number = os.fork()
    if number == 0:
        RunLock(lock).acquire()
        os.write(tell, b"!")
        while True:
            time.sleep(60)
    os.read(ready, 1)
    return number


def test_a_run_of_another_study_is_refused(call: Call, formulas: Path) -> None:
    done = call("search", "formulas.yaml", "--set", "seed=1", "--json")
    message = refused(done, "RunFolderError", 8)
    assert "holds a run with other settings: seed was 0 and is now 1. Give this run ano" in message


def test_a_longer_budget_continues_the_same_study(call: Call, formulas: Path) -> None:
    done = call("search", "formulas.yaml", "--set", "budget.evaluations=25", "--json")
    assert done.code == 0
    assert count(formulas, "baseline") == 1
    assert call("status", str(formulas), "--json").json["evaluations"] == 25


def test_an_older_schema_is_refused(call: Call, formulas: Path) -> None:
    from niwaki.study.record.events import Started
    from niwaki.study.record.ledger import encode_line

    ledger = formulas / "trials.jsonl"
    first, _, rest = ledger.read_bytes().partition(b"\n")
    begun = json.loads(first)
    old = Started(begun["study_id"], begun["config_hash"], begun["seed"], schema=0)
    ledger.write_bytes(encode_line(old) + rest)
    for command in (["status", str(formulas)], ["search", "formulas.yaml"]):
        message = refused(call(*command, "--json"), "LedgerError", 8)
        assert "schema 0" in message


@pytest.mark.parametrize("command", ["status", "front", "report", "trials"])
def test_a_missing_run_is_an_error(call: Call, command: str) -> None:
    message = refused(call(command, "runs/nothing", "--json"), "RunFolderError", 8)
    assert "there is no run at 'runs/nothing'" in message


def test_a_file_is_no_run(call: Call, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    assert "there is no run at 'file'" in refused(call("front", "file", "--json"), *RUN_ERROR)


def test_a_report_that_cannot_be_written_says_so(call: Call, formulas: Path) -> None:
    done = call("report", str(formulas), "--to", "formulas.yaml/report.html", "--json")
    assert "'formulas.yaml/report.html' cannot be written" in refused(done, *RUN_ERROR)


@pytest.mark.parametrize("command", ["report", "predict"])
def test_settings_of_a_run_that_cannot_be_read_are_told(
    call: Call, formulas: Path, tmp_path: Path, command: str
) -> None:
    (formulas / "config.yaml").unlink()
    (formulas / "config.yaml").mkdir()
    candidate = tmp_path / "candidate.json"
    candidate.write_text("{}")
    asked = [] if command == "report" else ["--candidate", str(candidate)]
    message = refused(call(command, str(formulas), *asked, "--json"), *RUN_ERROR)
    assert "config.yaml' cannot be read" in message


def test_a_run_is_read_in_whatever_alphabet_the_terminal_is(
    call: Call, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = write_config(tmp_path / "é.yaml", FORMULAS, name="forêt")
    assert call("search", str(config)).code == 0
    for name, value in {"LC_ALL": "C", "PYTHONCOERCECLOCALE": "0", "PYTHONUTF8": "0"}.items():
        monkeypatch.setenv(name, value)
    (tmp_path / "runs" / "forêt").rename(tmp_path / "runs" / "forest")
    done = niwaki("report", "runs/forest", cwd=tmp_path)
    assert done.code == 0, done.err


def test_a_run_is_found_again_where_users_code_changes_the_working_directory(
    call: Call, tmp_path: Path
) -> None:
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "own.py").write_text(
        "import os\n"
        "from tests.study.formulas import FormulaEvaluator\n"
        "class Own(FormulaEvaluator):\n"
        "    def prepare(self, folder):\n"
        "        os.chdir('elsewhere')\n"
        "def create(settings: None, ingredients):\n"
        "    return Own()\n"
    )
    write_config(tmp_path / "own.yaml", FORMULAS, evaluator={"kind": "own.py:create"})
    done = call("search", "own.yaml", "--json")
    assert done.code == 0, done.err
    assert (tmp_path / done.json["report"]).is_file()
    assert not any((tmp_path / "elsewhere").iterdir())


def test_what_users_code_prints_is_no_part_of_the_answer(call: Call, tmp_path: Path) -> None:
    (tmp_path / "talkative.py").write_text(
        "from tests.study.formulas import FormulaEvaluator\n"
        "class Talkative(FormulaEvaluator):\n"
        "    def cheap(self, candidate):\n"
        "        print('counting')\n"
        "        return super().cheap(candidate)\n"
        "    def evaluate(self, candidate, *, fidelity, seed):\n"
        "        print('training')\n"
        "        return super().evaluate(candidate, fidelity=fidelity, seed=seed)\n"
        "def create(settings: None, ingredients):\n"
        "    return Talkative()\n"
    )
    write_config(tmp_path / "own.yaml", FORMULAS, evaluator={"kind": "talkative.py:create"})
    done = call("search", "own.yaml", "--json")
    assert done.json["models"]
    assert "training" in done.err
    (tmp_path / "c.json").write_text(json.dumps(done.json["models"][0]["candidate"]))
    predicted = call("predict", done.json["run"], "--candidate", "c.json", "--json")
    assert predicted.json
    assert "counting" in predicted.err


def test_what_programs_of_users_code_print_is_no_part_of_the_answer(tmp_path: Path) -> None:
    (tmp_path / "outer.py").write_text(
        "import ctypes, os, subprocess\n"
        "def train(decisions):\n"
        "    subprocess.run(['echo', 'from a program'], check=True)\n"
        "    ctypes.CDLL(None).puts(b'from native code')\n"
        "    return {'cost': decisions['width']}\n"
    )
    config = {
        "space": {"kind": "choices", "decisions": {"width": [1, 2]}},
        "evaluator": {
            "kind": "function",
            "function": "outer.py:train",
            "values": {"cost": {"direction": "minimize"}},
        },
        "objectives": ["cost"],
        "executor": {"kind": "in_process"},
    }
    write_config(tmp_path / "own.yaml", config)
    done = niwaki("search", "own.yaml", "--json", cwd=tmp_path)
    assert done.json["models"]
    assert "from a program" in done.err and "from native code" in done.err


def test_standard_streams_may_be_closed(tmp_path: Path) -> None:
    write_config(tmp_path / "formulas.yaml", FORMULAS)
    search = [*COMMAND, "search", "formulas.yaml", "--name", "silent"]
    closing = f"import os; os.close(1); os.close(2); os.execv({search[0]!r}, {search!r})"
    command = [sys.executable, "-c", closing]
    done = subprocess.run(command, cwd=tmp_path, env=environment(), check=False)
    assert done.returncode == 0
    assert load_front(tmp_path / "runs" / "silent").models


@pytest.mark.skipif(not FULL.exists(), reason="only Linux has a disk that is always full")
@pytest.mark.parametrize(
    ("arguments", "fault"),
    [
        (["list"], "error: standard output cannot be written (No space left on device)"),
        (["--help"], "error: standard output cannot be written (No space left on device)"),
        (["schema"], "error: standard output cannot be written (No space left on device)"),
        (["front", "gone", "--json"], "error: there is no run at 'gone'"),
    ],
)
def test_an_answer_that_cannot_be_written_is_an_error(
    tmp_path: Path, arguments: list[str], fault: str
) -> None:
    with FULL.open("w") as full:
        done = subprocess.run(
            [*COMMAND, *arguments],
            cwd=tmp_path,
            env=environment(),
            stdout=full,
            stderr=subprocess.PIPE,
            text=True,
            check=False,
        )
    assert done.returncode == 8
    assert done.stderr.startswith(fault) and done.stderr.count("\n") == 1


@pytest.mark.parametrize("loss", ["full", "gone"])
def test_a_search_goes_on_where_nobody_hears_of_it(tmp_path: Path, loss: str) -> None:
    write_config(tmp_path / "a.yaml", FORMULAS)
    unheard, gone = os.pipe()
    os.close(unheard)
    talk = gone if loss == "gone" else os.open(FULL, os.O_WRONLY)
    done = subprocess.run(
        [*COMMAND, "search", "a.yaml"],
        cwd=tmp_path,
        env=environment(),
        stdout=subprocess.PIPE,
        stderr=talk,
        check=False,
    )
    assert done.returncode == 0 and b"report: " in done.stdout
    assert count(tmp_path / "runs" / "a", "told") == 20


def test_a_working_directory_that_was_deleted_is_told(call: Call, tmp_path: Path) -> None:
    config = write_config(tmp_path / "formulas.yaml", FORMULAS)
    (tmp_path / "gone").mkdir()
    os.chdir(tmp_path / "gone")
    (tmp_path / "gone").rmdir()
    done = call("search", str(config), "--runs", str(tmp_path / "runs"), "--json")
    assert "the working directory was deleted" in refused(done, "ConfigError", 2)


@pytest.mark.skipif(os.geteuid() == 0, reason="root may enter everywhere")
def test_where_nobody_may_enter_whole_paths_will_do(call: Call, tmp_path: Path) -> None:
    config = write_config(tmp_path / "formulas.yaml", FORMULAS)
    (tmp_path / "closed").mkdir()
    os.chdir(tmp_path / "closed")
    (tmp_path / "closed").chmod(0)
    done = call("search", str(config), "--runs", str(tmp_path / "runs"), "--json")
    assert done.code == 0, done.err
    assert Path(done.json["report"]).is_file()


def test_what_was_not_exported_says_so(call: Call, formulas: Path) -> None:
    said = refused(call("export", str(formulas), "--to", "out", "--json"), "ExportError", 6)
    assert "this run exports nothing: its evaluator makes no networks" in said
    assert "finalists" not in said  # which would not help
    study = formulas / "study.json"
    study.write_text(study.read_text().replace('"exports": false', '"exports": true'))
    said = refused(call("export", str(formulas), "--to", "out", "--json"), "ExportError", 6)
    assert "no model of the front was exported yet" in said


def test_values_for_programs_are_those_of_the_file_whatever_their_names(
    call: Call, formulas: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    name = "\N{CJK UNIFIED IDEOGRAPH-6A39}\x1b[1m"
    for path in (formulas / "trials.jsonl", formulas / "study.json"):
        path.write_bytes(renamed(path.read_bytes(), "price", name))
    load_front(formulas).save()
    written = (formulas / "pareto.csv").read_text(encoding="utf-8")
    assert "\x1b[1m" in written and call("front", str(formulas), "--csv").out == written
    assert "\x1b" not in call("front", str(formulas)).out
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True)
    assert "\x1b" not in call("front", str(formulas), "--csv").out


def renamed(text: bytes, old: str, new: str) -> bytes:
    """Return JSON lines in which a value has another name, with checksums that are right."""
    name = json.dumps(new).encode()
    lines = [line.replace(f'"{old}"'.encode(), name) for line in text.splitlines()]
    sealed = [line.rpartition(b',"crc32":"')[0] or line for line in lines]
    for row, body in enumerate(sealed):
        if body != lines[row]:
            sealed[row] = body + b',"crc32":"%08x"}' % zlib.crc32(body + b"}")
    return b"".join(line + b"\n" for line in sealed)


def test_without_finalists_no_command_to_export_is_told(call: Call, formulas: Path) -> None:
    done = call("search", str(formulas.parents[1] / "formulas.yaml"))
    assert done.code == 0 and "report: runs/formulas/report.html" in done.out
    assert "export:" not in done.out


def test_trials_are_printed_three_ways(call: Call, formulas: Path) -> None:
    found = call("trials", str(formulas), "--json").json["trials"]
    assert len(found) == count(formulas, "told") + 1
    lines = call("trials", str(formulas), "--csv").out.splitlines()
    assert lines[0].startswith("number,key,status,fidelity,gain,price,weight,x0,x1")
    assert len(lines) == len(call("trials", str(formulas)).out.splitlines()) == len(found) + 1
    assert refused(call("trials", str(formulas), "--csv", "--json"), "ConfigError", 2)


def test_an_empty_front_cannot_be_exported(call: Call, tmp_path: Path) -> None:
    config = write_config(tmp_path / "formulas.yaml", FORMULAS, constraints=["gain >= 1000000"])
    assert call("search", str(config)).code == 0
    for model in ("all", "knee"):
        done = call("export", "runs/formulas", "--to", "out", "--model", model, "--json")
        assert "keeps to the constraints. Of the nearest" in refused(done, "ExportError", 6)


def test_an_unknown_noun_is_an_error(call: Call) -> None:
    message = refused(call("list", "serchers", "--json"), "ConfigError", 2)
    assert "did you mean 'searchers'? Known: searchers, spaces" in message


@pytest.mark.parametrize("noun", ["", "searchers", "tasks", "targets"])
def test_what_can_be_named_is_listed(call: Call, noun: str) -> None:
    arguments = [noun] if noun else []
    done = call("list", *arguments)
    assert done.code == 0
    for names in call("list", *arguments, "--json").json.values():
        assert all(name in done.out for name in names)


LOUD = """from niwaki.targets.onnxruntime_cpu import OnnxRuntimeCpu
print("imported")
class Loud(OnnxRuntimeCpu):
    def calibrate(self):
        print("calibrating")
        return super().calibrate()
"""


def test_what_a_target_prints_is_no_part_of_the_answer(call: Call, tmp_path: Path) -> None:
    (tmp_path / "loud.py").write_text(LOUD)
    target = f"{tmp_path / 'loud.py'}:Loud"
    done = call("doctor", "--target", target, "--json")
    assert "target" in done.json
    assert "imported" in done.err and "calibrating" in done.err


def test_the_doctor_speaks_both_ways(call: Call) -> None:
    assert {"machine", "int8", "packages", "plugins"} <= set(call("doctor", "--json").json)
    assert "onnxruntime" in call("doctor").out


def test_the_schema_is_printed(call: Call) -> None:
    assert call("schema").json["title"] == "niwaki"
    assert call("schema", "--json").json == call("schema").json


def test_nothing_to_verify_is_an_error(call: Call, tmp_path: Path) -> None:
    message = refused(call("verify", str(tmp_path), "--json"), "ExportError", 6)
    assert "there is no exported model in" in message


def test_progress_is_plain_lines_where_there_is_no_terminal(tmp_path: Path) -> None:
    evaluator = {**FORMULAS["evaluator"], "fails": True}
    write_config(tmp_path / "a.yaml", FORMULAS, evaluator=evaluator, budget={"evaluations": 40})
    done = niwaki("search", "a.yaml", cwd=tmp_path)
    assert done.code == 0
    lines = done.err.splitlines()
    assert lines[0] == "study 'a', searcher nsga2"
    assert lines[1].startswith("baseline: gain 84, price 96 ms")
    assert any("failed: ValueError: x0 is 5" in line for line in lines)
    assert "40/40 evaluations" in lines[-1]
    assert "\x1b" not in done.err


def test_a_worker_that_is_killed_costs_no_evaluation(tmp_path: Path) -> None:
    evaluator = {**FORMULAS["evaluator"], "dies_once": str(tmp_path / "died")}
    executor = {"kind": "local_processes", "n_workers": 2}
    write_config(tmp_path / "a.yaml", FORMULAS, evaluator=evaluator, executor=executor)
    done = niwaki("search", "a.yaml", "--json", cwd=tmp_path)
    assert done.code == 0, done.err
    assert (tmp_path / "died").exists()
    status = niwaki("status", "runs/a", "--json", cwd=tmp_path).json
    assert (status["evaluations"], status["failed"]) == (20, 0)


def wait_for(folder: Path, kind: str, n: int) -> None:
    """Wait until the ledger of a running search holds `n` events of a kind."""
    deadline = time.monotonic() + 60
    while count(folder, kind) < n:
        assert time.monotonic() < deadline, "the search does not get on"
        time.sleep(0.02)


@pytest.mark.parametrize("executor", ["in_process", "local_processes"])
def test_a_killed_search_continues_with_the_same_command(tmp_path: Path, executor: str) -> None:
    visits = tmp_path / "visits"
    evaluator = {**FORMULAS["evaluator"], "visits": str(visits), "seconds": 0.05}
    write_config(tmp_path / "a.yaml", FORMULAS, evaluator=evaluator, executor={"kind": executor})
    killed = start("search", "a.yaml", cwd=tmp_path)
    wait_for(tmp_path / "runs" / "a", "told", 5)
    killed.kill()
    finish(killed)
    status = niwaki("status", "runs/a", "--json", cwd=tmp_path).json
    assert (status["running"], status["in_flight"]) == (False, 0)
    assert status["interrupted"] in (0, 1, 2)
    done = niwaki("search", "a.yaml", "--json", cwd=tmp_path)
    assert done.code == 0, done.err
    told = [
        event["number"] for event in events(tmp_path / "runs" / "a") if event["event"] == "told"
    ]
    assert sorted(told) == list(range(len(told)))
    assert niwaki("status", "runs/a", "--json", cwd=tmp_path).json["evaluations"] == 20
    # The baseline, what was told, and again what was in flight: one for each of two workers.
    assert len(visits.read_text().splitlines()) <= 1 + 20 + 2


def test_plug_ins_in_files_work_in_worker_processes(tmp_path: Path) -> None:
    file = write_plugin(tmp_path / "mine")
    settings = {
        "evaluator": {"kind": "mine/shop_of_mine.py:create"},
        "objectives": ["value", "seed"],
        "searcher": {"kind": f"{ROOT}/examples/own_searcher.py:HillClimbing", "exploration": 1},
        "executor": {"kind": "local_processes", "n_workers": 1},
        "budget": {"evaluations": 3},
    }
    config = write_config(tmp_path / "own.yaml", settings)
    done = niwaki("search", str(config), cwd=tmp_path)
    assert done.code == 0, done.err
    assert count(tmp_path / "runs/own", "told") >= 3
    file.write_text(file.read_text() + "# other\n")
    again = niwaki("search", str(config), "--set", "budget.evaluations=4", cwd=tmp_path)
    assert again.code == 0, again.err
    assert "changed since the last session: shop_of_mine.py" in again.err


def test_an_interrupted_search_continues_with_the_same_command(tmp_path: Path) -> None:
    evaluator = {**FORMULAS["evaluator"], "seconds": 0.05}
    write_config(tmp_path / "a.yaml", FORMULAS, evaluator=evaluator)
    interrupted = start("search", "a.yaml", cwd=tmp_path)
    wait_for(tmp_path / "runs" / "a", "told", 3)
    interrupted.send_signal(signal.SIGINT)
    done = finish(interrupted)
    assert done.code == 130
    assert done.err.endswith("stopped; nothing is lost, and the same command continues\n")
    assert "Traceback" not in done.err
    assert niwaki("search", "a.yaml", cwd=tmp_path).code == 0
    assert niwaki("status", "runs/a", "--json", cwd=tmp_path).json["evaluations"] == 20


def test_a_loss_that_is_not_finite_ends_the_search_with_a_remedy(
    call: Call, tmp_path: Path
) -> None:
    config = str(write_config(tmp_path / "a.yaml", TINY))
    rate = "evaluator.training.learning_rate=1e30"
    done = call("search", config, "--set", rate, "--set", "evaluator.training.epochs=3", "--json")
    message = refused(done, "StudyError", 9)
    assert "lower `evaluator.training.learning_rate`" in message
    assert "--name" in message


def test_a_search_ends_with_models(searched: tuple[Path, Done]) -> None:
    folder, done = searched
    run = Run.read(folder / "runs" / "tiny")
    assert [model["key"] for model in done.json["models"]] == [m.key for m in run.front.models]
    assert done.json["knee"] in {model["key"] for model in done.json["models"]}
    assert (folder / done.json["report"]).read_text().startswith("<!doctype html>")
    assert count(folder / "runs" / "tiny", "final") in (2, 3)  # the baseline is one, and may win


def test_status_of_a_finished_run(searched: tuple[Path, Done]) -> None:
    folder, _ = searched
    status = niwaki("status", "runs/tiny", "--json", cwd=folder).json
    assert not status["running"]
    assert (status["evaluations"], status["in_flight"], status["failed"]) == (4, 0, 0)
    text = niwaki("status", "runs/tiny", cwd=folder).out
    assert "4 of 4 evaluations" in text


def test_the_front_is_printed_three_ways(searched: tuple[Path, Done]) -> None:
    folder, done = searched
    as_json = niwaki("front", "runs/tiny", "--json", cwd=folder).json
    assert as_json["models"] == done.json["models"]
    assert as_json == json.loads((folder / "runs" / "tiny" / "pareto.json").read_text())
    as_csv = niwaki("front", "runs/tiny", "--csv", cwd=folder).out
    assert as_csv == (folder / "runs" / "tiny" / "pareto.csv").read_text()
    table = niwaki("front", "runs/tiny", cwd=folder).out
    assert all(model["key"][:8] in table for model in as_json["models"])


def test_a_report_is_written_where_one_wants(searched: tuple[Path, Done]) -> None:
    folder, _ = searched
    done = niwaki("report", "runs/tiny", "--to", "pages/tiny.html", "--json", cwd=folder)
    assert done.code == 0, done.err
    assert (folder / "pages" / "tiny.html").stat().st_size == done.json["size_bytes"]


def test_a_report_takes_the_place_of_a_report_and_of_nothing_else(
    searched: tuple[Path, Done],
) -> None:
    folder, _ = searched
    (folder / "thesis.html").write_text("<!doctype html><title>Years of work</title>")
    refusal = niwaki("report", "runs/tiny", "--to", "thesis.html", "--json", cwd=folder)
    assert "'thesis.html' exists and is no report of niwaki" in refused(refusal, "ConfigError", 2)
    assert "Years of work" in (folder / "thesis.html").read_text()
    for _ in range(2):
        assert niwaki("report", "runs/tiny", "--to", "again.html", cwd=folder).code == 0


def test_searching_again_evaluates_nothing(searched: tuple[Path, Done]) -> None:
    folder, first = searched
    before = events(folder / "runs" / "tiny")
    again = niwaki("search", "tiny.yaml", "--json", cwd=folder)
    assert again.json["models"] == first.json["models"]
    new = events(folder / "runs" / "tiny")[len(before) :]
    assert [event["event"] for event in new] == ["note"]


@pytest.mark.parametrize("file", ["model.onnx", "verification.npz", ""])
def test_searching_again_writes_damaged_models_anew(
    searched: tuple[Path, Done], tmp_path: Path, file: str
) -> None:
    folder, first = searched
    shutil.copytree(folder, tmp_path / "copy")
    model = tmp_path / "copy" / "runs" / "tiny" / first.json["models"][0]["artifact"]
    if file:
        data = bytearray((model / file).read_bytes())
        data[len(data) // 2] ^= 8
        (model / file).write_bytes(data)
    else:
        shutil.rmtree(model)
    again = niwaki("search", "tiny.yaml", "--json", cwd=tmp_path / "copy")
    assert again.code == 0, again.err
    assert verify_bundle(model).passed
    assert count(tmp_path / "copy" / "runs" / "tiny", "final") == 1 + count(
        folder / "runs" / "tiny", "final"
    )


def test_one_model_can_be_exported(searched: tuple[Path, Done]) -> None:
    folder, first = searched
    done = niwaki(
        "export", "runs/tiny", "--to", "one", "--model", "best:latency_ms", "--json", cwd=folder
    )
    assert done.code == 0, done.err
    fastest = min(first.json["models"], key=lambda model: model["values"]["latency_ms"])
    assert [path.name for path in (folder / "one").iterdir()] == [fastest["key"]]


def test_an_unknown_model_names_those_there_are(call: Call, searched: tuple[Path, Done]) -> None:
    folder, first = searched
    run = str(folder / "runs" / "tiny")
    done = call("export", run, "--to", "out", "--model", "ffff", "--json")
    message = refused(done, "ConfigError", 2)
    assert "'ffff' is no model of the front: give all, knee, best:<objective> or one of" in message
    assert first.json["models"][0]["key"] in message
    assert not Path("out").exists()


def test_a_budget_and_preferences_may_be_chosen_afterwards(formulas: Path, call: Call) -> None:
    whole = call("front", str(formulas), "--json").json
    first, second = (objective["name"] for objective in whole["objectives"])
    costs = sorted(model["values"][second] for model in whole["models"])
    wish = f"{second} <= {costs[-2]}"
    within = call("front", str(formulas), "--within", wish, "--json").json
    assert len(within["models"]) == len(whole["models"]) - 1
    ends = [
        call("front", str(formulas), "--weigh", f"{name}=0", "--json").json["knee"]
        for name in (second, first)
    ]
    assert ends == [whole["models"][0]["key"], whole["models"][-1]["key"]]
    empty = call("front", str(formulas), "--within", f"{second} <= {costs[0] / 2}")
    assert (empty.code, "the front is empty" in empty.out) == (0, True)


@pytest.mark.parametrize(
    ("options", "fault"),
    [
        (["front", "--within", "nowhere <= 1"], "on a value that no model has"),
        (["front", "--within", "nowhere"], "is not one comparison"),
        (["front", "--weigh", "nowhere=1"], "no objective 'nowhere' to weigh"),
        (["export", "--to", "out", "--weigh", "nowhere=1"], "give '--model knee' with it"),
    ],
)
def test_a_wish_that_cannot_be_met_is_told(
    formulas: Path, call: Call, options: list[str], fault: str
) -> None:
    command, *rest = options
    assert fault in refused(call(command, str(formulas), *rest, "--json"), "ConfigError", 2)


def test_a_wish_beside_a_baseline_that_nobody_measured_is_told(formulas: Path) -> None:
    run = Run.read(formulas)
    assert run.wishing(["price <= baseline"]).front.models
    run.history.baseline = None
    with pytest.raises(ConfigError, match="the baseline, which was not measured: give a number"):
        run.wishing(["price <= baseline"])


@pytest.fixture
def seeds(call: Call, tmp_path: Path) -> list[str]:
    """Return the run folders of a search that cost nothing, with two seeds, and of another."""
    config = str(write_config(tmp_path / "formulas.yaml", FORMULAS))
    changes = {"bred-0": "seed=0", "bred-1": "seed=1", "drawn": "searcher.kind=random"}
    for name, change in changes.items():
        assert call("search", config, "--name", name, "--set", change).code == 0
    return [f"runs/{name}" for name in changes]


def test_runs_are_compared_three_ways(seeds: list[str], call: Call) -> None:
    whole = call("compare", *seeds, "--json").json
    assert [(g["name"], g["seeds"]) for g in whole["groups"]] == [("bred", [0, 1]), ("drawn", [0])]
    lines = call("compare", *seeds, "--csv").out.splitlines()
    by_column = [dict(zip(lines[0].split(","), line.split(","), strict=True)) for line in lines[1:]]
    for run, row in zip(whole["runs"], by_column, strict=True):
        assert (row["group"], row["run"]) == (run["group"], run["run"])
        for name, value in run["figures"].items():
            assert row[name] == ("" if value is None else str(value)), name
    table = call("compare", *seeds).out
    assert "\nbred, median of 2 " in table and "\ndrawn " in table
    assert "searcher.kind: \"nsga2\" in 'bred'; \"random\" in 'drawn'" in table
    apart = call("compare", *seeds, "--apart").out
    assert "\nbred-0 " in apart and "\nbred-1 " in apart


def test_whoever_waits_for_a_comparison_at_a_terminal_is_told(
    seeds: list[str], call: Call, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert call("compare", *seeds, "--json").err == ""
    monkeypatch.setenv("FORCE_COLOR", "1")  # takes what is captured for a terminal
    done = call("compare", *seeds, "--json")
    assert f"comparing {len(seeds)} runs" in done.err
    assert done.json["runs"]


def test_a_comparison_is_written_as_a_page_and_over_nothing_else(
    seeds: list[str], call: Call
) -> None:
    for _ in range(2):
        done = call("compare", *seeds, "--to", "pages/all.html", "--json")
        assert (done.code, done.json["page"]) == (0, "pages/all.html")
    assert (
        "<title>bred, drawn \u2013 niwaki comparison</title>" in Path("pages/all.html").read_text()
    )
    report = f"{seeds[0]}/report.html"
    message = refused(call("compare", *seeds, "--to", report, "--json"), "ConfigError", 2)
    assert f"'{report}' exists and is no comparison of niwaki" in message


@pytest.mark.parametrize(
    ("folders", "options", "error", "fault"),
    [
        (["bred-0"], [], ("ConfigError", 2), "needs two runs or more, and one came"),
        (["bred-0", "bred-0"], [], ("ConfigError", 2), "and one came, more than once"),
        (["bred-0", "none"], [], RUN_ERROR, "there is no run at 'runs/none'"),
        (["bred-0", "drawn"], ["--csv"], ("ConfigError", 2), "give either --json or --csv"),
        (["bred-0", "drawn"], ["--exported"], ("ExportError", 6), "none of the runs has an expo"),
        (["bred-0", "drawn"], ["--goal", "a"], ("ConfigError", 2), "no run has goals"),
        (["bred-0", "drawn"], ["--within", "no <= 1"], ("ConfigError", 2), "'bred-0': constraint"),
    ],
)
def test_what_cannot_be_compared_is_told(
    seeds: list[str],
    call: Call,
    folders: list[str],
    options: list[str],
    error: tuple[str, int],
    fault: str,
) -> None:
    assert len(seeds) == 3
    paths = [f"runs/{folder}" for folder in folders]
    assert fault in refused(call("compare", *paths, *options, "--json"), *error)


def with_goals(config: dict[str, Any], **goals: dict[str, Any]) -> dict[str, Any]:
    """Return a configuration with goals in the place of its objectives."""
    return {**{key: config[key] for key in config if key != "objectives"}, "goals": goals}


GOALS: dict[str, Any] = {
    "strong": {"objectives": ["gain", "price"]},
    "light": {"objectives": ["weight", "gain"], "constraints": ["price <= 0.5 * baseline"]},
}


@pytest.fixture
def goals(call: Call, tmp_path: Path) -> str:
    """Return the run folder of a finished search for two goals that cost nothing."""
    config = write_config(tmp_path / "goals.yaml", with_goals(FORMULAS, **GOALS))
    done = call("search", str(config), "--json")
    assert done.code == 0, done.err
    assert list(done.json["goals"]) == list(GOALS)
    return str(tmp_path / "runs" / "goals")


def test_a_front_is_printed_for_one_goal_or_for_all(goals: str, call: Call) -> None:
    whole = call("front", goals, "--json").json
    table = call("front", goals).out
    for goal, said in whole["goals"].items():
        assert call("front", goals, "--goal", goal, "--json").json == said
        own = call("front", goals, "--goal", goal).out.strip()
        assert len(said["models"]) > 1 and f"goal {goal}\n{own}" in table
    head = call("front", goals, "--goal", "light", "--csv").out.partition("\n")[0]
    assert head == "key,number,weight,gain,price,x0,x1,x2,x3,x4,x5,role"


def test_a_knee_is_weighed_for_one_goal(goals: str, call: Call) -> None:
    weigh = ["--weigh", "gain=0", "--json"]
    message = refused(call("front", goals, *weigh), "ConfigError", 2)
    assert "choose one of strong, light, with `--goal`" in message
    light = call("front", goals, "--goal", "light", *weigh).json
    assert light["knee"] == light["models"][0]["key"]


def test_the_status_tells_of_each_goal(goals: str, call: Call) -> None:
    status = call("status", goals, "--json").json
    sizes = {goal: each["front"] for goal, each in status["goals"].items()}
    whole = call("front", goals, "--json").json["goals"]
    assert sizes == {goal: len(said["models"]) for goal, said in whole.items()}
    assert all(f"goal {goal}:" in call("status", goals).out for goal in GOALS)


def test_a_report_is_written_for_one_goal(goals: str, call: Call) -> None:
    assert call("report", goals, "--goal", "light", "--to", "light.html").code == 0
    data = payload_of(Path("light.html").read_text())
    assert [each["name"] for each in data["objectives"]] == ["weight", "gain"]
    own = call("front", goals, "--goal", "light", "--json").json["models"]
    keys = data["models"]["keys"]
    assert {keys[row] for row in data["models"]["front"]} == {model["key"] for model in own}


@pytest.mark.parametrize("command", ["front", "report", "export", "trials"])
def test_a_goal_that_a_run_has_not_is_told(goals: str, call: Call, command: str) -> None:
    options = ["--goal", "ligth", "--json", *(["--to", "out"] if command == "export" else [])]
    message = refused(call(command, goals, *options), "ConfigError", 2)
    assert message.endswith("no goal 'ligth'; did you mean 'light'? Its goals are strong, light")
    plain = write_config(Path("plain.yaml"), FORMULAS, budget={"evaluations": 2})
    assert call("search", str(plain)).code == 0
    message = refused(call(command, "runs/plain", *options), "ConfigError", 2)
    assert message.endswith("no goal 'ligth'. It has no goals")


def test_models_are_exported_for_one_goal_or_for_all(tmp_path: Path) -> None:
    digit = {"task": "digit", "objectives": ["digit_accuracy", "digit_macs"]}
    config = with_goals(TINY, all={"objectives": ["mean_skill", "macs"]}, digit=digit)
    write_config(tmp_path / "tiny.yaml", config, budget={"evaluations": 2}, finalists=1)
    done = niwaki("search", "tiny.yaml", "--json", cwd=tmp_path)
    assert done.code == 0, done.err
    names = {
        goal: {f"{goal}-{model['key']}" for model in said["models"]}
        for goal, said in done.json["goals"].items()
    }
    one = niwaki("export", "runs/tiny", "--to", "one", "--goal", "digit", cwd=tmp_path)
    both = niwaki("export", "runs/tiny", "--to", "both", cwd=tmp_path)
    assert (one.code, both.code) == (0, 0), (one.err, both.err)
    assert {path.name for path in (tmp_path / "one").iterdir()} == names["digit"]
    assert {path.name for path in (tmp_path / "both").iterdir()} == names["all"] | names["digit"]
    for path in (tmp_path / "both").iterdir():
        n_tasks = len(read_bundle(path).card.tasks)
        assert n_tasks == (1 if path.name in names["digit"] else 3)


def test_exported_models_are_verified(models: Path, call: Call) -> None:
    done = call("verify", str(models))
    assert done.code == 0
    assert done.out.count("verified on 16 items") == len(list(models.iterdir()))
    checks = call("verify", str(models), "--json").json["models"]
    assert all(check["passed"] for check in checks)


def test_exported_models_are_timed(models: Path, call: Call, tmp_path: Path) -> None:
    done = call("bench", str(models), "--json")
    timed = done.json["models"]
    assert [Path(each["path"]) for each in timed] == sorted(models.iterdir())
    assert all(each["latency_low_ms"] <= each["latency_ms"] for each in timed)
    model = next(models.iterdir()) / "model.onnx"
    one = call("bench", str(model))
    assert (one.code, one.out.count(" ms (")) == (0, 1)
    (tmp_path / "loud.py").write_text(LOUD)
    loud = call("bench", str(model), "--target", f"{tmp_path / 'loud.py'}:Loud", "--json")
    assert len(loud.json["models"]) == 1
    assert "calibrating" in loud.err
    done = call("bench", str(models), "--dim", "height=32", "--json")
    assert "measured on the inputs that they carry" in refused(done, "ConfigError", 2)


def copy_of_a_model(models: Path, to: Path) -> Path:
    """Copy one exported model to a folder that a test may damage."""
    source = sorted(models.iterdir())[0]
    to.mkdir(parents=True)
    for file in source.iterdir():
        (to / file.name).write_bytes(file.read_bytes())
    return to


@pytest.mark.parametrize("file", ["model.onnx", "model.json", "verification.npz"])
def test_a_damaged_model_is_refused(models: Path, call: Call, tmp_path: Path, file: str) -> None:
    folder = copy_of_a_model(models, tmp_path / "model")
    data = (folder / file).read_bytes()
    (folder / file).write_bytes(data[: len(data) // 2])
    message = refused(call("verify", str(folder), "--json"), "ExportError", 6)
    assert file in message


def test_models_beside_a_damaged_one_are_verified_too(
    models: Path, call: Call, tmp_path: Path
) -> None:
    damaged = copy_of_a_model(models, tmp_path / "out" / "a") / "model.onnx"
    damaged.write_bytes(damaged.read_bytes()[:-1])
    copy_of_a_model(models, tmp_path / "out" / "b")
    done = call("verify", str(tmp_path / "out"))
    assert (done.code, done.out.count("FAILED"), done.out.count("verified on")) == (6, 1, 1)
    told = call("verify", str(tmp_path / "out"), "--json")
    message = refused(told, "ExportError", 6)
    first, second = told.json["models"]
    assert (first["passed"], first["error"]["message"]) == (False, message)
    assert second["passed"]


def test_a_model_that_computes_something_else_fails_loudly(
    models: Path, call: Call, tmp_path: Path
) -> None:
    folder = copy_of_a_model(models, tmp_path / "model")
    with np.load(folder / "verification.npz") as kept:
        arrays = {name: kept[name] for name in kept.files}
    arrays = {n: a + 1.0 if n.startswith("recorded:") else a for n, a in arrays.items()}
    np.savez(folder / "verification.npz", **arrays)
    done = call("verify", str(folder))
    assert done.code == 7
    assert "FAILED" in done.out
    assert "does not compute what was searched" in done.err
    told = call("verify", str(folder), "--json")
    assert "does not compute what was searched" in refused(told, "VerificationError", 7)
    assert [model["passed"] for model in told.json["models"]] == [False]


def test_the_same_front_is_read_from_python(searched: tuple[Path, Done]) -> None:
    from niwaki import load_front

    folder, done = searched
    front = load_front(folder / "runs" / "tiny")
    assert isinstance(front, Front)
    assert front.to_json()["models"] == done.json["models"]


def test_a_run_predicts_its_candidates(formulas: Path, call: Call, tmp_path: Path) -> None:
    [model, *_] = call("front", str(formulas), "--json").json["models"]
    (tmp_path / "one.json").write_text(json.dumps(model["candidate"]))
    (tmp_path / "many.jsonl").write_text(f"{json.dumps(model)}\n" * 3)
    one = call("predict", str(formulas), "--candidate", str(tmp_path / "one.json"), "--json").json
    many = call("predict", str(formulas), "--batch", str(tmp_path / "many.jsonl"), "--json").json
    # The last digits depend on how many rows the processor multiplies at once.
    [alone], beside = one["predictions"], many["predictions"]
    assert [row["key"] for row in beside] == [alone["key"]] * 3
    for row, name in itertools.product(beside, alone["values"]):
        assert row["values"][name] == pytest.approx(alone["values"][name])
    assert set(one["predictions"][0]["values"]) == set(one["quality"])
    assert "held-out" in call("predict", str(formulas), "--batch", str(tmp_path / "many.jsonl")).out


def test_a_candidate_of_another_space_is_refused(formulas: Path, call: Call) -> None:
    Path("odd.json").write_text('{"colour": "green"}')
    message = refused(
        call("predict", str(formulas), "--candidate", "odd.json", "--json"), "SpaceError", 3
    )
    assert "is missing" in message
    Path("odd.jsonl").write_text('\n\n{"colour": "green"}\n')
    message = refused(
        call("predict", str(formulas), "--batch", "odd.jsonl", "--json"), "SpaceError", 3
    )
    assert message.startswith("'odd.jsonl', line 3: decision")


@pytest.mark.parametrize("level", ["1.0", "0", "nan"])
def test_a_level_out_of_range_is_wrong_usage(formulas: Path, call: Call, level: str) -> None:
    Path("one.json").write_text("{}")
    arguments = ("--candidate", "one.json", "--level", level, "--json")
    message = refused(call("predict", str(formulas), *arguments), "ConfigError", 2)
    assert "give a share between 0 and 1" in message


def test_a_session_without_threads_is_wrong_usage(call: Call) -> None:
    assert call("bench", "model.onnx", "--threads", "0").code == 2


def test_a_grammar_is_checked_by_line(call: Call) -> None:
    Path("bad.yaml").write_text("start: S\nproductions:\n  S: [T S]\n")
    done = call("grammar", "check", "bad.yaml")
    assert done.code == 3
    assert "error" in done.out


def test_modules_of_a_grammar_are_checked_with_it(call: Call, tmp_path: Path) -> None:
    (tmp_path / "mine.py").write_text(
        "from torch import nn\ndef norm(given):\n    return nn.BatchNorm2d(given[0])\n"
    )
    text = "start Net\ninput (3, 8, 8)\nterminal norm [identity] builds mine.py\nNet -> norm\n"
    (tmp_path / "own.grammar").write_text(text)
    done = call("grammar", "check", "own.grammar")
    assert done.code == 3
    assert "own.grammar:3: error [module]" in done.out


def test_a_model_of_ones_own_is_compressed(call: Call) -> None:
    small = "tests.evaluation.compression.small"
    settings = ["pruning.price=macs", "pruning.shares=[0.5]", "tuning.epochs=1"]
    overrides = [word for text in settings for word in ("--set", text)]
    done = call("compress", f"{small}:build", "--data", f"{small}:unlabelled", *overrides, "--json")
    assert done.code == 0, done.err
    assert "in fp32" in done.json["summary"]
    assert call("verify", "runs/compress/artifacts").code == 0


def test_an_onnx_file_is_compressed(call: Call) -> None:
    onnx.save(build_graph(build(), [(1, 1, 16, 16)]), "my_model.onnx")
    settings = ["pruning.price=macs", "pruning.shares=[0.5]", "tuning.epochs=1"]
    overrides = [word for text in settings for word in ("--set", text)]
    data = "tests.evaluation.compression.small:unlabelled"
    done = call("compress", "my_model.onnx", "--data", data, *overrides, "--json")
    assert done.code == 0, done.err
    assert "in fp32" in done.json["summary"]
    assert call("verify", "runs/compress/artifacts").code == 0
    assert call("compress", "other.onnx", "--data", data).code == 2


def test_what_is_not_finite_is_null_for_programs(capsys: pytest.CaptureFixture[str]) -> None:
    cli._print_json({"growth": np.inf, "rows": [np.nan, 1.5], "at": Path("run")})
    printed = json.loads(capsys.readouterr().out, parse_constant=pytest.fail)
    assert printed == {"growth": None, "rows": [None, 1.5], "at": "run"}


TABLE = """cell,樹,"\x1b[31mred"
a,0.5,1.5
b,0.7,1.2
"""


@pytest.mark.parametrize("encoding", ["ascii", "utf-8"])
def test_names_that_a_terminal_has_no_letters_for_or_would_obey_are_spelled_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, encoding: str
) -> None:
    (tmp_path / "table.csv").write_text(TABLE, encoding="utf-8")
    values = {name: {"column": name, "direction": "minimize"} for name in ("樹", "\x1b[31mred")}
    evaluator = {"kind": "table", "file": "table.csv", "decisions": ["cell"], "values": values}
    changes = {"evaluator": evaluator, "objectives": list(values), "constraints": []}
    config = write_config(tmp_path / "named.yaml", FORMULAS, **changes)
    monkeypatch.setenv("PYTHONIOENCODING", encoding)
    done = niwaki("search", config.name, cwd=tmp_path)
    assert done.code == 0, done.err
    heads = done.out.splitlines()[0]
    assert r"\x1b[31mred (min)" in heads
    assert ("樹" if encoding == "utf-8" else r"\u6a39") in heads
