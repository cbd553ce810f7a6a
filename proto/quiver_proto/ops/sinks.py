"""Sinks: what a task leaves behind of the records of a pipeline, or of the rows of a fragment. With all below it, one is a stage's body."""

from __future__ import annotations

from dataclasses import dataclass, field

from quiver_proto.ops.functions import Aggregator, CallSite, Function
from quiver_proto.ops.nodes import Node
from quiver_proto.ops.shuffles import Partitioner
from quiver_proto.store_options import NO_STORE, StoreOptions

BATCH_ROWS = "datafusion.execution.batch_size"
"""A setting of the kernel: rows of a batch."""


# ---- of records ----


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


@dataclass(frozen=True, slots=True)
class BatchWrite:
    """Records are pyarrow.RecordBatches, left as a shuffle file of one piece whose columns are those of `schema` (serialised), by place.

    A batch of other types, or with a null where the schema has none, fails the task. `call_site` is the operator's, for errors.
    """

    parent: Node
    shuffle_id: int
    schema: bytes
    call_site: CallSite


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


# ---- a stage ----


@dataclass(frozen=True, slots=True)
class StageBody:
    """What is shipped once per executor and stage (as a pickle of these dataclasses, never of user code).

    `operators` are the call sites from source to sink, for error messages. `profiler`, where tasks are profiled, is called with the
    function that runs a task and its arguments, and returns what that returns.
    """

    sink: Sink
    operators: tuple[CallSite, ...] = field(default=())
    profiler: Function | None = None
