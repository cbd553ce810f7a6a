"""The stage vocabulary: what a Python pipeline is made of.

A stage body is a tree of these nodes under one sink. The driver builds it from lineage; a slot evaluates it. Nodes are plain
data; users' functions are sealed as `Function` (bytes made by cloudpickle on the driver, opened only in a slot).

Every node is evaluated for one *split*: the plain value that says which part of the data this task has. A split has the
shape of the tree (a chain passes its split through):

    node                          split
    Items                         bytes: one frame (quiver_proto.frames) of the partition's records
    IntRange                      (start, stop, step)
    TextLines, WholeFiles,
    FixedRecords, PickledRecords  list of TextChunk tuples (path, start, length); length -1 = to the end
    ShuffleRead, Fragment         int: the reduce partition, the partition of the fragment
    MapPartitions(with_index)     (partition index, split of parent)
    Union                         (branch, split of that parent)
    Coalesce                      list of splits of parent
    CheckpointRead                (path, bytes of frames, how many frames, digest)
    Cartesian, Zip                (split of left, split of right)
    Gather                        list of splits, one of each parent
    Cache                         (partition index, split of parent); None for the latter: the driver believes that the block is there
    every other node              split of parent
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from quiver_proto.storage import StorageLevel
from quiver_proto.store_options import NO_STORE, StoreOptions

BATCH_ROWS = "datafusion.execution.batch_size"
"""A setting of the kernel: rows of a batch."""


@dataclass(frozen=True, slots=True)
class CallSite:
    """Where the user called an operator: shown in errors, job names and pages."""

    operator: str
    file: str
    line: int

    def __str__(self) -> str:
        return f"{self.operator} at {self.file.rsplit('/', 1)[-1]}:{self.line}"


@dataclass(frozen=True, slots=True)
class Function:
    """A user's callable. `name` is what its repr would tell a person (`<lambda>`, `parse`).

    `broadcasts` are those that it refers to: on the driver alone, which keeps them for as long as a function may need them.
    """

    pickled: bytes
    call_site: CallSite
    name: str
    broadcasts: tuple[Any, ...] = field(default=(), compare=False, repr=False)


# ---- partitioners: key -> reduce partition in range(width) ----


@dataclass(frozen=True, slots=True)
class HashPartitioner:
    """`portable_hash(key) % width`."""

    width: int


@dataclass(frozen=True, slots=True)
class FunctionPartitioner:
    """`function(key) % width`, as PySpark's partitionBy(n, partitionFunc)."""

    width: int
    function: Function


@dataclass(frozen=True, slots=True)
class RangePartitioner:
    """Bisect into `bounds` (a frame of width-1 keys, already passed through `key` where there is one), reversed when descending."""

    width: int
    bounds: bytes
    key: Function | None
    ascending: bool


@dataclass(frozen=True, slots=True)
class RoundRobin:
    """Records, not keys: partition of the n-th record of map partition p is (p + n) % width.

    In a stage that reads a shuffle, whose order may differ between attempts, what the record holds decides instead of n.
    """

    width: int


@dataclass(frozen=True, slots=True)
class KernelPartitioner:
    """Record batches, left as a shuffle file with typed columns: `width` pieces by the kernel's hash partitioning (`hash`, serialised), or
    one (empty). `schema` is the Arrow schema of the batches, serialised.
    """

    width: int
    hash: bytes
    schema: bytes


Partitioner = HashPartitioner | FunctionPartitioner | RangePartitioner | RoundRobin


@dataclass(frozen=True, slots=True)
class Aggregator:
    """combineByKey's three functions. `create` None means that the first value is the combiner (reduceByKey)."""

    create: Function | None
    merge_value: Function
    merge_combiners: Function


# ---- how a reduce task puts its pieces together ----


@dataclass(frozen=True, slots=True)
class Concatenate:
    """Records as the map tasks wrote them, map outputs in order."""


@dataclass(frozen=True, slots=True)
class Combine:
    """(k, combiner), each key once. `combined`: the map side has already made combiners."""

    aggregator: Aggregator
    combined: bool


@dataclass(frozen=True, slots=True)
class Group:
    """(k, list of values), each key once, values in map order."""


@dataclass(frozen=True, slots=True)
class CoGroup:
    """(k, (list of values from shuffle 0, list from shuffle 1, ...)), each key of any side once."""


@dataclass(frozen=True, slots=True)
class Sort:
    """Records ordered by `key(record key)`; stable between equal keys in map order. Spills to disk beyond the slot's memory."""

    key: Function | None
    ascending: bool


Merge = Concatenate | Combine | Group | CoGroup | Sort


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


# ---- sinks: what a task leaves behind ----


@dataclass(frozen=True, slots=True)
class ShuffleWrite:
    """Records must be (k, v) pairs unless the partitioner is RoundRobin. With an aggregator, combiners are made on the map side.

    `first_two`: of longer records the first two items are the pair, as for PySpark's joins.
    """

    parent: Node
    shuffle_id: int
    partitioner: Partitioner
    aggregator: Aggregator | None
    call_site: CallSite
    first_two: bool = False


@dataclass(frozen=True, slots=True)
class Collect:
    """Result: the partition's records, as frames."""

    parent: Node


