"""Expressions over an Aggregate: windows, HAVING and ORDER BY that stand on aggregates and keys."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from quiver.sql import types as t
from quiver.sql.analysis.aggregation import has_aggregate, is_aggregate, nested, not_grouped
from quiver.sql.analysis.clauses import check_operator
from quiver.sql.analysis.generators import is_generator
from quiver.sql.analysis.implicit_casts import as_type
from quiver.sql.analysis.pretty import output_name
from quiver.sql.analysis.scopes import is_column, substituted
from quiver.sql.analysis.subqueries import unnested
from quiver.sql.analysis.variants import check_keys
from quiver.sql.analysis.volatile import is_volatile, varying
from quiver.sql.analysis.windowing import is_window
from quiver.sql.errors import AnalysisException
from quiver.sql.tree import expressions as e
from quiver.sql.tree import relations as r
from quiver.sql.tree.walking import rebuilt, strip_alias, walk

if TYPE_CHECKING:
    from quiver.sql.analysis.analyser import Analyser

Set = tuple[e.Expression, ...]
Levels = Sequence[Sequence[e.Attribute]]


def aggregated(
    analyser: Analyser, source: r.Relation, keys: Sequence[e.Expression], outputs: Sequence[e.Expression],
    sets: Sequence[Sequence[int]] | None,
) -> r.Relation:  # fmt: skip
    """groupBy(keys).agg(...) whose outputs have windows over what the groups give. `sets`: places of the keys."""
    if any(is_window(node) for key in keys for node in walk(key)):
        count = len(outputs)
        source, changed = analyser.in_windows(source, [*outputs, *keys], (), keys, as_columns=True)
        outputs, keys = changed[:count], changed[count:]
    keys = list(map(strip_alias, keys))
    chosen = None if sets is None else [tuple(keys[place] for place in places) for places in sets]
    grouped = Grouped.of(analyser, source, keys, chosen, (), bool(keys))
    items = grouped.outputs(outputs, ())
    return analyser.project(unnested(analyser, grouped.relation()), items)


def _varying(key: e.Expression) -> e.Expression:
    """A constant as what the kernel takes for no constant: it would leave out sorts by it, though it is null in some sets' rows."""
    if any(isinstance(node, e.Attribute) for node in walk(key)):
        return key
    return varying(key)


