"""Keeping rows: cache, persist, checkpoint."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from quiver.callsite import capture
from quiver.sql.dataframe_core import DataFrameCore
from quiver.sql.errors import wrong_argument
from quiver.sql.tree import relations as r
from quiver_proto.storage import StorageLevel

if TYPE_CHECKING:
    from quiver.rdd import RDD
    from quiver.sql.dataframe import DataFrame


class Keeping(DataFrameCore):
    """What keeps rows from being computed again."""

    def cache(self) -> DataFrame:
        """persist() in memory and, where that is short, on disk; returns itself.

        >>> df = spark.range(3).where("id > 0").cache()
        >>> df.is_cached, df.count()
        (True, 2)
        >>> df.unpersist().is_cached
        False
        """
        return self.persist()

    def persist(self, storageLevel: StorageLevel = StorageLevel.MEMORY_AND_DISK_DESER) -> DataFrame:
        """Keep its rows where `storageLevel` says once they have been computed; returns itself.

        All queries of the application that contain the same computation then read the kept rows. What is lost or evicted is computed
        again. A level that was given before stays: unpersist() first. Raises TypeError for what is no StorageLevel.

        >>> from quiver import StorageLevel
        >>> df = spark.range(3).where("id > 1").persist(StorageLevel.DISK_ONLY)
        >>> df.storageLevel, spark.range(3).where("id > 1").storageLevel.useDisk
        (StorageLevel(True, False, False, False, 1), True)
        >>> df.unpersist().storageLevel
        StorageLevel(False, False, False, False, 1)
        """
        if not isinstance(storageLevel, StorageLevel):
            raise TypeError(f"storageLevel must be a StorageLevel, not {storageLevel!r}")
        self._session._state.keep(self._relation, storageLevel, "")
        return self._self

    def unpersist(self, blocking: bool = False) -> DataFrame:
        """Drop its kept rows, everywhere; returns itself. `blocking`: only when every executor has been told to."""
        self._session._state.runtime.kept.forget(self._relation, blocking)
        return self._self

    @property
    def is_cached(self) -> bool:
        """Whether its rows are kept, or will be once they are computed.

        >>> spark.range(5).where("id > 3").is_cached
        False
        """
        return self._session._state.runtime.kept.find(self._relation) is not None

    @property
    def storageLevel(self) -> StorageLevel:
        """Where its rows are kept; StorageLevel.NONE for nowhere."""
        found = self._session._state.runtime.kept.find(self._relation)
        return StorageLevel.NONE if found is None else found.rdd.getStorageLevel()

    def checkpoint(self, eager: bool = True) -> DataFrame:
        """Its rows as files in the checkpoint directory, which stand for how they were computed; `eager`: computed now, else with the
        first query on what this returns. The files stay. Raises CheckpointDirectoryNotSet before `spark.context.setCheckpointDir`.

        >>> import tempfile
        >>> spark.context.setCheckpointDir(tempfile.mkdtemp())
        >>> spark.range(3).where("id > 0").checkpoint().count()
        2
        """
        return self._kept_as(lambda rows: rows.checkpoint(), eager)

    def localCheckpoint(self, eager: bool = True, storageLevel: StorageLevel | None = None) -> DataFrame:
        """As checkpoint, with the rows kept on executors: faster, and lost with an executor. Queries then raise CheckpointLost.

        >>> df = spark.range(3).where("id > 0").localCheckpoint()
        >>> df.count(), df.columns
        (2, ['id'])
        """
        if storageLevel is not None and not isinstance(storageLevel, StorageLevel):
            raise wrong_argument("storageLevel", "StorageLevel", storageLevel)

        def keep(rows: RDD[Any]) -> None:
            if storageLevel is not None:
                rows.persist(storageLevel)
            rows.localCheckpoint()

        return self._kept_as(keep, eager)

    def _kept_as(self, keep: Callable[[RDD[Any]], None], eager: bool) -> DataFrame:
        def kept(rows: RDD[Any]) -> RDD[Any]:
            keep(rows)
            if eager:
                rows.count()
            return rows

        runtime = self._session._state.runtime
        rows = runtime.retried(self._relation, capture(), kept)
        if not eager:
            runtime.lazy_checkpoints.add(rows, self._relation, keep)
        return self._with(r.Produced(rows, self._relation.output))
