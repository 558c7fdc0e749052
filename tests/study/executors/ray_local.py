"""A Ray on this machine for tests: quiet, offline, and shared by the tests of a module."""

import logging
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest

ray = pytest.importorskip("ray")

# Ray has a dozen processes to start, and a machine that runs tests may have other work.
RAY_PATIENCE_S = 200.0


def until(condition: Callable[[], bool]) -> None:
    """Wait for something that happens soon on an idle machine, or fail."""
    deadline = time.monotonic() + RAY_PATIENCE_S
    while not condition():
        assert time.monotonic() < deadline, f"it did not happen within {RAY_PATIENCE_S:g} s"
        time.sleep(0.05)


@contextmanager
def local_ray(*, n_cpus: int) -> Iterator[None]:
    """Start Ray, connect this process, and end both.

    Args:
        n_cpus: Processors that it offers, whatever this machine has.
    """
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("RAY_USAGE_STATS_ENABLED", "0")
        patch.setenv("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "0")
        ray.init(
            address="local",
            num_cpus=n_cpus,
            include_dashboard=False,
            log_to_driver=False,
            logging_level=logging.ERROR,
        )
        try:
            yield
        finally:
            ray.shutdown()
