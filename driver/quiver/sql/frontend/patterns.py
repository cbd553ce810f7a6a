"""LIKE and its kin."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlglot import expressions as g
from sqlglot.expressions.core import Expression as Node

from quiver.sql import types as t
from quiver.sql.errors import ParseException
from quiver.sql.tree import expressions as e

if TYPE_CHECKING:
    from quiver.sql.frontend.expressions import Reader


def like(reader: Reader, node: Node, escape: e.Expression | None = None) -> e.Expression:
    """LIKE and ILIKE, of one pattern or several. Raises ParseException for an escape that is no constant character."""
    if node.args.get("negate"):
        positive = node.copy()
        positive.set("negate", None)
        return e.Call("not", (like(reader, positive, escape),))
    if isinstance(node.expression, g.All | g.Any):
        return quantified(reader, node, negate=False)
    name = "ilike" if isinstance(node, g.ILike) else "like"
    pattern = reader.read(node.expression)
    if escape is not None:
        pattern = _escaped(pattern, escape)
    return e.Call(name, (reader.read(node.this), pattern))


def quantified(reader: Reader, node: Node, negate: bool) -> e.Expression:
    """`LIKE ANY (…)` and `LIKE ALL (…)`: NOT is said of each pattern."""
    listed = node.expression.this
    patterns = listed.expressions if isinstance(listed, g.Tuple) else [listed]
    name = "ilike" if isinstance(node, g.ILike) else "like"
    value = reader.read(node.this)
    tests: list[e.Expression] = [e.Call(name, (value, reader.read(pattern))) for pattern in patterns]
    if negate:
        tests = [e.Call("not", (test,)) for test in tests]
    result = tests[0]
    for test in tests[1:]:
        result = e.Call("and" if isinstance(node.expression, g.All) else "or", (result, test))
    return result


def _escaped(pattern: e.Expression, escape: e.Expression) -> e.Expression:
    """The pattern with backslashes for the escape character that it was written with."""
    if not isinstance(pattern, e.Literal) or not isinstance(escape, e.Literal) or not isinstance(pattern.value, str):
        raise ParseException("The feature is not supported: ESCAPE for a pattern that is no constant.", "UNSUPPORTED_FEATURE")
    mark = escape.value
    if not isinstance(mark, str) or len(mark) != 1:
        raise ParseException("The escape of LIKE is one character.", "INVALID_ESCAPE_CHAR")
    if mark == "\\":
        return pattern
    text, rest = "", pattern.value
    while rest:
        if rest[0] == mark and len(rest) > 1:
            text, rest = f"{text}\\{rest[1]}", rest[2:]
        else:
            text, rest = text + ("\\\\" if rest[0] == "\\" else rest[0]), rest[1:]
    return e.Literal(text, t.StringType())
