"""Chains of unions as one union, however a program or a text of SQL has put them into each other.

Thousands of them would be as many operators in each other. As in Spark's CombineUnions; unions of distinct rows are one as well.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from dataclasses import replace
from typing import Final

from quiver.sql.analysis.rewriting import changed, merged_projection
from quiver.sql.constant_rows import local_rows
from quiver.sql.tree import relations as r

_MANY: Final = 8
"""Rows of constants beside each other in a union, from which on they are one piece."""


def with_flat_unions(relation: r.Relation) -> r.Relation:
    """The relation with such unions, whose rows of constants are rows that the driver has; the same object where there are none."""
    result: r.Relation = changed(relation, of_relation=_flat)
    return result


def _flat(relation: r.Relation) -> r.Relation | None:
    if isinstance(relation, r.Deduplicate) and relation.keys is None and isinstance(relation.child, r.Union):
        return replace(relation, child=_together(relation.child, True))
    return _together(relation, False) if isinstance(relation, r.Union) else None


def _together(union: r.Union, distinct: bool) -> r.Union:
    """`distinct`: how often a row is there does not matter, nor whether it did further down."""
    branches: list[r.Relation] = []
    for is_constant, group in itertools.groupby(_branches(union, distinct), _is_constant):
        found = tuple(group)
        made = _rows(found, union) if is_constant and len(found) >= _MANY else None
        branches += (made,) if made is not None else map(with_flat_unions, found)
    return replace(union, branches=tuple(branches))


def _branches(union: r.Union, distinct: bool) -> Iterator[r.Relation]:
    pending: list[r.Relation] = list(reversed(union.branches))
    while pending:
        top = pending.pop()
        if distinct and isinstance(top, r.Deduplicate) and top.keys is None and isinstance(top.child, r.Union):
            top = top.child
        if isinstance(top, r.Union):  # Whose columns are called otherwise: those of a union's branches count by place.
            pending.extend(reversed(top.branches))
        else:
            yield top


def _is_constant(branch: r.Relation) -> bool:
    while isinstance(branch, r.Project):
        branch = branch.child
    return isinstance(branch, r.Local) and not branch.columns and branch.table.num_rows == 1


def _rows(branches: tuple[r.Relation, ...], union: r.Union) -> r.Local | None:
    columns = tuple(replace(column, nullable=of.nullable) for column, of in zip(branches[0].output, union.columns, strict=True))
    return local_rows([merged_projection(branch)[1] for branch in branches], columns)
