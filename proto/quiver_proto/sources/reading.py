"""How a task turns parts of a source into batches of exactly the columns that the plan expects."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

from quiver_proto.errors import FileUnreadable
from quiver_proto.text_formats.conversion import Formats, converted
from quiver_proto.text_formats.text_input import Piece
from quiver_proto.widening import widens

if TYPE_CHECKING:
    import pyarrow as pa


class Reader(Protocol):
    """Reads one part: the rows as Arrow batches with some of the columns, by name; of those that are `wanted`, all that it has."""

    def read(self, part: Any, schema: pa.Schema, wanted: frozenset[str]) -> Iterator[pa.RecordBatch]: ...


@dataclass(frozen=True, slots=True)
class Reading:
    """What maps a partition's parts to batches. `schema`: of the rows, serialised; columns that are not `wanted` are null.

    `partitions`: columns whose values the files' directories tell. `zone`: of timestamps among them.
    """

    reader: Reader
    schema: bytes
    wanted: frozenset[str]
    partitions: tuple[str, ...] = ()
    zone: str = "UTC"
    ignore_missing: bool = False
    ignore_corrupt: bool = False
    hidden: tuple[str, ...] = ()

    def __call__(self, parts: Iterator[Any]) -> Iterator[pa.RecordBatch]:
        import pyarrow as pa

        schema = pa.ipc.read_schema(pa.py_buffer(self.schema))
        own = {*self.partitions, *self.hidden}
        held = pa.schema([field for field in schema if field.name not in own])
        wanted = self.wanted - own
        for part in parts:
            for each in part if isinstance(part, list) else [part]:
                try:
                    for batch in self.reader.read(each, held, wanted):
                        if batch.num_rows:
                            yield self._fitted(batch, schema, each)
                except FileUnreadable as problem:
                    missing = problem.condition.endswith("FILE_NOT_EXIST")
                    if not (self.ignore_missing if missing else self.ignore_corrupt):
                        raise

    def _fitted(self, batch: pa.RecordBatch, schema: pa.Schema, part: Any) -> pa.RecordBatch:
        import pyarrow as pa

        arrays = []
        known = {name: place for place, name in enumerate(batch.schema.names)}
        for field in schema:
            if field.name in self.partitions and isinstance(part, Piece):
                text = part.partitions[self.partitions.index(field.name)]
                value, _ = converted(pa.array([text], pa.string()), field.type, Formats(self.zone))
                arrays.append(pa.repeat(value[0], batch.num_rows))
            elif field.name in self.hidden and isinstance(part, Piece):
                arrays.append(pa.array([about(part, field.name)] * batch.num_rows, field.type))
            elif field.name in known and field.name in self.wanted:
                array = batch.column(known[field.name])
                arrays.append(array if array.type == field.type else cast(array, field.type, part, field.name))
            else:
                arrays.append(pa.nulls(batch.num_rows, field.type))
        if not arrays:
            return batch
        return pa.RecordBatch.from_arrays(arrays, schema=pa.schema([field.with_nullable(True) for field in schema]))


def about(piece: Piece, name: str) -> Any:
    """The value of a hidden column in the rows of a piece: `_metadata`, or the file's name."""
    if name != "_metadata":
        return piece.path if "://" in piece.path else f"file://{piece.path}"
    return {
        "file_path": piece.path if "://" in piece.path else f"file:{piece.path}",
        "file_name": piece.path.rpartition("/")[2],
        "file_size": piece.size,
        "file_block_start": piece.start,
        "file_block_length": piece.size - piece.start if piece.length < 0 else piece.length,
        "file_modification_time": int(piece.modified * 1000) * 1000,
    }


def cast(array: pa.Array, kind: pa.DataType, part: Any, name: str) -> pa.Array:
    """Raises FileUnreadable for values that don't fit the type, with the column."""
    import pyarrow as pa

    path = part.path if isinstance(part, Piece) else str(part)
    if not widens(array.type, kind):
        raise FileUnreadable(
            path,
            f"Data type mismatches when reading column [{name}]. Expected type: {kind}, actual type: {array.type}.",
            "FAILED_READ_FILE.COLUMN_DATA_TYPE_MISMATCH",
        )
    try:
        if pa.types.is_dictionary(array.type):
            array = array.dictionary_decode()
        if pa.types.is_timestamp(array.type) and pa.types.is_timestamp(kind):
            return array.cast(pa.timestamp("us", array.type.tz), safe=False).cast(kind)
        return array.cast(kind)
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError) as problem:
        raise FileUnreadable(path, f"Column [{name}] is of type {array.type} there, not {kind}: {problem}.") from problem
