"""Optuna's samplers by name, made without noise on the console."""

import inspect
import logging
import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import TypeAlias

import optuna
from optuna.exceptions import ExperimentalWarning
from optuna.samplers import BaseSampler, BruteForceSampler, GridSampler

from niwaki.core.calls import misfit
from niwaki.core.errors import ConfigError
from niwaki.core.jsonable import JSON
from niwaki.core.registry import import_object, nearest
from niwaki.core.wording import kind_of

# From a seed to a sampler.
SamplerFactory: TypeAlias = Callable[[int], BaseSampler]

SAMPLERS: Mapping[str, str] = {
    "tpe": "TPESampler",
    "gp": "GPSampler",
    "nsga2": "NSGAIISampler",
    "nsga3": "NSGAIIISampler",
    "random": "RandomSampler",
    "qmc": "QMCSampler",
}


@contextmanager
def quiet() -> Iterator[None]:
    """Keep Optuna's chatter, not its errors, off the console; the user's own level comes back."""
    logger = logging.getLogger("optuna")
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ExperimentalWarning)
            yield
    finally:
        logger.setLevel(level)


def sampler_factory(sampler: "str | SamplerFactory", options: Mapping[str, JSON]) -> SamplerFactory:
    """Return the factory that settings describe.

    Args:
        sampler: A name of `SAMPLERS`, a class of `optuna.samplers`, `package.module:factory`, which
            may be a sampler's class, or a factory itself.
        options: Keyword arguments of the sampler's class, or of the factory.

    Raises:
        ConfigError: If there is no such sampler, or it takes no such option.
    """
    if not isinstance(sampler, str):
        return lambda seed: _made_by(sampler, seed, options)
    if ":" in sampler:
        found = import_object(sampler)
        if _takes_seed_by_name(found):
            return lambda seed: _made(found, seed, options)
        return lambda seed: _made_by(found, seed, options)
    kind = _sampler_class(sampler)
    _check_options(kind, options)
    return lambda seed: _made(kind, seed, options)


def refuse_listing(sampler: BaseSampler) -> None:
    """Raise if a sampler lists its space by itself.

    Raises:
        ConfigError: On `GridSampler` and `BruteForceSampler`, which stop the study when done, and
            so only work within Optuna's own loop.
    """
    if isinstance(sampler, GridSampler | BruteForceSampler):
        raise ConfigError(
            f"Optuna's {type(sampler).__name__} only works in Optuna's own loop: "
            "use the searcher 'random', which goes through a small space exactly once as well"
        )


def _sampler_class(name: str) -> type[BaseSampler]:
    kind = getattr(optuna.samplers, SAMPLERS.get(name, name), None)
    if isinstance(kind, type) and issubclass(kind, BaseSampler):
        return kind
    known = [*SAMPLERS, *(name for name in optuna.samplers.__all__ if name.endswith("Sampler"))]
    raise ConfigError(
        f"there is no Optuna sampler '{name}'{nearest(name, known) or '.'} "
        f"Known: {', '.join(SAMPLERS)}; or give 'package.module:factory'"
    )


def _takes_seed_by_name(found: object) -> bool:
    """Whether it is the class of a sampler, of which those of Optuna take no seed by position."""
    return (
        isinstance(found, type)
        and issubclass(found, BaseSampler)
        and "seed" in inspect.signature(found).parameters
    )


def _check_options(kind: type[BaseSampler], options: Mapping[str, JSON]) -> None:
    known = [name for name in inspect.signature(kind).parameters if name != "seed"]
    for name in options:
        if name not in known:
            raise ConfigError(
                f"Optuna's {kind.__name__} takes no option '{name}'{nearest(name, known) or '.'} "
                f"Known: {', '.join(known)}"
            )


def _made(kind: type[BaseSampler], seed: int, options: Mapping[str, JSON]) -> BaseSampler:
    seeded = {"seed": seed} if "seed" in inspect.signature(kind).parameters else {}
    try:
        return kind(**seeded, **options)
    except (TypeError, ValueError, ImportError) as error:
        raise ConfigError(f"Optuna's {kind.__name__} cannot be made: {error}") from error


def _made_by(factory: SamplerFactory, seed: int, options: Mapping[str, JSON]) -> BaseSampler:
    name = getattr(factory, "__qualname__", repr(factory))
    if fault := misfit(factory, ("seed",), options):
        raise ConfigError(
            f"'{name}', which is to make an Optuna sampler, {fault}. Give one with these "
            "parameters, or other options"
        )
    sampler = factory(seed, **options)
    if not isinstance(sampler, BaseSampler):
        raise ConfigError(f"'{name}' made {kind_of(sampler)}, but an Optuna sampler was wanted")
    return sampler
