"""Loaders that a user's function returns."""

import random
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from niwaki.core.errors import ConfigError, DataError
from niwaki.tasks.base import SplitName
from niwaki.tasks.python_loaders import PythonSettings, imported, load
from niwaki.tasks.task import TaskSettings
from tests.tasks import user_loaders

HERE = "tests.tasks.user_loaders"
FILE = str(Path(user_loaders.__file__))
LABEL = {"label": TaskSettings(kind="classification", classes=3)}


def settings(name: str, **changes: Any) -> PythonSettings:
    return PythonSettings(f"{HERE}:{name}", **{"tasks": LABEL, **changes})


@pytest.mark.parametrize("in_memory", [True, False])
def test_torch_loaders_are_read_whole(in_memory: bool) -> None:
    data = load(settings("torch_loaders", in_memory=in_memory), seed=0)
    for name, n in user_loaders.SPLITS.items():
        batches = list(data[SplitName(name)].batches(5))
        assert sum(map(len, batches)) == n
        assert all(len(batch) == 5 for batch in batches[:-1])
        labels = np.concatenate([batch.targets["label"] for batch in batches])
        assert labels.tolist() == [i % 3 for i in range(n)]
    assert data.input_shape == (3, 5, 5)


def test_streamed_and_held_batches_are_equal() -> None:
    held, streamed = (
        load(settings("torch_loaders", in_memory=in_memory), seed=0) for in_memory in (True, False)
    )
    assert held.chance == streamed.chance
    pairs = zip(held[SplitName.VAL].batches(5), streamed[SplitName.VAL].batches(5), strict=True)
    assert all((a.inputs == b.inputs).all() for a, b in pairs)


def test_missing_splits_are_carved_from_train() -> None:
    data = load(settings("only_train"), seed=0)
    assert [data[name].n_items for name in SplitName] == [48, 8, 8, 12, 4]


def test_what_is_drawn_and_shuffled_is_the_same_every_time() -> None:
    tensors, numbers = torch.get_rng_state(), random.getstate()
    found = [load(settings("drawn_anew"), seed=0).fingerprint for _ in range(2)]
    assert found[0] == found[1]
    assert torch.equal(tensors, torch.get_rng_state())
    assert numbers == random.getstate()


def test_several_tasks_come_by_name() -> None:
    tasks = {**LABEL, "age": TaskSettings(kind="regression")}
    data = load(settings("two_tasks", tasks=tasks), seed=0)
    (batch,) = data[SplitName.VAL].batches(100)
    assert batch.targets["age"].shape == (6, 1)


def test_a_file_is_as_good_as_a_module() -> None:
    assert imported(f"{FILE}:only_train")().keys() == {"train"}


def test_iterators_are_gone_through_once() -> None:
    assert load(settings("iterators"), seed=0)[SplitName.TEST].n_items == 13


def test_half_precision_and_gradients_are_no_obstacle() -> None:
    assert load(settings("half_precision"), seed=0).preprocessing.dtype == "float32"


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("not_a_mapping", "returned a list: return {split name"),
        ("not_iterable", "gave an int for the train split"),
        ("no_pairs", r"batch 0 is an ndarray, not a pair \(inputs, targets\)"),
        ("no_train", "no loader for the train split"),
        ("empty_search", "split search gave no batches"),
        ("bad_label_in_second_batch", "split train, batch 1: task 'label' has label 3 at index 2"),
        ("several_inputs", "split train, batch 0: inputs are no plain array, but a list"),
        ("shapes_that_differ", "batch 1 has items of shapes .*, but batch 0 has"),
    ],
)
def test_loaders_that_break_the_contract_are_refused(name: str, message: str) -> None:
    with pytest.raises(DataError, match=message):
        load(settings(name), seed=0)


@pytest.mark.parametrize(
    ("name", "blamed"),
    [
        ("no_file", f"by '{HERE}:no_file'."),
        ("no_file_later", f"by a loader of '{HERE}:no_file_later', split train."),
    ],
)
def test_what_the_users_function_raises_is_blamed_on_it(name: str, blamed: str) -> None:
    with pytest.raises(FileNotFoundError) as caught:
        load(settings(name), seed=0)
    assert blamed in caught.value.__notes__[0]


def test_one_array_for_two_tasks_is_refused() -> None:
    tasks = {**LABEL, "age": TaskSettings(kind="regression")}
    with pytest.raises(DataError, match="one array of targets for 2 tasks"):
        load(settings("torch_loaders", tasks=tasks), seed=0)


