"""`df.write.format("delta")`: tasks write the Parquet files, and one entry of the table's log makes them the table's, all or none.

Files that are moved into the table's directory before the entry is written are nobody's until then. They go when it surely isn't there: an
error of the library alone does not tell, which writes checkpoints and reads the table again after the entry. Where there was no table they
go with the next writer too, if this process dies before the entry: a directory with files in it is refused as a place for a table.
"""

from __future__ import annotations

import contextlib
import dataclasses
import json
import logging
import time
import uuid
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from quiver.sql import types as t
from quiver.sql.arrow_types import arrow_schema, spark_schema
from quiver.sql.delta_log import delta_directory, first_entry, is_entered, is_free, unreadable
from quiver.sql.errors import AnalysisException, check_names_differ
from quiver.sql.file_outputs import file_format, loose
from quiver.sql.saving import NOTHING, Dealt, Output, Saved, staged
from quiver.sql.store_access import store_access
from quiver.sql.table_writes import can_store
from quiver.sql.tree import expressions as e
from quiver.sql.tree import relations as r
from quiver_proto.committing import OutputJob
from quiver_proto.errors import PathUnwritable
from quiver_proto.filesystems import LOCAL
from quiver_proto.ops import CallSite
from quiver_proto.partition_paths import values_of
from quiver_proto.sources.packages import needed
from quiver_proto.staging_leases import sweep

if TYPE_CHECKING:
    from quiver.sql.session import Session

log = logging.getLogger("quiver.sql.delta")
_WRITABLE = frozenset({"appendOnly", "invariants", "timestampNtz", "deletionVectors", "vacuumProtocolCheck", "v2Checkpoint"})
"""Features of tables that ask nothing of who adds plain files."""


def write_delta(session: Session, relation: r.Relation, output: Output, call_site: CallSite) -> Saved:
    """Add the rows to the Delta table at `output.path`, replace its rows, or make it anew; `mode` as of files.

    Columns are found by name, and cast where no other value could come of it; those that the rows lack are null. With overwrite, the
    option `overwriteSchema` takes the rows' columns for the table's. Raises AnalysisException: DELTA_TABLE_ALREADY_EXISTS,
    DELTA_FAILED_TO_MERGE_FIELDS, DELTA_UNSUPPORTED_FEATURES_FOR_WRITE, DELTA_CONCURRENT_WRITE (another writer was faster),
    DELTA_TABLE_UNREADABLE, DELTA_INVALID_PATH,
    DELTA_WRITE_UNCERTAIN (whether the rows are the table's can't be told: its log can't be read); PathUnwritable, PackageMissing.
    """
    deltalake = needed("deltalake", "deltalake", "delta", "Writing Delta tables")
    path = delta_directory(output.path)
    check_names_differ(column.name for column in relation.output)
    found = LOCAL.stat(path)
    if found is not None and not found.is_directory:
        raise PathUnwritable(path, "it is a file")
    for name in ("replacewhere", "mergeschema", "partitionoverwritemode"):
        if output.options.get(name, "false").lower() not in ("false", "static"):
            raise AnalysisException(f"Option {name} of Delta tables is not offered here.", "UNSUPPORTED_FEATURE.TABLE_OPERATION")
    with unreadable(deltalake, path):
        table = deltalake.DeltaTable(path) if deltalake.DeltaTable.is_deltatable(path) else None
    if table is None:
        sweep(path)
    if table is None and not is_free(path):
        raise AnalysisException(f"{path} has files and is not a Delta table.", "DELTA_CREATE_TABLE_WITH_NON_EMPTY_LOCATION")
    keys, anew = output.partition_by, False
    if table is not None:
        if output.mode == "ignore":
            return NOTHING
        if output.mode == "error":
            raise AnalysisException(f"A Delta table is at {path} already. Set mode as append or overwrite.", "DELTA_TABLE_ALREADY_EXISTS")
        _check_writable(table, path, output.mode)
        anew = output.mode == "overwrite" and output.options.get("overwriteschema", "false").lower() == "true"
        if not anew:
            keys = _keys(table, output.partition_by, path)
            relation = _arranged(session, relation, _columns(table), path)
    for column in relation.output:
        if isinstance(column.type, t.TimestampType) and column.name.lower() in map(str.lower, keys) and session.conf.zone() != "UTC":
            raise AnalysisException(
                f"Partition column `{column.name}` is a timestamp, which directories show in the session's zone: partition by a date, or "
                "set spark.sql.session.timeZone to UTC.",
                "INVALID_PARTITION_COLUMN_DATA_TYPE",
            )
    dealt = Dealt(session, relation, Output(path, "parquet", "append", output.options, keys))
    form = file_format("parquet", dealt.data, {"compression": "snappy", **output.options}, session.conf.zone())
    session.context._check(call_site.operator)
    job = OutputJob(path)
    job.prepare(new=False)
    try:
        written = staged(session, dealt, output, job, form, store_access(session, output.options), call_site)
        until = first_entry() if table is None else ""
        job.commit([(file, final) for file, final, _, _ in written], marked=False, until=until)
        _commit(deltalake, _Entry(table, path, output.mode, anew, relation, keys, written))
        job.close()
    except BaseException:
        job.abort()
        raise
    finally:
        session._state.runtime.kept.refreshed(path)
    places = tuple(dict.fromkeys(final.rpartition("/")[0] for _, final, _, _ in written))
    return Saved(len(written), sum(rows for _, _, rows, _ in written), sum(size for *_, size in written), places)


