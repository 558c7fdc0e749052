"""What this machine can run, for `niwaki doctor`."""

import shutil
from importlib.metadata import PackageNotFoundError, version

from niwaki.config.reader import SECTIONS
from niwaki.core.folders import working_folder
from niwaki.core.jsonable import JSON
from niwaki.targets.cpu_capabilities import cpu_capabilities
from niwaki.targets.machine import describe_machine, processor

NEEDED = ("numpy", "torch", "onnx", "onnxruntime", "onnxscript", "optuna", "pymoo", "scikit-learn")
# Distribution, the extra that brings it in a version that fits, and what it is for.
EXTRAS = (
    ("pillow", "images", "image folders"),
    ("pyarrow", "tables", "Parquet files"),
    ("botorch", "botorch", "searcher 'botorch'"),
    ("ray", "ray", "executor 'ray' and Ray Tune"),
)


def diagnose() -> dict[str, JSON]:
    """Return findings by name; each problem says what to do about it."""
    return {
        "machine": describe_machine(),
        "int8": _int8(),
        "packages": {name: _version(name) or "missing: install niwaki again" for name in NEEDED},
        "extras": {name: found_or_remedy(name, extra, use) for name, extra, use in EXTRAS},
        "device": _device(),
        "plugins": _broken_plugins() or "all can be imported",
        "disk": _disk(),
    }


def found_or_remedy(name: str, extra: str, use: str) -> str:
    """Return the version of a distribution, or what it is for and how to get it."""
    return _version(name) or f"not installed; needed for {use}: pip install 'niwaki[{extra}]'"


def _version(name: str) -> str:
    try:
        return version(name)
    except PackageNotFoundError:
        return ""


def _int8() -> str:
    able = cpu_capabilities(processor())
    width = "7 bits, as wider products saturate without VNNI" if able.reduce_range else "8 bits"
    return f"weights of {width}; activations {able.activation}"


def _disk() -> str:
    here = working_folder()
    if here is None:
        return "the working directory was deleted: change to another one"
    return f"{shutil.disk_usage(here).free / 1e9:.1f} GB free here"


def _device() -> str:
    try:
        import torch
    except (ImportError, OSError) as error:  # OSError: a library that it is linked to is missing
        return f"torch cannot be imported: {error}. Nothing is trained or exported without it"

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
