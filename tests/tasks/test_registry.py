"""Sources as configurations name them."""

import inspect
import subprocess
import sys
from typing import Any, get_type_hints

import pytest
from pydantic import TypeAdapter

from niwaki.core.registry import Record
from niwaki.tasks.base import TaskData
from niwaki.tasks.registry import DATA

EXAMPLES: dict[str, dict[str, Any]] = {
    "digit_scenes": {"train": 10, "weights": {"depth": 2}},
    "npz": {
        "path": {"train": "a.npz", "test": "b.npz"},
        "tasks": {
            "label": {"kind": "classification", "classes": ["cat", "dog"]},
            "far": {"kind": "depth", "metrics": ["mae"]},
        },
    },
    "image_folder": {"path": "photos", "size": [32, 48]},
    "idx": {"inputs": "images", "labels": {"train": "labels"}, "classes": 10},
    "addnist": {"images": {"train": "a.npz", "test": "b.npz"}, "arrays": {"images": "X"}},
    "multnist": {"images": "scikit-learn", "train": 100},
    "cifartile": {"images": "data_batch_1.bin", "padding": 2},
    "language": {"words": {"en": "en.txt", "nl": "nl.txt"}, "languages": ["en", "nl"]},
    "python": {"function": "data.py:loaders", "tasks": {"far": {"kind": "depth"}}},
}


def settings_class(record: Record) -> Any:
    load = record.load()
    first = next(iter(inspect.signature(load).parameters))
    return get_type_hints(load)[first]


@pytest.mark.parametrize("record", list(DATA), ids=lambda record: record.name)
def test_a_factory_takes_frozen_settings_and_a_seed(record: Record) -> None:
    settings = settings_class(record)
    assert settings.__dataclass_params__.frozen
    parameters = inspect.signature(record.load()).parameters
    assert [(p.name, p.kind) for p in parameters.values()][1] == (
        "seed",
        inspect.Parameter.KEYWORD_ONLY,
    )
    assert get_type_hints(record.load())["return"] is TaskData


@pytest.mark.parametrize("record", list(DATA), ids=lambda record: record.name)
def test_settings_can_be_read_from_yaml_by_pydantic(record: Record) -> None:
    adapter = TypeAdapter(settings_class(record))
    read = adapter.validate_python(EXAMPLES[record.name])
    assert adapter.validate_python(adapter.dump_python(read, mode="json")) == read
    assert adapter.json_schema()["type"] == "object"


def test_classes_keep_their_order_and_type() -> None:
    (record,) = (record for record in DATA if record.name == "npz")
    read = TypeAdapter(settings_class(record)).validate_python(EXAMPLES["npz"])
    assert read.tasks["label"].classes == ("cat", "dog")


def test_no_source_loads_torch_or_scikit_learn() -> None:
    program = (
        "import sys\n"
        "from niwaki.tasks import DATA\n"
        "for record in DATA: record.load()\n"
        "assert not {'torch', 'sklearn', 'scipy', 'PIL'} & set(sys.modules)\n"
    )
    subprocess.run([sys.executable, "-c", program], check=True)
