"""Examples run, and what the documents show is true."""

import gzip
import re
import runpy
import struct
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml
from numpy.typing import NDArray
from typer.main import get_command

from niwaki import Front, load_front
from niwaki.cli import app
from niwaki.config.build import build_study
from niwaki.config.reader import SECTIONS, StudyConfig, parse_config, read_config
from niwaki.config.settings import settings_type
from niwaki.spaces.einspace import GrammarSettings
from niwaki.spaces.grammar import check_report
from niwaki.tasks.losses import task_losses
from tests.command_line import ROOT, TINY, environment
from tests.spaces.einspace.conftest import DIGIT
from tests.spaces.einspace.test_networks import check_network

DOCUMENTS = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").glob("*.md"))]
DATA = ROOT / "docs" / "data.md"


def blocks(path: Path, language: str) -> list[str]:
    """Return the code blocks of a document that are in one language."""
    return re.findall(rf"^```{language}\n(.*?)^```$", path.read_text(), re.MULTILINE | re.DOTALL)


YAML_BLOCKS = [
    pytest.param(text, id=f"{path.name}-{number}")
    for path in DOCUMENTS
    for number, text in enumerate(blocks(path, "yaml"))
]
DATA_BLOCKS = [pytest.param(yaml.safe_load(text)["data"]) for text in blocks(DATA, "yaml")]


@pytest.mark.parametrize("text", YAML_BLOCKS)
def test_configurations_in_the_documents_are_read(text: str) -> None:
    parse_config({**TINY, **yaml.safe_load(text)})


@pytest.mark.parametrize("text", blocks(ROOT / "docs" / "coming-from.md", "python"))
def test_what_takes_the_place_of_another_tool_runs(
    text: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    file = Path("block.py")
    file.write_text(text)
    runpy.run_path(str(file))


@pytest.fixture
def own_data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return a folder with everything that the sections of docs/data.md read."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("NIWAKI_CACHE", str(tmp_path / "cache"))
    for text in blocks(DATA, "python"):
        file = Path(text.splitlines()[0].removeprefix("# "))
        file.write_text(text)
    runpy.run_path("make_rooms.py")
    rng = np.random.default_rng(0)
    write_flowers(rng)
    for name, n in (("train", 40), ("t10k", 10)):
        write_idx(Path(f"{name}-images-idx3-ubyte.gz"), rng.integers(0, 256, (n, 28, 28)))
        write_idx(Path(f"{name}-labels-idx1-ubyte.gz"), np.arange(n) % 10)
    return tmp_path


def write_flowers(rng: np.random.Generator) -> None:
    image_module = pytest.importorskip("PIL.Image")
    for split in ("train", "test"):
        for flower in ("daisy", "rose"):
            folder = Path("flowers") / split / flower
            folder.mkdir(parents=True)
            for number in range(12):
                pixels = rng.integers(0, 256, (20, 30, 3), dtype=np.uint8)
                image_module.fromarray(pixels).save(folder / f"{number}.jpg")


def write_idx(path: Path, values: NDArray[Any]) -> None:
    header = struct.pack(f">BBBB{values.ndim}I", 0, 0, 8, values.ndim, *values.shape)
    path.write_bytes(gzip.compress(header + values.astype(np.uint8).tobytes()))


@pytest.mark.parametrize("section", DATA_BLOCKS, ids=lambda section: section["kind"])
def test_sections_of_the_data_document_read_data(own_data: Path, section: dict[str, Any]) -> None:
    kind, settings = parse_config({**TINY, "data": section}).section("data")
    data = SECTIONS["data"].find(kind).load()(settings, seed=0)
    assert len(data.splits) == 5
    assert all(np.isfinite(chance) for chance in data.chance.values())
    assert task_losses(data)
    declared = section.get("tasks") or section.get("task")
    if declared:
        names = [declared] if isinstance(declared, str) else list(declared)
        assert [task.name for task in data.tasks] == names


def test_every_setting_is_documented() -> None:
    text = (ROOT / "docs" / "configuration.md").read_text()
    missing = [name for name in StudyConfig.__dataclass_fields__ if f"| `{name}` |" not in text]
    for section in ("space", "evaluator", "target", "searcher", "executor"):
        for record in SECTIONS[section]:
            settings = settings_type(record.load())
            names = [] if settings is None else settings.__dataclass_fields__
            missing += [f"{section}.{n}" for n in names if not re.search(rf"`{n}\b", text)]
    assert not missing


def test_every_setting_of_data_is_documented() -> None:
    text = DATA.read_text()
    for record in SECTIONS["data"]:
        settings = settings_type(record.load())
        assert settings is not None
        for name in settings.__dataclass_fields__:
            assert re.search(rf"`{name}\b|^  {name}:", text, re.MULTILINE), (record.name, name)


def test_every_command_of_the_readme_exists() -> None:
    commands: dict[str, Any] = get_command(app).commands  # type: ignore[attr-defined]
    used = re.findall(r"^niwaki (\w+)", (ROOT / "README.md").read_text(), re.MULTILINE)
    assert len(used) >= 8
    assert set(used) <= set(commands)


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda path: path.name)
def test_links_of_the_documents_lead_somewhere(path: Path) -> None:
    for link in re.findall(r"\]\((?!https?:)([^)#]+)", path.read_text()):
        assert (path.parent / link).exists(), link


