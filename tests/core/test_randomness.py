"""Random streams by name."""

import numpy as np

from niwaki.core.randomness import derived_seed, stream
from niwaki.testing.other_process import run_elsewhere


def test_a_stream_is_the_same_in_every_version() -> None:
    # Runs of earlier versions resume on these draws: never change them.
    assert stream(7, "ask", 3).integers(1000, size=3).tolist() == [815, 666, 101]
    assert derived_seed(7, "ask", 3) == 239279172


def first_draw(seed: str, name: str) -> str:
    """Return the first draw of a stream: called in another process."""
    return str(stream(int(seed), name, 1).random())


def test_a_stream_is_the_same_under_every_hash_seed() -> None:
    here = first_draw("3", "ask")
    for hash_seed in (0, 12345):
        assert run_elsewhere(f"{__name__}:first_draw", "3", "ask", hash_seed=hash_seed) == here


def test_other_names_give_other_streams() -> None:
    names = [("a",), ("b",), ("a", "b"), ("ab",), ("a", 1), ("a", "1"), (1, "a"), ()]
    draws = {stream(0, *name).random() for name in names}
    assert len(draws | {stream(1, "a").random()}) == len(names) + 1


def test_streams_are_not_correlated() -> None:
    draws = np.array([stream(0, "ask", number).random(50) for number in range(200)])
    between = np.corrcoef(draws[:, 0], draws[:, 1])[0, 1]
    assert abs(between) < 0.25
    assert abs(draws.mean() - 0.5) < 0.02


def test_an_integer_of_numpy_is_an_integer() -> None:
    assert stream(0, "ask", int(np.int64(3))).random() == stream(0, "ask", 3).random()
    numpys: int = np.int64(3)  # type: ignore[assignment]
    assert stream(0, "ask", numpys).random() == stream(0, "ask", 3).random()


def test_a_derived_seed_fits_any_library() -> None:
    seeds = [derived_seed(5, "x", number) for number in range(100)]
    assert all(0 <= seed < 2**31 for seed in seeds)
    assert len(set(seeds)) == 100
