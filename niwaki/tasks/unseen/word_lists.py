"""Words by language, from a table, from a text file for each, or made up."""

import csv
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from niwaki.core.errors import ConfigError, DataError
from niwaki.core.randomness import stream

LETTERS = "abcdefghijklmnopqrstuvwx"
"""No y and z: so words of six letters, four at a time, fill a square of 24 x 24."""

WORD_LENGTH = 6

_N_INVENTED = 10
_INVENTED_WORDS = 1200
_SPARSITY = 0.12  # of the letter chains: the lower, the fewer letters usually follow one
_COLUMNS = ("language", "word")


def usable(words: Sequence[str]) -> list[str]:
    """Return the words of exactly six letters from a to x, in lower case, each once, in order."""
    lowered = (word.strip().lower() for word in words)
    kept = (word for word in lowered if len(word) == WORD_LENGTH and set(word) <= set(LETTERS))
    return list(dict.fromkeys(kept))


def read_table(path: Path, typed: str) -> dict[str, list[str]]:
    """Read a Parquet or CSV table with the columns `language` and `word`.

    Languages may be numbers.

    Raises:
        ConfigError: If pyarrow is missing.
        DataError: If the file cannot be read, or lacks a column.
    """
    if path.suffix == ".parquet":
        languages, words = _read_parquet(path, typed)
    else:
        languages, words = _read_csv(path, typed)
    found: dict[str, list[str]] = {}
    for language, word in zip(languages, words, strict=True):
        if language not in (None, "") and word:
            found.setdefault(str(language), []).append(str(word))
    return found


def read_text(path: Path, typed: str) -> list[str]:
    """Read a text file with a word on each line.

    What follows a space or a slash is left out: word lists often carry counts or affix flags.

    Raises:
        DataError: If it is not UTF-8 text.
    """
    try:
        lines = path.read_text(encoding="utf-8-sig").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(
            f"'{typed}' cannot be read as a list of words: {error}. Give UTF-8 text, a word a line"
        ) from error
    return [line.split()[0].split("/")[0] for line in lines if line.strip()]


def invented(seed: int) -> dict[str, list[str]]:
    """Make up ten languages: each has its own habits of which letter follows which.

    Args:
        seed: Other seeds have other languages.

    Returns:
        1,200 different words of each.
    """
    return {
        f"language_{number}": _words_of_chain(stream(seed, "invented words", number))
        for number in range(_N_INVENTED)
    }


def _words_of_chain(rng: np.random.Generator) -> list[str]:
    n = len(LETTERS)
    start = rng.dirichlet(np.full(n, 0.5))
    following = rng.dirichlet(np.full(n, _SPARSITY), size=n).cumsum(axis=1)
    words: dict[str, None] = {}
    for _ in range(50):  # one round suffices, but for chains that hardly vary
        letters = np.empty((2 * _INVENTED_WORDS, WORD_LENGTH), np.int64)
        letters[:, 0] = rng.choice(n, size=len(letters), p=start)
        for place in range(1, WORD_LENGTH):
            letters[:, place] = _next_letters(following[letters[:, place - 1]], rng)
        words |= dict.fromkeys("".join(LETTERS[i] for i in word) for word in letters)
        if len(words) >= _INVENTED_WORDS:
            break
    return list(words)[:_INVENTED_WORDS]


def _next_letters(cumulative: NDArray[np.float64], rng: np.random.Generator) -> NDArray[np.int64]:
    """Draw from each row of (n, 24) cumulative probabilities."""
    drawn = (rng.random((len(cumulative), 1)) > cumulative).sum(axis=1)
    return np.asarray(np.minimum(drawn, len(LETTERS) - 1), dtype=np.int64)


def _read_parquet(path: Path, typed: str) -> tuple[list[object], list[object]]:
    try:
        from pyarrow import ArrowException, parquet
    except ImportError as error:
        raise ConfigError(
            f"'{typed}' is a Parquet file, which pyarrow reads, and pyarrow is not installed: "
            "pip install 'niwaki[tables]', or give a CSV file"
        ) from error
    try:
        table = parquet.read_table(path)
    except (OSError, ArrowException) as error:
        raise DataError(f"'{typed}' cannot be read as Parquet: {error}. Get it again") from error
    _require_columns(table.column_names, typed)
    language, word = (table.column(name).to_pylist() for name in _COLUMNS)
    return language, word


def _read_csv(path: Path, typed: str) -> tuple[list[object], list[object]]:
    try:
        with path.open(encoding="utf-8-sig", newline="") as stream_:
            reader = csv.DictReader(stream_)
            _require_columns(reader.fieldnames or [], typed)
            rows: list[Mapping[str, str]] = list(reader)
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise DataError(f"'{typed}' cannot be read as CSV: {error}. Give UTF-8 text") from error
    return [row["language"] for row in rows], [row["word"] for row in rows]


def _require_columns(names: Sequence[str], typed: str) -> None:
    missing = [name for name in _COLUMNS if name not in names]
    if missing:
        raise DataError(
            f"'{typed}' has no column '{missing[0]}': a table of words has the columns language "
            f"and word, and this one has {', '.join(names) or 'none'}"
        )
