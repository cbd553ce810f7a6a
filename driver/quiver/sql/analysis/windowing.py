"""Relations whose rows are in windows of time: `window`, whose length is told, and `session_window`, which a pause ends."""

from __future__ import annotations

import datetime
from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from quiver.sql import types as t
from quiver.sql.analysis.pretty import pretty
from quiver.sql.analysis.typing import type_of
from quiver.sql.analysis.windows_of_time import is_sliding, micros, sliding
from quiver.sql.errors import AnalysisException
from quiver.sql.tree import expressions as e
from quiver.sql.tree import relations as r
from quiver.sql.tree.walking import rebuilt, strip_alias, walk

if TYPE_CHECKING:
    from quiver.sql.analysis.analyser import Analyser

_WINDOWS = ("window", "session_window")
Levels = Sequence[Sequence[e.Attribute]]


def is_window(node: e.Expression) -> bool:
    """Whether it is a call of one of them."""
    return isinstance(node, e.Call) and node.name in _WINDOWS


def in_windows(
    analyser: Analyser,
    child: r.Relation,
    expressions: Sequence[e.Expression],
    outer: Levels,
    keys: Sequence[e.Expression] | None,
    as_columns: bool,
    zone: str,
) -> tuple[r.Relation, list[e.Expression]]:
    """The rows whose time is known, once for each window that they are in, and the expressions over them.

    `keys`: what they are grouped by, within which sessions are found; None: each row is a session. `as_columns`: every window is a
    column of the relation, named as the function, else only where that is needed. Raises AnalysisException.
    """
    result = list(expressions)
    found = [node for expression in result for node in walk(expression) if isinstance(node, e.Call) and is_window(node)]
    for call in dict.fromkeys(found):
        if call.name == "session_window":
            child, column = _in_sessions(analyser, child, call, keys, outer)
        else:
            child = analyser.filter(child, e.Call("isnotnull", (call.args[0],)), outer)
            if not is_sliding(call) and not as_columns:
                continue
            child, column = _in_lengths(analyser, child, call, outer, as_columns, zone)
        named = e.Alias(column, call.name)

        def put(node: e.Expression, call: e.Call = call, named: e.Expression = named) -> e.Expression:
            return named if node == call else rebuilt(node, lambda inside: put(inside, call, named))

        result = [_without_inner_names(put(expression)) for expression in result]
    return child, result


def _in_lengths(
    analyser: Analyser, child: r.Relation, call: e.Call, outer: Levels, as_columns: bool, zone: str
) -> tuple[r.Relation, e.Attribute]:
    if not is_sliding(call):
        made = e.Alias(analyser.resolve(call, child.output, outer), call.name, analyser.fresh())
        child = r.Project(child, (*child.output, made))
        return child, child.output[-1]
    moment = analyser.resolve(call.args[0], child.output, outer)
    windows = e.Call("explode", (sliding(replace(call, args=(moment, *call.args[1:]), zone=zone)),))
    generated = analyser.generate(child, windows, outer=outer)
    (column,) = generated.columns
    if not as_columns:
        return generated, column
    child = r.Project(generated, (*child.output, e.Alias(column, call.name, analyser.fresh())))
    return child, child.output[-1]


def _in_sessions(
    analyser: Analyser, child: r.Relation, call: e.Call, keys: Sequence[e.Expression] | None, outer: Levels
) -> tuple[r.Relation, e.Attribute]:
    """A session ends where no row of its group begins before all that came before have ended."""
    if len(call.args) != 2:
        raise AnalysisException(
            f"The `session_window` requires 2 parameters but the actual number is {len(call.args)}.", "WRONG_NUM_ARGS.WITHOUT_SUGGESTION"
        )
    columns = child.output
    moment = analyser.resolve(call.args[0], columns, outer)
    if not isinstance(type_of(moment), t.TimestampType | t.TimestampNTZType):
        moment = analyser.resolve(e.Cast(moment, t.TimestampType()), columns, outer)
    ended = e.Call("+", (moment, _pause(call.args[1])))
    child = analyser.project(child, (*columns, e.Alias(moment, "#start"), e.Alias(ended, "#end")), outer)
    start, end = child.output[-2:]
    child = analyser.filter(child, e.Call(">", (end, start)), outer)
    if keys is None:
        window = _struct(start, end)
    else:
        others = tuple(strip_alias(key) for key in keys if call not in walk(key))
        order = (e.SortKey(start),)

        def of_rows(function: e.Call, last: int) -> e.Expression:
            return e.Windowed(function, e.WindowSpec(others, order, e.Frame("rows", None, last)))

        child = analyser.project(child, (*child.output, e.Alias(of_rows(e.Call("max", (end,)), -1), "#before")), outer)
        goes_on = e.Call("<=", (start, child.output[-1]))
        begins = e.Case(((goes_on, e.Literal(0, t.IntegerType())),), e.Literal(1, t.IntegerType()))
        child = analyser.project(child, (*child.output, e.Alias(of_rows(e.Call("sum", (begins,)), 0), "#session")), outer)
        session = e.WindowSpec((*others, child.output[-1]))
        window = _struct(e.Windowed(e.Call("min", (start,)), session), e.Windowed(e.Call("max", (end,)), session))
    child = analyser.project(child, (*columns, e.Alias(window, call.name)), outer)
    return child, child.output[-1]


def _struct(start: e.Expression, end: e.Expression) -> e.Expression:
    return e.Call("named_struct", (e.Literal("start", t.StringType()), start, e.Literal("end", t.StringType()), end))


def _pause(given: e.Expression) -> e.Expression:
    """An interval, of which texts are parsed here: constants, and those that a CASE chooses."""
    match given:
        case e.Literal(value=str(text)):
            return e.Literal(datetime.timedelta(microseconds=micros(text)), t.DayTimeIntervalType())
        case e.Case():
            branches = tuple((when, _pause(then)) for when, then in given.branches)
            return e.Case(branches, None if given.otherwise is None else _pause(given.otherwise))
        case e.Call(name="if", args=(condition, then, otherwise)):
            return e.Case(((condition, _pause(then)),), _pause(otherwise))
        case e.Literal(type=t.DayTimeIntervalType()) | e.Call(name="make_dt_interval"):
            return given
        case e.Cast(child=child):
            return _pause(child)
    raise AnalysisException(
        f"The gap of a session window is an interval: a constant such as '5 minutes', or a CASE of such, not \"{pretty(given)}\".",
        "DATATYPE_MISMATCH.UNEXPECTED_INPUT_TYPE",
    )


def _without_inner_names(expression: e.Expression) -> e.Expression:
    """Names are of whole columns only."""

    def bare(node: e.Expression) -> e.Expression:
        return bare(node.child) if isinstance(node, e.Alias) else rebuilt(node, bare)

    return replace(expression, child=bare(expression.child)) if isinstance(expression, e.Alias) else rebuilt(expression, bare)
