"""From blueprints to modules."""

from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType

import torch
import torch.nn.functional as F  # noqa: N812  (as everyone spells it)
from torch import Tensor, nn

from niwaki.core.errors import NiwakiError, SpaceError
from niwaki.core.registry import import_object
from niwaki.core.wording import kind_of
from niwaki.spaces.einspace.blueprint import Blueprint, Fork, Line, Piece, Shape
from niwaki.spaces.grammar.attributes import FAULTS

# Of the published code, whose `relu` leaks.
SLOPE = 0.01
# Of the tensors that `posenc` adds at first; the published code starts at 1, above its features.
POSITION_STD = 0.02


class Position(nn.Module):
    """Adds a trained tensor."""

    def __init__(self, shape: Shape) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.randn(1, *shape) * POSITION_STD)

    def forward(self, x: Tensor) -> Tensor:
        """Map (B, ...) to (B, ...)."""
        return x + self.weight


class Patches(nn.Module):
    """Unfolds an image: (B, C, H, W) to (B, C k k, h, w), each pixel a patch."""

    def __init__(self, piece: Piece) -> None:
        super().__init__()
        k, s, p, h, w = (_number(piece, name) for name in ("k", "s", "p", "h", "w"))
        self.pad: nn.Module = nn.ZeroPad2d(p) if p else nn.Identity()
        self.k, self.s, self.h, self.w = k, s, h, w

    def forward(self, x: Tensor) -> Tensor:
        """Map (B, C, H, W) to (B, C k k, h, w), channels slowest, as `torch.nn.Unfold` does."""
        x = self.pad(x)
        if self.k == self.s:
            return self._cut(x)
        high, wide = self.s * (self.h - 1) + 1, self.s * (self.w - 1) + 1
        shifted = [
            x[:, :, i : i + high : self.s, j : j + wide : self.s].unsqueeze(2)
            for i in range(self.k)
            for j in range(self.k)
        ]
        if len(shifted) == 1:
            return shifted[0].squeeze(2)
        return torch.cat(shifted, dim=2).flatten(1, 2)

    def _cut(self, x: Tensor) -> Tensor:
        """Cut patches that do not overlap; what is left at the far edges is dropped."""
        whole = x[:, :, : self.h * self.k, : self.w * self.k]
        rows = torch.unflatten(torch.unflatten(whole, 2, (self.h, self.k)), 4, (self.w, self.k))
        return rows.permute(0, 1, 3, 5, 2, 4).flatten(1, 3)  # (B, C, h, k, w, k) before


class ToTokens(nn.Module):
    """Turns a map into tokens."""

    def forward(self, x: Tensor) -> Tensor:
        """Map (B, D, H, W) to (B, H W, D)."""
        return x.flatten(2).transpose(1, 2)


class ToImage(nn.Module):
    """Turns tokens into an image, or into whatever else its transpose holds."""

    def __init__(self, shape: Shape) -> None:
        super().__init__()
        self.shape = shape

    def forward(self, x: Tensor) -> Tensor:
        """Map (B, S, D) to (B, *shape)."""
        return torch.unflatten(x.transpose(1, 2).flatten(1), 1, self.shape)


class Reshape(nn.Module):
    """Takes the values of one example for another shape."""

    def __init__(self, shape: Shape) -> None:
        super().__init__()
        self.shape = shape

    def forward(self, x: Tensor) -> Tensor:
        """Map (B, ...) to (B, *shape)."""
        return torch.unflatten(x.flatten(1), 1, self.shape)


class Permute(nn.Module):
    """Reorders axes, the batch's left aside."""

    def __init__(self, axes: Shape) -> None:
        super().__init__()
        self.axes = tuple(axis + 1 for axis in axes)

    def forward(self, x: Tensor) -> Tensor:
        """Map (B, ...) to (B, ...)."""
        return x.permute(0, *self.axes)


class Transpose(nn.Module):
    """Transposes the last two axes."""

    def forward(self, x: Tensor) -> Tensor:
        """Map (B, S, D) to (B, D, S)."""
        return x.transpose(1, 2)


class Mean(nn.Module):
    """Averages over axes."""

    def __init__(self, axes: Shape, *, flat: bool) -> None:
        super().__init__()
        self.axes, self.flat = tuple(axis + 1 for axis in axes), flat

    def forward(self, x: Tensor) -> Tensor:
        """Map (B, ...) to (B, n)."""
        means = x.mean(self.axes)
        return means if self.flat else means.flatten(1)


