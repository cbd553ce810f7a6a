"""Nodes that give records: sources, and the narrow operators above them."""

from __future__ import annotations

from dataclasses import dataclass

from quiver_proto.ops.functions import CallSite, Function
from quiver_proto.ops.shuffles import Merge
from quiver_proto.storage import StorageLevel

# ---- sources ----


@dataclass(frozen=True, slots=True)
class Items:
    pass


@dataclass(frozen=True, slots=True)
class IntRange:
    pass


@dataclass(frozen=True, slots=True)
class TextLines:
    """Lines without their line end (`\\n`, `\\r\\n` or `\\r`, as in Hadoop), as str (or bytes when not `unicode`).

    A chunk owns the lines that *start* in it.
    """

    unicode: bool = True


@dataclass(frozen=True, slots=True)
class WholeFiles:
    """(path, content) for each file, both str, or both bytes when not `unicode`; a local path begins with `file:`, as in Hadoop.

    `raw`: the path as str, the content as the bytes that are on disk, not decompressed.
    """

    unicode: bool = True
    raw: bool = False


@dataclass(frozen=True, slots=True)
class FixedRecords:
    """Records of `length` bytes each, without anything between them. Chunks begin and end at multiples of it."""

    length: int


@dataclass(frozen=True, slots=True)
class PickledRecords:
    """Records of whole files as SavePickle writes them. Only what `key` signed is opened, unless `trusted`."""

    key: bytes
    trusted: bool

    def __repr__(self) -> str:
        return f"PickledRecords(trusted={self.trusted})"


FileSource = TextLines | WholeFiles | FixedRecords | PickledRecords


@dataclass(frozen=True, slots=True)
class ShuffleRead:
    shuffle_ids: tuple[int, ...]
    merge: Merge


@dataclass(frozen=True, slots=True)
class CheckpointRead:
    """The records of a file that SaveFrames wrote; nothing of it is unpickled that the split's digest does not answer for."""


@dataclass(frozen=True, slots=True)
class Fragment:
    """The rows of one partition of a fragment (quiver_proto.fragments), as pyarrow.RecordBatches of `schema` (serialised).

    `inputs` are the schemas of the shuffles that it reads, by shuffle id; `settings` the kernel's. `functions` are users'
    functions that the plan holds: here without their bytes, for the driver to know their broadcasts.
    """

    plan: bytes
    inputs: tuple[tuple[int, bytes], ...]
    settings: tuple[tuple[str, str], ...]
    schema: bytes
    functions: tuple[Function, ...] = ()


# ---- narrow operators ----


@dataclass(frozen=True, slots=True)
class Map:
    parent: Node
    function: Function


@dataclass(frozen=True, slots=True)
class Filter:
    parent: Node
    function: Function


@dataclass(frozen=True, slots=True)
class FlatMap:
    parent: Node
    function: Function


@dataclass(frozen=True, slots=True)
class MapValues:
    parent: Node
    function: Function


@dataclass(frozen=True, slots=True)
class FlatMapValues:
    parent: Node
    function: Function


@dataclass(frozen=True, slots=True)
class KeyBy:
    parent: Node
    function: Function


@dataclass(frozen=True, slots=True)
class MapPartitions:
    """`function(iterator)`, or `function(index, iterator)` when `with_index`."""

    parent: Node
    function: Function
    with_index: bool


@dataclass(frozen=True, slots=True)
class Union:
    parents: tuple[Node, ...]


@dataclass(frozen=True, slots=True)
class Coalesce:
    parent: Node


@dataclass(frozen=True, slots=True)
class Cartesian:
    """All pairs; the right side is materialised (spilled beyond memory) once per task."""

    left: Node
    right: Node


@dataclass(frozen=True, slots=True)
class Zip:
    """Pairs in order; ValueError when the two partitions differ in length."""

    left: Node
    right: Node


@dataclass(frozen=True, slots=True)
class Gather:
    """The parents' records, all of them in the partition of their key already, put together as a shuffle of theirs would be.

    Several parents only for CoGroup. `call_site` is the operator's, for errors.
    """

    parents: tuple[Node, ...]
    merge: Merge
    call_site: CallSite


@dataclass(frozen=True, slots=True)
class Cache:
    """The parent's records of one partition, kept as a block where the level says, or read from such a block.

    A task that finds no block computes the parent and keeps it. A task whose split is (partition, None) can't: it fails with
    FailureKind.CACHE_MISS, which is not counted, and is sent again with the parent's split.
    """

    parent: Node
    dataset_id: int
    level: StorageLevel


Node = (
    Items | IntRange | TextLines | WholeFiles | FixedRecords | PickledRecords | ShuffleRead | CheckpointRead | Fragment
    | Map | Filter | FlatMap | MapValues | FlatMapValues | KeyBy | MapPartitions
    | Union | Coalesce | Cartesian | Zip | Gather | Cache
)  # fmt: skip
