"""Queries in SQL as relations: WITH, set operations, and the clauses of a SELECT in the order of their meaning."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import cast

from sqlglot import expressions as g
from sqlglot.expressions.core import Expression as Node

from quiver.sql import types as t
from quiver.sql.analysis.aggregation import has_aggregate
from quiver.sql.analysis.analyser import Analyser
from quiver.sql.analysis.clauses import check_operator, check_sorted
from quiver.sql.analysis.generators import is_generator
from quiver.sql.analysis.over_groups import Grouped
from quiver.sql.analysis.scopes import drawn_once, is_column, position, substituted, with_earlier_aliases
from quiver.sql.analysis.subqueries import unnested
from quiver.sql.analysis.windowing import is_window
from quiver.sql.errors import AnalysisException, ParseException
from quiver.sql.frontend import datafusion, hints, recursion, sources
from quiver.sql.frontend.dialect import unsupported
from quiver.sql.frontend.expressions import Reader, Surroundings
from quiver.sql.frontend.grouping import grouping_of
from quiver.sql.tree import expressions as e
from quiver.sql.tree import relations as r
from quiver.sql.tree.walking import strip_alias, walk

Tables = Callable[[tuple[str, ...]], r.Relation]
Levels = tuple[tuple[e.Attribute, ...], ...]


@dataclass(frozen=True, slots=True)
class Catalogue:
    """What a query's text refers to: `table` gives what a name stands for, `rounds` computes a recursive query."""

    analyser: Analyser
    table: Tables
    surroundings: Surroundings
    rounds: Callable[[str, r.Relation, r.Relation, r.Round], Callable[[], object]]


