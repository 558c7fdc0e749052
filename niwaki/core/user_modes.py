"""What a caller may have set for a whole process, and everything here relies on."""

import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

import numpy as np


@contextmanager
def usual_modes() -> Iterator[None]:
    """Let autograd follow what is computed inside, and numpy go on where a number underflows.

    Under `torch.no_grad()` or `torch.inference_mode()`, networks would be trained in vain; after
    `np.seterr(all="raise")`, a probability that is all but 0 would end a search.
    """
    with ExitStack() as modes:
        modes.enter_context(np.errstate(divide="warn", over="warn", invalid="warn", under="ignore"))
        if torch := sys.modules.get("torch"):  # who has switched gradients off has imported it
            modes.enter_context(torch.inference_mode(False))
            modes.enter_context(torch.enable_grad())
        yield
