"""What a caller may have switched off in torch, and everything here relies on."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def gradients_followed() -> Iterator[None]:
    """Let autograd follow what is computed inside, also where a caller follows nothing.

    Under `torch.no_grad()` or `torch.inference_mode()`, networks would be trained in vain.
    """
    torch = sys.modules.get("torch")  # who has switched it off has imported it
    if torch is None:
        yield
        return
    with torch.inference_mode(False), torch.enable_grad():
        yield
