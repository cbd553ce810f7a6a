"""Readers of ORC and Avro files, and of Parquet and Arrow files where the kernel does not read them itself."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from typing import TYPE_CHECKING, Any

from quiver_proto.errors import FileUnreadable
from quiver_proto.sources.packages import needed
from quiver_proto.spark_functions.java import SparkValueError
from quiver_proto.store_options import NO_STORE, StoreOptions
from quiver_proto.text_formats.text_input import Piece, opened
from quiver_proto.variants.shredded import unshredded

if TYPE_CHECKING:
    import pyarrow as pa

_ROWS = 8192


@dataclass(frozen=True, slots=True)
class OrcFiles:
    def read(self, part: Piece, schema: pa.Schema, wanted: frozenset[str]) -> Iterator[pa.RecordBatch]:
        import pyarrow as pa

        with opened(part.path, True, part.store) as source:
            try:
                file = _orc(source)
                names = _spelt(file.schema.names, schema.names, wanted)
                for stripe in range(file.nstripes):
                    batch = file.read_stripe(stripe, columns=list(names))
                    if names:
                        yield batch.rename_columns([names[name] for name in batch.schema.names])
                    else:
                        rows = file.nrows if file.nstripes == 1 else file.read_stripe(stripe).num_rows
                        yield _empty_rows(rows)
            except pa.ArrowException as problem:
                raise FileUnreadable(part.path, str(problem)) from problem


def _orc(source: Any) -> Any:
    import pyarrow as pa
    from pyarrow import orc

    return orc.ORCFile(pa.PythonFile(source, "r"))


def orc_schema(path: str, store: StoreOptions = NO_STORE) -> pa.Schema:
    """Raises FileUnreadable."""
    import pyarrow as pa

    with opened(path, True, store) as source:
        try:
            return _orc(source).schema
        except pa.ArrowException as problem:
            raise FileUnreadable(path, str(problem), "FAILED_READ_FILE.CANNOT_READ_FILE_FOOTER") from problem


@dataclass(frozen=True, slots=True)
class ParquetFiles:
    """Without groups of rows that can't meet all conditions: (column, = < <= > >= isnull or isnotnull, value). Checksums are compared."""

    conditions: tuple[tuple[str, str, Any], ...] = ()

    def read(self, part: Piece, schema: pa.Schema, wanted: frozenset[str]) -> Iterator[pa.RecordBatch]:
        import pyarrow as pa
        import pyarrow.parquet as pq

        with opened(part.path, True, part.store) as source:
            try:
                # A group of rows is few reads, not one for each page.
                file = pq.ParquetFile(source, pre_buffer=True, page_checksum_verification=True, coerce_int96_timestamp_unit="us")
                names = _spelt(file.schema_arrow.names, schema.names, wanted)
                if not names:
                    yield _empty_rows(file.metadata.num_rows)
                    return
                for group in range(file.num_row_groups):
                    if not _may_meet(file.metadata.row_group(group), names, self.conditions):
                        continue
                    for batch in file.iter_batches(1 << 16, row_groups=[group], columns=list(names), use_threads=False):
                        yield _with_variants(batch.rename_columns([names[name] for name in batch.schema.names]), schema)
            except pa.ArrowException as problem:
                raise FileUnreadable(part.path, str(problem).partition("\n")[0]) from problem
            except SparkValueError as problem:
                raise FileUnreadable(part.path, str(problem)) from problem


def _with_variants(batch: pa.RecordBatch, schema: pa.Schema) -> pa.RecordBatch:
    """With its variants in the form that the schema wants."""
    import pyarrow as pa

    columns = [unshredded(column, schema.field(name).type) for name, column in zip(batch.schema.names, batch.columns, strict=True)]
    return pa.RecordBatch.from_arrays(columns, names=batch.schema.names)


def _may_meet(group: Any, names: dict[str, str], conditions: tuple[tuple[str, str, Any], ...]) -> bool:
    """Whether the statistics of a group of rows allow for one that meets all conditions. `names`: of the file's columns, as asked for."""
    if not conditions:
        return True
    told: dict[str, Any] = {}
    columns = [group.column(number) for number in range(group.num_columns)]
    paths = [column.path_in_schema for column in columns]
    for path, column in zip(paths, columns, strict=True):
        # A member of a struct may be written as a column with a point in its name.
        if path in names and column.is_stats_set and paths.count(path) == 1:
            told[names[path]] = column.statistics
    return all(name not in told or _may_hold(told[name], operator, value, group.num_rows) for name, operator, value in conditions)


def _may_hold(statistics: Any, operator: str, value: Any, rows: int) -> bool:
    nulls = statistics.null_count if statistics.has_null_count else None
    if operator == "isnull":
        return nulls != 0
    if nulls == rows:
        return False
    if operator == "isnotnull" or not statistics.has_min_max:
        return True
    low, high = statistics.min, statistics.max
    try:
        match operator:
            case "=":
                return bool(low <= value <= high)
            case "<":
                return bool(low < value)
            case "<=":
                return bool(low <= value)
            case ">":
                return bool(high > value)
            case _:
                return bool(high >= value)
    except TypeError:  # Statistics of another type than the column's tell nothing.
        return True


