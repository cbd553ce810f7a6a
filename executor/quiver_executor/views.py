"""String views leave a task as plain strings.

A batch of views refers to every buffer that any of its strings came from: behind a merge or a join that is most of its input, and
writing such batches one by one would write the input again for each of them.
"""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pyarrow as pa


def without_views(batch: pa.RecordBatch) -> pa.RecordBatch:
    """The same rows; strings and binaries, also nested ones, own just their bytes. Costs about 10 ns a string."""
    schema = plain_schema(batch.schema)
    return batch if schema is batch.schema or schema.equals(batch.schema) else batch.cast(schema)


def compacted(batch: pa.RecordBatch) -> pa.RecordBatch:
    """The same rows with the same types; views refer to just their bytes."""
    plain = without_views(batch)
    return batch if plain is batch else plain.cast(batch.schema)


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
