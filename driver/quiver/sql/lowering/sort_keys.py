"""Computed keys of sorts and windows become columns first. Pure.

Of several partitions that are sorted by a function of something computed (`abs(a * 2)`, or any checked arithmetic, which holds that), the
kernel takes the order for no order at all when it merges them, and refuses the plan that it has made itself.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable
from dataclasses import replace

from quiver.sql import types as t
from quiver.sql.analysis.rewriting import changed
from quiver.sql.analysis.typing import type_of
from quiver.sql.analysis.volatile import varying
from quiver.sql.lowering.labelled_unions import may_be_labels
from quiver.sql.tree import expressions as e
from quiver.sql.tree import relations as r
from quiver.sql.tree.walking import walk

_ids = itertools.count(1 << 41)
"""Of columns that only lowered queries have: sessions count from one."""


def with_key_columns(relation: r.Relation) -> r.Relation:
    """The relation with such columns; the same object where there are no computed keys."""
    result: r.Relation = changed(relation, of_relation=_rewritten)
    return result


def _rewritten(node: r.Relation) -> r.Relation | None:
    if not isinstance(node, r.Sort | r.Project | r.Aggregate):
        return None
    keys = _Keys(node)
    if not keys.found:
        return None
    child = with_key_columns(node.child)
    below = r.Project(child, (*child.output, *(e.Alias(key, "key", next(_ids)) for key in keys.found.values())))
    keys.columns = dict(zip(keys.found, below.output[len(child.output) :], strict=True))
    if isinstance(node, r.Sort):
        made = replace(node, child=below, keys=changed(node.keys, keys.of_sorting))
        return r.Project(made, child.output)
    if isinstance(node, r.Project):
        return replace(node, child=below, expressions=changed(node.expressions, keys.of_sorting))
    return replace(node, child=below, outputs=changed(node.outputs, keys.of_sorting))


class _Keys:
    """The computed keys of one relation's own sorting, each with the column that it becomes."""

    def __init__(self, node: r.Sort | r.Project | r.Aggregate) -> None:
        self.found: dict[str, e.Expression] = {}
        self.columns: dict[str, e.Attribute] = {}
        if isinstance(node, r.Sort):
            self._add(key.child for key in node.keys)
            if len(node.keys) > 1:
                labels = (key.child for key in node.keys if may_be_labels(node.child, key.child))
                self.found |= {repr(key): varying(key) for key in labels}
            return
        for expression in node.expressions if isinstance(node, r.Project) else node.outputs:
            for part in walk(expression):
                if isinstance(part, e.Windowed) and isinstance(node, r.Project):
                    self._add((*part.window.partition_by, *(key.child for key in part.window.order_by)))
                    # The kernel has no ranges of times of the day.
                    times = (key.child for key in part.window.order_by if isinstance(type_of(key.child), t.TimeType))
                    self.found |= {repr(key): e.Call("time_to_micros", (key,)) for key in times}
                elif isinstance(part, e.Call) and part.order:
                    self._add(key.child for key in part.order)

    def _add(self, keys: Iterable[e.Expression]) -> None:
        for key in keys:
            if not isinstance(key, e.Attribute | e.Literal):
                self.found[repr(key)] = key

    def of_sorting(self, part: e.Expression) -> e.Expression | None:
        """What stands in the place of a part of the relation's expressions."""
        if isinstance(part, e.SortKey):
            return replace(part, child=self._of(part.child))
        if isinstance(part, e.WindowSpec):
            order = tuple(replace(key, child=self._of(key.child)) for key in part.order_by)
            return replace(part, partition_by=tuple(map(self._of, part.partition_by)), order_by=order)
        return None

    def _of(self, key: e.Expression) -> e.Expression:
        return self.columns.get(repr(key), key)
