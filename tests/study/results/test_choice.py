"""The choice of a run: written, read, and damaged."""

from pathlib import Path

import pytest

from niwaki.core.errors import ConfigError, RunFolderError
from niwaki.study.answers.tables import front_table
from niwaki.study.record.run_folder import RunFolder
from niwaki.study.results.choice import Choice
from niwaki.study.results.run import load_front
from tests.study.formulas import FormulaEvaluator, formula_study


def test_it_is_read_as_it_was_written(tmp_path: Path) -> None:
    path = tmp_path / "chosen.json"
    assert Choice.load(path) is None
    Choice("abc", "the best within 5 ms").save(path)
    assert Choice.load(path) == Choice("abc", "the best within 5 ms")


@pytest.mark.parametrize("text", ['{"key": 1', "[" * 100_000])
def test_a_damaged_one_is_refused_with_a_remedy(tmp_path: Path, text: str) -> None:
    path = tmp_path / "chosen.json"
    path.write_text(text)
    with pytest.raises(RunFolderError, match="delete it"):
        Choice.load(path)


def test_a_front_knows_its_chosen_model(tmp_path: Path) -> None:
    formula_study(tmp_path / "run", FormulaEvaluator(), n=20).run()
    front = load_front(tmp_path / "run")
    assert front.chosen is None and "chosen" not in front_table(front)
    with pytest.raises(ConfigError, match="only `niwaki compress` chooses one"):
        front.choose("chosen")
    Choice(front.models[-1].key, "why not").save(RunFolder(tmp_path / "run").chosen)
    [chosen] = load_front(tmp_path / "run").choose("chosen")
    assert chosen.key == front.models[-1].key
    Choice("gone", "it left the front").save(RunFolder(tmp_path / "run").chosen)
    left = load_front(tmp_path / "run")
    assert left.chosen is None
    with pytest.raises(ConfigError, match="gone, which was chosen, is not on this front"):
        left.choose("chosen")
