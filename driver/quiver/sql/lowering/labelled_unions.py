"""Keys of sorts that may be one constant in each branch of a union (`SELECT 1 AS part, … UNION ALL SELECT 2, …`). Pure.

The kernel leaves such a key out where it sorts each branch for itself, which is right, but then lets the branches share what it knows
of the first rows so far: with a LIMIT rows of one branch were dropped by what the other keys of another's are.
"""

from __future__ import annotations

from collections.abc import Iterable

from quiver.sql.tree import expressions as e
from quiver.sql.tree import relations as r
from quiver.sql.tree.walking import attributes_in


def may_be_labels(relation: r.Relation, key: e.Expression) -> bool:
    """Whether the key, of the relation's rows, may be the same in all rows of a branch of a union below, for all that its plan says."""
    pending = [(relation, attribute.id, False) for attribute in attributes_in(key)]
    seen: set[tuple[int, int, bool]] = set()
    while pending:
        node, wanted, in_branch = pending.pop()
        if (id(node), wanted, in_branch) in seen:
            continue
        seen.add((id(node), wanted, in_branch))
        if isinstance(node, r.Union):
            place = next(place for place, column in enumerate(node.columns) if column.id == wanted)
            pending += ((branch, branch.output[place].id, True) for branch in node.branches)
            continue
        if not in_branch and isinstance(node, r.Aggregate | r.Deduplicate | r.SetOperation):
            continue  # The rows of branches have met.
        made = _made(node, wanted)
        if made is not None:
            asked = {attribute.id for attribute in attributes_in(made)}
            if in_branch and not asked:
                return True
        else:
            asked = {wanted}
            if isinstance(node, r.Filter | r.Join) and node.condition is not None:
                compared = {attribute.id for attribute in attributes_in(node.condition)}
                if wanted in compared:
                    if in_branch and isinstance(node, r.Filter):
                        return True
                    asked |= compared
        if isinstance(node, r.Aliased):
            asked = {node.child.output[place].id for place, column in enumerate(node.columns) if column.id == wanted}
        pending += ((child, each, in_branch) for child in node.inputs for each in asked & _ids(child.output))
    return False


def _made(node: r.Relation, wanted: int) -> e.Expression | None:
    """From what the relation itself makes the column; None when it only hands it on."""
    if not isinstance(node, r.Project | r.Aggregate):
        return None
    items = node.expressions if isinstance(node, r.Project) else node.outputs
    found = next((item for item, column in zip(items, node.output, strict=True) if column.id == wanted), None)
    return found.child if isinstance(found, e.Alias) else None


def _ids(columns: Iterable[e.Attribute]) -> set[int]:
    return {column.id for column in columns}
