"""Language: squares spell their words, and no word is in two splits."""

from dataclasses import replace
from pathlib import Path

import pytest

from niwaki.core.errors import ConfigError, DataError
from niwaki.tasks.arrays import ArraySplit
from niwaki.tasks.base import SplitName
from niwaki.tasks.unseen.language import LanguageSettings, load_language, make
from niwaki.tasks.unseen.word_lists import LETTERS, invented

LISTS = {name: words[:300] for name, words in list(invented(5).items())[:3]}
WORDS = [word for words in LISTS.values() for word in words]
SIZES = dict(zip(SplitName, (90, 30, 30, 30, 9), strict=True))
SMALL = LanguageSettings(train=100, search=30, val=30, test=40, calibration=20)


def write_lists(folder: Path) -> None:
    for language, words in LISTS.items():
        (folder / f"{language}.txt").write_text("\n".join(words))


def test_a_square_spells_four_words_of_its_language() -> None:
    made = make(LISTS, SIZES, seed=0)
    for split in SplitName:
        rows = zip(
            made[f"{split}_inputs"],
            made[f"{split}_labels"],
            made[f"{split}_sources"],
            strict=True,
        )
        for square, label, sources in rows:
            assert (square.sum(axis=2) == 1).all()
            spelled = "".join(LETTERS[column] for column in square[0].argmax(axis=1))
            assert spelled == "".join(WORDS[index] for index in sources)
            assert {index // 300 for index in sources} == {label}
            assert len(set(sources.tolist())) == 4


def test_no_word_is_in_two_splits() -> None:
    made = make(LISTS, SIZES, seed=1)
    shown = [{WORDS[i] for i in made[f"{split}_sources"].ravel()} for split in SplitName]
    assert len(set().union(*shown)) == sum(map(len, shown))


def test_no_group_is_there_twice() -> None:
    made = make(LISTS, SIZES, seed=2)
    groups = [tuple(row) for row in made["train_sources"].tolist()]
    assert len(set(groups)) == len(groups) == 90


def test_languages_are_made_up_where_there_is_no_file(tmp_path: Path) -> None:
    data = load_language(replace(SMALL, cache=str(tmp_path)), seed=0)
    assert data.input_shape == (1, 24, 24)
    assert data.tasks[0].n_outputs == 10
    assert (
        data.fingerprint == load_language(replace(SMALL, cache=str(tmp_path)), seed=0).fingerprint
    )


def test_a_folder_has_a_file_for_each_language(tmp_path: Path) -> None:
    folder = tmp_path / "lists"
    folder.mkdir()
    write_lists(folder)
    by_folder = load_language(replace(SMALL, words=str(folder), cache=str(tmp_path)), seed=0)
    assert by_folder.tasks[0].classes == tuple(LISTS)
    files = {language: str(folder / f"{language}.txt") for language in LISTS}
    by_name = load_language(replace(SMALL, words=files, cache=str(tmp_path)), seed=0)
    assert by_name.fingerprint == by_folder.fingerprint


def test_hidden_files_are_no_languages_and_two_of_one_are_refused(tmp_path: Path) -> None:
    folder = tmp_path / "lists"
    folder.mkdir()
    write_lists(folder)
    (folder / ".DS_Store").write_bytes(b"\0\xff")
    chosen = replace(SMALL, words=str(folder), cache=str(tmp_path))
    assert load_language(chosen, seed=0).tasks[0].classes == tuple(LISTS)
    (folder / "language_0.bak").write_text("other")
    with pytest.raises(DataError, match=r"language_0\.bak and language_0\.txt: move one"):
        load_language(chosen, seed=0)


@pytest.mark.parametrize(("rows", "n"), [("", 0), ("nl,straat\n", 1)])
def test_a_table_of_fewer_than_two_languages_is_refused(tmp_path: Path, rows: str, n: int) -> None:
    path = tmp_path / "words.csv"
    path.write_text(f"language,word\n{rows}")
    with pytest.raises(DataError, match=f"there are words of {n} languages"):
        load_language(replace(SMALL, words=str(path), cache=str(tmp_path)), seed=0)


def test_words_of_two_languages_are_left_out(tmp_path: Path) -> None:
    path = tmp_path / "words.csv"
    rows = [f"{language},{word}" for language, words in LISTS.items() for word in words]
    shared = [f"language_1,{word}" for word in LISTS["language_0"][:40]]
    path.write_text("\n".join(["language,word", *shared, *rows]))
    data = load_language(replace(SMALL, words=str(path), cache=str(tmp_path)), seed=0)
    assert data.warnings == ("40 words were left out, since two of the languages have them",)
    split = data[SplitName.TRAIN]
    assert isinstance(split, ArraySplit)
    letters = split.arrays.inputs[:, 0].argmax(axis=2).reshape(-1, 6)
    shown = {"".join(LETTERS[i] for i in word) for word in letters}
    assert not shown & set(LISTS["language_0"][:40])


def test_a_language_that_is_not_there_is_named_with_the_nearest(tmp_path: Path) -> None:
    chosen = replace(SMALL, languages=("language_1", "langage_2"), cache=str(tmp_path))
    with pytest.raises(DataError, match="no words of 'langage_2'; did you mean 'language_2'"):
        load_language(chosen, seed=0)


def test_too_few_words_are_an_error_with_a_remedy(tmp_path: Path) -> None:
    lists = {name: words[:20] for name, words in LISTS.items()}
    with pytest.raises(DataError, match=r"language_\d in search: there are \d words"):
        make(lists, SIZES, seed=0)
    chosen = replace(SMALL, n_words=5000, cache=str(tmp_path))
    with pytest.raises(DataError, match=r"'language_\d' has .* lower it"):
        load_language(chosen, seed=0)


def test_a_language_of_other_letters_is_named(tmp_path: Path) -> None:
    for name, words in {**LISTS, "russian": ["слово"] * 99}.items():
        (tmp_path / f"{name}.txt").write_text("\n".join(words), encoding="utf-8")
    chosen = replace(SMALL, words=str(tmp_path), cache=str(tmp_path / "cache"))
    with pytest.raises(DataError, match=r"'russian' has 0 words .* leave this language out"):
        load_language(chosen, seed=0)


def test_more_groups_than_words_can_give_are_refused() -> None:
    lists = {name: words[:160] for name, words in LISTS.items()}
    sizes = {**SIZES, SplitName.CALIBRATION: 3 * 840}  # eight words give 8 * 7 * 6 * 5 = 1,680
    assert len(make(lists, sizes, seed=0)["calibration_labels"]) == 2520
    with pytest.raises(DataError, match="8 words are too few for 841 different groups"):
        make(lists, {**SIZES, SplitName.CALIBRATION: 3 * 841}, seed=0)


def test_settings_are_checked() -> None:
    with pytest.raises(ConfigError, match="two or more"):
        LanguageSettings(languages=("english",))
    with pytest.raises(DataError, match=r"'words.csv'.*Wanted: word lists"):
        load_language(LanguageSettings("words.csv"), seed=0)
