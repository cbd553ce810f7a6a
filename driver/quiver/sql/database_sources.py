"""`spark.read.jdbc` and format("jdbc"): tables and queries of databases, read by tasks through SQLAlchemy."""

from __future__ import annotations

import datetime
import itertools
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from quiver.sql import types as t
from quiver.sql.arrow_types import spark_type
from quiver.sql.comparisons import comparison
from quiver.sql.errors import AnalysisException, IllegalArgumentException, check_names_differ
from quiver.sql.tree import expressions as e
from quiver.sql.tree import relations as r
from quiver.sql.tree.expressions import Attribute
from quiver_proto.errors import DatabaseFailed
from quiver_proto.sources.databases import Database, Query, columns_of, engine_of

if TYPE_CHECKING:
    from quiver.sql.session import Session

_PLAIN = re.compile(r'[\w."`$]+')


def database(
    session: Session, options: Mapping[str, str], wanted: t.StructType | None, predicates: Sequence[str] | None = None
) -> r.Relation:
    """The rows of a table or query. `predicates`: conditions in the database's SQL, one a partition.

    Raises IllegalArgumentException for options that don't fit together, AnalysisException for what the database refuses.
    """
    url = url_of(options)
    table, query = options.get("dbtable"), options.get("query")
    if (table is None) == (query is None):
        raise IllegalArgumentException("Option `dbtable` or `query` is required, and only one of them.")
    if query is not None and "partitioncolumn" in options:
        raise IllegalArgumentException(
            "Options `query` and `partitionColumn` can not be specified together: use `dbtable` with a query in parentheses."
        )
    source = table if table is not None else f"({query}) quiver_query"
    if table is not None and re.fullmatch(r"\s*\(.*\)\s*", table, re.DOTALL):
        source = f"{table} quiver_query"
    before = options.get("sessioninitstatement", "")
    plain = table if table is not None and _PLAIN.fullmatch(table) else None
    try:
        found = columns_of(url, source, plain, before)
        check_names_differ((name for name, _ in found), source)
        held = t.StructType([t.StructField(name, spark_type(kind)) for name, kind in found])
        zone = session.conf.zone()
        reader = Database(url, source, before, int(options.get("fetchsize", "0")) or 8192, zone=zone)
        asked = t.DataType.fromDDL(options["customschema"]) if "customschema" in options else wanted
        if options.get("prefertimestampntz", "false").lower() == "true":
            held = t.StructType(
                [t.StructField(f.name, t.TimestampNTZType() if f.dataType == t.TimestampType() else f.dataType) for f in held]
            )
        held = _with_types(held, asked)
        parts = [Query(each) for each in predicates] if predicates else partitions(options, held, _quoter(url))
    except DatabaseFailed as problem:
        raise AnalysisException(problem.message.removeprefix("[FAILED_JDBC] "), "FAILED_JDBC") from None
    columns = tuple(Attribute(session._state.new_id(), field.name, field.dataType, True) for field in held)
    pushes = options.get("pushdownpredicate", "true").lower() == "true"
    push = Pushing(reader, tuple(parts), columns, _quoter(url)) if pushes else None
    return r.Sourced("jdbc", reader, tuple(parts), columns, None, push=push)


def url_of(options: Mapping[str, str]) -> str:
    """SQLAlchemy's URL: `jdbc:` in front is taken away, and `user` and `password` are put in. Raises IllegalArgumentException."""
    from quiver_proto.sources.packages import needed

    sqlalchemy = needed("sqlalchemy", "sqlalchemy", "jdbc", "Reading databases")
    given = options.get("url")
    if not given:
        raise IllegalArgumentException("Option `url` is required.")
    text = given.removeprefix("jdbc:")
    if text.startswith("sqlite:") and not text.startswith("sqlite://"):
        text = "sqlite:///" + text.removeprefix("sqlite:")
    try:
        url = sqlalchemy.engine.make_url(text)
    except (sqlalchemy.exc.ArgumentError, ValueError):
        raise IllegalArgumentException("Option `url` is no URL of a database such as postgresql://host/name or sqlite:///path.") from None
    if url.get_backend_name() == "sqlite":  # A file, which lets everyone in.
        return str(url.set(username=None, password=None).render_as_string(hide_password=False))
    if "user" in options:
        url = url.set(username=options["user"])
    if "password" in options:
        url = url.set(password=options["password"])
    return str(url.render_as_string(hide_password=False))


def _quoter(url: str) -> Callable[[str], str]:
    quote: Callable[[str], str] = engine_of(url).dialect.identifier_preparer.quote
    return quote


def _with_types(held: t.StructType, asked: t.DataType | None) -> t.StructType:
    if not isinstance(asked, t.StructType):
        return held
    kinds = {field.name.lower(): field.dataType for field in asked}
    return t.StructType([t.StructField(field.name, kinds.get(field.name.lower(), field.dataType)) for field in held])


