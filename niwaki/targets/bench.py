"""The latency of any ONNX model, as `niwaki bench model.onnx` tells it."""

from collections.abc import Mapping, Sequence
from pathlib import Path

from niwaki.core.errors import ConfigError
from niwaki.core.randomness import stream
from niwaki.targets.base import Effort, Feeds, Target
from niwaki.targets.feeds import synthesise_feeds
from niwaki.targets.latency import Latency
from niwaki.targets.sessions import Optimisation, SessionSettings, open_session


def bench(
    path: Path,
    *,
    target: Target,
    feeds: Feeds | None = None,
    dims: Mapping[str, int] | None = None,
    effort: Effort = Effort.THOROUGH,
    seed: int = 0,
) -> Latency:
    """Measure the model in a file.

    Args:
        path: An ONNX file, with its external data beside it if it has any.
        target: Where to measure.
        feeds: Inputs by name; made up from the graph if None.
        dims: Sizes of dynamic dimensions by name, for made-up inputs, as `synthesise_feeds` takes
            them.
        effort: How long it may take.
        seed: Of made-up inputs, and of the measurement.

    Raises:
        TargetError: If the file is missing, damaged or unsupported, or no inputs can be made up.
    """
    if feeds is None:
        # Unoptimised, because only the inputs are wanted.
        session = open_session(path, SessionSettings(optimisation=Optimisation.NONE))
        feeds = synthesise_feeds(session, dims or {}, stream(seed, "bench inputs"))
    return target.measure([path], [feeds], effort=effort, seed=seed)[0]


def sizes_by_name(texts: Sequence[str]) -> dict[str, int]:
    """Return the sizes of dimensions that `name=size` spell.

    Raises:
        ConfigError: If one does not.
    """
    sizes = {}
    for text in texts:
        name, _, size = text.rpartition("=")
        if not (name and size.isdecimal()):
            raise ConfigError(f"'--dim {text}' cannot be read: write --dim height=224")
        sizes[name] = int(size)
    return sizes
