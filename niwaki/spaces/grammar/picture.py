"""Trees as SVG pictures."""

from html import escape

from niwaki.spaces.grammar.tree import Tree

_ROW = 22
_INDENT = 20
_CHARACTER = 7.5


def svg(tree: Tree) -> str:
    """Draw a tree, one node per row, children indented below their parent.

    The colours are those of the page around it, so it reads on light and on dark.
    """
    rows: list[tuple[int, int, str]] = []  # level, row of the parent (-1 at the root), label
    _lay_out(tree, 0, -1, rows)
    width = max(level * _INDENT + len(label) * _CHARACTER for level, _, label in rows) + 40
    height = len(rows) * _ROW + 10
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width:.0f} {height}" '
        f'width="{width:.0f}" height="{height}" font-family="monospace" font-size="12" '
        'fill="currentColor" stroke="none" role="img">',
        f"<title>{escape(str(tree)[:200])}</title>",
    ]
    for row, (level, parent, label) in enumerate(rows):
        x, y = 10 + level * _INDENT, row * _ROW + 18
        if parent >= 0:
            left, top = x - _INDENT + 4, parent * _ROW + 24
            parts.append(
                f'<path d="M{left} {top}V{y - 4}H{x - 2}" fill="none" stroke="currentColor" '
                'stroke-opacity="0.4"/>'
            )
        parts.append(f'<text x="{x + 2}" y="{y}">{escape(label)}</text>')
    return "\n".join([*parts, "</svg>"])


def _lay_out(tree: Tree, level: int, parent: int, rows: list[tuple[int, int, str]]) -> None:
    rows.append((level, parent, tree.label))
    row = len(rows) - 1
    for child in tree.children:
        _lay_out(child, level + 1, row, rows)
