"""The zero-cost proxies by name."""

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from niwaki.core.blame import raised_by
from niwaki.core.errors import ConfigError
from niwaki.core.registry import Record, Registry
from niwaki.core.user_randomness import seeded
from niwaki.core.wording import kind_of

if TYPE_CHECKING:  # names can be listed without loading torch
    from torch import nn

    from niwaki.predictors.proxies.base import Batch, Proxy

_FOLDER = "niwaki.predictors.proxies"

# Each path names a function of an initialised network and a batch; more is better.
PROXIES = Registry(
    "proxies",
    (
        Record("params", "number of parameters", f"{_FOLDER}.params:params"),
        Record("macs", "number of multiply-accumulates", f"{_FOLDER}.macs:macs"),
        Record("grad_norm", "norm of the loss's gradient", f"{_FOLDER}.grad_norm:grad_norm"),
        Record("snip", "what cutting the weights would do to the loss", f"{_FOLDER}.snip:snip"),
        Record(
            "synflow", "what flows through the network, data aside", f"{_FOLDER}.synflow:synflow"
        ),
        Record("jacov", "correlation of the inputs' gradients", f"{_FOLDER}.jacov:jacov"),
        Record("naswot", "how well linear regions tell inputs apart", f"{_FOLDER}.naswot:naswot"),
        Record("zico", "size and steadiness of gradients", f"{_FOLDER}.zico:zico"),
    ),
)


def proxy_scores(
    module: "nn.Module", batch: "Batch", names: Sequence[str] | None = None
) -> dict[str, float]:
    """Return the scores of an initialised network, by name of the proxy.

    Side by side they are features for any predictor; one alone ranks networks as it is. What a
    network draws at random, as dropout does, is drawn alike for every proxy, and torch's generators
    go on as if nothing was drawn.

    Args:
        module: Initialised; left as it is.
        batch: A few labelled inputs; left as they are, also by networks that work in place.
        names: All proxies if None.

    Raises:
        ConfigError: If one gives what is no number.
    """
    chosen = PROXIES.names() if names is None else names
    proxies: dict[str, Proxy] = {name: PROXIES.find(name).load() for name in chosen}
    return {name: _score(name, proxy, module, batch) for name, proxy in proxies.items()}


def _score(name: str, proxy: "Proxy", module: "nn.Module", batch: "Batch") -> float:
    from torch import Tensor
    from torch.nn.utils import parametrize

    # Cached, a weight that is computed from others is one tensor, which has a gradient.
    with raised_by(f"the proxy '{name}'"), seeded(), parametrize.cached():
        given: object = proxy(module, replace(batch, inputs=batch.inputs.clone()))
    try:
        return float(given.detach() if isinstance(given, Tensor) else given)  # type: ignore[arg-type]
    except (TypeError, ValueError, RuntimeError) as error:
        raise ConfigError(
            f"the proxy '{name}' gave {kind_of(given)}: let it give one number, more for better"
        ) from error
