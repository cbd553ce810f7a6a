"""SHOW, DESCRIBE and EXPLAIN: they are read by their words, as sqlglot leaves most of them alone."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import TYPE_CHECKING

from quiver.redacting import shown
from quiver.sql import types as t
from quiver.sql.errors import AnalysisException
from quiver.sql.explaining import explained
from quiver.sql.frontend.dialect import last_part, parsed, unsupported
from quiver.sql.frontend.results import rows
from quiver.sql.tree import relations as r

if TYPE_CHECKING:
    from quiver.sql.frontend.queries import Query
    from quiver.sql.session import Session

_NAME = r"(?:`[^`]+`|[\w-]+)(?:\.(?:`[^`]+`|[\w-]+))*"
_LIKE = r"""(?:\s+(?:LIKE\s+)?(?:'(?P<pattern>[^']*)'|"(?P<pattern2>[^"]*)"))?"""
_IN = rf"(?:\s+(?:IN|FROM)\s+(?P<database>{_NAME}))?"
Inspection = Callable[["Session", "Query", re.Match[str]], r.Relation]


def _pattern(found: re.Match[str]) -> str | None:
    return found["pattern"] if found["pattern"] is not None else found["pattern2"]


def _tables(session: Session, query: Query, found: re.Match[str]) -> r.Relation:
    listed = session.catalog.listTables(found["database"], _pattern(found))
    told = [((table.namespace or [""])[0], table.name, table.isTemporary) for table in listed]
    return rows(session, ("namespace", "tableName", "isTemporary"), told, ("isTemporary",))


def _views(session: Session, query: Query, found: re.Match[str]) -> r.Relation:
    listed = session.catalog.listViews(found["database"], _pattern(found))
    told = [((table.namespace or [""])[0], table.name, table.isTemporary) for table in listed]
    return rows(session, ("namespace", "viewName", "isTemporary"), told, ("isTemporary",))


def _functions(session: Session, query: Query, found: re.Match[str]) -> r.Relation:
    names = {function.name for function in session.catalog.listFunctions(pattern=_pattern(found))}
    wanted = _pattern(found)
    own = (name for name in session._state.routines if wanted is None or re.fullmatch(wanted.replace("*", ".*"), name, re.IGNORECASE))
    which = (found["which"] or "ALL").upper()
    chosen = {"USER": set(own), "SYSTEM": names}.get(which) if which != "ALL" else names | set(own)
    return rows(session, ("function",), ((name,) for name in sorted(chosen or ())))


def _columns(session: Session, query: Query, found: re.Match[str]) -> r.Relation:
    name = found["table"] if found["database"] is None else f"{found['database']}.{found['table']}"
    return rows(session, ("col_name",), ((column.name,) for column in session.catalog.listColumns(name)))


def _databases(session: Session, query: Query, found: re.Match[str]) -> r.Relation:
    return rows(session, ("namespace",), ((one.name,) for one in session.catalog.listDatabases(_pattern(found))))


def _catalogs(session: Session, query: Query, found: re.Match[str]) -> r.Relation:
    return rows(session, ("catalog",), ((one.name,) for one in session.catalog.listCatalogs(_pattern(found))))


def _create_table(session: Session, query: Query, found: re.Match[str]) -> r.Relation:
    return rows(session, ("createtab_stmt",), [(session.catalog.getCreateTableString(found["table"]),)])


def _partitions(session: Session, query: Query, found: re.Match[str]) -> r.Relation:
    return rows(session, ("partition",), ((one.partition,) for one in session.catalog.listPartitions(found["table"])))


def _properties(session: Session, query: Query, found: re.Match[str]) -> r.Relation:
    known = session.catalog.getTableProperties(found["table"])
    key = found["key"]
    if key is not None:
        told = shown(key, known[key]) if key in known else f"Table {found['table']} does not have property: {key}"
        return rows(session, ("key", "value"), [(key, told)])
    return rows(session, ("key", "value"), sorted((name, shown(name, value)) for name, value in known.items()))


def _describe_function(session: Session, query: Query, found: re.Match[str]) -> r.Relation:
    name = found["table"].strip("`'\"")
    if name.lower() in session._state.routines:
        return rows(session, ("function_desc",), [(f"Function: {name}",), ("Type: SCALAR",)])
    function = session.catalog.getFunction(name)
    from quiver.sql import functions

    text = (getattr(functions, function.name, None).__doc__ or "") if hasattr(functions, function.name) else ""
    usage = text.strip().split("\n\n")[0].replace("\n", " ") or "no description"
    return rows(session, ("function_desc",), [(f"Function: {function.name}",), (f"Usage: {usage}",)])


def _describe_database(session: Session, query: Query, found: re.Match[str]) -> r.Relation:
    known = session._state.store.database(last_part(found["table"]))
    told = [("Catalog Name", "spark_catalog"), ("Namespace Name", known.name), ("Comment", known.description), ("Location", known.location)]
    if found["extended"]:
        told.append(("Properties", ", ".join(f"({key},{value})" for key, value in sorted(known.properties.items()))))
    return rows(session, ("info_name", "info_value"), told)


def _describe_query(session: Session, query: Query, found: re.Match[str]) -> r.Relation:
    relation = query.read(parsed(found["query"]))
    return rows(session, ("col_name", "data_type", "comment"), _columns_of(relation))


def _columns_of(relation: r.Relation) -> list[tuple[str, str, str | None]]:
    return [(column.name, column.type.simpleString(), dict(column.metadata).get("comment")) for column in relation.output]


