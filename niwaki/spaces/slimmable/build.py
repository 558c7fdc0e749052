"""From layouts to modules: plain networks, and the super-network they are slices of."""

from collections.abc import Iterator, Mapping, Sequence
from types import MethodType

import torch
from torch import Tensor, nn
from torch.func import functional_call
from torch.nn import functional
from torch.nn.modules.batchnorm import _BatchNorm

from niwaki.core.candidate import Candidate
from niwaki.core.errors import SpaceError
from niwaki.core.memory import usable_memory
from niwaki.spaces.slimmable.layout import Head, HeadKind, Layer, Layout, side_after
from niwaki.spaces.slimmable.space import SlimmableSpace

_BYTES_PER_PARAMETER = 16  # itself, its gradient, and the two moments of AdamW, in float32


class ConvNorm(nn.Module):
    """Convolution and batch-norm, with or without a ReLU behind."""

    def __init__(self, layer: Layer, *, activation: bool = True) -> None:
        super().__init__()
        self.conv = nn.Conv2d(
            layer.n_inputs,
            layer.n_outputs,
            layer.kernel,
            layer.stride,
            layer.kernel // 2,
            bias=False,
        )
        self.norm = nn.BatchNorm2d(layer.n_outputs)
        self.act = nn.ReLU() if activation else nn.Identity()

    def forward(self, x: Tensor) -> Tensor:
        """Map (B, n_inputs, H, W) to (B, n_outputs, H / stride, W / stride)."""
        y: Tensor = self.act(self.norm(self.conv(x)))
        return y


class Block(nn.Module):
    """A residual block of two 3x3 convolutions; the first of a stage has a 1x1 shortcut."""

    def __init__(self, layers: Mapping[str, Layer], path: str) -> None:
        super().__init__()
        self.enter = ConvNorm(layers[f"{path}.enter.conv"])
        self.leave = ConvNorm(layers[f"{path}.leave.conv"], activation=False)
        self.shortcut: nn.Module = nn.Identity()
        if f"{path}.shortcut.conv" in layers:
            self.shortcut = ConvNorm(layers[f"{path}.shortcut.conv"], activation=False)
        self.act = nn.ReLU()

    def forward(self, x: Tensor) -> Tensor:
        """Map (B, C, H, W) to (B, width, H / stride, W / stride)."""
        y: Tensor = self.act(self.leave(self.enter(x)) + self.shortcut(x))
        return y


class VectorDecoder(nn.Module):
    """Takes the strongest answer of each deepest feature, and classifies or regresses.

    The maximum, not the mean: what a task asks about may be small, and a mean would drown it.
    """

    def __init__(self, layers: Mapping[str, Layer], path: str, layout: Layout) -> None:
        super().__init__()
        enter, leave = layers[f"{path}.enter"], layers[f"{path}.leave"]
        self.pool = nn.MaxPool2d(side_after(layout, len(layout.stages)))
        self.enter = nn.Linear(enter.n_inputs, enter.n_outputs)
        self.act = nn.ReLU()
        self.leave = nn.Linear(leave.n_inputs, leave.n_outputs)

    def forward(self, features: list[Tensor]) -> Tensor:
        """Map the stages' features to (B, n_outputs)."""
        pooled = self.pool(features[-1]).flatten(1)  # (B, C)
        y: Tensor = self.leave(self.act(self.enter(pooled)))
        return y


class MapDecoder(nn.Module):
    """Upsamples the deepest features, merging the skip of each stage on the way."""

    def __init__(self, layers: Mapping[str, Layer], path: str, layout: Layout) -> None:
        super().__init__()
        n_merges = len(layout.stages) - 1
        self.factors = [layout.stages[n_merges - step].stride for step in range(n_merges)]
        self.merges = nn.ModuleList(
            ConvNorm(layers[f"{path}.merges.{step}.conv"]) for step in range(n_merges)
        )
        leave = layers[f"{path}.leave"]
        self.leave = nn.Conv2d(leave.n_inputs, leave.n_outputs, 1)
        self.last_factor = 2 * layout.stages[0].stride

    def forward(self, features: list[Tensor]) -> Tensor:
        """Map the stages' features to (B, n_outputs, H, W)."""
        x = features[-1]
        for step, merge in enumerate(self.merges):
            if self.factors[step] > 1:
                x = functional.interpolate(x, scale_factor=self.factors[step], mode="nearest")
            x = merge(torch.cat([x, features[len(features) - 2 - step]], dim=1))
        return functional.interpolate(
            self.leave(x), scale_factor=self.last_factor, mode="bilinear", align_corners=False
        )


