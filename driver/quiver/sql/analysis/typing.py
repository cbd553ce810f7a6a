"""The types of analysed expressions."""

from __future__ import annotations

from typing import assert_never

from quiver.sql import types as t
from quiver.sql.analysis.coercion import common_type
from quiver.sql.errors import AnalysisException
from quiver.sql.registry.model import Function, lookup
from quiver.sql.tree import expressions as e


def function_of(call: e.Call) -> Function:
    """Raises AnalysisException with the names most like it."""
    function = lookup(call.name)
    if function is None:
        import difflib

        from quiver.sql.registry.model import FUNCTIONS

        alike = difflib.get_close_matches(call.name.lower(), FUNCTIONS, n=3, cutoff=0.6)
        hint = f" Did you mean {', '.join(f'`{name}`' for name in alike)}?" if alike else ""
        raise AnalysisException(f"Cannot resolve routine `{call.name}`.{hint}", "UNRESOLVED_ROUTINE")
    return function


def type_of(expression: e.Expression) -> t.DataType:
    """Of an analysed expression."""
    try:
        return expression._type
    except AttributeError:
        found = _type_of(expression)
        object.__setattr__(expression, "_type", found)
        return found


def _type_of(expression: e.Expression) -> t.DataType:
    match expression:
        case e.Literal() | e.Attribute() | e.Cast() | e.PythonCall():
            return expression.type
        case e.OuterReference():
            return expression.attribute.type
        case e.Alias() | e.MultiAlias() | e.SortKey():
            return type_of(expression.child)
        case e.Call():
            function = function_of(expression)
            kinds = [type_of(argument) for argument in expression.args]
            if function.returns is not None:
                return function.returns(kinds)
            from quiver.sql.lowering.asking import kernel_type

            return kernel_type(function, tuple(kinds))
        case e.Case():
            values = [type_of(value) for _, value in expression.branches]
            if expression.otherwise is not None:
                values.append(type_of(expression.otherwise))
            return common_type(values) or t.NullType()
        case e.In() | e.Exists() | e.InSubquery():
            return t.BooleanType()
        case e.Member():
            return member_type(type_of(expression.child), expression.name)
        case e.StructOf():
            members = zip(expression.names, expression.values, strict=True)
            return t.StructType([t.StructField(name, type_of(value), nullable(value)) for name, value in members])
        case e.Windowed():
            return type_of(expression.function)
        case e.ScalarSubquery():
            return expression.relation.output[0].type
        case e.Lambda():
            return type_of(expression.body)
        case e.Variable():
            return expression.type or t.NullType()
        case e.Name() | e.Star() | e.Listed() | e.WindowSpec() | e.Expression():
            raise AssertionError(expression)
        case _:
            assert_never(expression)


def member_type(kind: t.DataType, name: str) -> t.DataType:
    """Of a struct's member of exactly this name; of an array of structs, the array of theirs."""
    if isinstance(kind, t.ArrayType):
        return t.ArrayType(member_type(kind.elementType, name))
    assert isinstance(kind, t.StructType), kind
    return kind[name].dataType


def nullable(expression: e.Expression) -> bool:
    """Whether an analysed expression may be null."""
    try:
        return expression._nullable
    except AttributeError:
        found = _nullable(expression)
        object.__setattr__(expression, "_nullable", found)
        return found


def _nullable(expression: e.Expression) -> bool:
    match expression:
        case e.Literal():
            return expression.value is None
        case e.Attribute():
            return expression.nullable
        case e.Alias() | e.MultiAlias() | e.SortKey():
            return nullable(expression.child)
        case e.Cast():
            return expression.lenient or nullable(expression.child)
        case e.Call():
            function = function_of(expression)
            return any(map(nullable, expression.args)) if function.nullable is None else function.nullable
        case e.Case():
            return (
                expression.otherwise is None or nullable(expression.otherwise) or any(nullable(value) for _, value in expression.branches)
            )
        case e.Member():
            kind = type_of(expression.child)
            return nullable(expression.child) or not isinstance(kind, t.StructType) or kind[expression.name].nullable
        case e.StructOf():
            return False
        case e.In():
            return nullable(expression.child) or any(map(nullable, expression.options))
        case e.Exists():
            return False
        case e.Windowed():
            return nullable(expression.function)
        case e.PythonCall():
            return bool(expression.function.nullable)
        case _:
            return True
