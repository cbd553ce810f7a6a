"""Calls of users' table functions in FROM: `f(TABLE(t) PARTITION BY k ORDER BY v, x => 1)`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, cast

from sqlglot import expressions as g
from sqlglot.expressions.core import Expression as Node

from quiver.sql.frontend.call_arguments import named
from quiver.sql.frontend.nodes import TableOf
from quiver.sql.tree import expressions as e
from quiver.sql.tree import relations as r
from quiver.sql.tree.walking import walk

if TYPE_CHECKING:
    from quiver.sql.frontend.queries import Query
    from quiver.sql.python.table_calls import TableArgument


def user_rows(
    query: Query, name: str, args: Sequence[Node], left: r.Relation | None = None, qualifier: str = "", columns: Sequence[str] = (),
    keeps: bool = False,
) -> r.Relation | None:  # fmt: skip
    """The rows of a user's table function, beside those of `left`; None where it is none, or where its arguments depend on a query around.

    `qualifier` and `columns` name what it makes; `keeps`: rows of the left side for which it makes nothing have nulls.
    """
    routine = query.catalogue.surroundings.routines.get(name.lower())
    if routine is None:
        return None
    from quiver.sql.python.table_calls import table_call
    from quiver.sql.python.table_functions import TableRoutine

    if not isinstance(routine, TableRoutine):
        return None
    values, names = named(name, args)
    scope = () if left is None else left.output
    reader = query.reader(scope)
    given = [_table(query, value) if isinstance(value, TableOf) else reader.read(value) for value in values]
    for value in given if query.outer else ():
        if isinstance(value, e.Expression):
            resolved = query.analyser.resolve(value, scope, query.outer)
            if any(isinstance(part, e.OuterReference) for part in walk(resolved)):
                return None
    return table_call(query.analyser, routine.function, given, names, left, qualifier, columns, keeps)


def _table(query: Query, node: TableOf) -> TableArgument:
    from quiver.sql.frontend.sources import relation
    from quiver.sql.python.table_calls import TableArgument

    rows = relation(query, node.this) if isinstance(node.this, g.Table) else query.read(node.this)
    reader = query.reader(rows.output)
    keys = tuple(reader.read(key) for key in node.args.get("partition") or ())
    order = tuple(cast(e.SortKey, reader.read(key)) for key in node.args.get("order") or ())
    return TableArgument(rows, keys, order, bool(node.args.get("single")))
