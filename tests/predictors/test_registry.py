"""Predictors that configuration files can name."""

import dataclasses
import inspect
import typing

import pytest

from niwaki.core.registry import Record
from niwaki.predictors.base import Predictor
from niwaki.predictors.registry import PREDICTORS


@pytest.mark.parametrize("record", list(PREDICTORS), ids=lambda record: record.name)
def test_every_record_makes_a_predictor_from_its_settings(record: Record) -> None:
    factory = record.load()
    assert isinstance(factory(None), Predictor)
    parameters = inspect.signature(factory).parameters
    assert next(iter(parameters)) == "settings"
    hint = typing.get_type_hints(factory.__init__)["settings"]
    [kind] = [each for each in typing.get_args(hint) if each is not type(None)]
    assert isinstance(kind, type)
    assert dataclasses.is_dataclass(kind)
    settings: object = kind()
    assert isinstance(factory(settings), Predictor)
