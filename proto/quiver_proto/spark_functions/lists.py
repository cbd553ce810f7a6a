"""Of arrays, maps (which come and go as lists of pairs) and structs (dicts)."""

from __future__ import annotations

import math
import random
from collections.abc import Iterable
from typing import Any

from quiver_proto.spark_functions.growth import check_copies, check_elements
from quiver_proto.spark_functions.java import SparkValueError

Pairs = list[tuple[Any, Any]]


def key_of(value: Any) -> Any:
    """Equal for values that Spark holds for equal: NaN is NaN; usable in a set."""
    if isinstance(value, float):
        return ("nan",) if value != value else value + 0.0
    if isinstance(value, list | tuple):
        return tuple(map(key_of, value))
    if isinstance(value, dict):
        return tuple((name, key_of(item)) for name, item in value.items())
    return value


def order_of(value: Any) -> Any:
    """To sort by, within one type: NaN is larger than all numbers; nulls inside are smallest."""
    if value is None:
        return (0,)
    if isinstance(value, float):
        return (1, math.isnan(value), 0.0 if math.isnan(value) else value)
    if isinstance(value, list | tuple):
        return (1, tuple(map(order_of, value)))
    if isinstance(value, dict):
        return (1, tuple(map(order_of, value.values())))
    return (1, value)


def _first_of_each(values: Iterable[Any]) -> list[Any]:
    seen: dict[Any, Any] = {}
    for value in values:
        seen.setdefault(key_of(value), value)
    return list(seen.values())


def array_contains(values: list[Any], wanted: Any) -> bool | None:
    key = key_of(wanted)
    if any(value is not None and key_of(value) == key for value in values):
        return True
    return None if None in values else False


def array_position(values: list[Any], wanted: Any) -> int:
    key = key_of(wanted)
    return next((at for at, value in enumerate(values, 1) if value is not None and key_of(value) == key), 0)


def array_remove(values: list[Any], unwanted: Any) -> list[Any]:
    key = key_of(unwanted)
    return [value for value in values if value is None or key_of(value) != key]


def array_insert(values: list[Any] | None, position: int | None, value: Any) -> list[Any] | None:
    if values is None or position is None:
        return None
    if position == 0:
        raise SparkValueError(
            "INVALID_INDEX_OF_ZERO", "The index 0 is invalid. An index shall be either < 0 or > 0 (the first element has index 1)."
        )
    if position > 0:
        padded = values + [None] * (position - 1 - len(values))
        return [*padded[: position - 1], value, *padded[position - 1 :]]
    at = len(values) + position + 1
    return [*values[:at], value, *values[at:]] if at >= 0 else [value, *[None] * -at, *values]


def array_union(a: list[Any], b: list[Any]) -> list[Any]:
    return _first_of_each([*a, *b])


def array_intersect(a: list[Any], b: list[Any]) -> list[Any]:
    keys = set(map(key_of, b))
    return [value for value in _first_of_each(a) if key_of(value) in keys]


def array_except(a: list[Any], b: list[Any]) -> list[Any]:
    keys = set(map(key_of, b))
    return [value for value in _first_of_each(a) if key_of(value) not in keys]


def arrays_overlap(a: list[Any], b: list[Any]) -> bool | None:
    if {key_of(value) for value in a if value is not None} & {key_of(value) for value in b if value is not None}:
        return True
    return None if a and b and (None in a or None in b) else False


def array_distinct(values: list[Any]) -> list[Any]:
    return [value + 0.0 if isinstance(value, float) else value for value in _first_of_each(values)]


def array_compact(values: list[Any]) -> list[Any]:
    return [value for value in values if value is not None]


def array_join(values: list[Any], delimiter: str, null: str | None = None) -> str:
    return delimiter.join(
        str(null) if value is None else "true" if value is True else "false" if value is False else str(value)
        for value in values
        if value is not None or null is not None
    )


def array_max(values: list[Any]) -> Any:
    return max((value for value in values if value is not None), key=order_of, default=None)


def array_min(values: list[Any]) -> Any:
    return min((value for value in values if value is not None), key=order_of, default=None)


def array_repeat(value: Any, count: int | None) -> list[Any] | None:
    if count is None:
        return None
    check_copies("array_repeat", value, count)
    return [value] * count


def slice_of(values: list[Any], start: int, length: int) -> list[Any]:
    if start == 0:
        raise SparkValueError("INVALID_PARAMETER_VALUE.START", "Expects a positive or a negative value for `start`, but got 0.")
    if length < 0:
        raise SparkValueError("INVALID_PARAMETER_VALUE.LENGTH", f"Expects `length` greater than or equal to 0, but got {length}.")
    at = start - 1 if start > 0 else len(values) + start
    return values[at : at + length] if at >= 0 else []


