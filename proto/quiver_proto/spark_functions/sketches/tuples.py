"""Functions of tuple sketches."""

from __future__ import annotations

import functools
import struct
from collections.abc import Callable
from typing import Any

from quiver_proto.spark_functions.java import SparkValueError
from quiver_proto.spark_functions.sketch_bytes import is_tuple
from quiver_proto.spark_functions.sketches.operations import adds, datasketches, datum, nominal_entries, present, read_sound
from quiver_proto.spark_functions.sketches.theta import theta

_ORDERED = 0x10
_MODES = ("sum", "min", "max", "alwaysone")
_COMBINED: tuple[Callable[[Any, Any], Any], ...] = (lambda a, b: a + b, min, max, lambda a, b: 1)
Summary = tuple[Any, int]
"""A value and the number of the mode in which it was made."""


@functools.lru_cache(1)
def _classes() -> tuple[Any, Any]:
    """(the policy of a mode, the bytes of summaries): classes of the library's."""
    policy: Any = datasketches().TuplePolicy
    serde: Any = datasketches().PyObjectSerDe

    class Policy(policy):  # type: ignore[misc]
        """Summaries of equal keys become one. `start`: of a new key."""

        def __init__(self, mode: int, integer: bool) -> None:
            super().__init__()
            self._mode, self._integer = mode, integer

        def create_summary(self) -> Any:
            return None

        def _added(self, a: Any, b: Any) -> Summary:
            value = _COMBINED[self._mode](a[0], b[0]) if a is not None else b[0]
            if self._mode == 3:
                value = 1
            return ((value + 2**31) % 2**32 - 2**31 if self._integer else value, self._mode)

        def update_summary(self, summary: Any, value: Any) -> Summary:
            return self._added(summary, value)

        __call__ = update_summary

    class Bytes(serde):  # type: ignore[misc]
        """A number and its mode, packed; all of the same `mode` if it is given."""

        def __init__(self, integer: bool, mode: int | None = None) -> None:
            super().__init__()
            self._mode = mode
            self._form = struct.Struct("<ib" if integer else "<db")

        def get_size(self, summary: Summary) -> int:
            return self._form.size

        def to_bytes(self, summary: Summary) -> bytes:
            value, mode = summary
            return self._form.pack(1 if self._mode == 3 else value, mode if self._mode is None else self._mode)

        def from_bytes(self, data: bytes, offset: int) -> tuple[Summary, int]:
            value, mode = self._form.unpack_from(data, offset)
            return (value, mode), self._form.size

    return Policy, Bytes


