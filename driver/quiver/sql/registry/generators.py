"""Generators: functions that make rows of a row. `lower` writes the list whose items become the rows; the members of the struct that
`returns` tells are the columns: of a list of structs its members, else the items themselves as the only column.
"""

from __future__ import annotations

from collections.abc import Sequence

from quiver.sql import types as t
from quiver.sql.analysis.coercion import expect_common
from quiver.sql.errors import AnalysisException
from quiver.sql.lowering.names import cast
from quiver.sql.registry.model import Function, Types, register


def _exploded(kinds: Types) -> t.StructType:
    (kind,) = kinds
    if isinstance(kind, t.ArrayType):
        return t.StructType([t.StructField("col", kind.elementType, kind.containsNull)])
    if isinstance(kind, t.MapType):
        return t.StructType([t.StructField("key", kind.keyType, False), t.StructField("value", kind.valueType, kind.valueContainsNull)])
    raise AnalysisException(
        f'explode takes an "ARRAY" or a "MAP", not "{kind.simpleString().upper()}".', "DATATYPE_MISMATCH.UNEXPECTED_INPUT_TYPE"
    )


def _positioned(kinds: Types) -> t.StructType:
    return t.StructType([t.StructField("pos", t.IntegerType(), False), *_exploded(kinds)])


def _items(args: Sequence[str], kinds: Types) -> str:
    return f"map_entries({args[0]})" if isinstance(kinds[0], t.MapType) else args[0]


def _inlined(kinds: Types) -> t.StructType:
    (kind,) = kinds
    if isinstance(kind, t.ArrayType) and isinstance(kind.elementType, t.StructType):
        return kind.elementType
    raise AnalysisException(
        f'inline takes an "ARRAY<STRUCT>", not "{kind.simpleString().upper()}".', "DATATYPE_MISMATCH.UNEXPECTED_INPUT_TYPE"
    )


def _stacked(kinds: Types) -> Sequence[t.DataType | None]:
    return [t.IntegerType(), *kinds[1:]]


def stacked(count: int, kinds: Types) -> t.StructType:
    """The columns of `stack(count, …)`, given the types of what follows the count."""
    width = -(-len(kinds) // count)
    for place in range(width):
        told = [kind for kind in kinds[place::width] if not isinstance(kind, t.NullType)]
        for row, kind in enumerate(told):
            if kind != told[0] and isinstance(kind, t.AtomicType):
                raise AnalysisException(
                    f'Cannot resolve "stack" due to data type mismatch: The data type of the column ({place}) do not have the same type: '
                    f'"{told[0].simpleString().upper()}" (1) <> "{kind.simpleString().upper()}" ({row + 1}).',
                    "DATATYPE_MISMATCH.STACK_COLUMN_DIFF_TYPES",
                )
    return t.StructType([t.StructField(f"col{i}", expect_common("stack", kinds[i::width])) for i in range(width)])


def stack_list(count: int, args: Sequence[str], kinds: Types) -> str:
    """The list of structs whose items are the rows of `stack`."""
    columns = stacked(count, kinds)
    width = len(columns)
    rows = []
    for start in range(0, count * width, width):
        cells = [args[start + i] if start + i < len(args) else "NULL" for i in range(width)]
        members = (f"'col{i}', {cast(cell, field.dataType)}" for i, (cell, field) in enumerate(zip(cells, columns, strict=True)))
        rows.append(f"named_struct({', '.join(members)})")
    return f"make_array({', '.join(rows)})"


for _suffix in ("", "_outer"):
    register(Function(f"explode{_suffix}", _items, _exploded, kind="generator", arity=(1, 1)))
    register(Function(f"posexplode{_suffix}", _items, _positioned, kind="generator", arity=(1, 1)))
    register(Function(f"inline{_suffix}", lambda args, kinds: args[0], _inlined, kind="generator", arity=(1, 1)))
register(Function("stack", lambda args, kinds: "", None, _stacked, kind="generator", arity=(2, None)))