@contextlib.contextmanager
def _told(deltalake: Any, path: str) -> Iterator[None]:
    """Inside, the library's errors are AnalysisExceptions."""
    try:
        yield
    except deltalake.exceptions.CommitFailedError as problem:
        raise AnalysisException(f"Another writer was faster at {path}: {problem}", "DELTA_CONCURRENT_WRITE") from problem
    except (deltalake.exceptions.DeltaError, OSError) as problem:
        raise AnalysisException(f"The Delta table {path} cannot be written: {problem}", "DELTA_WRITE_FAILED") from problem


@dataclasses.dataclass(frozen=True, slots=True)
class _Entry:
    """What the log is told of one write. `table`: as it was before, None for a new one. `anew`: the rows' columns and `keys` become the
    table's. `written`: of each file where it was, its path in the table, rows, bytes. `identity`: by which the entry is known again."""

    table: Any
    path: str
    mode: str
    anew: bool
    relation: r.Relation
    keys: Sequence[str]
    written: Sequence[tuple[str, str, int, int]]
    identity: str = dataclasses.field(default_factory=lambda: str(uuid.uuid4()))


def _commit(deltalake: Any, entry: _Entry) -> None:
    """Write the log's entry. When it can't be written, the files go; when it may be there, they stay, whatever failed after it."""
    path = entry.path
    before = -1 if entry.table is None else entry.table.version()
    try:
        with _told(deltalake, path):
            _enter(deltalake, entry)
    except BaseException as problem:
        entered = is_entered(path, entry.identity, before)
        if entered is False:
            for _, final, _, _ in entry.written:
                with contextlib.suppress(OSError):
                    LOCAL.remove(f"{path}/{final}")
            raise
        if not isinstance(problem, Exception):
            raise
        if entered is None:
            raise AnalysisException(
                f"Whether the rows are in the Delta table {path} now can't be told: its log can't be read after {problem}. Their files are "
                f"left there; they are the table's if its log has an entry with the txnId {entry.identity}.",
                "DELTA_WRITE_UNCERTAIN",
            ) from problem
        log.warning("the rows are in the Delta table %s; what its library does after that has failed: %s", path, problem)


def _check_writable(table: Any, path: str, mode: str) -> None:
    protocol = table.protocol()
    unknown = sorted({*(protocol.writer_features or ())} - _WRITABLE)
    configuration = table.metadata().configuration
    checks = [name for name in configuration if name.startswith("delta.constraints.")]
    asking = {"delta.invariants", "delta.generationExpression", "delta.identity.start"}
    checks += [f"checks of {field.name}" for field in table.schema().fields if asking & {*field.metadata} or not field.nullable]
    if not unknown and 3 <= protocol.min_writer_version < 7:  # These have checks, generated and renamed columns without naming them.
        unknown = checks
        if configuration.get("delta.columnMapping.mode", "none") != "none":
            unknown = ["columnMapping"]
        if configuration.get("delta.enableChangeDataFeed") == "true":
            unknown = ["changeDataFeed"]
    if unknown or checks:
        raise AnalysisException(
            f"The Delta table {path} asks its writers for what is not offered here: {', '.join(unknown or checks)}.",
            "DELTA_UNSUPPORTED_FEATURES_FOR_WRITE",
        )
    if mode == "overwrite" and configuration.get("delta.appendOnly") == "true":
        raise AnalysisException(
            f"The Delta table {path} only takes rows that are added (delta.appendOnly).", "DELTA_CANNOT_MODIFY_APPEND_ONLY"
        )


