"""What people should know of their model before it is compressed, in sentences."""

from collections.abc import Iterator

import torch

from niwaki.evaluation.compression.at_chance import at_chance
from niwaki.evaluation.compression.given_model.faithful import mixing
from niwaki.evaluation.compression.original import Original, example_of
from niwaki.evaluation.compression.proposing.importance import not_differentiable
from niwaki.evaluation.compression.tuning.fine_tuning import Tuning
from niwaki.export.float_graph import decided_by_examples


def remarks(original: Original, *, batch_size: int) -> Iterator[str]:
    """Yield what a model does that is not as people expect of one that is deployed.

    Args:
        original: The model, with its data.
        batch_size: In which it is scored.
    """
    yield from at_chance(original.module, original.data)
    example = example_of(original.data)
    inputs = original.deployment.inputs
    taken = [torch.from_numpy(each) for each in inputs.feeds(example.numpy()).values()]
    decisions = decided_by_examples(
        original.module,
        [tuple(each.shape) for each in taken],
        taken,
        input_types=[each.dtype for each in inputs],
    )
    if places := dict.fromkeys(decision.place for decision in decisions):
        yield (
            f"the model decides by the values of tensors at {', '.join(places)}: exported, it "
            "goes the way that the calibration inputs go, and is verified on others"
        )
    names = original.data.output_names
    if len(example) == 2 and (how := mixing(original.module, example.numpy(), names)):
        yield (f"{how}: scores are of batches of {batch_size}, and latencies of one item")


def remarks_on_tuning(original: Original, tuning: Tuning) -> Iterator[str]:
    """Yield what of a model is not fine-tuned, or behaves otherwise while it is."""
    parameters = dict(original.module.named_parameters())
    frozen = [name for name, each in parameters.items() if not each.requires_grad]
    if frozen:
        yield (
            f"{len(frozen)} of {len(parameters)} parameters are frozen (requires_grad is "
            f"False), {frozen[0]} first, and are not fine-tuned"
        )
    unreached = not_differentiable(original.module, original.data)
    if 0 < len(unreached) < len(original.data.tasks):
        yield (
            f"no gradient of {', '.join(unreached)} reaches a parameter: channels are ranked, "
            "and networks fine-tuned, by the other answers"
        )
    if otherwise := tuning.otherwise_in_training:
        yield (
            f"in training mode the model is another: {otherwise}. Its own code stays in "
            "evaluation mode while it is fine-tuned"
        )
