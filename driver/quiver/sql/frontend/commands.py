"""Commands on tables and views: made, filled, altered, kept and dropped at once."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from sqlglot import expressions as g
from sqlglot.expressions.core import Expression as Node

from quiver.callsite import capture
from quiver.sql import types as t
from quiver.sql.errors import AnalysisException, UnsupportedOperationException
from quiver.sql.frontend.altering import alter, pairs
from quiver.sql.frontend.copying import copy_to
from quiver.sql.frontend.defaults import defaults_of, with_defaults
from quiver.sql.frontend.dialect import unsupported
from quiver.sql.frontend.nodes import CopyTo
from quiver.sql.frontend.queries import Query
from quiver.sql.frontend.results import nothing
from quiver.sql.frontend.settings import create_function, drop_function, name_of
from quiver.sql.frontend.types import column_of
from quiver.sql.metastore import CATALOG, Buckets, Default, Table
from quiver.sql.table_writes import TableSpec, create_as, insert_into, name_parts
from quiver.sql.tree import expressions as e
from quiver.sql.tree import relations as r

if TYPE_CHECKING:
    from quiver.sql.session import Session

Command = Callable[["Session", Query, Any, str], r.Relation]


def of(node: Node) -> Command | None:
    """How to run a statement; None for queries. Raises ParseException for one that is not supported."""
    match node:
        case g.Create(kind=str() as kind):
            return {"VIEW": _create_view, "TABLE": _create_table, "FUNCTION": create_function}.get(kind.upper(), _unsupported)
        case g.Insert():
            return _insert
        case CopyTo():
            return copy_to
        case g.Drop():
            return _drop
        case g.Cache():
            return _cache
        case g.Uncache():
            return _uncache
        case g.Refresh():
            return _refresh
        case g.TruncateTable():
            return _truncate
        case g.Alter():
            return alter
        case g.Analyze():
            return _analyze
        case g.Comment():
            return _comment
        case g.Delete() | g.Update() | g.Merge():
            return _change
        case g.Create() | g.Command() | g.DDL() | g.LoadData() | g.MultitableInserts() | g.Set() | g.Use() | g.Describe():
            return _unsupported
        case _:
            return None


def _change(session: Session, query: Query, node: Node, text: str) -> r.Relation:
    """Of rows of a table, which are files here. Raises what is wrong with the statement first."""
    target = node.this if isinstance(node.this, g.Table) else node.find(g.Table)
    assert target is not None
    name, source = name_of(target), node.args.get("using")
    relation = session._table(tuple(name_parts(name)))
    if isinstance(source, g.Table):
        session._table(tuple(name_parts(name_of(source))))
    where = node.args.get("where")
    if where is not None and isinstance(node, g.Delete | g.Update):
        alias = session._state.analyser.alias(relation, target.alias) if target.alias else relation
        session._state.analyser.filter(alias, query.reader(alias.output).read(where.this))
    operation = {g.Delete: "DELETE", g.Update: "UPDATE TABLE", g.Merge: "MERGE INTO TABLE"}[type(node)]
    quoted = ".".join(f"`{part}`" for part in name_parts(name))
    kind = AnalysisException if isinstance(node, g.Delete) else UnsupportedOperationException
    raise kind(
        f"The feature is not supported: Table {quoted} does not support {operation}. Write the rows that it is to have with INSERT "
        "OVERWRITE or `df.write`.",
        "UNSUPPORTED_FEATURE.TABLE_OPERATION",
    )


def _unsupported(session: Session, query: Query, node: Node, text: str) -> r.Relation:
    raise unsupported("this statement", node)


# ---- CREATE ----


def _properties(node: g.Create) -> dict[type[Any], Any]:
    listed = node.args.get("properties")
    return {type(item): item for item in (listed.expressions if listed is not None else [])}


def _options(properties: Mapping[type[Any], Any]) -> dict[str, str]:
    options = properties.get(g.OptionsProperty)
    return {} if options is None else pairs(options.expressions)


def _table_properties(node: g.Create) -> dict[str, str]:
    listed = node.args.get("properties")
    return pairs(item for item in (listed.expressions if listed is not None else []) if type(item) is g.Property)


def _comment_of(properties: Mapping[type[Any], Any]) -> str | None:
    found = properties.get(g.SchemaCommentProperty)
    return None if found is None else str(found.this.name)


def _provider(session: Session, properties: Mapping[type[Any], Any]) -> str:
    found = properties.get(g.FileFormatProperty)
    if found is None:
        return str(session.conf.get("spark.sql.sources.default", "parquet"))
    return str(found.this.name if isinstance(found.this, Node) else found.this).lower()


def _head(node: g.Create) -> tuple[g.Table, list[Node]]:
    """(the name, the columns)."""
    if isinstance(node.this, g.Schema):
        return node.this.this, list(node.this.expressions)
    return node.this, []


def _create_view(session: Session, query: Query, node: g.Create, text: str) -> r.Relation:
    properties = _properties(node)
    table, columns = _head(node)
    parts = list(name_parts(name_of(table)))
    temporary, everywhere = g.TemporaryProperty in properties, g.GlobalProperty in properties
    if node.expression is None:
        if not temporary and g.FileFormatProperty not in properties:
            raise unsupported("CREATE VIEW without a query", node)
        reader = session.read.format(_provider(session, properties)).options(**_options(properties))
        if columns:
            reader = reader.schema(t.StructType([column_of(column) for column in columns]))
        relation = reader.load()._relation
    else:
        relation = query.read(node.expression)
        relation = _renamed(session, relation, columns, parts[-1])
    df = session._dataframe(relation)
    if temporary or everywhere:
        if len(parts) > 1 and not (everywhere and parts[0].lower() == "global_temp"):
            raise AnalysisException(
                f"`{'`.`'.join(parts)}` is not a valid name for a temporary view.", "TEMP_VIEW_NAME_TOO_MANY_NAME_PARTS"
            )
        quoted = f"`{parts[-1]}`"
        known = session._state.store.global_views if everywhere else session._state.views
        if node.args.get("exists") and parts[-1].lower() in known:
            return nothing()
        if everywhere:
            (df.createOrReplaceGlobalTempView if node.args.get("replace") else df.createGlobalTempView)(quoted)
        else:
            (df.createOrReplaceTempView if node.args.get("replace") else df.createTempView)(quoted)
        return nothing()
    database, name = (parts[0], parts[-1]) if len(parts) > 1 else (session._state.database, parts[-1])
    existing = session._state.store.table(database, name)
    if existing is not None and existing.view is None and node.args.get("replace"):
        raise AnalysisException(f"{existing.full_name} is a table: a view is expected.", "EXPECT_VIEW_NOT_TABLE.NO_ALTERNATIVE")
    body = node.expression.sql(dialect="spark") if node.expression is not None else ""
    view = Table(
        database, name.lower(), df.schema, view=relation, text=body, description=_comment_of(properties), properties=_table_properties(node)
    )
    session._state.store.create_table(view, if_not_exists=bool(node.args.get("exists")), replace=bool(node.args.get("replace")))
    return nothing()


def _renamed(session: Session, relation: r.Relation, columns: list[Node], name: str) -> r.Relation:
    if not columns:
        return relation
    if len(columns) != len(relation.output):
        raise AnalysisException(
            f"Cannot create view `{name}`, the reason is that it names {len(columns)} columns of a query that has {len(relation.output)}.",
            "CREATE_VIEW_COLUMN_ARITY_MISMATCH",
        )
    items: list[e.Expression] = []
    for column, attribute in zip(columns, relation.output, strict=True):
        comments = [c.kind.this.name for c in column.args.get("constraints") or [] if isinstance(c.kind, g.CommentColumnConstraint)]
        metadata = (*attribute.metadata, *(("comment", text) for text in comments))
        items.append(e.Alias(attribute, column.name, metadata=metadata))
    return session._state.analyser.project(relation, items)


def _create_table(session: Session, query: Query, node: g.Create, text: str) -> r.Relation:
    properties = _properties(node)
    table, columns = _head(node)
    parts = list(name_parts(name_of(table)))
    options = _options(properties)
    location = properties.get(g.LocationProperty)
    folder = location.this.name if location is not None else options.pop("path", "")
    keys = properties.get(g.PartitionedByProperty)
    listed = [] if keys is None else list(keys.this.expressions)
    partition_by = tuple(item.name for item in listed)
    for item in listed:
        if not isinstance(item, g.Identifier | g.Column | g.ColumnDef):
            raise unsupported("PARTITIONED BY of a function", node)
    buckets = _buckets(properties)
    provider = _provider(session, properties)
    spec = TableSpec(provider, options, partition_by, buckets, folder, _table_properties(node), _comment_of(properties))
    if node.expression is not None:
        mode = "overwrite" if node.args.get("replace") else "ignore" if node.args.get("exists") else "error"
        create_as(session, parts, query.read(node.expression), spec, mode, capture())
        return nothing()
    database, name = (parts[0], parts[-1]) if len(parts) > 1 else (session._state.database, parts[-1])
    existing = session._state.store.table(database, name)
    if existing is not None and node.args.get("exists"):
        return nothing()
    like = properties.get(g.LikeProperty)
    defaults: Mapping[str, Default] = {}
    if like is not None:
        of_other = query.catalogue.table(tuple(part.name for part in like.this.parts))
        stored = session._state.stored(tuple(part.name for part in like.this.parts))
        fields = list(stored.schema) if stored is not None else [t.StructField(c.name, c.type) for c in of_other.output]
        partition_by = stored.partition_columns if stored is not None else ()
        defaults = stored.defaults if stored is not None else {}
        provider = stored.provider if stored is not None and g.FileFormatProperty not in properties else provider
    else:
        written = [*columns, *(item for item in listed if isinstance(item, g.ColumnDef))]
        fields = [column_of(column) for column in written]
        defaults = defaults_of(query, written, f"`{CATALOG}`.`{database}`.`{name}`")
    if not fields and (folder or provider in session._state.data_sources):
        fields = list(session.read.format(provider).options(**options).load(folder or None).schema)
    schema = _arranged(fields, partition_by)
    if existing is not None and node.args.get("replace"):
        session._state.store.drop_table(database, name)
    made = Table(
        database, name.lower(), schema, provider, folder or session._state.store.folder(database, name), bool(folder), partition_by,
        options, _table_properties(node), _comment_of(properties), buckets=buckets, defaults=defaults,
    )  # fmt: skip
    session._state.store.create_table(made)
    return nothing()


def _arranged(fields: list[t.StructField], keys: tuple[str, ...]) -> t.StructType:
    """Partition columns last."""
    by_name = {field.name.lower(): field for field in fields}
    for key in keys:
        if key.lower() not in by_name:
            raise AnalysisException(
                f"Couldn't find column `{key}` in: {', '.join(field.name for field in fields)}.", "COLUMN_NOT_DEFINED_IN_TABLE"
            )
    last = [by_name[key.lower()] for key in keys]
    return t.StructType([*(field for field in fields if field not in last), *last])


def _buckets(properties: Mapping[type[Any], Any]) -> Buckets | None:
    found = properties.get(g.ClusteredByProperty)
    if found is None:
        return None
    sort = tuple(item.this.name if isinstance(item, g.Ordered) else item.name for item in found.args.get("sorted_by") or [])
    return Buckets(int(found.args["buckets"].name), tuple(item.name for item in found.expressions), sort)


# ---- INSERT ----


def _insert(session: Session, query: Query, node: g.Insert, text: str) -> r.Relation:
    target, columns = node.this, ()
    if isinstance(target, g.Schema):
        columns = tuple(item.name for item in target.expressions)
        target = target.this
    if not isinstance(target, g.Table) or node.args.get("where") is not None or node.args.get("conflict") is not None:
        raise unsupported("this form of INSERT", node)
    source = node.expression or node.args.get("source")
    if source is None:
        raise unsupported("INSERT without rows", node)
    with_ = node.args.get("with_")
    if with_ is not None and source.args.get("with_") is None:
        source = source.copy()
        source.set("with_", with_.copy())
    parts = name_parts(name_of(target))
    stored = session._state.stored(parts) if session._state.temporary(parts) is None else None
    relation = query.read(source if stored is None else with_defaults(source, stored, columns))
    partition: dict[str, e.Expression | None] = {}
    written = node.args.get("partition") or target.args.get("partition")
    for item in written.expressions if written is not None else []:
        if isinstance(item, g.EQ):
            partition[item.this.name] = query.reader(()).read(item.expression)
        else:
            partition[item.name] = None
    insert_into(
        session, parts, relation, capture(), overwrite=bool(node.args.get("overwrite")),
        by_name=bool(node.args.get("by_name")), columns=columns, partition=partition or None,
    )  # fmt: skip
    return nothing()


# ---- DROP, kept rows, REFRESH, TRUNCATE, ANALYZE ----


def _drop(session: Session, query: Query, node: g.Drop, text: str) -> r.Relation:
    exists, kind = bool(node.args.get("exists")), str(node.args.get("kind") or "").upper()
    for table in node.args.get("tables") or [node.this]:
        if kind == "FUNCTION":
            drop_function(session, table.name, exists)
        elif kind == "VIEW":
            session.catalog.dropView(name_of(table), exists)
        elif kind == "TABLE":
            parts = list(name_parts(name_of(table)))
            if session._state.temporary(parts) is not None:
                session.catalog.dropView(name_of(table), exists)
            else:
                session.catalog.dropTable(name_of(table), exists)
        else:
            raise unsupported("DROP of this", node)
    return nothing()


def _cache(session: Session, query: Query, node: g.Cache, text: str) -> r.Relation:
    name = name_of(node.this)
    if node.expression is not None:
        session._dataframe(query.read(node.expression)).createTempView(name)
    options = [item.name for item in node.args.get("options") or []]
    from quiver_proto.storage import StorageLevel

    level = None
    for key, value in zip(options[::2], options[1::2], strict=False):
        if key.lower() == "storagelevel":
            level = getattr(StorageLevel, value.upper(), None)
            if not isinstance(level, StorageLevel):
                raise AnalysisException(f"Invalid StorageLevel: {value}.", "INVALID_STORAGE_LEVEL")
    session.catalog.cacheTable(name, level)
    if not node.args.get("lazy"):
        session.table(name).count()
    return nothing()


def _uncache(session: Session, query: Query, node: g.Uncache, text: str) -> r.Relation:
    name = name_of(node.this)
    if node.args.get("exists") and not session.catalog.tableExists(name):
        return nothing()
    session.catalog.uncacheTable(name)
    return nothing()


def _refresh(session: Session, query: Query, node: g.Refresh, text: str) -> r.Relation:
    if isinstance(node.this, g.Literal):
        session.catalog.refreshByPath(node.this.name)
    elif str(node.args.get("kind") or "TABLE").upper() == "TABLE":
        session.catalog.refreshTable(name_of(node.this))
    return nothing()


def _truncate(session: Session, query: Query, node: g.TruncateTable, text: str) -> r.Relation:
    if node.args.get("partition") is not None:
        raise unsupported("TRUNCATE of a partition", node)
    for table in node.expressions:
        session.catalog.truncateTable(name_of(table))
    return nothing()


def _analyze(session: Session, query: Query, node: g.Analyze, text: str) -> r.Relation:
    """Sizes are looked up whenever files are read: only the names are checked."""
    for table in node.args.get("tables") or ([node.this] if isinstance(node.this, g.Table) else []):
        session.catalog.analyzeTable(name_of(table))
    return nothing()


# ---- ALTER ----


def _comment(session: Session, query: Query, node: g.Comment, text: str) -> r.Relation:
    if str(node.args.get("kind") or "").upper() != "TABLE" or not isinstance(node.this, g.Table):
        raise unsupported("COMMENT ON this", node)
    stored = session._state.stored_or_raise(name_parts(name_of(node.this)))
    said = None if isinstance(node.expression, g.Null) else node.expression.name
    session._state.store.create_table(replace(stored, description=said), replace=True)
    return nothing()
