"""Functions that evaluate, as users write them."""

import random
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np


def train(decisions: dict[str, Any], fidelity: float = 1.0, seed: int = 0) -> dict[str, object]:
    width = decisions.pop("width")  # the dict is the function's own
    if decisions["optimizer"] == "sgd" and decisions["rate"] == 0.1:
        raise ValueError("the loss is not finite")
    noise = random.random() + float(np.random.rand())  # noqa: NPY002 - as users do
    accuracy = np.float32(width * fidelity)
    return {"accuracy": accuracy, "noise": noise, "latency_ms": 2 * width, "seed": seed}


def train_in_full(decisions: Mapping[str, Any]) -> dict[str, float]:
    return {"accuracy": 0.5, "latency_ms": 1.0}


def train_anything(decisions: Mapping[str, Any], **rest: float) -> dict[str, float]:
    return {"accuracy": rest["fidelity"], "latency_ms": 1.0}


def count(decisions: Mapping[str, Any]) -> dict[str, float]:
    return {"params": decisions["width"] ** 2}


def pair(decisions: Mapping[str, Any]) -> tuple[float, float]:
    return 0.9, 3.0


def misspelt(decisions: Mapping[str, Any]) -> dict[str, float]:
    return {"acuracy": 0.9, "latency_ms": 1.0}


def by_name(width: int, rate: float) -> dict[str, float]:
    return {"accuracy": width * rate}


def in_percent(decisions: Mapping[str, Any]) -> dict[str, float]:
    return {"accuracy": 93.5, "latency_ms": 1.0}


def counts_too(decisions: Mapping[str, Any]) -> dict[str, object]:
    params = np.float32(decisions["width"] ** 2) if decisions["width"] > 8 else 65
    return {"accuracy": 0.5, "latency_ms": 1.0, "params": params}


N_FUNCTIONS = 8


def count_leaves(decisions: Mapping[str, Any]) -> dict[str, float]:
    leaves = list(_leaves(decisions["tree"]))
    return {"leaves": len(leaves), "convs": sum(leaf.startswith("conv") for leaf in leaves)}


def _leaves(tree: Any) -> Iterator[str]:
    """Yield the operations of a tree: text for one, or a label followed by subtrees."""
    if isinstance(tree, str):
        yield tree
        return
    for child in tree[1:]:
        yield from _leaves(child)
