"""Hints on joins: which sides the program wants whole in every task, and whether it wants joins by sorting or of shuffled sides. Pure."""

from __future__ import annotations

from quiver.sql.tree import relations as r

BROADCAST = frozenset({"broadcast", "broadcastjoin", "mapjoin"})
"""Names of the hint for one side of a join to be given whole to every task."""
MERGE = frozenset({"merge", "mergejoin", "shuffle_merge", "shufflemerge"})
"""Names of the hint for a join by sorting both sides."""


def built_columns(relation: r.Relation) -> frozenset[str]:
    """What the kernel calls the columns of relations with a broadcast hint."""
    found: set[str] = set()
    pending = [relation]
    while pending:
        node = pending.pop()
        inner = node.child if isinstance(node, r.Aliased) else node
        if isinstance(inner, r.Hint) and inner.name in BROADCAST:
            # A projection of the hinted relation that only renames is known by its own columns.
            found.update(f"{column.name}#{column.id}" for column in (*node.output, *inner.output))
        pending += node.inputs
    return frozenset(found)


def wants_sorting(relation: r.Relation) -> bool:
    """Whether some join has a MERGE hint."""
    return _has(relation, MERGE)


def wants_shuffling(relation: r.Relation) -> bool:
    """Whether some join has the hint SHUFFLE_HASH."""
    return _has(relation, frozenset({"shuffle_hash"}))


def _has(relation: r.Relation, names: frozenset[str]) -> bool:
    pending = [relation]
    while pending:
        node = pending.pop()
        if isinstance(node, r.Hint) and node.name in names:
            return True
        pending += node.inputs
    return False