class _Tuples:
    """The functions of tuple sketches whose summaries are of one type."""

    def __init__(self, kind: str) -> None:
        self._integer = kind == "integer"
        for name, function in (
            ("tuple_sketch_agg", self._of), ("tuple_sketch_estimate", self._estimate), ("tuple_sketch_theta", self._theta),
            ("tuple_sketch_summary", self._summary), ("tuple_union_agg", self._union_of), ("tuple_union", self._union),
            ("tuple_intersection_agg", self._intersection_of), ("tuple_intersection", self._intersection),
            ("tuple_difference", self._difference), ("tuple_union_theta", self._union_theta),
            ("tuple_intersection_theta", self._intersection_theta), ("tuple_difference_theta", self._difference_theta),
        ):  # fmt: skip
            adds(f"{name}_{kind}")(function)

    def _policy(self, name: str, mode: str) -> Any:
        if mode.lower() not in _MODES:
            raise SparkValueError(
                "TUPLE_INVALID_SKETCH_MODE",
                f"Invalid call to `{name}`: mode '{mode}' is not supported. Valid modes are: {', '.join(_MODES)}.",
            )
        return _classes()[0](_MODES.index(mode.lower()), self._integer)

    def _read(self, name: str, buffer: bytes) -> Any:
        serde = _classes()[1](self._integer)
        return read_sound(
            "TUPLE", name, is_tuple(buffer, serde.get_size(None)), lambda: datasketches().compact_tuple_sketch.deserialize(buffer, serde)
        )

    def _bytes(self, sketch: Any, mode: str = "") -> bytes:
        data = bytearray(sketch.serialize(_classes()[1](self._integer, _MODES.index(mode.lower()) if mode else None)))
        data[5] &= ~_ORDERED
        return bytes(data)

    def _of_theta(self, name: str, buffer: bytes, mode: str) -> Any:
        """A theta sketch whose keys have the summary that changes nothing."""
        high, low = (2**31 - 1, -(2**31)) if self._integer else (float("inf"), float("-inf"))
        number = _MODES.index(mode.lower())
        value: Any = (0, high, low, 1)[number]
        return datasketches().compact_tuple_sketch(theta(name, buffer), (value if self._integer else float(value), number))

    def _of(self, name: str, pairs: list[Any] | None, entries: int = 12, mode: str = "sum") -> bytes:
        policy = self._policy(name, mode)
        sketch = datasketches().update_tuple_sketch(policy, nominal_entries(name, entries))
        for pair in pairs or ():
            if pair["k"] is not None and pair["v"] is not None:
                sketch.update(datum(pair["k"]), (pair["v"], 0))
        return self._bytes(sketch.compact(True), mode)

    def _estimate(self, name: str, buffer: bytes) -> float:
        return float(self._read(name, buffer).get_estimate())

    def _theta(self, name: str, buffer: bytes) -> float:
        return float(self._read(name, buffer).theta)

    def _summary(self, name: str, buffer: bytes, mode: str = "sum") -> Any:
        self._policy(name, mode)
        values = [summary[0] for _, summary in self._read(name, buffer)]
        if mode.lower() == "alwaysone":
            values = [1] * min(1, len(values))
        whole = functools.reduce(_COMBINED[_MODES.index(mode.lower())], values) if values else 0
        return int(whole) if self._integer else float(whole)

    def _united(self, name: str, sketches: list[Any], entries: int, mode: str) -> bytes:
        union = datasketches().tuple_union(self._policy(name, mode), nominal_entries(name, entries))
        for sketch in sketches:
            union.update(sketch)
        return self._bytes(union.get_result(True), mode)

    def _crossed(self, name: str, sketches: list[Any], mode: str) -> bytes:
        both = datasketches().tuple_intersection(self._policy(name, mode))
        for sketch in sketches:
            both.update(sketch)
        if both.has_result():
            return self._bytes(both.get_result(True), mode)
        return self._united(name, [], 12, mode)

    def _union_of(self, name: str, buffers: list[Any] | None, entries: int = 12, mode: str = "sum") -> bytes:
        return self._united(name, [self._read(name, buffer) for buffer in present(buffers)], entries, mode)

    def _union(self, name: str, left: bytes, right: bytes, entries: int = 12, mode: str = "sum") -> bytes:
        return self._union_of(name, [left, right], entries, mode)

    def _intersection_of(self, name: str, buffers: list[Any] | None, mode: str = "sum") -> bytes:
        return self._crossed(name, [self._read(name, buffer) for buffer in present(buffers)], mode)

    def _intersection(self, name: str, left: bytes, right: bytes, mode: str = "sum") -> bytes:
        return self._intersection_of(name, [left, right], mode)

    def _difference(self, name: str, left: bytes, right: bytes) -> bytes:
        return self._without(name, left, self._read(name, right))

    def _without(self, name: str, left: bytes, right: Any) -> bytes:
        return self._bytes(datasketches().tuple_a_not_b().compute(self._read(name, left), right, True))

    def _union_theta(self, name: str, left: bytes, right: bytes, entries: int = 12, mode: str = "sum") -> bytes:
        self._policy(name, mode)
        return self._united(name, [self._read(name, left), self._of_theta(name, right, mode)], entries, mode)

    def _intersection_theta(self, name: str, left: bytes, right: bytes, mode: str = "sum") -> bytes:
        self._policy(name, mode)
        return self._crossed(name, [self._read(name, left), self._of_theta(name, right, mode)], mode)

    def _difference_theta(self, name: str, left: bytes, right: bytes) -> bytes:
        return self._without(name, left, self._of_theta(name, right, "sum"))


for _kind in ("double", "integer"):
    _Tuples(_kind)
