"""Where a model comes from."""

import pytest
from torch import nn

from niwaki.core.errors import ConfigError
from niwaki.evaluation.compression.model_source import ModelSource


def test_a_part_that_is_not_there_is_refused_with_those_there_are() -> None:
    model = nn.ModuleDict({"body": nn.Sequential(nn.Linear(2, 2)), "head": nn.Linear(2, 2)})
    with pytest.raises(ConfigError, match=r"no part 'heads'; did you mean 'head'\? .*: body, head"):
        ModelSource(module=model, part="heads").load()


def test_a_function_that_needs_arguments_is_refused() -> None:
    with pytest.raises(ConfigError, match="without arguments, but: missing a required argument"):
        ModelSource("torch.nn:Linear").load()


@pytest.mark.parametrize(
    ("given", "words"),
    [(nn.Linear(2, 2).state_dict(), "an OrderedDict"), (nn.Linear, "a type")],
)
def test_what_is_no_module_is_refused_by_what_it_is(given: object, words: str) -> None:
    with pytest.raises(ConfigError, match=f"the model is {words}, but .*: give the module itself"):
        ModelSource(module=given).load()  # type: ignore[arg-type]
