"""Delta and Iceberg tables: their own libraries tell files and columns, the kernel scans the Parquet files.

Where those alone don't tell the rows, the libraries read them, in tasks.
"""

from __future__ import annotations

import datetime
import os
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote

from quiver.sql import types as t
from quiver.sql.arrow_types import spark_schema
from quiver.sql.delta_log import delta_directory, unreadable
from quiver.sql.errors import AnalysisException
from quiver.sql.lake_places import local_table
from quiver.sql.tree import relations as r
from quiver.sql.tree.expressions import Attribute
from quiver_proto.sources.lake_tables import DeltaRows, IcebergFiles, iceberg_table
from quiver_proto.sources.packages import needed

if TYPE_CHECKING:
    from quiver.sql.session import Session

Options = Mapping[str, str]


def delta(session: Session, path: str, options: Options) -> r.Relation:
    """A Delta table, of now, of `versionAsOf`, or of `timestampAsOf`. Raises PackageMissing, AnalysisException.

    Where files alone don't tell the rows (deletion vectors, columns of other names), the library reads the table, in one task.
    """
    deltalake = needed("deltalake", "deltalake", "delta", "Reading Delta tables")
    import pyarrow as pa

    local = delta_directory(path)
    version, moment = options.get("versionasof"), options.get("timestampasof")
    with unreadable(deltalake, path):
        try:
            table = deltalake.DeltaTable(local, version=int(version) if version is not None else None)
            if moment is not None:
                table.load_as_version(datetime.datetime.fromisoformat(moment).astimezone())
        except ValueError as problem:
            raise AnalysisException(f"versionAsOf or timestampAsOf of {path}: {problem}", "DELTA_INVALID_TIME_TRAVEL") from problem
        schema = spark_schema(pa.schema(table.schema().to_arrow()))
        metadata = table.metadata()
        actions = pa.table(table.get_add_actions(flatten=True)).to_pylist()
        maps = metadata.configuration.get("delta.columnMapping.mode", "none") != "none"
        deletes = "deletionVectors" in (table.protocol().reader_features or ()) and pa.table(table.deletion_vectors()).num_rows
    if maps or deletes:
        return _read(session, "delta", DeltaRows(), [(local, table.version())], schema, sum(action["size_bytes"] for action in actions))
    names = tuple(metadata.partition_columns)
    files = []
    for action in actions:
        values = tuple(_text(action.get(f"partition.{name}")) for name in names)
        place = _delta_file(local, action["path"])
        files.append(r.DataFile(place, action["size_bytes"], action["modification_time"] / 1000, values))
    return _scan(session, path, options, schema, names, files)


def _delta_file(local: str, written: str) -> str:
    """Where a file is that an entry of the log names: below the table, or a place of its own, as cloned tables have. Raises
    AnalysisException DELTA_TABLE_UNREADABLE for one that climbs out of a folder."""
    given = unquote(written)
    if ".." in given.split("/"):
        raise AnalysisException(
            f"The Delta table {local} cannot be read: its log names a file {written!r}, which climbs out of its folder.",
            "DELTA_TABLE_UNREADABLE",
        )
    return given if os.path.isabs(given) else local_table(given) if "://" in given else os.path.join(local, given)


def iceberg(session: Session, path: str, options: Options) -> r.Relation:
    """An Iceberg table: its directory, or one of its metadata files. Of now, of `snapshot-id`, `as-of-timestamp` (ms), `branch` or `tag`.

    Where files alone don't tell the rows (files of deletes, renamed columns), tasks read them with the library. Files of equality deletes,
    which it does not know, are refused. Raises PackageMissing, AnalysisException.
    """
    needed("pyiceberg.table", "pyiceberg", "iceberg", "Reading Iceberg tables")
    local = local_table(path)
    metadata = local if local.endswith(".json") else _newest_metadata(local, path)
    try:
        table = iceberg_table(metadata)
        snapshot = _snapshot(table, options, path)
        scan = table.scan(snapshot_id=snapshot)
        tasks = list(scan.plan_files())
        current = scan.projection()
    except AnalysisException:
        raise
    except Exception as problem:  # The library raises errors of many kinds.
        if "equality deletes" in str(problem):
            raise _unsupported("Iceberg", path, "some of its rows are deleted by equality: compact it (rewrite_data_files)") from problem
        raise AnalysisException(f"The Iceberg table {path} cannot be read: {problem}", "ICEBERG_TABLE_UNREADABLE") from problem
    held = spark_schema(current.as_arrow())
    if not _files_tell(table, tasks, current):
        size = sum(task.file.file_size_in_bytes for task in tasks)
        return _read(session, "iceberg", IcebergFiles(metadata, current.schema_id), tasks, held, size)
    files = [r.DataFile(local_table(task.file.file_path), task.file.file_size_in_bytes) for task in tasks]
    return _scan(session, path, options, held, (), files)