@dataclass(frozen=True, slots=True)
class Count:
    """Result: how many records."""

    parent: Node


@dataclass(frozen=True, slots=True)
class Apply:
    """Result: `function(iterator over the partition)`; `(index, iterator)` when `with_index` (then the split is (index, split))."""

    parent: Node
    function: Function
    with_index: bool = False


@dataclass(frozen=True, slots=True)
class SaveText:
    """Writes `str(record)` lines to `<directory>/_temporary/<job>/part-<index:05d>-<attempt>[.ext]`; the result is that file's name.

    The split is (partition index, split of parent). The driver renames one file per partition when all tasks are done
    (`quiver_executor` never renames), so a task may run any number of times. `codec` is None, "gzip", "bz2" or "zstd".
    """

    parent: Node
    directory: str
    job: str
    codec: str | None


@dataclass(frozen=True, slots=True)
class SavePickle:
    """As SaveText, but files of signed pickles (quiver_proto.pickle_files), `batch` records in each; 0: as many as make a good size."""

    parent: Node
    directory: str
    job: str
    batch: int
    key: bytes

    def __repr__(self) -> str:
        return f"SavePickle({self.parent!r}, {self.directory!r}, {self.job!r}, {self.batch})"


@dataclass(frozen=True, slots=True)
class SaveFrames:
    """Writes records as checkpoint frames (quiver_proto.checkpoints) to a staged file, as SaveText does.

    The split is (partition index, split of parent); the result (file name, bytes of frames, how many frames, digest).
    """

    parent: Node
    directory: str
    job: str


# ---- native fragments: the other kind of body. Their split is the partition of the fragment (int), or None for all of them ----


@dataclass(frozen=True, slots=True)
class FragmentWrite:
    """One partition of a fragment (quiver_proto.fragments), left as a shuffle file with typed columns. `functions`: see Fragment.

    `hash` is the kernel's hash partitioning (serialised) into `width` pieces; empty: one piece. `schema` is the Arrow schema of what
    comes out, serialised, and `inputs` those of the shuffles that the fragment reads, by shuffle id. `settings` are the kernel's.
    """

    plan: bytes
    shuffle_id: int
    width: int
    hash: bytes
    schema: bytes
    inputs: tuple[tuple[int, bytes], ...]
    settings: tuple[tuple[str, str], ...]
    functions: tuple[Function, ...] = ()


@dataclass(frozen=True, slots=True)
class FragmentCollect:
    """Result: an Arrow IPC stream of one partition of a fragment, or (split None) of all, by all of the task's cores."""

    plan: bytes
    inputs: tuple[tuple[int, bytes], ...]
    settings: tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class BatchWrite:
    """Records are pyarrow.RecordBatches, left as a shuffle file of one piece whose columns are those of `schema` (serialised), by place.

    A batch of other types, or with a null where the schema has none, fails the task. `call_site` is the operator's, for errors.
    """

    parent: Node
    shuffle_id: int
    schema: bytes
    call_site: CallSite


@dataclass(frozen=True, slots=True)
class FragmentDrop:
    """Computes as FragmentCollect does, and keeps nothing. Result: how many rows."""

    plan: bytes
    inputs: tuple[tuple[int, bytes], ...]
    settings: tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class FileFormat:
    """How rows become a file: `kind` is parquet, orc, arrow, avro, csv, json or text; `suffix` is what its name ends with.

    `schema` is the Arrow schema of a file's columns, serialised. `options` are the kind's own (quiver_executor.file_formats).
    """

    kind: str
    suffix: str
    schema: bytes
    options: tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class FragmentSave:
    """Writes one partition of a fragment, or (split None) all of them, as files below the job's place in `directory`.

    A fragment's columns are those of the files, then one of texts for each column in `partitions`, whose values become
    directories, then, when `bucketed`, the number of the row's bucket. A file is finished when it has `max_records` rows or about
    `max_bytes` (0: no limit). The result: (staged path, path below `directory`, rows, bytes) of each file. Paths hold `name`, the job's
    own; the driver moves the files of one attempt per partition (quiver_proto.committing), so a task may run any number of times.
    """

    plan: bytes
    inputs: tuple[tuple[int, bytes], ...]
    settings: tuple[tuple[str, str], ...]
    directory: str
    job: str
    name: str
    format: FileFormat
    partitions: tuple[str, ...] = ()
    bucketed: bool = False
    max_records: int = 0
    max_bytes: int = 0
    apart: bool = False
    """Each partition of the fragment has files of its own, however small."""
    single: bool = False
    """All partitions of the fragment are one stream of rows."""
    store: StoreOptions = NO_STORE


FragmentSink = FragmentWrite | FragmentCollect | FragmentSave | FragmentDrop
Sink = (
    ShuffleWrite | Collect | Count | Apply | SaveText | SavePickle | SaveFrames
    | FragmentWrite | FragmentCollect | FragmentSave | FragmentDrop | BatchWrite
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class StageBody:
    """What is shipped once per executor and stage (as a pickle of these dataclasses, never of user code).

    `operators` are the call sites from source to sink, for error messages. `profiler`, where tasks are profiled, is called with the
    function that runs a task and its arguments, and returns what that returns.
    """

    sink: Sink
    operators: tuple[CallSite, ...] = field(default=())
    profiler: Function | None = None
