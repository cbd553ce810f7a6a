"""String views leave a task as plain strings.

A batch of views refers to every buffer that any of its strings came from: behind a merge or a join that is most of its input, and
writing such batches one by one would write the input again for each of them.
"""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pyarrow as pa

_VIEW = 16
"""Bytes of a view."""


def without_views(batch: pa.RecordBatch) -> pa.RecordBatch:
    """The same rows; strings and binaries, also nested ones, own just their bytes. Costs about 10 ns a string."""
    schema = plain_schema(batch.schema)
    return batch if schema is batch.schema or schema.equals(batch.schema) else batch.cast(schema)


def compacted(batch: pa.RecordBatch) -> pa.RecordBatch:
    """The same rows with the same types; views refer to their bytes and little more."""
    plain = plain_schema(batch.schema)
    if plain is batch.schema or plain.equals(batch.schema):
        return batch
    columns = [
        column if column.type == field.type or _is_compact(column) else column.cast(field.type).cast(column.type)
        for column, field in zip(batch.columns, plain, strict=True)
    ]
    return type(batch).from_arrays(columns, schema=batch.schema)


def _is_compact(views: pa.Array) -> bool:
    """Whether what the views refer to is no more than twice their own bytes: to copy it costs more than to keep what is not needed.

    False for nested ones.
    """
    import pyarrow as pa

    if not (pa.types.is_string_view(views.type) or pa.types.is_binary_view(views.type)):
        return False
    _, _, *data = views.buffers()
    return bool(sum(buffer.size for buffer in data) <= 2 * _VIEW * len(views))


@functools.lru_cache(maxsize=64)
def plain_schema(schema: pa.Schema) -> pa.Schema:
    """With plain strings and binaries in place of views."""
    import pyarrow as pa

    return pa.schema([_plain_field(field) for field in schema], schema.metadata)


def _plain_field(field: pa.Field) -> pa.Field:
    return field.with_type(_plain(field.type))


def _plain(kind: pa.DataType) -> pa.DataType:
    import pyarrow as pa

    if pa.types.is_string_view(kind):
        return pa.string()
    if pa.types.is_binary_view(kind):
        return pa.binary()
    if pa.types.is_struct(kind):
        return pa.struct([_plain_field(member) for member in kind])
    if pa.types.is_map(kind):
        return pa.map_(_plain_field(kind.key_field), _plain_field(kind.item_field), kind.keys_sorted)
    if pa.types.is_large_list(kind):
        return pa.large_list(_plain_field(kind.value_field))
    if pa.types.is_list(kind):
        return pa.list_(_plain_field(kind.value_field))
    return kind
