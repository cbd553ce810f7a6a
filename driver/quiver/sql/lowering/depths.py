"""How deeply expressions nest. Pure."""

from __future__ import annotations

from quiver.sql import types as t
from quiver.sql.analysis.typing import type_of
from quiver.sql.tree import expressions as e
from quiver.sql.tree.walking import children_of

_CHAINS = frozenset({"and", "or", "concat", "coalesce"})
_ARITHMETIC = frozenset({"+", "-", "*"})


def depth(expression: e.Expression) -> int:
    """Levels of calls. Chains that are lowered as one are one level; columns, constants and names are none."""
    deepest = 0
    pending: list[tuple[e.Expression, int, str]] = [(expression, 0, "")]
    while pending:
        node, above, chain = pending.pop()
        mine = _chain(node)
        counts = not isinstance(node, e.Attribute | e.Literal | e.Alias | e.Variable) and not (mine and mine == chain)
        level = above + counts
        deepest = max(deepest, level)
        pending += ((child, level, mine) for child in children_of(node))
    return deepest


def _chain(node: e.Expression) -> str:
    """What it can be in a chain with."""
    if isinstance(node, e.Case):
        return "case"
    if not isinstance(node, e.Call):
        return ""
    if node.name in _ARITHMETIC:
        return "arithmetic" if isinstance(type_of(node), t.IntegralType | t.FloatType | t.DoubleType) else ""
    return node.name if node.name in _CHAINS else ""
