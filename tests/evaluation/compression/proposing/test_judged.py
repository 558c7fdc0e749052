"""What was judged is known again, but for a line that a kill has torn."""

from pathlib import Path

import numpy as np

from niwaki.evaluation.compression.proposing.judged import Judged, JudgedStates


def test_what_was_judged_is_read_to_the_bit_and_a_torn_line_is_not(tmp_path: Path) -> None:
    path, rng = tmp_path / "judged.jsonl", np.random.default_rng(0)
    rows = [Judged(*rng.random((3, 2))) for _ in range(2)]
    rows[0].skills[1] = np.nan
    states = [np.array([8, n]) for n in range(3)]
    kept = JudgedStates(path)
    for state, row in zip(states, rows, strict=False):
        kept.add(state, row)
    path.write_text(path.read_text() + '{"counts": [8, 2], "skills": [0.')
    again = JudgedStates(path)
    assert again.get(states[2]) is None
    for state, row in zip(states, rows, strict=False):
        found = again.get(state)
        assert found is not None
        for name, values in vars(row).items():
            np.testing.assert_array_equal(getattr(found, name), values)
