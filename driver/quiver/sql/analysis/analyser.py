"""The analyser: one relation at a time on top of analysed ones, so a mistake is told where it is made."""

from __future__ import annotations

import datetime
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

from quiver.sql import types as t
from quiver.sql.analysis import castable, file_columns
from quiver.sql.analysis.access import NAMES, accessed
from quiver.sql.analysis.around import AROUND, NeedsQueryAround
from quiver.sql.analysis.coercion import common_type
from quiver.sql.analysis.generators import call_of, generated, is_generator
from quiver.sql.analysis.implicit_casts import coerced, in_zone, with_lambdas
from quiver.sql.analysis.pretty import pretty
from quiver.sql.analysis.subqueries import unnested
from quiver.sql.analysis.typing import function_of, type_of
from quiver.sql.analysis.windows_of_time import is_sliding, sliding
from quiver.sql.errors import AnalysisException, column_not_found
from quiver.sql.local_zone import clock
from quiver.sql.tree import expressions as e
from quiver.sql.tree import relations as r
from quiver.sql.tree.walking import all_of, attributes_in, children_of, rebuilt, strip_alias, walk

Columns = Sequence[e.Attribute]
_HIDDEN = ("#hidden", True)
"""Metadata of a column that a join USING has left out: it is named with its table, or not at all."""
Levels = Sequence[Columns]
"""The columns of the queries around a subquery, the nearest first."""


