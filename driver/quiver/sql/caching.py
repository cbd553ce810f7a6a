"""DataFrames that are kept: which relations an application has kept rows of, and plans that read those instead of computing them again.

As in Spark's CacheManager it is the computation that is kept, not the object: any plan that contains a relation which computes the same
(analysis.sameness) reads the kept rows, in whichever session it was made. The rows are an RDD of Arrow batches, persisted as any RDD is:
levels, eviction, copies, recomputation of what is lost. They are computed when they are first needed.
"""

from __future__ import annotations

import dataclasses
import logging
import threading
import weakref
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from quiver.sql.analysis.rewriting import changed
from quiver.sql.analysis.sameness import shape
from quiver.sql.lowering.repeats import told_apart
from quiver.sql.tree import relations as r

if TYPE_CHECKING:
    from quiver.context import Context
    from quiver.rdd import RDD
    from quiver.storagelevel import StorageLevel

log = logging.getLogger("quiver.sql")


@dataclass(frozen=True, slots=True)
class Kept:
    """`relation` holds on to what its shape names by identity. `rows` has the columns of the relation, by place."""

    relation: r.Relation
    nodes: int
    shape: str
    rows: r.Produced

    @property
    def rdd(self) -> RDD[Any]:
        rdd: RDD[Any] = self.rows.rdd
        return rdd


class KeptRelations:
    """Those of one application. Safe for threads."""

    def __init__(self) -> None:
        self._lock = threading.RLock()
        self._kept: tuple[Kept, ...] = ()

    def find(self, relation: r.Relation) -> Kept | None:
        """The kept rows of exactly this computation."""
        return self._same(_bare(relation), {}) if self._kept else None

    def holds(self, rows: r.Produced) -> bool:
        """Whether these are the kept rows of some relation."""
        return any(kept.rows is rows for kept in self._kept)

    def keep(self, relation: r.Relation, rows: RDD[Any], level: StorageLevel) -> None:
        """From now on plans read `rows`, an RDD of batches of the relation's columns, for it. Nothing changes when it is kept already."""
        with self._lock:
            if self.find(relation) is not None:
                return
            bare = _bare(relation)
            rows.persist(level)
            columns = tuple(dataclasses.replace(column, qualifier=()) for column in told_apart(bare.output))
            self._kept = (*self._kept, Kept(bare, _count(bare, {}), shape(bare), r.Produced(rows, columns)))

    def forget(self, relation: r.Relation, blocking: bool = False) -> bool:
        """Drop the kept rows of this computation; whether there were any."""
        with self._lock:
            found = self.find(relation)
            if found is None:
                return False
            self._kept = tuple(kept for kept in self._kept if kept is not found)
        found.rdd.unpersist(blocking)
        return True

    def clear(self) -> None:
        """Drop all."""
        with self._lock:
            dropped, self._kept = self._kept, ()
        for kept in dropped:
            kept.rdd.unpersist()

    def refreshed(self, path: str) -> None:
        """Drop what was read from files at or below a path, or from directories above it."""
        with self._lock:
            stale = [kept for kept in self._kept if any(_touches(path, each) for each in _paths(kept.relation))]
            self._kept = tuple(kept for kept in self._kept if kept not in stale)
        for kept in stale:
            kept.rdd.unpersist()

    def replace(self, kept: Kept, rows: RDD[Any]) -> None:
        """Have `rows`, batches of the same relation, kept in place of these. Queries that read these go on with them, and compute them."""
        with self._lock:
            if not any(each is kept for each in self._kept):
                return
            rows.setName(kept.rdd.name() or "").persist(kept.rdd.getStorageLevel())
            new = dataclasses.replace(kept, rows=dataclasses.replace(kept.rows, rdd=rows))
            self._kept = tuple(new if each is kept else each for each in self._kept)
        kept.rdd.unpersist()

    def read_by(self, relation: r.Relation, but: Kept | None = None) -> list[Kept]:
        """Those whose rows `substituted` puts into a relation."""
        found: list[Kept] = []
        self._substituted(relation, but, found.append)
        return list({id(each): each for each in found}.values())

    def substituted(self, relation: r.Relation, but: Kept | None = None) -> r.Relation:
        """The relation, with kept rows in place of what is kept, `but` those of one. The same object when nothing is."""
        return self._substituted(relation, but, lambda kept: None)

    def _substituted(self, relation: r.Relation, but: Kept | None, noted: Callable[[Kept], None]) -> r.Relation:
        if not self._kept:
            return relation
        counts: dict[int, int] = {}

        def kept_rows(node: r.Relation) -> r.Relation | None:
            kept = self._same(node, counts, but)
            if kept is None:
                return None
            noted(kept)
            return r.Aliased(kept.rows, "", node.output)

        made: r.Relation = changed(relation, of_relation=kept_rows)
        return made

    def _same(self, relation: r.Relation, counts: dict[int, int], but: Kept | None = None) -> Kept | None:
        alike = [kept for kept in self._kept if kept is not but and type(kept.relation) is type(relation)]
        if not alike:
            return None
        nodes = _count(relation, counts)
        alike = [kept for kept in alike if kept.nodes == nodes]
        if not alike:
            return None
        mine = shape(relation)
        return next((kept for kept in alike if kept.shape == mine), None)


def _bare(relation: r.Relation) -> r.Relation:
    """Without the names that it was given: a view of a relation has the same rows."""
    while isinstance(relation, r.Aliased):
        relation = relation.child
    return relation


def _count(relation: r.Relation, counts: dict[int, int]) -> int:
    """How many relations it is made of, shared ones as often as they are read."""
    found = counts.get(id(relation))
    if found is None:
        found = counts[id(relation)] = 1 + sum(_count(child, counts) for child in relation.inputs)
    return found


def _paths(relation: r.Relation) -> list[str]:
    own = list(relation.paths) if isinstance(relation, r.Files) else []
    return own + [path for child in relation.inputs for path in _paths(child)]


def _touches(path: str, other: str) -> bool:
    one, two = (each.removeprefix("file:").rstrip("/") for each in (path, other))
    return one == two or one.startswith(f"{two}/") or two.startswith(f"{one}/")


_of_contexts: weakref.WeakKeyDictionary[Context, KeptRelations] = weakref.WeakKeyDictionary()
_lock = threading.Lock()


def kept_relations(context: Context) -> KeptRelations:
    """Those of an application."""
    with _lock:
        found = _of_contexts.get(context)
        if found is None:
            found = _of_contexts[context] = KeptRelations()
        return found
