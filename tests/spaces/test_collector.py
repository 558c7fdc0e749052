"""The cycle collector stays away for as long as it is asked to, and comes back."""

import gc

import pytest

from niwaki.spaces.collector import collector_paused


def test_the_collector_is_paused_within_and_runs_afterwards() -> None:
    with collector_paused():
        assert not gc.isenabled()
        with collector_paused():
            pass
        assert not gc.isenabled()
    assert gc.isenabled()


def test_the_collector_runs_again_after_a_fault() -> None:
    with pytest.raises(ValueError, match="on the way"), collector_paused():
        raise ValueError("on the way")
    assert gc.isenabled()
