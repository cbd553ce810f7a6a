"""Rows into tables of the catalog: made with their rows, added to, overwritten. DataFrameWriter, writeTo and SQL's statements end here.

CREATE TABLE t … AS SELECT       create_as(session, parts, relation, spec, "error" or, IF NOT EXISTS, "ignore", call_site)
CREATE OR REPLACE TABLE … AS     create_as(…, "overwrite", …)
INSERT INTO t [(a, b)] …         insert_into(session, parts, relation, call_site, columns=…, partition=…)
INSERT OVERWRITE t …             insert_into(…, overwrite=True)

A write that fails leaves the table as it was, and a table that was to be made is not there.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from quiver.sql import literals
from quiver.sql import types as t
from quiver.sql.analysis import fixed_lengths
from quiver.sql.errors import AnalysisException, check_names_differ
from quiver.sql.file_outputs import format_named
from quiver.sql.metastore import CATALOG, GLOBAL_TEMP, Buckets, Table, check_unused, location_taken
from quiver.sql.saving import NOTHING, Output, Saved, check_not_read, column_named, is_dynamic, save
from quiver.sql.tree import expressions as e
from quiver.sql.tree import relations as r
from quiver_proto.filesystems import LOCAL, filesystem_of
from quiver_proto.ops import CallSite
from quiver_proto.staging_leases import settle

if TYPE_CHECKING:
    from quiver.sql.datasource import DataSource
    from quiver.sql.session import Session


@dataclass(frozen=True, slots=True)
class TableSpec:
    """What a table is to be. `location`: where its files are to be, which makes it external; "": in a folder of its own."""

    provider: str = "parquet"
    options: Mapping[str, str] = field(default_factory=dict)
    partition_by: tuple[str, ...] = ()
    buckets: Buckets | None = None
    location: str = ""
    properties: Mapping[str, str] = field(default_factory=dict)
    description: str | None = None


def name_parts(name: str) -> tuple[str, ...]:
    """The parts of a table's dotted name, without backticks and without the one catalog."""
    named = literals.named(name)
    parts = named.parts if isinstance(named, e.Name) else (name,)
    return parts[1:] if len(parts) > 1 and parts[0].lower() == CATALOG else parts


def create_as(session: Session, parts: Sequence[str], relation: r.Relation, spec: TableSpec, mode: str, call_site: CallSite) -> Saved:
    """Make a table of the relation's rows. When there is one of that name: `mode` "error" raises AnalysisException
    TABLE_OR_VIEW_ALREADY_EXISTS, "ignore" does nothing, "overwrite" puts the new one in its place, "append" adds the rows to it by name.

    Raises AnalysisException LOCATION_ALREADY_EXISTS when files of another are where the table's are to be, and what `save` raises.
    """
    database, name = _placed(session, parts)
    existing = session._state.store.table(database, name)
    source = session._state.data_sources.get(spec.provider.lower())
    provider = format_named(spec.provider) if source is None else spec.provider.lower()
    if existing is not None and mode == "ignore":
        return NOTHING
    if existing is not None and existing.view is not None and mode in ("append", "overwrite"):
        raise AnalysisException(f"{existing.full_name} is a view: a table is expected.", "EXPECT_TABLE_NOT_VIEW.NO_ALTERNATIVE")
    if existing is not None and mode == "append":
        _check_alike(existing, provider, spec, relation)
        return insert_into(session, parts, relation, call_site, by_name=True, options=spec.options)
    given = _local(spec.location) if source is None else spec.location
    location = given if spec.location else session._state.store.folder(database, name)
    keys = [
        column_named(relation.output, key, lambda key: AnalysisException(f"Partition column `{key}` not found in the query's columns."))
        for key in spec.partition_by
    ]
    rest = [column for column in relation.output if column.id not in {key.id for key in keys}]
    schema = t.StructType([fixed_lengths.field_of(column) for column in (*rest, *keys)])
    check_names_differ(schema.names)
    if source is None:
        _check_buckets(spec, relation)
    elif spec.partition_by or spec.buckets is not None:
        raise AnalysisException(f"Tables of the data source '{provider}' of the program have no partitionBy and no bucketBy.")
    table = Table(
        database, name.lower(), schema, provider, location, bool(spec.location), tuple(key.name for key in keys), _kept(spec.options),
        dict(spec.properties), spec.description, buckets=spec.buckets,
    )  # fmt: skip
    if existing is not None and mode == "error":
        session._state.store.create_table(table)  # Says that there is one.
    if source is not None:
        if existing is None and not table.external:
            check_unused(table)
        _into_source(session, source, table, relation, spec.options, mode == "overwrite", call_site)
        if existing is not None:
            session._state.store.drop_table(database, name)
        session._state.store.create_table(table)
        return NOTHING
    replaces = existing is not None and existing.location == location
    if existing is not None:
        check_not_read(relation, existing.location.rstrip("/"), existing.full_name)
    if not replaces:
        _check_location(table)
    output = Output(location, provider, "overwrite" if replaces else "append", spec.options, table.partition_columns, spec.buckets)
    # Of a table that is replaced all of it goes, whatever is said of partitions.
    output = replace(output, options={**spec.options, "partitionoverwritemode": "static"})
    saved = save(session, relation, output, call_site)
    if existing is not None and not replaces:
        session._state.store.drop_table(database, name)
    session._state.store.create_table(table, replace=existing is not None, written=True)
    return saved


