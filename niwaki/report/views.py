"""The same models as each goal of a study sees them: what is alike, the page holds once."""

from collections.abc import Mapping, Sequence

from niwaki.core.errors import ConfigError
from niwaki.core.jsonable import JSON
from niwaki.report.data import ReportData
from niwaki.report.headline import headline
from niwaki.report.models import Models
from niwaki.report.packing import layers, pack


def views_of(shown: Sequence[ReportData]) -> list[Models]:
    """Return the models as each goal sees them.

    Raises:
        ConfigError: If there is nothing to show, or several that are not goals of one study, each
            with a name of its own.
    """
    if not shown:
        raise ConfigError("a report shows a study, or each of its goals, and nothing came")
    names = [data.goal for data in shown]
    if len(shown) > 1 and (len(set(names)) < len(names) or not all(names)):
        came = ", ".join(f"'{name}'" for name in names)
        raise ConfigError(f"each goal on a page needs a name of its own, and these came: {came}")
    keys = [[trial.candidate.key for trial in data.trials] for data in shown]
    if any(each != keys[0] for each in keys):
        raise ConfigError("the goals on a page are of one study, and their trials are not the same")
    return [Models(data) for data in shown]


def pack_views(views: Sequence[Models]) -> list[dict[str, JSON]]:
    """Return the page's data for each view, with all layer tables."""
    named = tuple({o.name: o for view in views for o in view.data.objectives}.values())
    packed = [pack(view, with_layers=(), named=named) for view in views]
    return with_layers_of(packed, views, range(len(views[0].rows)))


def with_layers_of(
    packed: Sequence[Mapping[str, JSON]], views: Sequence[Models], rows: Sequence[int]
) -> list[dict[str, JSON]]:
    """Return the same data with the layer tables of these rows."""
    tables = layers(views, rows)
    return [{**each, "layers": some} for each, some in zip(packed, tables, strict=True)]


def joined(packed: Sequence[dict[str, JSON]], views: Sequence[Models]) -> dict[str, JSON]:
    """Return what the page carries: of a study with one front, the data as they are.

    Of goals, what all have alike, and in `goals` each one's name, task and first sentences, and its
    `own`: what is laid over the rest when it is shown.
    """
    if not views[0].data.goal:
        return packed[0]
    shared, own = told_apart(packed)
    return {**shared, "goals": [_goal(v, o) for v, o in zip(views, own, strict=True)]}


def told_apart(
    objects: Sequence[Mapping[str, JSON]],
) -> tuple[dict[str, JSON], list[dict[str, JSON]]]:
    """Return what all objects have alike, and what each has of its own; inner ones likewise."""
    shared: dict[str, JSON] = {}
    own: list[dict[str, JSON]] = [{} for _ in objects]
    for name in dict.fromkeys(name for each in objects for name in each):
        parts = [each[name] for each in objects if name in each]
        inner = [part for part in parts if isinstance(part, Mapping)]
        if len(parts) == len(objects) and all(part == parts[0] for part in parts):
            shared[name] = parts[0]
        elif len(inner) == len(objects):
            shared[name], differing = told_apart(inner)
            for mine, rest in zip(own, differing, strict=True):
                if rest:
                    mine[name] = rest
        else:
            for mine, each in zip(own, objects, strict=True):
                if name in each:
                    mine[name] = each[name]
    return shared, own


def _goal(view: Models, own: JSON) -> JSON:
    said = headline(view)
    return {
        "name": view.data.goal,
        "task": view.data.task,
        "headline": said.text,
        "source": said.source,
        "own": own,
    }
