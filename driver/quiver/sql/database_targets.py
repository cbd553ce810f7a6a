"""`df.write.jdbc` and format("jdbc"): rows into a table of a database, all of them or none."""

from __future__ import annotations

import contextlib
import os
import re
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from quiver.sql import types as t
from quiver.sql.database_sources import url_of
from quiver.sql.errors import AnalysisException, IllegalArgumentException, check_names_differ
from quiver.sql.kernel_errors import spark_errors
from quiver.sql.tree import relations as r
from quiver.sql.tree.relations import schema_of
from quiver_proto.errors import DatabaseFailed
from quiver_proto.ops import CallSite
from quiver_proto.sources.database_writes import MARK, Inserting, begin
from quiver_proto.sources.databases import engine_of, shown, told

if TYPE_CHECKING:
    from quiver.rdd import RDD
    from quiver.sql.session import Session

_KINDS: tuple[tuple[type[t.DataType], str], ...] = (
    (t.BooleanType, "Boolean"), (t.ByteType, "SmallInteger"), (t.ShortType, "SmallInteger"), (t.IntegerType, "Integer"),
    (t.LongType, "BigInteger"), (t.FloatType, "REAL"), (t.DoubleType, "Double"), (t.DecimalType, "Numeric"), (t.StringType, "Text"),
    (t.BinaryType, "LargeBinary"), (t.DateType, "Date"), (t.TimestampType, "DateTime"), (t.TimestampNTZType, "DateTime"),
)  # fmt: skip
_AT_ONCE = 500


def write_database(session: Session, relation: r.Relation, options: Mapping[str, str], mode: str, call_site: CallSite) -> int:
    """Put the relation's rows into the table `dbtable` of the database at `url`; how many there were.

    Tasks insert into a table that stands beside it, from which one transaction moves them; what it makes of a table's definition is part
    of it where the database can (SQLite, PostgreSQL; not MySQL). `mode` as of files; with the option `truncate`, overwrite keeps the
    table's definition. `batchsize`: rows per insert. Raises AnalysisException TABLE_OR_VIEW_ALREADY_EXISTS and for columns that the table
    has not, IllegalArgumentException for types that databases have not, DatabaseFailed; the table is as it was then.
    """
    url, named = url_of(options), options.get("dbtable")
    if not named:
        raise IllegalArgumentException("Option `dbtable` is required.")
    schema, _, name = named.replace("`", "").replace('"', "").rpartition(".")
    place = schema or None
    columns = schema_of(relation)
    check_names_differ(columns.names)
    if "createtableoptions" in options:
        raise IllegalArgumentException(
            "Option createTableOptions is not taken: make the table in the database, and write with mode append."
        )
    written_types = _written_types(options.get("createtablecolumntypes", ""), columns)
    kinds = [_kind(field) for field in columns]
    engine = engine_of(url)
    with told(engine) as sqlalchemy:
        inspector = sqlalchemy.inspect(engine)
        exists = inspector.has_table(name, schema=place)
        known = {each["name"].lower(): each["name"] for each in inspector.get_columns(name, schema=place)} if exists else {}
    if exists and mode == "ignore":
        return 0
    if exists and mode == "error":
        raise AnalysisException(f"Table or view '{named}' already exists. SaveMode: ErrorIfExists.", "TABLE_OR_VIEW_ALREADY_EXISTS")
    keeps = exists and (mode == "append" or options.get("truncate") == "true")
    missing = [column for column in columns.names if keeps and column.lower() not in known]
    if missing:
        raise AnalysisException(
            f'Column "{missing[0]}" not found in schema of table {named}: it has {", ".join(known.values())}.', "UNRESOLVED_COLUMN"
        )
    session.context._check(call_site.operator)
    staging = f"quiver_staging_{os.urandom(8).hex()}"

    def table(of: str, names: Sequence[str], *more: Any, written: Mapping[str, str] = {}) -> Any:
        made = [
            sqlalchemy.Column(column, _named(sqlalchemy, written[column]) if column in written else _typed(sqlalchemy, kind, field))
            for column, kind, field in zip(names, kinds, columns)
        ]
        return sqlalchemy.Table(of, sqlalchemy.MetaData(), *made, *more, schema=place)

    staged = table(staging, columns.names, sqlalchemy.Column(MARK, sqlalchemy.String(32)))
    inserting = Inserting(url, staging, place, tuple(zip(columns.names, kinds)), session.conf.zone(), int(options.get("batchsize", "1000")))

    def inserted(rows: RDD[Any]) -> list[Any]:
        if options.get("numpartitions", "").isdecimal():  # So many connections at most.
            rows = rows.coalesce(max(1, int(options["numpartitions"])))
        done: list[Any] = rows.mapPartitions(inserting).collect()
        return done

    try:
        with told(engine):
            staged.create(engine)
        with spark_errors(relation, call_site):
            # Rows that a failed task left have no mark that is told.
            told_of = session._state.runtime.retried(relation, call_site, inserted)
        with spark_errors(relation, call_site), told(engine), engine.connect() as connection:
            begin(connection)
            target = table(
                name, [known.get(column.lower(), column) if keeps else column for column in columns.names], written=written_types
            )
            if exists and mode == "overwrite":
                if keeps:
                    connection.execute(target.delete())
                else:
                    target.drop(connection)
            if not keeps:
                target.create(connection)
            _move(connection, staged, target, columns.names, told_of)
            staged.drop(connection)
            connection.commit()
    except BaseException:
        with contextlib.suppress(Exception):
            staged.drop(engine, checkfirst=True)
        raise
    return sum(rows for _, rows in told_of)


