"""Tables and queries of databases, through SQLAlchemy."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime, tzinfo
from typing import TYPE_CHECKING, Any

from quiver_proto.errors import DatabaseFailed
from quiver_proto.sources.packages import needed

if TYPE_CHECKING:
    import pyarrow as pa


@dataclass(frozen=True, slots=True)
class Query:
    """Which rows one task reads: a condition in the database's SQL, and values for its `:name` markers."""

    condition: str = ""
    values: tuple[tuple[str, Any], ...] = ()


@dataclass(frozen=True, slots=True)
class Database:
    """A table, or a query in parentheses with an alias, of the database at a URL of SQLAlchemy's; `columns` are named as it names them."""

    url: str = field(repr=False)
    source: str
    before: str = ""
    fetch_size: int = 8192
    condition: str = ""
    """That holds for all rows which are asked for; for its markers there are `values`."""
    values: tuple[tuple[str, Any], ...] = ()
    zone: str = "UTC"
    """Of timestamps that have none."""

    def read(self, part: Query, schema: pa.Schema, wanted: frozenset[str]) -> Iterator[pa.RecordBatch]:
        import pyarrow as pa

        engine = engine_of(self.url)
        fields = [each for each in schema if each.name in wanted]
        quote = engine.dialect.identifier_preparer.quote
        listed = ", ".join(quote(each.name) for each in fields) or "1 AS one"
        conditions = [f"({each})" for each in (self.condition, part.condition if part.values else verbatim(part.condition)) if each]
        where = f" WHERE {' AND '.join(conditions)}" if conditions else ""
        with told(engine) as sqlalchemy, engine.connect() as connection:
            if self.before:
                connection.execute(sqlalchemy.text(verbatim(self.before)))
            statement = sqlalchemy.text(f"SELECT {listed} FROM {verbatim(self.source)}{where}")
            rows = connection.execution_options(stream_results=True).execute(statement, {**dict(self.values), **dict(part.values)})
            while some := rows.fetchmany(self.fetch_size):
                columns = [array_of([row[place] for row in some], each.type, each.name, self, engine) for place, each in enumerate(fields)]
                names = [each.name for each in fields]
                made = pa.StructArray.from_arrays(columns, names) if names else pa.array([{}] * len(some), pa.struct([]))
                yield pa.RecordBatch.from_struct_array(made)


def verbatim(text: str) -> str:
    """The database's SQL as users write it, where SQLAlchemy would take `:name` for a marker."""
    return text.replace(":", "\\:")


class told:
    """Inside, what the database or its driver says is raised as DatabaseFailed, without the password."""

    def __init__(self, engine: Any) -> None:
        self._engine = engine

    def __enter__(self) -> Any:
        import sqlalchemy

        return sqlalchemy

    def __exit__(self, kind: type[BaseException] | None, problem: BaseException | None, trace: Any) -> None:
        from sqlalchemy.exc import SQLAlchemyError

        if isinstance(problem, SQLAlchemyError):
            said = str(getattr(problem, "orig", None) or problem)
            password = self._engine.url.password
            raise DatabaseFailed(shown(self._engine), said.replace(password, "***") if password else said) from None


def engine_of(url: str) -> Any:
    """A connection's maker, which keeps none open. Raises PackageMissing, DatabaseFailed for a URL that SQLAlchemy doesn't know."""
    sqlalchemy = needed("sqlalchemy", "sqlalchemy", "jdbc", "Reading databases")
    try:
        return sqlalchemy.create_engine(url, poolclass=sqlalchemy.pool.NullPool)
    except (sqlalchemy.exc.ArgumentError, ImportError) as problem:
        scheme = url.partition(":")[0]
        unknown = isinstance(problem, ImportError | sqlalchemy.exc.NoSuchModuleError)
        cause = "no driver or no such kind of URL" if unknown else "a URL of a form that its driver doesn't take"
        raise DatabaseFailed(f"at {scheme}:…", f"{type(problem).__name__}: {cause} ({scheme})") from None


def shown(engine: Any) -> str:
    """The URL without its password, nor the parameters, which may hold one."""
    return str(engine.url.set(query={}).render_as_string(hide_password=True))


