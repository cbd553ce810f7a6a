"""What expressions mean among columns: names, stars, implicit casts, and the names of what comes out."""

from __future__ import annotations

import datetime
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any, NamedTuple

from quiver.sql import types as t
from quiver.sql.analysis import castable, fixed_lengths, intervals
from quiver.sql.analysis.access import NAMES, accessed, decoded
from quiver.sql.analysis.aggregation import check_windowed
from quiver.sql.analysis.around import AROUND, NeedsQueryAround
from quiver.sql.analysis.implicit_casts import as_type, coerced, in_zone, with_lambdas
from quiver.sql.analysis.pretty import output_name, pretty
from quiver.sql.analysis.times_of_day import first_moment
from quiver.sql.analysis.typing import type_of
from quiver.sql.analysis.variants import FILLED, check_comparisons, filled
from quiver.sql.errors import AnalysisException, checked_name, column_not_found
from quiver.sql.local_zone import clock
from quiver.sql.tree import expressions as e
from quiver.sql.tree.walking import rebuilt

Columns = Sequence[e.Attribute]
Levels = Sequence[Columns]
"""The columns of the queries around a subquery, the nearest first."""
HIDDEN = ("#hidden", True)
"""Metadata of a column that a join USING has left out: it is named with its table, or not at all."""
Routines = Mapping[str, Callable[[Sequence[e.Expression], Sequence["str | None"]], e.Expression]]
"""Functions that users have registered, by name in lower case: what a call of one means."""


class _Index(NamedTuple):
    """`columns`, by their names as names are compared."""

    columns: Columns
    by_name: Mapping[str, Sequence[e.Attribute]]
    ids: frozenset[int]


