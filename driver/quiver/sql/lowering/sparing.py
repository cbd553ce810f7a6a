"""The same rows for less memory and more work: for queries whose usual plan did not fit. Pure.

lists and ordered sets           of rows that are sorted by group (gathering.py); a list of distinct values of those that a group-by leaves
several DISTINCT aggregates      each over the distinct values of its own arguments, and these joined by group: a group-by spills,
                                 the set inside an aggregate can't
aggregates over whole windows    computed by group and joined to the rows: the kernel would hold all rows of a window's partition
windows by constants              without these keys
windows to their partition's end  from the end: what comes after a row would have to be held for it
ntile, percent_rank, cume_dist   from a number that a window gives as rows pass, and how many rows its partition has

All of it reads what is below several times. It is left as it is where that may not give the same rows each time.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from quiver.sql import types as t
from quiver.sql.analysis.rewriting import changed
from quiver.sql.analysis.typing import type_of
from quiver.sql.lowering.gathering import gathered
from quiver.sql.lowering.replacing import aggregates_in, can_group, is_constant, is_repeatable, named, unique, with_given
from quiver.sql.tree import expressions as e
from quiver.sql.tree import relations as r
from quiver.sql.tree.walking import all_of, attributes_in, walk

_SUMMED = frozenset({
    "count", "sum", "avg", "mean", "min", "max", "stddev", "stddev_samp", "std", "stddev_pop", "variance", "var_samp", "var_pop",
    "count_if",
    "bool_and", "every", "bool_or", "some", "any", "bit_and", "bit_or", "bit_xor", "try_sum", "try_avg", "approx_count_distinct",
})  # fmt: skip
"""Aggregates whose state is small, and which don't depend on the order of rows."""
_BY_VALUE = {"collect_set": "collect_list", "collect_list": "collect_list", "array_agg": "array_agg"}
"""Lists without nulls. What they are of values that are there once each."""


def spared(relation: r.Relation) -> r.Relation:
    """The relation with such parts in place of others; the same object where there are none."""
    result: r.Relation = changed(relation, of_relation=_spared)
    return result


def _spared(node: r.Relation) -> r.Relation | None:
    if not isinstance(node, r.Aggregate | r.Project):
        return None
    child = spared(node.child)
    node = node if child is node.child else replace(node, child=child)
    if isinstance(node, r.Aggregate):
        made = _without_sets(node)
        return gathered(node) if made is node else made
    return _without_whole_windows(_by_numbers(_backwards(_without_constant_keys(node))))


# ---- DISTINCT ----


def _without_sets(node: r.Aggregate) -> r.Aggregate | r.Project:
    found = unique(each for output in node.outputs for each in aggregates_in(output, node.keys))
    calls = [each for each in found if isinstance(each, e.Call) and (each.distinct or each.name.lower() == "collect_set")]
    others = [each for each in found if each not in calls]
    distinct = [[call for call in calls if (call.args, call.where) == values] for values in unique((c.args, c.where) for c in calls)]
    if not calls or node.sets is not None or not can_group(node.keys):
        return node
    if any(call.order or not _takes_values(call) or not all(map(attributes_in, call.args)) for call in calls):
        return node
    if len(distinct) + bool(others) > 1 and not is_repeatable(node.child):
        return node
    parts = [_of_values(node, alike) for alike in distinct]
    if others:
        parts.insert(0, _grouped(node.child, node.keys, others))
    joined, columns, values = parts[0]
    for other, same, more in parts[1:]:
        joined = _joined(joined, other, columns, same)
        values = [*values, *more]
    return r.Project(joined, with_given(node.outputs, [*zip(node.keys, columns, strict=True), *values]))


_Given = list[tuple[e.Expression, e.Expression]]
"""What stands in the place of which expression. (Some, such as constants that are lists, can't be keys of a dict.)"""
_Part = tuple[r.Relation, tuple[e.Attribute, ...], _Given]
"""A relation of groups, its columns of the keys, and those of the aggregates."""


def _takes_values(call: e.Call) -> bool:
    """Whether it is the same of distinct values, once each, in any order."""
    name = call.name.lower()
    return name in _SUMMED or (name in _BY_VALUE and can_group(call.args))


def _of_values(node: r.Aggregate, calls: Sequence[e.Call]) -> _Part:
    """Aggregates of the same distinct values."""
    first = calls[0]
    args = first.args if first.where is None else tuple(e.Case(((first.where, each),)) for each in first.args)
    keys = tuple(named(key, "key") for key in node.keys)
    values = tuple(named(value, "value") for value in args)
    once = r.Aggregate(node.child, (*node.keys, *unique(each for each in args if each not in node.keys)), (*keys, *values))
    columns = once.output
    once_each = columns[len(keys) :]
    short = [replace(call, name=_BY_VALUE.get(call.name.lower(), call.name), args=once_each, distinct=False, where=None) for call in calls]
    found, groups, given = _grouped(once, columns[: len(keys)], short)
    return found, groups, [(call, column) for call, (_, column) in zip(calls, given, strict=True)]


def _grouped(child: r.Relation, keys: Sequence[e.Expression], calls: Sequence[e.Expression]) -> _Part:
    groups = [named(key, "key") for key in keys]
    made = gathered(r.Aggregate(child, tuple(keys), (*groups, *(named(call, "aggregate") for call in calls))))
    columns = made.output
    return made, columns[: len(groups)], list(zip(calls, columns[len(groups) :], strict=True))