def array_of(values: list[Any], kind: pa.DataType, name: str, of: Database, engine: Any) -> pa.Array:
    """Raises DatabaseFailed for values that are none of the type."""
    import json
    from datetime import date
    from decimal import Decimal

    import pyarrow as pa

    from quiver_proto.text_formats.conversion import decimal_of, zone_of

    is_ = pa.types
    if is_.is_string(kind):
        values = [None if value is None else json.dumps(value) if isinstance(value, dict | list) else str(value) for value in values]
    elif is_.is_decimal(kind):
        convert = decimal_of(kind.precision, kind.scale)
        values = [None if value is None else convert(Decimal(str(value))) for value in values]
    elif is_.is_boolean(kind):
        values = [None if value is None else bool(value) for value in values]
    elif is_.is_floating(kind):
        values = [None if value is None else float(value) for value in values]
    elif is_.is_timestamp(kind):
        zone = zone_of(of.zone)
        values = [None if value is None else _moment(value, zone) for value in values]
        if kind.tz is None:
            values = [None if value is None else value.astimezone(zone).replace(tzinfo=None) for value in values]
    elif is_.is_date(kind):
        values = [date.fromisoformat(value[:10]) if isinstance(value, str) else value for value in values]
    try:
        return pa.array(values, kind)
    except (pa.ArrowInvalid, pa.ArrowTypeError, OverflowError, ValueError) as problem:
        raise DatabaseFailed(shown(engine), f"column {name} of {of.source}: {problem}") from None


def _moment(value: Any, zone: tzinfo) -> datetime:
    moment = datetime.fromisoformat(value) if isinstance(value, str) else value
    if not isinstance(moment, datetime):
        moment = datetime(moment.year, moment.month, moment.day)
    return moment if moment.tzinfo else moment.replace(tzinfo=zone)


def columns_of(url: str, source: str, table: str | None, before: str = "") -> list[tuple[str, pa.DataType]]:
    """Names and types: of a table, as the database declares them; of a query, as the values of its first rows are.

    Raises DatabaseFailed.
    """
    engine = engine_of(url)
    with told(engine) as sqlalchemy:
        if table is not None:
            schema, _, name = table.rpartition(".")
            inspector = sqlalchemy.inspect(engine)
            if inspector.has_table(name.strip('"`'), schema=schema.strip('"`') or None):
                listed = inspector.get_columns(name.strip('"`'), schema=schema.strip('"`') or None)
                return [(each["name"], _declared(each["type"], engine.dialect.name)) for each in listed]
        with engine.connect() as connection:
            if before:
                connection.execute(sqlalchemy.text(verbatim(before)))
            if engine.dialect.name == "postgresql":  # It tells the types, of a query too, without its rows.
                none = connection.execute(sqlalchemy.text(f"SELECT * FROM {verbatim(source)} LIMIT 0"))
                return [(each[0], _of_postgresql(each)) for each in none.cursor.description]
            rows = connection.execution_options(stream_results=True).execute(sqlalchemy.text(f"SELECT * FROM {verbatim(source)}"))
            names = list(rows.keys())
            some = rows.fetchmany(1000)
        return [(name, _seen([row[place] for row in some])) for place, name in enumerate(names)]


def _of_postgresql(column: Any) -> pa.DataType:
    """The type of a column by what a cursor of Python's database interface tells of it."""
    import pyarrow as pa

    known = {
        16: pa.bool_(), 17: pa.binary(), 20: pa.int64(), 21: pa.int16(), 23: pa.int32(), 26: pa.int64(), 700: pa.float32(),
        701: pa.float64(), 1082: pa.date32(), 1114: pa.timestamp("us", "UTC"), 1184: pa.timestamp("us", "UTC"),
    }  # fmt: skip
    code, precision, scale = column[1], column[4], column[5]
    if code == 1700:
        return pa.decimal128(min(38, precision), max(0, scale or 0)) if precision else pa.decimal128(38, 18)
    return known.get(code, pa.string())


def _seen(values: list[Any]) -> pa.DataType:
    import pyarrow as pa

    known = [value for value in values if value is not None]
    if not known:
        return pa.string()
    try:
        kind = pa.array(known).type
    except (pa.ArrowInvalid, pa.ArrowTypeError):
        return pa.string()
    if pa.types.is_decimal(kind):
        return pa.decimal128(38, 18)
    if pa.types.is_timestamp(kind):
        return pa.timestamp("us", "UTC")
    return kind if not pa.types.is_nested(kind) else pa.string()


def _declared(kind: Any, dialect: str) -> pa.DataType:
    import pyarrow as pa
    import sqlalchemy

    match kind:
        case sqlalchemy.types.Boolean():
            return pa.bool_()
        case sqlalchemy.types.BigInteger():
            return pa.int64()
        case sqlalchemy.types.SmallInteger():
            return pa.int16()
        case sqlalchemy.types.Integer():
            return pa.int64() if dialect == "sqlite" else pa.int32()
        case sqlalchemy.types.REAL() if dialect == "postgresql":
            return pa.float32()
        case sqlalchemy.types.Float():
            return pa.float64()
        case sqlalchemy.types.Numeric():
            precision = kind.precision or 38
            return pa.decimal128(min(38, precision), kind.scale if kind.scale is not None else 18 if kind.precision is None else 0)
        case sqlalchemy.types.DateTime():
            return pa.timestamp("us", "UTC")
        case sqlalchemy.types.Date():
            return pa.date32()
        case sqlalchemy.types.LargeBinary():
            return pa.binary()
        case _:
            return pa.string()
