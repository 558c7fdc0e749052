"""Words from wherever they are kept."""

from collections import Counter
from pathlib import Path

import pyarrow as pa
import pytest
from pyarrow import parquet

from niwaki.core.errors import DataError
from niwaki.tasks.unseen.word_lists import LETTERS, invented, read_table, read_text, usable


def test_words_of_six_letters_from_a_to_x_are_usable() -> None:
    words = ["Haus", "Häuser", "Stadte", "stadte", "yellow", "zebras", "don't!", "wooden", "a cake"]
    assert usable(words) == ["stadte", "wooden"]


@pytest.mark.parametrize("suffix", ["parquet", "csv"])
def test_a_table_has_a_row_for_each_word(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"words.{suffix}"
    if suffix == "csv":
        path.write_text("rank,language,word\n1,nl,straat\n2,nl,winkel\n1,fi,kaappi\n")
    else:
        table = {"language": ["nl", "nl", "fi", None], "word": ["straat", "winkel", "kaappi", "x"]}
        parquet.write_table(pa.table(table), path)
    assert read_table(path, "w") == {"nl": ["straat", "winkel"], "fi": ["kaappi"]}


@pytest.mark.parametrize("suffix", ["parquet", "csv"])
def test_languages_may_be_numbers(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"words.{suffix}"
    if suffix == "csv":
        path.write_text("language,word\n0,straat\n1,kaappi\n,x\n")
    else:
        table = {"language": [0, 1, None], "word": ["straat", "kaappi", "x"]}
        parquet.write_table(pa.table(table), path)
    assert read_table(path, "w") == {"0": ["straat"], "1": ["kaappi"]}


def test_a_table_without_words_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "words.csv"
    path.write_text("language,token\nnl,straat\n")
    with pytest.raises(DataError, match=r"no column 'word'.*has language, token"):
        read_table(path, "words.csv")


@pytest.mark.parametrize("suffix", ["parquet", "csv"])
def test_a_damaged_table_is_refused(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"words.{suffix}"
    path.write_bytes(b"language,word\n\xff\xfe\xfd,straat\n")
    with pytest.raises(DataError, match="cannot be read as"):
        read_table(path, "w")


def test_counts_and_affix_flags_are_left_out(tmp_path: Path) -> None:
    path = tmp_path / "nl.txt"
    path.write_text("straat 1723\nwinkel/NS\n\n  boeken\n")
    assert read_text(path, "nl.txt") == ["straat", "winkel", "boeken"]


def test_a_list_that_is_no_text_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "nl.txt"
    path.write_bytes(b"\xff\xfe\xfd")
    with pytest.raises(DataError, match="UTF-8"):
        read_text(path, "nl.txt")


def test_invented_languages_have_words_and_habits() -> None:
    languages = invented(0)
    assert len(languages) == 10
    assert all(len(usable(words)) == len(words) == 1200 for words in languages.values())
    pairs = {
        name: Counter(word[i : i + 2] for word in words for i in range(5))
        for name, words in languages.items()
    }
    first, second = pairs["language_0"], pairs["language_1"]
    common = sum((first & second).values()) / sum(first.values())
    assert common < 0.5
    assert len(first) < len(LETTERS) ** 2 / 2
    assert invented(0) == languages != invented(1)