def insert_into(
    session: Session,
    parts: Sequence[str],
    relation: r.Relation,
    call_site: CallSite,
    *,
    overwrite: bool = False,
    by_name: bool = False,
    columns: Sequence[str] = (),
    partition: Mapping[str, e.Expression | None] | None = None,
    options: Mapping[str, str] | None = None,
) -> Saved:
    """Add the relation's rows to a table, column by column in the table's order, partition columns last.

    `by_name`: columns are found by their names instead. `columns`: those that the rows have; others get their defaults, or null.
    `partition`: PARTITION (k = 1, j): a value for all rows, or None for a partition column that the rows have. `overwrite`: the rows
    replace all that is there, or of partitions with a value what is in these, or (spark.sql.sources.partitionOverwriteMode dynamic) what
    is in partitions that get rows. Values are cast where no other value could come of it. Raises AnalysisException:
    TABLE_OR_VIEW_NOT_FOUND, UNSUPPORTED_INSERT, INSERT_COLUMN_ARITY_MISMATCH, INCOMPATIBLE_DATA_FOR_TABLE, UNSUPPORTED_OVERWRITE, and
    what `save` raises.
    """
    if session._state.temporary(parts) is not None:
        raise AnalysisException("Can't insert into the target. A temporary view is not allowed.", "UNSUPPORTED_INSERT.RDD_BASED")
    table = session._state.stored_or_raise(parts)
    if table.view is not None:
        raise AnalysisException(f"Can't insert into the target. {table.full_name} is a view.", "EXPECT_TABLE_NOT_VIEW.NO_ALTERNATIVE")
    given = {_key(table, name): value for name, value in (partition or {}).items()}
    static = {name: value for name, value in given.items() if value is not None}
    relation = _arranged(session, table, relation, by_name, columns, static)
    together = {**table.options, **(options or {})}
    source = session._state.data_sources.get(table.provider.lower())
    if source is not None:
        _into_source(session, source, table, relation, together, overwrite, call_site)
        return NOTHING
    values = _static_values(session, table, static) if overwrite else ()
    if overwrite and not (table.partition_columns and is_dynamic(session, together)):
        check_not_read(relation, table.location.rstrip("/"), table.full_name)
    output = Output(
        table.location, table.provider, "overwrite" if overwrite else "append", together,
        table.partition_columns, table.buckets, values,
    )  # fmt: skip
    return save(session, relation, output, call_site)


def _into_source(
    session: Session,
    source: type[DataSource],
    table: Table,
    relation: r.Relation,
    options: Mapping[str, str],
    overwrite: bool,
    call_site: CallSite,
) -> None:
    """What the program's data source does with the rows is all there is: a table of it is only its options and columns."""
    from quiver.sql.python.sources import write_source

    told = {**_kept(options), **({"path": table.location} if table.external else {})}
    write_source(session, relation, source, told, "overwrite" if overwrite else "append", call_site)


