"""What a run ran on and with, fit to be published: no paths, no names of users or hosts."""

import os
import platform
import subprocess
from collections.abc import Mapping
from importlib.metadata import PackageNotFoundError, version

from niwaki.core.jsonable import JSON, fingerprint
from niwaki.core.user_files import user_code
from niwaki.targets.machine import affinity, processor

PACKAGES = (
    "niwaki",
    "numpy",
    "onnx",
    "onnxruntime",
    "onnxscript",
    "optuna",
    "pydantic",
    "pymoo",
    "ray",
    "scikit-learn",
    "scipy",
    "torch",
    "torchvision",
)
USER_FILES = "user_files"
THREAD_COUNTS = (
    "OMP_NUM_THREADS",
    "MKL_NUM_THREADS",
    "OPENBLAS_NUM_THREADS",
    "NUMEXPR_NUM_THREADS",
    "VECLIB_MAXIMUM_THREADS",
)
_THREADS_WAIT = ("OMP_WAIT_POLICY", "GOMP_SPINCOUNT")


def describe_environment() -> dict[str, JSON]:
    """Return Python, platform, processor, packages, threads, git commit and files of the user.

    Nothing is imported to find out its version.
    """
    return {
        "python": f"{platform.python_implementation()} {platform.python_version()}",
        "platform": {
            "system": platform.system(),
            "release": platform.release(),
            "machine": platform.machine(),
            "libc": " ".join(platform.libc_ver()).strip(),
        },
        "cpu": {
            "model": processor().model,
            "n_logical": os.cpu_count(),
            "n_usable": len(affinity()),
        },
        "memory_bytes": _memory_bytes(),
        "packages": _package_versions(),
        "thread_variables": {
            name: os.environ[name]
            for name in (*THREAD_COUNTS, *_THREADS_WAIT)
            if name in os.environ
        },
        "git": _git_state(),
        USER_FILES: _user_files(),
    }


def changed_fields(before: JSON, after: JSON, *, path: str = "") -> list[str]:
    """Return the dotted paths at which two JSON values differ, sorted."""
    if not (isinstance(before, Mapping) and isinstance(after, Mapping)):
        return [] if before == after else [path]
    changed: list[str] = []
    for key in sorted({*before, *after}):
        inner = f"{path}.{key}" if path else key
        if key in before and key in after:
            changed += changed_fields(before[key], after[key], path=inner)
        else:
            changed.append(inner)
    return changed


def _memory_bytes() -> int | None:
    try:
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (ValueError, OSError):
        return None


def _package_versions() -> dict[str, JSON]:
    versions: dict[str, JSON] = {}
    for name in PACKAGES:
        try:
            versions[name] = version(name)
        except PackageNotFoundError:
            continue
    return versions


def _user_files() -> dict[str, JSON]:
    """Return the fingerprints of files that were imported by their path, by name.

    Of several files of one name, it is that of all of them: paths are nobody's business.
    """
    texts: dict[str, list[str]] = {}
    for file in sorted(user_code().files, key=lambda file: file.path):
        texts.setdefault(file.path.name, []).append(file.text.decode(errors="replace"))
    return {
        name: fingerprint(found[0] if len(found) == 1 else found) for name, found in texts.items()
    }


def _git_state() -> dict[str, JSON] | None:
    """Return the commit of the working directory, and whether tracked files differ from it."""
    commit = _git("rev-parse", "HEAD")
    if commit is None:
        return None
    status = _git("status", "--porcelain", "--untracked-files=no")
    return {"commit": commit, "modified": None if status is None else bool(status)}


def _git(*arguments: str) -> str | None:
    command = ["git", *arguments]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=10, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return None
    return done.stdout.strip() if done.returncode == 0 else None