class Standardise(nn.Module):
    """Gives each feature the mean 0 and the deviation 1, by batch norm without weights."""

    def __init__(self, n: int) -> None:
        super().__init__()
        self.norm = nn.BatchNorm1d(n, affine=False)

    def forward(self, x: Tensor) -> Tensor:
        """Map (B, n) to (B, n)."""
        alone = self.training and x.shape[0] < 2
        self.norm.train(self.training and not alone)  # one example has no deviation
        normed: Tensor = self.norm(x)
        return normed


class Resize(nn.Module):
    """Enlarges or shrinks a map, interpolating linearly."""

    def __init__(self, sides: Shape) -> None:
        super().__init__()
        self.sides, self.mode = sides, "bilinear" if len(sides) == 2 else "linear"

    def forward(self, x: Tensor) -> Tensor:
        """Map (B, C, h, w) to (B, C, *sides)."""
        return F.interpolate(x, size=self.sides, mode=self.mode, align_corners=False)


class Chunk(nn.Module):
    """Splits along an axis."""

    def __init__(self, n: int, axis: int) -> None:
        super().__init__()
        self.n, self.axis = n, axis + 1

    def forward(self, x: Tensor) -> Sequence[Tensor]:
        """Map (B, ...) to n parts."""
        return torch.chunk(x, self.n, dim=self.axis)


class Router(nn.Module):
    """Says how much each expert counts for an example, from its mean features."""

    def __init__(self, piece: Piece) -> None:
        super().__init__()
        axis = _number(piece, "axis")
        self.axes = tuple(each + 1 for each in range(len(piece.gives)) if each != axis)
        self.gate = nn.Linear(_number(piece, "width"), _number(piece, "n"))

    def forward(self, x: Tensor) -> Tensor:
        """Map (B, ...) to (B, n) weights that sum to one."""
        weights: Tensor = self.gate(x.mean(self.axes)).softmax(-1)
        return weights


class Add(nn.Module):
    """Adds."""

    def forward(self, parts: Sequence[Tensor]) -> Tensor:
        """Map n tensors of one shape to their sum."""
        total = parts[0]
        for part in parts[1:]:
            total = total + part
        return total


class Concat(nn.Module):
    """Joins along an axis."""

    def __init__(self, axis: int) -> None:
        super().__init__()
        self.axis = axis + 1

    def forward(self, parts: Sequence[Tensor]) -> Tensor:
        """Map n tensors to one."""
        return torch.cat(list(parts), dim=self.axis)


class Product(nn.Module):
    """Multiplies matrices; scaled by the root of the inner size, if there is a scale."""

    def __init__(self, scale: int) -> None:
        super().__init__()
        self.factor = float(scale) ** -0.5 if scale else 1.0

    def forward(self, parts: Sequence[Tensor]) -> Tensor:
        """Map (B, ..., S, K) and (B, ..., K, T) to (B, ..., S, T)."""
        product = torch.matmul(parts[0], parts[1])
        return product if self.factor == 1.0 else product * self.factor


class Gate(nn.Module):
    """Multiplies one branch by a function of the other."""

    def __init__(self, by: str) -> None:
        super().__init__()
        self.act = GATES[by]()

    def forward(self, parts: Sequence[Tensor]) -> Tensor:
        """Map two tensors of one shape to their product."""
        product: Tensor = parts[0] * self.act(parts[1])
        return product


GATES: Mapping[str, type[nn.Module]] = MappingProxyType(
    {"sigmoid": nn.Sigmoid, "silu": nn.SiLU, "gelu": nn.GELU, "none": nn.Identity}
)


class Branching(nn.Module):
    """Branches side by side on one input, or each on its part of it."""

    def __init__(self, fork: Fork) -> None:
        super().__init__()
        self.split = build_piece(fork.split)
        self.branches = nn.ModuleList(build_line(line) for line in fork.branches)
        self.join = build_piece(fork.join)
        self.parts = fork.split.kind in ("chunk", "own_split")

    def forward(self, x: Tensor) -> Tensor:
        """Map (B, ...) to (B, ...)."""
        parts = self.split(x) if self.parts else [x] * len(self.branches)
        outputs = [branch(parts[i]) for i, branch in enumerate(self.branches)]
        joined: Tensor = self.join(outputs)
        return joined


