"""Where the model to be compressed comes from."""

import hashlib
import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from niwaki.compress.pruning.model_calls import in_evaluation
from niwaki.core.errors import ConfigError, DataError
from niwaki.core.files import expanded, noted
from niwaki.core.registry import nearest
from niwaki.core.user_randomness import seeded
from niwaki.core.wording import kind_of, qualified_name
from niwaki.evaluation.compression.from_onnx.file import ENDING, OnnxFile
from niwaki.evaluation.compression.from_onnx.proof import require_same_answers
from niwaki.evaluation.compression.from_onnx.reading import read_module
from niwaki.evaluation.compression.given_model.arguments import declare_inputs
from niwaki.evaluation.compression.given_model.as_written import as_written, path_as_written
from niwaki.evaluation.compression.given_model.own_layers import require_own_layers
from niwaki.evaluation.compression.given_model.plain_calls import keep_outputs, plainly_called
from niwaki.evaluation.compression.given_model.plain_weights import (
    computed_weights,
    with_plain_weights,
)
from niwaki.evaluation.compression.given_model.several_inputs import inputs_of
from niwaki.evaluation.compression.parts import part_of
from niwaki.tasks.python_loaders import imported

ORIGINAL_FILE = "original.json"

_SET = re.compile(r"\{([^{}]*)\}")  # its order is another in each process, if it is of strings
_ADDRESS = re.compile(r" at 0x[0-9a-fA-F]+")  # of a function or an object: another in each process


def model_fingerprint(module: nn.Module) -> str:
    """Return sixteen hexadecimal digits that follow a model's structure and its numbers."""
    digest = hashlib.blake2b(digest_size=8)
    for path, part in module.named_modules():
        said = _SET.sub(_in_order, _ADDRESS.sub("", part.extra_repr()))
        digest.update(f"{path} {type(part).__qualname__} {said}\n".encode())
    for name, value in module.state_dict().items():
        digest.update(f"{name} ".encode() + _told(value))
    return digest.hexdigest()


def _in_order(found: re.Match[str]) -> str:
    return f"<{', '.join(sorted(found[1].split(', ')))}>"


def _told(value: object) -> bytes:
    """Return what tells a value of a state from others: tensors, and what a module adds to them.

    Of an object of another kind, it is the kind alone.
    """
    match value:
        case torch.Tensor():
            flat = value.detach().cpu().contiguous().reshape(-1)
            numbers = flat.view(torch.uint8).numpy().tobytes()
            return f"{tuple(value.shape)} {value.dtype}\n".encode() + numbers
        case np.ndarray() if value.dtype.kind != "O":
            return f"{value.shape} {value.dtype}\n".encode() + value.tobytes()
        case Mapping():
            return b"{" + b",".join(_told(k) + b":" + _told(v) for k, v in value.items()) + b"}"
        case list() | tuple():
            return b"[" + b",".join(map(_told, value)) + b"]"
        case set() | frozenset():
            return b"<" + b",".join(sorted(map(_told, value))) + b">"
        case str() | bytes() | int() | float() | complex() | None:
            return repr(value).encode()
        case _:
            return type(value).__qualname__.encode()


