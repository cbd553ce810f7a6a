"""Arrow's kernels on columns of pairs: partitions of keys, sums by key, orders. Each gives what the Python loop would, or declines.

Integers: Python's do not overflow, so a sum is done here only where no sum of any of the values could leave 64 bits. Floats are
ordered here when none is NaN, and added in the order in which Python would. Text is compared and grouped by its
UTF-8 bytes, which order as code points do.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from typing import Any, Literal

from quiver_proto.columns import Column, Columns, column_of, to_list

How = Literal["sum", "min", "max", "first"]
"""How values with one key become one."""

FEW = 4096
"""Batches of fewer records are not worth the calls."""
_WARM_UP = 1 << 16
"""Records that pass before a slot imports the kernels, unless they were imported already."""
_LARGEST = (1 << 63) - 1
_HASH_MODULUS = (1 << 61) - 1
"""Python's hash of an int below it is the int, but for -1."""
_INTEGERS = frozenset({"int8", "int16", "int32", "int64"})
PLACED = frozenset({"integers", "double", "large_string", "large_binary"})
"""Kinds of keys for which it may pay to travel in columns."""
_GROUPED = frozenset({"integers", "large_string", "large_binary"})
_NARROW = ((1 << 7, "int8"), (1 << 15, "int16"), (1 << 31, "int32"))

LARGE_COUNT = 1 << 31
"""Times the length of an array, it might not fit 64 bits."""

_passed = 0
_usable: bool | None = None


def ready(records: int) -> bool:
    """May kernels be used by somebody who has this many records at hand? Slots that see few records never import them."""
    global _passed, _usable
    if _usable is None:
        if "pyarrow.compute" not in sys.modules:
            _passed += records
            if _passed < _WARM_UP:
                return False
        _usable = _available()
    return _usable


def _available() -> bool:
    import pyarrow.compute as pc

    return {"modulo", "search_sorted", "array_sort_indices", "take"} <= set(pc.list_functions())


def _call(name: str, arguments: list[Any], options: Any = None) -> Any:
    import pyarrow.compute as pc

    return pc.call_function(name, arguments, options)


def _any(name: str, *arguments: Any) -> bool:
    return bool(_call("any", [_call(name, list(arguments))]).as_py())


def is_integers(column: Column) -> bool:
    return not isinstance(column, list) and str(column.type) in _INTEGERS


def kind_of(column: Column) -> str:
    """Integers of all widths are one kind; "" for objects."""
    if isinstance(column, list):
        return ""
    kind = str(column.type)
    return "integers" if kind in _INTEGERS else kind


def are_alike(one: Columns, other: Columns) -> bool:
    """Can they be joined?"""
    return kind_of(one.keys) == kind_of(other.keys) and kind_of(one.values) == kind_of(other.values)


def concatenated(columns: Sequence[Column]) -> Column:
    """One column of several of one kind."""
    import pyarrow as pa

    if isinstance(columns[0], list):
        return [value for column in columns for value in column]
    if len(columns) == 1:
        return widened(columns[0])
    return pa.concat_arrays([widened(column) for column in columns])


def joined(parts: Sequence[Columns]) -> Columns:
    return Columns(concatenated([part.keys for part in parts]), concatenated([part.values for part in parts]))


def widened(column: Column) -> Column:
    """Integers as int64."""
    import pyarrow as pa

    return column.cast(pa.int64()) if is_integers(column) else column


def narrowed(column: Column) -> Column:
    """Integers as the narrowest type that holds them all."""
    if not is_integers(column) or len(column) == 0:
        return column
    least, most = _extremes(column)
    for limit, name in _NARROW:
        if -limit <= least and most < limit:
            return column.cast(name)
    return column


def _extremes(column: Column) -> tuple[int, int]:
    both = _call("min_max", [column])
    return both["min"].as_py(), both["max"].as_py()


def taken(column: Column, order: Any) -> Column:
    """The values at the places that `order` tells."""
    if isinstance(column, list):
        return list(map(column.__getitem__, to_list(order.cast("int64"))))
    return _call("take", [column, order])


def words_of(text: bytes, separator: str | None) -> Column:
    """What str.split gives of valid UTF-8. Without a separator the text must be ASCII without the separators 0x1C to 0x1F, which only
    Python takes for white space."""
    import pyarrow as pa
    import pyarrow.compute as pc

    if separator is None:
        text = text.strip()
        if not text:
            return pa.array([], pa.large_string())
    ends = pa.py_buffer(b"\0" * 8 + len(text).to_bytes(8, "little"))
    whole = pa.LargeStringArray.from_buffers(1, ends, pa.py_buffer(text))
    if separator is None:
        return _call("ascii_split_whitespace", [whole], pc.SplitOptions()).flatten()
    return _call("split_pattern", [whole], pc.SplitPatternOptions(separator)).flatten()


# ---- which reduce partition ----


def hash_places(keys: Column, width: int) -> Any:
    """`portable_hash(key) % width` of each key, as an array; None for keys that have to be hashed one by one in another way."""
    import pyarrow as pa

    kind = kind_of(keys)
    if kind == "integers":
        hashes = widened(keys)
        least, most = _extremes(hashes)
        if least <= -_HASH_MODULUS or most >= _HASH_MODULUS:
            hashes = pa.array(list(map(hash, to_list(hashes))), pa.int64())
        elif least < 0:
            hashes = _call("if_else", [_call("equal", [hashes, pa.scalar(-1)]), pa.scalar(-2), hashes])
    elif kind in ("large_string", "large_binary"):
        hashes = pa.array(list(map(hash, to_list(keys))), pa.int64())
    else:
        return None
    return _call("modulo", [hashes, pa.scalar(width, pa.int64())])