class Query:
    """Reads queries. `named` are the WITH queries in sight, `outer` the columns of the queries around, the nearest first."""

    def __init__(self, catalogue: Catalogue, named: dict[str, r.Relation] | None = None, outer: Levels = ()) -> None:
        self.catalogue = catalogue
        self.analyser = catalogue.analyser
        self.named = named or {}
        self.outer = outer
        self.join_hints: dict[str, str] = {}
        """How tables of the FROM being read are to be joined, by name."""

    # ---- queries ----

    def read(self, node: Node) -> r.Relation:
        """The relation of a query. Raises ParseException, AnalysisException."""
        with_ = node.args.get("with_")
        if with_ is None:
            return self._body(node)
        inner = Query(self.catalogue, dict(self.named), self.outer)
        own: set[str] = set()
        for query in with_.expressions:
            name = query.alias.lower()
            if name in own:
                raise AnalysisException(f"CTE definition can't have duplicate names: `{query.alias}`.", "DUPLICATED_CTE_NAMES")
            own.add(name)
            columns = [column.name for column in query.args["alias"].columns]
            if with_.args.get("recursive") and recursion.refers(query.this, name):
                relation = recursion.recursive(inner, query.this, query.alias, columns)
            else:
                relation = inner.read(cast(Node, query.this))
            inner.named[name] = self.analyser.alias(relation, query.alias, columns)
        return inner._body(node)

    def reader(self, columns: Sequence[e.Attribute], windows: dict[str, Node] | None = None) -> Reader:
        """For expressions over these columns."""
        return Reader(lambda query: self.inner(query, columns), self.catalogue.surroundings, windows)

    def inner(self, query: Node, columns: Sequence[e.Attribute]) -> r.Relation:
        """A subquery that may refer to these columns."""
        return Query(self.catalogue, self.named, (tuple(columns), *self.outer)).read(query)

    def _body(self, node: Node) -> r.Relation:
        match node:
            case g.Select():
                return self._select(node)
            case g.Union() | g.Except() | g.Intersect():
                return self._ordered_and_limited(node, self._set_operation(node))
            case g.Subquery():
                inner = self.read(node.this) if not isinstance(node.this, g.Table) else sources.relation(self, node.this)
                alias = node.args.get("alias")
                if alias is not None and alias.name:
                    inner = self.analyser.alias(inner, alias.name, [column.name for column in alias.columns])
                return self._ordered_and_limited(node, inner)
            case g.Values():
                return self._ordered_and_limited(node, sources.relation(self, node))
            case g.Table():
                return self._ordered_and_limited(node, sources.relation(self, node))
            case _:
                raise unsupported(f"{type(node).__name__} as a query", node)

    def _set_operation(self, node: g.SetOperation) -> r.Relation:
        by_name = bool(node.args.get("by_name"))
        if by_name and not isinstance(node, g.Union):
            raise unsupported("EXCEPT and INTERSECT BY NAME: list the columns in one order", node)
        left, right = (self.read(cast(Node, side)) for side in (node.left, node.right))
        if isinstance(node, g.Union):
            result: r.Relation = self.analyser.union((left, right), by_name, by_name)
            return self.analyser.deduplicate(result, None) if node.args.get("distinct") else result
        kind = "except" if isinstance(node, g.Except) else "intersect"
        return self.analyser.set_operation(kind, not node.args.get("distinct"), left, right)

    # ---- SELECT ----

    def _select(self, node: g.Select) -> r.Relation:
        if node.args.get("into") or node.args.get("connect") or node.args.get("match") or node.args.get("settings"):
            raise unsupported("this clause of SELECT", node)
        analyser = self.analyser
        windows = {window.name.lower(): window for window in node.args.get("windows") or []}
        source = sources.from_clause(self, node)
        if (where := node.args.get("where")) is not None:
            source = analyser.filter(source, self.reader(source.output, windows).read(where.this), self.outer, strict=True)
        reader = self.reader(source.output, windows)
        items = analyser.expand((reader.read(item) for item in node.expressions), source.output)
        for item in items:
            if isinstance(item, e.Alias) and item.name == "" and not isinstance(item.child, e.Call):
                raise unsupported("an alias without a name", node)
        source, items = drawn_once(analyser, source, items)
        items = with_earlier_aliases(analyser, items, source.output)
        group, having, qualify = (node.args.get(key) for key in ("group", "having", "qualify"))
        if group is not None and not any(group.args.get(key) for key in ("expressions", "all", "rollup", "cube", "grouping_sets")):
            raise ParseException("Syntax error: GROUP BY without keys.", "PARSE_SYNTAX_ERROR")
        select = _Select(self, source, items, reader)
        condition = None if qualify is None else reader.read(qualify.this)
        keys = [reader.read(item) for item in self._order(node)]
        distinct = node.args.get("distinct")
        if distinct is not None and (on := distinct.args.get("on")) is not None:
            if condition is not None:
                raise unsupported("DISTINCT ON with QUALIFY: use row_number() in QUALIFY", node)
            condition, distinct = datafusion.first_of_each(reader, on, keys, items), None
        if group is not None or having is not None or any(map(has_aggregate, items)):
            result, sort = select.aggregated(group, None if having is None else reader.read(having.this), condition, keys)
        else:
            result, sort = select.plain(condition, keys)
        if distinct is not None:
            if len(result.output) > len(items) and sort and select.hidden:
                raise AnalysisException("For SELECT DISTINCT, ORDER BY expressions must appear in the select list.", "UNSUPPORTED_ORDER_BY")
            result = analyser.deduplicate(result, None)
        result = self._arranged(node, result, sort)
        shown = select.count
        if len(result.output) > shown:
            limited = self._limited(node, result)
            return hints.hinted(self, node, r.Project(limited, result.output[:shown]))
        return hints.hinted(self, node, self._limited(node, result))

    def _order(self, node: Node) -> list[Node]:
        """What ORDER BY, SORT BY or CLUSTER BY lists."""
        for key in ("order", "sort", "cluster"):
            if (found := node.args.get(key)) is not None:
                return list(found.expressions)
        return []

    def _arranged(self, node: Node, result: r.Relation, keys: Sequence[e.SortKey]) -> r.Relation:
        """Sorted, or dealt into partitions and sorted within them. `keys` are over the result's columns."""
        distribute, cluster = node.args.get("distribute"), node.args.get("cluster")
        hidden = 0
        if cluster is not None:
            result = r.Repartition(result, None, tuple(key.child for key in keys))
        elif distribute is not None:
            reader = self.reader(result.output)
            parts = [strip_order(reader.read(item)) for item in distribute.expressions]
            result, hidden, found = self.analyser.with_hidden(result, parts, self.outer)
            result = r.Repartition(result, None, found)
        check_sorted(keys)
        result = r.Sort(result, tuple(keys), node.args.get("order") is not None) if keys else result
        return r.Project(result, result.output[:-hidden]) if hidden else result

    def _ordered_and_limited(self, node: Node, result: r.Relation) -> r.Relation:
        listed = self._order(node)
        if listed:
            reader = self.reader(result.output)
            sort_keys: list[e.SortKey] = []
            for key in all_or(sort_key(reader.read(item)) for item in listed):
                if key is None:
                    sort_keys += [_like(sort_key(reader.read(listed[0])), column) for column in result.output]
                    continue
                index = position(key.child, "ORDER BY", len(result.output))
                sort_keys.append(key if index is None else replace(key, child=result.output[index]))
            if node.args.get("order") is not None:
                result = self.analyser.sort(result, sort_keys, outer=self.outer)
            else:
                resolved = [cast(e.SortKey, self.analyser.resolve(key, result.output, self.outer)) for key in sort_keys]
                result = self._arranged(node, result, resolved)
        elif node.args.get("distribute") is not None:
            result = self._arranged(node, result, ())
        return self._limited(node, result)

    def _limited(self, node: Node, result: r.Relation) -> r.Relation:
        limit, offset = node.args.get("limit"), node.args.get("offset")
        count = None if limit is None else self._count(limit, "limit")
        skipped = 0 if offset is None else self._count(offset, "offset") or 0
        if count is None and skipped == 0:
            return result
        return r.Limit(result, count, skipped)

    def _count(self, node: Node, clause: str) -> int | None:
        inner = node.args.get("count") if isinstance(node, g.Fetch) else node.expression
        if inner is None:  # FETCH FIRST ROW ONLY
            return 1
        if isinstance(inner, g.Var) and inner.name.upper() == "ALL":
            return None
        try:
            value = self.reader(()).constant(inner)
        except AnalysisException as error:
            if error.condition == "UNBOUND_SQL_PARAMETER":
                raise
            raise AnalysisException(
                f"The {clause} expression must evaluate to a constant value.", "INVALID_LIMIT_LIKE_EXPRESSION.IS_UNFOLDABLE"
            ) from None
        if not isinstance(value, int) or isinstance(value, bool) or not -(2**31) <= value < 2**31:
            raise AnalysisException(f"The {clause} expression must be integer type.", "INVALID_LIMIT_LIKE_EXPRESSION.DATA_TYPE")
        if value < 0:
            raise AnalysisException(
                f"The {clause} expression must be equal to or greater than 0, but got {value}.", "INVALID_LIMIT_LIKE_EXPRESSION.IS_NEGATIVE"
            )
        return value


