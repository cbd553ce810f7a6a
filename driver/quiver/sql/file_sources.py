"""From paths, a format and options to a relation of the files' rows."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from quiver.sql import types as t
from quiver.sql.arrow_types import arrow_schema, spark_schema
from quiver.sql.comparisons import Skipping
from quiver.sql.discovery import Found, discover
from quiver.sql.errors import AnalysisException, UnsupportedOperationException, check_names_differ
from quiver.sql.file_schemas import called, failed_to_read, schema_of_files, stored_names
from quiver.sql.scanning import NATIVE
from quiver.sql.store_access import store_access
from quiver.sql.text_options import csv_options, flag, json_options, line_of, sampling_ratio
from quiver.sql.text_schemas import csv_schema, first_record, json_schema, single_variant, xml_schema
from quiver.sql.tree import relations as r
from quiver.sql.tree.expressions import Attribute
from quiver.sql.types.holding import holds
from quiver.sql.xml_options import file_options, xml_options
from quiver_proto.errors import FileUnreadable
from quiver_proto.sources.columnar_files import ArrowFiles, AvroFiles, OrcFiles, ParquetFiles
from quiver_proto.sources.hdf_files import HdfTables, rows_and_schema
from quiver_proto.sources.text_files import BinaryFiles, CsvFiles, JsonFiles, Lines, TextFiles, XmlFiles
from quiver_proto.store_options import is_store_option
from quiver_proto.text_formats.text_input import Line, Piece, pieces

if TYPE_CHECKING:
    from quiver.rdd import RDD
    from quiver.sql.session import Session

Options = Mapping[str, str]
_PRUNING = "spark.sql.csv.parser.columnPruning.enabled"
_TARGET = 32 << 20
_LEAST = 1 << 20
"""Bytes of text that a task reads at most, and those that are worth one."""
_BINARY = t.StructType(
    [
        t.StructField("path", t.StringType()),
        t.StructField("modificationTime", t.TimestampType()),
        t.StructField("length", t.LongType()),
        t.StructField("content", t.BinaryType()),
    ]
)


def files(session: Session, kind: str, paths: Sequence[str], options: Options, wanted: t.StructType | None) -> r.Relation:
    """The rows of files. `wanted`: columns that were asked for. Raises AnalysisException, IllegalArgumentException."""
    if wanted is not None:
        check_names_differ(wanted.names)
    infers = session.conf.get("spark.sql.sources.partitionColumnTypeInference.enabled", "true").lower() == "true"
    found = discover(paths, options, store_access(session, options), infers)
    for name in ("recursiveFileLookup", "ignoreMissingFiles", "ignoreCorruptFiles"):
        flag(options, name, False)
    if kind in ("parquet", "orc"):
        # One of no bytes is no such file, and no damaged one either: Spark passes over it.
        found = replace(found, files=tuple(file for file in found.files if file.size or file.path.startswith("http")))
    if wanted is None and not found.files and kind not in ("text", "binaryfile"):
        raise AnalysisException(f"Unable to infer schema for {called(kind)}. It must be specified manually.", "UNABLE_TO_INFER_SCHEMA")
    try:
        is_local = not any("://" in file.path for file in found.files)
        native = kind in NATIVE and is_local and not (kind == "parquet" and _verifies(session, options))
        return (_native if native else _read)(session, kind, found, options, wanted)
    except FileUnreadable as problem:
        raise failed_to_read(problem.path, problem.problem, problem.condition) from problem


def _native(session: Session, kind: str, found: Found, options: Options, wanted: t.StructType | None) -> r.Relation:
    held, verified = wanted, frozenset[str]()
    if held is None:
        held, verified, alike = schema_of_files(kind, [file.path for file in found.files], options)
        # The kernel knows one spelling of a column, and one form of variants.
        if not alike or holds(held, t.VariantType):
            return _read(session, kind, found, options, held, asked=False)
    elif kind == "parquet" and holds(held, t.VariantType):
        return _read(session, kind, found, options, held)
    schema, columns = _columns(session, held, found, wanted is not None)
    if wanted is not None and kind == "parquet" and found.files:
        schema = stored_names(schema, found.files[0].path)
    names = tuple(name for name, _ in found.partitions)
    return r.Files(kind, found.roots, tuple(options.items()), schema, columns, names, found.files, verified, zone=session.conf.zone())


def _verifies(session: Session, options: Options) -> bool:
    """Whether checksums of pages are to be compared, which only readers in Python do."""
    usual = session.conf.get("quiver.sql.parquet.verifyChecksums", "false").lower() == "true"
    return flag(options, "verifyChecksums", usual)


def _columns(session: Session, held: t.StructType, found: Found, wanted: bool) -> tuple[t.StructType, tuple[Attribute, ...]]:
    """Partition columns last; of the types that were asked for (`wanted`), or else those of their directories' names."""
    asked = {field.name: field.dataType for field in held if wanted}
    partitions = {name: asked.get(name, inferred) for name, inferred in found.partitions}
    fields = [t.StructField(field.name, field.dataType) for field in held if field.name not in partitions]
    schema = t.StructType([*fields, *(t.StructField(name, inferred) for name, inferred in partitions.items())])
    told = {field.name: field.metadata for field in held}
    fields = [t.StructField(field.name, field.dataType, True, told.get(field.name)) for field in schema]
    return schema, r.columns_of(t.StructType(fields), session._state.new_id)