class Experts(nn.Module):
    """A mixture of experts: every branch answers, weighted example by example.

    References:
        Jacobs, Jordan, Nowlan and Hinton, Neural Computation 1991, "Adaptive mixtures of local
        experts": the soft mixture, equation 1 for the output.
    """

    def __init__(self, fork: Fork) -> None:
        super().__init__()
        self.split = build_piece(fork.split)
        self.branches = nn.ModuleList(build_line(line) for line in fork.branches)
        # One weight per expert and example, against any number of axes.
        self.shape = (len(fork.branches), *[1] * len(fork.gives))

    def forward(self, x: Tensor) -> Tensor:
        """Map (B, ...) to (B, ...)."""
        weights = torch.unflatten(self.split(x), 1, self.shape)
        total: Tensor = weights[:, 0] * self.branches[0](x)
        for index in range(1, len(self.branches)):
            total = total + weights[:, index] * self.branches[index](x)
        return total


class Cell(nn.Module):
    """A directed acyclic graph: each branch is an edge, each node the sum of its edges."""

    def __init__(self, fork: Fork) -> None:
        super().__init__()
        self.branches = nn.ModuleList(build_line(line) for line in fork.branches)
        self.n_nodes = _number(fork.join, "n_nodes")

    def forward(self, x: Tensor) -> Tensor:
        """Map (B, ...) to (B, ...)."""
        nodes = [x]
        edges = iter(self.branches)
        while len(nodes) < self.n_nodes:
            total = next(edges)(nodes[0])
            for node in nodes[1:]:  # at once, so that no edge's output stays
                total = total + next(edges)(node)
            nodes.append(total)
        return nodes[-1]


class Zero(nn.Module):
    """Gives zeros."""

    def forward(self, x: Tensor) -> Tensor:
        """Map (B, ...) to (B, ...)."""
        return x * 0.0


class EinspaceNetwork(nn.Module):
    """A body that all tasks share, and for each a branch, perhaps empty, and a head."""

    def __init__(self, blueprint: Blueprint) -> None:
        super().__init__()
        self.body = build_line(blueprint.body)
        self.branches = nn.ModuleDict(
            {f"{each.task}_branch": build_line(each.branch) for each in blueprint.answers}
        )
        self.heads = nn.ModuleDict(
            {f"{each.task}_head": build_line(each.head) for each in blueprint.answers}
        )

    def forward(self, image: Tensor) -> tuple[Tensor, ...]:
        """Map (B, *input_shape) to one output per task, in the order of the tasks."""
        features = self.body(image)
        ends = zip(self.branches.values(), self.heads.values(), strict=True)
        return tuple(head(branch(features)) for branch, head in ends)


def build_network(blueprint: Blueprint) -> EinspaceNetwork:
    """Build a network, with torch's default weights from its global generator."""
    return EinspaceNetwork(blueprint)


def build_line(line: Line) -> nn.Sequential:
    """Build modules one after another."""
    return nn.Sequential(*(build_piece(piece) for piece in line.pieces))


def build_piece(piece: Piece | Fork) -> nn.Module:
    """Build one module."""
    if isinstance(piece, Fork) and piece.join.kind == "own":
        children = [build_line(line) for line in piece.branches]
        path = str(piece.join.setting("path"))
        return _made(path, lambda: import_object(path)(children))
    if isinstance(piece, Fork):
        kind = {"router": Experts}.get(piece.split.kind) or {"cell": Cell}.get(piece.join.kind)
        return (kind or Branching)(piece)
    return FACTORIES[piece.kind](piece)


def _number(piece: Piece, name: str) -> int:
    value = piece.setting(name)
    assert isinstance(value, int)
    return value


def _convolution(piece: Piece) -> nn.Module:
    kind = nn.Conv2d if piece.kind == "conv2d" else nn.Conv1d
    n_inputs, n_outputs, k, s, p, groups = (
        _number(piece, name) for name in ("n_inputs", "n_outputs", "k", "s", "p", "groups")
    )
    return kind(n_inputs, n_outputs, k, s, p, groups=groups)


def _pool(piece: Piece) -> nn.Module:
    sides = piece.sizes("sides")
    if len(sides) == 2:
        return nn.AdaptiveAvgPool2d(sides)
    return nn.AdaptiveAvgPool1d(sides[0])


def _own(piece: Piece) -> nn.Module:
    path, given = str(piece.setting("path")), piece.setting("given")
    said = ("path", "given", "parts")
    parameters = {name: value for name, value in piece.settings if name not in said}
    module = _made(path, lambda: import_object(path)(given, **parameters))
    _require_as_said(module, path, piece)
    return module