def _joined(left: r.Relation, right: r.Relation, keys: Sequence[e.Expression], same: Sequence[e.Expression]) -> r.Join:
    if not keys:
        return r.Join(left, right, "cross", None)
    return r.Join(left, right, "inner", all_of([e.Call("<=>", pair) for pair in zip(keys, same, strict=True)]))


# ---- windows ----


def _without_constant_keys(node: r.Project) -> r.Project:
    """Windows of all rows say so, whatever they are written like: rows of one value make one partition, and are in any order."""
    given = [(windowed, made) for windowed in _windows(node) if (made := _of_what_differs(windowed)) != windowed]
    return replace(node, expressions=with_given(node.expressions, given)) if given else node


def _of_what_differs(windowed: e.Windowed) -> e.Windowed:
    window = windowed.window
    keys = tuple(key for key in window.partition_by if not is_constant(key))
    order, frame = window.order_by, window.frame
    of_peers = frame is None or (frame.unit == "range" and frame.start is None and frame.end == 0)
    if order and of_peers and _is_summed(windowed.function) and all(is_constant(key.child) for key in order):
        order, frame = (), None  # All rows are equal in it, up to the current one: that is all.
    return replace(windowed, window=replace(window, partition_by=keys, order_by=order, frame=frame))


def _without_whole_windows(node: r.Project) -> r.Project:
    whole = [each for each in _windows(node) if _is_whole(each) and can_group(each.window.partition_by)]
    if not whole or not is_repeatable(node.child):
        return node
    child = node.child
    given: _Given = []
    for keys in unique(each.window.partition_by for each in whole):
        found = [each for each in whole if each.window.partition_by == keys]
        groups, same, values = _grouped(node.child, keys, [each.function for each in found])
        child = _joined(groups, child, same, keys)
        given += ((each, column) for each, (_, column) in zip(found, values, strict=True))
    return replace(node, child=child, expressions=with_given(node.expressions, given))


def _is_whole(windowed: e.Windowed) -> bool:
    window = windowed.window
    if not _is_summed(windowed.function):
        return False
    unbounded = window.frame is not None and window.frame.start is None and window.frame.end is None
    return unbounded or (window.frame is None and not window.order_by)


def _is_summed(function: e.Expression) -> bool:
    return isinstance(function, e.Call) and not function.order and function.name.lower() in _SUMMED


def _backwards(node: r.Project) -> r.Project:
    windows = _windows(node)
    given = [(windowed, made) for windowed in windows if (made := _backward(windowed)) is not None]
    # Rows that are equal in a window's order come in one order for all of its windows.
    if not given or (len(given) < len(windows) and any(each.window.frame is None or each.window.frame.unit == "rows" for each, _ in given)):
        return node
    return replace(node, expressions=with_given(node.expressions, given))


def _backward(windowed: e.Windowed) -> e.Windowed | None:
    function, window = windowed.function, windowed.window
    frame = window.frame
    if not isinstance(function, e.Call) or function.distinct or function.order or function.name.lower() not in _SUMMED:
        return None
    if frame is None or frame.end is not None or not isinstance(frame.start, int) or not window.order_by:
        return None
    keys = tuple(
        replace(key, ascending=not key.ascending, nulls_first=None if key.nulls_first is None else not key.nulls_first)
        for key in window.order_by
    )
    return replace(windowed, window=replace(window, order_by=keys, frame=replace(frame, start=None, end=-frame.start)))


def _by_numbers(node: r.Project) -> r.Project:
    given = [(windowed, made) for windowed in _windows(node) if (made := _by_number(windowed)) is not None]
    return replace(node, expressions=with_given(node.expressions, given)) if given else node


def _by_number(windowed: e.Windowed) -> e.Expression | None:
    function, window = windowed.function, windowed.window
    if not isinstance(function, e.Call) or function.name not in ("ntile", "percent_rank", "cume_dist") or not window.order_by:
        return None
    one = e.Literal(1, t.LongType())
    rows = e.Windowed(e.Call("count", (one,)), e.WindowSpec(window.partition_by))
    if function.name == "cume_dist":
        until = e.Windowed(e.Call("count", (one,)), replace(window, frame=e.Frame("range", None, 0)))
        return e.Call("/", (_double(until), _double(rows)))
    if function.name == "percent_rank":
        rank = e.Windowed(e.Call("rank"), window)
        share = e.Call("/", (_double(_minus(rank, one)), _double(_minus(rows, one))))
        return e.Case(((e.Call("=", (rows, one)), e.Literal(0.0, t.DoubleType())),), share)
    # The first `longer` tiles have one row more than the others.
    (tiles,) = (_long(argument) for argument in function.args)
    number = _minus(_long(e.Windowed(e.Call("row_number"), window)), one)
    each, longer = e.Call("div", (rows, tiles)), e.Call("%", (rows, tiles))
    long = e.Call("+", (each, one))
    in_long = e.Call("div", (number, long))
    rest = e.Call("+", (longer, e.Call("div", (_minus(number, e.Call("*", (longer, long))), each))))
    tile = e.Case(((e.Call("<", (number, e.Call("*", (longer, long)))), in_long),), rest)
    return e.Cast(e.Call("+", (tile, one)), t.IntegerType())


def _long(value: e.Expression) -> e.Expression:
    return value if isinstance(type_of(value), t.LongType) else e.Cast(value, t.LongType())


def _double(value: e.Expression) -> e.Expression:
    return e.Cast(value, t.DoubleType())


def _minus(value: e.Expression, other: e.Expression) -> e.Expression:
    return e.Call("-", (_long(value), other))


def _windows(node: r.Project) -> list[e.Windowed]:
    return unique(each for expression in node.expressions for each in walk(expression) if isinstance(each, e.Windowed))