def _placed(session: Session, parts: Sequence[str]) -> tuple[str, str]:
    if not 1 <= len(parts) <= 2 or parts[0].lower() == GLOBAL_TEMP:
        raise AnalysisException(
            f"`{'`.`'.join(parts)}` is not a valid name for tables: give a name, or a database and a name.",
            "INVALID_SCHEMA_OR_RELATION_NAME",
        )
    database = parts[0] if len(parts) == 2 else session._state.database
    return session._state.store.database(database).name, parts[-1]


def _local(location: str) -> str:
    _, path = filesystem_of(location)
    return path.rstrip("/")


def _kept(options: Mapping[str, str]) -> dict[str, str]:
    return {name: value for name, value in options.items() if name not in ("path", "partitionoverwritemode")}


def _check_buckets(spec: TableSpec, relation: r.Relation) -> None:
    if spec.buckets is None:
        return
    known = {column.name.lower() for column in relation.output}
    keys = {key.lower() for key in spec.partition_by}
    for kind, names in (("bucket", spec.buckets.columns), ("sort", spec.buckets.sort)):
        for name in names:
            if name.lower() not in known:
                listed = ", ".join(f"`{column.name}`" for column in relation.output)
                raise AnalysisException(
                    f"{kind} column `{name}` is not defined in the table, defined table columns are: {listed}.",
                    "COLUMN_NOT_DEFINED_IN_TABLE",
                )
            if name.lower() in keys:
                raise AnalysisException(
                    f"{kind.capitalize()}ing column '{name}' should not be part of partition columns '{', '.join(spec.partition_by)}'."
                )


def _check_location(table: Table) -> None:
    if not table.external:
        check_unused(table)
        return
    system, path = filesystem_of(table.location)
    if system is LOCAL:
        settle(path)
    found = system.stat(path)
    if found is not None and (not found.is_directory or any(not entry.name.startswith(("_", ".")) for entry in system.entries(path))):
        raise location_taken(table)


def _check_alike(table: Table, provider: str, spec: TableSpec, relation: r.Relation) -> None:
    """What is told of a table that is there already must be true."""
    name = f"{CATALOG}.{table.database}.{table.name}"
    if provider != table.provider:
        raise AnalysisException(
            f"The format of the existing table {name} is `{table.provider}`. It doesn't match the specified format `{provider}`."
        )
    if len(relation.output) != len(table.schema):
        listed = ",".join(f"{column.name}:{column.type.simpleString()}" for column in relation.output)
        raise AnalysisException(
            f"The column number of the existing table {name} ({table.schema.simpleString()}) doesn't match the data schema "
            f"(struct<{listed}>)."
        )
    if spec.partition_by and [key.lower() for key in spec.partition_by] != [key.lower() for key in table.partition_columns]:
        raise AnalysisException(
            f"Specified partitioning does not match that of the existing table {name}. Specified partition columns: "
            f"[{', '.join(spec.partition_by)}]. Existing partition columns: [{', '.join(table.partition_columns)}]."
        )
    if spec.buckets is not None and spec.buckets != table.buckets:
        raise AnalysisException(f"Specified bucketing does not match that of the existing table {name}.")


def _key(table: Table, name: str) -> str:
    for column in table.partition_columns:
        if column.lower() == name.lower():
            return column
    raise AnalysisException(
        f"`{name}` is not a valid partition column in table {table.full_name}: these are [{', '.join(table.partition_columns)}].",
        "NON_PARTITION_COLUMN",
    )


