"""What an RDD can be asked to keep: cached partitions, and checkpoints that stand for its lineage.

A mark on the dataset says what was asked (plan/lineage.py); the planner looks at it whenever a job is planned, so it holds for all
that is made from the RDD, before or after. A checkpoint is made by a job of its own after the next action that computes the RDD, as in
Spark: persist it too, or it is computed twice.

Reliable checkpoints are files of pickled records in a directory that others may be able to write. Nothing foreign is ever unpickled: the
driver keeps a digest of each file in the lineage, and tasks check what they read against it (quiver_proto/checkpoints.py).
"""

from __future__ import annotations

import logging
import weakref
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Self, TypeVar

from quiver.callsite import capture
from quiver.plan.lineage import Dataset, Narrow, Saved, SavedFile, Shuffled, Vanished
from quiver.rdd_core import RddCore
from quiver_proto import frames, ops
from quiver_proto.errors import CannotChangeStorageLevel, CheckpointDirectoryNotSet
from quiver_proto.ops import CallSite
from quiver_proto.storage import StorageLevel

if TYPE_CHECKING:
    from quiver.context import Context

T = TypeVar("T")

log = logging.getLogger("quiver.driver")

RELIABLE, LOCAL = "reliable", "local"
_MOST_COPIES = 39


class StorageOperators(RddCore[T]):
    """cache, persist, checkpoint and what they tell."""

    __slots__ = ()

    def cache(self) -> Self:
        """persist() in memory only; returns itself.

        >>> rdd = sc.parallelize(range(3)).cache()
        >>> rdd.is_cached, str(rdd.getStorageLevel())
        (True, 'Memory Serialized 1x Replicated')
        """
        return self.persist(StorageLevel.MEMORY_ONLY)

    def persist(self, storageLevel: StorageLevel = StorageLevel.MEMORY_ONLY) -> Self:
        """Keep its partitions where `storageLevel` says once a job has computed them; returns itself.

        All jobs on it, and on what is made from it, then read the kept partitions. What is lost or evicted is computed again. Raises
        CannotChangeStorageLevel (a RuntimeError) when it has another level already, TypeError for what is no StorageLevel.

        >>> from quiver import StorageLevel
        >>> rdd = sc.parallelize(range(3)).persist(StorageLevel.DISK_ONLY)
        >>> rdd.sum(), rdd.getStorageLevel()
        (3, StorageLevel(True, False, False, False, 1))
        """
        if not isinstance(storageLevel, StorageLevel):
            raise TypeError(f"storageLevel must be a StorageLevel, not {storageLevel!r}")
        if not 1 <= storageLevel.replication <= _MOST_COPIES:
            raise ValueError(f"a storage level has 1 to {_MOST_COPIES} copies, not {storageLevel.replication}")
        self._context._check(capture().operator)
        mark = self._dataset.mark
        wanted = _with_disk(storageLevel) if mark.asked == LOCAL else storageLevel
        if mark.level is not None and mark.level != wanted and mark.level != StorageLevel.NONE and mark.asked != LOCAL:
            raise CannotChangeStorageLevel(repr(self), str(mark.level), str(storageLevel))
        mark.is_persisted = True
        if mark.level != wanted:
            mark.level = wanted
            self._context._planner.mark(self._dataset)
        return self

    def unpersist(self, blocking: bool = False) -> Self:
        """Drop its kept partitions, everywhere; returns itself. `blocking`: only when every executor has been told to.

        >>> rdd = sc.parallelize(range(3)).cache()
        >>> rdd.unpersist().is_cached
        False
        """
        mark = self._dataset.mark
        mark.is_persisted = False
        if mark.level is not None:
            if mark.asked == LOCAL:
                log.warning("%r was locally checkpointed: its blocks are the only copy of its data, and unpersist() drops them", self)
            if mark.asked != LOCAL or mark.saved is None:
                mark.level = None
            planner = self._context._planner
            planner.mark(self._dataset)
            if not self._context._stopped:
                planner.drop_blocks(self._dataset, blocking)
        return self

    @property
    def is_cached(self) -> bool:
        """Whether persist() or cache() was called, and unpersist() not since.

        >>> rdd = sc.parallelize([1])
        >>> rdd.is_cached, rdd.cache().is_cached, rdd.unpersist().is_cached
        (False, True, False)
        """
        return self._dataset.mark.is_persisted

    def getStorageLevel(self) -> StorageLevel:
        """Where its partitions are kept; StorageLevel.NONE for nowhere.

        >>> sc.parallelize([1, 2]).getStorageLevel()
        StorageLevel(False, False, False, False, 1)
        """
        level = self._dataset.mark.level
        return StorageLevel.NONE if level is None else level

    # ---- checkpoints ----

    @property
    def is_checkpointed(self) -> bool:
        """Whether checkpoint() was called; isCheckpointed() tells whether it has been done.

        >>> sc.parallelize([1]).is_checkpointed
        False
        """
        return self._dataset.mark.asked == RELIABLE

    def checkpoint(self) -> None:
        """Have it written to files in the checkpoint directory after the next job that computes it; they then stand for its lineage.

        Persist it too, else it is computed twice. The files stay when the application ends. Raises CheckpointDirectoryNotSet (a
        RuntimeError) before Context.setCheckpointDir. The job may raise PathUnreadable; reading may raise CheckpointUnreadable.

        >>> import tempfile
        >>> sc.setCheckpointDir(tempfile.mkdtemp())
        >>> rdd = sc.parallelize(range(5)).map(lambda x: x * 2)
        >>> rdd.checkpoint(); rdd.isCheckpointed()
        False
        >>> rdd.count(), rdd.isCheckpointed(), rdd.sum()
        (5, True, 20)
        """
        self._context._check(capture().operator)
        if self._context._checkpoint_dir is None:
            raise CheckpointDirectoryNotSet(repr(self))
        if not self._dataset.mark.asked:
            self._ask(RELIABLE)

    def localCheckpoint(self) -> None:
        """Have its partitions kept on executors (memory, then disk) after the next job that computes it, and its lineage forgotten.

        Faster than checkpoint(), and not safe: when an executor that holds a partition ends, jobs that need it fail with CheckpointLost.

        >>> rdd = sc.parallelize(range(5)).map(lambda x: x * 2)
        >>> rdd.localCheckpoint(); rdd.isLocallyCheckpointed(), rdd.isCheckpointed()
        (True, False)
        >>> rdd.count(), rdd.isCheckpointed(), rdd.sum()
        (5, True, 20)
        """
        self._context._check(capture().operator)
        mark = self._dataset.mark
        if mark.saved is not None:
            log.warning("%r is checkpointed already: localCheckpoint() has no effect", self)
            return
        if mark.asked == RELIABLE:
            log.warning("%r was marked for a reliable checkpoint: localCheckpoint() takes its place", self)
        level = StorageLevel.MEMORY_AND_DISK_DESER if mark.level is None else _with_disk(mark.level)
        if mark.level != level:
            mark.level = level
            self._context._planner.mark(self._dataset)
        self._ask(LOCAL)

    def isCheckpointed(self) -> bool:
        """Whether a checkpoint, reliable or local, stands for its lineage by now.

        >>> sc.parallelize([1]).isCheckpointed()
        False
        """
        return self._dataset.mark.saved is not None

    def isLocallyCheckpointed(self) -> bool:
        """Whether localCheckpoint() was called.

        >>> sc.parallelize([1]).isLocallyCheckpointed()
        False
        """
        return self._dataset.mark.asked == LOCAL

    def getCheckpointFile(self) -> str | None:
        """The directory of its reliable checkpoint; None while there is none.

        >>> print(sc.parallelize([1]).getCheckpointFile())
        None
        """
        return self._dataset.mark.path

    def _ask(self, how: str) -> None:
        mark = self._dataset.mark
        mark.asked = how
        mark.holder = weakref.ref(self)
        self._context._planner.wanted.add(self._dataset.id)


