"""Columns that a relation has more than once. Pure.

The kernel wants every name once, so whoever is inside a lowered query has such a column once and asks for it by name. Where columns count
by place (the root, kept rows, operands of set operations), each place has a name of its own.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable
from dataclasses import replace

from quiver.sql.tree import expressions as e
from quiver.sql.tree import relations as r

_ids = itertools.count(1 << 42)
"""Of columns that only lowered queries have: sessions count from one."""


def each_once(columns: Iterable[e.Attribute]) -> tuple[e.Attribute, ...]:
    """The columns, without those that are there already."""
    return tuple({column.id: column for column in columns}.values())


def told_apart(columns: Iterable[e.Attribute]) -> tuple[e.Attribute, ...]:
    """As many columns, of which those that were there already have new numbers."""
    seen: set[int] = set()
    result = []
    for column in columns:
        result.append(replace(column, id=next(_ids)) if column.id in seen else column)
        seen.add(column.id)
    return tuple(result)


def by_place(relation: r.Relation) -> r.Relation:
    """The relation, with as many columns of different names as its output has; the same object where they differ anyway."""
    columns = relation.output
    if len({column.id for column in columns}) == len(columns):
        return relation
    pairs = zip(columns, told_apart(columns), strict=True)
    return r.Project(relation, tuple(old if old is new else e.Alias(old, old.name, new.id, old.metadata) for old, new in pairs))
