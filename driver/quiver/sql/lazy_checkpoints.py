"""Checkpoints that are written by the first query that reads them: until then their rows can be planned anew.

A DataFrame's checkpoint is an RDD of batches, whose partitions are those of one plan. Where that plan is too much for a slot's memory, the
rows come from another RDD from then on, which is asked to be checkpointed as the first was.
"""

from __future__ import annotations

import dataclasses
import threading
import weakref
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from quiver.sql.analysis.rewriting import changed
from quiver.sql.tree import relations as r

if TYPE_CHECKING:
    from quiver.rdd import RDD

Replan = Callable[[r.Relation], "RDD[Any]"]
"""Batches of a relation, planned for less memory."""


@dataclass(slots=True)
class _Asked:
    relation: r.Relation
    keep: Callable[[RDD[Any]], None]
    now: RDD[Any] | None = None
    """What stands for the first RDD, where that is another one."""


class LazyCheckpoints:
    """Those of one session, as long as somebody may read them. Safe for threads."""

    def __init__(self) -> None:
        self._lock = threading.RLock()
        self._asked: weakref.WeakKeyDictionary[RDD[Any], _Asked] = weakref.WeakKeyDictionary()

    def add(self, rows: RDD[Any], relation: r.Relation, keep: Callable[[RDD[Any]], None]) -> None:
        """`rows`, batches of `relation`, are checkpointed when they are computed first: `keep` has asked for it."""
        with self._lock:
            self._asked[rows] = _Asked(relation, keep)

    def holds(self, leaf: r.Relation) -> bool:
        """Whether it is such rows, or what stands for them."""
        if not isinstance(leaf, r.Produced):
            return False
        with self._lock:
            return leaf.rdd in self._asked or any(asked.now is leaf.rdd for asked in self._asked.values())

    def substituted(self, relation: r.Relation, replan: Replan | None = None) -> r.Relation:
        """The relation with what stands for its rows now; with `replan` those that are not checkpointed yet are planned anew first."""
        if not self._asked:
            return relation

        def current(node: r.Relation) -> r.Relation | None:
            if not isinstance(node, r.Produced):
                return None
            with self._lock:
                asked = self._asked.get(node.rdd)
                if asked is None:
                    return None
                rows = asked.now or node.rdd
                if replan is not None and not rows.isCheckpointed():
                    rows = asked.now = replan(asked.relation)
                    asked.keep(rows)
            return node if rows is node.rdd else dataclasses.replace(node, rdd=rows)

        made: r.Relation = changed(relation, of_relation=current)
        return made
