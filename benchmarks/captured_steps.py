"""On a GPU: training steps as one CUDA graph, beside the same steps kernel by kernel.

Known networks of einspace on invented images of 3x28x28, one process. Losses after the same steps
tell whether both ways learn the same.

Run: python -m benchmarks.captured_steps
     python -m benchmarks.captured_steps --networks vit_small --batch_sizes 64 256
"""

import argparse
import time
from contextlib import nullcontext

import numpy as np
import torch

from niwaki.core.candidate import Candidate
from niwaki.core.randomness import stream
from niwaki.evaluation.families import NetworkFamily, family_of
from niwaki.evaluation.from_scratch.training import RecipeSettings, ScratchTraining
from niwaki.spaces.einspace import EinspaceSettings
from niwaki.spaces.grammar import Budget
from niwaki.tasks.arrays import Arrays
from niwaki.tasks.assembly import assemble, declared_tasks
from niwaki.tasks.base import SplitName, TaskData
from niwaki.tasks.preprocessing import standardising
from niwaki.tasks.task import TaskSettings

NETWORKS = ("resnet18_w16", "resnet18", "wrn16_4", "vit_small", "vit")
BUDGET = Budget(operations=128, network_operations=512, macs=400_000_000, elements=5_500_000)
N_ITEMS, N_CLASSES = 20_000, 20
N_WARM_UP = 5


def invented() -> TaskData:
    """Return images of noise with labels."""
    rng = stream(0, "images")
    images = rng.integers(0, 256, size=(N_ITEMS, 3, 28, 28), dtype=np.uint8)
    arrays = Arrays(images, {"answer": rng.integers(0, N_CLASSES, size=N_ITEMS)})
    small = arrays.cut(0, 100)
    splits = {name: arrays if name == SplitName.TRAIN else small for name in SplitName}
    tasks = declared_tasks({"answer": TaskSettings("classification", classes=N_CLASSES)})
    return assemble(tasks, splits, standardising(images, "NCHW"))


def timed(
    family: NetworkFamily, data: TaskData, candidate: Candidate, recipe: RecipeSettings, n: int
) -> dict[bool, tuple[float, float]]:
    """Return ms per step over n steps, and the loss after them, by whether steps are captured."""
    found: dict[bool, tuple[float, float]] = {}
    for captures in (False, True):
        training = ScratchTraining(
            lambda: family.build(candidate), data, recipe, fidelity=1.0, seed=0
        )
        training.captures = captures
        training.n_steps = N_WARM_UP
        training.run(nullcontext)
        torch.cuda.synchronize()
        started = time.perf_counter()
        training.n_steps += n
        progress = training.run(nullcontext)  # captures anew: the graph is paid for here
        torch.cuda.synchronize()
        found[captures] = 1e3 * (time.perf_counter() - started) / n, progress.loss
    return found


def main() -> None:
    """Measure, and print a table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--networks", nargs="*", default=NETWORKS)
    parser.add_argument("--batch_sizes", nargs="*", type=int, default=[256])
    parser.add_argument("--steps", type=int, default=100)
    arguments = parser.parse_args()
    if not torch.cuda.is_available():
        raise SystemExit("this needs a CUDA device")
    data = invented()
    family = family_of(EinspaceSettings(budget=BUDGET), data)
    print("| network | batch | kernel by kernel, ms | as a graph, ms | losses |")
    print("|---|---|---|---|---|")
    for name in arguments.networks:
        for size in arguments.batch_sizes:
            recipe = RecipeSettings(batch_size=size)
            found = timed(family, data, family.seed(name), recipe, arguments.steps)
            (alone, loss), (graph, same) = found[False], found[True]
            print(f"| {name} | {size} | {alone:.2f} | {graph:.2f} | {loss:.4f} / {same:.4f} |")


if __name__ == "__main__":
    main()
