"""Grammars in YAML: the same statements as in text, under keys, with their line numbers.

include: [other.grammar]
start: S
input: [im, 3, 32, 32]
functions: [my_package.rules, my_rules.py]
terminals: ["linear(d=16|32|64)", "relu, norm", "identity [identity]"]
flows: {route: "my_package.flows:Routing"}
productions:
  S: ["seq: M M", B]
  M: ["seq: M M [0.2]", "linear | relu"]
"""

import itertools
from collections.abc import Iterator

from niwaki.core.registry import nearest
from niwaki.spaces.grammar.findings import Finding, error
from niwaki.spaces.grammar.statements import Statement

MOST_NODES = 200_000
_MERGE = "tag:yaml.org,2002:merge"
_NO_MERGE = (
    "a grammar has no place for shared mappings, so '<<' is not read: put what is shared into a "
    "grammar file of its own, and say 'include: [shared.yaml]'. Productions of one symbol add up; "
    "an alias of a list, `Conv: *net`, is read"
)
_LISTS = {"include": "include", "functions": "functions", "terminals": "terminal"}
_KINDS = {
    "include": "a list",
    "functions": "one text or a list",
    "terminals": "a list",
    "flows": "a mapping",
}
_KEYS = ("include", "start", "input", "output", "functions", "terminals", "flows", "productions")


def yaml_statements(text: str) -> tuple[list[Statement], list[Finding]]:
    """Read YAML into statements, and what was wrong on the way."""
    import yaml

    findings: list[Finding] = []
    try:
        root = yaml.compose(text, Loader=yaml.SafeLoader)
    except yaml.MarkedYAMLError as fault:
        line = fault.problem_mark.line + 1 if fault.problem_mark else 0
        return [], [error(line, "syntax", f"this is not YAML: {fault.problem}")]
    except (yaml.YAMLError, RecursionError) as fault:
        message = "it nests too deeply" if isinstance(fault, RecursionError) else str(fault)
        return [], [error(0, "syntax", f"this is not YAML: {message}")]
    if unread := _unfolded(root):
        return [], [unread]
    if not isinstance(root, yaml.MappingNode):
        return [], [error(1, "syntax", f"a mapping was wanted, with keys {', '.join(_KEYS)}")]
    statements: list[Statement] = []
    findings += _given_twice(root)
    for key, value in root.value:
        line, name = key.start_mark.line + 1, str(key.value)
        if name not in _KEYS:
            message = f"there is no key '{name}'{nearest(name, _KEYS)} Known: {', '.join(_KEYS)}"
            findings.append(error(line, "unknown-key", message))
        elif name == "productions":
            statements += _productions(value, findings)
        elif name == "flows" and isinstance(value, yaml.MappingNode):
            statements += [
                Statement(k.start_mark.line + 1, "flow", f"{k.value} = {v.value}")
                for k, v in value.value
            ]
        elif name in _LISTS and isinstance(value, yaml.SequenceNode):
            statements += [
                Statement(each.start_mark.line + 1, _LISTS[name], str(each.value))
                for each in value.value
            ]
        elif name in ("input", "output"):
            statements.append(Statement(line, name, _literal(value)))
        elif isinstance(value, yaml.ScalarNode) and name not in ("flows", "terminals"):
            statements.append(Statement(line, name, str(value.value)))
        else:
            wanted = _KINDS.get(name, "one text")
            findings.append(error(line, "syntax", f"'{name}' holds {wanted}: write it so"))
    return statements, findings


def _unfolded(root: object) -> Finding | None:
    """Return what is wrong with aliases (`*a`) and with merges of mappings (`<<: *a`), if anything.

    Aliases may make a file endless, or far larger than it looks.
    """
    import yaml

    n_nodes, waiting = 0, [root]
    while waiting:
        node = waiting.pop()
        n_nodes += 1
        if n_nodes > MOST_NODES:
            message = f"with its aliases it has more than {MOST_NODES} values: write them out"
            line = node.start_mark.line + 1 if isinstance(node, yaml.Node) else 0
            return error(line, "syntax", message)
        if isinstance(node, yaml.MappingNode):
            for key, _ in node.value:
                if key.tag == _MERGE:
                    return error(key.start_mark.line + 1, "syntax", _NO_MERGE)
            waiting += itertools.chain.from_iterable(node.value)
        elif isinstance(node, yaml.SequenceNode):
            waiting += node.value
    return None


def _given_twice(node: object) -> Iterator[Finding]:
    """Yield the keys of a mapping, and of those inside of it, that an earlier line has already."""
    import yaml

    if not isinstance(node, yaml.MappingNode):
        return
    first: dict[str, int] = {}
    for key, value in node.value:
        line, name = key.start_mark.line + 1, str(key.value)
        if name in first:
            message = f"the key '{name}' is also on line {first[name]}: put both under one"
            yield error(line, "syntax", message)
        first.setdefault(name, line)
        yield from _given_twice(value)


def _productions(node: object, findings: list[Finding]) -> list[Statement]:
    import yaml

    found: list[Statement] = []
    if not isinstance(node, yaml.MappingNode):
        line = node.start_mark.line + 1 if isinstance(node, yaml.Node) else 0
        findings.append(error(line, "syntax", "'productions' maps symbols to alternatives"))
        return found
    for key, value in node.value:
        symbol = str(key.value)
        lines = value.value if isinstance(value, yaml.SequenceNode) else [value]
        for each in lines:
            line = each.start_mark.line + 1
            if isinstance(each, yaml.ScalarNode):
                found.append(Statement(line, "->", str(each.value), symbol))
            else:
                message = f"an alternative of '{symbol}' is text: quote it"
                findings.append(error(line, "syntax", message))
    return found


def _literal(node: object) -> str:
    import yaml

    if isinstance(node, yaml.SequenceNode):
        return f"({', '.join(_literal(each) for each in node.value)})"
    if isinstance(node, yaml.ScalarNode):
        if node.tag.endswith(":null"):
            return "none"
        plain = not node.tag.endswith(":str") or node.value.startswith("(")  # as in text
        return str(node.value) if plain else f'"{node.value}"'
    return "?"
