"""CHAR(n) and VARCHAR(n): of tables only, as in Spark. Queries see strings; a CHAR is padded with spaces where it is stored, read, and
compared with a shorter one or a constant."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import Final

from quiver.sql import types as t
from quiver.sql.errors import AnalysisException
from quiver.sql.tree import expressions as e

WRITTEN: Final = "__CHAR_VARCHAR_TYPE_STRING"
"""In a column's metadata: its type in the table, by Spark's key."""
_CHAR = re.compile(r"char\((\d+)\)")
_COMPARISONS = frozenset({"=", "<=>", "<", "<=", ">", ">="})


def as_strings(schema: t.StructType) -> t.StructType:
    """The columns as queries see them. What they are in the table is in their metadata."""
    return t.StructType(
        [
            t.StructField(field.name, shown, field.nullable, {**field.metadata, WRITTEN: field.dataType.simpleString()})
            if (shown := as_string(field.dataType)) != field.dataType
            else field
            for field in schema
        ]
    )


def field_of(column: e.Attribute) -> t.StructField:
    """The field of a table that is made of such a column: a CHAR read from another table stays one."""
    metadata = dict(column.metadata)
    written = metadata.pop(WRITTEN, None)
    return t.StructField(column.name, column.type if written is None else t.DataType.fromDDL(str(written)), True, metadata)


def as_string(kind: t.DataType) -> t.DataType:
    """The type as queries see it."""
    match kind:
        case t.CharType() | t.VarcharType():
            return t.StringType()
        case t.ArrayType():
            return t.ArrayType(as_string(kind.elementType), kind.containsNull)
        case t.MapType():
            return t.MapType(as_string(kind.keyType), as_string(kind.valueType), kind.valueContainsNull)
        case t.StructType():
            return t.StructType([t.StructField(f.name, as_string(f.dataType), f.nullable, f.metadata) for f in kind])
        case _:
            return kind


def check_no_lengths(kind: t.DataType) -> None:
    """Raises AnalysisException for CHARs and VARCHARs where no table is described."""
    if as_string(kind) != kind:
        raise AnalysisException(
            "The char/varchar type can't be used in the table schema: use string, or put the rows into a table.",
            "UNSUPPORTED_CHAR_OR_VARCHAR_AS_STRING",
        )


def stored(value: e.Expression, kind: t.DataType, depth: int = 0) -> e.Expression:
    """A value as a table's column of the type has it; a string that is too long is an error when the row is computed.

    Strings within arrays, maps and structs are `depth` lambdas deep.
    """
    if as_string(kind) == kind:
        return value
    item = e.Variable(f"item{depth}")
    match kind:
        case t.CharType() | t.VarcharType():
            fitting = e.Call("within_length", (value, e.Literal(kind.length, t.IntegerType())))
            return padded(fitting, kind.length) if isinstance(kind, t.CharType) else fitting
        case t.ArrayType():
            return e.Call("transform", (value, e.Lambda((item.name,), stored(item, kind.elementType, depth + 1))))
        case t.MapType():
            pair = (f"key{depth}", item.name)
            if as_string(kind.keyType) != kind.keyType:
                key = e.Variable(pair[0])
                value = e.Call("transform_keys", (value, e.Lambda(pair, stored(key, kind.keyType, depth + 1))))
            if as_string(kind.valueType) == kind.valueType:
                return value
            return e.Call("transform_values", (value, e.Lambda(pair, stored(item, kind.valueType, depth + 1))))
        case t.StructType():
            members: list[e.Expression] = []
            for field in kind:
                name = e.Literal(field.name, t.StringType())
                members += [name, stored(e.Call("getfield", (value, name)), field.dataType, depth)]
            made = e.Call("named_struct", tuple(members))
            return e.Call("if", (e.Call("isnull", (value,)), e.Literal(None, t.NullType()), made))
        case _:
            raise AssertionError(kind)


def padded(value: e.Expression, length: int) -> e.Expression:
    """With spaces up to `length` characters; what is longer stays."""
    if isinstance(value, e.Literal):
        return value if value.value is None else replace(value, value=value.value.ljust(length))
    # Not by `rpad` in a CASE, whose branches the kernel gives types of their own, and loses one below EXISTS.
    spaces = e.Literal(" " * length, t.StringType())
    first = e.Call("+", (e.Call("length", (value,)), e.Literal(1, t.IntegerType())))
    return e.Call("concat", (value, e.Call("substring", (spaces, first))))


def read(column: e.Attribute) -> e.Expression:
    """A table's column as its rows are read: files of others may have CHARs without their spaces."""
    length = _length(column)
    return column if length is None else e.Alias(padded(column, length), column.name, metadata=column.metadata)


def compared(expression: e.Expression) -> e.Expression:
    """A comparison of CHARs with each other or with constants, both sides equally long."""
    match expression:
        case e.Call(name=name, args=(left, right)) if name in _COMPARISONS:
            sides = _even((left, right))
            return expression if sides is None else replace(expression, args=sides)
        case e.In(child=child, options=options):
            sides = _even((child, *options))
            return expression if sides is None else e.In(sides[0], sides[1:])
        case _:
            return expression


def _even(sides: tuple[e.Expression, ...]) -> tuple[e.Expression, ...] | None:
    """None where nothing is to be padded."""
    lengths = [_length(side) for side in sides]
    if not any(lengths):
        return None
    constants = [len(side.value) if isinstance(side, e.Literal) and isinstance(side.value, str) else None for side in sides]
    known = [length if length is not None else constant for length, constant in zip(lengths, constants, strict=True)]
    nulls = [isinstance(side, e.Literal) and side.value is None for side in sides]
    if any(length is None and not null for length, null in zip(known, nulls, strict=True)):
        return None
    longest = max(length for length in known if length is not None)
    return tuple(side if length is None or length == longest else padded(side, longest) for side, length in zip(sides, known, strict=True))


def _length(side: e.Expression) -> int | None:
    """How long a CHAR is; None for all others."""
    column = side.attribute if isinstance(side, e.OuterReference) else side
    if not isinstance(column, e.Attribute) or not column.metadata:
        return None
    found = next((_CHAR.fullmatch(str(value)) for key, value in column.metadata if key == WRITTEN), None)
    return int(found[1]) if found else None
