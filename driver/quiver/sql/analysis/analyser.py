"""The analyser: one relation at a time on top of analysed ones, so a mistake is told where it is made."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from quiver.sql import types as t
from quiver.sql.analysis import file_columns
from quiver.sql.analysis.aggregation import check_grouped, has_aggregate, is_aggregate, of_all_keys
from quiver.sql.analysis.beneath import with_hidden
from quiver.sql.analysis.clauses import (
    check_compared,
    check_filter,
    check_join,
    check_no_generator,
    check_no_window,
    check_operator,
    check_sorted,
)  # fmt: skip
from quiver.sql.analysis.coercion import common_type
from quiver.sql.analysis.generators import call_of, generated, is_generator
from quiver.sql.analysis.implicit_casts import in_zone
from quiver.sql.analysis.left_out import with_asked
from quiver.sql.analysis.pretty import output_name, pretty
from quiver.sql.analysis.resolver import HIDDEN, Columns, Levels, Resolver
from quiver.sql.analysis.scopes import drawn_once, with_earlier_aliases
from quiver.sql.analysis.subqueries import unnested
from quiver.sql.analysis.variants import check_keys
from quiver.sql.analysis.windowing import in_windows
from quiver.sql.errors import AnalysisException, checked_name
from quiver.sql.tree import expressions as e
from quiver.sql.tree import relations as r
from quiver.sql.tree.walking import all_of, rebuilt, strip_alias, walk


class Analyser(Resolver):
    """One relation at a time. `outer`: the columns of the queries around, for correlated subqueries."""

    def project(self, child: r.Relation, expressions: Sequence[e.Expression], outer: Levels = ()) -> r.Relation:
        """select(): stars expanded, aggregates without keys become an Aggregate."""
        expressions = self.expand(expressions, child.output)
        child, named = self._with_file_columns(with_asked(self, child, expressions), expressions)
        child, expressions = self.in_windows(child, named, outer)
        more = 0
        for given in [i for i, expression in enumerate(expressions) if is_generator(expression)]:  # Rows of the last one change fastest.
            position = given + more
            made = self.generate(child, expressions[position], outer=outer)
            child, expressions[position : position + 1] = made, made.columns
            more += len(made.columns) - 1
        for expression in expressions:
            if any(is_generator(node) for node in walk(expression)):
                raise AnalysisException(
                    f'The generator is not supported: nested in expressions "{pretty(expression)}".',
                    "UNSUPPORTED_GENERATOR.NESTED_IN_EXPRESSIONS",
                )
        resolved = self._named(expressions, child.output, outer)
        if any(has_aggregate(expression) for expression in resolved):
            for expression in resolved:
                check_grouped(expression, None)
            return unnested(self, r.Aggregate(child, (), resolved))
        return unnested(self, r.Project(child, resolved))

    def renamed(self, child: r.Relation, names: Sequence[str]) -> r.Relation:
        """The columns under these names, in order. Programs rename one after the other, so those that stay are not looked at twice."""
        columns = child.output
        if any(HIDDEN in column.metadata for column in columns):
            return self.project(
                child, [e.Alias(column, name, metadata=column.metadata) for column, name in zip(columns, names, strict=True)]
            )
        return r.Project(
            child,
            tuple(
                column if column.name == name else e.Alias(column, checked_name(name), self._new_id(), column.metadata)
                for column, name in zip(columns, names, strict=True)
            ),
        )

    def in_windows(
        self, child: r.Relation, expressions: Sequence[e.Expression], outer: Levels = (), keys: Sequence[e.Expression] | None = None,
        as_columns: bool = False,
    ) -> tuple[r.Relation, list[e.Expression]]:  # fmt: skip
        """Rows whose time is known, once for each of the windows of time that they are in; see windowing.in_windows."""
        return in_windows(self, child, expressions, outer, keys, as_columns, self._zone())

    def generate(
        self, child: r.Relation, generator: e.Expression, names: Sequence[str] = (), qualifier: str = "", keeps: bool = False,
        outer: Levels = (),
    ) -> r.Generate:  # fmt: skip
        """Each row with the rows that a generator makes of it; `keeps`: with nulls where it makes none, as the `_outer` ones do."""
        call, given = call_of(generator)
        resolved = self.resolve(call, child.output, outer)
        assert isinstance(resolved, e.Call)
        keeps = keeps or call.name.endswith("_outer")
        qualifiers = (qualifier,) if qualifier else ()
        columns = tuple(
            e.Attribute(self._new_id(), field.name, field.dataType, field.nullable, qualifiers)
            for field in generated(resolved, keeps, names or given)
        )
        return r.Generate(child, resolved, keeps, columns)

    def _with_file_columns(self, child: r.Relation, expressions: Sequence[e.Expression]) -> tuple[r.Relation, list[e.Expression]]:
        """The child with the hidden columns of its files that expressions ask for, and the expressions that refer to them."""
        result = list(expressions)
        nodes = [node for expression in result for node in walk(expression)]
        for name in file_columns.asked(nodes, child.output, self.fold):
            made = file_columns.exposed(child, name, self._new_id)
            if made is None and name == file_columns.METADATA:
                continue  # It is told as any column that isn't there.
            if made is not None:
                child = made[0]
            if name == file_columns.METADATA:
                continue  # By its name it is found.
            value: e.Expression = e.Literal("", t.StringType()) if made is None else made[1]

            def put(node: e.Expression, value: e.Expression = value) -> e.Expression:
                is_meant = isinstance(node, e.Call) and node.name == "input_file_name"
                return value if is_meant else rebuilt(node, lambda inside: put(inside, value))

            # What stands alone keeps the name that it is asked for by.
            alone = [isinstance(one, e.Call) and one.name == "input_file_name" for one in result]
            result = [e.Alias(value, output_name(one)) if is_alone else put(one) for one, is_alone in zip(result, alone)]
        return child, result

    def select(self, child: r.Relation, expressions: Sequence[e.Expression]) -> r.Relation:
        """project(), of columns that may be computed of those further left, by their aliases."""
        child, items = drawn_once(self, child, self.expand(expressions, child.output))
        return self.project(child, with_earlier_aliases(self, items, child.output))

    def filter(
        self, child: r.Relation, condition: e.Expression, outer: Levels = (), strict: bool = False, clause: str = "WHERE"
    ) -> r.Relation:
        """where(); `strict`: of the columns that the child gives, not also of those that it was selected from."""
        check_no_generator("Filter", (condition,))
        widened, (changed,) = self._with_file_columns(child, (condition,))
        if widened is not child:
            return r.Project(self.filter(widened, changed, outer, strict, clause), child.output)
        if strict:
            hidden, resolved = 0, self.resolve(condition, child.output, outer)
        else:
            child, hidden, (resolved,) = self.with_hidden(child, (condition,), outer)
        check_no_window(clause, resolved)
        if found := [node for node in walk(resolved) if is_aggregate(node)]:
            raise AnalysisException(
                f'The WHERE condition "{pretty(condition)}" contains invalid expressions: {", ".join(map(pretty, found))}.',
                "INVALID_WHERE_CONDITION",
            )
        check_filter(resolved)
        return self._without(unnested(self, r.Filter(child, resolved)), hidden)

    def aggregate(
        self,
        child: r.Relation,
        keys: Sequence[e.Expression],
        outputs: Sequence[e.Expression],
        sets: tuple[tuple[int, ...], ...] | None = None,
        outer: Levels = (),
    ) -> r.Aggregate:
        """groupBy(keys).agg(...): `outputs` are all columns of the result, keys included where they are wanted."""
        keys = self.expand(keys, child.output)
        if sets is not None:
            outputs = [of_all_keys(output, [strip_alias(key) for key in keys]) for output in outputs]
        elif any(isinstance(node, e.Call) and node.name in ("grouping", "grouping_id") for output in outputs for node in walk(output)):
            raise AnalysisException(
                "grouping()/grouping_id() can only be used with GroupingSets/Cube/Rollup.", "UNSUPPORTED_GROUPING_EXPRESSION"
            )
        child, named = self._with_file_columns(with_asked(self, child, [*keys, *outputs]), [*keys, *outputs])
        count = len(named) - len(outputs)
        child, both = self.in_windows(child, named, outer, named[:count])
        resolved_keys = tuple(strip_alias(key) for key in self._named(both[:count], child.output, outer))
        check_operator("Aggregate", resolved_keys)
        check_keys(resolved_keys)
        resolved = self._named(both[count:], child.output, outer)
        for output in resolved:
            check_grouped(output, resolved_keys)
        return r.Aggregate(child, resolved_keys, resolved, sets)

    def sort(self, child: r.Relation, keys: Sequence[e.SortKey], globally: bool = True, outer: Levels = ()) -> r.Relation:
        check_no_generator("Sort", keys)
        widened, changed = self._with_file_columns(child, keys)
        if widened is not child:
            by = [key for key in changed if isinstance(key, e.SortKey)]
            return r.Project(self.sort(widened, by, globally, outer), child.output)
        child, hidden, resolved = self.with_hidden(child, keys, outer)
        check_sorted(resolved)
        return self._without(r.Sort(child, tuple(key for key in resolved if isinstance(key, e.SortKey)), globally), hidden)

    def alias(self, child: r.Relation, name: str, columns: Sequence[str] = ()) -> r.Aliased:
        """The same rows under another name (and other column names)."""
        names = columns or [attribute.name for attribute in child.output]
        if len(names) != len(child.output):
            raise AnalysisException(f"{name} has {len(child.output)} columns, not the {len(names)} that are named")
        fresh = tuple(
            self._standing_for(attribute, name=checked_name(given), qualifier=(name,))
            for attribute, given in zip(child.output, names, strict=True)
        )
        return r.Aliased(child, name, fresh)

    def join(
        self, left: r.Relation, right: r.Relation, kind: str, condition: e.Expression | None = None, using: Sequence[str] | None = None,
        outer: Levels = (), hint: str | None = None, hidden: bool = False,
    ) -> r.Relation:  # fmt: skip
        """A join on a condition, or on columns of the same names, which are there once in the result, and can still be named with their
        tables; `hidden`: as columns of it."""
        if kind == "cross" and (condition is not None or using is not None):
            kind = "inner"
        if condition is not None and (more := with_asked(self, left, (condition,))) is not left:
            joined = self.join(more, right, kind, condition, outer=outer, hint=hint)
            added = {column.id for column in more.output[len(left.output) :]}
            return r.Project(joined, tuple(column for column in joined.output if column.id not in added))
        fresh_right = self.distinct_from(right, left.output)
        if using is None:
            scope = (*left.output, *fresh_right.output)
            resolved = None
            if condition is not None:
                check_no_generator("Join", (condition,))
                (resolved,) = self.resolved((self._of_right(condition, right, fresh_right, left),), scope, outer)
                check_join(resolved)
            return r.Join(left, fresh_right, kind, resolved, hint)
        pairs = [(self._one(name, left.output, "left"), self._one(name, fresh_right.output, "right")) for name in using]
        (resolved,) = self.resolved((all_of([e.Call("=", pair) for pair in pairs]),), (*left.output, *fresh_right.output))
        joined = r.Join(left, fresh_right, kind, resolved, hint)
        if kind in ("semi", "anti"):
            return joined
        keys: list[e.Expression] = []
        output = joined.output
        left_now, right_now = output[: len(left.output)], output[len(left.output) :]
        for old_left, old_right in pairs:
            a = next(column for column in left_now if column.id == old_left.id)
            b = next(column for column in right_now if column.id == old_right.id)
            if kind == "full":
                keys += self._named((e.Alias(e.Call("coalesce", (a, b)), a.name),), output)
            else:
                keys.append(b if kind == "right" else a)
        taken = {attribute.id for pair in pairs for attribute in pair}
        result: tuple[e.Expression, ...] = (*keys, *(column for column in output if column.id not in taken))
        shown = {column.id for column in result if isinstance(column, e.Attribute)}
        others = tuple(column for column in output if column.id in taken and column.id not in shown)
        if not hidden:
            return r.Project(joined, result, others)
        return r.Project(joined, (*result, *(replace(each, metadata=(*each.metadata, HIDDEN)) for each in others if each.qualifier)))

    def union(self, branches: Sequence[r.Relation], by_name: bool = False, allow_missing: bool = False) -> r.Union:
        first = branches[0].output
        if by_name:
            branches = self._by_name(branches, allow_missing)
            first = branches[0].output
        for number, branch in enumerate(branches[1:], 2):
            if len(branch.output) != len(first):
                raise AnalysisException(
                    "UNION can only be performed on inputs with the same number of columns, "
                    f"but the first input has {len(first)} columns and input {number} has {len(branch.output)} columns.",
                    "NUM_COLUMNS_MISMATCH",
                )
        kinds: list[t.DataType] = []
        for position, column in enumerate(first):
            kind = common_type([branch.output[position].type for branch in branches])
            if kind is None:
                listed = ", ".join(branch.output[position].type.simpleString().upper() for branch in branches)
                raise AnalysisException(
                    f"UNION: the types of column {position + 1} (`{column.name}`) don't fit together: {listed}.", "INCOMPATIBLE_COLUMN_TYPE"
                )
            kinds.append(kind)
        fitted = tuple(self._cast_columns(branch, kinds) for branch in branches)
        columns = tuple(
            self._standing_for(column, type=kind, nullable=any(branch.output[position].nullable for branch in branches), qualifier=())
            for position, (column, kind) in enumerate(zip(first, kinds, strict=True))
        )
        return r.Union(fitted, columns)

    def set_operation(self, kind: str, all_rows: bool, left: r.Relation, right: r.Relation) -> r.SetOperation:
        check_compared(left.output)
        both = self.union((left, right))  # Checks, and casts to common types.
        return r.SetOperation(kind, all_rows, *both.branches)

    def deduplicate(self, child: r.Relation, names: Sequence[str] | None) -> r.Deduplicate:
        if names is None:
            check_compared(child.output)
            return r.Deduplicate(child)
        keys = tuple(column for name in names for column in self._all(name, child.output))
        check_compared(keys)
        return r.Deduplicate(child, keys)

    def distinct_from(self, relation: r.Relation, columns: Columns) -> r.Relation:
        """The relation, with new columns where it shares some with `columns` (a table joined with itself)."""
        ids = {column.id for column in columns}
        if not any(column.id in ids for column in relation.output):
            return relation
        return r.Aliased(relation, "", tuple(map(self._standing_for, relation.output)))

    def with_hidden(
        self, child: r.Relation, expressions: Sequence[e.Expression], outer: Levels
    ) -> tuple[r.Relation, int, tuple[e.Expression, ...]]:
        """Resolved against the child, or what it was selected from: then those columns are added to it (how many is told)."""
        return with_hidden(self, child, expressions, outer)

    def _without(self, relation: r.Relation, hidden: int) -> r.Relation:
        return r.Project(relation, relation.output[:-hidden]) if hidden else relation

    def _one(self, name: str, columns: Columns, side: str) -> e.Attribute:
        found = self.lookup((name,), columns)
        if not isinstance(found, e.Attribute):
            raise AnalysisException(
                f"USING column `{name}` cannot be resolved on the {side} side of the join. "
                f"The {side}-side columns: [{', '.join(f'`{column.name}`' for column in columns)}].",
                "UNRESOLVED_USING_COLUMN_FOR_JOIN",
            )
        return found

    def _all(self, name: str, columns: Columns) -> list[e.Attribute]:
        found = [column for column in columns if self.fold(column.name) == self.fold(name)]
        if not found:
            raise AnalysisException(
                f'Cannot resolve column name "{name}" among ({", ".join(column.name for column in columns)}).',
                "UNRESOLVED_COLUMN_AMONG_FIELD_NAMES",
            )
        return found

    def _of_right(self, condition: e.Expression, right: r.Relation, fresh: r.Relation, left: r.Relation) -> e.Expression:
        # df.join(df2, df.a == df2.a): where both sides share a column, its second use in a comparison means the right side.
        if fresh is right:
            return condition
        shared = {old.id: new for old, new in zip(right.output, fresh.output, strict=True)}
        both = {column.id for column in left.output}

        def visit(expression: e.Expression) -> e.Expression:
            if isinstance(expression, e.Attribute) and expression.id in shared and expression.id not in both:
                return shared[expression.id]
            if isinstance(expression, e.Call) and len(expression.args) == 2:
                a, b = expression.args
                if isinstance(a, e.Attribute) and isinstance(b, e.Attribute) and a.id in both and b.id in both and b.id in shared:
                    return replace(expression, args=(a, shared[b.id]))
            return rebuilt(expression, visit)

        return visit(condition)

    def _by_name(self, branches: Sequence[r.Relation], allow_missing: bool) -> list[r.Relation]:
        fold = self.fold
        names: dict[str, e.Attribute] = {}
        for branch in branches if allow_missing else branches[:1]:
            for column in branch.output:
                names.setdefault(fold(column.name), column)
        result: list[r.Relation] = []
        for branch in branches:
            mine = {fold(column.name): column for column in branch.output}
            if not allow_missing and (missing := [key for key in names if key not in mine]):
                raise AnalysisException(
                    f'Cannot resolve column name "{names[missing[0]].name}" among ({", ".join(column.name for column in branch.output)}).',
                    "UNRESOLVED_COLUMN_AMONG_FIELD_NAMES",
                )
            items = [mine[key] if key in mine else e.Alias(e.Literal(None, wanted.type), wanted.name) for key, wanted in names.items()]
            result.append(r.Project(branch, self._named(items, branch.output)))
        return result

    def _cast_columns(self, relation: r.Relation, kinds: Sequence[t.DataType]) -> r.Relation:
        if all(column.type == kind for column, kind in zip(relation.output, kinds, strict=True)):
            return relation
        items = [
            column if column.type == kind else e.Alias(in_zone(e.Cast(column, kind), self._zone), column.name, self._new_id())
            for column, kind in zip(relation.output, kinds, strict=True)
        ]
        return r.Project(relation, tuple(items))
