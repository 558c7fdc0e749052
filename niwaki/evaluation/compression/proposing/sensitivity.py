"""How much each task loses when one layer alone runs in int8."""

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from niwaki.compress.quantization.plan import Precision, QuantizationPlan
from niwaki.evaluation.compression.proposing.masked_oracle import judged_items
from niwaki.evaluation.deployment import Deployment, FloatGraph
from niwaki.tasks.base import Batch
from niwaki.tasks.scoring import skills

Floats = NDArray[np.float64]

_BATCH = 64


def sensitivities(
    deployment: Deployment, graph: FloatGraph, layers: Sequence[str], *, n_items: int = 256
) -> Mapping[str, Floats]:
    """Return what each task loses of its skill, by layer: (t,) each, 0 for no loss.

    Scored on items of the calibration split, by the runtime itself. Losses of single layers do not
    add up exactly, but they tell which layers to keep in float first. Answers that are not finite
    have no skill. NaN is the loss of a task that cannot be scored in float either.

    Args:
        deployment: Tasks and target.
        graph: Float, with the ranges of its activations.
        layers: Paths of those to look at.
        n_items: To score on, in whole batches: each layer costs a pass over them.
    """
    batches = list(judged_items(deployment.data, n_items, _BATCH))

    def skilled(precisions: Mapping[str, Precision]) -> Floats:
        return _skills(deployment, graph, deployment.target.capabilities.plan(precisions), batches)

    whole = skilled({})
    alone = {layer: skilled({layer: Precision.INT8}) for layer in layers}
    return {layer: whole - np.nan_to_num(skill) for layer, skill in alone.items()}


def most_sensitive(losses: Mapping[str, Floats], *, share: float = 0.5) -> tuple[str, ...]:
    """Return the layers that together cause a share of what the worst-hit task loses.

    Args:
        losses: As `sensitivities` gives them; those that are NaN say nothing.
        share: Of the sum of each layer's largest loss over tasks.
    """
    worst = {layer: max(float(np.nan_to_num(each).max()), 0.0) for layer, each in losses.items()}
    wanted = share * sum(worst.values())
    chosen: list[str] = []
    for layer in sorted(worst, key=lambda name: -worst[name]):
        if wanted <= 0.0:
            break
        chosen.append(layer)
        wanted -= worst[layer]
    return tuple(chosen)


def _skills(
    deployment: Deployment, graph: FloatGraph, plan: QuantizationPlan, batches: Sequence[Batch]
) -> Floats:
    values = deployment.score_on(deployment.quantized(graph, plan), batches)
    return skills(deployment.data.tasks, values, chance=deployment.data.chance)
