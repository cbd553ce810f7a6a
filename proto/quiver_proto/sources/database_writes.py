"""Rows into a table of a database, through SQLAlchemy: what a task does of a write that is committed once.

Tasks insert into a table that stands beside the target, each attempt with its own mark and in one transaction; the driver then copies
the rows of one attempt per partition into the target, in one transaction (quiver.sql.database_targets).
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime, tzinfo
from typing import TYPE_CHECKING, Any

from quiver_proto.sources.databases import engine_of, told

if TYPE_CHECKING:
    import pyarrow as pa

MARK = "quiver_attempt"
"""The column of the staging table that tells attempts apart."""
_PATIENCE_S = 600


@dataclass(frozen=True, slots=True)
class Inserting:
    """Called with a partition's batches, inserts their rows into `table`; gives (mark, rows) once.

    `zone`: in which instants are written.
    """

    url: str = field(repr=False)
    table: str
    schema: str | None
    columns: tuple[tuple[str, str], ...]
    """Names, and types of SQLAlchemy's by name: values are converted by them."""
    zone: str
    batch_size: int = 1000

    def __call__(self, batches: Iterator[pa.RecordBatch]) -> Iterator[tuple[str, int]]:
        from quiver_proto.text_formats.conversion import zone_of

        engine = engine_of(self.url)
        mark, count, zone = os.urandom(16).hex(), 0, zone_of(self.zone)
        with told(engine) as sqlalchemy, engine.connect() as connection:
            begin(connection)
            columns = [sqlalchemy.column(name, getattr(sqlalchemy.types, kind)()) for name, kind in self.columns]
            target = sqlalchemy.table(self.table, *columns, sqlalchemy.column(MARK), schema=self.schema)
            statement = target.insert()
            copies = engine.dialect.name == "postgresql" and engine.dialect.driver == "psycopg"
            names = [name for name, _ in self.columns]
            if copies:
                connection.begin()  # SQLAlchemy sees nothing of what is copied.
            for batch in batches:
                for start in range(0, batch.num_rows, self.batch_size):
                    lists = [_values(column, zone) for column in batch.slice(start, self.batch_size).columns]
                    if copies:
                        count += _copied(connection, target, lists, mark)
                        continue
                    rows = [dict(zip(names, row), **{MARK: mark}) for row in zip(*lists)]
                    connection.execute(statement, rows)
                    count += len(rows)
            connection.commit()
        yield mark, count


def _copied(connection: Any, target: Any, lists: list[list[Any]], mark: str) -> int:
    """The rows by PostgreSQL's COPY, which takes a fraction of an INSERT's time; how many they are."""
    import psycopg
    from sqlalchemy.exc import DBAPIError

    preparer = connection.dialect.identifier_preparer
    named = ", ".join(preparer.quote(column.name) for column in target.columns)
    try:
        with connection.connection.cursor().copy(f"COPY {preparer.format_table(target)} ({named}) FROM STDIN") as copy:
            count = 0
            for row in zip(*lists):
                copy.write_row((*row, mark))
                count += 1
    except psycopg.Error as problem:
        raise DBAPIError.instance("COPY", None, problem, psycopg.Error, dialect=connection.dialect) from problem
    return count


def begin(connection: Any) -> None:
    """Begin a transaction that has tables' definitions in it too, where the database can; SQLite waits for its other writers."""
    if connection.dialect.name == "sqlite":
        connection.exec_driver_sql(f"PRAGMA busy_timeout = {_PATIENCE_S * 1000}")
        connection.exec_driver_sql("BEGIN IMMEDIATE")


def _values(column: pa.Array, zone: tzinfo) -> list[Any]:
    import pyarrow as pa

    values: list[Any] = column.to_pylist()
    if pa.types.is_timestamp(column.type) and column.type.tz is not None:
        return [None if value is None else _local(value, zone) for value in values]
    return values


def _local(moment: datetime, zone: tzinfo) -> datetime:
    return moment.astimezone(zone).replace(tzinfo=None)
