"""Aggregates that keep all values of their groups, of rows that come sorted by group. Pure.

The hash table of lists, and of what percentiles are taken of, holds an array for each batch that a group has a row in, and counts
the batch for each of them: with 100,000 groups of 60 rows it spills all the time, and is not done in ten times the CPU that sorting
takes. A sort spills well, and behind it one group after the other is done. A window that numbers the rows of each group has the kernel
deal and sort them.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from quiver.sql import types as t
from quiver.sql.analysis.rewriting import changed
from quiver.sql.analysis.typing import type_of
from quiver.sql.lowering.replacing import aggregates_in, can_group, named, with_given
from quiver.sql.tree import expressions as e
from quiver.sql.tree import relations as r

_GATHERING = frozenset({
    "collect_list", "array_agg", "collect_union", "string_agg", "listagg", "median", "percentile", "percentile_cont", "percentile_disc",
    "percentile_approx", "approx_percentile", "mode", "product", "histogram_numeric",
})  # fmt: skip
"""Aggregates whose state is all of their values. (What follows the first word of a name is the order in which they are taken.)"""
_MANY = 10_000
"""Groups from which on sorting rows costs less than a hash table of objects, also where those of few groups would be small."""
_NUMBER = "number in its group"


def gathering(relation: r.Relation, groups_of: Callable[[r.Aggregate], float | None]) -> r.Relation:
    """The relation with such aggregates; the same object where there are none. `groups_of`: how many groups are expected, if that is known.

    Sets and extremes of structs stay in hash tables where groups are few: those are small then, and shrink what is shuffled.
    """

    def of(node: r.Relation) -> r.Relation | None:
        if not isinstance(node, r.Aggregate):
            return None
        child = gathering(node.child, groups_of)
        return gathered(node if child is node.child else replace(node, child=child), lambda: (groups_of(node) or 0) >= _MANY)

    result: r.Relation = changed(relation, of_relation=of)
    return result


def gathered(node: r.Aggregate, has_many: Callable[[], bool] = lambda: True) -> r.Aggregate:
    """This aggregate of sorted rows, if it is one that keeps values; the same object otherwise, and where it is so already."""
    if not node.keys or node.sets is not None or not can_group(node.keys) or any(each.name == _NUMBER for each in node.child.output):
        return node
    calls = [each for output in node.outputs for each in aggregates_in(output, node.keys)]
    if not any(map(_keeps_all, calls)) and not (any(map(_keeps_objects, calls)) and has_many()):
        return node
    computed = [(key, named(key, "key")) for key in node.keys if not isinstance(key, e.Attribute)]
    child = r.Project(node.child, (*node.child.output, *(alias for _, alias in computed))) if computed else node.child
    given = list(zip((key for key, _ in computed), child.output[len(node.child.output) :], strict=True))
    keys = tuple(next((column for key, column in given if key == each), each) for each in node.keys)
    number = named(e.Windowed(e.Call("row_number"), e.WindowSpec(keys, tuple(map(e.SortKey, keys)))), _NUMBER)
    numbered = r.Project(child, (*child.output, number))
    # It has to be asked for: else it would not be computed.
    of_each = r.Filter(numbered, e.Call(">", (numbered.output[-1], e.Literal(0, t.IntegerType()))))
    return r.Aggregate(of_each, keys, with_given(node.outputs, given))


def _keeps_all(call: e.Expression) -> bool:
    if isinstance(call, e.PythonCall):
        return True
    return isinstance(call, e.Call) and not call.distinct and call.name.lower().partition(" ")[0] in _GATHERING


def _keeps_objects(call: e.Expression) -> bool:
    if not isinstance(call, e.Call):
        return False
    composite = call.name in ("max", "min") and isinstance(type_of(call.args[0]), t.StructType | t.ArrayType | t.MapType)
    return composite or call.name.lower() == "collect_set" or (call.distinct and call.name.lower() in _GATHERING)
