"""Lineage as plain data: how each dataset is made from others. `splits` tells what a task is given of it.

    Dataset
    ├── sources      Parallelized, Span, Files
    ├── Narrow       one function on top of `parent`; a chain of them fuses into one stage body
    ├── boundaries   Shuffled and Fragmented (read `Shuffle`s), Unioned, Coalesced, Crossed, Zipped, Gathered
    └── storage      Kept (cached blocks), Saved (a checkpoint's files), Vanished: put there by the planner (plan/caching.py)

Users' functions of a narrow chain are live objects until a job or a boundary needs them; a boundary holds its parents' nodes
sealed, as they were when it was defined, which is when PySpark pickles them too. So a loop variable that a function reads is
taken at the next boundary or action, whichever is first.

Everything here is walked with loops, never by recursion along a chain: lineages may be thousands of datasets deep.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import accumulate
from typing import Any, NamedTuple

from quiver.plan.partitioning import Partitioning
from quiver_proto import ops
from quiver_proto.ids import ShuffleId, StageId
from quiver_proto.ops import CallSite
from quiver_proto.storage import StorageLevel

TextChunk = tuple[str, int, int]
"""(path, start, length in bytes); -1 is "to the end"."""


MOST_GATHERED = 16
"""Gathered datasets in one stage: their iterators nest, and what is used twice is computed twice."""
_MOST_SEEN = 1000


class Mark:
    """What was asked of a dataset after it was made. Copies of a dataset (setName) share it, so it holds for whoever reads the dataset.

    `level` is where its partitions are kept (None: nowhere). `asked` is the checkpoint that was asked for: "", "reliable" or "local".
    `saved` is what stands for the lineage once that is done, `path` where its files are. `holder` is the RDD that was asked.
    """

    __slots__ = ("__weakref__", "asked", "holder", "is_persisted", "level", "path", "saved")

    def __init__(self) -> None:
        self.level: StorageLevel | None = None
        self.is_persisted = False
        self.asked = ""
        self.saved: Dataset | None = None
        self.path: str | None = None
        self.holder: Callable[[], object] | None = None

    @property
    def is_kept(self) -> bool:
        """Whether partitions are kept in blocks."""
        return self.level is not None and (self.level.useMemory or self.level.useDisk)


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class Dataset:
    """What all have. `id` is unique in its application; `call_site` is where the user made it."""

    id: int
    call_site: CallSite
    partitioning: Partitioning | None = None
    name: str | None = None
    barrier: bool = False
    """Whether it, or what it is made from in the same stage, must be computed by tasks that all run at once (RDD.barrier)."""
    mark: Mark = field(default_factory=Mark, repr=False)
    known_width: int | None = field(default=None, init=False, repr=False)

    @property
    def parents(self) -> tuple[Dataset, ...]:
        """Datasets that this one is made from without a shuffle."""
        return ()

    @property
    def width(self) -> int:
        """Number of partitions. Raises PathNotFound, PathUnreadable for text that isn't there (it is looked up at the first use)."""
        if self.known_width is not None:
            return self.known_width
        pending: list[Dataset] = [self]
        while pending:
            top = pending[-1]
            unknown = [parent for parent in top.parents if parent.known_width is None]
            if unknown:
                pending += unknown
            else:
                object.__setattr__(top, "known_width", top.count_partitions())
                pending.pop()
        assert self.known_width is not None
        return self.known_width

    def count_partitions(self) -> int:
        """The width, from the parents' known ones."""
        raise AssertionError(type(self))

    @property
    def base(self) -> Dataset:
        """Where the narrow chain below starts: a source or a boundary."""
        return self

    @property
    def inputs(self) -> tuple[Shuffle, ...]:
        """The shuffles that a stage with this dataset at its end reads, each once."""
        return ()


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class Parallelized(Dataset):
    """Records the driver had: one frame a partition."""

    frames: Sequence[bytes]

    def count_partitions(self) -> int:
        return len(self.frames)


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class Span(Dataset):
    """A Python range, sliced without being made."""

    values: range
    slices: int

    def count_partitions(self) -> int:
        return self.slices

    def slice(self, partition: int) -> tuple[int, int, int]:
        """(start, stop, step) of one partition."""
        values, size = self.values, len(self.values)
        first = partition * size // self.slices
        after = (partition + 1) * size // self.slices
        return values.start + first * values.step, values.start + after * values.step, values.step


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class Files(Dataset):
    """Records of files, which `node` makes of them. They are looked up when the width or a split is first asked for."""

    listing: Callable[[], Sequence[Sequence[TextChunk]]]
    node: ops.FileSource
    listed: list[Sequence[Sequence[TextChunk]]] = field(default_factory=list, init=False, repr=False)

    def chunks(self) -> Sequence[Sequence[TextChunk]]:
        """The chunks of each partition. Raises PathNotFound, PathUnreadable."""
        if not self.listed:
            self.listed.append(self.listing())
        return self.listed[0]

    def count_partitions(self) -> int:
        return len(self.chunks())


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class Narrow(Dataset):
    """`function` applied to each record or partition of `parent`, as `kind` says."""

    parent: Dataset
    kind: type[ops.Map | ops.Filter | ops.FlatMap | ops.MapValues | ops.FlatMapValues | ops.KeyBy | ops.MapPartitions]
    function: Callable[..., Any]
    with_index: bool = False
    chain_base: Dataset = field(init=False, repr=False)
    indexes: int = field(init=False)
    """How many operators from the base up to here are given the partition's index: each wraps the split once."""

    def __post_init__(self) -> None:
        parent = self.parent
        below = parent.indexes if isinstance(parent, Narrow) else 0
        object.__setattr__(self, "chain_base", parent.base)
        object.__setattr__(self, "indexes", below + self.with_index)
        object.__setattr__(self, "known_width", parent.known_width)
        if parent.barrier:
            object.__setattr__(self, "barrier", True)

    @property
    def parents(self) -> tuple[Dataset, ...]:
        return (self.chain_base,)

    def count_partitions(self) -> int:
        return self.chain_base.width

    @property
    def base(self) -> Dataset:
        return self.chain_base

    @property
    def inputs(self) -> tuple[Shuffle, ...]:
        return self.chain_base.inputs


