"""Variants of Parquet files, whose common members may be columns of their own ("shredded"), as the two binaries that they are elsewhere.

Beside `metadata` and `value` such a group has a `typed_value`: a scalar, a list of groups, or a struct of a group per member. What is not
in the typed value is in `value`; where both are null there is nothing.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from quiver_proto.variants.decoding import malformed, part_of, tree_of
from quiver_proto.variants.encoding import Single, encoded

if TYPE_CHECKING:
    import pyarrow as pa

Make = Callable[[Any, bytes], Any]
_NOTHING: Any = object()


def unshredded(column: pa.Array, kind: pa.DataType) -> pa.Array:
    """The column with its variants as `kind` has them: structs of `value` and `metadata`. Other columns are as they were.

    Raises SparkValueError for what is no variant.
    """
    import pyarrow as pa

    of = column.type
    if of == kind:
        return column
    if pa.types.is_struct(kind) and pa.types.is_struct(of):
        if is_variant(kind) and of.get_field_index("metadata") >= 0:
            return _plain(column, kind)
        names = [field.name for field in kind]
        if [field.name for field in of] != names:
            return column
        members = [unshredded(column.field(place), field.type) for place, field in enumerate(kind)]
        fields = [pa.field(name, member.type) for name, member in zip(names, members, strict=True)]
        return pa.StructArray.from_arrays(members, fields=fields, mask=column.is_null())
    if pa.types.is_list(kind) and pa.types.is_list(of):
        items = unshredded(column.values, kind.value_type)
        return pa.ListArray.from_arrays(column.offsets, items, mask=column.is_null() if column.null_count else None)
    if pa.types.is_map(kind) and pa.types.is_map(of):
        values = unshredded(column.items, kind.item_type)
        return pa.MapArray.from_arrays(column.offsets, column.keys, values, mask=column.is_null() if column.null_count else None)
    return column


def is_variant(kind: pa.DataType) -> bool:
    """Whether variants are of this Arrow type."""
    import pyarrow as pa

    return bool(
        pa.types.is_struct(kind)
        and [field.name for field in kind] == ["value", "metadata"]
        and all(pa.types.is_binary(field.type) for field in kind)
    )


def _plain(column: pa.Array, kind: pa.DataType) -> pa.Array:
    import pyarrow as pa

    of = column.type
    if of.get_field_index("typed_value") < 0:
        parts = [column.field(name).cast(pa.binary()) for name in ("value", "metadata")]
        return pa.StructArray.from_arrays(parts, fields=[field.with_nullable(True) for field in kind], mask=column.is_null())
    make = _maker(of)
    made: list[dict[str, bytes] | None] = []
    for group in column.to_pylist():
        if group is None:
            made.append(None)
            continue
        tree = make(group, group["metadata"])
        value, metadata = encoded(None if tree is _NOTHING else tree)
        made.append({"value": value, "metadata": metadata})
    return pa.array(made, pa.struct([field.with_nullable(True) for field in kind]))


def _maker(group: pa.DataType) -> Make:
    """What makes a tree of a group's value, or _NOTHING."""
    names = [field.name for field in group]
    typed = _typed(group.field("typed_value").type) if "typed_value" in names else None

    def make(value: Any, metadata: bytes) -> Any:
        rest, given = value.get("value"), value.get("typed_value")
        left = _NOTHING if rest is None else tree_of(part_of(rest, metadata))
        if given is None or typed is None:
            return left
        tree = typed(given, metadata)
        if left is _NOTHING:
            return tree
        if isinstance(tree, dict) and isinstance(left, dict):
            return {**tree, **left}
        raise malformed()

    return make


def _typed(kind: pa.DataType) -> Make:
    import pyarrow as pa

    if pa.types.is_struct(kind):
        members = [(field.name, _maker(field.type)) for field in kind]

        def of_members(value: Any, metadata: bytes) -> Any:
            made = ((name, make(value[name], metadata)) for name, make in members if value[name] is not None)
            return {name: member for name, member in made if member is not _NOTHING}

        return of_members
    if pa.types.is_list(kind):
        item = _maker(kind.value_type)

        def of_items(value: Any, metadata: bytes) -> Any:
            items = [item(each, metadata) for each in value]
            return [None if each is _NOTHING else each for each in items]

        return of_items
    if pa.types.is_float32(kind):
        return lambda value, metadata: Single(value)
    return lambda value, metadata: value
