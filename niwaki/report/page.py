"""Assembles the page: template, style, script and data become one HTML file."""

import base64
import hashlib
import html
import json
import re
from collections.abc import Mapping
from importlib.resources import files
from importlib.resources.abc import Traversable

from niwaki.core.jsonable import JSON
from niwaki.report.data import ReportData
from niwaki.report.headline import headline
from niwaki.report.models import Models
from niwaki.report.views import joined, pack_views, views_of, with_layers_of

MAX_PAGE_BYTES = 1_000_000

_SLOT = re.compile(r"\{\{(\w+)\}\}")
# Modules import named things and export declarations: these two forms are all there is.
_IMPORT = re.compile(r'^import \{[^}]*\} from "\./([\w-]+)\.js";\n', re.MULTILINE)
_EXPORT = re.compile(r"^export (?=(?:const|function) (\w+))", re.MULTILINE)
_ENTRY = "report"


def build_report(*shown: ReportData) -> str:
    """Return the report as one HTML page that needs no network.

    The same data give the same text, byte for byte. Past one megabyte, only the notable models keep
    their layer tables (front, knee, chosen, exported, baseline), and the page says so.

    Args:
        shown: A study; or each of its goals, between which the page switches.

    Raises:
        ConfigError: If there is nothing to show, or several that are not goals of one study, each
            with a name of its own.
    """
    views = views_of(shown)
    packed = pack_views(views)
    page = _render(views[0], joined(packed, views))
    if len(page.encode()) <= MAX_PAGE_BYTES:
        return page
    notable = sorted({row for view in views for row in view.notable})
    return _render(views[0], joined(with_layers_of(packed, views, notable), views))


def joined_script(entry: str = _ENTRY) -> str:
    """Return a page's modules as one script, each after those that it imports.

    Each keeps a scope of its own, and hands out what it exports.

    Args:
        entry: Name of the module that builds the page.
    """
    folder = files("niwaki.report") / "assets"
    done: dict[str, str] = {}
    _join(entry, folder, done)
    return "\n".join(done.values())


def _join(name: str, folder: Traversable, done: dict[str, str]) -> None:
    if name in done:
        return
    source = (folder / f"{name}.js").read_text(encoding="utf-8")
    for imported in _IMPORT.findall(source):
        _join(imported, folder, done)
    exported = ", ".join(_EXPORT.findall(source))
    body = _EXPORT.sub("", _IMPORT.sub("", source))
    done[name] = f"const {{ {exported} }} = (() => {{\n{body}return {{ {exported} }};\n}})();\n"


def _render(models: Models, payload: JSON) -> str:
    said = headline(models)
    slots = {
        "title": models.data.study,
        "status": models.data.status,
        # A run that was killed looks like one that ended: neither has a process.
        "state": "running" if models.data.status == "running" else "not running",
        "headline": said.text,
        "source": said.source,
    }
    return rendered(_ENTRY, slots, payload)


def rendered(name: str, slots: Mapping[str, str], payload: JSON) -> str:
    """Return a page as one HTML file that needs no network.

    Args:
        name: Of its template, and of the module that builds it.
        slots: Text for the template's slots.
        payload: The data that the page carries.
    """
    folder = files("niwaki.report") / "assets"
    script = joined_script(name)
    filled = {slot: html.escape(text) for slot, text in slots.items()} | {
        "style": (folder / "report.css").read_text(encoding="utf-8"),
        "script": script,
        "script_hash": _hash(script),
        "data": _embedded(payload),
    }
    template = (folder / f"{name}.html").read_text(encoding="utf-8")
    # One pass: what fills a slot is never searched for slots.
    page = _SLOT.sub(lambda slot: filled[slot.group(1)], template)
    # Half a surrogate pair, as a torn reason may end in, has no UTF-8.
    return page.encode(errors="replace").decode()


def _embedded(payload: JSON) -> str:
    """Return JSON in ASCII that cannot end its script element."""
    text = json.dumps(payload, separators=(",", ":"), allow_nan=False)
    return text.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026")


def _hash(script: str) -> str:
    """Return the hash by which the content security policy knows our script from any other."""
    digest = hashlib.sha256(script.encode()).digest()
    return f"sha256-{base64.b64encode(digest).decode()}"