class MultiTaskNetwork(nn.Module):
    """A shared encoder and one decoder per task, of fixed widths: an ordinary module.

    Raises:
        SpaceError: If a task has a name that modules of torch have for something else.
    """

    def __init__(self, layout: Layout, layers: tuple[Layer, ...]) -> None:
        super().__init__()
        _require_free_names([head.task for head in layout.shape.heads])
        by_path = {layer.path: layer for layer in layers}
        self.stem = ConvNorm(by_path["stem.conv"])
        self.stages = nn.ModuleList(
            nn.Sequential(*(Block(by_path, f"stages.{s}.{b}") for b in range(len(stage.hidden))))
            for s, stage in enumerate(layout.stages)
        )
        self.decoders = nn.ModuleDict(
            {head.task: _decoder(head, by_path, layout) for head in layout.shape.heads}
        )

    def forward(self, image: Tensor) -> tuple[Tensor, ...]:
        """Map (B, channels, H, W) to one output per task, in the order of the shape's heads."""
        x = self.stem(image)
        features = []
        for stage in self.stages:
            x = stage(x)
            features.append(x)
        return tuple(decoder(features) for decoder in self.decoders.values())


def _decoder(head: Head, layers: Mapping[str, Layer], layout: Layout) -> nn.Module:
    path = f"decoders.{head.task}"
    if head.kind is HeadKind.VECTOR:
        return VectorDecoder(layers, path, layout)
    return MapDecoder(layers, path, layout)


def _require_free_names(tasks: Sequence[str]) -> None:
    """Refuse what torch could not tell from its own: paths of modules are looked up by name."""
    for task in tasks:
        if hasattr(nn.ModuleDict(), task):
            raise SpaceError(
                f"task '{task}' cannot have a decoder of that name, as torch's modules have "
                f"a '{task}' of their own: call the task otherwise, such as '{task}_'"
            )


def _require_memory(space: SlimmableSpace) -> None:
    n_params = sum(layer.params for layer in space.layer_table(space.largest))
    wanted, there = n_params * _BYTES_PER_PARAMETER, usable_memory()
    if wanted > there:
        raise SpaceError(
            f"the super-network has {n_params:,} parameters, which take {wanted / 2**30:,.0f} GiB "
            f"in training, but {there / 2**30:,.0f} may be used here: give smaller widths"
        )


class SuperNetwork(nn.Module):
    """The largest network of a space; every candidate is a slice of its weights.

    A slice takes the first channels of each layer, and of a layer that reads a concatenation the
    first channels of each piece. Slices are views: gradients of a sub-network flow into the shared
    weights.

    Args:
        space: Its largest candidate is built.
        generator: Draws the initial weights.

    Raises:
        SpaceError: If the memory that may be used does not hold it while it is trained, or a task
            has a name that modules of torch have for something else.
    """

    def __init__(self, space: SlimmableSpace, generator: torch.Generator) -> None:
        super().__init__()
        _require_memory(space)
        self.space = space
        self.full = build(space, space.largest)
        _give_units(self.full)
        self._skeletons: dict[str, tuple[MultiTaskNetwork, tuple[Layer, ...]]] = {}
        _initialise(self.full, generator)

    def start_at(
        self,
        answers: Mapping[str, Sequence[float]],
        units: Mapping[str, Sequence[float]] | None = None,
    ) -> None:
        """Let every network answer with a constant at first, so that training starts from there.

        Args:
            answers: Outputs by task, one for each of the task's.
            units: How far outputs are from these constants, about, by task: what is trained counts
                in them, so that prices in euros are learned like those in millions. 1 where nothing
                is said.
        """
        given = units or {}
        for task, values in answers.items():
            decoder = self.full.decoders[task]
            assert isinstance(decoder, VectorDecoder | MapDecoder)
            unit, bias = decoder.get_buffer("unit"), decoder.leave.bias
            assert bias is not None
            with torch.no_grad():
                spread = torch.tensor(given.get(task, [1.0] * len(values)))
                unit.copy_(spread)
                bias.copy_(torch.tensor(values) / spread)

    def forward(self, image: Tensor, candidate: Candidate) -> tuple[Tensor, ...]:
        """Run the sub-network of `candidate` in training mode, on batch statistics.

        Args:
            image: (B, channels, H, W).
            candidate: Of the super-network's space.
        """
        network, layers = self._skeleton(candidate)
        weights = dict(_slices(self._tensors, layers))
        outputs: tuple[Tensor, ...] = functional_call(network, weights, (image,))
        return outputs

    def extract(self, candidate: Candidate) -> MultiTaskNetwork:
        """Return the sub-network as a plain module with its own copy of the weights.

        Its batch-norm statistics are fresh: recalibrate before evaluation.
        """
        network = build(self.space, candidate)
        weights = dict(_slices(self._tensors, self.space.layer_table(candidate)))
        parameters = dict(network.named_parameters())
        with torch.no_grad():
            for name, weight in weights.items():
                parameters[name].copy_(weight)
        return network

    @property
    def _tensors(self) -> dict[str, Tensor]:
        """Parameters and units by their names."""
        decoders = self.full.decoders.items()
        units = {f"decoders.{task}.unit": each.get_buffer("unit") for task, each in decoders}
        return {**dict(self.full.named_parameters()), **units}

    def _skeleton(self, candidate: Candidate) -> tuple[MultiTaskNetwork, tuple[Layer, ...]]:
        """Return a module of the right shapes, to be called with the shared weights.

        Kept for the two ends of the sandwich, which are called in every step.
        """
        if candidate.key in self._skeletons:
            return self._skeletons[candidate.key]
        with torch.device("meta"):
            network = build(self.space, candidate)
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


