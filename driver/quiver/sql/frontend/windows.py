"""Windows of SQL: `OVER (…)`, with names of the WINDOW clause and frames."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from sqlglot import expressions as g
from sqlglot.expressions.core import Expression as Node

from quiver.sql import types as t
from quiver.sql.errors import AnalysisException
from quiver.sql.frontend.dialect import unsupported
from quiver.sql.tree import expressions as e

if TYPE_CHECKING:
    from quiver.sql.frontend.expressions import Reader


def windowed(reader: Reader, node: g.Window) -> e.Expression:
    """A function over a window. Raises AnalysisException for a name that the WINDOW clause does not have."""
    function = reader.read(node.this)
    if isinstance(function, e.Call) and function.order:
        raise unsupported("an aggregate with an order of its own over a window: put ORDER BY into OVER", node)
    return e.Windowed(function, _specification(reader, node))


def _specification(reader: Reader, node: Node, seen: tuple[str, ...] = ()) -> e.WindowSpec:
    base = e.WindowSpec()
    alias = node.args.get("alias")
    name = alias.name if isinstance(alias, Node) else ""
    if name:
        named = reader.windows.get(name.lower())
        if named is None or name.lower() in seen:
            raise AnalysisException(
                f"The window specification `{name}` is not defined in the WINDOW clause.", "MISSING_WINDOW_SPECIFICATION"
            )
        base = _specification(reader, named, (*seen, name.lower()))
    order, frame = node.args.get("order"), node.args.get("spec")
    keys = tuple(key for item in (order.expressions if order else []) if isinstance(key := reader.read(item), e.SortKey))
    partition = tuple(map(reader.read, node.args.get("partition_by") or []))
    return e.WindowSpec(partition or base.partition_by, keys or base.order_by, base.frame if frame is None else _frame(reader, frame))


def _frame(reader: Reader, spec: g.WindowSpec) -> e.Frame:
    def bound(side: str, default: int | None) -> int | e.Expression | None:
        value, direction = spec.args.get(side), str(spec.args.get(f"{side}_side")).upper()  # Kept in the case it was written in.
        if value is None:
            return default
        if value == "UNBOUNDED":
            return None
        if value == "CURRENT ROW":
            return 0
        offset = reader.read(value)
        if isinstance(offset, e.Literal) and isinstance(offset.value, int) and not isinstance(offset.type, t.YearMonthIntervalType):
            return -offset.value if direction == "PRECEDING" else offset.value
        if direction != ("PRECEDING" if side == "start" else "FOLLOWING"):  # Said from the other side.
            if not isinstance(offset, e.Literal):
                raise unsupported("a frame whose bound is an expression beyond the current row", spec)
            return replace(offset, value=-offset.value)
        return offset

    return e.Frame(spec.args["kind"].lower(), bound("start", None), bound("end", 0), spelled=True)