def _files_tell(table: Any, tasks: list[Any], current: Any) -> bool:
    """Whether all rows, and under which names, can be told from Parquet files alone."""
    names = {field.field_id: field.name for field in current.fields}
    for schema in table.metadata.schemas:
        for field in schema.fields:
            same_name = next((number for number, name in names.items() if name == field.name), field.field_id)
            if names.get(field.field_id, field.name) != field.name or same_name != field.field_id:
                return False  # Renamed, or made anew.
    # Files that were adopted may lack the columns that the table is partitioned by.
    if "schema.name-mapping.default" in table.metadata.properties and any(not spec.is_unpartitioned() for spec in table.specs().values()):
        return False
    return all(not task.delete_files and str(task.file.file_format).rpartition(".")[2].upper() == "PARQUET" for task in tasks)


def _snapshot(table: Any, options: Options, path: str) -> int | None:
    if "snapshot-id" in options:
        number = int(options["snapshot-id"])
        if table.snapshot_by_id(number) is None:
            raise AnalysisException(f"The Iceberg table {path} has no snapshot {number}.", "ICEBERG_NO_SNAPSHOT")
        return number
    if "as-of-timestamp" in options:
        found = table.snapshot_as_of_timestamp(int(options["as-of-timestamp"]))
        if found is None:
            raise AnalysisException(f"The Iceberg table {path} has no snapshot before {options['as-of-timestamp']}.", "ICEBERG_NO_SNAPSHOT")
        return int(found.snapshot_id)
    name = options.get("branch", options.get("tag"))
    if name is not None:
        reference = table.snapshot_by_name(name)
        if reference is None:
            raise AnalysisException(f"The Iceberg table {path} has no branch or tag {name!r}.", "ICEBERG_NO_SNAPSHOT")
        return int(reference.snapshot_id)
    return None


def _newest_metadata(local: str, path: str) -> str:
    folder = os.path.join(local, "metadata")
    try:
        hint = os.path.join(folder, "version-hint.text")
        if os.path.exists(hint):
            with open(hint) as file:
                return os.path.join(folder, f"v{int(file.read())}.metadata.json")
        found = [name for name in os.listdir(folder) if name.endswith(".metadata.json")]
    except (OSError, ValueError):
        found = []
    if not found:
        raise AnalysisException(f"`{path}` is not an Iceberg table: it has no metadata.", "ICEBERG_MISSING_TABLE")
    return os.path.join(folder, max(found, key=lambda name: (int("".join(filter(str.isdigit, name.partition("-")[0])) or 0), name)))


def _text(value: Any) -> str | None:
    if value is None:
        return None
    if isinstance(value, bool):
        return str(value).lower()
    return value.isoformat(" ") if isinstance(value, datetime.datetime) else str(value)


def _unsupported(kind: str, path: str, why: str) -> AnalysisException:
    return AnalysisException(f"The {kind} table {path} is of a kind that is not read: {why}.", "UNSUPPORTED_FEATURE.TABLE_OPERATION")


def _read(session: Session, kind: str, reader: Any, parts: list[Any], schema: t.StructType, size: int) -> r.Relation:
    columns = tuple(Attribute(session._state.new_id(), field.name, field.dataType, True) for field in schema)
    return r.Sourced(kind, reader, tuple(parts), columns, size)


def _scan(
    session: Session, path: str, options: Options, schema: t.StructType, names: tuple[str, ...], files: list[r.DataFile]
) -> r.Relation:
    ordered = [field for field in schema if field.name not in names] + [schema[name] for name in names]
    held = t.StructType([t.StructField(field.name, field.dataType) for field in ordered])
    by_name = {field.name: Attribute(session._state.new_id(), field.name, field.dataType, True) for field in held}
    scan = r.Files("parquet", (path,), tuple(options.items()), held, tuple(by_name[field.name] for field in held), names, tuple(files))
    if [field.name for field in schema] == [field.name for field in held]:
        return scan
    return r.Project(scan, tuple(by_name[field.name] for field in schema))