def _read(session: Session, kind: str, found: Found, options: Options, wanted: t.StructType | None, *, asked: bool = True) -> r.Relation:
    """`asked`: the columns that are `wanted` are the user's, not the files'."""
    zone = session.conf.zone()
    context = session.context
    keep = sampling_ratio(options)
    slots = context.defaultParallelism
    reader: Any
    held: t.StructType
    match kind:
        case "csv":
            csv = csv_options({"columnpruning": session.conf.get(_PRUNING, "true"), **options}, zone)
            wanted = single_variant(csv.single, wanted, csv.corrupt)
            # A header tells the names of the members, which other pieces of the file don't have.
            parts = _parts(found, csv.line, csv.multi_line or (csv.single is not None and csv.header), slots)
            reader = CsvFiles(csv)
            infers = flag(options, "inferSchema", False)
            held = wanted or csv_schema(context.parallelize(parts, len(parts)), first_record(parts, csv), csv, infers, keep)
            _check_atomic(held, "CSV")
            _check_corrupt(held, csv.corrupt)
        case "json":
            json = json_options(options, zone)
            wanted = single_variant(json.single, wanted, json.corrupt)
            parts = _parts(found, json.line, json.multi_line, slots)
            reader = JsonFiles(json)
            held = wanted or json_schema(context.parallelize(parts, len(parts)), json, keep)
            _check_kinds(held, "JSON", _has_interval)
            _check_corrupt(held, json.corrupt)
        case "xml":
            xml = file_options(options, zone)
            wanted = single_variant(xml.single, wanted, xml.corrupt)
            parts = _parts(found, xml.line, True, slots)
            reader = XmlFiles(xml)
            held = wanted or xml_schema(context.parallelize(parts, len(parts)), xml, keep)
            _check_kinds(held, "XML", _has_interval)
            _check_corrupt(held, xml.corrupt)
        case "text":
            line, whole = line_of(options, "Text"), flag(options, "wholetext", False)
            parts = _parts(found, line, whole, slots)
            reader = TextFiles(whole, line)
            held = wanted or t.StructType([t.StructField("value", t.StringType())])
            _check_text(held, found)
        case "orc" | "avro" | "parquet" | "arrow":
            parts = _parts(found, Line(), True, slots)
            reader = {"orc": OrcFiles, "avro": AvroFiles, "parquet": ParquetFiles, "arrow": ArrowFiles}[kind]()
            held = wanted or schema_of_files(kind, [file.path for file in found.files], options, found.store).columns
        case "hdf5":
            if any("://" in file.path for file in found.files):
                raise AnalysisException("HDF5 files are read from local paths only.", "UNSUPPORTED_FILE_SYSTEM")
            reader, seen, parts = _hdf_parts(found, options)
            held = wanted or seen
        case _:
            parts = _parts(found, Line(), True, slots)
            reader = BinaryFiles()
            held = _BINARY
    _, columns = _columns(session, held, found, wanted is not None and asked)
    names = tuple(name for name, _ in found.partitions)
    size = sum(file.size for file in found.files)
    kept = tuple((name, value) for name, value in options.items() if not is_store_option(name))
    push = Skipping(tuple(parts)) if kind == "parquet" else None
    return r.Sourced(kind, reader, tuple(parts), columns, size, names, kept, found.files, zone, push)


