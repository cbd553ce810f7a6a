"""SET, RESET, USE, databases, variables and functions of a session, and statements that are known by their words."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from sqlglot import expressions as g
from sqlglot.expressions.core import Expression as Node

from quiver.redacting import shown
from quiver.sql import types as t
from quiver.sql.analysis.scopes import substituted
from quiver.sql.errors import AnalysisException, ParseException, SparkNoSuchElementException
from quiver.sql.frontend.call_arguments import placed
from quiver.sql.frontend.constants import folded
from quiver.sql.frontend.dialect import last_part, parsed, unsupported
from quiver.sql.frontend.expressions import Routine
from quiver.sql.frontend.results import nothing, rows
from quiver.sql.frontend.types import type_of_node
from quiver.sql.tree import expressions as e
from quiver.sql.tree import relations as r

if TYPE_CHECKING:
    from quiver.sql.frontend.queries import Query
    from quiver.sql.session import Session

_NAME = r"(?:`[^`]+`|\w+)(?:\.(?:`[^`]+`|\w+))*"
Worded = Callable[["Session", "Query", re.Match[str]], r.Relation]


def _zone(session: Session, query: Query, found: re.Match[str]) -> r.Relation:
    key, name = "spark.sql.session.timeZone", found["zone"] or found["zone2"]
    if name is None:
        session.conf.unset(key)
    else:
        session.conf.set(key, name)
    return rows(session, ("key", "value"), [(key, session.conf.zone())])


def _variable(session: Session, query: Query, found: re.Match[str]) -> r.Relation:
    name = last_part(found["name"]).lower()
    known = session._state.analyser.variables.get(name)
    if known is None:
        raise AnalysisException(f"The variable `{name}` cannot be found.", "UNRESOLVED_VARIABLE")
    session._state.analyser.variables[name] = _evaluated(session, query, found["value"], known.type)
    return nothing()


def _declare(session: Session, query: Query, found: re.Match[str]) -> r.Relation:
    name = last_part(found["name"]).lower()
    if name in session._state.analyser.variables and not found["replace"]:
        raise AnalysisException(f"Cannot create the variable `{name}` because it already exists.", "VARIABLE_ALREADY_EXISTS")
    kind = t.DataType.fromDDL(found["type"]) if found["type"] else None
    session._state.analyser.variables[name] = _evaluated(session, query, found["value"] or "NULL", kind)
    return nothing()


def _drop_variable(session: Session, query: Query, found: re.Match[str]) -> r.Relation:
    name = last_part(found["name"]).lower()
    if session._state.analyser.variables.pop(name, None) is None and not found["exists"]:
        raise AnalysisException(f"The variable `{name}` cannot be found.", "VARIABLE_NOT_FOUND")
    return nothing()


def _evaluated(session: Session, query: Query, text: str, kind: t.DataType | None) -> e.Literal:
    relation = query.read(parsed(f"SELECT {text}"))
    if kind is not None:
        relation = session._state.analyser.project(relation, [e.Cast(relation.output[0], kind)])
    return e.Literal(session._dataframe(relation).collect()[0][0], relation.output[0].type)


def _set(session: Session, query: Query, found: re.Match[str]) -> r.Relation:
    key, value = found["key"], found["value"]
    if key is None or key == "-v":
        return rows(session, ("key", "value"), sorted((key, shown(key, value)) for key, value in session.conf.getAll.items()))
    key = key.strip().strip("`")
    if value is None:
        try:
            value = session.conf.get(key)
        except SparkNoSuchElementException:
            value = "<undefined>"
        return rows(session, ("key", "value"), [(key, shown(key, value))])
    value = value.strip()
    if len(value) > 1 and value[0] == value[-1] and value[0] in "'\"`":
        value = value[1:-1]
    session.conf.set(key, value)
    return rows(session, ("key", "value"), [(key, shown(key, value))])


def _reset(session: Session, query: Query, found: re.Match[str]) -> r.Relation:
    if found["key"]:
        session.conf.unset(found["key"].strip("`"))
    else:
        session.conf.reset()
    return nothing()


def _use(session: Session, query: Query, found: re.Match[str]) -> r.Relation:
    session.catalog.setCurrentDatabase(found["name"])
    return nothing()


def _create_database(session: Session, query: Query, found: re.Match[str]) -> r.Relation:
    rest = found["rest"] or ""
    comment, location = (re.search(rf"\b{word}\s+'([^']*)'", rest, re.IGNORECASE) for word in ("COMMENT", "LOCATION"))
    listed = re.search(r"DBPROPERTIES\s*\((.*)\)", rest, re.IGNORECASE | re.DOTALL)
    properties = dict(re.findall(r"'?([\w.]+)'?\s*=\s*'([^']*)'", listed[1])) if listed else {}
    session._state.store.create_database(
        last_part(found["name"]), bool(found["exists"]), location[1] if location else "", comment[1] if comment else "",
        properties,
    )  # fmt: skip
    return nothing()


def _drop_database(session: Session, query: Query, found: re.Match[str]) -> r.Relation:
    session.catalog.dropDatabase(found["name"], bool(found["exists"]), (found["how"] or "").upper() == "CASCADE")
    return nothing()


def _clear_cache(session: Session, query: Query, found: re.Match[str]) -> r.Relation:
    session.catalog.clearCache()
    return nothing()


def _repair(session: Session, query: Query, found: re.Match[str]) -> r.Relation:
    session.catalog.recoverPartitions(found["name"])
    return nothing()


def _immediate(session: Session, query: Query, found: re.Match[str]) -> r.Relation:
    from quiver.sql.frontend.statements import relation_of

    read = query.reader(())
    text = found["text"] if found["text"] is not None else folded(session._state.analyser.resolve(e.Name((found["variable"],)), ()))
    if not isinstance(text, str):
        raise AnalysisException("EXECUTE IMMEDIATE takes a constant string.", "INVALID_EXPR_TYPE_FOR_QUERY_EXECUTE_IMMEDIATE")
    given: Any = None
    if found["args"]:
        items = parsed(f"SELECT {found['args']}").expressions
        named = {item.alias: read.read(item.this) for item in items if isinstance(item, g.Alias)}
        given = named or [read.read(item) for item in items]
    from quiver.sql.column import Column

    if isinstance(given, dict):
        given = {name: Column(value) for name, value in given.items()}
    elif given is not None:
        given = [Column(value) for value in given]
    return relation_of(session, text.replace("''", "'"), given)


def _directory(session: Session, query: Query, found: re.Match[str]) -> r.Relation:
    relation = query.read(parsed(found["query"]))
    writer = session._dataframe(relation).write.mode("overwrite").format(found["format"] or "parquet")
    options = dict(re.findall(r"['\"]?([\w.]+)['\"]?\s*=?\s*'([^']*)'", found["options"] or ""))
    path = found["path"] or options.pop("path", "")
    if not path:
        raise ParseException("INSERT OVERWRITE DIRECTORY needs a path.", "PARSE_SYNTAX_ERROR")
    writer.options(**options).save(path)
    return nothing()


def _script(session: Session, query: Query, found: re.Match[str]) -> r.Relation:
    raise ParseException(
        "The feature is not supported: SQL scripting (BEGIN … END). Run its statements one by one.", "UNSUPPORTED_FEATURE.SQL_SCRIPTING"
    )


_WORDS: tuple[tuple[str, Worded], ...] = (
    (r"SET\s+TIME\s+ZONE\s+(?:LOCAL|'(?P<zone>[^']*)'|\"(?P<zone2>[^\"]*)\")", _zone),
    (rf"SET\s+VAR(?:IABLE)?\s+\(?(?P<name>{_NAME})\)?\s*=\s*(?P<value>.+)", _variable),
    (
        rf"DECLARE\s+(?P<replace>OR\s+REPLACE\s+)?(?:VAR(?:IABLE)?\s+)?(?P<name>{_NAME})"
        r"(?:\s+(?P<type>(?!DEFAULT\b)[A-Za-z][\w<>:, ()]*?))?(?:\s*(?:DEFAULT\b|=)\s*(?P<value>.+?))?",
        _declare,
    ),
    (rf"DROP\s+TEMP(?:ORARY)?\s+VAR(?:IABLE)?\s+(?P<exists>IF\s+EXISTS\s+)?(?P<name>{_NAME})", _drop_variable),
    (r"SET(?:\s+(?P<key>-v|`[^`]+`|[\w.:-]+)(?:\s*=\s*(?P<value>.*))?)?", _set),
    (r"RESET(?:\s+(?P<key>`[^`]+`|[\w.:-]+))?", _reset),
    (rf"USE\s+(?:(?:DATABASE|SCHEMA|NAMESPACE)\s+)?(?P<name>{_NAME})", _use),
    (
        rf"CREATE\s+(?:DATABASE|SCHEMA|NAMESPACE)\s+(?P<exists>IF\s+NOT\s+EXISTS\s+)?(?P<name>{_NAME})(?P<rest>\s+.*)?",
        _create_database,
    ),
    (
        rf"DROP\s+(?:DATABASE|SCHEMA|NAMESPACE)\s+(?P<exists>IF\s+EXISTS\s+)?(?P<name>{_NAME})(?:\s+(?P<how>CASCADE|RESTRICT))?",
        _drop_database,
    ),
    (r"CLEAR\s+CACHE", _clear_cache),
    (rf"MSCK\s+REPAIR\s+TABLE\s+(?P<name>{_NAME})(?:\s+(?:ADD|SYNC)\s+PARTITIONS)?", _repair),
    (
        r"EXECUTE\s+IMMEDIATE\s+(?:'(?P<text>(?:[^']|'')*)'|(?P<variable>\w+))(?:\s+USING\s+\(?(?P<args>.+?)\)?)?",
        _immediate,
    ),
    (
        r"INSERT\s+OVERWRITE\s+(?:LOCAL\s+)?DIRECTORY\s*(?:'(?P<path>[^']*)')?\s*(?:(?:USING|STORED\s+AS)\s+(?P<format>\w+))?\s*"
        r"(?:OPTIONS\s*\((?P<options>[^)]*)\)\s*)?(?P<query>(?:SELECT|WITH|VALUES|TABLE|FROM)\b.*)",
        _directory,
    ),
    (r"BEGIN\b.+", _script),
)
_READ = tuple((re.compile(words + r"\s*;?\s*", re.IGNORECASE | re.DOTALL), worded) for words, worded in _WORDS)
_FIRST = frozenset({"SET", "DECLARE", "DROP", "RESET", "USE", "CREATE", "CLEAR", "MSCK", "EXECUTE", "INSERT", "BEGIN"})


def worded(text: str) -> Callable[[Session, Query], r.Relation] | None:
    """How to run a statement that is known by its words; None for others."""
    start = text.lstrip()
    first = re.match(r"\w*", start)
    if first is None or first[0].upper() not in _FIRST:
        return None
    for words, run in _READ:
        found = words.fullmatch(start)
        if found is not None:
            return lambda session, query: run(session, query, found)
    return None


# ---- functions ----


def create_function(session: Session, query: Query, node: g.Create, text: str) -> r.Relation:
    """CREATE FUNCTION f(x INT, …) RETURNS type RETURN expression: calls become the expression over their arguments."""
    head = node.this
    name = head.this.name if isinstance(head, g.UserDefinedFunction) else head.name
    body = node.expression.this if isinstance(node.expression, g.Return) else node.expression
    if body is None or isinstance(body, g.Query) or not isinstance(head, g.UserDefinedFunction):
        raise unsupported("CREATE FUNCTION other than RETURN of an expression", node)
    properties = node.args.get("properties")
    returned = [item for item in (properties.expressions if properties else []) if isinstance(item, g.ReturnsProperty)]
    if any(item.args.get("is_table") or item.args.get("table") for item in returned):
        raise unsupported("functions that return a table", node)
    key = name.lower()
    if key in session._state.routines and not node.args.get("replace"):
        if node.args.get("exists"):
            return nothing()
        raise AnalysisException(f"Cannot create the routine `{name}` because it already exists.", "ROUTINE_ALREADY_EXISTS")
    kind = type_of_node(returned[0].this) if returned else None
    parameters: list[tuple[str, t.DataType, e.Expression | None]] = []
    for item in head.expressions:
        default = next((c.kind.this for c in item.args.get("constraints") or [] if isinstance(c.kind, g.DefaultColumnConstraint)), None)
        value = None if default is None else query.reader(()).read(default)
        parameters.append((session._state.analyser.fold(item.name), type_of_node(item.args["kind"]), value))
    meaning = query.reader(()).read(body)
    session._state.routines[key] = _routine(session, name, parameters, meaning, kind)
    return nothing()


def _routine(
    session: Session,
    name: str,
    parameters: Sequence[tuple[str, t.DataType, e.Expression | None]],
    body: e.Expression,
    kind: t.DataType | None,
) -> Routine:
    fold = session._state.analyser.fold

    def call(args: Sequence[e.Expression], names: Sequence[str | None]) -> e.Expression:
        found = placed(name, args, names, [key.lower() for key, _, _ in parameters])
        written = (default if value is None else value for value, (_, _, default) in zip(found, parameters, strict=False))
        given = [value for value in written if value is not None]
        if len(args) > len(parameters) or len(given) != len(parameters):
            raise AnalysisException(
                f"The `{name}` requires {len(parameters)} parameters but the actual number is {len(args)}.",
                "WRONG_NUM_ARGS.WITHOUT_SUGGESTION",
            )
        values = {key: e.Cast(value, wanted) for (key, wanted, _), value in zip(parameters, given, strict=True)}

        def meaning(found: e.Name) -> e.Expression | None:
            parts = list(found.parts)
            if len(parts) > 1 and fold(parts[0]) == fold(name):
                del parts[0]
            return values.get(fold(parts[0]))

        result = substituted(body, meaning)
        return result if kind is None else e.Cast(result, kind)

    return call


def drop_function(session: Session, name: str, exists: bool) -> r.Relation:
    """DROP FUNCTION. Raises AnalysisException ROUTINE_NOT_FOUND."""
    if session._state.routines.pop(name.lower(), None) is None and not exists:
        raise AnalysisException(f"The routine `{name}` cannot be found.", "ROUTINE_NOT_FOUND")
    return nothing()


def name_of(node: Node) -> str:
    """A table's name, with backticks where it needs them."""
    return ".".join(f"`{part.name}`" for part in node.parts)  # type: ignore[attr-defined]
