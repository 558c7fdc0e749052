"""How another machine is reached, in execnet's notation: parts divided by `//`."""

import shlex
import sys

import execnet

from niwaki.core.errors import TargetError

KNOWN = ("ssh", "popen", "vagrant_ssh", "ssh_config", "python")
WAYS = ("ssh", "popen", "vagrant_ssh")
# No question that nobody answers, and a link that is dead is noticed. Where an address has one of
# these options of its own, that is kept; those of ssh's own files give way.
SSH_OPTIONS = {"BatchMode": "yes", "ConnectTimeout": "20", "ServerAliveInterval": "15"}
_REMEDY = "write ssh=user@host, or popen//python=command that runs Python there"


def is_way(text: str) -> bool:
    """Whether a text means another machine, rather than the name of something or a file."""
    parts = [part.partition("=") for part in text.split("//")]
    return parts[0][0] in KNOWN and (len(parts) > 1 or bool(parts[0][1]))


def check_way(way: str) -> None:
    """Check how a machine is to be reached, without reaching for it.

    Args:
        way: `ssh=pi@raspi4//python=python3.11`, where `ssh` is what the command of that name takes,
            or `popen//python=docker exec -i board python3`, for any command that runs a Python
            elsewhere.

    Raises:
        TargetError: If it cannot be read.
    """
    parts = [part.partition("=") for part in way.split("//")]
    names = [name for name, _, _ in parts]
    if sum(name in WAYS for name in names) != 1:
        raise TargetError(f"'{way}' does not say how to reach the target: {_REMEDY}")
    if unknown := [name for name in names if name not in KNOWN]:
        raise TargetError(
            f"'{way}' has '{unknown[0]}', which is none of {', '.join(KNOWN)}: {_REMEDY}"
        )
    if repeated := {name for name in names if names.count(name) > 1}:
        raise TargetError(f"'{way}' has '{repeated.pop()}' twice: {_REMEDY}")
    for name, _, value in parts:
        if not value.strip() and name != "popen":
            raise TargetError(f"'{way}' says nothing behind '{name}': {_REMEDY}")
        try:
            shlex.split(value)
        except ValueError as error:
            raise TargetError(f"'{way}' cannot be read ({error}): {_REMEDY}") from error


def completed(way: str) -> execnet.XSpec:
    """Return a checked way with what goes without saying."""
    found = execnet.XSpec(f"{way}//id=target//execmodel=thread")
    if found.ssh is not None:
        ours = [f"-o {o}={v}" for o, v in SSH_OPTIONS.items() if o.lower() not in found.ssh.lower()]
        found.ssh = " ".join([*ours, found.ssh])
        found.python = found.python or "python3"
    return found


def remedy(way: str) -> str:
    """Return what to try where a machine cannot be reached."""
    found = execnet.XSpec(way)
    config = f"-F {found.ssh_config} " if found.ssh_config else ""
    if found.ssh is not None:
        command = f"ssh {config}{found.ssh} {found.python or 'python3'} --version"
    elif found.vagrant_ssh is not None:
        command = f"vagrant ssh {found.vagrant_ssh} -- {found.python or 'python'} --version"
    else:
        command = f"{found.python or sys.executable} --version"
    return f"check that `{command}` works without a question, and prints nothing else"