def _arranged(
    session: Session, table: Table, relation: r.Relation, by_name: bool, columns: Sequence[str], static: Mapping[str, e.Expression]
) -> r.Relation:
    """The rows with exactly the table's columns."""
    wanted = [column for column in table.schema if column.name not in static]
    rows = list(relation.output)
    if columns:
        named = [_table_column(table, name) for name in columns]
        if len(named) != len(rows):
            raise _arity(table, [column.name for column in named], rows)
        found: dict[str, e.Expression] = {column.name: value for column, value in zip(named, rows)}
    elif by_name:
        listed = ", ".join(column.name for column in rows)

        def unknown(name: str) -> AnalysisException:
            return AnalysisException(f"Cannot resolve '{name}' given input columns: [{listed}].")

        there = {row.name.lower() for row in rows}
        found = {
            column.name: column_named(rows, column.name, unknown)
            for column in wanted
            if column.name.lower() in there or column.name not in table.defaults
        }
    else:
        if len(wanted) != len(rows):
            raise _arity(table, [column.name for column in wanted], rows)
        found = {column.name: value for column, value in zip(wanted, rows)}
    found.update(static)
    items = []
    for column in table.schema:
        value = found.get(column.name)
        if value is None:
            value = table.defaults[column.name].value if column.name in table.defaults else e.Literal(None, t.NullType())
        if isinstance(value, e.Attribute) and not can_store(value.type, column.dataType):
            raise AnalysisException(
                f"Cannot write incompatible data for the table {table.full_name}: Cannot safely cast `{column.name}` "
                f'"{value.type.simpleString().upper()}" to "{column.dataType.simpleString().upper()}".',
                "INCOMPATIBLE_DATA_FOR_TABLE.CANNOT_SAFELY_CAST",
            )
        same = isinstance(value, e.Attribute) and value.type == column.dataType
        value = value if same else e.Cast(value, fixed_lengths.as_string(column.dataType))
        items.append(e.Alias(fixed_lengths.stored(value, column.dataType), column.name))
    return session._state.analyser.project(relation, items)


def _table_column(table: Table, name: str) -> t.StructField:
    for column in table.schema:
        if column.name.lower() == name.lower():
            return column
    listed = ", ".join(f"`{column}`" for column in table.schema.names)
    raise AnalysisException(
        f"A column with name `{name}` cannot be resolved. Did you mean one of the following? [{listed}].",
        "UNRESOLVED_COLUMN.WITH_SUGGESTION",
    )


def _arity(table: Table, wanted: Sequence[str], rows: Sequence[e.Attribute]) -> AnalysisException:
    few = len(rows) < len(wanted)
    return AnalysisException(
        f"Cannot write to {table.full_name}, the reason is {'not enough' if few else 'too many'} data columns:\n"
        f"Table columns: {', '.join(f'`{name}`' for name in wanted)}.\nData columns: {', '.join(f'`{row.name}`' for row in rows)}.",
        f"INSERT_COLUMN_ARITY_MISMATCH.{'NOT_ENOUGH' if few else 'TOO_MANY'}_DATA_COLUMNS",
    )


def _static_values(session: Session, table: Table, static: Mapping[str, e.Expression]) -> tuple[str, ...]:
    """The directories' texts of the leading partition columns that have one value for all rows."""
    names = []
    for name in table.partition_columns:
        if name not in static:
            break
        names.append(name)
    if not names:
        return ()
    kinds = {column.name: column.dataType for column in table.schema}
    one = session.range(1)._relation
    items = [e.Alias(e.Cast(e.Cast(static[name], kinds[name]), t.StringType()), name) for name in names]
    (row,) = session._dataframe(session._state.analyser.project(one, items)).collect()
    return tuple("" if value is None else str(value) for value in row)


_TIMES = (t.DateType, t.TimestampType, t.TimestampNTZType)


def can_store(value: t.DataType, column: t.DataType) -> bool:
    """Whether values of one type may go into a column of the other: Spark's (ANSI) store assignment.

    >>> can_store(t.LongType(), t.IntegerType()), can_store(t.StringType(), t.IntegerType()), can_store(t.DateType(), t.StringType())
    (True, False, True)
    """
    if value == column or isinstance(value, t.NullType):
        return True
    if isinstance(value, t.ArrayType) and isinstance(column, t.ArrayType):
        return can_store(value.elementType, column.elementType)
    if isinstance(value, t.MapType) and isinstance(column, t.MapType):
        return can_store(value.keyType, column.keyType) and can_store(value.valueType, column.valueType)
    if isinstance(value, t.StructType) and isinstance(column, t.StructType):
        return len(value) == len(column) and all(can_store(a.dataType, b.dataType) for a, b in zip(value, column))
    if isinstance(column, t.StringType):
        return isinstance(value, t.AtomicType) and not isinstance(value, t.BinaryType)
    if isinstance(value, t.NumericType) and isinstance(column, t.NumericType):
        return True
    return isinstance(value, _TIMES) and isinstance(column, _TIMES)
