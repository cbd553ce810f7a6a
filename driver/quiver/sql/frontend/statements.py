"""Statements in SQL: queries become relations, commands are run at once."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

from quiver.sql.frontend import commands
from quiver.sql.frontend.dialect import parsed
from quiver.sql.frontend.expressions import Surroundings
from quiver.sql.frontend.inspecting import inspection_of
from quiver.sql.frontend.parameters import Formatted, bound, check_unmixed
from quiver.sql.frontend.queries import Catalogue, Query
from quiver.sql.frontend.settings import worded
from quiver.sql.nesting import with_room
from quiver.sql.rounds import LEVELS, ROWS, Rounds
from quiver.sql.tree import relations as r
from quiver_proto.ops import CallSite

if TYPE_CHECKING:
    from quiver.sql.session import Session


def relation_of(session: Session, text: str, args: Mapping[str, Any] | Iterable[Any] | None = None, **kwargs: Any) -> r.Relation:
    """The relation that a statement means: of a query its rows, of a command, which is run, what it tells.

    Raises ParseException, AnalysisException.
    """
    formatted = Formatted()
    if kwargs:
        text = formatted.vformat(text, (), kwargs)
    text, parameters = bound(text, args)

    def table(parts: tuple[str, ...]) -> r.Relation:
        found = formatted.tables.get(parts[-1])
        return session._table(parts) if found is None else session._state.analyser.alias(found, parts[-1])

    def rounds(name: str, anchor: r.Relation, step: r.Relation, before: r.Round) -> Rounds:
        conf = session.conf
        levels = int(conf.get("spark.sql.cteRecursionLevelLimit", LEVELS))
        rows = int(conf.get("spark.sql.cteRecursionRowLimit", ROWS))
        site = CallSite(f"recursive query {name}", "", 0)
        return Rounds(name, anchor, step, before, lambda relation: session._state.runtime.collect(relation, site), levels, rows)

    around = Surroundings(session.conf.zone(), {**formatted.parameters, **parameters}, session._state.routines, session._state.database)
    catalogue = Catalogue(session._state.analyser, table, around, rounds)
    query = Query(catalogue)
    told = inspection_of(text) or worded(text)
    if told is not None:
        return told(session, query)
    statement = parsed(text)
    check_unmixed(statement, args)
    command = commands.of(statement)
    return with_room(lambda: Query(catalogue).read(statement)) if command is None else command(session, query, statement, text)
