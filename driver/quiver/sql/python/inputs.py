"""What users' functions over batches and groups are given: the relation to compute, and what runs over its batches."""

from __future__ import annotations

import itertools

from quiver.sql import types as t
from quiver.sql.analysis.typing import nullable, type_of
from quiver.sql.python.mapping import MapBatches, MapGroups, Sealed
from quiver.sql.tree import expressions as e
from quiver.sql.tree import relations as r

_ids = itertools.count(-1, -1)
"""Of columns that no user sees: negative, so that they are nobody else's."""


def by_partition(leaf: r.PythonMap, takes: t.StructType, gives: t.StructType) -> MapBatches | Sealed:
    """What runs over the batches of the child."""
    if leaf.kind == "rows":
        return Sealed(leaf.function)
    return MapBatches(Sealed(leaf.function), leaf.function.name, leaf.kind == "pandas", takes, gives, leaf.zone, leaf.rows)


def by_group(leaf: r.GroupedMap, gives: t.StructType) -> tuple[r.Relation, MapGroups]:
    """Rows dealt and sorted by the keys, each numbered within its group, and what runs over their batches.

    The window's function is what brings equal keys together and in order: its sort spills, and its numbers tell where groups begin.
    """
    count = len(leaf.keys[0])
    sides: list[tuple[int, ...]] = []
    branches = []
    widths = [len(child.output) for child in leaf.children]
    columns = [column for child in leaf.children for column in child.output]
    keys = [e.Attribute(next(_ids), f"key{place}", type_of(key), True) for place, key in enumerate(leaf.keys[0])]
    for number, child in enumerate(leaf.children):
        first = count + sum(widths[:number])
        sides.append(tuple(range(first, first + widths[number])))
        items: list[e.Expression] = [e.Alias(key, "key", next(_ids)) for key in leaf.keys[number]]
        for place, column in enumerate(columns, count):
            mine = place in sides[-1]
            value: e.Expression = column if mine else e.Cast(e.Literal(None, t.NullType()), column.type)
            items.append(e.Alias(value, column.name, next(_ids)))
        if len(leaf.children) > 1:
            items.append(e.Alias(e.Literal(number, t.IntegerType()), "side", next(_ids)))
        branches.append(r.Project(child, tuple(items)))
    rows: r.Relation
    if len(branches) == 1:
        rows = branches[0]
    else:
        side = e.Attribute(next(_ids), "side", t.IntegerType(), False)
        merged = (*keys, *(e.Attribute(next(_ids), column.name, column.type, True) for column in columns), side)
        rows = r.Union(tuple(branches), merged)
    output = rows.output
    window = e.WindowSpec(tuple(output[:count]), (e.SortKey(output[-1], True, None),) if len(branches) > 1 else ())
    numbered = r.Project(rows, (*output, e.Alias(e.Windowed(e.Call("row_number"), window), "row", next(_ids))))
    takes = t.StructType([t.StructField(column.name, column.type, nullable(column)) for column in output])
    function = MapGroups(
        Sealed(leaf.function), leaf.function.name, leaf.kind == "pandas", tuple(range(count)), tuple(sides), takes, gives, leaf.zone,
        leaf.rows, leaf.as_iterator, leaf.with_key,
    )  # fmt: skip
    return numbered, function