def example(name: str, *arguments: str, cwd: Path) -> str:
    """Run an example to its end, and return what it printed."""
    done = subprocess.run(
        [sys.executable, str(ROOT / "examples" / name), *arguments],
        cwd=cwd,
        env=environment(),
        capture_output=True,
        text=True,
        check=False,
        timeout=280,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_a_grammar_of_ones_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    page = ROOT / "configs" / "grammars" / "README.md"
    for text in (*blocks(page, "text"), *blocks(page, "python")):
        Path(text.splitlines()[0].removeprefix("# ")).write_text(text)
    assert "no errors, no warnings" in check_report(Path("towers.grammar")).text
    family = GrammarSettings("towers.grammar").family((3, 16, 16), [DIGIT])
    rng = np.random.default_rng(0)
    for _ in range(20):
        check_network(family, family.space.sample(rng), (3, 16, 16))


def test_a_searcher_of_ones_own(tmp_path: Path) -> None:
    first = example("own_searcher.py", "run", cwd=tmp_path)
    assert len(first.splitlines()) >= 3
    assert example("own_searcher.py", "run", cwd=tmp_path) == first
    costs = [model.values["cost"] for model in load_front(tmp_path / "run").models]
    assert max(costs) <= 0.5 * 5 * 64 * 64


def test_training_of_ones_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)
    config = read_config("configs/own_training.yaml", overrides=["budget.evaluations=2"])
    front = build_study(config, tmp_path / "run").run()
    assert front.models
    assert all(model.values["params"] <= 2 * 4810 for model in front.models)


def test_a_detector_of_ones_own(tmp_path: Path) -> None:
    printed = example("own_detector.py", "run", cwd=tmp_path)
    assert "of mean skill" in printed
    models = load_front(tmp_path / "run").models
    assert models
    assert max(model.values["objects_ap50"] for model in models) > 0.9


def test_a_model_of_two_inputs(tmp_path: Path) -> None:
    printed = example("own_inputs.py", "run", cwd=tmp_path)
    assert "takes image tensor(float), counts tensor(int64)" in printed
    right = re.search(r"right in ([\d.]+)% of new", printed)
    assert right is not None and float(right[1]) > 70.0


def test_data_of_ones_own_and_the_front_read_back(tmp_path: Path) -> None:
    printed = example("own_data.py", "squares", cwd=tmp_path)
    assert "square_miou" in printed
    front = load_front(tmp_path / "squares" / "run")
    assert isinstance(front, Front)
    described = example("read_front.py", "squares/run", cwd=tmp_path)
    assert front.knee is not None
    assert f"knee: {front.knee.key}" in described
    assert "best latency_ms" in described