def _keys(table: Any, given: Sequence[str], path: str) -> tuple[str, ...]:
    keys = tuple(table.metadata().partition_columns)
    if given and [name.lower() for name in given] != [name.lower() for name in keys]:
        raise AnalysisException(
            f"The Delta table {path} is partitioned by [{', '.join(keys)}], not by [{', '.join(given)}].", "DELTA_FAILED_TO_MERGE_FIELDS"
        )
    return keys


def _columns(table: Any) -> t.StructType:
    import pyarrow as pa

    return spark_schema(pa.schema(table.schema().to_arrow()))


def _arranged(session: Session, relation: r.Relation, columns: t.StructType, path: str) -> r.Relation:
    """The rows with exactly the table's columns."""
    there = {column.name.lower(): column for column in relation.output}
    known = {field.name.lower() for field in columns}
    strange = [column.name for column in relation.output if column.name.lower() not in known]
    items: list[e.Expression] = []
    for field in columns:
        value = there.get(field.name.lower())
        if value is not None and not can_store(value.type, field.dataType):
            strange.append(f"{field.name} ({value.type.simpleString()} instead of {field.dataType.simpleString()})")
        items.append(e.Alias(e.Cast(e.Literal(None, t.NullType()) if value is None else value, field.dataType), field.name))
    if strange:
        raise AnalysisException(
            f"The Delta table {path} has no such columns: {', '.join(strange)}. Its columns are {columns.simpleString()}; "
            "overwrite with the option overwriteSchema to change them.",
            "DELTA_FAILED_TO_MERGE_FIELDS",
        )
    return session._state.analyser.project(relation, items)


def _enter(deltalake: Any, entry: _Entry) -> None:
    import pyarrow as pa
    from deltalake import CommitProperties
    from deltalake.transaction import AddAction, create_table_with_add_actions

    table, keys = entry.table, list(entry.keys)
    kinds = arrow_schema(t.StructType([t.StructField(column.name, column.type) for column in entry.relation.output]))
    schema = deltalake.Schema.from_arrow(pa.schema([pa.field(field.name, loose(field.type)) for field in kinds]))
    now = int(time.time() * 1000)
    actions = []
    for _, final, rows, size in entry.written:
        values: Mapping[str, str | None] = dict(zip(keys, values_of(final)))
        actions.append(AddAction(final, size, values, now, True, json.dumps({"numRecords": rows})))
    if table is None:
        # No second try: the library would take it for the next version of the table that another writer has just made.
        only = CommitProperties(custom_metadata={"txnId": entry.identity}, max_commit_retries=0)
        try:
            create_table_with_add_actions(entry.path, schema, actions, "error", keys, commit_properties=only)
        except deltalake.exceptions.DeltaError as problem:
            if deltalake.DeltaTable.is_deltatable(entry.path):
                raise deltalake.exceptions.CommitFailedError(str(problem)) from problem
            raise
        return
    told = CommitProperties(custom_metadata={"txnId": entry.identity})
    there = table.metadata()
    needs_feature = '"timestamp_ntz"' in schema.to_json() and "timestampNtz" not in (table.protocol().writer_features or ())
    if entry.anew and (needs_feature or keys != there.partition_columns):
        # The library changes keys and features only with a new id.
        create_table_with_add_actions(
            entry.path,
            schema,
            actions,
            "overwrite",
            keys,
            name=there.name,
            description=there.description,
            configuration=there.configuration,
            commit_properties=told,
        )
    else:
        table.create_write_transaction(actions, entry.mode, schema, keys or None, commit_properties=told)