def _with_disk(level: StorageLevel) -> StorageLevel:
    return StorageLevel(True, level.useMemory, level.useOffHeap, level.deserialized, level.replication)


# ---- after a job ----


def make_checkpoints(context: Context, dataset: Dataset) -> None:
    """After a job on `dataset`: make the checkpoints that are wanted of it, or of the nearest ones that it is made from."""
    planner = context._planner
    seen: set[int] = set()
    pending = [dataset]
    while pending and planner.wanted:
        current = pending.pop()
        if current.id in seen:
            continue
        seen.add(current.id)
        mark = current.mark
        if mark.asked or mark.saved is not None:
            # Whoever takes the id out of the set does it: two threads' jobs may end at once.
            if mark.saved is None and planner.take_wanted(current.id):
                try:
                    (_make_local if mark.asked == LOCAL else _make_reliable)(context, current)
                except BaseException:
                    planner.wanted.add(current.id)
                    raise
        elif isinstance(current, Narrow):
            pending.append(current.parent)
        elif isinstance(current, Shuffled):
            pending += [shuffle.parent for shuffle in current.reads]
        else:
            pending += current.parents


def _make_reliable(context: Context, dataset: Dataset) -> None:
    from quiver_proto.committing import OutputJob, numbered

    assert context._checkpoint_dir is not None
    directory = f"{context._checkpoint_dir}/rdd-{dataset.id}"
    output = OutputJob(directory)
    job = output.name
    call_site = CallSite("checkpoint", dataset.call_site.file, dataset.call_site.line)
    output.prepare(new=True)
    try:
        told = context._run_plan(dataset, lambda node: ops.SaveFrames(node, directory, job), call_site, with_index=True)
        written = [frames.load(result) for result in told]
        output.commit(numbered([name for name, *_ in written], ()))
    except BaseException:
        output.abort()
        raise
    parts = [SavedFile(f"{directory}/part-{index:05d}", *rest) for index, (_, *rest) in enumerate(written)]
    dataset.mark.path = directory
    _truncate(
        context, dataset,
        Saved(id=dataset.id, call_site=dataset.call_site, partitioning=dataset.partitioning, name=dataset.name, files=parts),
    )  # fmt: skip


def _make_local(context: Context, dataset: Dataset) -> None:
    call_site = CallSite("localCheckpoint", dataset.call_site.file, dataset.call_site.line)
    # Reads what is kept already, computes and keeps what is not.
    context._run_plan(dataset, ops.Count, call_site)
    kept = context._driver.stored(dataset.id).partitions
    if kept < dataset.width:
        context._planner.wanted.add(dataset.id)
        left = dataset.width - kept
        log.warning("localCheckpoint(): %d of %d partitions of RDD %d can't be kept: its lineage stays", left, dataset.width, dataset.id)
        return
    _truncate(
        context, dataset,
        Vanished(id=dataset.id, call_site=dataset.call_site, partitioning=dataset.partitioning, name=dataset.name, slices=dataset.width),
    )  # fmt: skip


def _truncate(context: Context, dataset: Dataset, saved: Dataset) -> None:
    """Let `saved` stand for all that `dataset` was made from. The RDD itself lets go of its lineage; the mark tells everyone else."""
    mark = dataset.mark
    mark.saved = saved
    context._planner.mark(dataset)
    rdd: Any = mark.holder() if mark.holder is not None else None
    if rdd is not None and rdd._dataset.id == dataset.id:
        rdd._dataset = replace(saved, mark=mark, name=rdd._dataset.name)
