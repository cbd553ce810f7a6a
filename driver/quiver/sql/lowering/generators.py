"""Generators and samples in the kernel's SQL: both unnest a list per row."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from quiver.sql import types as t
from quiver.sql.analysis.generators import stack_size
from quiver.sql.analysis.typing import function_of, type_of
from quiver.sql.lowering.names import column
from quiver.sql.lowering.repeats import each_once
from quiver.sql.registry.generators import stack_list
from quiver.sql.registry.variants import ENTRIES
from quiver.sql.tree import expressions as e
from quiver.sql.tree import relations as r

_ITEM, _POSITION = '"#item"', '"#position"'
_ROW = '"#row"'


def generate(relation: r.Generate, source: str, text: Callable[[e.Expression], str], keys: Sequence[e.SortKey] = ()) -> str:
    """The SELECT of a Generate over `source`, which is sorted by `keys`.

    The kernel's unnest promises no order, so sorts below it are dropped as if nothing showed them: what it gives is sorted, with the
    rows that were made of one row beside each other and in their order.
    """
    call = relation.generator
    assert isinstance(call, e.Call)
    args = [text(argument) for argument in call.args]
    kinds = [type_of(argument) for argument in call.args]
    positioned = call.name.startswith("posexplode")
    columns = relation.columns[1:] if positioned else relation.columns
    structs = call.name.startswith(("inline", "stack", "json_tuple", "variant_explode")) or isinstance(kinds[0], t.MapType)
    items = stack_list(stack_size(call), args[1:], kinds[1:]) if call.name == "stack" else function_of(call).lower(args, kinds)
    positions = f"range(0, CAST(array_length({items}) AS BIGINT))"
    if relation.outer:
        empty = f"coalesce(CAST(cardinality({items}) AS BIGINT), 0) = 0"
        items, positions = (f"(CASE WHEN {empty} THEN make_array(NULL) ELSE {part} END)" for part in (items, positions))
    kept = [column(attribute) for attribute in each_once(relation.child.output)]
    below = [*kept, f"unnest({items}) AS {_ITEM}", *([f"unnest({positions}) AS {_POSITION}"] if positioned or keys else [])]
    order = ""
    if keys:
        computed = [f'"#key{place}"' for place in range(len(keys))]
        below += [f"{text(key.child)} AS {name}" for key, name in zip(keys, computed, strict=True)]
        below.append(f"random() AS {_ROW}")
        ways = (text(key).removeprefix(text(key.child)) for key in keys)
        order = f" ORDER BY {', '.join(f'{name}{way}' for name, way in zip(computed, ways, strict=True))}, {_ROW}, {_POSITION}"
    given = [f"CAST({_POSITION} AS INT) AS {column(relation.columns[0])}"] if positioned else []
    if structs:
        names = ["key", "value"] if isinstance(kinds[0], t.MapType) else _members(call, kinds)
        # The kernel gives what lies below a struct that is null.
        member = "CASE WHEN {0} IS NOT NULL THEN get_field({0}, '{1}') END AS {2}"
        given += [member.format(_ITEM, _escaped(name), column(c)) for name, c in zip(names, columns, strict=True)]
    else:
        given.append(f"{_ITEM} AS {column(columns[0])}")
    return f"SELECT {', '.join([*kept, *given])} FROM (SELECT {', '.join(below)} FROM {source}){order}"


def _members(call: e.Call, kinds: Sequence[t.DataType]) -> list[str]:
    if call.name == "stack":
        size = stack_size(call)
        return [f"col{i}" for i in range(-(-(len(kinds) - 1) // size))]
    if call.name == "json_tuple":
        return [f"c{i}" for i in range(len(kinds) - 1)]
    if call.name.startswith("variant_explode"):
        return ENTRIES.names
    kind = kinds[0]
    assert isinstance(kind, t.ArrayType)
    assert isinstance(kind.elementType, t.StructType)
    return kind.elementType.names


def _escaped(name: str) -> str:
    return name.replace("'", "''")
