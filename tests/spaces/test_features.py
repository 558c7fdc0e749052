"""All that is known of a candidate before it is measured, as numbers."""

import numpy as np
import pytest

from niwaki.core.candidate import Candidate
from niwaki.core.randomness import stream
from niwaki.spaces import Choice, ChoiceSpace
from niwaki.spaces.counts import Counts
from niwaki.spaces.features import Features
from niwaki.spaces.tallies import Tallies

SPACE = ChoiceSpace(tuple(Choice(f"width{i}", (1, 2, 4)) for i in range(4)))


def counted(candidate: Candidate) -> dict[str, float]:
    """Return a count without an upper end to speak of, and one that is often missing."""
    widths = np.array([float(str(value)) for _, value in candidate.items])
    found = {"macs": 1e6 * float(np.prod(widths))}
    return found | ({"change": float(widths[0] - 2.0)} if widths[1] > 1.0 else {})


def test_a_doubled_count_is_a_step_of_one_length() -> None:
    counts = Counts({"macs": 1e3})
    steps = np.diff(counts.encode([{"macs": 1e6 * 2.0**i} for i in range(8)])[:, 0])
    assert steps == pytest.approx(np.log(2.0), abs=1e-3)


def test_zero_negative_missing_and_infinite_values_have_a_place() -> None:
    counts = Counts({"change": 2.0})
    rows = [{"change": -4.0}, {"change": 0.0}, {"change": 4.0}, {}, {"change": np.inf}]
    encoded = counts.encode(rows)[:, 0]
    assert encoded[0] < encoded[1] == encoded[3] == encoded[4] == 0.0 < encoded[2]


def test_the_same_counts_are_found_every_time() -> None:
    assert set(Counts.of(SPACE, counted).units) == {"macs", "change"}
    assert Counts.of(SPACE, counted) == Counts.of(SPACE, counted)


def test_tallies_count_values_of_decisions_that_are_alike() -> None:
    layers = (Choice(f"layer{i}", ("none", "small", "large")) for i in range(6))
    space = ChoiceSpace((*layers, Choice("head", (1, 2))))
    tallies = Tallies.of(space)
    candidate = space.decide(lambda path, options: options[int(path in ("layer1", "layer2"))])
    counts = dict(zip(tallies.columns, tallies.encode([candidate])[0], strict=True))
    assert {value: n for (_, value), n in counts.items()} == {"none": 4, "small": 2, "large": 0}


def test_features_are_the_encoding_then_tallies_then_cheap_values() -> None:
    drawn = [SPACE.sample(stream(number, "features")) for number in range(5)]
    features, values = Features(SPACE, counted), [counted(candidate) for candidate in drawn]
    own, tallies = SPACE.encode(drawn), Tallies.of(SPACE).encode(drawn)
    counts = Counts.of(SPACE, counted).encode(values)
    np.testing.assert_array_equal(features.encode(drawn, values), np.hstack([own, tallies, counts]))
    nothing = Features(SPACE, lambda _: {})
    np.testing.assert_array_equal(nothing.encode(drawn, [{}] * 5), np.hstack([own, tallies]))
    assert features.encode([], []).shape == (0, own.shape[1] + 3 + 2)
