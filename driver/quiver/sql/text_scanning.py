"""Gives files to the kernel as tables, so that it can prune, push down and cut them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from quiver.sql import types as t
from quiver.sql.arrow_types import arrow_type
from quiver.sql.discovery import NULL_PARTITION, suffix_of
from quiver.sql.lowering.names import column, kernel_type, quoted, text
from quiver.sql.tree import relations as r

if TYPE_CHECKING:
    import pyarrow as pa
    from datafusion import CsvReadOptions, SessionContext

_COMPRESSIONS = {".gz": "gzip", ".bz2": "bzip2", ".xz": "xz", ".zst": "zstd"}


def register(context: SessionContext, name: str, leaf: r.Files) -> None:
    """Make a view `name` of the leaf's files, with its columns as lowered queries call them."""
    import pyarrow as pa

    partitions = set(leaf.partition_columns)
    schema = pa.schema([(f.name, _read_as(leaf.format, f.dataType)) for f in leaf.schema if f.name not in partitions])
    raws = []
    for number, root in enumerate(leaf.paths if leaf.partition_columns else [file.path for file in leaf.files]):
        raws.append(f"{name}_files_{number}")
        _register_root(context, raws[-1], root, leaf, schema)
        if _compression(root, leaf):
            # Plans lose how files are compressed on their way to tasks: the driver reads them.
            batches = context.sql(f"SELECT * FROM {raws[-1]}").collect()
            context.deregister_table(raws[-1])
            context.register_record_batches(raws[-1], [batches or [pa.RecordBatch.from_pylist([], schema)]])
    items = ", ".join(f"{_item(c.name, c.type, c.name in partitions, leaf)} AS {column(c)}" for c in leaf.columns) or "1"
    where = _where(leaf, partitions)
    context.register_view(name, context.sql(" UNION ALL ".join(f"SELECT {items} FROM {raw}{where}" for raw in raws)))
    for raw in raws:
        context.deregister_table(raw)  # The view holds it.


def first_suffix(root: str, leaf: r.Files) -> str:
    return next((suffix_of(file.path) for file in leaf.files if file.path.startswith(root)), "")


def _compression(root: str, leaf: r.Files) -> str | None:
    return _COMPRESSIONS.get("." + first_suffix(root, leaf).rpartition(".")[2])


def _read_as(kind: str, of: t.DataType) -> pa.DataType:
    import pyarrow as pa

    if kind == "csv":
        return pa.string()
    return arrow_type(of)


def _register_root(context: SessionContext, raw: str, root: str, leaf: r.Files, schema: pa.Schema) -> None:
    import pyarrow as pa

    suffix = first_suffix(root, leaf)
    partitions: list[tuple[str, str | pa.DataType]] = [(name, pa.string()) for name in leaf.partition_columns]
    match leaf.format:
        case "json":
            context.register_json(
                raw, root, schema, table_partition_cols=partitions, file_extension=suffix, file_compression_type=_compression(root, leaf)
            )
        case "csv":
            reading = csv_options(dict(leaf.options), schema.names, suffix, leaf.partition_columns)
            context.register_csv(raw, root, options=reading)
        case other:
            raise AssertionError(other)


def csv_options(options: Mapping[str, str], names: Sequence[str], suffix: str, partitions: Sequence[str]) -> CsvReadOptions:
    """How the kernel reads CSV files as strings, from which values are made by casts: what is no value has to become null."""
    import pyarrow as pa
    from datafusion import CsvReadOptions

    return CsvReadOptions(
        has_header=options.get("header") == "true",
        delimiter=options.get("sep", options.get("delimiter", ",")),
        quote=options.get("quote", '"'),
        escape=options.get("escape"),
        comment=options.get("comment"),
        newlines_in_values=options.get("multiline") == "true",
        schema=pa.schema([(name, pa.string()) for name in names]),
        file_extension=suffix,
        table_partition_cols=[(name, pa.string()) for name in partitions],
        file_compression_type=_COMPRESSIONS.get("." + suffix.rpartition(".")[2], ""),
        truncated_rows=True,
    )


def _item(name: str, kind: t.DataType, is_partition: bool, leaf: r.Files) -> str:
    if is_partition:
        value = f"nullif({quoted(name)}, {text(NULL_PARTITION)})"
        return value if isinstance(kind, t.StringType) else f"arrow_cast({value}, {text(kernel_type(kind))})"
    if leaf.format != "csv":
        return quoted(name)
    value = _csv_value(name, leaf)
    if isinstance(kind, t.StringType):
        return value
    cast = "arrow_cast" if dict(leaf.options).get("mode", "").upper() == "FAILFAST" else "arrow_try_cast"
    return f"{cast}({value}, {text(kernel_type(kind))})"


def _csv_value(name: str, leaf: r.Files) -> str:
    return csv_value(name, dict(leaf.options))


def csv_value(name: str, options: Mapping[str, str]) -> str:
    """A value's text; null where it is empty or `nullValue`."""
    value = f"nullif({quoted(name)}, '')"
    return f"nullif({value}, {text(options['nullvalue'])})" if options.get("nullvalue") else value


def _where(leaf: r.Files, partitions: set[str]) -> str:
    """DROPMALFORMED: only rows whose values all have their types."""
    if leaf.format != "csv" or dict(leaf.options).get("mode", "").upper() != "DROPMALFORMED":
        return ""
    tests = [
        f"({_csv_value(c.name, leaf)} IS NULL OR {_item(c.name, c.type, False, leaf)} IS NOT NULL)"
        for c in leaf.columns
        if c.name not in partitions and not isinstance(c.type, t.StringType)
    ]
    return f" WHERE {' AND '.join(tests)}" if tests else ""
