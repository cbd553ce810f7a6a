"""What columns files have, by looking into them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from quiver.sql import types as t
from quiver.sql.arrow_types import spark_schema
from quiver.sql.discovery import suffix_of
from quiver.sql.errors import AnalysisException
from quiver.sql.kernel import session
from quiver.sql.lowering.names import kernel_type, quoted, text
from quiver.sql.scanning import csv_options, csv_value

if TYPE_CHECKING:
    import pyarrow as pa

_CANDIDATES: tuple[t.DataType, ...] = (t.IntegerType(), t.LongType(), t.DoubleType(), t.DateType(), t.TimestampType(), t.BooleanType())


def schema_of_files(kind: str, files: Sequence[str], options: Mapping[str, str]) -> t.StructType:
    """The columns of data files (there is at least one). Raises AnalysisException FAILED_READ_FILE, CANNOT_MERGE_SCHEMAS."""
    match kind:
        case "parquet":
            return _of_parquet(files if options.get("mergeschema") == "true" else files[:1])
        case "csv":
            return _of_csv(files, options)
        case _:
            return _of_json(files)


def failed_to_read(path: str, problem: object) -> AnalysisException:
    """With the name of the file, and what is wrong with it."""
    return AnalysisException(f"Encountered error while reading file {path}: {problem}", "FAILED_READ_FILE")


def _of_parquet(files: Sequence[str]) -> t.StructType:
    import pyarrow as pa
    import pyarrow.parquet as pq

    schemas = []
    for path in files:
        try:
            schemas.append(pq.read_schema(path))
        except (pa.ArrowException, OSError) as problem:
            raise failed_to_read(path, problem) from problem
    try:
        return spark_schema(pa.unify_schemas([schema.remove_metadata() for schema in schemas], promote_options="permissive"))
    except (pa.ArrowInvalid, pa.ArrowTypeError) as problem:
        raise AnalysisException(f"Failed merging schemas of {', '.join(files)}: {problem}", "CANNOT_MERGE_SCHEMAS") from problem


def _of_json(files: Sequence[str]) -> t.StructType:
    import pyarrow as pa

    schemas: list[pa.Schema] = []
    for path in files:
        context = session(1)
        suffix = suffix_of(path)
        try:
            context.register_json(
                "rows", path, schema_infer_max_records=1 << 62, file_extension=suffix, file_compression_type=_compression(suffix)
            )
            schemas.append(context.sql("SELECT * FROM rows").schema())
        except Exception as problem:
            raise failed_to_read(path, problem) from problem
    merged = spark_schema(pa.unify_schemas(schemas, promote_options="permissive"))
    return t.StructType([_known(field) for field in sorted(merged, key=lambda field: field.name)])


def _known(field: t.StructField) -> t.StructField:
    kind = t.StringType() if isinstance(field.dataType, t.NullType) else field.dataType
    return t.StructField(field.name, kind)


def _compression(suffix: str) -> str | None:
    return {"gz": "gzip", "bz2": "bzip2", "xz": "xz", "zst": "zstd"}.get(suffix.rpartition(".")[2])


def _of_csv(files: Sequence[str], options: Mapping[str, str]) -> t.StructType:
    """Names from the first file's header (`_c0`, … without one); with inferSchema, types that all values of all files have."""
    names = _csv_names(files[0], options)
    if options.get("inferschema") != "true":
        return t.StructType([t.StructField(name, t.StringType()) for name in names])
    counts = [f"count({quoted(name)})" for name in names]
    for name in names:
        counts += [f"count(arrow_try_cast({quoted(name)}, {text(kernel_type(kind))}))" for kind in _CANDIDATES]
    totals = [0] * len(counts)
    for path in files:
        context = session(1)
        try:
            context.register_csv("raw", path, options=csv_options(options, names, suffix_of(path), ()))
            items = ", ".join(f"{csv_value(name, options)} AS {quoted(name)}" for name in names)
            (row,) = context.sql(
                f"SELECT {', '.join(f'{c} AS c{i}' for i, c in enumerate(counts))} FROM (SELECT {items} FROM raw)"
            ).to_pylist()
        except Exception as problem:
            raise failed_to_read(path, problem) from problem
        totals = [total + more for total, more in zip(totals, row.values())]
    fields = []
    for place, name in enumerate(names):
        start = len(names) + place * len(_CANDIDATES)
        fitting = (kind for kind, fits in zip(_CANDIDATES, totals[start:]) if fits == totals[place] and totals[place])
        fields.append(t.StructField(name, next(fitting, t.StringType())))
    return t.StructType(fields)


def _csv_names(path: str, options: Mapping[str, str]) -> list[str]:
    import csv

    import pyarrow as pa

    try:
        with pa.input_stream(path) as stream:  # Decompresses by extension.
            lines = (line.decode() for line in _lines(stream))
            comment = options.get("comment")
            kept = (line for line in lines if line.strip() and not (comment and line.startswith(comment)))
            quote = options.get("quote", '"')
            first = next(csv.reader(kept, delimiter=options.get("sep", options.get("delimiter", ",")), quotechar=quote or None), [])
    except (pa.ArrowException, OSError, UnicodeDecodeError, csv.Error) as problem:
        raise failed_to_read(path, problem) from problem
    if options.get("header") != "true":
        return [f"_c{place}" for place in range(len(first))]
    seen = [name.lower() for name in first]
    return [(f"{name}{place}" if seen.count(name.lower()) > 1 else name) or f"_c{place}" for place, name in enumerate(first)]


def _lines(stream: pa.NativeFile) -> Sequence[bytes]:
    import io

    return io.BufferedReader(stream)  # type: ignore[return-value]