@dataclass(slots=True, eq=False, kw_only=True, weakref_slot=True)
class Shuffle:
    """One all-to-all exchange: the map stage that writes `parent`'s records, ready sealed.

    When the last reference goes, its files may go too: lineage that can reach a shuffle keeps it.
    `planned` is the planner's own.
    """

    id: ShuffleId
    stage_id: StageId
    parent: Dataset
    node: ops.Node
    operators: tuple[CallSite, ...]
    partitioner: ops.Partitioner | ops.KernelPartitioner
    aggregator: ops.Aggregator | None
    call_site: CallSite
    first_two: bool = False
    planned: Any = None


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class Boundary(Dataset):
    """`node` reads the parents, sealed; `operators` are the call sites below it, source first."""

    node: ops.Node
    operators: tuple[CallSite, ...] = ()
    reads: tuple[Shuffle, ...] = ()

    def __post_init__(self) -> None:
        if any(parent.barrier for parent in self.parents):
            object.__setattr__(self, "barrier", True)

    @property
    def inputs(self) -> tuple[Shuffle, ...]:
        return self.reads


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class Shuffled(Boundary):
    """What `slices` reduce tasks read of the shuffles in `reads`."""

    slices: int

    def count_partitions(self) -> int:
        return self.slices


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class Fragmented(Shuffled):
    """The `slices` partitions of a fragment of the relational kernel, as Arrow batches; `node` is an ops.Fragment."""