@pytest.mark.parametrize(
    ("function", "message"),
    [
        (f"{HERE}:misspelled", "did you mean 'train'"),
        (f"{HERE}:NOT_A_FUNCTION", "is an int, but a class or a function is needed"),
        (f"{HERE}:_items", r"takes \(n\), but is called with \(\): missing .* no arguments"),
        (f"{HERE}:torch_loader", "did you mean 'torch_loaders'"),
        (f"{FILE}:torch_loader", "did you mean 'torch_loaders'"),
        ("nowhere/data.py:loaders", "there is no file 'nowhere/data.py'"),
        ("nowhere.at.all:loaders", "cannot be imported"),
        ("just_a_name", "does not name a Python object"),
    ],
)
def test_a_function_that_is_not_there_is_refused(function: str, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        load(PythonSettings(function, LABEL), seed=0)


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("only_train", "no loader for search, val, test, calibration"),
        ("iterators", "is an iterator, which can be gone through only once"),
        ("empty_search", "split search gave no batches"),
    ],
)
def test_streams_need_every_split_again_and_again(name: str, message: str) -> None:
    with pytest.raises(DataError, match=message):
        load(settings(name, in_memory=False), seed=0)


def test_a_bad_batch_of_a_stream_is_met_when_it_comes() -> None:
    data = load(settings("bad_label_in_second_batch", in_memory=False), seed=0)
    with pytest.raises(DataError, match="batch 1: task 'label' has label 3"):
        list(data[SplitName.TRAIN].batches(2))


def test_items_of_another_shape_are_met_when_they_come_too() -> None:
    data = load(settings("shapes_that_differ_late", in_memory=False), seed=0)
    with pytest.raises(DataError, match=r"split train, batch 1 has items of shapes.*batch 0 has"):
        list(data[SplitName.TRAIN].batches(20))


@pytest.mark.parametrize("in_memory", [True, False])
def test_a_batch_may_lack_labels_as_long_as_its_split_has_some(in_memory: bool) -> None:
    tasks = {"age": TaskSettings(kind="regression")}
    changes = {"tasks": tasks, "in_memory": in_memory}
    data = load(settings("a_batch_without_ages", **changes), seed=0)
    (batch,) = data[SplitName.VAL].batches(60)
    assert np.isnan(batch.targets["age"]).sum() == 30


def test_streams_cannot_be_standardised() -> None:
    with pytest.raises(ConfigError, match="set in_memory: true"):
        load(settings("torch_loaders", in_memory=False, standardise=True), seed=0)


def test_arrays_need_no_torch(tmp_path: Path) -> None:
    (tmp_path / "mine.py").write_text(
        "import numpy as np\n"
        "def loaders():\n"
        "    return {'train': [(np.random.default_rng(0).random((60, 4)), np.arange(60) % 3)]}\n"
    )
    program = (
        "import sys\n"
        "from niwaki.tasks.python_loaders import PythonSettings, load\n"
        "from niwaki.tasks import TaskSettings\n"
        "tasks = {'label': TaskSettings(kind='classification', classes=3)}\n"
        "load(PythonSettings('mine.py:loaders', tasks), seed=0)\n"
        "assert 'torch' not in sys.modules\n"
    )
    subprocess.run([sys.executable, "-c", program], cwd=tmp_path, check=True)


@pytest.mark.parametrize("in_memory", [True, False])
@pytest.mark.parametrize("batch_size", [3, 4, 10])
def test_loaders_may_fill_one_buffer_anew(in_memory: bool, batch_size: int) -> None:
    data = load(settings("one_buffer", in_memory=in_memory), seed=0)
    batches = list(data[SplitName.VAL].batches(batch_size))
    inputs = np.concatenate([batch.inputs[:, 0] for batch in batches])
    labels = np.concatenate([batch.targets["label"] for batch in batches])
    assert inputs.tolist() == np.repeat(np.arange(10), 4).tolist()
    assert (labels == inputs % 3).all()


def test_streams_that_shuffle_follow_the_seed_and_disturb_nobody() -> None:
    split = load(settings("shuffling", in_memory=False), seed=0)[SplitName.CALIBRATION]

    def order(seed: int | None) -> list[float]:
        rng = None if seed is None else np.random.default_rng(seed)
        found = []
        for batch in split.batches(5, rng=rng):
            found.extend(batch.inputs[:, 0, 0, 0].tolist())
            torch.randn(3)  # whoever reads may draw too
        return found

    tensors = torch.get_rng_state()
    first = next(split.batches(5)).inputs
    assert torch.equal(tensors, torch.get_rng_state())
    assert (first[:, 0, 0, 0] == order(None)[:5]).all()
    assert order(None) == order(None) and order(1) == order(1)
    assert order(1) != order(2) and sorted(order(1)) == sorted(order(2))