@dataclass(frozen=True, eq=False)
class ModelSource:
    """A trained model, by name or at hand.

    Attributes:
        reference: `path/to/model.onnx`; or `path/to/file.py:function` or `package.module:function`:
            called without arguments, it returns the model with its trained weights. Empty if
            `module` is given.
        module: The model itself. It is copied before anything is done to it.
        part: Path of the part of it that is to be compressed; empty for all of it.
        place: Where an ONNX file lies, whatever the working directory is later.
        content: Fingerprint of an ONNX file that it has to have; empty if it is not known yet.
        items: Shapes of the items of each input that an ONNX file of open sizes is read for; empty
            if unknown.
        kept: Names of the outputs that it shall have; empty for all that it has.
        left: Names of the inputs of an ONNX file that nothing reads, and that data leave out; None
            if the data were not looked at yet.
    """

    reference: str = ""
    module: nn.Module | None = None
    part: str = ""
    place: Path | None = None
    content: str = ""
    items: tuple[tuple[int, ...], ...] = ()
    kept: tuple[str, ...] = ()
    left: tuple[str, ...] | None = None

    def __post_init__(self) -> None:
        if self.kept and (self.part or self.reference.endswith(ENDING)):
            what = "a part of a model has one output" if self.part else "a file has its own"
            remedy = "" if self.part else ": onnx.utils.extract_model leaves others out of it"
            raise ConfigError(f"outputs to keep were given (`outputs`), but {what}{remedy}")
        if self.reference.endswith(ENDING) and self.place is None:
            object.__setattr__(self, "place", expanded(self.reference).absolute())

    def __getstate__(self) -> dict[str, object]:
        """Travel by name where there is one: a worker builds the model for itself."""
        return {
            "reference": self.reference,
            "module": self.module,
            "part": self.part,
            "place": self.place,
            "content": self._file.fingerprint if self.place else "",
            "items": self.items,
            "kept": self.kept,
            "left": self.left,
        }

    @cached_property
    def _file(self) -> OnnxFile:
        file = OnnxFile.load(self.reference, self.place)
        if self.content not in ("", file.fingerprint):
            raise ConfigError(
                f"'{self.reference}' has changed since it was read at first: restore it, or start "
                "a run with another name (--name; in Python, `folder`)"
            )
        return file

    @property
    def is_open(self) -> bool:
        """Whether the model is a file that leaves sizes to the data, and these are not known."""
        return self.place is not None and not self.items and self._taken.is_open

    @property
    def hangs_on_data(self) -> bool:
        """Whether the model is a file of which data tell how it is read."""
        if self.place is None:
            return False
        return self.is_open or (self.left is None and bool(self._file.unread))

    @cached_property
    def _taken(self) -> OnnxFile:
        return self._file.without(self.left) if self.left else self._file

    def fit(self, item_shapes: Mapping[str | int, Sequence[int]]) -> None:
        """Take note of the shapes of items, before an ONNX file of open sizes is read for them.

        Inputs of a file that nothing reads are left out of it if the data have none for them.

        Args:
            item_shapes: By name of the input, or in their order.

        Raises:
            DataError: If the file has no input of a name.
        """
        if not self.hangs_on_data:
            return
        is_named = all(isinstance(name, str) and name for name in item_shapes)
        if self.left is None:
            self._leave_unread({name for name in item_shapes if is_named}, len(item_shapes))
        if self.is_open and not self.part:
            known = self._taken.inputs.names
            if is_named and (unknown := [str(name) for name in item_shapes if name not in known]):
                raise DataError(
                    f"the data have an input '{unknown[0]}'{nearest(unknown[0], known)} "
                    f"'{self.reference}' takes {', '.join(known)}"
                )
            names = [name for name in known if name in item_shapes] if is_named else item_shapes
            shapes = tuple(tuple(map(int, item_shapes[name])) for name in names)
            object.__setattr__(self, "items", shapes)

    def _leave_unread(self, named: Collection[str | int], n_given: int) -> None:
        missing = tuple(name for name in self._file.unread if name not in named)
        fits = n_given == len(self._file.inputs) - len(missing)
        object.__setattr__(self, "left", missing if fits else ())
        vars(self).pop("_taken", None)  # of before it was known

    @cached_property
    def _fitted(self) -> OnnxFile:
        return self._taken.fitted(self.items) if self.items else self._taken

    @cached_property
    def _built(self) -> object:
        if self.place is not None:
            return read_module(self._fitted)
        # Once in a process: a user's function may read, or even train, for long.
        with seeded():  # every worker process builds the same, also what it leaves as drawn
            return imported(self.reference)()

    @property
    def name(self) -> str:
        """What it is called: its reference, or the qualified name of its class."""
        return self.reference or qualified_name(self.module)

    def load(self) -> nn.Module:
        """Return what is to be compressed in evaluation mode, called plainly; always the same.

        Whatever the user's own code raises is not caught.

        Raises:
            ConfigError: If the function or file is not found, or gives something else; or if the
                model has no such part.
        """
        return self._plain

    def whole(self) -> nn.Module:
        """Return a copy of the model, not of a part alone, in evaluation mode, called plainly."""
        whole = in_evaluation(plainly_called(with_plain_weights(self._copy())))
        keep_outputs(whole, self.kept)
        if self.place is not None:
            declare_inputs(whole, self._fitted.inputs)
        return whole

    @property
    def computed(self) -> tuple[str, ...]:
        """Names of the weights that the model computes at each call, and `load` makes plain."""
        return computed_weights(self._part)

    @cached_property
    def _plain(self) -> nn.Module:
        if not self.part:
            return self.whole()
        return in_evaluation(plainly_called(with_plain_weights(self._part)))

    def require_own_layers(self, inputs: torch.Tensor, *, whole: nn.Module | None = None) -> None:
        """Check that what `load` returns, a copy, answers as the original by layers of its own.

        Args:
            inputs: (n, ...) float32, as it takes them.
            whole: What `whole` returned, to check that instead.

        Raises:
            ConfigError: If it does not.
        """
        own, part = (self.load(), self.part) if whole is None else (whole, "")
        if not part:
            self.require_answers_of_file(inputs)
        require_own_layers(own, self._original(part), inputs)

    def require_answers_of_file(self, inputs: torch.Tensor) -> None:
        """Check that what was read of an ONNX file answers as ONNX Runtime does of it.

        Args:
            inputs: (n, ...) float32, as the whole model takes them.

        Raises:
            ConfigError: If it does not; says how far it is off.
            DataError: If the file takes others.
        """
        if self.place is not None:
            require_same_answers(self._given, self._fitted, self._as_in_file(inputs.numpy()))

    def _as_in_file(self, inputs: NDArray[np.float32]) -> NDArray[np.float32]:
        """Return inputs that lie side by side as data have them, in the order of the file."""
        taken = None if self.part else inputs_of(self.load())
        if taken is None or taken.names == self._taken.inputs.names:
            return inputs
        parts = dict(zip(taken.names, taken.apart(inputs), strict=True))
        rows = [parts[name].reshape(len(inputs), -1) for name in self._taken.inputs.names]
        return np.concatenate(rows, axis=1)

    @property
    def outputs(self) -> tuple[str, ...]:
        """What outputs are called in an ONNX file, in order; empty of all else."""
        return () if self.place is None or self.part else self._file.outputs

    @property
    def remark(self) -> str:
        """What people should know of how the model was read; mostly nothing."""
        if self.place is None:
            return ""
        if not self.left:
            return self._file.remark
        left = f"'{self.reference}': nothing reads its inputs {', '.join(self.left)}: left out"
        return "; ".join(filter(None, (self._taken.remark, left)))

    def _original(self, part: str) -> nn.Module:
        """Return the part of the given model that is at a path once it is written plainly."""
        modules = list(self._given.named_modules(remove_duplicate=False))
        # Of what is compiled, the model inside comes later, and has the same path.
        found: nn.Module = [each for path, each in modules if path_as_written(path) == part][-1]
        return found

    def require_same(self, folder: Path) -> None:
        """Check that the model is the one that this folder began with; take note of it at first.

        Raises:
            ConfigError: If its structure or a weight has changed: results would not compare.
            RunFolderError: If what was noted is damaged.
        """
        found = self._file.fingerprint if self.place else model_fingerprint(self.load())
        [known] = noted(folder / ORIGINAL_FILE, lambda: {"fingerprint": found}, "fingerprint")
        if known != found:
            raise ConfigError(
                f"this run began with a model of fingerprint {known}, and now it is {found}: "
                "restore the model, or start a run with another name (--name; in Python, `folder`)"
            )

    @cached_property
    def _part(self) -> nn.Module:
        return part_of(self._copy(), self.part)

    def _copy(self) -> nn.Module:
        """Return a copy as it was written: what a caller holds is left as it is, its mode too."""
        return as_written(self._given)

    @cached_property
    def _given(self) -> nn.Module:
        found = self.module if self.module is not None else self._built
        if not isinstance(found, nn.Module):
            came = f"'{self.reference}' returned" if self.reference else "the model is"
            raise ConfigError(
                f"{came} {kind_of(found)}, but a trained torch.nn.Module is needed: give "
                "the module itself, with its weights loaded"
            )
        return found
