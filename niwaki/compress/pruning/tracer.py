"""One forward pass, watched: every torch function that is called updates the labels."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

from niwaki.compress.pruning.call_sites import CallSite, ModuleStack
from niwaki.compress.pruning.equal_sizes import keep_equal
from niwaki.compress.pruning.model_calls import Inputs, call_model, named_tensors, repeatable
from niwaki.compress.pruning.provenance import Call, Provenance, tensors_in
from niwaki.compress.pruning.rules.table import RULES, SILENT
from niwaki.compress.pruning.sizes import MeasuredInt, tagged_attributes
from niwaki.compress.pruning.unfollowed import Borders, Unfollowed, own_tensors, sealed

NOT_FOLLOWED = "was called in a way that niwaki does not follow"
_UNFIT = (RuntimeError, ValueError, TypeError, IndexError, AssertionError, AttributeError)


@dataclass(frozen=True, eq=False)
class Trace:
    """What the passes told.

    Attributes:
        state: Atoms, events, costs.
        outputs: Nodes of each output of the model, by name.
        n_examples: In the pass.
        unused: Why nothing is known of parameters that no pass used, by name.
        in_training: Whether there was a pass in training mode.
    """

    state: Provenance
    outputs: Mapping[str, tuple[int, ...]]
    n_examples: int
    unused: Mapping[str, str]
    in_training: bool = False


def trace(
    module: nn.Module,
    inputs: Inputs,
    *,
    choices: Mapping[CallSite, int],
    unfollowed: Unfollowed | None = None,
) -> Trace:
    """Run the model once, and follow where every channel goes.

    If parts of it do not run, as auxiliary heads only do in training, it is run in training mode
    too, where it can.

    Args:
        module: Should be in evaluation mode. Its attributes are replaced by tagged integers of the
            same values while it runs, so it should be a copy.
        inputs: As the model takes them.
        choices: Options to take where channels can be removed in several ways.
        unfollowed: What does not bear being watched.

    Raises:
        Exception: Whatever the model raises on these inputs.
    """
    state = Provenance(choices)
    state.name_tensors(module)
    following = _Following(state, unfollowed or Unfollowed())
    with sealed(module) as scripted:
        following.closed |= scripted
        n_examples = _n_examples(inputs, following.run(module, inputs))
        in_training = bool(state.unused()) and _runs_in_training(following, module, inputs)
    keep_equal(state)
    return Trace(state, following.outputs, n_examples, following.unused(module), in_training)


def _n_examples(inputs: Inputs, results: Any) -> int:
    """Return the first size of an output that is one of an input, too; else of the first input.

    The first input may be the same for all examples: a table, or a scale.
    """
    given, answered = (
        [len(tensor) for _, tensor in named_tensors(values) if tensor.ndim]
        for values in (inputs, results)
    )
    return next((n for n in answered if n in given), given[0] if given else 1)


def _runs_in_training(following: "_Following", module: nn.Module, inputs: Inputs) -> bool:
    """Follow a pass in training mode as well, if the model runs in it on these inputs."""
    costs = list(following.state.costs)
    module.train()
    try:
        following.run(module, inputs)
    except Exception:  # of the model's own code, which may raise anything: nothing to learn
        return False
    finally:
        module.eval()
        following.state.costs[:] = costs  # of what runs in evaluation mode
    return True


class _Following:
    """What one pass after the other tells."""

    def __init__(self, state: Provenance, unfollowed: Unfollowed) -> None:
        self.state = state
        self.plain, self.closed = unfollowed.plain, dict(unfollowed.closed)
        self.outputs: dict[str, tuple[int, ...]] = {}
        self._entered: set[str] = set()

    def run(self, module: nn.Module, inputs: Inputs) -> Any:
        """Add one pass, and return its results."""
        for name, tensor in named_tensors(inputs):
            self.state.describe_input(tensor, f"the model's input {name}".rstrip())
        stack = ModuleStack(module)
        watch = _Watch(self.state, stack, self.plain)
        self.state.comparisons.begin(lambda: stack.path)
        with (
            repeatable(module),
            tagged_attributes(module, self.state.comparisons, but=self.plain),
            stack.watching(),
            Borders(self.state, stack, watch, self.closed).kept(module),
            torch.no_grad(),
            watch,
        ):
            results = call_model(module, inputs)
        self._entered |= stack.entered
        for name, tensor in named_tensors(results):
            self.state.close(tensor, f"they are the model's output {name}".rstrip())
            known = self.outputs.get(name or "output", ())
            self.outputs[name or "output"] = (*known, self.state.origin(tensor).node)
        return results

    def unused(self, module: nn.Module) -> dict[str, str]:
        """Return why nothing is known of parameters that no pass met."""
        closed = own_tensors(module, self.closed)
        return {name: closed.get(name, self._unmet(name)) for name in self.state.unused()}

    def _unmet(self, name: str) -> str:
        if name.rpartition(".")[0] in self._entered:
            return "no operation that reads it was seen, although the code of its module ran"
        return (
            "it never ran on the example inputs, so that nothing is known of it: if it can run on "
            "others and reads pruned channels, give inputs on which it runs"
        )


class _Watch(TorchFunctionMode):
    """Applies the rule of each function that is called."""

    def __init__(
        self,
        state: Provenance,
        stack: ModuleStack,
        plain: Collection[str],
    ) -> None:
        super().__init__()
        self._state, self._stack, self._plain = state, stack, plain

    def __torch_function__(
        self,
        func: Any,
        types: Any,
        args: tuple[Any, ...] = (),
        kwargs: Mapping[str, Any] | None = None,
    ) -> Any:
        self._state.comparisons.paused = True
        try:
            return self._followed(func, args, kwargs or {})
        finally:
            self._state.comparisons.paused = False

    def _followed(self, func: Any, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> Any:
        out = func(*args, **kwargs)
        name = canonical_name(func)
        results = tensors_in(out)
        if name == "setitem":
            results = tensors_in(args[0])
        if name in ("shape", "size") and args and isinstance(args[0], Tensor):
            return self._measured(args[0], out)
        if results:
            call = Call(name, tuple(args), kwargs, out, self._stack.site(), func)
            self._apply(call)
        elif name not in SILENT and not _is_property(func):
            self._leaves(name, args, kwargs)
        return out

    def _apply(self, call: Call) -> None:
        n_costs = len(self._state.costs)
        operands = tuple(self._state.origin(t).node for t in tensors_in((call.args, call.kwargs)))
        self._record(call)
        costs = self._state.costs[n_costs:]
        self._state.costs[n_costs:] = [replace(cost, operands=operands) for cost in costs]

    def _record(self, call: Call) -> None:
        rule = RULES.get(call.name)
        if rule is None or call.kwargs.get("out") is not None:
            self._state.record_fixed(call, f"{call.described} is not known to niwaki")
            return
        n_costs = len(self._state.costs)
        try:
            rule(self._state, call)
        except _UNFIT as error:
            del self._state.costs[n_costs:]
            # An unusual way of calling: what it touches stays, and the reason says so.
            reason = f"{call.described} {NOT_FOLLOWED}: {type(error).__name__} {error}"
            self._state.record_fixed(call, reason)

    def _measured(self, tensor: Tensor, sizes: Any) -> Any:
        """Return the sizes of a tensor such that they remember what they count."""
        labels = self._state.labels(tensor)
        if not labels or self._stack.path in self._plain:
            return sizes
        if isinstance(sizes, torch.Size):
            return torch.Size([self._state.measured(tensor, d) for d in range(tensor.ndim)])
        found = [label.atoms for label in labels if len(label.dims) == 1]
        same = [atoms for atoms in found if len(atoms) == sizes]
        return MeasuredInt(sizes, same[0], self._state.comparisons) if len(same) == 1 else sizes

    def _leaves(self, name: str, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> None:
        """Pin what leaves the world of tensors, as `tolist` and `numpy` do."""
        for tensor in tensors_in((args, kwargs)):
            for label in self._state.labels(tensor):
                reason = f"'{name}' in {self._stack.path or 'the model itself'} reads them"
                self._state.atoms.pin(label.atoms, reason)


def _is_property(func: Any) -> bool:
    return getattr(func, "__name__", "") in ("__get__", "__set__")


def canonical_name(func: Any) -> str:
    """Return the name under which a function is looked up: `add` for `add_`, `__iadd__`, ..."""
    name: str = getattr(func, "__name__", "unknown")
    if name == "__get__":
        return str(getattr(func.__self__, "__name__", "unknown"))
    if name.startswith("__") and name.endswith("__"):
        name = name[2:-2]
        return _DUNDERS.get(name, name)
    if name.endswith("_") and not name.startswith("_"):
        return name[:-1]
    return _INNER.get(name, name)


_OPERATORS = "add sub mul truediv floordiv pow mod and or xor"
_DUNDERS = {f"{side}{name}": name for name in _OPERATORS.split() for side in "ir"} | {
    "imatmul": "matmul",
    "rmatmul": "rmatmul",
    "matmul": "matmul",
}
_INNER = {
    "_softmax": "softmax",
    "linalg_vector_norm": "vector_norm",
    "linalg_norm": "norm",
    "_unsafe_view": "view",
}