def _describe_table(session: Session, query: Query, found: re.Match[str]) -> r.Relation:
    parts = tuple(part.strip("`") for part in re.findall(r"`[^`]+`|[^.]+", found["table"]))
    relation = query.catalogue.table(parts)
    stored = None if session._state.temporary(parts) is not None else session._state.stored(parts)
    kinds: list[t.StructField] = list(stored.schema) if stored is not None else []
    told: list[tuple[str, str, str | None]] = (
        [(f.name, f.dataType.simpleString(), f.metadata.get("comment")) for f in kinds] if kinds else _columns_of(relation)
    )
    if found["column"]:
        wanted = found["column"].strip("`").lower()
        chosen = [one for one in told if one[0].lower() == wanted]
        if not chosen:
            from quiver.sql.errors import column_not_found

            raise column_not_found(found["column"], (one[0] for one in told))
        name, kind, comment = chosen[0]
        pairs = [("col_name", name), ("data_type", kind), ("comment", comment or "NULL")]
        return rows(session, ("info_name", "info_value"), pairs)
    if stored is not None and stored.partition_columns:
        told += [("# Partition Information", "", ""), ("# col_name", "data_type", "comment")]
        told += [(f.name, f.dataType.simpleString(), f.metadata.get("comment")) for f in kinds if f.name in stored.partition_columns]
    if stored is not None and stored.defaults:
        told += [("", "", ""), ("# Column Default Values", "", "")]
        told += [(f.name, f.dataType.simpleString(), stored.defaults[f.name].text) for f in kinds if f.name in stored.defaults]
    if found["extended"] and stored is not None:
        told += [
            ("", "", ""), ("# Detailed Table Information", "", ""), ("Catalog", "spark_catalog", ""), ("Database", stored.database, ""),
            ("Table", stored.name, ""), ("Type", stored.kind, ""), ("Provider", stored.provider, ""),
        ]  # fmt: skip
        if stored.description:
            told.append(("Comment", stored.description, ""))
        if stored.view is None:
            told.append(("Location", stored.location, ""))
        else:
            told.append(("View Text", stored.text, ""))
    return rows(session, ("col_name", "data_type", "comment"), told)


def _explain(session: Session, query: Query, found: re.Match[str]) -> r.Relation:
    from quiver.sql.frontend import commands

    mode = (found["mode"] or "simple").lower()
    statement = parsed(found["query"])
    if commands.of(statement) is not None:
        raise unsupported("EXPLAIN of a command", statement)
    return rows(session, ("plan",), [(explained(query.read(statement), session._state.runtime, mode),)])


_WORDS: tuple[tuple[str, Inspection], ...] = (
    (rf"SHOW\s+TABLES{_IN}{_LIKE}", _tables),
    (rf"SHOW\s+VIEWS{_IN}{_LIKE}", _views),
    (rf"SHOW\s+(?:(?P<which>USER|SYSTEM|ALL)\s+)?FUNCTIONS(?:\s+(?:IN|FROM)\s+{_NAME})?{_LIKE}", _functions),
    (rf"SHOW\s+COLUMNS\s+(?:IN|FROM)\s+(?P<table>{_NAME}){_IN}", _columns),
    (rf"SHOW\s+(?:DATABASES|SCHEMAS|NAMESPACES)(?:\s+(?:IN|FROM)\s+{_NAME})?{_LIKE}", _databases),
    (rf"SHOW\s+CATALOGS{_LIKE}", _catalogs),
    (rf"SHOW\s+CREATE\s+TABLE\s+(?P<table>{_NAME})(?:\s+AS\s+SERDE)?", _create_table),
    (rf"SHOW\s+PARTITIONS\s+(?P<table>{_NAME})", _partitions),
    (rf"SHOW\s+TBLPROPERTIES\s+(?P<table>{_NAME})(?:\s*\(\s*['\"]?(?P<key>[\w.]+)['\"]?\s*\))?", _properties),
    (rf"DESC(?:RIBE)?\s+FUNCTION\s+(?:EXTENDED\s+)?(?P<table>{_NAME}|'[^']+')", _describe_function),
    (rf"DESC(?:RIBE)?\s+(?:DATABASE|SCHEMA|NAMESPACE)\s+(?P<extended>EXTENDED\s+)?(?P<table>{_NAME})", _describe_database),
    (r"DESC(?:RIBE)?\s+(?:QUERY\s+)?(?P<query>(?:SELECT|WITH|VALUES|(?<=QUERY\s)TABLE|FROM|\()\b.*|\(.*)", _describe_query),
    (
        rf"DESC(?:RIBE)?\s+(?:TABLE\s+)?(?P<extended>(?:EXTENDED|FORMATTED)\s+)?(?P<table>{_NAME})(?:\s+(?P<column>{_NAME}))?",
        _describe_table,
    ),
    (r"EXPLAIN\s+(?:(?P<mode>EXTENDED|FORMATTED|COST|CODEGEN)\s+)?(?P<query>.+)", _explain),
)
_READ = tuple((re.compile(words + r"\s*;?\s*", re.IGNORECASE | re.DOTALL), inspection) for words, inspection in _WORDS)


def inspection_of(text: str) -> Callable[[Session, Query], r.Relation] | None:
    """How to answer a SHOW, DESCRIBE or EXPLAIN; None for other statements. Raises AnalysisException for one that is not known."""
    start = text.lstrip()
    first = re.match(r"\w*", start)
    if first is None or first[0].upper() not in ("SHOW", "DESC", "DESCRIBE", "EXPLAIN"):
        return None
    for words, inspection in _READ:
        found = words.fullmatch(start)
        if found is not None:
            return lambda session, query: inspection(session, query, found)
    raise AnalysisException(f"The statement is not supported: {start}", "UNSUPPORTED_FEATURE")
