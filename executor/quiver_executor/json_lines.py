"""Rows as JSON objects, one a line, as Spark writes them. Whole batches at a time."""

from __future__ import annotations

import json
from typing import Any

from quiver_executor.arrow_functions import compute
from quiver_executor.value_texts import Forms, base64_texts, texts
from quiver_proto.variants.decoding import part_of
from quiver_proto.variants.json_form import as_json
from quiver_proto.variants.shredded import is_variant

_ESCAPED = '["\\\\\\x00-\\x1f]'


class JsonLines:
    """`keep_nulls`: members that are null are written, instead of left out. `variants`: structs of `value` and `metadata`, both binaries,
    are variants."""

    def __init__(self, forms: Forms, keep_nulls: bool, variants: bool = False) -> None:
        self._variants = variants
        self._forms = forms
        self._keep_nulls = keep_nulls

    def objects(self, batch: Any) -> Any:
        """A StringArray of one object per row."""
        return self._members(batch.schema, batch.columns, batch.num_rows)

    def _members(self, fields: Any, columns: list[Any], rows: int) -> Any:
        import pyarrow as pa

        pc = compute()

        pieces = []
        for field, column in zip(fields, columns, strict=True):
            name = f",{json.dumps(field.name, ensure_ascii=False)}:"
            written = pc.binary_join_element_wise(name, self._values(column), "")
            pieces.append(pc.fill_null(written, f"{name}null" if self._keep_nulls else ""))
        if not pieces:
            return pa.array(["{}"] * rows, pa.string())
        inside = pieces[0] if len(pieces) == 1 else pc.binary_join_element_wise(*pieces, "")
        return pc.binary_join_element_wise("{", pc.replace_substring_regex(inside, "^,", ""), "}", "")

    def _values(self, array: Any) -> Any:
        """Each value as JSON; null for null."""
        import pyarrow as pa

        pc = compute()

        kind, is_ = array.type, pa.types
        if self._variants and is_variant(kind):
            parts = (value and part_of(value["value"], value["metadata"]) for value in array.to_pylist())
            return pa.array([part and as_json(part, self._forms.zone) for part in parts], pa.string())
        if is_.is_struct(kind):
            written = self._members(kind, array.flatten(), len(array))
            return pc.if_else(array.is_valid(), written, pa.scalar(None, pa.string()))
        if is_.is_map(kind):
            return self._map(array)
        if is_.is_list(kind):
            inner = pc.fill_null(self._values(array.flatten()), "null")
            return _nested(array, inner, "[", "]")
        if is_.is_null(kind):
            return array.cast(pa.string())
        if is_.is_integer(kind) or is_.is_boolean(kind) or is_.is_decimal(kind):
            return texts(array, self._forms)
        if is_.is_floating(kind):
            written = texts(array, self._forms)
            odd = pc.or_(pc.is_nan(array), pc.is_inf(array))
            return pc.if_else(odd, pc.binary_join_element_wise('"', written, '"', ""), written)
        return _quoted(base64_texts(array) if is_.is_binary(kind) else texts(array, self._forms))

    def _map(self, array: Any) -> Any:
        import pyarrow as pa

        pc = compute()

        if array.offset or array.null_count:
            array = array.take(pa.array(range(len(array))))  # Keys and items begin with the first map then, and hold no other's.
        start, stop = (array.offsets[0].as_py(), array.offsets[-1].as_py()) if len(array) else (0, 0)
        keys, items = array.keys.slice(start, stop - start), array.items.slice(start, stop - start)
        names = _quoted(texts(keys, self._forms)) if not pa.types.is_nested(keys.type) else _quoted(self._values(keys))
        entries = pc.binary_join_element_wise(names, pc.fill_null(self._values(items), "null"), ":")
        return _nested(array, entries, "{", "}")


def _nested(array: Any, inner: Any, opening: str, closing: str) -> Any:
    """The texts of a list's (or map's) elements, `inner`, put together."""
    import pyarrow as pa

    pc = compute()

    # As differences of offsets: an array of lists, cut out of a longer one, has elements of its own only after flatten().
    offsets = array.offsets
    lengths = pc.if_else(array.is_valid(), pc.subtract(offsets.slice(1), offsets.slice(0, len(array))), pa.scalar(0, pa.int32()))
    ends = pc.cumulative_sum(lengths).cast(pa.int32())
    lists = pa.ListArray.from_arrays(pa.concat_arrays([pa.array([0], pa.int32()), ends]), inner)
    written = pc.binary_join_element_wise(opening, pc.binary_join(lists, ","), closing, "")
    return pc.if_else(array.is_valid(), written, pa.scalar(None, pa.string()))


def _quoted(array: Any) -> Any:
    import pyarrow as pa

    pc = compute()

    odd = pc.fill_null(pc.match_substring_regex(array, _ESCAPED), False)
    quoted = pc.binary_join_element_wise('"', array, '"', "")
    if not pc.any(odd).as_py():
        return quoted
    written = pa.array([json.dumps(text, ensure_ascii=False) for text in array.filter(odd).to_pylist()], pa.string())
    return pc.replace_with_mask(quoted, odd, written)
