"""Blocks: map outputs, cached partitions, checkpoints, broadcasts, results."""

from __future__ import annotations

from quiver_proto.errors.base import QuiverError


class StorageError(QuiverError):
    """A block could not be written or read."""


class CheckpointLost(StorageError):
    """A block of a local checkpoint is gone, and with it the only way to have its records."""

    def __init__(self, dataset_id: int, name: str, partition: int) -> None:
        super().__init__(
            f"partition {partition} of RDD {dataset_id} ({name}) is lost: localCheckpoint() gave up its lineage, and no executor has its "
            "block any more (the executor that had it ended, or unpersist() was called). Run the program again; use checkpoint(), which "
            "writes to a directory, or a replicated storage level, where executors may be lost.",
            dataset_id,
            name,
            partition,
        )


class CheckpointUnreadable(StorageError):
    """A checkpoint's file is not there, or is not what this application's tasks wrote."""

    def __init__(self, path: str, problem: str) -> None:
        super().__init__(f"checkpoint file {path} can't be used: {problem}. Run the program again to write it anew.", path, problem)


class FetchFailed(StorageError):
    """A map output could not be read: the driver makes exactly that output again. Never shown to a user unless it repeats."""

    def __init__(self, shuffle_id: int, map_index: int, task_id: int, node_id: str, problem: str) -> None:
        super().__init__(
            f"map output {map_index} of shuffle {shuffle_id} can't be read from {node_id}: {problem}",
            shuffle_id,
            map_index,
            task_id,
            node_id,
            problem,
        )
        self.shuffle_id, self.map_index, self.task_id, self.node_id, self.problem = shuffle_id, map_index, task_id, node_id, problem


class CacheMiss(StorageError):
    """A cached partition that the driver believed to be there is not: the task runs again from the parents. Never shown to a user."""

    def __init__(self, dataset_id: int, partition: int, problem: str) -> None:
        super().__init__(f"cached partition {partition} of dataset {dataset_id} is not there: {problem}", dataset_id, partition, problem)
        self.dataset_id, self.partition, self.problem = dataset_id, partition, problem


class BroadcastUnavailable(StorageError):
    """A broadcast value's bytes can't be had on this node now: its task is tried again."""

    def __init__(self, broadcast_id: int, problem: str) -> None:
        super().__init__(
            f"the value of Broadcast({broadcast_id}) can't be fetched: {problem}. Can this node reach the driver (spark.driver.host)?",
            broadcast_id,
            problem,
        )


class BlockCorrupt(StorageError):
    def __init__(self, path: str, problem: str) -> None:
        super().__init__(f"block {path} is corrupt: {problem}", path, problem)


class QuotaExceeded(StorageError):
    def __init__(self, path: str, used: int, quota: int) -> None:
        super().__init__(
            f"the application's blocks in {path} use {used:,} of {quota:,} bytes allowed. Raise quiver.local.quota, "
            "put quiver.local.dir on a larger disk, or use more, smaller jobs.",
            path,
            used,
            quota,
        )


class DiskFull(StorageError):
    """`used`: bytes of the application's blocks. `output`: the disk is that of the files that a job writes, and not quiver.local.dir's."""

    def __init__(self, path: str, used: int, problem: str, output: bool = False) -> None:
        advice = (
            "Free some there, or write to a larger disk."
            if output
            else f"The application's blocks there use {used:,} bytes. Free some, or put quiver.local.dir on a larger disk."
        )
        super().__init__(f"no room left on the disk of {path} ({problem}). {advice}", path, used, problem, output)


class ResultTooLarge(StorageError):
    def __init__(self, size: int, limit: int) -> None:
        super().__init__(
            f"the job's results have {size:,} bytes, more than quiver.driver.maxResultSize ({limit:,}). "
            "Write them with saveAsTextFile, take fewer records, or raise the limit.",
            size,
            limit,
        )
