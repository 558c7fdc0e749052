"""The data source `python`: loaders that a user's function returns, torch DataLoaders included."""

import sys
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from niwaki.core.blame import raised_by
from niwaki.core.calls import misfit
from niwaki.core.errors import ConfigError, DataError
from niwaki.core.jsonable import fingerprint
from niwaki.core.registry import import_object
from niwaki.core.user_randomness import seeded, seeded_items
from niwaki.core.wording import kind_of
from niwaki.tasks.arrays import Arrays
from niwaki.tasks.assembly import Preparation, declared_tasks, prepare
from niwaki.tasks.base import SplitName, TaskData
from niwaki.tasks.checks import Given, checked, require_same_shapes
from niwaki.tasks.model_inputs import ModelInputs
from niwaki.tasks.paths import split_named
from niwaki.tasks.preprocessing import AS_GIVEN, as_given, channels_first, guessed_layout
from niwaki.tasks.streams import StreamSplit, joined, require_shapes_of_first
from niwaki.tasks.task import Task, TaskSettings

Key = TypeVar("Key", str, str | int)

_CONTRACT = "return {split name: iterable of (inputs, targets) batches}"


@dataclass(frozen=True)
class PythonSettings:
    """Which function gives the loaders, and how they are used.

    Attributes:
        function: `package.module:name`, or `path/to/file.py:name`. Called without arguments, it
            returns a mapping from split name to an iterable of batches (inputs, targets); targets
            are an array if there is one task, else a mapping by task name. Arrays are numpy's or
            torch's. Inputs are an array; where a model is there already that takes several, a
            mapping by name.
        tasks: Declarations by task name.
        layout: Layout of the inputs; empty to tell by the shape.
        in_memory: Whether to go through each loader once and hold all items: they can be shuffled,
            and missing splits be carved. If not, loaders are gone through again and again, in
            their own order, and must be there for every split.
        standardise: Whether to give each channel mean 0 and standard deviation 1 over train; needs
            `in_memory`. Off, since loaders mostly do it themselves.
        fractions: Share of the train items for splits without a loader, by split name.
    """

    function: str
    tasks: dict[str, TaskSettings]
    layout: str = ""
    in_memory: bool = True
    standardise: bool = False
    fractions: dict[str, float] = field(default_factory=dict)


def load(settings: PythonSettings, *, seed: int) -> TaskData:
    """Call the function, and read its loaders.

    Whatever the user's own code raises is not caught.

    Raises:
        ConfigError: If the function is not found, or a setting does not fit the others.
        DataError: If what it returns is not as promised.
    """
    tasks = declared_tasks(settings.tasks)
    loaders = loaders_from(settings.function)
    reader = _BatchReader(tasks)
    if not settings.in_memory:
        return _streamed(settings, tasks, loaders, reader)
    given = {
        split: _gathered(loader, reader, _origin(settings, split))
        for split, loader in loaders.items()
    }
    layout = _layout(settings, reader)
    preparation = Preparation(layout, settings.standardise, settings.fractions)
    data = prepare(tasks, given, preparation, seed=seed)
    return replace(data, model_inputs=reader.inputs)


def imported(path: str) -> Callable[[], Any]:
    """Import the function named by `package.module:name` or `path/to/file.py:name`.

    Raises:
        ConfigError: If there is no such module, file or function, or if it needs arguments.
    """
    function: Callable[[], Any] = import_object(path)
    if fault := misfit(function):
        raise ConfigError(f"'{path}' {fault}. Give one that needs no arguments")
    return function


def loaders_from(function: str) -> dict[SplitName, Iterable[Any]]:
    """Call the function of that name, and return its loaders; train is among them.

    Raises:
        ConfigError: If the function is not found.
        DataError: If what it returns is not as promised.
    """
    give = imported(function)
    with raised_by(f"'{function}'"), seeded():
        returned = give()
    if not isinstance(returned, Mapping):
        raise DataError(f"'{function}' returned {kind_of(returned)}: {_CONTRACT}")
    return loaders_by_split(returned, function)