def range_places(keys: Column, bounds: Column, ascending: bool) -> Any:
    """`bisect_left(bounds, key)` of each key, counted from the other end when descending; None when they don't compare like that."""
    import pyarrow as pa
    import pyarrow.compute as pc

    if not is_ordered(keys) or kind_of(keys) != kind_of(bounds):
        return None
    places = _call("search_sorted", [widened(bounds), widened(keys)], pc.SearchSortedOptions(side="left"))
    return places if ascending else _call("subtract", [pa.scalar(len(bounds), pa.uint64()), places])


def divided(columns: Columns, places: Any, width: int) -> Iterator[tuple[int, Columns]]:
    """(partition, its pairs in order) for each that has any."""
    import pyarrow as pa

    places = places.cast(pa.uint16() if width <= 1 << 16 else pa.uint32())
    order = _call("array_sort_indices", [places])
    keys, values = taken(narrowed(columns.keys), order), taken(narrowed(columns.values), order)
    counts = places.value_counts()
    start = 0
    for partition, count in sorted(zip(to_list(counts.field(0).cast("int64")), to_list(counts.field(1)))):
        stop = start + count
        yield partition, Columns(keys[start:stop], values[start:stop])
        start = stop


# ---- one value per key ----


def can_group(keys: Column) -> bool:
    """Are keys equal for the kernels when they are for Python?"""
    return kind_of(keys) in _GROUPED


def can_combine(keys: Column, values: Column, how: How) -> bool:
    """Are these columns that `combined` may take?"""
    kind = kind_of(values)
    return can_group(keys) and (kind == "null" if how == "first" else kind == "integers" or (kind == "double" and how == "sum"))


def may_combine(pair: Any, how: How) -> bool:
    """A quick look at one pair of a batch, before making columns of all."""
    if type(pair) is not tuple or len(pair) != 2:
        return False
    value = type(pair[1])
    return value is type(None) if how == "first" else value is int or (value is float and how == "sum")


def is_inexact(columns: Columns) -> bool:
    """Does the order in which values are added show in the sum?"""
    return kind_of(columns.values) == "double"


def combined(columns: Columns, how: How) -> Columns | None:
    """Each key once, in the order in which they came first. None when sums might not be what Python makes of them: integers beyond 64
    bits, and floats where a zero or NaN is among them. Floats are added in order, but to 0.0, which changes -0.0 and nothing else."""
    import pyarrow as pa

    keys, values = columns.keys, widened(columns.values)
    if len(keys) == 0:
        return columns
    if how == "first":
        distinct = keys.unique()
        return Columns(distinct, pa.nulls(len(distinct)))
    if is_inexact(columns):
        if _any("is_nan", values) or _any("equal", values, pa.scalar(0.0)):
            return None
    elif how == "sum":
        least, most = _extremes(values)
        if max(-least, most) * len(values) > _LARGEST:
            return None
    # Grouping text itself costs several times as much as numbering it first.
    numbered = None if is_integers(keys) else keys.dictionary_encode()
    table = pa.Table.from_arrays([keys if numbered is None else numbered.indices, values], names=["k", "v"])
    grouped = table.group_by("k", use_threads=False).aggregate([("v", how)]).combine_chunks()
    distinct = _whole(grouped.column("k"))
    return Columns(distinct if numbered is None else taken(numbered.dictionary, distinct), _whole(grouped.column(f"v_{how}")))


def counted(keys: Column, count: int) -> Columns:
    """Each key once with `count` times how often it is there; `count` is below LARGE_COUNT."""
    import pyarrow as pa

    counts = keys.value_counts()
    numbers = counts.field(1)
    return Columns(counts.field(0), numbers if count == 1 else _call("multiply", [numbers, pa.scalar(count, pa.int64())]))


def _whole(column: Any) -> Column:
    import pyarrow as pa

    return column.chunk(0) if column.num_chunks == 1 else pa.concat_arrays(column.chunks)


def grouped(columns: Columns) -> tuple[Column, list[int], Column]:
    """Each key once, in the order in which they came first; how many values each has; and all values, those of one key together and in
    order. For keys that `can_group`."""
    numbered = widened(columns.keys).dictionary_encode()
    numbers = numbered.indices
    if len(numbered.dictionary) <= 1 << 16:
        numbers = numbers.cast("uint16")  # Which is sorted by counting.
    order = _call("array_sort_indices", [numbers])
    counts = numbers.value_counts().field(1)
    return numbered.dictionary, to_list(counts), taken(columns.values, order)


# ---- order ----


def is_ordered(keys: Column) -> bool:
    """Does `order_of` compare them as Python does?"""
    kind = kind_of(keys)
    if kind == "double":
        return not _any("is_nan", keys)
    return kind in ("integers", "large_string", "large_binary")


def order_of(keys: Column, reverse: bool) -> Any:
    """The places of the keys in sorted order, equal ones in the order in which they are."""
    import pyarrow.compute as pc

    return _call("array_sort_indices", [keys], pc.ArraySortOptions("descending" if reverse else "ascending"))


def columns_of(pairs: Sequence[Any]) -> Columns | None:
    """Tuples of two as columns, values as a list where they have no type in common; None for anything else."""
    if list(map(type, pairs)).count(tuple) != len(pairs):
        return None
    try:
        keys, values = zip(*pairs, strict=True)
    except ValueError:
        return None
    column = column_of(keys)
    if column is None:
        return None
    value_column = column_of(values)
    return Columns(column, list(values) if value_column is None else value_column)
