"""What functions take: columns, names of columns, constants."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from quiver.sql.column import Column
from quiver.sql.literals import column_of, expression_of
from quiver.sql.tree import expressions as e

ColumnOrName = Column | str


def call(name: str, *args: e.Expression) -> Column:
    """A call of a function of the registry."""
    return Column(e.Call(name, args))


def column_or_value(value: Any) -> e.Expression:
    """A column, the column of that name, or a number as it is."""
    return column_of(value) if isinstance(value, Column | str) else expression_of(value)


def optional(read: Callable[[Any], e.Expression], value: Any) -> Iterable[e.Expression]:
    """Nothing when it is None."""
    return () if value is None else (read(value),)


def spread(values: tuple[Any, ...]) -> tuple[Any, ...]:
    """The arguments, which may stand in one list."""
    return tuple(values[0]) if len(values) == 1 and isinstance(values[0], list | tuple | set) else values


def is_true(value: bool | Column | None) -> bool:
    """A flag, which may be a constant column. Raises TypeError for another column."""
    if isinstance(value, Column):
        expression = value._expression
        if not isinstance(expression, e.Literal):
            raise TypeError("[NOT_BOOL] the flag must be a constant")
        return bool(expression.value)
    return bool(value)
