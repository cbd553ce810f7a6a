"""Where the kernel would compute a projection before the filter below it, on rows that the filter drops, and how it is kept from that.

Its optimiser puts a projection that gives fewer columns than it takes below a filter (or into the scan below that) when all columns of the
condition are among what the projection hands on as they are. Then `where(b != 0).select("b", a / b)` divides by zero. It can't where one of
these columns is not handed on as it is but as `greatest(column)`, which is the column.
"""

from __future__ import annotations

from dataclasses import dataclass

from quiver.sql import types as t
from quiver.sql.tree import expressions as e
from quiver.sql.tree import relations as r


@dataclass(frozen=True, slots=True)
class Filtered:
    """What is known of a relation that is a filter, maybe under projections that could sink below it: the attributes of the relation
    that are the columns of its condition, and whether something was computed since."""

    condition: frozenset[int]
    computed: bool = False


def after(relation: r.Relation, below: Filtered | None, attributes: frozenset[int]) -> Filtered | None:
    """Of a relation, given that of its child. `attributes`: those in the relation's own expressions."""
    match relation:
        case r.Filter():
            return Filtered(attributes)
        case r.Hint() | r.Repartition():
            return below
        case r.Aliased() if below is not None:
            new = {old.id: column.id for old, column in zip(relation.child.output, relation.columns, strict=True)}
            return Filtered(frozenset(new[old] for old in below.condition), below.computed)
        case r.Project() if below is not None and shielded(relation, below) is None:
            handed = _handed_on(relation)
            if below.condition <= handed.keys():
                return Filtered(
                    frozenset(handed[old] for old in below.condition), below.computed or len(handed) < len(relation.expressions)
                )
            return None
        case _:
            return None


def shielded(relation: r.Project, below: Filtered | None) -> int | None:
    """The attribute that the projection must not hand on as it is; None: there is no danger."""
    if below is None or not below.condition:
        return None
    handed = _handed_on(relation)
    computes = below.computed or any(not isinstance(_bare(expression), e.Attribute) for expression in relation.expressions)
    narrows = any(column.id not in handed for column in relation.child.output)
    if not (computes and narrows and below.condition <= handed.keys()):
        return None
    plain = [column.id for column in relation.child.output if column.id in below.condition and isinstance(column.type, t.AtomicType)]
    return plain[0] if plain else None


def _handed_on(relation: r.Project) -> dict[int, int]:
    """The child's attributes that are among the output as they are, and what they are there."""
    handed: dict[int, int] = {}
    for expression in relation.expressions:
        bare = _bare(expression)
        if isinstance(bare, e.Attribute):
            handed[bare.id] = expression.id if isinstance(expression, e.Alias) else bare.id
    return handed


def _bare(expression: e.Expression) -> e.Expression:
    return expression.child if isinstance(expression, e.Alias) else expression