@dataclass(slots=True)
class Grouped:
    """An Aggregate over `source` that gives what expressions ask of it: `over` takes them to its columns."""

    analyser: Analyser
    source: r.Relation
    keys: list[e.Expression]
    """Analysed, over the source."""
    sets: list[tuple[int, ...]] | None
    has_group: bool
    _columns: list[e.Attribute | e.Alias] = field(default_factory=list)
    _aggregates: list[e.Alias] = field(default_factory=list)
    _written: list[e.Expression] | None = None
    """Keys as expressions over the source, where `keys` are columns that were made of them."""

    @classmethod
    def of(
        cls, analyser: Analyser, source: r.Relation, keys: Sequence[e.Expression], sets: Sequence[Set] | None,
        outer: Levels, has_group: bool,
    ) -> Grouped:  # fmt: skip
        """With keys as they were written."""
        given = list(keys)
        resolved = [strip_alias(analyser.resolve(key, source.output, outer)) for key in given]
        for key in resolved:
            if has_aggregate(key):
                raise AnalysisException(
                    f'Aggregate functions are not allowed in GROUP BY, but found "{output_name(key)}".', "GROUP_BY_AGGREGATE"
                )
        check_operator("Aggregate", resolved)
        check_keys(resolved)
        places = None
        if sets is not None:
            places = [tuple(dict.fromkeys(given.index(key) for key in chosen)) for chosen in sets]
        hidden = [key for key in resolved if not isinstance(key, e.Attribute) and (sets is not None or any(map(_volatile, walk(key))))]
        if hidden:  # Grouping sets know columns by name, and what is drawn by lot is drawn once.
            made = {key: e.Alias(_varying(key) if sets is not None else key, output_name(key), analyser.fresh()) for key in hidden}
            source = r.Project(source, (*source.output, *made.values()))
            columns = {made_.id: column for made_, column in zip(made.values(), source.output[-len(made) :], strict=True)}
            grouped = cls(analyser, source, [columns[made[key].id] if key in made else key for key in resolved], places, has_group)
            grouped._written = resolved
        else:
            grouped = cls(analyser, source, resolved, places, has_group)
        grouped._columns = [
            key if isinstance(key, e.Attribute) else e.Alias(key, output_name(key), analyser.fresh()) for key in grouped.keys
        ]
        return grouped

    def over(self, expression: e.Expression) -> e.Expression:
        """An analysed expression over the source, as one over the aggregate. Raises AnalysisException for columns that are no keys."""
        written = self._written or self.keys
        # Constants are themselves, but null in the rows of grouping sets that they are not in.
        if expression in written and (self.sets is not None or not isinstance(expression, e.Literal)):
            return self._column(written.index(expression))
        match expression:
            case e.Windowed():
                function = expression.function
                if isinstance(function, e.Call):
                    args = tuple(map(self.over, function.args))
                    function = replace(function, args=args, where=None if function.where is None else self.over(function.where))
                else:
                    function = rebuilt(function, self.over)
                return e.Windowed(function, self._window(expression.window))
            case e.Call(name="grouping_id"):
                return self._grouping_id(expression)
            case e.Call(name="grouping") if self.sets is None or expression.args[0] not in written:
                raise AnalysisException(
                    "grouping()/grouping_id() can only be used with GroupingSets/Cube/Rollup", "UNSUPPORTED_GROUPING_EXPRESSION"
                )
            case e.Call() | e.PythonCall() if is_aggregate(expression):
                return self._aggregate(expression)
            case e.Attribute():
                raise not_grouped(expression, self.has_group)
            case e.OuterReference():
                return expression
            case _:
                return rebuilt(expression, self.over)

    def resolved(self, expression: e.Expression, outer: Levels) -> e.Expression:
        """Over the source. Hive's column `grouping__id` is grouping_id(), where no column has the name."""
        analyser, columns = self.analyser, self.source.output

        def visit(name: e.Name) -> e.Expression | None:
            hives = [part.lower() for part in name.parts] == ["grouping__id"] and not is_column(analyser, name, columns)
            return e.Call("grouping_id") if hives else None

        return analyser.resolve(substituted(expression, visit), columns, outer)

    def outputs(self, items: Sequence[e.Expression], outer: Levels) -> list[e.Expression]:
        """A SELECT's list over the source, as one over the aggregate, under the names that it has."""
        analyser, columns = self.analyser, self.source.output
        outputs: list[e.Expression] = []
        for item in items:
            bare = strip_alias(item.child if isinstance(item, e.MultiAlias) else item)
            resolved = self.resolved(bare, outer)
            made = self.over(resolved)
            if isinstance(item, e.MultiAlias | e.Alias):
                outputs.append(replace(item, child=made))
            elif (isinstance(made, e.Attribute) and isinstance(resolved, e.Attribute)) or is_generator(bare):
                outputs.append(made)
            else:
                outputs.append(e.Alias(made, output_name(analyser.shown(bare, columns))))
        return outputs

    def relation(self) -> r.Aggregate:
        """The aggregate, with all that was asked for so far."""
        outputs: tuple[e.Expression, ...] = (*self._columns, *self._aggregates)
        if not outputs:  # One row, whatever is asked of it.
            outputs = (e.Alias(e.Call("count"), "#count", self.analyser.fresh()),)
        return r.Aggregate(self.source, tuple(self.keys), outputs, None if self.sets is None else tuple(self.sets))

    def _window(self, window: e.WindowSpec) -> e.WindowSpec:
        order = tuple(replace(key, child=self.over(key.child)) for key in window.order_by)
        return e.WindowSpec(tuple(map(self.over, window.partition_by)), order, window.frame)

    def _column(self, index: int) -> e.Attribute:
        column = self._columns[index]
        attribute = column if isinstance(column, e.Attribute) else r.named_output((column,))[0]
        return attribute if self.sets is None else replace(attribute, nullable=True)

    def _aggregate(self, call: e.Call | e.PythonCall) -> e.Attribute:
        where = None if isinstance(call, e.PythonCall) else call.where
        for argument in (*call.args, *([where] if where is not None else [])):
            for node in walk(argument):
                if isinstance(node, e.Windowed):
                    raise AnalysisException(
                        "It is not allowed to use a window function inside an aggregate function.", "WINDOW_FUNCTION_IN_AGGREGATE"
                    )
                if is_aggregate(node):
                    raise nested(call)
        if self._written is not None and isinstance(call, e.Call) and call.name == "grouping":
            call = replace(call, args=(self.keys[self._written.index(call.args[0])],))
        for made in self._aggregates:
            if made.child == call:
                break
        else:
            made = e.Alias(call, output_name(call), self.analyser.fresh())
            self._aggregates.append(made)
        return r.named_output((made,))[0]

    def _grouping_id(self, call: e.Call) -> e.Expression:
        """The bits of grouping() of each, the first the highest."""
        written = self._written or self.keys
        if self.sets is None:
            raise AnalysisException(
                "grouping()/grouping_id() can only be used with GroupingSets/Cube/Rollup", "UNSUPPORTED_GROUPING_EXPRESSION"
            )
        asked = call.args or tuple(written)
        if any(argument not in written for argument in asked):
            raise AnalysisException("Columns of grouping_id don't match the grouping columns.", "GROUPING_ID_COLUMN_MISMATCH")
        total: e.Expression = e.Literal(0, t.LongType())
        for power, argument in enumerate(reversed(asked)):
            bit = as_type(self._aggregate(e.Call("grouping", (argument,))), t.LongType())
            total = e.Call("+", (total, e.Call("*", (bit, e.Literal(2**power, t.LongType())))))
        return total


def _volatile(expression: e.Expression) -> bool:
    return isinstance(expression, e.ScalarSubquery | e.Exists | e.InSubquery) or is_volatile(expression)