def _move(connection: Any, staged: Any, target: Any, columns: Sequence[str], told_of: Sequence[tuple[str, int]]) -> None:
    """From the table beside it into the target go the rows of tasks that told their mark, and how many they are.

    Raises DatabaseFailed when it is another number.
    """
    from sqlalchemy import select

    for start in range(0, len(told_of), _AT_ONCE):
        some = told_of[start : start + _AT_ONCE]
        chosen = select(*[staged.c[column] for column in columns]).where(staged.c[MARK].in_([mark for mark, _ in some]))
        moved = connection.execute(target.insert().from_select([column.name for column in target.columns], chosen)).rowcount
        expected = sum(rows for _, rows in some)
        if moved not in (-1, expected):  # -1: who knows.
            raise DatabaseFailed(
                shown(connection.engine), f"{expected} rows were to be put into {target.fullname}, and {moved} were: nothing is changed"
            )


def _written_types(text: str, columns: t.StructType) -> dict[str, str]:
    """Of `name VARCHAR(64), price NUMERIC(10, 2)`: the database's own types of columns. Raises IllegalArgumentException."""
    known = {name.lower(): name for name in columns.names}
    result = {}
    for part in re.split(r",(?![^(]*\))", text) if text.strip() else ():
        found = re.fullmatch(r"\s*(`[^`]+`|\w+)\s+(\w[\w ]*(\([\d, ]+\))?[\w ]*)", part)
        name = None if found is None else known.get(found[1].strip("`").lower())
        if found is None or name is None:
            raise IllegalArgumentException(
                f"createTableColumnTypes: {part.strip()!r} is no column of {', '.join(columns.names)} with a type."
            )
        result[name] = found[2].strip()
    return result


def _named(sqlalchemy: Any, text: str) -> Any:
    class Written(sqlalchemy.types.UserDefinedType):  # type: ignore[misc]
        cache_ok = True

        def get_col_spec(self, **_: Any) -> str:
            return text

    return Written()


def _kind(field: t.StructField) -> str:
    """The name of SQLAlchemy's type."""
    for kind, name in _KINDS:
        if isinstance(field.dataType, kind):
            return name
    raise IllegalArgumentException(
        f"Can't get JDBC type for {field.dataType.simpleString()} (column `{field.name}`).", "CANNOT_GET_JDBC_TYPE"
    )


def _typed(sqlalchemy: Any, kind: str, field: t.StructField) -> Any:
    if isinstance(field.dataType, t.DecimalType):
        return sqlalchemy.types.Numeric(field.dataType.precision, field.dataType.scale)
    return getattr(sqlalchemy.types, kind)()
