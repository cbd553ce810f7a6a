"""What cached blocks change for a stage: how its partitions are sent, where they should run, and which parents it can do without.

The table of blocks (blocks.py) follows what executors report. It may be wrong for a moment, and that never harms: a task that was
sent in the belief that a block is there, and does not find it, fails with CACHE_MISS, which is not counted. The belief is then dropped,
and the partition is sent again

* with all that it takes to compute it, when the attempt has the stage's inputs;
* after the stage has got its inputs, when the attempt was begun without them, because blocks covered them. From then on until the stage
  is done its blocks are not trusted to stand for a parent, so this happens once at most.

A partition that can't be computed in any way (a local checkpoint whose block is lost) fails its jobs with CheckpointLost.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple

from quiver.scheduler.blocks import Block, StoredDataset
from quiver_proto.errors import CheckpointLost
from quiver_proto.ids import ExecutorId, ShuffleId

if TYPE_CHECKING:
    from quiver.scheduler.model import Preference
    from quiver.scheduler.stages import Stage, StageRun
    from quiver.scheduler.state import State

MOST_PLACES = 4
"""Executors that one partition prefers."""


class Variant(NamedTuple):
    """One way to send a partition: the blocks that must be there for it, and the shuffles that it reads."""

    needs: tuple[Block, ...]
    reads: tuple[ShuffleId, ...]


@dataclass(frozen=True, slots=True, eq=False)
class Caching:
    """The caches of one stage. `variants(partition)`, in order of preference; the last one is taken when no other can be."""

    datasets: tuple[StoredDataset, ...]
    variants: Callable[[int], Iterable[Variant]] = field(repr=False)

    def last(self, partition: int) -> tuple[int, Variant]:
        """The variant that needs least to be there, with its index."""
        index, variant = -1, Variant((), ())
        for index, variant in enumerate(self.variants(partition)):  # noqa: B007 - used after the loop
            pass
        return index, variant


def choose(state: State, stage: Stage, partition: int, has: Callable[[Block], bool] | None = None) -> tuple[int, Variant]:
    """The first variant of the partition whose blocks are all there, else the last; with its index."""
    caching = stage.spec.caching
    assert caching is not None
    if stage.distrusts_cache:
        return caching.last(partition)
    has = has or state.blocks.has
    index, variant = -1, Variant((), ())
    for index, variant in enumerate(caching.variants(partition)):  # noqa: B007 - used after the loop
        if all(map(has, variant.needs)):
            break
    return index, variant


def absent_parents(state: State, stage: Stage) -> list[Stage]:
    """Parents with missing outputs that blocks don't stand for: what the stage's missing partitions can't do without."""
    absent = stage.absent_parents()
    if not absent or stage.spec.caching is None or stage.distrusts_cache:
        return absent
    ids = {parent.spec.shuffle_id for parent in absent}
    needed: set[ShuffleId] = set()
    for partition in stage.missing():
        needed.update(shuffle_id for shuffle_id in choose(state, stage, partition)[1].reads if shuffle_id in ids)
        if len(needed) == len(ids):
            return absent
    return [parent for parent in absent if parent.spec.shuffle_id in needed]


def variants_of(state: State, run: StageRun, partitions: Sequence[int], executor_id: ExecutorId) -> list[int]:
    """Which variant to send of each. A partition that was tried before goes with all it needs, unless the attempt lacks inputs.

    An executor knows of its own blocks, and of those of others that were there when the attempt began.
    """
    caching = run.stage.spec.caching
    assert caching is not None
    copies = state.blocks.copies

    def has(block: Block) -> bool:
        return any(where == executor_id or copy.told <= run.told for where, copy in copies(block).items())

    return [
        choose(state, run.stage, partition, has)[0] if run.skipped or not run.tries.get(partition) else caching.last(partition)[0]
        for partition in partitions
    ]


def preferred(state: State, stage: Stage, partitions: Sequence[int]) -> dict[int, tuple[Preference, ...]]:
    """Where the blocks are that partitions will be read from; the executor with most of them first."""
    from quiver.scheduler.model import Preference

    found: dict[int, tuple[Preference, ...]] = {}
    blocks = state.blocks
    for partition in partitions:
        needs = choose(state, stage, partition)[1].needs
        if len(needs) == 1:
            places = [Preference(copy.block.node_id, executor_id) for executor_id, copy in blocks.copies(needs[0]).items()]
        else:
            counted = Counter(
                Preference(copy.block.node_id, executor_id) for need in needs for executor_id, copy in blocks.copies(need).items()
            )
            places = [place for place, _ in counted.most_common()]
        if places:
            found[partition] = tuple(places[:MOST_PLACES])
    return found


def lacks_inputs(state: State, run: StageRun) -> bool:
    """Whether the attempt was begun without inputs that a waiting partition now turns out to need.

    A block that came since counts only where it is, and a task may go anywhere.
    """
    if not run.skipped or run.over:
        return False
    told = run.told if run.begun else state.blocks.told

    def has(block: Block) -> bool:
        return any(copy.told <= told for copy in state.blocks.copies(block).values())

    waiting = [*run.pending, *(entry[0] for entry in run.avoid), *(run.nearby.left if run.nearby is not None else ())]
    return any(not run.skipped.isdisjoint(choose(state, run.stage, partition, has)[1].reads) for partition in waiting)


def lost_for_good(state: State, run: StageRun, partition: int) -> CheckpointLost | None:
    """Why the partition can't be computed at all, when it needs a block that is nowhere and can't be made again."""
    caching = run.stage.spec.caching
    if caching is not None:
        for dataset_id, index in caching.last(partition)[1].needs:
            if not state.blocks.has((dataset_id, index)):
                name = next((dataset.name for dataset in caching.datasets if dataset.dataset_id == dataset_id), "")
                return CheckpointLost(dataset_id, name, index)
    return None
