"""What the other machine's Python is given first: it takes niwaki's text, and serves.

The text is imported from memory: nothing is installed or written there. This module has to run on
any Python 3.8, as execnet does, so that one which is too old can be told.
"""

import importlib.abc
import importlib.util
import sys
from typing import Any

NEEDED = "numpy scipy onnx onnxruntime"
READY = "ready"


class Sent(importlib.abc.MetaPathFinder, importlib.abc.InspectLoader):
    """Imports modules of which the text was sent.

    Args:
        modules: Whether it is a package, and the text, by the module's name.
    """

    def __init__(self, modules: Any) -> None:
        self._modules = modules

    def find_spec(self, name: str, path: Any = None, target: Any = None) -> Any:  # noqa: ARG002
        if name not in self._modules:
            return None
        return importlib.util.spec_from_loader(name, self, origin="sent")

    def is_package(self, name: str) -> bool:
        return bool(self._modules[name][0])

    def get_source(self, name: str) -> str:
        return str(self._modules[name][1])


def begin(channel: Any) -> None:
    """Serve whoever is at the other end of an execnet channel, or say why that cannot be."""
    modules = channel.receive()
    if sys.version_info < (3, 11):  # noqa: UP036 - it is another machine's
        there = ".".join(map(str, sys.version_info[:3]))
        channel.send(f"it has Python {there}, and 3.11 or later is needed")
        return
    sys.meta_path.insert(0, Sent(modules))
    try:
        from niwaki.targets.remote.server import Server
    except ImportError as error:
        channel.send(f"{error}: run `{sys.executable} -m pip install {NEEDED}` there")
        return
    channel.send(READY)
    Server(channel).serve()


if __name__ == "__channelexec__":
    begin(channel)  # type: ignore[name-defined]  # noqa: F821