class Resolver:
    """`new_id` numbers attributes; `zone` tells the session's time zone, `batch_rows` how many rows users' functions get at a time at most
    (0: as they come)."""

    def __init__(self, new_id: Callable[[], int], zone: Callable[[], str], routines: Routines, batch_rows: Callable[[], int]) -> None:
        self._new_id = new_id
        self._zone = zone
        self._routines = routines
        self._batch_rows = batch_rows
        self.variables: dict[str, e.Literal] = {}
        """The session's variables, by name in lower case: what a name means that no column has."""
        self._origins: dict[int, int] = {}
        """Attributes that stand for others in relations made by alias, union or a join of a relation with itself."""
        self._index: _Index | None = None
        """Of the columns that were asked for last: a select of all columns asks for each of them among all."""

    @staticmethod
    def fold(name: str) -> str:
        """A name as names are compared: without regard to case."""
        return name.lower()

    def fresh(self) -> int:
        """A number for a new attribute."""
        return self._new_id()

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
        if isinstance(expression, e.PythonCall) and any(isinstance(argument, e.Star) for argument in expression.args):
            given = [(self.expand([argument], columns), name) for argument, name in zip(expression.args, expression.names, strict=True)]
            names = tuple(name for found, name in given for _ in found)
            return replace(expression, args=tuple(one for found, _ in given for one in found), names=names)
        return rebuilt(expression, lambda child: self._with_stars(child, columns))

    def resolve(self, expression: e.Expression, columns: Columns, outer: Levels = ()) -> e.Expression:
        """Names to attributes, implicit casts written out. Raises AnalysisException."""
        return self.resolved((expression,), columns, outer)[0]

    def lookup(self, parts: Sequence[str], columns: Columns) -> e.Expression | None:
        """What a name means among `columns`: an attribute, or a member of a struct; None when nothing. Raises for several."""
        named = self._indexed(columns).by_name
        for taken in range(len(parts), 0, -1):
            *qualifier, name = parts[:taken]
            found = [column for column in named.get(self.fold(name), ()) if self._matches(column, qualifier, name)]
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

    def _indexed(self, columns: Columns) -> _Index:
        index = self._index
        if index is None or index.columns is not columns:
            by_name: dict[str, list[e.Attribute]] = {}
            for column in columns:
                by_name.setdefault(self.fold(column.name), []).append(column)
            index = _Index(columns, by_name, frozenset(column.id for column in columns))
            if isinstance(columns, tuple):  # Which stays what it is.
                self._index = index
        return index

    def _matches(self, column: e.Attribute, qualifier: Sequence[str], name: str) -> bool:
        fold = self.fold
        if fold(column.name) != fold(name) or (not qualifier and HIDDEN in column.metadata):
            return False
        return not qualifier or [fold(part) for part in column.qualifier[-len(qualifier) :]] == [fold(part) for part in qualifier]

    def resolved(self, expressions: Sequence[e.Expression], columns: Columns, outer: Levels = ()) -> tuple[e.Expression, ...]:
        """As `resolve`, of several."""

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
                if found is None and [part.lower() for part in expression.parts] == ["current_time"]:
                    found = e.Call("current_time")
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
                if isinstance(inside.type, t.StructType) and not inside.lenient:
                    inside = as_type(inside.child, inside.type)
            if isinstance(inside, e.PythonCall):
                inside = replace(inside, rows=self._batch_rows()) if inside.rows < 0 else inside
            elif isinstance(inside, e.Call) and inside.name.lower() in self._routines:
                inside = self._routines[inside.name.lower()](inside.args, (None,) * len(inside.args))
            if isinstance(inside, e.Call) and inside.name == "decode" and len(inside.args) > 2:
                return visit(decoded(inside))
            if isinstance(inside, e.Call) and inside.name in NAMES:
                inside = accessed(inside, self.fold)
            if isinstance(inside, e.Call) and inside.name in intervals.NAMES:
                meant = intervals.of_intervals(inside)
                if meant is not inside:
                    return visit(meant)
            if isinstance(inside, e.Call) and inside.name in FILLED:
                inside = filled(inside)
            meant = coerced(fixed_lengths.compared(inside))
            check_comparisons(meant)
            return in_zone(meant, self._zone)

        return tuple(visit(expression) for expression in expressions)

    def _kind_of(self, expression: e.Expression, columns: Columns, known: dict[int, t.DataType]) -> t.DataType:
        """Its type. `known`: by identity, of what lies below: a chain of sums is not to be resolved anew from each of its links."""
        kind = known.get(id(expression))
        if kind is None:
            meant = expression
            if isinstance(meant, e.Call) and meant.name in ("+", "-") and len(meant.args) == 2:
                below = e.Cast(e.Literal(None, t.NullType()), self._kind_of(meant.args[0], columns, known))
                meant = replace(meant, args=(below, meant.args[1]))
            kind = known[id(expression)] = type_of(self.resolve(meant, columns))
        return kind

    def _of_times(self, call: e.Call, columns: Columns, known: dict[int, t.DataType]) -> e.Call:
        """A sum or difference with a time as it is shown."""
        for left, right in (call.args, call.args[::-1]) if call.name == "+" else (call.args,):
            if not _may_be_moved_by(right):
                continue
            span = type_of(self.resolve(right, columns))
            counts = isinstance(right, e.Literal) and isinstance(span, t.IntegerType)
            apart = isinstance(span, t.TimeType) and call.name == "-"
            if not counts and not apart and not isinstance(span, t.AnsiIntervalType | t.CalendarIntervalType):
                continue
            kind = self._kind_of(left, columns, known)
            if apart and not isinstance(kind, t.TimeType):
                return call
            if counts and isinstance(kind, t.DateType):
                return replace(call, name="date_add" if call.name == "+" else "date_sub", args=(left, right))
            if not counts and isinstance(kind, t.DateType | t.TimestampType | t.TimestampNTZType | t.TimeType):
                if isinstance(span, t.DayTimeIntervalType) and isinstance(kind, t.DateType) and span.startField == span.endField == 0:
                    return call  # Which Spark writes by how it is computed.
                return replace(call, name=f"time {call.name}", args=(left, right))
        return call

    def now(self, attribute: e.Attribute, columns: Columns) -> list[e.Attribute]:
        """What of these columns the attribute is, or has become."""
        return [column for column in columns if column.id == attribute.id or attribute.id in self._ancestors(column.id)]

    def _present(self, attribute: e.Attribute, columns: Columns, outer: Levels) -> e.Expression:
        """The column that an attribute is, or has become."""
        if attribute.id in self._indexed(columns).ids:
            return attribute
        if any(column.id == attribute.id for level in outer for column in level):
            return e.OuterReference(attribute)
        found = self.now(attribute, columns)
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
        for expression, resolved in zip(expressions, self.resolved(expressions, columns, outer), strict=True):
            if isinstance(resolved, e.Attribute):
                result.append(self._as_written(expression, resolved))
            elif isinstance(resolved, e.Alias):
                check_windowed(resolved.child)
                checked_name(resolved.name)
                metadata = resolved.metadata
                if not metadata and isinstance(resolved.child, e.Attribute):  # It is the same column under another name.
                    metadata = tuple(item for item in resolved.child.metadata if item != HIDDEN)
                result.append(replace(resolved, id=self._new_id(), metadata=metadata))
            else:
                check_windowed(resolved)
                result.append(e.Alias(resolved, checked_name(output_name(self.shown(expression, columns))), self._new_id()))
        return tuple(result)

    def _as_written(self, expression: e.Expression, column: e.Attribute) -> e.Expression:
        """A column under the name by which it was asked for, which may be in another case; no longer hidden."""
        if HIDDEN in column.metadata:
            return e.Alias(column, column.name, self._standing_for(column).id, tuple(item for item in column.metadata if item != HIDDEN))
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
        known: dict[int, t.DataType] = {}

        def visit(node: e.Expression) -> e.Expression:
            if isinstance(node, e.Name) and len(node.parts) > 1 and node is not expression:
                member = self.lookup(node.parts, columns)
                return member if isinstance(member, e.Call) else node
            if isinstance(node, e.Call) and any(isinstance(argument, e.Lambda) for argument in node.args):
                typed = with_lambdas(node, lambda argument: self.resolve(argument, columns)).args
                given = (new if isinstance(old, e.Lambda) else old for old, new in zip(node.args, typed, strict=True))
                return replace(node, args=tuple(map(visit, given)))
            if isinstance(node, e.Call) and node.name in ("getfield", "getitem"):
                inside = replace(node, args=tuple(map(visit, node.args)))
                kind = type_of(self.resolve(node.args[0], columns))
                named = isinstance(node.args[1], e.Literal) and isinstance(node.args[1].value, str)
                kind = kind.elementType if named and isinstance(kind, t.ArrayType) and isinstance(kind.elementType, t.StructType) else kind
                return replace(inside, name="getfield" if isinstance(kind, t.StructType) else "getitem")
            if isinstance(node, e.Call) and node.name in ("to_char", "to_varchar"):
                meant = self.resolve(node, columns)
                if isinstance(meant, e.Call) and meant.name != "decode":
                    return replace(
                        node,
                        name=meant.name if meant.name != "to_varchar" else "to_char",
                        args=tuple(map(visit, node.args))[: len(meant.args)],
                    )
            if isinstance(node, e.Call) and node.name == "time_bucket" and len(node.args) == 2:
                meant = self.resolve(node, columns)
                assert isinstance(meant, e.Call)
                return replace(node, args=(*map(visit, node.args), first_moment(type_of(meant.args[1]))))
            if isinstance(node, e.Call) and node.name in ("+", "-") and len(node.args) == 2:
                shown = self._of_times(node, columns, known)
                return replace(shown, args=tuple(map(visit, shown.args)))
            if isinstance(node, e.Literal):
                if isinstance(node.value, datetime.datetime) and node.value.tzinfo is not None:
                    return replace(node, value=node.value.astimezone(clock(self._zone())))
                return node
            return rebuilt(node, visit)

        return visit(expression)

    def _star(self, star: e.Star, columns: Columns) -> Sequence[e.Expression]:
        found: Sequence[e.Expression] = self._starred(star, columns)
        for name in star.without:
            gone = [column for column in found if self._named_by(column, name)]
            if not gone:
                raise column_not_found("`.`".join(name), (column.name for column in columns))
            found = [column for column in found if column not in gone]
        for made in star.replaced:
            if not any(self._named_by(column, (made.name,)) for column in found):
                raise column_not_found(made.name, (column.name for column in columns))
            found = [made if self._named_by(column, (made.name,)) else column for column in found]
        return found

    def _named_by(self, column: e.Expression, name: Sequence[str]) -> bool:
        if isinstance(column, e.Attribute):
            return self._matches(column, name[:-1], name[-1])
        return isinstance(column, e.Alias) and self.fold(column.name) == self.fold(name[-1])

    def _starred(self, star: e.Star, columns: Columns) -> Sequence[e.Expression]:
        if star.of is not None:
            columns = star.of
        if not star.qualifier:
            return [column for column in columns if HIDDEN not in column.metadata]
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


def _may_be_moved_by(part: e.Expression) -> bool:
    """Whether it may be, by how it is written, what is added to a time."""
    if isinstance(part, e.Literal):
        return isinstance(part.type, t.IntegerType | t.AnsiIntervalType | t.TimeType)
    return isinstance(part, e.Cast | e.Name | e.Attribute) or (isinstance(part, e.Call) and part.name not in ("+", "-"))