def partitions(options: Mapping[str, str], held: t.StructType, quote: Callable[[str], str]) -> list[Query]:
    """One condition a partition: strides of a numeric, date or timestamp column, of which the first has the nulls too."""
    names = ("partitioncolumn", "lowerbound", "upperbound")
    given = [name for name in names if name in options]
    if not given:
        return [Query()]
    if len(given) < 3 or "numpartitions" not in options:
        raise IllegalArgumentException(
            "When reading JDBC data sources, users need to specify all or none for the following options: 'partitionColumn', "
            "'lowerBound', 'upperBound', and 'numPartitions'."
        )
    column, low_text, high_text = (options[name] for name in names)
    field = next((field for field in held if field.name.lower() == column.strip('"`').lower()), None)
    if field is None:
        raise AnalysisException(
            f"User-defined partition column {column} not found in the JDBC relation: {held.simpleString()}.", "UNRESOLVED_COLUMN"
        )
    if not isinstance(field.dataType, t.NumericType | t.DateType | t.TimestampType):
        raise AnalysisException(f"Partition column type should be numeric, date, or timestamp, but {field.dataType.simpleString()} found.")
    try:
        low, high = _bound(low_text, field.dataType), _bound(high_text, field.dataType)
        count = int(options["numpartitions"])
    except (ValueError, ArithmeticError):
        raise IllegalArgumentException(
            f"lowerBound, upperBound and numPartitions don't fit a column of type {field.dataType.simpleString()}: {low_text!r}, "
            f"{high_text!r}, {options['numpartitions']!r}."
        ) from None
    if low > high:
        raise IllegalArgumentException(
            f"Operation not allowed: the lower bound of partitioning column is larger than the upper bound. Lower bound: {low_text}; "
            f"Upper bound: {high_text}."
        )
    written = quote(field.name)
    bounds = list(dict.fromkeys(low + (high - low) * number // max(1, count) for number in range(1, count)))
    if isinstance(field.dataType, t.IntegralType):
        bounds = [bound for bound in bounds if low < bound <= high]
    if not bounds:
        return [Query()]
    result = [Query(f"{written} < :upper OR {written} IS NULL", (("upper", _value(bounds[0], field.dataType)),))]
    for lower, upper in itertools.pairwise(bounds):
        values = (("lower", _value(lower, field.dataType)), ("upper", _value(upper, field.dataType)))
        result.append(Query(f"{written} >= :lower AND {written} < :upper", values))
    result.append(Query(f"{written} >= :lower", (("lower", _value(bounds[-1], field.dataType)),)))
    return result


_EPOCH = datetime.datetime(1970, 1, 1)


def _bound(text: str, kind: t.DataType) -> Any:
    """A number to reckon with."""
    if isinstance(kind, t.DateType):
        return datetime.date.fromisoformat(text).toordinal()
    if isinstance(kind, t.TimestampType):
        return (datetime.datetime.fromisoformat(text) - _EPOCH) // datetime.timedelta(microseconds=1)
    return int(Decimal(text)) if isinstance(kind, t.IntegralType) else Decimal(text)


def _value(bound: Any, kind: t.DataType) -> Any:
    if isinstance(kind, t.DateType):
        return datetime.date.fromordinal(bound).isoformat()
    if isinstance(kind, t.TimestampType):
        return (_EPOCH + datetime.timedelta(microseconds=bound)).isoformat(" ")
    return float(bound) if isinstance(bound, Decimal) else bound


class Pushing:
    """What a database can do of a query: leave out columns, and rows by conditions that it is sure to take as Spark does."""

    def __init__(self, reader: Database, parts: tuple[Query, ...], columns: tuple[Attribute, ...], quote: Callable[[str], str]) -> None:
        self._reader = reader
        self._parts = parts
        self._columns = {column.id: column for column in columns}
        self._quote = quote

    def __call__(self, wanted: frozenset[str], conditions: Iterable[e.Expression]) -> tuple[Database, tuple[Query, ...]]:
        """The reader and its parts; those of `wanted` it reads anyway."""
        from dataclasses import replace

        values: list[tuple[str, Any]] = []
        texts = [text for each in conditions if (text := self._written(each, values)) is not None]
        return replace(self._reader, condition=" AND ".join(texts), values=tuple(values)), self._parts

    def _written(self, condition: e.Expression, values: list[tuple[str, Any]]) -> str | None:
        compared = comparison(condition)
        if compared is None or compared.column.id not in self._columns:
            return None
        written = self._quote(self._columns[compared.column.id].name)
        if compared.operator in ("isnull", "isnotnull"):
            return f"{written} IS {'NOT ' if compared.operator == 'isnotnull' else ''}NULL"
        # How texts are ordered, and which are equal beyond equality, is the database's own business.
        if not _comparable(compared.column.type, compared.value, compared.operator):
            return None
        name = f"pushed_{len(values)}"
        values.append((name, compared.value))
        return f"{written} {compared.operator} :{name}"


def _comparable(kind: t.DataType, value: Any, operator: str) -> bool:
    if isinstance(value, bool):
        return False
    if isinstance(kind, t.IntegralType):
        return isinstance(value, int) and -(2**63) <= value < 2**63
    if isinstance(kind, t.DoubleType):
        return isinstance(value, int | float) and value == value
    return isinstance(kind, t.StringType) and isinstance(value, str) and operator == "="
