"""Which outputs each task reads, where nobody declared the tasks: by what was said of scoring."""

from collections.abc import Mapping, Sequence

from niwaki.core.errors import ConfigError
from niwaki.core.registry import nearest
from niwaki.tasks.own import Scoring


def asked_tasks(outputs: Sequence[str], scoring: Mapping[str, Scoring]) -> dict[str, Scoring]:
    """Return the tasks by name, in the order of a model's outputs, with what was said of each.

    An output that no task reads together with others is a task of its own name.

    Args:
        outputs: Names of the model's.
        scoring: By name of an output, or of a task that reads several; an empty name is that of the
            only one.

    Raises:
        ConfigError: If there is no such output, or it is not said which of several is meant; if two
            tasks have one name, or one of several outputs has no metric and loss of its own.
    """
    read = _read_together(outputs, scoring)
    asked = {read.get(name, name): Scoring() for name in outputs}
    found = set[str]()
    for given, wanted in scoring.items():
        name = given or (next(iter(asked)) if len(asked) == 1 else given)
        if name not in asked:
            what = f"'{name}' is no output" if name else "it is not said which output is scored so"
            example = wanted.kind or "my_metrics.py:f1"
            raise ConfigError(
                f"{what}: the model's are {', '.join(asked)}; name one, as in "
                f"{next(iter(asked))}={example}"
            )
        if name in found:
            raise ConfigError(
                f"output '{name}' is said twice how to be scored, once by its name: name it always"
            )
        found.add(name)
        asked[name] = wanted
    return asked


def is_of_ones_own(scoring: Scoring) -> bool:
    """Whether functions of the user's alone score and train, which may read any targets."""
    given = (*scoring.metrics, scoring.loss)
    own = [not isinstance(each, str) or ":" in each for each in given]
    return bool(scoring.metrics and scoring.loss) and all(own)


def _read_together(outputs: Sequence[str], scoring: Mapping[str, Scoring]) -> dict[str, str]:
    """Return the task that reads each output, but for those that are tasks by themselves."""
    read: dict[str, str] = {}
    for task, wanted in scoring.items():
        if wanted.outputs and not (task and wanted.metrics and wanted.loss):
            name = task or "objects"
            raise ConfigError(
                f"a task that reads {', '.join(wanted.outputs)} needs a name, a metric and a loss "
                f"of your own: as in --task {name}={','.join(wanted.outputs)} --metric "
                f"{name}=my_own.py:map50 --loss {name}=my_own.py:detection_loss"
            )
        for output in wanted.outputs:
            if output not in outputs:
                nearby = nearest(output, tuple(outputs))
                raise ConfigError(
                    f"task '{task}' reads '{output}'{nearby} The model's outputs are "
                    f"{', '.join(outputs)}"
                )
            if read.get(output) == task:
                raise ConfigError(f"task '{task}' reads '{output}' twice: name it once")
            if output in read:
                raise ConfigError(
                    f"the output '{output}' is read by '{read[output]}' and by '{task}': give it "
                    "to one of them"
                )
            read[output] = task
    tasks = set(read.values())
    if twice := [name for name in outputs if name not in read and name in tasks]:
        raise ConfigError(
            f"a task and an output that it does not read are both called '{twice[0]}': give the "
            "task another name"
        )
    return read