def loaders_by_split(given: Mapping[str, Any], origin: str) -> dict[SplitName, Iterable[Any]]:
    """Return loaders by split; train is among them.

    Raises:
        ConfigError: If a name is not that of a split.
        DataError: If what is given for a split cannot be gone through, or nothing for train.
    """
    loaders = {split_named(str(name), origin): loader for name, loader in given.items()}
    for split, loader in loaders.items():
        if not isinstance(loader, Iterable):
            raise DataError(f"'{origin}' gave {kind_of(loader)} for the {split} split: {_CONTRACT}")
    if SplitName.TRAIN not in loaders:
        raise DataError(f"'{origin}' gave no loader for the train split: give at least that one")
    return loaders


def _origin(settings: PythonSettings, split: SplitName) -> str:
    return f"'{settings.function}', split {split}"


def _layout(settings: PythonSettings, reader: "_BatchReader") -> str:
    """Return the layout that was named; that of several inputs is theirs.

    Raises:
        ConfigError: If several inputs were to have another, or to be scaled as one.
    """
    if reader.inputs is None:
        return settings.layout
    if settings.layout not in ("", AS_GIVEN) or settings.standardise:
        raise ConfigError(
            f"'{settings.function}' gives several inputs ({', '.join(reader.inputs.names)}), which "
            "reach the model as they are given: leave `layout` and `standardise` out"
        )
    return AS_GIVEN


@dataclass
class _BatchReader:
    """Turns a loader's batches into arrays.

    Attributes:
        tasks: Whose targets a batch must hold.
        inputs: What the inputs are, told by the first batch, where they come by name.
    """

    tasks: tuple[Task, ...]
    inputs: ModelInputs | None = None

    def __call__(self, batch: Any, origin: str) -> Given:
        if not (isinstance(batch, tuple | list) and len(batch) == 2):
            raise DataError(
                f"{origin} is {kind_of(batch)}, not a pair (inputs, targets): {_CONTRACT}"
            )
        inputs, targets = batch
        if not isinstance(targets, Mapping):
            if len(self.tasks) > 1:
                raise DataError(
                    f"{origin} has one array of targets for {len(self.tasks)} tasks: give a "
                    f"mapping with {', '.join(task.name for task in self.tasks)}"
                )
            targets = {self.tasks[0].name: targets}
        named = {
            str(name): plain_array(values, f"{origin}: targets {name}")
            for name, values in targets.items()
        }
        return Given(Arrays(self._together(inputs, origin), named), origin)

    def _together(self, inputs: Any, origin: str) -> NDArray[Any]:
        """Return inputs as one array, several side by side."""
        if not isinstance(inputs, Mapping):
            return plain_array(inputs, f"{origin}: inputs")
        named = {str(name): values for name, values in inputs.items()}
        arrays = arrays_by_name(named, origin)
        if len(arrays) == 1:
            return next(iter(arrays.values()))
        self.inputs = self.inputs or ModelInputs.of(arrays)
        return self.inputs.packed(arrays, origin)


def plain_array(values: Any, what: str) -> NDArray[Any]:
    """Return an array, a list, or a torch tensor wherever it lies, as a numpy array of its own.

    It is a copy, as loaders may fill one buffer anew for every batch.

    Raises:
        DataError: If it is not one array: a list of several shapes, a sparse tensor.
    """
    torch = sys.modules.get("torch")  # who holds a tensor has imported torch; we need not
    try:
        if torch is not None and isinstance(values, torch.Tensor):
            values = values.detach().cpu()
            values = values.float() if values.dtype == torch.bfloat16 else values
            values = values.numpy()
        return np.array(values)
    except (TypeError, ValueError, RuntimeError) as error:  # numpy's and torch's, by kind of tensor
        raise DataError(
            f"{what} are no plain array, but {kind_of(values)} ({error}): give one dense "
            "array or tensor for each batch, what is ragged padded to one size"
        ) from error


