"""Language: four words, spelled out in a square of positions and letters; which language?"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from niwaki.core.errors import ConfigError, DataError
from niwaki.core.jsonable import JSON
from niwaki.core.limits import require_at_least
from niwaki.core.randomness import stream
from niwaki.core.registry import nearest
from niwaki.tasks.base import SplitName, TaskData
from niwaki.tasks.carving import carve
from niwaki.tasks.task import TaskKind, TaskSettings, declared
from niwaki.tasks.unseen.making import Made, balanced_labels, found, made_data, sizes_of, stamp
from niwaki.tasks.unseen.pools import FRACTIONS
from niwaki.tasks.unseen.word_lists import (
    LETTERS,
    WORD_LENGTH,
    invented,
    read_table,
    read_text,
    usable,
)

VERSION = 1
"""Raise it with every change of what a seed gives."""

INVENTED = "invented"
"""What settings say for languages that are made up, in place of a path."""

_N_LANGUAGES = 10
_GROUP = 4
_LEAST_WORDS = 8  # of a language in a split: fewer would repeat the same groups
_WANTED = (
    "word lists: a table (.parquet or .csv) with the columns language and word, or a text file "
    "with a word a line for each language, in a folder or by name. Aspell prints such lists "
    f"(aspell -d nl dump master), and every spelling dictionary has one. `words: {INVENTED}` needs "
    "no file"
)


@dataclass(frozen=True)
class LanguageSettings:
    """Where the words come from, and how many items are made of them.

    Attributes:
        words: `invented` for languages that are made up; a table of words; a folder with a text
            file for each language; or files by language.
        languages: The classes; empty for the ten languages that have most words of six letters.
        n_words: Words of each language; 0 for as many as the poorest of them has.
        train: Number of items to train on.
        search: Number of items that candidates are scored on.
        val: Number of items for other choices.
        test: Number of items for the final score.
        calibration: Number of items for quantisation ranges.
        cache: Folder for the items; empty for $NIWAKI_CACHE, or the user's cache folder.
    """

    words: str | dict[str, str] = INVENTED
    languages: tuple[str, ...] = ()
    n_words: int = 0
    train: int = 4000
    search: int = 1000
    val: int = 1000
    test: int = 2000
    calibration: int = 256
    cache: str = ""

    def __post_init__(self) -> None:
        require_at_least(self, {"n_words": 0})
        if len(self.languages) == 1 or len(set(self.languages)) < len(self.languages):
            raise ConfigError(
                f"'languages' is {list(self.languages)}: give two or more, each once, or none"
            )


def load_language(settings: LanguageSettings, *, seed: int) -> TaskData:
    """Return Language: 1 x 24 x 24, a class for each language.

    References:
        Geada et al., CVPR 2024, "Insights from the use of previously unseen neural architecture
        search datasets". Ours leaves out words that two of the languages have, and gives every
        split words of its own, where the published data share those of train and validation.

    Raises:
        ConfigError: If a setting is out of its range.
        DataError: If a file is missing or damaged, or has too few words.
    """
    sizes = sizes_of(settings, "language")
    files = _files(settings.words)
    lists, n_shared = _chosen(_read(settings.words, files, seed), settings)
    recipe: dict[str, JSON] = {
        "version": VERSION,
        "seed": seed,
        "sizes": {str(split): n for split, n in sizes.items()},
        "files": {name: stamp(path) for name, path in files.items()},
        "languages": list(lists),
        "n_words": settings.n_words,
    }
    task = declared("language", TaskSettings(TaskKind.CLASSIFICATION, classes=tuple(lists)))
    odd = f"{n_shared} words were left out, since two of the languages have them"
    return made_data(
        task,
        recipe,
        lambda: make(lists, sizes, seed=seed),
        cache=settings.cache,
        warnings=(odd,) if n_shared else (),
    )


def make(lists: Mapping[str, Sequence[str]], sizes: Mapping[SplitName, int], *, seed: int) -> Made:
    """Make the items of all splits.

    Args:
        lists: Words of six letters by language; no word twice.
        sizes: Number of items.
        seed: Decides which words go where.

    Returns:
        For each split `<split>_inputs` (n, 1, 24, 24), `<split>_labels` (n,), and `<split>_sources`
        (n, 4) indices into all words, language by language.

    Raises:
        DataError: If a language has too few words.
    """
    words = [word for each in lists.values() for word in each]
    owner = np.repeat(np.arange(len(lists)), [len(each) for each in lists.values()])
    rng = stream(seed, "language", "pools")
    members = carve(len(words), FRACTIONS, rng=rng, labels=owner)
    spelled = np.array([[LETTERS.index(letter) for letter in word] for word in words])
    made: Made = {"n_repeated": np.array(0)}
    for split, n in sizes.items():
        rng = stream(seed, "language", str(split))
        labels = balanced_labels(n, len(lists), rng)
        sources = np.empty((n, _GROUP), np.int64)
        for number, language in enumerate(lists):
            pool = members[split][owner[members[split]] == number]
            wanted = labels == number
            sources[wanted] = _groups(pool, int(wanted.sum()), f"{language} in {split}", rng)
        made[f"{split}_inputs"] = _squares(spelled[sources])
        made[f"{split}_labels"] = labels.astype(np.uint8)
        made[f"{split}_sources"] = sources.astype(np.int32)
    return made


def _files(words: str | Mapping[str, str]) -> dict[str, Path]:
    """Return the files to read: by language, or the one table under the name of nothing."""
    if words == INVENTED:
        return {}
    if not isinstance(words, str):
        return {
            language: found(typed, SplitName.TRAIN, wanted=_WANTED)
            for language, typed in words.items()
        }
    if Path(words).suffix in (".parquet", ".csv"):
        return {"": found(words, SplitName.TRAIN, wanted=_WANTED)}
    folder = found(words, SplitName.TRAIN, wanted=_WANTED, kind="folder")
    files: dict[str, Path] = {}
    for path in sorted(folder.iterdir()):
        if path.name.startswith(".") or not path.is_file():
            continue
        if other := files.get(path.stem):
            raise DataError(
                f"'{words}' has two files of the language '{path.stem}', {other.name} and "
                f"{path.name}: move one of them away"
            )
        files[path.stem] = path
    if len(files) < 2:
        raise DataError(f"'{words}' has {len(files)} files. Wanted: {_WANTED}")
    return files


def _read(
    words: str | Mapping[str, str], files: Mapping[str, Path], seed: int
) -> Mapping[str, Sequence[str]]:
    if not files:
        return invented(seed)
    if isinstance(words, str) and "" in files:
        return read_table(files[""], words)
    return {language: read_text(path, path.name) for language, path in files.items()}


def _chosen(
    read: Mapping[str, Sequence[str]], settings: LanguageSettings
) -> tuple[dict[str, list[str]], int]:
    """Return equally many words of each language that is wanted, and how many two share."""
    known = {language: usable(words) for language, words in read.items()}
    if len(known) < 2:
        raise DataError(
            f"there are words of {len(known)} languages, and two at least are to be told apart. "
            f"Wanted: {_WANTED}"
        )
    for language in settings.languages:
        if language not in known:
            raise DataError(
                f"there are no words of '{language}'{nearest(language, list(known))} "
                f"Languages found: {', '.join(known)}"
            )
    richest = sorted(known, key=lambda language: (-len(known[language]), language))
    names = settings.languages or tuple(richest[:_N_LANGUAGES])
    counts: dict[str, int] = {}
    for language in names:
        for word in known[language]:
            counts[word] = counts.get(word, 0) + 1
    alone = {name: [word for word in known[name] if counts[word] == 1] for name in names}
    n_words = settings.n_words or min(map(len, alone.values()))
    for language, words in alone.items():
        if len(words) < n_words:
            raise DataError(
                f"'{language}' has {len(words)} words of {WORD_LENGTH} letters from a to x that no "
                f"other language here has, and `n_words` is {n_words}: lower it, or 0"
            )
        if len(words) < _LEAST_WORDS * len(SplitName):
            raise DataError(
                f"'{language}' has {len(words)} words of {WORD_LENGTH} letters from a to x that no "
                f"other language here has, and {_LEAST_WORDS} are needed for each of "
                f"{len(SplitName)} splits: give a longer list, or leave this language out"
            )
    n_shared = sum(count > 1 for count in counts.values())
    return {language: words[:n_words] for language, words in alone.items()}, n_shared


def _groups(
    pool: NDArray[np.int64], n: int, where: str, rng: np.random.Generator
) -> NDArray[np.int64]:
    """Draw n different groups of four different words."""
    if len(pool) < _LEAST_WORDS:
        raise DataError(
            f"{where}: there are {len(pool)} words of {WORD_LENGTH} letters from a to x, and "
            f"{_LEAST_WORDS} are needed: give longer lists, or leave this language out"
        )
    if 2 * n > math.perm(len(pool), _GROUP):
        raise DataError(
            f"{where}: {len(pool)} words are too few for {n} different groups of {_GROUP}: "
            "ask for fewer items, or give longer lists"
        )
    groups: dict[tuple[int, ...], None] = {}
    while len(groups) < n:  # at least half of all groups are still new, so this ends soon
        drawn = rng.random((n - len(groups), len(pool))).argsort(axis=1)[:, :_GROUP]
        groups |= dict.fromkeys(tuple(map(int, row)) for row in pool[drawn])
    return np.array(list(groups), dtype=np.int64).reshape(n, _GROUP)


def _squares(letters: NDArray[np.int64]) -> NDArray[np.uint8]:
    """Return (n, 1, 24, 24) from (n, 4, 6) letters: row is position, column is letter."""
    flat = letters.reshape(len(letters), -1)
    return np.asarray(flat[:, None, :, None] == np.arange(len(LETTERS)), dtype=np.uint8)