def _zeros(shape: object) -> object:
    """Return zeros of a shape, or of each of some shapes: one example."""
    assert isinstance(shape, tuple)
    nested = bool(shape) and isinstance(shape[0], tuple)
    return [_zeros(each) for each in shape] if nested else torch.zeros(1, *shape)


def _require_as_said(module: nn.Module, path: str, piece: Piece) -> None:
    """Compare a user's module with what its attribute rule says of it.

    Raises:
        SpaceError: If parameters or the output's shape differ, or it does not run.
    """
    given = piece.setting("given")
    splits = piece.kind == "own_split"
    wanted = piece.setting("parts") if splits else piece.gives
    was_training = module.training
    try:
        with torch.no_grad():
            output = module.eval()(_zeros(given))
        gives = tuple(tuple(part.shape[1:]) for part in (output if splits else [output]))
    except FAULTS as fault:
        raise SpaceError(f"the module of '{path}' fails for {given}: {fault!r}") from fault
    module.train(was_training)
    made = (sum(weight.numel() for weight in module.parameters()), gives if splits else gives[0])
    if made != (piece.parameters, wanted):
        raise SpaceError(
            f"for {given}, '{path}' makes a module of {made[0]} parameters that gives {made[1]}, "
            f"but its attribute rule says {piece.parameters} and {wanted}: let both say the same"
        )


def _made(path: str, make: Callable[[], object]) -> nn.Module:
    """Return the module that a user's function makes.

    Raises:
        SpaceError: If it fails, or makes something else.
    """
    try:
        module = make()
    except NiwakiError:
        raise
    except FAULTS as fault:
        raise SpaceError(f"'{path}' fails to make its module: {fault!r}") from fault
    if not isinstance(module, nn.Module):
        raise SpaceError(f"'{path}' makes {kind_of(module)}, but an nn.Module was wanted")
    return module


FACTORIES: Mapping[str, Callable[[Piece], nn.Module]] = MappingProxyType(
    {
        "conv1d": _convolution,
        "conv2d": _convolution,
        "linear": lambda piece: nn.Linear(_number(piece, "n_inputs"), _number(piece, "n_outputs")),
        "batch_norm": lambda piece: nn.BatchNorm2d(_number(piece, "n")),
        "layer_norm": lambda piece: nn.LayerNorm(_number(piece, "n")),
        "relu": lambda piece: nn.LeakyReLU(SLOPE),  # noqa: ARG005
        "softmax": lambda piece: nn.Softmax(_number(piece, "axis") + 1),
        "position": lambda piece: Position(piece.sizes("shape")),
        "patches": Patches,
        "to_tokens": lambda piece: ToTokens(),  # noqa: ARG005
        "to_image": lambda piece: ToImage(piece.sizes("shape")),
        "reshape": lambda piece: Reshape(piece.sizes("shape")),
        "permute": lambda piece: Permute(piece.sizes("axes")),
        "transpose": lambda piece: Transpose(),  # noqa: ARG005
        "flatten": lambda piece: nn.Flatten(2),  # noqa: ARG005
        "pad": lambda piece: nn.ConstantPad1d(
            (_number(piece, "before"), _number(piece, "after")), 0.0
        ),
        "mean": lambda piece: Mean(piece.sizes("axes"), flat=bool(piece.setting("flat"))),
        "standardise": lambda piece: Standardise(_number(piece, "n")),
        "resize": lambda piece: Resize(piece.sizes("sides")),
        "pool": _pool,
        "glu": lambda piece: nn.GLU(_number(piece, "axis") + 1),
        "clone": lambda piece: nn.Identity(),  # noqa: ARG005
        "chunk": lambda piece: Chunk(_number(piece, "n"), _number(piece, "axis")),
        "router": Router,
        "add": lambda piece: Add(),  # noqa: ARG005
        "mix": lambda piece: nn.Identity(),  # noqa: ARG005
        "concat": lambda piece: Concat(_number(piece, "axis")),
        "product": lambda piece: Product(_number(piece, "scale")),
        "gate": lambda piece: Gate(str(piece.setting("by"))),
        "own": _own,
        "own_split": _own,
        "own_join": _own,
        "zero": lambda piece: Zero(),  # noqa: ARG005
        "window_mean": lambda piece: nn.AvgPool2d(
            _number(piece, "k"),
            _number(piece, "s"),
            _number(piece, "k") // 2,
            count_include_pad=False,
        ),
        "cell": lambda piece: nn.Identity(),  # noqa: ARG005
    }
)
