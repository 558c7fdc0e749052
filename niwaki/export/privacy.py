"""No paths of the machine that exported a model in what is handed on."""

import os
import re
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import onnx

from niwaki.core.errors import ExportError
from niwaki.core.folders import home_folder, working_folder
from niwaki.core.jsonable import JSON

PREFIX = "niwaki."
"""What the keys of a model's own metadata start with."""

_HOMES = re.compile(
    r"""(?:/home/|/Users/|/root/|/tmp/|/private/|[A-Za-z]:[\\/]+Users[\\/])[\w.-]+"""
    r"""|(?:site|dist)-packages[\\/]|File \\?["'][^"']+\.py"""
)
_ABSOLUTE = re.compile(r"(?<![\w.:/)])/([\w.+-]+)/[\w./+-]+")
_DRIVE = re.compile(r"\b[A-Za-z]:[\\/]{1,2}\w+")
# Names of folders at the root, beside those of this machine; '/m/01g317' is a class of Open Images.
_TOP_FOLDERS = frozenset(
    [
        "Users",
        "Volumes",
        "data",
        "home",
        "media",
        "mnt",
        "opt",
        "private",
        "root",
        "scratch",
        "srv",
        "tmp",
        "usr",
        "var",
    ]
)
# Shorter ones turn up among the bytes of weights by chance.
_SHORTEST_ROOT = 6


def strip_local_information(model: onnx.ModelProto) -> None:
    """Clear, in place, what exporters note for developers: stack traces, paths, comments.

    What remains is the graph, its weights, and metadata whose keys start with `PREFIX`.
    """
    kept = [prop for prop in model.metadata_props if prop.key.startswith(PREFIX)]
    del model.metadata_props[:]
    model.metadata_props.extend(kept)
    model.ClearField("doc_string")
    for function in model.functions:
        _strip(function)
        for node in function.node:
            _strip_node(node)
    _strip_graph(model.graph)


def refuse_local_paths_in_bytes(data: bytes, *, what: str) -> None:
    """Raise if a serialised model names a folder of this machine, or of any user.

    Raises:
        ExportError: With the text that was found.
    """
    text = data.decode("latin-1")
    found = _HOMES.search(text)
    hit = found[0] if found else next((root for root in _local_roots() if root in text), "")
    if hit:
        raise ExportError(
            f"{what} holds the local path '{hit}': rename the layer or input that carries it"
        )


def refuse_local_paths_in_json(value: JSON, *, what: str) -> None:
    """Raise if any string in a JSON value holds an absolute path.

    Raises:
        ExportError: With the place and the text that was found.
    """
    for where, text in _strings(value, what):
        if found := _local_path(text):
            raise ExportError(
                f"{where} holds the local path '{found}', which means nothing on another "
                "machine and tells about this one: give a name, or a relative path"
            )


def _local_path(text: str) -> str:
    """Return the first local path in a text, or an empty string."""
    tops = _TOP_FOLDERS | {path.name for path in Path(os.sep).iterdir()}
    for found in _ABSOLUTE.finditer(text):
        if found[1] in tops:
            return found[0]
    other = _HOMES.search(text) or _DRIVE.search(text)
    return other[0] if other else ""


def _strip_graph(graph: onnx.GraphProto) -> None:
    _strip(graph)
    for values in (graph.input, graph.output, graph.value_info, graph.initializer):
        for value in values:
            _strip(value)
    for node in graph.node:
        _strip_node(node)


def _strip_node(node: onnx.NodeProto) -> None:
    _strip(node)
    for attribute in node.attribute:
        attribute.ClearField("doc_string")
        for graph in (attribute.g, *attribute.graphs):
            if graph.node:
                _strip_graph(graph)


def _strip(message: onnx.NodeProto | onnx.GraphProto | onnx.ValueInfoProto) -> None:
    message.ClearField("doc_string")
    message.ClearField("metadata_props")


def _local_roots() -> list[str]:
    """Folders of this machine that an exporter may have noted."""
    roots = {Path(__file__).parents[2], Path(onnx.__file__).parents[1], Path(sys.prefix)}
    roots |= {Path(tempfile.gettempdir()), *filter(None, (working_folder(), home_folder()))}
    return sorted(root for root in map(str, roots) if len(root) >= _SHORTEST_ROOT)


def _strings(value: JSON, where: str) -> Iterator[tuple[str, str]]:
    if isinstance(value, str):
        yield where, value
    elif isinstance(value, dict):
        for key, child in value.items():
            yield where, str(key)
            yield from _strings(child, f"{where}.{key}")
    elif isinstance(value, list | tuple):
        for index, child in enumerate(value):
            yield from _strings(child, f"{where}[{index}]")
