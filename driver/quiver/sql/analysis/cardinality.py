"""How many rows a relation will have, and how many distinct values its columns: estimates from what is known of files. Pure.

Values are taken to be spread evenly and columns to have nothing to do with each other, as planners do since System R. Where nothing is
known of a relation there is no estimate, and who asks leaves things as they are.
"""

from __future__ import annotations

import datetime
import decimal
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from quiver.sql import types as t
from quiver.sql.analysis.typing import type_of
from quiver.sql.tree import expressions as e
from quiver.sql.tree import relations as r

_EQUAL, _RANGE, _OTHER = 0.1, 1 / 3, 1 / 3
"""What share of rows meets a condition of which nothing is known."""
_FEWEST = 1.0


@dataclass(frozen=True, slots=True)
class Values:
    """Of one column: how many distinct ones, and between which bounds; dates are days, as `number` counts them."""

    distinct: float
    low: float | None = None
    high: float | None = None


@dataclass(frozen=True, slots=True)
class Estimate:
    """`columns` by attribute id: those of which something is known. Their values are those before rows were filtered: a key that rows
    were chosen by otherwise still meets as many of another table's."""

    rows: float
    columns: Mapping[int, Values] = field(default_factory=dict)

    def distinct(self, column: int) -> float:
        """At most as many as rows before filters, where it is not known."""
        known = self.columns.get(column)
        return max(_FEWEST, self.rows if known is None else known.distinct)


OfFiles = Callable[[r.Files], Estimate | None]
"""What is known of files; None: nothing."""


def number(value: object) -> float | None:
    """A value as a number that orders as it does; None for one that is none, such as a text."""
    match value:
        case bool():
            return None
        case int() | float() | decimal.Decimal():
            return float(value)
        case datetime.datetime():
            return None
        case datetime.date():
            return float(value.toordinal())
        case _:
            return None


class Estimates:
    """What is expected of relations, each worked out once."""

    def __init__(self, of_files: OfFiles) -> None:
        self._of_files = of_files
        self._known: dict[int, Estimate | None] = {}
        self._held: list[r.Relation] = []
        """What is known by its id lives on."""

    def of(self, relation: r.Relation) -> Estimate | None:
        """None where some of its rows come from where nothing is known."""
        if id(relation) not in self._known:
            self._held.append(relation)
            self._known[id(relation)] = _estimated(relation, self.of, self._of_files)
        return self._known[id(relation)]


def estimated(relation: r.Relation, of_files: OfFiles) -> Estimate | None:
    """What is expected of one relation; None where some of its rows come from where nothing is known."""
    return Estimates(of_files).of(relation)


def _estimated(relation: r.Relation, of: Callable[[r.Relation], Estimate | None], of_files: OfFiles) -> Estimate | None:
    match relation:
        case r.Files():
            return of_files(relation)
        case r.Local():
            return Estimate(float(relation.table.num_rows))
        case r.Span():
            values = range(relation.start, relation.end, relation.step)
            return Estimate(float(len(values)))
        case r.Join():
            left, right = of(relation.left), of(relation.right)
            return None if left is None or right is None else _joined(relation, left, right)
        case r.Union():
            branches = [of(branch) for branch in relation.branches]
            known = [branch for branch in branches if branch is not None]
            return Estimate(sum(branch.rows for branch in known)) if len(known) == len(branches) else None
    if not isinstance(relation, r.Unary):
        return None
    child = of(relation.child)
    if child is None:
        return None
    match relation:
        case r.Project():
            return Estimate(child.rows, _renamed(relation.expressions, child))
        case r.Aliased():
            pairs = zip(relation.child.output, relation.columns, strict=True)
            return Estimate(child.rows, {new.id: child.columns[old.id] for old, new in pairs if old.id in child.columns})
        case r.Filter():
            return filtered(child, (relation.condition,))
        case r.Aggregate():
            groups = _groups(relation.keys, child) * (1 if relation.sets is None else len(relation.sets))
            return Estimate(min(child.rows, groups), _renamed(relation.outputs, child))
        case r.Deduplicate():
            return replace(child, rows=min(child.rows, _groups(relation.output if relation.keys is None else relation.keys, child)))
        case r.Limit():
            return child if relation.count is None else replace(child, rows=min(child.rows, float(relation.count)))
        case r.Sort() | r.Hint() | r.Repartition():
            return child
        case _:
            return None


def _renamed(expressions: Sequence[e.Expression], child: Estimate) -> dict[int, Values]:
    found: dict[int, Values] = {}
    for expression in expressions:
        within = expression.child if isinstance(expression, e.Alias) else expression
        if isinstance(within, e.Attribute) and within.id in child.columns and isinstance(expression, e.Attribute | e.Alias):
            found[expression.id] = child.columns[within.id]
        elif isinstance(expression, e.Alias) and (most := _remainders(within)) is not None:
            found[expression.id] = Values(min(child.rows, most))
    return found


