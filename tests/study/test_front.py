"""What a front hands out, also when nothing is on it."""

from pathlib import Path

from niwaki.core.objectives import Direction, Objective
from niwaki.study.front import Front


def test_an_empty_front_names_its_columns_all_the_same() -> None:
    objectives = (Objective("gain", Direction.MAXIMIZE), Objective("price", Direction.MINIMIZE))
    assert Front(objectives, (), Path("run")).to_csv() == "key,number,gain,price\n"