class Absorbed(NamedTuple):
    """A union that became part of a larger one: its branches are `branches[start:stop]` there."""

    start: int
    stop: int
    id: int
    call_site: CallSite
    name: str | None
    mark: Mark


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class Unioned(Boundary):
    """The partitions of each branch, one branch after the other. `absorbed` are inner unions, each after those inside it."""

    branches: tuple[Dataset, ...]
    absorbed: tuple[Absorbed, ...] = ()
    offsets: list[int] = field(default_factory=list, init=False, repr=False)

    @property
    def parents(self) -> tuple[Dataset, ...]:
        return self.branches

    def count_partitions(self) -> int:
        return sum(branch.width for branch in self.branches)

    def locate(self, partition: int) -> tuple[int, int]:
        """(branch, partition of that branch)."""
        if not self.offsets:
            self.offsets.extend(accumulate((branch.width for branch in self.branches), initial=0))
        branch = bisect_right(self.offsets, partition) - 1
        return branch, partition - self.offsets[branch]


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class Coalesced(Boundary):
    """At most `at_most` partitions, each made of neighbouring ones of `parent`; with `stride`, of every `at_most`-th one."""

    parent: Dataset
    at_most: int
    stride: bool = False

    @property
    def parents(self) -> tuple[Dataset, ...]:
        return (self.parent,)

    def count_partitions(self) -> int:
        return min(self.at_most, self.parent.width)

    def group(self, partition: int) -> range:
        """The parent's partitions that one partition is made of."""
        wide, width = self.parent.width, self.width
        if self.stride:
            return range(partition, wide, width)
        return range(partition * wide // width, (partition + 1) * wide // width)


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class Crossed(Boundary):
    """Every partition of `left` with every one of `right`."""

    left: Dataset
    right: Dataset

    @property
    def parents(self) -> tuple[Dataset, ...]:
        return (self.left, self.right)

    def count_partitions(self) -> int:
        return self.left.width * self.right.width


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class Zipped(Boundary):
    """Partition i of `left` beside partition i of `right`; both are equally wide."""

    left: Dataset
    right: Dataset

    @property
    def parents(self) -> tuple[Dataset, ...]:
        return (self.left, self.right)

    def count_partitions(self) -> int:
        return self.left.width


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class Gathered(Boundary):
    """Partition i of all `sides`, which are partitioned alike, put together by key."""

    sides: tuple[Dataset, ...]

    @property
    def parents(self) -> tuple[Dataset, ...]:
        return self.sides

    def count_partitions(self) -> int:
        return self.sides[0].width


def is_worth_gathering(sides: Sequence[Dataset]) -> bool:
    """Should what is partitioned alike be put together in place? Not when the stage already has so many Gathered (a dataset used twice
    counts twice, as it is computed twice) that a shuffle, whose output is kept, costs less.
    """
    pending, gathered, seen = list(sides), 1, 0
    while pending:
        base = pending.pop().base
        gathered += isinstance(base, Gathered)
        seen += 1
        if gathered > MOST_GATHERED or seen > _MOST_SEEN:
            return False
        pending += base.parents
    return True


class SavedFile(NamedTuple):
    """One partition of a checkpoint: where its frames are, how long they are together, how many there are, and the digest that
    binds them (quiver_proto.checkpoints)."""

    path: str
    size: int
    frames: int
    digest: bytes


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class Kept(Dataset):
    """`parent`'s records, which are kept as blocks where `level` says. Has the id of the dataset that was persisted."""

    parent: Dataset
    level: StorageLevel

    @property
    def parents(self) -> tuple[Dataset, ...]:
        return (self.parent,)

    @property
    def inputs(self) -> tuple[Shuffle, ...]:
        return self.parent.inputs

    def count_partitions(self) -> int:
        return self.parent.width


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class Saved(Dataset):
    """The records that a checkpoint wrote, one file a partition."""

    files: Sequence[SavedFile]

    def count_partitions(self) -> int:
        return len(self.files)


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class Vanished(Dataset):
    """The lineage below a local checkpoint: there is none any more, its records are only in the blocks of the Kept above."""

    slices: int

    def count_partitions(self) -> int:
        return self.slices


def ancestors(dataset: Dataset) -> Iterator[tuple[int, bool, Dataset]]:
    """The dataset and all it is made from, each once, as (depth, reached through a shuffle, dataset), children first."""
    pending = [(0, False, dataset)]
    seen: set[int] = set()
    while pending:
        depth, shuffled, current = pending.pop()
        if current.id in seen:
            continue
        seen.add(current.id)
        yield depth, shuffled, current
        if current.mark.saved is not None:
            # A checkpoint stands for what it was made from.
            continue
        if isinstance(current, Narrow):
            pending.append((depth, False, current.parent))
        elif isinstance(current, Shuffled):
            pending.extend((depth + 1, True, shuffle.parent) for shuffle in reversed(current.reads))
        else:
            below = current.parents
            pending.extend((depth + (len(below) > 1), False, parent) for parent in reversed(below))