def _remainders(expression: e.Expression) -> float | None:
    """How many values a remainder may have, at most."""
    if not isinstance(expression, e.Call) or expression.name not in ("%", "mod", "pmod"):
        return None
    divisor = bare(expression.args[1])
    known = number(divisor.value) if isinstance(divisor, e.Literal) and isinstance(type_of(expression), t.IntegralType) else None
    return None if not known else 2 * abs(known) - 1


def _groups(keys: Sequence[e.Expression], child: Estimate) -> float:
    groups = 1.0
    for key in keys:
        groups *= child.distinct(key.id) if isinstance(key, e.Attribute) else child.rows
    return max(_FEWEST, min(groups, child.rows))


def _joined(join: r.Join, left: Estimate, right: Estimate) -> Estimate:
    columns = {**left.columns, **right.columns}
    pairs = Estimate(left.rows * right.rows, columns)
    rows = pairs.rows if join.condition is None else max(_FEWEST, pairs.rows * share(join.condition, pairs))
    match join.kind:
        case "semi":
            return replace(left, rows=min(left.rows, rows))
        case "anti":
            return replace(left, rows=max(_FEWEST, left.rows / 2))
        case "left" | "full":
            rows = max(rows, left.rows)
        case "right":
            rows = max(rows, right.rows)
        case _:
            pass
    return Estimate(rows, columns)


def filtered(estimate: Estimate, conditions: Sequence[e.Expression]) -> Estimate:
    """Of the rows that meet all conditions."""
    rows = estimate.rows
    for condition in conditions:
        rows *= share(condition, estimate)
    return replace(estimate, rows=max(_FEWEST, rows))


def share(condition: e.Expression, of: Estimate) -> float:
    """Of the rows, from 0 to 1, that meet a condition."""
    match condition:
        case e.Literal():
            return 1.0 if condition.value is True else 0.0
        case e.In():
            return min(1.0, len(condition.options) * _equal((condition.child,), of))
        case e.Call(name="and"):
            product = 1.0
            for argument in condition.args:
                product *= share(argument, of)
            return product
        case e.Call(name="or"):
            return min(1.0, sum(share(argument, of) for argument in condition.args))
        case e.Call(name="not"):
            return 1.0 - share(condition.args[0], of)
        case e.Call(name="=" | "<=>"):
            return _equal(condition.args, of)
        case e.Call(name="<>" | "!="):
            return 1.0 - _equal(condition.args, of)
        case e.Call(name="<" | "<="):
            return _below(condition.args[0], condition.args[1], of)
        case e.Call(name=">" | ">="):
            return _below(condition.args[1], condition.args[0], of)
        case e.Call(name="between"):
            value, low, high = condition.args
            return max(0.0, _below(low, value, of) + _below(value, high, of) - 1) or _RANGE * _RANGE
        case e.Call(name="isnotnull"):
            return 1.0
        case e.Call(name="isnull" | "like" | "rlike" | "contains" | "startswith" | "endswith"):
            return _EQUAL
        case _:
            return _OTHER


def _equal(sides: Sequence[e.Expression], of: Estimate) -> float:
    columns = [within.id for side in sides if isinstance(within := bare(side), e.Attribute)]
    known = [of.columns[column].distinct for column in columns if column in of.columns]
    return 1 / max(_FEWEST, *known) if known else _EQUAL


def _below(one: e.Expression, other: e.Expression, of: Estimate) -> float:
    """How likely one is at most the other."""
    left, right = bare(one), bare(other)
    if isinstance(left, e.Attribute) and (limit := _constant(right)) is not None:
        return _part(of.columns.get(left.id), limit)
    if isinstance(right, e.Attribute) and (limit := _constant(left)) is not None:
        return 1 - _part(of.columns.get(right.id), limit)
    return _RANGE


def _part(values: Values | None, limit: float) -> float:
    if values is None or values.low is None or values.high is None:
        return _RANGE
    if values.high <= values.low:
        return 1.0 if values.high <= limit else 0.0
    return min(1.0, max(0.0, (limit - values.low) / (values.high - values.low)))


def bare(expression: e.Expression | None) -> e.Expression | None:
    """Without casts and names: they change how a value is written, not how many there are."""
    while isinstance(expression, e.Alias | e.Cast):
        if isinstance(expression, e.Cast) and isinstance(expression.child, e.Literal) and isinstance(expression.type, t.DateType):
            break
        expression = expression.child
    return expression


def _constant(expression: e.Expression | None) -> float | None:
    match expression:
        case e.Literal():
            return number(expression.value)
        case e.Cast(child=e.Literal(value=str(text))):
            try:
                return float(datetime.date.fromisoformat(text.strip()).toordinal())
            except ValueError:
                return None
        case e.Call(name="+" | "-", args=(first, second)):
            start, days = _constant(bare(first)), _days(second)
            return None if start is None or days is None else start + (days if expression.name == "+" else -days)
        case _:
            return None


def _days(expression: e.Expression) -> float | None:
    """An interval's, or a number."""
    literal = bare(expression)
    if not isinstance(literal, e.Literal):
        return None
    match literal.value:
        case datetime.timedelta():
            return literal.value.total_seconds() / 86_400
        case int() if isinstance(literal.type, t.YearMonthIntervalType):
            return literal.value * 30.4
        case _:
            return number(literal.value)