def build(space: SlimmableSpace, candidate: Candidate) -> MultiTaskNetwork:
    """Build the plain network that `candidate` decides, with torch's default weights."""
    return MultiTaskNetwork(space.layout(candidate), space.layer_table(candidate))


def skip_first(convolution: nn.Conv2d) -> None:
    """Let a convolution of one pixel get only the pixels that it does not skip: the same, sooner.

    On processors, torch writes the gradient of narrow ones that skip beyond its memory (oneDNN,
    issue 6035).
    """
    # Below the module's hooks: what calls this, as training with quantization does, is spared too.
    convolution._conv_forward = MethodType(_convolve_kept, convolution)  # type: ignore[method-assign]


def skip_inside(convolution: nn.Conv2d) -> None:
    """Take back what `skip_first` did, if it did."""
    convolution.__dict__.pop("_conv_forward", None)


def _convolve_kept(layer: nn.Conv2d, images: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
    margins = layer._reversed_padding_repeated_twice
    if any(margins):
        mode = "constant" if layer.padding_mode == "zeros" else layer.padding_mode
        images = functional.pad(images, margins, mode=mode)
    down, across = layer.stride
    return functional.conv2d(images[..., ::down, ::across], weight, bias, groups=layer.groups)


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


def _give_units(network: MultiTaskNetwork) -> None:
    """Let each decoder have a unit for each of its outputs, 1 until it is set.

    Checkpoints of earlier versions have none: theirs were 1.
    """
    for decoder in network.decoders.values():
        assert isinstance(decoder, VectorDecoder | MapDecoder)
        decoder.register_buffer("unit", torch.ones(decoder.leave.weight.shape[0]))
        decoder.register_load_state_dict_pre_hook(_with_unit)  # type: ignore[no-untyped-call]


def _with_unit(decoder: nn.Module, state: dict[str, Tensor], prefix: str, *_: object) -> None:
    state.setdefault(f"{prefix}unit", torch.ones_like(decoder.get_buffer("unit")))


def _initialise(network: MultiTaskNetwork, generator: torch.Generator) -> None:
    """He initialisation, but for small answers, so that `start_at` means what it says."""
    for module in network.modules():
        if isinstance(module, nn.Conv2d | nn.Linear):
            nn.init.kaiming_normal_(module.weight, nonlinearity="relu", generator=generator)
            if module.bias is not None:
                nn.init.zeros_(module.bias)
    for module in network.modules():
        if isinstance(module, VectorDecoder | MapDecoder):
            nn.init.normal_(module.leave.weight, std=0.01, generator=generator)


def recalibrate(network: nn.Module, images: Iterator[Tensor]) -> None:
    """Set batch-norm statistics to those of `images`, and leave the network in evaluation mode.

    A network without such statistics looks at none of them. All but the norms is in evaluation mode
    throughout: the statistics are those of the network as it will run, without dropout, and code
    that does something else in training, or keeps its norms frozen there, does not do so. Norms
    that no image reaches keep what they have.

    Every sub-network sees other activations than the super-network, so it needs statistics of its
    own: a mean over batches, not a moving average.

    References:
        Yu and Huang, ICCV 2019, section 3.3.
    """
    norms = [m for m in network.modules() if isinstance(m, _BatchNorm) and m.track_running_stats]
    network.eval()
    if not norms:
        return
    momenta = [norm.momentum for norm in norms]
    reached: set[nn.Module] = set()

    def take(norm: nn.Module, _: object) -> None:
        assert isinstance(norm, _BatchNorm)
        if norm not in reached:
            norm.reset_running_stats()
            norm.momentum = None
            reached.add(norm)
        norm.training = True  # just before it is called: modules around it may set its mode

    handles = [norm.register_forward_pre_hook(take) for norm in norms]
    try:
        with torch.no_grad():
            for batch in images:
                network(batch)
    finally:
        network.eval()
        for handle in handles:
            handle.remove()
        for norm, momentum in zip(norms, momenta, strict=True):
            norm.momentum = momentum
