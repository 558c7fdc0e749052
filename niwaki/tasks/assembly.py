"""From checked arrays to `TaskData`: preprocessing, splits, fingerprint."""

from collections.abc import Mapping

from niwaki.core.jsonable import fingerprint
from niwaki.tasks.arrays import Arrays, ArraySplit
from niwaki.tasks.base import SplitName, TaskData
from niwaki.tasks.digest import digest_of
from niwaki.tasks.preprocessing import Preprocessing, channels_first
from niwaki.tasks.task import Task


def assemble(
    tasks: tuple[Task, ...],
    splits: Mapping[SplitName, Arrays],
    preprocessing: Preprocessing,
    *,
    warnings: tuple[str, ...] = (),
) -> TaskData:
    """Put arrays of all five splits together.

    Args:
        tasks: Their targets are in every split.
        splits: Checked arrays, in canonical shapes.
        preprocessing: Applied to the inputs of every batch.
        warnings: What is odd about the data.
    """
    train = splits[SplitName.TRAIN].inputs
    digests = {str(name): digest_of(arrays.named()) for name, arrays in splits.items()}
    return TaskData(
        tasks=tasks,
        splits={name: ArraySplit(splits[name], preprocessing) for name in SplitName},
        input_shape=channels_first(train[:1], preprocessing.layout).shape[1:],
        preprocessing=preprocessing,
        fingerprint=fingerprint(
            {
                "splits": digests,
                "preprocessing": preprocessing.to_json(),
                "tasks": [task.to_json() for task in tasks],
            }
        ),
        warnings=warnings,
    )
