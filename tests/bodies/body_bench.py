"""Stages by hand: bodies are built from nodes and run in this process, as a slot would run them."""

from __future__ import annotations

import itertools
import pickle
import tempfile
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import cloudpickle

from quiver_executor.body import open_stage
from quiver_executor.environment import SlotEnvironment
from quiver_proto import frames, ops
from quiver_proto.ids import ShuffleId, StageId
from quiver_proto.messages import AddStage, CacheTable, MapOutput, MapOutputTable, TaskDone, TaskFailure
from quiver_proto.ops import CallSite, Function

_lines = itertools.count(1)


def site(operator: str) -> CallSite:
    return CallSite(operator, "/home/user/app.py", next(_lines))


def fn(function: Callable[..., Any], operator: str = "map") -> Function:
    return Function(cloudpickle.dumps(function), site(operator), getattr(function, "__name__", type(function).__name__))


def items(records: Iterable[Any]) -> bytes:
    return frames.dump_records(list(records))


def aggregator(merge: Callable[[Any, Any], Any], create: Callable[[Any], Any] | None = None, combine: Any = None) -> ops.Aggregator:
    return ops.Aggregator(
        None if create is None else fn(create, "combineByKey"), fn(merge, "reduceByKey"), fn(combine or merge, "reduceByKey")
    )


class Bench:
    """One node's directory, and stages run on it."""

    def __init__(self, root: Path | None = None, memory: int = 1 << 30, node: str = "node-a", quota: int = 0, **rest: Any) -> None:
        self.root = root or Path(tempfile.mkdtemp())
        self.blocks = self.root / "app-1"
        self.blocks.mkdir(parents=True, exist_ok=True)
        self.env = SlotEnvironment(
            "app-1", "app-1/0", node, 0, str(self.blocks), str(self.blocks / ".scratch"), memory, quota_bytes=quota, **rest
        )
        self._task_ids = itertools.count(100)
        self.last: TaskDone | TaskFailure | None = None

    def open(
        self,
        sink: ops.Sink,
        inputs: Mapping[int, MapOutputTable] | None = None,
        servers: Mapping[str, str] | None = None,
        cached: Mapping[int, CacheTable] | None = None,
    ) -> Any:
        body = pickle.dumps(ops.StageBody(sink, (site("source"), site("action"))))
        return open_stage(AddStage(StageId(1), 0, body, inputs or {}, servers or {}, {}, cached or {}), self.env)

    def attempt(self, sink: ops.Sink, split: Any, partition: int = 0, **rest: Any) -> TaskDone | TaskFailure:
        self.last = self.open(sink, **rest).run(next(self._task_ids), partition, 0, frames.dump_value(split))
        return self.last

    def done(self, sink: ops.Sink, split: Any, partition: int = 0, **rest: Any) -> TaskDone:
        end = self.attempt(sink, split, partition, **rest)
        assert isinstance(end, TaskDone), f"{end.exception_type}: {end.message}\n{end.traceback}"
        return end

    def failed(self, sink: ops.Sink, split: Any, **rest: Any) -> TaskFailure:
        end = self.attempt(sink, split, **rest)
        assert isinstance(end, TaskFailure), end
        return end

    def value(self, sink: ops.Sink, split: Any, **rest: Any) -> Any:
        done = self.done(sink, split, **rest)
        if done.block is not None:
            return frames.load(Path(done.block.path).read_bytes())
        assert done.result is not None
        return frames.load(done.result)

    def collect(self, node: ops.Node, split: Any, **rest: Any) -> list[Any]:
        return self.value(ops.Collect(node), split, **rest)

    def write(
        self,
        partitions: Sequence[Sequence[Any]],
        partitioner: ops.Partitioner | None = None,
        aggregate: ops.Aggregator | None = None,
        shuffle_id: int = 7,
    ) -> MapOutputTable:
        """Run the map side of a shuffle over these partitions."""
        partitioner = partitioner or ops.HashPartitioner(4)
        stage = self.open(ops.ShuffleWrite(ops.Items(), shuffle_id, partitioner, aggregate, site("reduceByKey")))
        outputs = []
        for index, records in enumerate(partitions):
            end = stage.run(next(self._task_ids), index, 0, frames.dump_value(items(records)))
            assert isinstance(end, TaskDone), f"{end.exception_type}: {end.message}\n{end.traceback}"
            assert end.map_output is not None
            outputs.append(end.map_output)
        return table(shuffle_id, partitioner.width, outputs)

    def read(self, tables: MapOutputTable | Sequence[MapOutputTable], merge: ops.Merge, **rest: Any) -> list[list[Any]]:
        """The reduce side: each reduce partition's records."""
        many = [tables] if isinstance(tables, MapOutputTable) else list(tables)
        node = ops.ShuffleRead(tuple(one.shuffle_id for one in many), merge)
        inputs = {one.shuffle_id: one for one in many}
        return [self.collect(node, partition, inputs=inputs, **rest) for partition in range(many[0].width)]

    def leftovers(self) -> list[str]:
        """Names of files in the node's directories that are no committed block, nor the record of their size."""
        found = [path for path in self.root.rglob("*") if path.is_file() and path.suffix != ".arrow" and path.name != ".usage"]
        return [str(path.relative_to(self.root)) for path in found]


def table(shuffle_id: int, width: int, outputs: Sequence[MapOutput]) -> MapOutputTable:
    return MapOutputTable(
        ShuffleId(shuffle_id),
        width,
        [output.map_index for output in outputs],
        [output.task_id for output in outputs],
        [output.node_id for output in outputs],
        [output.path for output in outputs],
    )