def _parts(found: Found, line: Line, whole: bool, slots: int = 1) -> list[list[Piece]]:
    """Pieces for some tasks per slot, none of them tiny or too large."""
    target = min(_TARGET, max(_LEAST, sum(file.size for file in found.files) // (2 * slots)))
    return pieces([(file.path, file.size, file.modified, file.values) for file in found.files], line, whole, target, found.store)


def _hdf_parts(found: Found, options: Options) -> tuple[HdfTables, t.StructType, list[list[Piece]]]:
    """Pieces are of rows here, `rowsPerPartition` each."""
    parts: list[list[Piece]] = []
    key, held = options.get("key"), t.StructType([])
    step = int(options.get("rowsperpartition", "1000000"))
    for file in found.files:
        key, rows, schema = rows_and_schema(file.path, key)
        held = held if len(held) else spark_schema(schema)
        starts = range(0, rows, step)
        parts += ([Piece(file.path, start, min(step, rows - start), file.values, file.size, file.modified)] for start in starts)
    return HdfTables(key or ""), held, parts


_INTERVALS = t.DayTimeIntervalType | t.YearMonthIntervalType | t.CalendarIntervalType
_NOT_ATOMIC = t.ArrayType | t.MapType | t.StructType | t.NullType | _INTERVALS


def _has_interval(kind: t.DataType) -> bool:
    return holds(kind, _INTERVALS)


def _check_atomic(held: t.StructType, kind: str) -> None:
    _check_kinds(held, kind, lambda found: isinstance(found, _NOT_ATOMIC))


def _check_kinds(held: t.StructType, kind: str, is_unread: Callable[[t.DataType], bool]) -> None:
    for field in held:
        if is_unread(field.dataType):
            raise AnalysisException(
                f'The {kind} datasource doesn\'t support the column `{field.name}` of the type "{field.dataType.simpleString().upper()}".',
                "UNSUPPORTED_DATA_TYPE_FOR_DATASOURCE",
            )


def _check_corrupt(held: t.StructType, name: str) -> None:
    for field in held:
        if field.name == name and not isinstance(field.dataType, t.StringType):
            raise AnalysisException(
                f"The column `{name}` for corrupt records must have the nullable STRING type, but got "
                f'"{field.dataType.simpleString().upper()}".',
                "INVALID_CORRUPT_RECORD_TYPE",
            )


def _check_text(held: t.StructType, found: Found) -> None:
    partitions = {name for name, _ in found.partitions}
    own = [field for field in held if field.name not in partitions]
    if len(own) != 1:
        raise AnalysisException(f"Text data source supports only a single column, and you have {len(own)} columns.")
    if not isinstance(own[0].dataType, t.StringType):
        raise AnalysisException(
            f'The Text datasource doesn\'t support the column `{own[0].name}` of the type "{own[0].dataType.simpleString().upper()}".',
            "UNSUPPORTED_DATA_TYPE_FOR_DATASOURCE",
        )


def lines(session: Session, rdd: RDD[str], kind: str, options: Options, wanted: t.StructType | None) -> r.Relation:
    """The rows of an RDD of CSV's lines, or of texts in JSON or XML. Raises as `files`."""
    zone = session.conf.zone()
    keep = sampling_ratio(options)
    held: t.StructType
    parsing: Any
    if kind == "csv":
        parsing = csv_options(options, zone)
        if parsing.single is not None and parsing.header:
            raise UnsupportedOperationException(
                "Option singleVariantColumn of CSV with header: lines of an RDD or a DataFrame have none. Read files, or use from_csv.",
                "UNSUPPORTED_FEATURE.OPTION",
            )
        wanted = single_variant(parsing.single, wanted, parsing.corrupt)
        from quiver_proto.text_formats.csv_lines import tokenizer

        if wanted is None or parsing.header:
            head = next((text for text in rdd.take(100) if text.strip()), None)
            first = [] if head is None else tokenizer(parsing)(head)
            if parsing.header:
                rdd = rdd.filter(lambda text: text != head)
            held = wanted or csv_schema(rdd, first, parsing, flag(options, "inferSchema", False), keep)
        else:
            held = wanted
        _check_atomic(held, "CSV")
    elif kind == "xml":
        parsing = xml_options(options, zone)
        wanted = single_variant(parsing.single, wanted, parsing.corrupt)
        held = wanted or xml_schema(rdd, parsing, keep)
        _check_kinds(held, "XML", _has_interval)
    else:
        parsing = json_options(options, zone)
        wanted = single_variant(parsing.single, wanted, parsing.corrupt)
        held = wanted or json_schema(rdd, parsing, keep)
        _check_kinds(held, "JSON", _has_interval)
    schema = arrow_schema(held).serialize().to_pybytes()
    return session._state.runtime.produced(rdd.mapPartitions(Lines(parsing, schema)), held, session._state.new_id)
