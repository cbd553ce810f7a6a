"""A task is told to rely on a block only where its executor can know of it."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any, cast

from quiver.scheduler.blocks import BlockTable
from quiver.scheduler.caching import Caching, Variant, variants_of
from quiver.scheduler.stages import StageRun
from quiver.scheduler.state import State
from quiver_proto.ids import ExecutorId, NodeId, ShuffleId
from quiver_proto.messages import CachedBlock

HERE, THERE = ExecutorId("app-1/0"), ExecutorId("app-1/1")


def stored(blocks: BlockTable, partition: int, executor: ExecutorId) -> None:
    blocks.add(CachedBlock(5, partition, NodeId("node"), executor, -1, "/path", 100, 0, 10))


def run_of(told: int) -> tuple[Any, BlockTable]:
    caching = Caching((), lambda partition: (Variant(((5, partition),), ()), Variant((), (ShuffleId(1),))))
    stage = SimpleNamespace(spec=SimpleNamespace(caching=caching), distrusts_cache=False)
    return SimpleNamespace(stage=stage, told=told, skipped=frozenset(), tries={}), BlockTable()


def chosen(run: Any, blocks: BlockTable, executor: ExecutorId) -> list[int]:
    return variants_of(cast(State, SimpleNamespace(blocks=blocks)), cast(StageRun, run), [0, 1], executor)


def test_blocks_told_since_the_attempt_began_are_known_to_their_own_executor_only() -> None:
    run, blocks = run_of(told=1)
    stored(blocks, 0, HERE)
    stored(blocks, 1, HERE)
    assert blocks.told == 2
    assert chosen(run, blocks, HERE) == [0, 0]
    assert chosen(run, blocks, THERE) == [0, 1]


def test_a_partition_that_was_tried_goes_with_all_it_needs() -> None:
    run, blocks = run_of(told=5)
    stored(blocks, 0, HERE)
    run.tries[0] = 1
    assert chosen(run, blocks, HERE) == [1, 1]
