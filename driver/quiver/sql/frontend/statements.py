"""Queries in SQL as relations."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import cast

from sqlglot import expressions as g
from sqlglot.expressions.core import Expression as Node

from quiver.sql.analysis.analyser import Analyser, children_of, has_aggregate, output_name, rebuilt, strip_alias
from quiver.sql.errors import AnalysisException
from quiver.sql.frontend.expressions import Reader, parsed
from quiver.sql.tree import expressions as e
from quiver.sql.tree import relations as r

Tables = Callable[[tuple[str, ...]], r.Relation]

_SIDES = {"LEFT": "left", "RIGHT": "right", "FULL": "full"}


def relation_of(text: str, analyser: Analyser, table: Tables) -> r.Relation:
    """The relation that a query means. Raises ParseException, AnalysisException."""
    return _Query(analyser, table, {}, ()).read(parsed(text))


class _Query:
    """Reads queries. `named` are the WITH queries in sight, `outer` the columns of the queries around."""

    def __init__(self, analyser: Analyser, table: Tables, named: dict[str, r.Relation], outer: Sequence[e.Attribute]) -> None:
        self._analyser = analyser
        self._table = table
        self._named = named
        self._outer = outer

    def read(self, node: Node) -> r.Relation:
        with_ = node.args.get("with_") or node.args.get("with")
        if with_ is not None:
            inner = _Query(self._analyser, self._table, dict(self._named), self._outer)
            for query in with_.expressions:
                relation = inner.read(cast(Node, query.this))
                names = [column.name for column in query.args["alias"].columns]
                inner._named[query.alias.lower()] = self._analyser.alias(relation, query.alias, names)
            return inner._body(node)
        return self._body(node)

    def _body(self, node: Node) -> r.Relation:
        match node:
            case g.Select():
                return self._select(node)
            case g.Union() | g.Except() | g.Intersect():
                left, right = (self.read(cast(Node, side)) for side in (node.left, node.right))
                if isinstance(node, g.Union):
                    result: r.Relation = self._analyser.union((left, right))
                    if node.args.get("distinct"):
                        result = r.Deduplicate(result)
                else:
                    kind = "except" if isinstance(node, g.Except) else "intersect"
                    result = self._analyser.set_operation(kind, not node.args.get("distinct"), left, right)
                return self._ordered_and_limited(node, result)
            case g.Subquery():
                inner = self.read(node.this)
                return self._ordered_and_limited(node, inner)
            case g.Values():
                return self._values(node)
            case g.Table():
                return self._relation(node)
            case _:
                raise AnalysisException(f"{type(node).__name__} statements are not supported", "UNSUPPORTED_FEATURE")

    def _select(self, node: g.Select) -> r.Relation:
        from_ = node.args.get("from_") or node.args.get("from")
        source = r.Local(_one_row(), ()) if from_ is None else self._relation(from_.this)
        for join in node.args.get("joins") or []:
            source = self._join(source, join)
        reader = Reader(lambda query: self._inner(query, source))
        if (where := node.args.get("where")) is not None:
            source = self._analyser.filter(source, reader.read(where.this), self._outer)
            reader = Reader(lambda query: self._inner(query, source))
        items = [reader.read(item) for item in node.expressions]
        group, having = node.args.get("group"), node.args.get("having")
        order = node.args.get("order")
        keys = [reader.read(item) for item in order.expressions] if order is not None else []
        if group is not None or having is not None or any(map(_aggregates, items)):
            result = self._aggregated(source, items, group, None if having is None else reader.read(having.this), keys, reader)
        else:
            result = self._analyser.project(source, items, self._outer)
            if node.args.get("distinct"):
                result = r.Deduplicate(result)
            if keys:
                result = self._sorted(result, keys)
        if group is not None and node.args.get("distinct"):
            result = r.Deduplicate(result)
        return self._limited(node, result)

    def _aggregated(
        self,
        source: r.Relation,
        items: list[e.Expression],
        group: g.Group | None,
        having: e.Expression | None,
        order: list[e.Expression],
        reader: Reader,
    ) -> r.Relation:
        analyser = self._analyser
        items = analyser.expand(items, source.output)
        keys: list[e.Expression] = []
        for item in group.expressions if group is not None else []:
            key = reader.read(item)
            if isinstance(key, e.Literal) and isinstance(key.value, int):
                key = strip_alias(items[key.value - 1])
            elif isinstance(key, e.Name) and analyser.lookup(key.parts, source.output) is None:
                key = next((item.child for item in items if isinstance(item, e.Alias) and item.name.lower() == key.parts[-1].lower()), key)
            keys.append(key)
        # What HAVING and ORDER BY need beside the selected columns rides along.
        aliases = {item.name.lower(): item for item in items if isinstance(item, e.Alias)}
        outputs = [item if isinstance(item, e.Alias | e.Name | e.Attribute) else e.Alias(item, output_name(item)) for item in items]
        extra: list[e.Alias] = []

        def ride(expression: e.Expression) -> e.Expression:
            """The expression over the aggregate's columns."""
            if isinstance(expression, e.Name) and len(expression.parts) == 1 and expression.parts[0].lower() in aliases:
                return expression
            for item in outputs:
                if expression == strip_alias(item) and isinstance(item, e.Alias):
                    return e.Name((item.name,))
            if _is_aggregate(expression) or expression in keys or isinstance(expression, e.Name):
                for item in extra:
                    if item.child == expression:
                        return e.Name((item.name,))
                extra.append(e.Alias(expression, f"__{len(extra)}"))
                return e.Name((extra[-1].name,))
            return rebuilt(expression, ride)

        having = None if having is None else ride(having)
        order = [self._position(key, outputs) if isinstance(key, e.SortKey) else key for key in order]
        order = [
            replace(key, child=ride(key.child)) if isinstance(key, e.SortKey) and not isinstance(key.child, e.Attribute) else key
            for key in order
        ]
        result: r.Relation = analyser.aggregate(source, keys, [*outputs, *extra], outer=self._outer)
        shown = result.output[: len(outputs)]
        if having is not None:
            result = analyser.filter(result, having, self._outer)
        if order:
            result = analyser.sort(result, [key for key in order if isinstance(key, e.SortKey)], outer=self._outer)
        return r.Project(result, shown) if extra else result

    def _position(self, key: e.SortKey, outputs: Sequence[e.Expression]) -> e.SortKey:
        if isinstance(key.child, e.Literal) and isinstance(key.child.value, int):
            output = outputs[key.child.value - 1]
            return replace(key, child=e.Name((output.name,)) if isinstance(output, e.Alias) else output)
        return key

    def _sorted(self, result: r.Relation, keys: Sequence[e.Expression]) -> r.Relation:
        sort_keys = []
        for key in keys:
            assert isinstance(key, e.SortKey)
            if isinstance(key.child, e.Literal) and isinstance(key.child.value, int):
                key = replace(key, child=result.output[key.child.value - 1])
            sort_keys.append(key)
        return self._analyser.sort(result, sort_keys, outer=self._outer)

    def _ordered_and_limited(self, node: Node, result: r.Relation) -> r.Relation:
        order = node.args.get("order")
        if order is not None:
            reader = Reader(lambda query: self._inner(query, result))
            result = self._sorted(result, [reader.read(item) for item in order.expressions])
        return self._limited(node, result)

    def _limited(self, node: Node, result: r.Relation) -> r.Relation:
        limit, offset = node.args.get("limit"), node.args.get("offset")
        if limit is None and offset is None:
            return result
        count = None if limit is None else int(limit.expression.name)
        return r.Limit(result, count, 0 if offset is None else int(offset.expression.name))

    def _inner(self, query: Node, around: r.Relation) -> r.Relation:
        return _Query(self._analyser, self._table, self._named, (*around.output, *self._outer)).read(query)

    def _relation(self, node: Node) -> r.Relation:
        match node:
            case g.Table():
                relation = self._named_or_table(tuple(part.name for part in node.parts))
                for join in node.args.get("joins") or []:
                    relation = self._join(relation, join)
            case g.Subquery():
                relation = self.read(node.this) if not isinstance(node.this, g.Table) else self._relation(node.this)
            case g.Values():
                relation = self._values(node)
            case _:
                raise AnalysisException(f"{node.sql(dialect='spark')} can't be read from", "UNSUPPORTED_FEATURE")
        alias = node.args.get("alias")
        return (
            relation
            if alias is None or not alias.name
            else self._analyser.alias(relation, alias.name, [column.name for column in alias.columns])
        )

    def _named_or_table(self, parts: tuple[str, ...]) -> r.Relation:
        found = self._named.get(parts[0].lower()) if len(parts) == 1 else None
        return self._table(parts) if found is None else self._analyser.alias(found, parts[0])

    def _join(self, left: r.Relation, join: g.Join) -> r.Relation:
        right = self._relation(join.this)
        side, kind = (join.side or "").upper(), (join.kind or "").upper()
        how = (
            "semi"
            if kind == "SEMI"
            else "anti"
            if kind == "ANTI"
            else _SIDES.get(side, "cross" if kind == "CROSS" or not join.args.get("on") else "inner")
        )
        using = join.args.get("using")
        if using:
            return self._analyser.join(
                left, right, "inner" if how == "cross" else how, using=[column.name for column in using], outer=self._outer
            )
        if (join.method or "").upper() == "NATURAL":
            shared = [column.name for column in left.output if any(other.name.lower() == column.name.lower() for other in right.output)]
            return self._analyser.join(left, right, "inner" if how == "cross" else how, using=shared, outer=self._outer)
        on = join.args.get("on")
        condition = None if on is None else Reader(lambda query: self._inner(query, r.Join(left, right, "cross", None))).read(on)
        return self._analyser.join(left, right, how, condition, outer=self._outer)

    def _values(self, node: g.Values) -> r.Relation:
        reader = Reader(lambda query: self._inner(query, r.Local(_one_row(), ())))
        branches = []
        for row in node.expressions:
            cells = row.expressions if isinstance(row, g.Tuple) else [row]
            items = [e.Alias(reader.read(cell), f"col{number}") for number, cell in enumerate(cells, 1)]
            branches.append(self._analyser.project(r.Local(_one_row(), ()), items))
        return branches[0] if len(branches) == 1 else self._analyser.union(branches)


def _is_aggregate(expression: e.Expression) -> bool:
    return (
        isinstance(expression, e.Call) and has_aggregate(expression) and not any(has_aggregate(child) for child in children_of(expression))
    )


def _aggregates(expression: e.Expression) -> bool:
    return has_aggregate(expression)


def _one_row() -> object:
    import pyarrow as pa

    return pa.table({"#none": pa.array([None], pa.null())})
