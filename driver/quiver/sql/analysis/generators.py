"""Generators in a SELECT: where they may stand, and which columns they give. Pure."""

from __future__ import annotations

from collections.abc import Sequence

from quiver.sql import types as t
from quiver.sql.analysis.typing import function_of, nullable, type_of
from quiver.sql.errors import AnalysisException
from quiver.sql.registry.generators import stacked
from quiver.sql.tree import expressions as e


def is_generator(expression: e.Expression) -> bool:
    """Whether the expression, maybe under names, makes rows."""
    if isinstance(expression, e.Alias | e.MultiAlias):
        return is_generator(expression.child)
    return isinstance(expression, e.Call) and function_of(expression).kind == "generator"


def call_of(expression: e.Expression) -> tuple[e.Call, tuple[str, ...]]:
    """A generator's call, and the names that it was given."""
    match expression:
        case e.MultiAlias():
            return call_of(expression.child)[0], expression.names
        case e.Alias():
            return call_of(expression.child)[0], (expression.name,)
        case e.Call():
            return expression, ()
        case _:
            raise AssertionError(expression)


def generated(call: e.Call, outer: bool, names: Sequence[str]) -> t.StructType:
    """The columns of an analysed call. Raises AnalysisException when `names` are not as many."""
    if call.name == "stack":
        count = call.args[0]
        if not isinstance(count, e.Literal | e.Cast) or not isinstance(size := _constant(count), int) or size <= 0:
            raise AnalysisException("the first argument of stack is a positive constant", "DATATYPE_MISMATCH.NON_FOLDABLE_INPUT")
        values = call.args[1:]
        columns = stacked(size, [type_of(argument) for argument in values])
        width, whole = len(columns), len(values) % len(columns) == 0
        columns = t.StructType(
            [t.StructField(f.name, f.dataType, not whole or any(map(nullable, values[i::width]))) for i, f in enumerate(columns)]
        )
    else:
        kind = type_of(call)
        assert isinstance(kind, t.StructType)
        columns = kind
    if names and len(names) != len(columns):
        raise AnalysisException(
            f"The number of aliases supplied in the AS clause does not match the number of columns output by the UDTF. "
            f"Expected {len(columns)} aliases, but got {', '.join(names)}.",
            "UDTF_ALIAS_NUMBER_MISMATCH",
        )
    return t.StructType(
        [t.StructField(name, field.dataType, outer or field.nullable) for name, field in zip(names or columns.names, columns, strict=True)]
    )


def _constant(expression: e.Expression) -> object:
    while isinstance(expression, e.Cast):
        expression = expression.child
    return expression.value if isinstance(expression, e.Literal) else None


def stack_size(call: e.Call) -> int:
    """Of an analysed stack(): how many rows."""
    size = _constant(call.args[0])
    assert isinstance(size, int)
    return size