class Analyser:
    """`new_id` numbers attributes. `outer`: the columns of the queries around, for correlated subqueries."""

    def __init__(self, new_id: Callable[[], int], case_sensitive: bool = False, zone: Callable[[], str] = lambda: "") -> None:
        self._new_id = new_id
        self._zone = zone
        self.variables: dict[str, e.Literal] = {}
        """The session's variables, by name in lower case: what a name means that no column has."""
        self._origins: dict[int, int] = {}
        """Attributes that stand for others in relations made by alias, union or a join of a relation with itself."""
        self.routines: Mapping[str, Callable[[Sequence[e.Expression]], e.Expression]] = {}
        """Functions that users have registered, by their names in lower case."""
        self.batch_rows: Callable[[], int] = lambda: 0
        """How many rows users' functions get at a time at most; 0: as they come."""
        self.fold: Callable[[str], str] = (lambda name: name) if case_sensitive else str.lower

    def fresh(self) -> int:
        """A number for a new attribute."""
        return self._new_id()

    # ---- relations ----

    def project(self, child: r.Relation, expressions: Sequence[e.Expression], outer: Levels = ()) -> r.Relation:
        """select(): stars expanded, aggregates without keys become an Aggregate."""
        child, named = self._with_file_columns(child, self.expand(expressions, child.output))
        child, expressions = self._in_windows(child, named, outer)
        for position in reversed([i for i, expression in enumerate(expressions) if is_generator(expression)]):
            made = self.generate(child, expressions[position], outer=outer)
            child, expressions[position : position + 1] = made, made.columns
        for expression in expressions:
            if any(is_generator(node) for node in walk(expression)):
                raise AnalysisException(
                    f'The generator is not supported: nested in expressions "{pretty(expression)}".',
                    "UNSUPPORTED_GENERATOR.NESTED_IN_EXPRESSIONS",
                )
        resolved = self._named(expressions, child.output, outer)
        if any(has_aggregate(expression) for expression in resolved):
            for expression in resolved:
                self._check_grouped(expression, None)
            return unnested(self, r.Aggregate(child, (), resolved))
        return unnested(self, r.Project(child, resolved))

    def _in_windows(self, child: r.Relation, expressions: list[e.Expression], outer: Levels) -> tuple[r.Relation, list[e.Expression]]:
        """Rows whose time is known, once for each of the windows of time that they are in."""
        found = [node for expression in expressions for node in walk(expression) if isinstance(node, e.Call) and node.name == "window"]
        for call in dict.fromkeys(found):
            child = self.filter(child, e.Call("isnotnull", (call.args[0],)), outer)
            if not is_sliding(call):
                continue
            (moment,) = self._resolved(call.args[:1], child.output, outer)
            windows = e.Call("explode", (sliding(replace(call, args=(moment, *call.args[1:]), zone=self._zone())),))
            made = self.generate(child, windows, outer=outer)
            named = e.Alias(made.columns[0], "window")
            child = made

            def put(node: e.Expression, call: e.Call = call, named: e.Expression = named) -> e.Expression:
                return named if node == call else rebuilt(node, lambda inside: put(inside, call, named))

            expressions = [_without_inner_names(put(expression)) for expression in expressions]
        return child, expressions

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

    def filter(self, child: r.Relation, condition: e.Expression, outer: Levels = (), strict: bool = False) -> r.Relation:
        """where(); `strict`: of the columns that the child gives, not also of those that it was selected from."""
        widened, (changed,) = self._with_file_columns(child, (condition,))
        if widened is not child:
            return r.Project(self.filter(widened, changed, outer, strict), child.output)
        if strict:
            hidden, resolved = 0, self.resolve(condition, child.output, outer)
        else:
            child, hidden, (resolved,) = self.with_hidden(child, (condition,), outer)
        if found := [node for node in walk(resolved) if is_aggregate(node)]:
            raise AnalysisException(
                f'The WHERE condition "{pretty(condition)}" contains invalid expressions: {", ".join(map(pretty, found))}.',
                "INVALID_WHERE_CONDITION",
            )
        kind = type_of(resolved)
        if isinstance(kind, t.StringType | t.NullType):
            resolved = e.Cast(resolved, t.BooleanType())
        elif not isinstance(kind, t.BooleanType):
            raise AnalysisException(
                f'The filter condition "{pretty(condition)}" must have type "BOOLEAN", not "{kind.simpleString().upper()}".',
                "DATATYPE_MISMATCH.FILTER_NOT_BOOLEAN",
            )
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
        child, named = self._with_file_columns(child, [*self.expand(keys, child.output), *outputs])
        child, both = self._in_windows(child, named, outer)
        count = len(both) - len(outputs)
        resolved_keys = tuple(strip_alias(key) for key in self._named(both[:count], child.output, outer))
        resolved = self._named(both[count:], child.output, outer)
        for output in resolved:
            self._check_grouped(output, resolved_keys)
        return r.Aggregate(child, resolved_keys, resolved, sets)

    def sort(self, child: r.Relation, keys: Sequence[e.SortKey], globally: bool = True, outer: Levels = ()) -> r.Relation:
        widened, changed = self._with_file_columns(child, keys)
        if widened is not child:
            by = [key for key in changed if isinstance(key, e.SortKey)]
            return r.Project(self.sort(widened, by, globally, outer), child.output)
        child, hidden, resolved = self.with_hidden(child, keys, outer)
        return self._without(r.Sort(child, tuple(key for key in resolved if isinstance(key, e.SortKey)), globally), hidden)

    def alias(self, child: r.Relation, name: str, columns: Sequence[str] = ()) -> r.Aliased:
        """The same rows under another name (and other column names)."""
        names = columns or [attribute.name for attribute in child.output]
        if len(names) != len(child.output):
            raise AnalysisException(f"{name} has {len(child.output)} columns, not the {len(names)} that are named")
        fresh = tuple(
            self._standing_for(attribute, name=given, qualifier=(name,)) for attribute, given in zip(child.output, names, strict=True)
        )
        return r.Aliased(child, name, fresh)

    def join(
        self, left: r.Relation, right: r.Relation, kind: str, condition: e.Expression | None = None, using: Sequence[str] | None = None,
        outer: Levels = (), hint: str | None = None, hidden: bool = False,
    ) -> r.Relation:  # fmt: skip
        """A join on a condition, or on columns of the same names, which are there once in the result; `hidden`: and can still be named
        with their tables."""
        fresh_right = self.distinct_from(right, left.output)
        if using is None:
            scope = (*left.output, *fresh_right.output)
            resolved = None
            if condition is not None:
                (resolved,) = self._resolved((self._of_right(condition, right, fresh_right, left),), scope, outer)
            return r.Join(left, fresh_right, kind, resolved, hint)
        pairs = [(self._one(name, left.output, "left"), self._one(name, fresh_right.output, "right")) for name in using]
        (resolved,) = self._resolved((all_of([e.Call("=", pair) for pair in pairs]),), (*left.output, *fresh_right.output))
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
        if hidden:
            shown = {column.id for column in result if isinstance(column, e.Attribute)}
            left_out = [column for column in output if column.id in taken and column.id not in shown and column.qualifier]
            result += tuple(replace(column, metadata=(*column.metadata, _HIDDEN)) for column in left_out)
        return r.Project(joined, result)

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
        both = self.union((left, right))  # Checks, and casts to common types.
        return r.SetOperation(kind, all_rows, *both.branches)

    def deduplicate(self, child: r.Relation, names: Sequence[str] | None) -> r.Deduplicate:
        if names is None:
            return r.Deduplicate(child)
        keys = tuple(column for name in names for column in self._all(name, child.output))
        return r.Deduplicate(child, keys)

    def distinct_from(self, relation: r.Relation, columns: Columns) -> r.Relation:
        """The relation, with new columns where it shares some with `columns` (a table joined with itself)."""
        ids = {column.id for column in columns}
        if not any(column.id in ids for column in relation.output):
            return relation
        return r.Aliased(relation, "", tuple(map(self._standing_for, relation.output)))

    # ---- expressions ----

    def expand(self, expressions: Iterable[e.Expression], columns: Columns) -> list[e.Expression]:
        """Stars become the columns that they stand for."""
        result: list[e.Expression] = []
        for expression in expressions:
            if isinstance(expression, e.Star):
                result += self._star(expression, columns)
            elif isinstance(expression, e.Listed):
                result += expression.columns
            else:
                result.append(self._with_stars(expression, columns))
        return result

    def _with_stars(self, expression: e.Expression, columns: Columns) -> e.Expression:
        """`struct(*)`: with the columns as arguments."""
        if isinstance(expression, e.Call) and any(isinstance(argument, e.Star) for argument in expression.args):
            return replace(expression, args=tuple(self.expand(expression.args, columns)))
        return rebuilt(expression, lambda child: self._with_stars(child, columns))

    def resolve(self, expression: e.Expression, columns: Columns, outer: Levels = ()) -> e.Expression:
        """Names to attributes, implicit casts written out. Raises AnalysisException."""
        return self._resolved((expression,), columns, outer)[0]

    def lookup(self, parts: Sequence[str], columns: Columns) -> e.Expression | None:
        """What a name means among `columns`: an attribute, or a member of a struct; None when nothing. Raises for several."""
        for taken in range(len(parts), 0, -1):
            *qualifier, name = parts[:taken]
            found = [column for column in columns if self._matches(column, qualifier, name)]
            if not found:
                continue
            if len({column.id for column in found}) > 1:
                options = ", ".join(f"`{'`.`'.join((*column.qualifier, column.name))}`" for column in found)
                raise AnalysisException(f"Reference `{'`.`'.join(parts)}` is ambiguous, could be: [{options}].", "AMBIGUOUS_REFERENCE")
            result: e.Expression = found[0]
            for member in parts[taken:]:
                result = e.Call("getfield", (result, e.Literal(member, t.StringType())))
            return result
        return None

    def _matches(self, column: e.Attribute, qualifier: Sequence[str], name: str) -> bool:
        fold = self.fold
        if fold(column.name) != fold(name) or (not qualifier and _HIDDEN in column.metadata):
            return False
        return not qualifier or [fold(part) for part in column.qualifier[-len(qualifier) :]] == [fold(part) for part in qualifier]

    def _resolved(self, expressions: Sequence[e.Expression], columns: Columns, outer: Levels = ()) -> tuple[e.Expression, ...]:
        def visit(expression: e.Expression) -> e.Expression:
            if isinstance(expression, e.Attribute):
                return self._present(expression, columns, outer)
            if isinstance(expression, e.Outer):
                return self._around(expression.child)
            if isinstance(expression, e.LateSubquery):
                relation = expression.within(tuple(columns))
                return e.ScalarSubquery(relation) if expression.kind == "scalar" else e.Exists(relation)
            if isinstance(expression, e.Name):
                found = self.lookup(expression.parts, columns)
                for level in outer:
                    if found is None:
                        found = self.lookup(expression.parts, level)
                if found is None and self.variables:
                    found = self.variables.get(expression.parts[-1].lower())
                if found is None:
                    raise column_not_found("`.`".join(expression.parts), (column.name for column in columns))
                return visit(found)
            if isinstance(expression, e.OuterReference):
                return expression
            if isinstance(expression, e.Call) and any(isinstance(argument, e.Lambda) for argument in expression.args):
                expression = with_lambdas(expression, visit)
            inside = rebuilt(expression, visit)
            if isinstance(inside, e.Cast):
                castable.check(inside)
            if isinstance(inside, e.PythonCall):
                inside = replace(inside, rows=self.batch_rows()) if inside.rows < 0 else inside
            elif isinstance(inside, e.Call) and inside.name.lower() in self.routines:
                inside = self.routines[inside.name.lower()](inside.args)
            if isinstance(inside, e.Call) and inside.name in NAMES:
                inside = accessed(inside, self.fold)
            return in_zone(coerced(inside), self._zone)

        return tuple(visit(expression) for expression in expressions)

    def _present(self, attribute: e.Attribute, columns: Columns, outer: Levels) -> e.Expression:
        """The column that an attribute is, or has become."""
        if any(column.id == attribute.id for column in columns):
            return attribute
        if any(column.id == attribute.id for level in outer for column in level):
            return e.OuterReference(attribute)
        found = [column for column in columns if attribute.id in self._ancestors(column.id)]
        if len(found) == 1:
            return found[0]
        if found:
            options = ", ".join(f"`{'`.`'.join((*column.qualifier, column.name))}`" for column in found)
            raise AnalysisException(f"Reference `{attribute.name}` is ambiguous, could be: [{options}].", "AMBIGUOUS_REFERENCE")
        listed = ", ".join(f'"{column.name}"' for column in columns)
        raise AnalysisException(
            f'Resolved attribute(s) "{attribute.name}" missing from {listed}. It belongs to another DataFrame, or to this one before '
            "an operator that dropped or replaced it.",
            "MISSING_ATTRIBUTES.RESOLVED_ATTRIBUTE_MISSING_FROM_INPUT",
        )

    def _around(self, column: e.Expression) -> e.Expression:
        """A column of the query around. Raises NeedsQueryAround where there is none."""
        columns = AROUND.get()
        if columns is None:
            raise NeedsQueryAround(pretty(column))
        found: e.Expression | None = None
        if isinstance(column, e.Name):
            found = self.lookup(column.parts, columns)
        elif isinstance(column, e.Attribute):
            found = self._present(column, columns, ())
        if not isinstance(found, e.Attribute):
            raise column_not_found(pretty(column), (each.name for each in columns))
        return e.OuterReference(found)

    def _ancestors(self, number: int) -> Iterator[int]:
        while number in self._origins:
            number = self._origins[number]
            yield number

    def _standing_for(self, attribute: e.Attribute, **changes: Any) -> e.Attribute:
        """A new attribute that can also be referred to as the old one."""
        fresh = replace(attribute, id=self._new_id(), **changes)
        self._origins[fresh.id] = attribute.id
        return fresh

    def _named(self, expressions: Sequence[e.Expression], columns: Columns, outer: Levels = ()) -> tuple[e.Expression, ...]:
        """Resolved, and each an Attribute or an Alias with an id."""
        result: list[e.Expression] = []
        for expression, resolved in zip(expressions, self._resolved(expressions, columns, outer), strict=True):
            if isinstance(resolved, e.Attribute):
                result.append(self._as_written(expression, resolved))
            elif isinstance(resolved, e.Alias):
                _check_windowed(resolved.child)
                result.append(replace(resolved, id=self._new_id()))
            else:
                _check_windowed(resolved)
                result.append(e.Alias(resolved, output_name(self.shown(expression, columns)), self._new_id()))
        return tuple(result)

    def _as_written(self, expression: e.Expression, column: e.Attribute) -> e.Expression:
        """A column under the name by which it was asked for, which may be in another case; no longer hidden."""
        if _HIDDEN in column.metadata:
            return e.Alias(column, column.name, self._standing_for(column).id, tuple(item for item in column.metadata if item != _HIDDEN))
        if (
            isinstance(expression, e.Name)
            and expression.parts[-1] != column.name
            and self.fold(expression.parts[-1]) == self.fold(column.name)
        ):
            fresh = self._standing_for(column)
            return e.Alias(column, expression.parts[-1], fresh.id, column.metadata)
        return column

    def shown(self, expression: e.Expression, columns: Columns) -> e.Expression:
        """As named to the user: what `getitem` reaches into decides how it is written."""

        def visit(node: e.Expression) -> e.Expression:
            if isinstance(node, e.Name) and len(node.parts) > 1 and node is not expression:
                member = self.lookup(node.parts, columns)
                return member if isinstance(member, e.Call) else node
            if isinstance(node, e.Call) and node.name in ("getfield", "getitem"):
                inside = replace(node, args=tuple(map(visit, node.args)))
                kind = type_of(self.resolve(node.args[0], columns))
                kind = kind.elementType if isinstance(kind, t.ArrayType) and isinstance(kind.elementType, t.StructType) else kind
                return replace(inside, name="getfield" if isinstance(kind, t.StructType) else "getitem")
            if isinstance(node, e.Call) and node.name in ("to_char", "to_varchar"):
                meant = self.resolve(node, columns)
                if isinstance(meant, e.Call) and meant.name != "decode":
                    return replace(
                        node,
                        name=meant.name if meant.name != "to_varchar" else "to_char",
                        args=tuple(map(visit, node.args))[: len(meant.args)],
                    )
            if isinstance(node, e.Literal):
                if isinstance(node.value, datetime.datetime) and node.value.tzinfo is not None:
                    return replace(node, value=node.value.astimezone(clock(self._zone())))
                return node
            return rebuilt(node, visit)

        return visit(expression)

    def with_hidden(
        self, child: r.Relation, expressions: Sequence[e.Expression], outer: Levels
    ) -> tuple[r.Relation, int, tuple[e.Expression, ...]]:
        """Resolved against the child, or what it was selected from: then those columns are added to it (how many is told)."""
        try:
            return child, 0, self._resolved(expressions, child.output, outer)
        except AnalysisException as error:
            if not isinstance(child, r.Project) or error.condition.startswith("AMBIGUOUS"):
                raise
            below = child.child.output
            try:
                resolved = self._resolved(expressions, (*child.output, *(column for column in below if column not in child.output)), outer)
            except AnalysisException:
                raise error from None
            shown = {column.id for column in child.output}
            hidden = {a.id: a for expression in resolved for a in attributes_in(expression) if a.id not in shown and a in below}
            return r.Project(child.child, (*child.expressions, *hidden.values())), len(hidden), resolved

    def _without(self, relation: r.Relation, hidden: int) -> r.Relation:
        return r.Project(relation, relation.output[:-hidden]) if hidden else relation

    def _star(self, star: e.Star, columns: Columns) -> Sequence[e.Expression]:
        found: Sequence[e.Expression] = self._starred(star, columns)
        for name in star.without:
            gone = [column for column in found if self._named_by(column, name)]
            if not gone:
                raise column_not_found("`.`".join(name), (column.name for column in columns))
            found = [column for column in found if column not in gone]
        return found

    def _named_by(self, column: e.Expression, name: Sequence[str]) -> bool:
        if isinstance(column, e.Attribute):
            return self._matches(column, name[:-1], name[-1])
        return isinstance(column, e.Alias) and self.fold(column.name) == self.fold(name[-1])

    def _starred(self, star: e.Star, columns: Columns) -> Sequence[e.Expression]:
        if not star.qualifier:
            return [column for column in columns if _HIDDEN not in column.metadata]
        found = [column for column in columns if self._matches(column, star.qualifier, column.name)]
        if found:
            return found
        struct = self.lookup(star.qualifier, columns)
        if struct is not None and isinstance(kind := type_of(self.resolve(struct, columns)), t.StructType):
            return [e.Alias(e.Call("getfield", (struct, e.Literal(name, t.StringType()))), name) for name in kind.names]
        raise AnalysisException(
            f"Cannot resolve `{'.'.join(star.qualifier)}.*` given input columns {[column.name for column in columns]}.",
            "CANNOT_RESOLVE_STAR_EXPAND",
        )

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
            raise column_not_found(name, (column.name for column in columns))
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

    def _check_grouped(self, output: e.Expression, keys: Sequence[e.Expression] | None) -> None:
        """`keys`: None where there is no GROUP BY."""

        def check(expression: e.Expression) -> None:
            if keys and expression in keys:
                return
            if is_aggregate(expression):
                if any(is_aggregate(node) for child in children_of(expression) for node in walk(child)):
                    raise AnalysisException(
                        f'"{pretty(expression)}": it is not allowed to use an aggregate function in the argument of another aggregate '
                        "function. Please use the inner aggregate function in a sub-query.",
                        "NESTED_AGGREGATE_FUNCTION",
                    )
                return
            if isinstance(expression, e.Attribute) and keys is None:
                raise AnalysisException(
                    f'The query does not include a GROUP BY clause for "{expression.name}". Add GROUP BY or turn it into the window '
                    "functions using OVER clauses.",
                    "MISSING_GROUP_BY",
                )
            if isinstance(expression, e.Attribute):
                raise AnalysisException(
                    f'The non-aggregating expression "{expression.name}" is based on columns which are not participating '
                    "in the GROUP BY clause. Add the columns or the expression to the GROUP BY, aggregate the expression, "
                    "or use first() if any of the values will do.",
                    "MISSING_AGGREGATION",
                )
            for child in children_of(expression):
                check(child)

        check(strip_alias(output))


