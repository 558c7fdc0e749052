"""Known networks, spelled in einspace.

References:
    Ericsson et al., NeurIPS 2024, appendix: ResNet-18 without max-pooling, WRN-16-4, a ViT of four
    layers and an MLP-Mixer of eight. He et al., CVPR 2016 (ResNet); Zagoruyko and Komodakis, BMVC
    2016 (WRN); Dosovitskiy et al., ICLR 2021 (ViT); Tolstikhin et al., NeurIPS 2021 (MLP-Mixer).
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from niwaki.spaces.einspace.attributes import Shape

BNR = "norm, relu"


def sequence(*parts: str) -> str:
    """Spell modules one after another."""
    return f"seq({', '.join(parts)})"


def convolution(k: int, s: int, d: int) -> str:
    """Spell a convolution of k x k, stride s and d channels."""
    return f"route(im2col(k={k},s={s},p={k // 2}), linear(d={d}), col2im)"


def residual(inner: str, shortcut: str = "identity") -> str:
    """Spell the sum of a module and of what it is given, or of a second module."""
    return f"two(clone(b=2), {inner}, {shortcut}, add)"


def resnet(widths: tuple[int, ...], *, blocks: int = 2) -> str:
    """Spell a residual network of basic blocks: the stem halves the image, as do later stages."""
    parts = [convolution(3, 1, widths[0]), BNR, convolution(3, 2, widths[0])]
    before = widths[0]
    for width in widths:
        for block in range(blocks):
            stride = 2 if block == 0 and width != before else 1
            parts += [_basic_block(width, stride), "relu"]
        before = width
    return sequence(*parts)


def _basic_block(width: int, stride: int) -> str:
    inner = sequence(convolution(3, stride, width), BNR, convolution(3, 1, width), "norm")
    if stride == 1:
        return residual(inner)
    return residual(inner, sequence(convolution(1, stride, width), "norm"))


def wide_resnet(widths: tuple[int, ...], *, stem: int = 16, blocks: int = 2) -> str:
    """Spell a wide residual network; what comes before a block's convolutions stands after it."""
    parts, before = [convolution(3, 1, stem), BNR], stem
    for index, width in enumerate(widths):
        for block in range(blocks):
            stride = 2 if block == 0 and index > 0 else 1
            inner = sequence(convolution(3, stride, width), BNR, convolution(3, 1, width))
            changes = stride > 1 or width != before
            shortcut = convolution(1, stride, width) if changes else "identity"
            parts += [residual(inner, shortcut), BNR]
            before = width
    return sequence(*parts)


def patch_embedding(patch: int, width: int) -> str:
    """Spell square patches as tokens."""
    return f"route(im2col(k={patch},s={patch},p=0), linear(d={width}), identity)"


@dataclass(frozen=True)
class Attention:
    """Sizes of a transformer.

    Attributes:
        layers: Pairs of attention and feed-forward.
        width: Features of a token.
        heads: 2, 4 or 8.
        head_width: Features of a head; heads times this need not be the width.
    """

    layers: int
    width: int
    heads: int
    head_width: int


def transformer(sizes: Attention) -> str:
    """Spell layers of attention and feed-forward, each normalised behind its sum."""
    d = sizes.head_width
    keys = f"route(identity, linear(d={d}), permute(order=21))"
    scores = f"two(clone(b=2), linear(d={d}), {keys}, matmul(scaled=true))"
    head = f"two(clone(b=2), {sequence(scores, 'softmax')}, linear(d={d}), matmul(scaled=false))"
    attention = sequence(_copies(sizes.heads, head), f"linear(d={sizes.width})")
    forward = sequence(f"linear(d={sizes.width})", "relu", f"linear(d={sizes.width})")
    layer = [residual(attention), "norm", residual(forward), "norm"]
    return ", ".join(layer * sizes.layers)


def _copies(n: int, head: str) -> str:
    if n == 2:
        return f"two(clone(b=2), {head}, {head}, concat(dim=2))"
    label = {4: "four", 8: "eight"}[n]
    return f"{label}(clone(b={n}), {head}, concat(dim=2))"


def mixer(layers: int, width: int, hidden: int, over_tokens: tuple[str, str]) -> str:
    """Spell layers that mix tokens, then features, with one sum around both.

    Args:
        layers: How many.
        width: Features of a token.
        hidden: Width between the two linear layers over features.
        over_tokens: The two linear layers over tokens: to four times as many, and back.
    """
    wide, back = over_tokens
    layer = sequence(
        "norm",
        f"route(permute(order=21), {wide}, identity)",
        "relu",
        f"route(identity, {back}, permute(order=21))",
        f"linear(d={hidden})",
        "relu",
        f"linear(d={width})",
    )
    return ", ".join([residual(layer)] * layers)


def seeds_for(shape: Shape, *, relative: bool = False) -> Mapping[str, str]:
    """Return known networks for an input of this shape, by name; not all may fit it.

    Args:
        shape: Of an image, or of tokens.
        relative: Whether the grammar has linear layers that widen by a factor: without them, an
            MLP-Mixer needs numbers of tokens that are widths of the grammar.
    """
    n_tokens = (shape[1] // 4) * (shape[2] // 4) if len(shape) == 3 else shape[0]
    factors = ("widen(by=4)", "narrow(by=4)")
    over_tokens = factors if relative else (f"linear(d={4 * n_tokens})", f"linear(d={n_tokens})")
    return dict((_for_images if len(shape) == 3 else _for_sequences)(over_tokens))


def _for_images(over_tokens: tuple[str, str]) -> Iterator[tuple[str, str]]:
    yield "resnet18", resnet((64, 128, 256, 512))
    yield "wrn16_4", wide_resnet((64, 128, 256))
    embedded = f"{patch_embedding(4, 512)}, posenc"
    yield "vit", sequence(embedded, transformer(Attention(4, 512, 4, 64)))
    yield "mlp_mixer", sequence(embedded, mixer(8, 512, 256, over_tokens))
    yield "resnet18_w16", resnet((16, 32, 64, 128))
    yield "resnet8_w16", resnet((16, 32, 64), blocks=1)
    yield "wrn10_1", wide_resnet((16, 32, 64), blocks=1)
    small = f"{patch_embedding(4, 64)}, posenc"
    yield "vit_small", sequence(small, transformer(Attention(2, 64, 2, 32)))
    yield "mixer_small", sequence(small, mixer(2, 64, 128, over_tokens))


def _for_sequences(over_tokens: tuple[str, str]) -> Iterator[tuple[str, str]]:
    blocks = [residual(f"seq(conv1d(k=5,d={d}), {BNR}, conv1d(k=5,d={d}), norm)") for d in (32, 32)]
    yield "conv1d_small", sequence("conv1d(k=5,d=32)", BNR, blocks[0], "relu", blocks[1], "relu")
    yield "vit_small", sequence("linear(d=64), posenc", transformer(Attention(2, 64, 2, 32)))
    yield "vit", sequence("linear(d=512), posenc", transformer(Attention(4, 512, 4, 64)))
    yield "mixer_small", sequence("linear(d=64), posenc", mixer(2, 64, 128, over_tokens))
