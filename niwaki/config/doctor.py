"""What this machine can run, for `niwaki doctor`."""

import shutil
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from niwaki.config.reader import SECTIONS
from niwaki.core.jsonable import JSON
from niwaki.targets.cpu_capabilities import cpu_capabilities
from niwaki.targets.machine import describe_machine, processor

NEEDED = ("numpy", "torch", "onnx", "onnxruntime", "onnxscript", "optuna", "pymoo", "scikit-learn")


def diagnose() -> dict[str, JSON]:
    """Return findings by name; each problem says what to do about it."""
    free = shutil.disk_usage(Path.cwd()).free
    return {
        "machine": describe_machine(),
        "int8": _int8(),
        "packages": {name: _version(name) or "missing: install niwaki again" for name in NEEDED},
        "extras": {
            name: _version(name) or f"not installed; needed for {use}: pip install {name}"
            for name, use in _extras().items()
        },
        "device": _device(),
        "plugins": _broken_plugins() or "all can be imported",
        "disk": f"{free / 1e9:.1f} GB free here",
    }


def _extras() -> dict[str, str]:
    """Return what plug-ins need beyond niwaki's own packages, and which plug-in it is."""
    return {
        name: f"{section} '{record.name}'"
        for section, registry in SECTIONS.items()
        for record in registry
        for name in record.needs
    }


def _version(name: str) -> str:
    try:
        return version(name)
    except PackageNotFoundError:
        return ""


def _int8() -> str:
    able = cpu_capabilities(processor())
    width = "7 bits, as wider products saturate without VNNI" if able.reduce_range else "8 bits"
    return f"weights of {width}; activations {able.activation}"


def _device() -> str:
    import torch

    if torch.cuda.is_available():
        return f"cuda: {torch.cuda.get_device_name(0)}"
    return f"cpu, {torch.get_num_threads()} threads"


def _broken_plugins() -> dict[str, JSON]:
    """Return the reasons of plug-ins that cannot be imported."""
    broken: dict[str, JSON] = {}
    for section, registry in SECTIONS.items():
        for record in registry:
            try:
                record.load()
            except Exception as error:  # any plug-in may be broken in any way; say which
                broken[f"{section}: {record.name}"] = str(error)
    return broken