def has_aggregate(expression: e.Expression) -> bool:
    """Whether an aggregate is in it, other than one over a window."""
    if isinstance(expression, e.Windowed):
        return any(has_aggregate(child) for call in children_of(expression.function) for child in [call])
    if is_aggregate(expression):
        return True
    return any(has_aggregate(child) for child in children_of(expression))


def is_aggregate(expression: e.Expression) -> bool:
    """Whether it is a call of one."""
    if isinstance(expression, e.PythonCall):
        return bool(expression.function.is_aggregate)
    return isinstance(expression, e.Call) and function_of(expression).kind == "aggregate"


def output_name(expression: e.Expression) -> str:
    """The name of a column that the user gave none: a cast of a column keeps the column's."""
    while isinstance(expression, e.Cast) and isinstance(expression.child, e.Name | e.Attribute | e.Cast):
        expression = expression.child
    return pretty(expression)


def _without_inner_names(expression: e.Expression) -> e.Expression:
    """Names are of whole columns only."""

    def bare(node: e.Expression) -> e.Expression:
        return bare(node.child) if isinstance(node, e.Alias) else rebuilt(node, bare)

    return replace(expression, child=bare(expression.child)) if isinstance(expression, e.Alias) else rebuilt(expression, bare)


_ORDERED = frozenset({"row_number", "rank", "dense_rank", "percent_rank", "cume_dist", "ntile", "lag", "lead", "nth_value"})


def _check_windowed(expression: e.Expression) -> None:
    """Raises AnalysisException for a window function without a window, or without the order that it is about."""
    if isinstance(expression, e.Windowed):
        function = expression.function
        if isinstance(function, e.Call) and function.name in _ORDERED and not expression.window.order_by:
            raise AnalysisException(
                f"Window function {pretty(function)} requires window to be ordered, please add ORDER BY clause. For example "
                f"SELECT {pretty(function)} OVER (PARTITION BY window_partition ORDER BY window_ordering) FROM table.",
                "WINDOW_FUNCTION_FRAME_NOT_ORDERED",
            )
        for child in (*children_of(expression.function), expression.window):
            _check_windowed(child)
        return
    if isinstance(expression, e.Call) and function_of(expression).kind == "window":
        raise AnalysisException(f'Window function "{pretty(expression)}" requires an OVER clause.', "WINDOW_FUNCTION_WITHOUT_OVER_CLAUSE")
    for child in children_of(expression):
        _check_windowed(child)
