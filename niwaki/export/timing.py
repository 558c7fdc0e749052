"""The latency of exported models, on the real inputs that they carry."""

import logging
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from niwaki.core.errors import ConfigError, TargetError
from niwaki.export.bundle import Bundle, find_bundles, read_bundle
from niwaki.targets.base import Effort, Feeds, Target
from niwaki.targets.bench import bench
from niwaki.targets.feeds import first_fit
from niwaki.targets.latency import Latency
from niwaki.targets.onnxruntime_target import OnnxRuntimeTarget

_log = logging.getLogger(__name__)


def time_models(
    path: Path, target: Target, *, dims: Mapping[str, int] | None = None, seed: int = 0
) -> dict[Path, Latency]:
    """Measure an ONNX file, or the exported models in a folder.

    Models of a folder are measured in one session, so that their latencies compare, and run as
    their cards say. A bare file gets made-up inputs.

    Args:
        path: An ONNX file, an exported model's folder, or a folder of several.
        target: Calibrated. Optimizers that a card leaves out are left out, and no others.
        dims: Sizes of dynamic dimensions by name, for the made-up inputs of a bare file.
        seed: Of made-up inputs, and of the measurement.

    Returns:
        Latencies by file, or by the model's folder.

    Raises:
        ConfigError: If `dims` are given for exported models, which carry their inputs.
        ExportError: If the folder holds no exported model, or a damaged one.
        TargetError: If a model cannot be loaded or run.
    """
    if not path.is_dir():
        return {path: bench(path, target=target, dims=dims, seed=seed)}
    if dims:
        raise ConfigError(
            f"exported models, as in '{path}', are measured on the inputs that they carry: leave "
            "out the sizes of dimensions"
        )
    bundles = [read_bundle(folder) for folder in find_bundles(path)]
    found: dict[Path, Latency] = {}
    for disabled in sorted({bundle.settings.disabled_optimizers for bundle in bundles}):
        alike = [b for b in bundles if b.settings.disabled_optimizers == disabled]
        found |= _timed(alike, _leaving_out(disabled, target), seed=seed)
    return found


def _leaving_out(optimizers: tuple[str, ...], target: Target) -> Target:
    """Return the target as models that leave these optimizers out are run there."""
    if isinstance(target, OnnxRuntimeTarget):
        if set(ignored := target.disabled_optimizers) - set(optimizers):
            _log.warning(
                "exported models leave out the optimizers that their cards name, %s, and not the "
                "target's: %s",
                ", ".join(optimizers) or "none",
                ", ".join(ignored),
            )
        return replace(target, disabled_optimizers=optimizers)
    if optimizers:
        raise TargetError(
            f"models want {', '.join(optimizers)} left out, which '{target.target_id}' cannot do: "
            "measure them on a target that runs ONNX Runtime"
        )
    return target


def _timed(bundles: Sequence[Bundle], target: Target, *, seed: int) -> dict[Path, Latency]:
    latencies = target.measure(
        [bundle.model_path for bundle in bundles],
        [_one_item(bundle) for bundle in bundles],
        effort=Effort.THOROUGH,
        seed=seed,
    )
    return {bundle.folder: found for bundle, found in zip(bundles, latencies, strict=True)}


def _one_item(bundle: Bundle) -> Feeds:
    """Return the first item that is not blank."""
    inputs = bundle.verification_data().inputs
    n_items = min(map(len, inputs.values()))
    return first_fit({name: x[i : i + 1] for name, x in inputs.items()} for i in range(n_items))
