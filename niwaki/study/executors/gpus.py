"""Which GPU each worker process of one machine gets, where there are several."""

import os
import sys
from collections.abc import Mapping

VISIBLE = "CUDA_VISIBLE_DEVICES"


def gpu_of(slot: int) -> Mapping[str, str]:
    """Return the environment that shows a worker one GPU alone, in turn; empty if there are no two.

    Torch takes the first GPU that it sees, so that all workers would share that one. What is hidden
    from this process stays hidden from its workers.

    Args:
        slot: Number of the worker, from 0.
    """
    torch = sys.modules.get("torch")  # an evaluator without torch needs no GPU
    n_gpus = torch.cuda.device_count() if torch is not None else 0
    if n_gpus < 2:
        return {}
    names = [name for name in os.environ.get(VISIBLE, "").split(",") if name.strip()]
    names = names or [str(number) for number in range(n_gpus)]
    return {VISIBLE: names[slot % n_gpus].strip()}