def sort_array(values: list[Any], ascending: bool = True) -> list[Any]:
    return sorted(values, key=order_of, reverse=not ascending)


def array_sort(values: list[Any]) -> list[Any]:
    present = [value for value in values if value is not None]
    return sorted(present, key=order_of) + [None] * (len(values) - len(present))


def shuffle(values: list[Any]) -> list[Any]:
    return random.sample(values, len(values))


def reordered(values: list[Any], places: list[int]) -> list[Any]:
    return [values[place] for place in places]


def flatten(values: list[list[Any] | None]) -> list[Any] | None:
    if None in values:
        return None
    check_elements("flatten", sum(len(inner) for inner in values if inner is not None))
    return [item for inner in values if inner is not None for item in inner]


def get(values: list[Any], index: int) -> Any:
    return values[index] if 0 <= index < len(values) else None


def backwards(value: bytes) -> bytes:
    return value[::-1]


def item_at(values: list[Any], index: int) -> Any:
    if 0 <= index < len(values):
        return values[index]
    raise SparkValueError(
        "INVALID_ARRAY_INDEX",
        f"The index {index} is out of bounds. The array has {len(values)} elements. Use the SQL function `get()` to tolerate accessing "
        "element at invalid index and return NULL instead.",
    )


def size(values: list[Any]) -> int:
    return len(values)


def arrays_zip(*columns: list[Any]) -> list[tuple[Any, ...]]:
    longest = max(map(len, columns), default=0)
    return [tuple(column[at] if at < len(column) else None for column in columns) for at in range(longest)]


# ---- maps ----


def _checked(pairs: Iterable[tuple[Any, Any]]) -> Pairs:
    result: dict[Any, tuple[Any, Any]] = {}
    for key, value in pairs:
        if key is None:
            raise SparkValueError("NULL_MAP_KEY", "Cannot use null as map key.")
        if key_of(key) in result:
            raise SparkValueError(
                "DUPLICATED_MAP_KEY",
                f"Duplicate map key {key} was found, please check the input data: every key of a map stands once.",
            )
        result[key_of(key)] = (key, value)
    return list(result.values())


def create_map(*values: Any) -> Pairs:
    return _checked(zip(values[::2], values[1::2], strict=True))


def map_entries(pairs: Pairs) -> list[dict[str, Any]]:
    return [{"key": key, "value": value} for key, value in pairs]


def map_from_arrays(keys: list[Any], values: list[Any]) -> Pairs:
    if len(keys) != len(values):
        raise SparkValueError("INVALID_PARAMETER_VALUE", "The key array and value array of MapData must have the same length.")
    return _checked(zip(keys, values, strict=True))


def map_from_entries(entries: list[dict[str, Any] | None]) -> Pairs | None:
    if None in entries:
        return None
    return _checked(tuple(entry.values()) for entry in entries if entry is not None)


def map_concat(*maps: Pairs) -> Pairs:
    return _checked(pair for pairs in maps for pair in pairs)


def paired_entries(a: Pairs, b: Pairs) -> list[dict[str, Any]]:
    """Of each key of two maps, the values there."""
    left, right = ({key_of(key): (key, value) for key, value in pairs} for pairs in (a, b))
    return [
        {"key": (left.get(key) or right[key])[0], "a": left[key][1] if key in left else None, "b": right[key][1] if key in right else None}
        for key in dict.fromkeys([*left, *right])
    ]


def map_contains_key(pairs: Pairs, wanted: Any) -> bool:
    return any(key_of(key) == key_of(wanted) for key, _ in pairs)


def map_at(pairs: Pairs, key: Any) -> Any:
    return next((value for known, value in pairs if key_of(known) == key_of(key)), None)


def element_at(values: list[Any], index: int) -> Any:
    if index and abs(index) > len(values):
        raise SparkValueError(
            "INVALID_ARRAY_INDEX_IN_ELEMENT_AT",
            f"The index {index} is out of bounds. The array has {len(values)} elements. Use `try_element_at` to tolerate accessing element "
            "at invalid index and return NULL instead.",
        )
    return try_element_at(values, index)


def try_element_at(values: list[Any], index: int) -> Any:
    if index == 0:
        raise SparkValueError(
            "INVALID_INDEX_OF_ZERO", "The index 0 is invalid. An index shall be either < 0 or > 0 (the first element has index 1)."
        )
    return values[index - 1 if index > 0 else index] if abs(index) <= len(values) else None
