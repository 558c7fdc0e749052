"""Read what a search found: `python examples/read_front.py runs/quickstart`."""

import sys
from pathlib import Path

from niwaki import Front, load_front


def describe(front: Front) -> None:
    """Print the models of a front, and those that one might take."""
    for model in front.models:
        named = ", ".join(f"{o.name} {model.values[o.name]:.4g}" for o in front.objectives)
        print(f"{model.key}: {named}")
    if front.knee is None:
        print("no feasible model yet")
        return
    print(f"knee: {front.knee.key}")
    for objective in front.objectives:
        (best,) = front.choose(f"best:{objective.name}")
        print(f"best {objective.name}: {best.key}, {best.values[objective.name]:.4g}")
    int8 = [path for path, decided in front.knee.candidate.items if decided == "int8"]
    print(f"the knee has {len(int8)} layers in int8")


if __name__ == "__main__":
    describe(load_front(Path(sys.argv[1] if len(sys.argv) > 1 else "runs/quickstart")))
