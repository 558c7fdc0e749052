"""Parts of a model that cannot be exported as a whole: which can be, their data, and their use.

Python in the middle of a model may do what no graph can: sort with numpy, ask a service, call an
operation of one's own. What lies before and after it can be compressed all the same, part by part,
each learning to answer as it did; and the runtime then computes these parts inside of the model.
"""

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from niwaki.compress.pruning.model_calls import in_evaluation
from niwaki.core.errors import ConfigError, DataError, ExportError
from niwaki.core.registry import nearest
from niwaki.evaluation.compression.given_model.as_written import as_written
from niwaki.export.bundle import read_bundle
from niwaki.export.fast_path.fx_graph import build_graph
from niwaki.export.general_path.torch_export import export_module
from niwaki.targets.sessions import open_session, run_session

Call = tuple[Tensor, Tensor]  # what a part gets, and what it answers


def exportable_parts(module: nn.Module, inputs: Tensor) -> tuple[str, ...]:
    """Return the paths of the largest parts of a model that can be compressed by themselves.

    Those have weights, take one tensor and return one.

    Args:
        module: In evaluation mode.
        inputs: That it takes.
    """
    calls = _calls(module, [inputs])
    found: list[str] = []
    for path, part in module.named_modules():  # outer ones first
        inside = any(path.startswith(f"{outer}.") for outer in found)
        if path in calls and not inside and _has_weights(part) and _is_written(part, calls[path]):
            found.append(path)
    return tuple(found)


def recipe_for(parts: tuple[str, ...]) -> str:
    """Return what to do with parts, in Python; nothing if there are none."""
    if not parts:
        return ""
    first = parts[0]
    return (
        f"; or compress parts of the model; by themselves, these parts can be: {', '.join(parts)}. "
        f"Say which: --part {first}, in Python niwaki.compress(..., part='{first}'). Afterwards, "
        f"with_part(model, '{first}', folder) from niwaki.evaluation.compression.parts is the "
        "model with an exported part in its place"
    )


def calls_of_part(module: nn.Module, path: str, batches: Iterable[Tensor]) -> list[Call]:
    """Return data to compress a part of a model with: what it gets, and what it answers.

    Args:
        module: The whole model, which is put into evaluation mode for the moment.
        path: Of a part that takes one tensor and returns one, whatever number of times.
        batches: Inputs of the model.

    Raises:
        DataError: If the part does not run on these inputs, or takes or returns something else.
    """
    calls = _calls(module, batches, only=path).get(path)
    if not calls:
        raise DataError(
            f"part '{path}' of the model does not take one tensor and return one on these inputs: "
            "choose a part inside or around it that does"
        )
    return calls


def part_of(module: nn.Module, path: str) -> nn.Module:
    """Return the part of a model at a path; one that is shared has several.

    Raises:
        ConfigError: If there is none.
    """
    parts: dict[str, nn.Module] = dict(module.named_modules(remove_duplicate=False))
    if path not in parts:
        known = [name for name in parts if name]
        top = ", ".join(name for name in known if "." not in name)
        raise ConfigError(
            f"the model has no part '{path}'{nearest(path, known)} Its outermost parts: "
            f"{top or 'none'}"
        )
    return parts[path]


def with_part(module: nn.Module, path: str, folder: Path | str) -> nn.Module:
    """Return a copy of a model in which an exported model runs in the place of a part.

    Args:
        module: The whole model; not touched.
        path: Of the part. Where the model shares it, it is replaced at its other paths, too.
        folder: A bundle that came of compressing the part.

    Raises:
        ConfigError: If the model has no such part, or it is the model itself.
        ExportError: If there is no bundle in the folder.
    """
    if not path:
        raise ConfigError("a part has a path in the model, such as 'backbone', but '' came")
    smaller = in_evaluation(as_written(module))
    replaced, deployed = part_of(smaller, path), DeployedPart(folder)
    for each, part in list(smaller.named_modules(remove_duplicate=False)):
        if part is replaced:
            parent, _, name = each.rpartition(".")
            setattr(smaller.get_submodule(parent), name, deployed)
    return smaller


class DeployedPart(nn.Module):
    """An exported model, run by ONNX Runtime, that is called as a module is.

    Args:
        folder: Of its bundle.

    Raises:
        ExportError: If there is no bundle in the folder.
    """

    def __init__(self, folder: Path | str) -> None:
        super().__init__()
        bundle = read_bundle(Path(folder))
        self.folder = str(folder)
        self._input, self._output = bundle.card.inputs[0], bundle.card.tasks[0].outputs[0]
        self._session = open_session(bundle.model_path, bundle.settings)

    def forward(self, inputs: Tensor) -> Tensor:
        """Return what the model answers; no gradients flow through it."""
        feeds = {self._input.name: _array(inputs, self._input.dtype)}
        answer = torch.from_numpy(run_session(self._session, feeds)[self._output])
        # Answers to integers, such as tokens, are no integers.
        return answer.to(inputs if inputs.is_floating_point() else inputs.device)

    def __deepcopy__(self, memo: dict[int, Any]) -> "DeployedPart":
        return DeployedPart(self.folder)

    def __reduce__(self) -> tuple[type["DeployedPart"], tuple[str]]:
        return DeployedPart, (self.folder,)


def _array(inputs: Tensor, dtype: str) -> NDArray[Any]:
    """Return a tensor of any type, bfloat16 included, in the type that a file takes."""
    array: NDArray[Any] = inputs.detach().cpu().to(getattr(torch, dtype)).numpy()
    return array


def _calls(
    module: nn.Module, batches: Iterable[Tensor], *, only: str = ""
) -> dict[str, list[Call]]:
    """Run a model, and return the calls of each part that takes one tensor and returns one.

    If `only` one part is wanted, nothing is kept of the others.
    """
    calls: dict[str, list[Call]] = {}
    others: set[str] = set()

    def noting(path: str) -> Any:
        def note(_: nn.Module, given: tuple[Any, ...], named: dict[str, Any], answer: Any) -> None:
            if named or [type(each) for each in given] != [Tensor] or type(answer) is not Tensor:
                others.add(path)
                return
            calls.setdefault(path, []).append((given[0].clone(), answer.clone()))

        return note

    every = module.named_modules(remove_duplicate=not only)  # a shared part has several paths
    parts = [
        (path, part)
        for path, part in every
        if path and only in ("", path) and not isinstance(part, torch.jit.ScriptModule)
    ]
    handles = [part.register_forward_hook(noting(path), with_kwargs=True) for path, part in parts]
    modes = [(part, part.training) for part in module.modules()]
    try:
        module.eval()
        with torch.no_grad():
            for batch in batches:
                module(batch)
    finally:
        for handle in handles:
            handle.remove()
        for part, was_training in modes:
            part.training = was_training
    return {path: mine for path, mine in calls.items() if path not in others}


def _has_weights(part: nn.Module) -> bool:
    return any(parameter.ndim > 1 for parameter in part.parameters())


def _is_written(part: nn.Module, calls: list[Call]) -> bool:
    inputs = calls[0][0]
    alone = nn.Sequential(part).eval()
    try:
        build_graph(
            alone, [tuple(inputs.shape)], input_types=[str(inputs.dtype).removeprefix("torch.")]
        )
    except ExportError:
        try:
            export_module(alone, [inputs])
        except ExportError:
            return False
    return True
