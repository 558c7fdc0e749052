"""A super-network of one's own, in a file of one's own, is searched like those of niwaki."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from niwaki import load_front
from niwaki.config.build import build_evaluator
from niwaki.config.reader import parse_config
from niwaki.core.errors import ConfigError
from niwaki.evaluation.families import elastic_family_of
from niwaki.export.bundle import read_bundle, verify_bundle
from niwaki.tasks.base import TaskData
from niwaki.testing.toys import flat_toy
from tests.command_line import ROOT, TINY, niwaki, write_config
from tests.evaluation.own_super_network import TowerFamily

FILE = ROOT / "tests" / "evaluation" / "own_super_network.py"


def shades(folder: Path) -> dict[str, Any]:
    """Write images of which one channel is bright and one is dark; return the section `data`."""
    rng = np.random.default_rng(0)
    bright = rng.integers(3, size=240)
    dark = (bright + rng.integers(1, 3, size=240)) % 3
    images = rng.normal(120.0, 20.0, size=(240, 8, 8, 3))
    images[np.arange(240), :, :, bright] += 60.0
    images[np.arange(240), :, :, dark] -= 60.0
    pixels = np.clip(images, 0, 255).astype(np.uint8)
    np.savez(folder / "shades.npz", inputs=pixels, bright=bright, dark=dark)
    task = {"kind": "classification", "classes": 3}
    return {"kind": "npz", "path": "shades.npz", "tasks": {"bright": task, "dark": task}}


def test_it_is_trained_searched_exported_and_verified(tmp_path: Path) -> None:
    own = {"epochs": 8, "batch_size": 10, "n_random": 2, "policies": {"warmup": 0.2}}
    training = {**TINY["evaluator"]["training"], **own}
    config = write_config(
        tmp_path / "c.yaml",
        {name: TINY[name] for name in TINY if name != "objectives"},
        data=shades(tmp_path),
        space={"kind": f"{FILE}:TowerSettings", "n_towers": 4},
        evaluator={**TINY["evaluator"], "training": training},
        goals={
            "dark": {"task": "dark", "objectives": ["dark_accuracy", "dark_macs"]},
            "all": {"objectives": ["mean_skill", "latency_ms"]},
        },
        budget={"evaluations": 8},
    )
    done = niwaki("search", str(config), "--name", "own", cwd=tmp_path)
    assert done.code == 0, done.err
    run = tmp_path / "runs" / "own"
    assert len(load_front(run, goal="all"))
    exported = [path.parent for path in (run / "artifacts").glob("dark-*/model.onnx")]
    assert exported
    for folder in exported:
        card = read_bundle(folder).card
        assert [task.name for task in card.tasks] == ["dark"]
        assert verify_bundle(folder).passed
        assert card.metrics["test"]["dark_accuracy"] > 0.5


def test_a_table_that_is_wrong_is_told_before_anything_is_trained(tmp_path: Path) -> None:
    wrong = FILE.read_text().replace("kernel=4, stride=4", "kernel=3, stride=4")
    (tmp_path / "own.py").write_text(wrong)
    config = write_config(
        tmp_path / "c.yaml",
        TINY,
        data=shades(tmp_path),
        space={"kind": f"{tmp_path / 'own.py'}:TowerSettings"},
    )
    done = niwaki("search", str(config), cwd=tmp_path)
    assert done.code == 3
    assert "by the table of layers 'towers.0.conv' has 108 weights, and 192" in done.err
    assert not list((tmp_path / "runs" / "c").rglob("*.pt"))


@dataclass(frozen=True)
class Given:
    """Options that give whatever they are told."""

    family: Any

    def elastic_family(self, input_shape: object, heads: object) -> Any:
        """Return it."""
        return self.family


@dataclass(frozen=True)
class NoSpace(TowerFamily):
    """A family whose space is another kind of thing."""

    space: Any


@pytest.mark.parametrize(
    ("given", "lacks"),
    [
        (None, r"of Given gave .*None.*, but a family is needed, with `space`, `super_network"),
        (NoSpace(flat_toy().space), "is .*ChoiceSpace.*: derive it from `niwaki.spaces.super_net"),
    ],
)
def test_a_family_that_lacks_something_is_told_what(
    given: object, lacks: str, data: TaskData
) -> None:
    with pytest.raises(ConfigError, match=lacks):
        elastic_family_of(Given(given), data)


def test_a_space_without_a_super_network_is_told_what_it_lacks() -> None:
    config = parse_config({**TINY, "space": {"kind": "einspace"}})
    with pytest.raises(ConfigError, match=r"`elastic_family\(input_shape, heads\)`, or the eval"):
        build_evaluator(config, notify=lambda _: None)