def arrays_by_name(inputs: Mapping[Key, Any], origin: str) -> dict[Key, NDArray[Any]]:
    """Return the inputs of a batch as arrays.

    Args:
        inputs: By name, or by position, which is a number.
        origin: Of the batch, for messages.

    Raises:
        DataError: If one is no array of numbers, or they do not all have as many items.
    """
    arrays = {
        key: plain_array(values, f"{origin}: {input_called(key)}") for key, values in inputs.items()
    }
    if not arrays:
        raise DataError(f"{origin}: a batch came without inputs: give what the model reads")
    for key, values in arrays.items():
        if values.dtype.kind not in "buif":
            verb = "is" if key else "are"
            raise DataError(
                f"{origin}: {input_called(key)} {verb} of type {values.dtype}, but numbers are "
                "needed"
            )
        if values.ndim == 0:
            raise DataError(
                f"{origin}: {values} came for {input_called(key)}, in place of a batch: give an "
                "entry for each item, the batch first"
            )
    if len({len(values) for values in arrays.values()}) > 1:
        sizes = ", ".join(f"{len(values)} of {input_called(key)}" for key, values in arrays.items())
        raise DataError(
            f"{origin}: a batch of {sizes} came: give an entry of each for every item, the batch "
            "first"
        )
    return arrays


def input_called(key: str | int) -> str:
    """Return what an input is called in messages: by its name, by its position, or alone."""
    if key == "":
        return "inputs"
    return f"input {key + 1}" if isinstance(key, int) else f"input '{key}'"


def _gathered(loader: Iterable[Any], reader: _BatchReader, origin: str) -> Given:
    pieces: list[Arrays] = []
    with raised_by(f"a loader of {origin}"), seeded():
        for number, batch in enumerate(loader):
            given = reader(batch, f"{origin}, batch {number}")
            pieces.append(checked(given, reader.tasks))
            require_shapes_of_first(pieces[-1], pieces[0], given.origin)
    if not pieces:
        raise DataError(f"{origin} gave no batches: give at least one item")
    return Given(joined(pieces), origin)


def _streamed(
    settings: PythonSettings,
    tasks: tuple[Task, ...],
    loaders: Mapping[SplitName, Iterable[Any]],
    reader: _BatchReader,
) -> TaskData:
    if settings.standardise or settings.fractions:
        raise ConfigError(
            "'standardise' and 'fractions' need all items at hand: set in_memory: true"
        )
    if missing := [str(name) for name in SplitName if name not in loaders]:
        raise DataError(
            f"'{settings.function}' gave no loader for {', '.join(missing)}: give them, "
            "or set in_memory: true to have them carved from train"
        )
    firsts = {
        split: _first(loader, reader, _origin(settings, split)) for split, loader in loaders.items()
    }
    require_same_shapes(firsts)
    train = firsts[SplitName.TRAIN].inputs
    preprocessing = as_given(train, _layout(settings, reader) or guessed_layout(train.shape))
    return TaskData(
        tasks=tasks,
        splits={
            split: StreamSplit(loader, reader, tasks, preprocessing, _origin(settings, split))
            for split, loader in loaders.items()
        },
        input_shape=channels_first(train[:1], preprocessing.layout).shape[1:],
        preprocessing=preprocessing,
        fingerprint=fingerprint(
            {
                "function": settings.function,
                "tasks": [task.to_json() for task in tasks],
                "shapes": repr(firsts[SplitName.TRAIN].shapes),
            }
        ),
        warnings=("the data are streamed, so their fingerprint follows names and shapes alone",),
        model_inputs=reader.inputs,
    )


def _first(loader: Iterable[Any], reader: _BatchReader, origin: str) -> Arrays:
    if isinstance(loader, Iterator):
        raise DataError(
            f"{origin} is an iterator, which can be gone through only once: return a list or a "
            "DataLoader, or set in_memory: true"
        )
    for batch in seeded_items(loader):
        return checked(reader(batch, f"{origin}, batch 0"), reader.tasks)
    raise DataError(f"{origin} gave no batches: give at least one item")