@dataclass(frozen=True, slots=True)
class ArrowFiles:
    def read(self, part: Piece, schema: pa.Schema, wanted: frozenset[str]) -> Iterator[pa.RecordBatch]:
        import pyarrow as pa

        with opened(part.path, True, part.store) as source:
            try:
                file = pa.ipc.open_file(source)
                names = _spelt(file.schema.names, schema.names, wanted)
                for number in range(file.num_record_batches):
                    batch = file.get_batch(number)
                    yield batch.select(list(names)).rename_columns(list(names.values())) if names else _empty_rows(batch.num_rows)
            except pa.ArrowException as problem:
                raise FileUnreadable(part.path, str(problem)) from problem


def _spelt(held: list[str], asked: list[str], wanted: frozenset[str]) -> dict[str, str]:
    """The columns of a file that are wanted, by their names there; upper and lower case are the same."""
    known = {name.lower(): name for name in held}
    return {known[name.lower()]: name for name in asked if name in wanted and name.lower() in known}


def _empty_rows(count: int) -> pa.RecordBatch:
    import pyarrow as pa

    return pa.RecordBatch.from_struct_array(pa.array([{}] * count, pa.struct([])))


@dataclass(frozen=True, slots=True)
class AvroFiles:
    def read(self, part: Piece, schema: pa.Schema, wanted: frozenset[str]) -> Iterator[pa.RecordBatch]:
        import pyarrow as pa

        with opened(part.path, True, part.store) as source:
            actual, records = _avro(source, part.path)
            fields = [(name, actual.field(name).type) for name in schema.names if name in wanted and name in actual.names]
            while some := _some(records, part.path):
                columns = [pa.array([_plain(record[name], kind) for record in some], kind) for name, kind in fields]
                names = [name for name, _ in fields]
                made = pa.StructArray.from_arrays(columns, names) if names else pa.array([{}] * len(some), pa.struct([]))
                yield pa.RecordBatch.from_struct_array(made)


def _some(records: Iterator[dict[str, Any]], path: str) -> list[dict[str, Any]]:
    try:
        return list(islice(records, _ROWS))
    except Exception as problem:  # The library raises whatever a wrong byte leads to.
        raise FileUnreadable(path, f"{type(problem).__name__}: {problem}.") from problem


def _plain(value: Any, kind: pa.DataType) -> Any:
    """What Arrow takes for a value."""
    import pyarrow as pa

    if value is None:
        return None
    if pa.types.is_map(kind):
        return [(key, _plain(item, kind.item_type)) for key, item in value.items()]
    if pa.types.is_list(kind):
        return [_plain(item, kind.value_type) for item in value]
    if pa.types.is_struct(kind):
        return {field.name: _plain(value[field.name], field.type) for field in kind}
    return str(value) if isinstance(value, uuid.UUID) else value


def avro_schema(path: str, store: StoreOptions = NO_STORE) -> pa.Schema:
    """Raises FileUnreadable, PackageMissing."""
    with opened(path, True, store) as source:
        return _avro(source, path)[0]


def _avro(source: Any, path: str) -> tuple[pa.Schema, Iterator[dict[str, Any]]]:
    import pyarrow as pa

    fastavro = needed("fastavro", "fastavro", "avro", "Reading Avro")
    try:
        reader = fastavro.reader(source)
        top = fastavro.parse_schema(reader.writer_schema, expand=True)
        if not isinstance(top, dict) or top.get("type") != "record":
            raise FileUnreadable(path, "Its values are no records.")
        return pa.schema([pa.field(each["name"], _type(each["type"], path, each["name"])) for each in top["fields"]]), iter(reader)
    except FileUnreadable:
        raise
    except Exception as problem:
        raise FileUnreadable(path, f"Not an Avro file: {problem}.", "FAILED_READ_FILE.CANNOT_READ_FILE_FOOTER") from problem


def _type(kind: Any, path: str, column: str) -> pa.DataType:
    import pyarrow as pa

    if isinstance(kind, list):
        others = [each for each in kind if each != "null"]
        if len(others) == 1:
            return _type(others[0], path, column)
        if set(map(str, others)) <= {"int", "long"}:
            return pa.int64()
        if set(map(str, others)) <= {"float", "double"}:
            return pa.float64()
        raise FileUnreadable(path, f"Column [{column}] is a union of {', '.join(map(str, others))}, which no column can be.")
    simple = {
        "null": pa.null(), "boolean": pa.bool_(), "int": pa.int32(), "long": pa.int64(), "float": pa.float32(), "double": pa.float64(),
        "bytes": pa.binary(), "string": pa.string(), "enum": pa.string(), "fixed": pa.binary(),
    }  # fmt: skip
    if isinstance(kind, str):
        return simple[kind]
    logical = kind.get("logicalType")
    match logical:
        case "date":
            return pa.date32()
        case "timestamp-millis" | "timestamp-micros":
            return pa.timestamp("us", "UTC")
        case "local-timestamp-millis" | "local-timestamp-micros":
            return pa.timestamp("us")
        case "decimal":
            return pa.decimal128(kind["precision"], kind.get("scale", 0))
        case "uuid":
            return pa.string()
    match kind["type"]:
        case "array":
            return pa.list_(_type(kind["items"], path, column))
        case "map":
            return pa.map_(pa.string(), _type(kind["values"], path, column))
        case "record":
            return pa.struct([pa.field(each["name"], _type(each["type"], path, f"{column}.{each['name']}")) for each in kind["fields"]])
        case other:
            return simple[other] if isinstance(other, str) else _type(other, path, column)