class _Select:
    """One SELECT over `source`: `items` are its list, stars expanded. Results may have more columns than the list, to be dropped after
    sorting: `count` tells how many are shown, `hidden` whether a sort needs more."""

    def __init__(self, query: Query, source: r.Relation, items: list[e.Expression], reader: Reader) -> None:
        self._query = query
        self._analyser = query.analyser
        self._source = source
        self._items = items
        self._reader = reader
        self.count = len(items)
        self.hidden = False

    def plain(self, qualify: e.Expression | None, order: Sequence[e.Expression]) -> tuple[r.Relation, list[e.SortKey]]:
        """(the projection, sort keys over it)."""
        analyser, source, outer = self._analyser, self._source, self._query.outer
        if qualify is not None:
            if not any(isinstance(node, e.Windowed) for part in (qualify, *self._items) for node in walk(self._over_source(part))):
                raise AnalysisException("The QUALIFY clause needs a window function.", "QUALIFY_REQUIRES_WINDOW_FUNCTION")
            flagged = [*self._items, e.Alias(self._over_source(qualify), "#qualify")]
        else:
            flagged = list(self._items)
        result = analyser.project(source, flagged, outer)
        self.count = len(result.output) - (qualify is not None)
        visible = result.output[: self.count]
        keys: list[e.SortKey | None] = []
        extra: list[e.Alias] = []
        for key in self._sort_keys(order, visible):
            if isinstance(key.child, e.Attribute):
                keys.append(key)
                continue
            try:
                resolved = analyser.resolve(key, visible)
                check_operator("Sort", (resolved,), windows=True)
                keys.append(cast(e.SortKey, resolved) if not any(isinstance(node, e.Windowed) for node in walk(resolved)) else None)
            except AnalysisException as error:
                ambiguous = error.condition == "AMBIGUOUS_REFERENCE"  # Names of several outputs are those of the source's columns.
                if ambiguous and not self._of_source(key.child):
                    raise
                if error.condition.startswith("UNSUPPORTED_EXPR") or any(map(is_generator, self._items)):
                    raise
                keys.append(None)
            if keys[-1] is None:
                extra.append(e.Alias(self._over_source(key.child), f"#sort{len(extra)}"))
        if extra:
            self.hidden = True
            try:
                result = analyser.project(source, [*flagged, *extra], outer)
            except AnalysisException as error:
                if not error.condition.startswith("UNRESOLVED_COLUMN"):
                    raise
                for key in self._sort_keys(order, visible):  # Tell what the SELECT list has.
                    analyser.resolve(key, visible)
                raise
        columns = result.output
        if qualify is not None:
            result = analyser.filter(result, columns[self.count], outer)
            result = r.Project(result, (*columns[: self.count], *columns[self.count + 1 :]))
            columns = result.output
        return result, self._placed(self._sort_keys(order, columns[: self.count]), keys, columns)

    def _placed(self, order: Sequence[e.SortKey], resolved: Sequence[e.SortKey | None], columns: Sequence[e.Attribute]) -> list[e.SortKey]:
        hidden = iter(columns[self.count :])
        result = []
        for key, known in zip(order, resolved, strict=True):
            if known is None:
                result.append(replace(key, child=next(hidden)))
            else:
                result.append(cast(e.SortKey, self._analyser.resolve(key, columns[: self.count])))
        return result

    def _sort_keys(self, order: Sequence[e.Expression], columns: Sequence[e.Attribute]) -> list[e.SortKey]:
        """With positions and ALL as columns."""
        keys: list[e.SortKey] = []
        for item in order:
            key = sort_key(item)
            if len(order) == 1 and isinstance(key.child, e.Name) and key.child.parts == ("ALL",):
                return [replace(key, child=column) for column in columns]
            index = position(key.child, "ORDER BY", len(columns))
            keys.append(key if index is None else replace(key, child=columns[index]))
        return keys

    def _of_source(self, expression: e.Expression) -> bool:
        """Whether it can be told from the source's columns alone."""
        try:
            self._analyser.resolve(expression, self._source.output, self._query.outer)
        except AnalysisException:
            return False
        return True

    def _over_source(self, expression: e.Expression) -> e.Expression:
        """With aliases of the list as what they stand for, where no column has the name."""
        analyser, columns = self._analyser, self._source.output
        aliases = {analyser.fold(item.name): item.child for item in self._items if isinstance(item, e.Alias)}
        return substituted(
            expression, lambda name: None if is_column(analyser, name, columns) else aliases.get(analyser.fold(name.parts[0]))
        )

    def _of_outputs(self, expression: e.Expression) -> e.Expression:
        """With names of the list as what they stand for; in arguments of aggregates a column of the name comes first."""
        analyser, columns = self._analyser, self._source.output
        outputs: dict[str, e.Expression] = {}
        for item in self._items:
            if isinstance(item, e.Alias):
                outputs[analyser.fold(item.name)] = item.child
            elif isinstance(item, e.Name | e.Attribute):
                outputs.setdefault(analyser.fold(item.parts[-1] if isinstance(item, e.Name) else item.name), item)

        def visit(name: e.Name) -> e.Expression | None:
            return outputs.get(analyser.fold(name.parts[0])) if len(name.parts) == 1 or not is_column(analyser, name, columns) else None

        return self._over_source(substituted(expression, visit, inside_aggregates=False))

    def aggregated(
        self, group: g.Group | None, having: e.Expression | None, qualify: e.Expression | None, order: Sequence[e.Expression]
    ) -> tuple[r.Relation, list[e.SortKey]]:
        """(the projection of the aggregate, sort keys over it)."""
        analyser, source, outer = self._analyser, self._source, self._query.outer
        keys, sets = ([], None) if group is None else grouping_of(group, self._items, source.output, self._reader, analyser)
        if any(is_window(node) for key in keys for node in walk(key)):
            count = len(self._items)
            source, changed = analyser.in_windows(source, [*self._items, *keys], outer, keys, as_columns=True)
            self._source, self._items, keys = source, changed[:count], list(map(strip_alias, changed[count:]))
        grouped = Grouped.of(analyser, source, keys, sets, outer, group is not None)

        def over(expression: e.Expression) -> e.Expression:
            return grouped.over(grouped.resolved(expression, outer))

        outputs = grouped.outputs(self._items, outer)
        condition = None if having is None else over(self._of_outputs(having))
        flags = [] if qualify is None else [e.Alias(over(self._of_outputs(qualify)), "#qualify")]
        sort: list[e.SortKey] = []
        extra: list[e.Expression] = []
        places: list[int] = []
        for item in order:
            key = sort_key(item)
            if len(order) == 1 and isinstance(key.child, e.Name) and key.child.parts == ("ALL",):
                sort = [replace(key, child=e.Literal(i, t.LongType())) for i in range(len(outputs))]
                places = list(range(len(outputs)))
                break
            sort.append(key)
            index = position(key.child, "ORDER BY", len(outputs))
            if index is not None:
                places.append(index)
                continue
            wanted = over(self._of_outputs(key.child))
            known = next((i for i, output in enumerate(outputs) if strip_alias(output) == wanted), None)
            if known is None:
                extra.append(e.Alias(wanted, f"#sort{len(extra)}"))
                places.append(-len(extra))
            else:
                places.append(known)
        result: r.Relation = unnested(analyser, grouped.relation())
        if condition is not None:
            result = analyser.filter(result, condition, outer, clause="HAVING")
        result = analyser.project(result, [*outputs, *extra, *flags], outer)
        self.count = len(result.output) - len(extra) - len(flags)
        self.hidden = bool(extra)
        if flags:
            shown = result.output[:-1]
            result = r.Project(analyser.filter(result, result.output[-1], outer), shown)
        final = result.output
        return result, [
            replace(key, child=final[place] if place >= 0 else final[self.count - place - 1])
            for key, place in zip(sort, places, strict=True)
        ]


def sort_key(expression: e.Expression) -> e.SortKey:
    return expression if isinstance(expression, e.SortKey) else e.SortKey(expression)


def strip_order(expression: e.Expression) -> e.Expression:
    return expression.child if isinstance(expression, e.SortKey) else expression


def all_or(keys: object) -> list[e.SortKey | None]:
    """The keys; None for ORDER BY ALL."""
    listed = list(cast("list[e.SortKey]", keys))
    return [None if len(listed) == 1 and isinstance(key.child, e.Name) and key.child.parts == ("ALL",) else key for key in listed]


def _like(key: e.SortKey, column: e.Attribute) -> e.SortKey:
    return replace(key, child=column)
