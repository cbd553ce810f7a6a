"""What the tasks of a stage are told about the blocks that they read."""

from __future__ import annotations

from collections.abc import Sequence

from quiver.scheduler.core import Scheduler
from quiver.scheduler.model import StageSpec
from quiver_proto.ids import ShuffleId
from quiver_proto.messages import CacheTable, MapOutput, MapOutputTable


def map_output_table(shuffle_id: ShuffleId, outputs: Sequence[MapOutput]) -> MapOutputTable:
    """Where the map outputs of a shuffle are, as tasks are told; `outputs`: all that there are of it."""
    width = len(outputs[0].sizes) // 8 if outputs else 0
    return MapOutputTable(
        shuffle_id,
        width,
        [output.map_index for output in outputs],
        [output.task_id for output in outputs],
        [output.node_id for output in outputs],
        [output.path for output in outputs],
    )


def cache_tables(scheduler: Scheduler, spec: StageSpec, partitions: Sequence[int]) -> dict[int, CacheTable]:
    """Where the blocks are that these partitions of the stage may read."""
    caching = spec.caching
    if caching is None:
        return {}
    if len(partitions) == spec.width:
        tables = [scheduler.cache_table(dataset.dataset_id) for dataset in caching.datasets]
    else:
        wanted: dict[int, dict[int, None]] = {}
        for partition in partitions:
            for variant in caching.variants(partition):
                for dataset_id, needed in variant.needs:
                    wanted.setdefault(dataset_id, {})[needed] = None
        tables = [scheduler.cache_table(dataset_id, list(needed)) for dataset_id, needed in wanted.items()]
    # A dataset without blocks is named too: executors get ready to keep some.
    empty = {dataset.dataset_id: CacheTable(dataset.dataset_id, (), (), (), ()) for dataset in caching.datasets}
    return empty | {table.dataset_id: table for table in tables}
