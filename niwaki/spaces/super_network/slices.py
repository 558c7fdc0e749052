"""Super-networks of which every candidate takes the first channels of each layer."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Generic, Protocol, TypeVar

import torch
from torch import Tensor, nn
from torch.func import functional_call

from niwaki.core.candidate import Candidate
from niwaki.core.errors import SpaceError
from niwaki.core.memory import usable_memory
from niwaki.spaces.super_network.base import SuperNetwork
from niwaki.spaces.super_network.layers import Layer
from niwaki.spaces.super_network.skipping import skip_first

_BYTES_PER_PARAMETER = 16  # itself, its gradient, and the two moments of AdamW, in float32


class SlicedSpace(Protocol):
    """What slicing needs of a space."""

    @property
    def largest(self) -> Candidate:
        """The super-network itself."""

    @property
    def smallest(self) -> Candidate:
        """The other candidate that every step of training runs."""

    def layer_table(self, candidate: Candidate) -> tuple[Layer, ...]:
        """Return the layers of a candidate, as slices of those of the largest."""


class MultiTaskModule(nn.Module):
    """What has a decoder for each task, whose module `leave` gives the answer.

    Attributes:
        decoders: By task, in the order of the outputs; `leave` is linear, or a convolution, with a
            bias.
    """

    decoders: nn.ModuleDict


Network = TypeVar("Network", bound=MultiTaskModule)


class SlicedNetwork(SuperNetwork, Generic[Network]):
    """The largest network of a space; every candidate is a slice of its weights.

    A slice takes the first channels of each layer, and of a layer that reads a concatenation the
    first channels of each piece. Slices are views: gradients of a sub-network flow into the shared
    weights.

    Args:
        space: Its largest candidate is built. Paths of its layers are those of the modules.
        build: Makes the network of a candidate.
        generator: Draws the initial weights.

    Raises:
        SpaceError: If the memory that may be used does not hold it while it is trained, or a task
            has a name that modules of torch have for something else. On extracting, if the network
            that is built has other weights than the table of its layers.
    """

    def __init__(
        self,
        space: SlicedSpace,
        build: Callable[[Candidate], Network],
        generator: torch.Generator,
    ) -> None:
        super().__init__()
        _require_memory(space)
        self.space, self._build = space, build
        self._full = build(space.largest)
        _give_units(self._full)
        self._skeletons: dict[str, tuple[Network, tuple[Layer, ...]]] = {}
        _initialise(self._full, generator)

    @property
    def full(self) -> Network:
        return self._full

    def start_at(
        self,
        answers: Mapping[str, Sequence[float]],
        units: Mapping[str, Sequence[float]] | None = None,
    ) -> None:
        given = units or {}
        for task, values in answers.items():
            decoder = self.full.decoders[task]
            unit, bias = decoder.get_buffer("unit"), _answering(decoder).bias
            assert bias is not None
            with torch.no_grad():
                spread = torch.tensor(given.get(task, [1.0] * len(values)))
                unit.copy_(spread)
                bias.copy_(torch.tensor(values) / spread)

    def forward(self, inputs: Tensor, candidate: Candidate) -> tuple[Tensor, ...]:
        network, layers = self._skeleton(candidate)
        weights = dict(_slices(self._tensors, layers))
        outputs: tuple[Tensor, ...] = functional_call(network, weights, (inputs,))
        return outputs

    def extract(self, candidate: Candidate) -> Network:
        network = self._build(candidate)
        weights = dict(_slices(self._tensors, self.space.layer_table(candidate)))
        parameters = dict(network.named_parameters())
        with torch.no_grad():
            for name, weight in weights.items():
                own = parameters.get(name)
                if own is None or own.shape != weight.shape:
                    found = "is not there" if own is None else f"has shape {tuple(own.shape)}"
                    raise SpaceError(
                        f"by the table of layers '{name}' has shape {tuple(weight.shape)}, and "
                        f"{found} in the network that is built of {candidate.key} ({candidate}): "
                        "let `layer_table` and `build` say the same"
                    )
                own.copy_(weight)
        return network

    @property
    def _tensors(self) -> dict[str, Tensor]:
        """Parameters and units by their names."""
        decoders = self.full.decoders.items()
        units = {f"decoders.{task}.unit": each.get_buffer("unit") for task, each in decoders}
        return {**dict(self.full.named_parameters()), **units}

    def _skeleton(self, candidate: Candidate) -> tuple[Network, tuple[Layer, ...]]:
        """Return a module of the right shapes, to be called with the shared weights.

        Kept for the two ends of the sandwich, which are called in every step.
        """
        if candidate.key in self._skeletons:
            return self._skeletons[candidate.key]
        with torch.device("meta"):
            network = self._build(candidate)
        for module in network.modules():
            if isinstance(module, nn.BatchNorm2d):
                # Running statistics of one sub-network mean nothing to another.
                module.track_running_stats = False
                module.running_mean = module.running_var = module.num_batches_tracked = None
            if isinstance(module, nn.Conv2d) and module.kernel_size == (1, 1):
                skip_first(module)
        skeleton = network, self.space.layer_table(candidate)
        if candidate in (self.space.largest, self.space.smallest):
            self._skeletons[candidate.key] = skeleton
        return skeleton


def require_free_names(tasks: Sequence[str]) -> None:
    """Refuse what torch could not tell from its own: paths of modules are looked up by name.

    Raises:
        SpaceError: If a task has a name that modules of torch have for something else.
    """
    for task in tasks:
        if hasattr(nn.ModuleDict(), task):
            raise SpaceError(
                f"task '{task}' cannot have a decoder of that name, as torch's modules have "
                f"a '{task}' of their own: call the task otherwise, such as '{task}_'"
            )


def _require_memory(space: SlicedSpace) -> None:
    n_params = sum(layer.params for layer in space.layer_table(space.largest))
    wanted, there = n_params * _BYTES_PER_PARAMETER, usable_memory()
    if wanted > there:
        raise SpaceError(
            f"the super-network has {n_params:,} parameters, which take {wanted / 2**30:,.0f} GiB "
            f"in training, but {there / 2**30:,.0f} may be used here: give smaller widths"
        )


def _slices(full: Mapping[str, Tensor], layers: tuple[Layer, ...]) -> Iterator[tuple[str, Tensor]]:
    """Yield name and slice of every parameter of the sub-network with these layers."""
    for layer in layers:
        n = layer.n_outputs
        weight = full[f"{layer.path}.weight"][:n]
        bias = None if layer.norm else full[f"{layer.path}.bias"][:n]
        unit = full.get(f"{layer.path.removesuffix('.leave')}.unit")
        if unit is not None and bias is not None:
            weight, bias = weight * unit.view(-1, *(1,) * (weight.ndim - 1)), bias * unit
        pieces = [weight[:, s.offset : s.offset + s.n] for s in layer.inputs]
        yield f"{layer.path}.weight", pieces[0] if len(pieces) == 1 else torch.cat(pieces, dim=1)
        if layer.norm:
            yield f"{layer.norm}.weight", full[f"{layer.norm}.weight"][:n]
            yield f"{layer.norm}.bias", full[f"{layer.norm}.bias"][:n]
        if bias is not None:
            yield f"{layer.path}.bias", bias


def _give_units(network: MultiTaskModule) -> None:
    """Let each decoder have a unit for each of its outputs, 1 until it is set.

    Checkpoints of earlier versions have none: theirs were 1.
    """
    for decoder in network.decoders.values():
        decoder.register_buffer("unit", torch.ones(_answering(decoder).weight.shape[0]))
        decoder.register_load_state_dict_pre_hook(_with_unit)  # type: ignore[no-untyped-call]


def _with_unit(decoder: nn.Module, state: dict[str, Tensor], prefix: str, *_: object) -> None:
    state.setdefault(f"{prefix}unit", torch.ones_like(decoder.get_buffer("unit")))


def _initialise(network: MultiTaskModule, generator: torch.Generator) -> None:
    """He initialisation, but for small answers, so that `start_at` means what it says."""
    for module in network.modules():
        if isinstance(module, nn.Conv2d | nn.Linear):
            nn.init.kaiming_normal_(module.weight, nonlinearity="relu", generator=generator)
            if module.bias is not None:
                nn.init.zeros_(module.bias)
    for decoder in network.decoders.values():
        nn.init.normal_(_answering(decoder).weight, std=0.01, generator=generator)


def _answering(decoder: nn.Module) -> nn.Linear | nn.Conv2d:
    leave = decoder.get_submodule("leave")
    assert isinstance(leave, nn.Linear | nn.Conv2d)
    return leave
