"""Constants of SQL: what a constant expression is worth, without the kernel."""

from __future__ import annotations

from quiver.sql import types as t
from quiver.sql.errors import AnalysisException
from quiver.sql.tree import expressions as e


def negative(literal: e.Literal) -> e.Literal:
    """The literal with a minus before it: of `-2147483648`, an int."""
    value = -literal.value
    if isinstance(literal.type, t.LongType) and value >= -(2**31) and literal.value == 2**31:
        return e.Literal(value, t.IntegerType())
    return e.Literal(value, literal.type)


def folded(expression: e.Expression) -> object:
    """The value of an expression of constants. Raises AnalysisException when it is not one that needs no kernel."""
    match expression:
        case e.Literal():
            return expression.value
        case e.Alias() | e.Cast():
            return folded(expression.child)
        case e.Call(name="negative" | "- "):
            value = folded(expression.args[0])
            return -value if isinstance(value, int | float) else None
        case e.Call(name="concat"):
            return "".join(str(folded(argument)) for argument in expression.args)
        case e.Call(name=operator, args=(left, right)) if operator in ("+", "-", "*"):
            a, b = folded(left), folded(right)
            if isinstance(a, int) and isinstance(b, int):
                return a + b if operator == "+" else a - b if operator == "-" else a * b
        case _:
            pass
    raise AnalysisException("a constant is needed here", "NON_FOLDABLE_ARGUMENT")
