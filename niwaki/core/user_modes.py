"""What a caller may have set for a whole process, and everything here relies on."""

import sys
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from typing import Literal

import numpy as np

_USUALLY: Mapping[str, Literal["warn", "ignore"]] = {
    "divide": "warn",
    "over": "warn",
    "under": "ignore",
    "invalid": "warn",
}


@contextmanager
def usual_modes() -> Iterator[None]:
    """Let autograd follow what is computed inside, and numpy go on where a number underflows.

    Under `torch.no_grad()` or `torch.inference_mode()`, networks would be trained in vain; after
    `np.seterr(all="raise")`, a probability that is all but 0 would end a search. Where numpy was
    told to say nothing, or to call a function, it does so still.
    """
    raising = [name for name, reaction in np.geterr().items() if reaction == "raise"]
    with ExitStack() as modes:
        modes.enter_context(np.errstate())
        np.seterr(**{name: _USUALLY[name] for name in raising})
        if torch := sys.modules.get("torch"):  # who has switched gradients off has imported it
            modes.enter_context(torch.inference_mode(False))
            modes.enter_context(torch.enable_grad())
        yield
