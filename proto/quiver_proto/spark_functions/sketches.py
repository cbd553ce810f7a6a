"""Sketches of Apache DataSketches: HyperLogLog, theta, KLL and tuple sketches, in the bytes in which Spark keeps them.

They need the package datasketches where queries run. What its C++ writes otherwise than Spark's Java is written anew: empty and single
sketches' flags. `OPERATIONS` holds every function by Spark's name; aggregates are given the list of their group's values.
"""

from __future__ import annotations

import functools
import importlib
import struct
from collections.abc import Callable, Iterable
from typing import Any, NoReturn, TypeVar

from quiver_proto.spark_functions.java import SparkValueError
from quiver_proto.spark_functions.sketch_bytes import MOST_ITEMS, PACKED_THETA, are_keys, is_empty_theta, is_hll, is_kll, is_theta, is_tuple

OPERATIONS: dict[str, Callable[..., Any]] = {}
"""By name."""
_EMPTY_THETA = bytes.fromhex("01030300001E0000")
_NO_KEYS = bytes.fromhex("01030300001ECC93")
"""An empty sketch as the library compares it with others: Spark's has no hash of the seed."""
_ORDERED, _SINGLE = 0x10, 0x20
_MODES = ("sum", "min", "max", "alwaysone")
_COMBINED: tuple[Callable[[Any, Any], Any], ...] = (lambda a, b: a + b, min, max, lambda a, b: 1)
_Function = TypeVar("_Function", bound=Callable[..., Any])
Summary = tuple[Any, int]
"""A value and the number of the mode in which it was made."""


class Operation:
    """The function of that name in OPERATIONS; travels in plans by its name."""

    def __init__(self, name: str) -> None:
        self.__module__, self.__name__, self.__qualname__ = __name__, name, f"OPERATIONS[{name!r}]"

    def __reduce__(self) -> Any:
        return operation, (self.__name__,)

    def __call__(self, *values: Any) -> Any:
        return OPERATIONS[self.__name__](*values)


@functools.lru_cache(256)
def operation(name: str) -> Operation:
    """What computes the function of that name."""
    return Operation(name)


@functools.lru_cache(1)
def _library() -> Any:
    try:
        return importlib.import_module("datasketches")
    except ImportError:
        raise SparkValueError(
            "UNSUPPORTED_FEATURE.SKETCHES", "Sketches need the package datasketches on executors: pip install 'quiver-cluster[sketches]'."
        ) from None


def _adds(name: str) -> Callable[[_Function], _Function]:
    """Puts a function, which is given its own name first, into the table."""

    def add(function: _Function) -> _Function:
        OPERATIONS[name] = functools.partial(function, name)
        return function

    return add


def _wrong(family: str, name: str) -> NoReturn:
    made_by = {"HLL": "hll_sketch_agg", "THETA": "theta_sketch_agg", "KLL": "kll_sketch_agg", "TUPLE": "tuple_sketch_agg"}[family]
    raise SparkValueError(
        f"{family}_INVALID_INPUT_SKETCH_BUFFER",
        f"Invalid call to `{name}`; only valid {family} sketch buffers are supported as inputs (such as those produced by the `{made_by}` "
        "function).",
    ) from None


def _read(family: str, name: str, is_sound: bool, read: Callable[[], Any]) -> Any:
    """What the library reads, which is given sound bytes only."""
    if not is_sound:
        _wrong(family, name)
    try:
        return read()
    except (ValueError, IndexError, RuntimeError, MemoryError, SystemError, struct.error):
        _wrong(family, name)


def _size(name: str, entries: int) -> int:
    if not 4 <= entries <= 26:
        raise SparkValueError(
            "SKETCH_INVALID_LG_NOM_ENTRIES",
            f"Invalid call to `{name}`; the `lgNomEntries` value must be between 4 and 26, inclusive: {entries}.",
        )
    if entries < 5:
        raise SparkValueError("UNSUPPORTED_FEATURE.SKETCHES", f"`{name}` takes an `lgNomEntries` of 5 and more here; give 5 for 4.")
    return entries


def _present(values: Iterable[Any] | None) -> list[Any]:
    return [value for value in values or () if value is not None]


def _datum(value: Any) -> Any:
    """As the library takes it, whose texts are of UTF-8."""
    if isinstance(value, bytes):
        try:
            return value.decode()
        except UnicodeDecodeError:
            raise SparkValueError("UNSUPPORTED_FEATURE.SKETCHES", "Sketches of bytes that are no UTF-8 are not supported.") from None
    return value


# ---- HyperLogLog ----


def _hll(name: str, buffer: bytes) -> Any:
    return _read("HLL", name, is_hll(buffer), lambda: _library().hll_sketch.deserialize(buffer))


@_adds("hll_sketch_agg")
def _hll_of(name: str, values: list[Any] | None, precision: int = 12) -> bytes:
    if not 4 <= precision <= 21:
        raise SparkValueError(
            "HLL_INVALID_LG_K", f"Invalid call to `{name}`; the `lgConfigK` value must be between 4 and 21, inclusive: {precision}."
        )
    sketch = _library().hll_sketch(precision, _library().HLL_8)
    for value in _present(values):
        sketch.update(_datum(value))
    return bytes(sketch.serialize_updatable())


@_adds("hll_sketch_estimate")
def _hll_estimate(name: str, buffer: bytes) -> int:
    estimate = float(_hll(name, buffer).get_estimate())
    if not 0 <= estimate < 2**63:
        _wrong("HLL", name)
    return round(estimate)


@_adds("hll_union_agg")
def _hll_union_of(name: str, buffers: list[Any] | None, different: bool = False) -> bytes:
    sketches = [_hll(name, buffer) for buffer in _present(buffers)]
    precisions = list(dict.fromkeys(sketch.lg_config_k for sketch in sketches))
    if len(precisions) > 1 and not different:
        raise SparkValueError(
            "HLL_UNION_DIFFERENT_LG_K",
            f"Sketches have different `lgConfigK` values: {precisions[0]} and {precisions[1]}. Set the `allowDifferentLgConfigK` parameter "
            f"to true to call `{name}` with different `lgConfigK` values.",
        )
    union = _library().hll_union(min(precisions, default=12))
    for sketch in sketches:
        union.update(sketch)
    return bytes(union.get_result(_library().HLL_8).serialize_updatable())


@_adds("hll_union")
def _hll_union(name: str, left: bytes, right: bytes, different: bool = False) -> bytes:
    return _hll_union_of(name, [left, right], different)


# ---- theta ----


def _theta(name: str, buffer: bytes) -> Any:
    sound = _NO_KEYS if is_theta(buffer) and is_empty_theta(buffer) else buffer
    sketch = _read("THETA", name, is_theta(buffer), lambda: _library().compact_theta_sketch.deserialize(sound))
    if buffer[1] == PACKED_THETA:
        keys = list(sketch)  # Those that are 0 are passed over.
        if len(keys) != sketch.num_retained or not are_keys(keys, sketch.theta64, sketch.is_ordered()):
            _wrong("THETA", name)
    return sketch


def _theta_bytes(sketch: Any) -> bytes:
    if sketch.is_empty():
        return _EMPTY_THETA
    data = bytearray(sketch.serialize(True))
    if data[0] == 1 and data[1] == 3:
        data[5] |= _SINGLE
    return bytes(data)


@_adds("theta_union_agg")
def _theta_union_of(name: str, buffers: list[Any] | None, entries: int = 12) -> bytes:
    union = _library().theta_union(_size(name, entries))
    for buffer in _present(buffers):
        union.update(_theta(name, buffer))
    return _theta_bytes(union.get_result(True))


@_adds("theta_sketch_agg")
def _theta_of(name: str, values: list[Any] | None, entries: int = 12) -> bytes:
    sketch = _library().update_theta_sketch(_size(name, entries))
    for value in _present(values):
        sketch.update(_datum(value))
    union = _library().theta_union(entries)
    union.update(sketch)
    return _theta_bytes(union.get_result(True))


@_adds("theta_sketch_estimate")
def _theta_estimate(name: str, buffer: bytes) -> int:
    return round(float(_theta(name, buffer).get_estimate()))


@_adds("theta_union")
def _theta_union(name: str, left: bytes, right: bytes, entries: int = 12) -> bytes:
    return _theta_union_of(name, [left, right], entries)


@_adds("theta_intersection_agg")
def _theta_intersection_of(name: str, buffers: list[Any] | None) -> bytes:
    both = _library().theta_intersection()
    for buffer in _present(buffers):
        both.update(_theta(name, buffer))
    return _theta_bytes(both.get_result(True)) if both.has_result() else _EMPTY_THETA


@_adds("theta_intersection")
def _theta_intersection(name: str, left: bytes, right: bytes) -> bytes:
    return _theta_intersection_of(name, [left, right])


@_adds("theta_difference")
def _theta_difference(name: str, left: bytes, right: bytes) -> bytes:
    return _theta_bytes(_library().theta_a_not_b().compute(_theta(name, left), _theta(name, right), True))


# ---- KLL ----


class _Kll:
    """The functions of KLL sketches of one type."""

    def __init__(self, kind: str) -> None:
        self._kind = kind
        self._number: Callable[[Any], Any] = int if kind == "bigint" else float
        for prefix, function in (
            ("kll_sketch_agg_", self._of), ("kll_merge_agg_", self._merged), ("kll_sketch_merge_", self._merge),
            ("kll_sketch_get_n_", self._count), ("kll_sketch_get_quantile_", self._quantile), ("kll_sketch_get_rank_", self._rank),
            ("kll_sketch_to_string_", self._shown),
        ):  # fmt: skip
            _adds(prefix + kind)(function)

    def _new(self, name: str, k: int) -> Any:
        if not 8 <= k <= 65535:
            raise SparkValueError(
                "KLL_SKETCH_K_OUT_OF_RANGE", f"For function `{name}`, the k parameter must be between 8 and 65535 (inclusive), but got {k}."
            )
        library = _library()
        kinds = {"bigint": library.kll_items_sketch, "double": library.kll_doubles_sketch, "float": library.kll_floats_sketch}
        return kinds[self._kind](k)

    def _serde(self) -> tuple[Any, ...]:
        return (_library().PyLongsSerDe(),) if self._kind == "bigint" else ()

    def _read(self, name: str, buffer: bytes) -> Any:
        is_sound = is_kll(buffer, {"bigint": "q", "double": "d", "float": "f"}[self._kind])
        return _read("KLL", name, is_sound, lambda: type(self._new(name, 200)).deserialize(buffer, *self._serde()))

    def _of(self, name: str, values: list[Any] | None, k: int = 200) -> bytes:
        sketch = self._new(name, k)
        for value in _present(values):
            sketch.update(value)
        return bytes(sketch.serialize(*self._serde()))

    def _merged(self, name: str, buffers: list[Any] | None, k: int = 0) -> bytes:
        """`k` 0: that of the first."""
        sketches = [self._read(name, buffer) for buffer in _present(buffers)]
        if sum(sketch.n for sketch in sketches) >= MOST_ITEMS:
            _wrong("KLL", name)
        whole = self._new(name, k or (sketches[0].k if sketches else 200))
        for sketch in sketches:
            whole.merge(sketch)
        return bytes(whole.serialize(*self._serde()))

    def _merge(self, name: str, left: bytes, right: bytes) -> bytes:
        return self._merged(name, [left, right])

    def _count(self, name: str, buffer: bytes) -> int:
        return int(self._read(name, buffer).n)

    def _each(self, name: str, buffer: bytes, given: Any, one: Callable[[Any, Any], Any]) -> Any:
        sketch = self._read(name, buffer)
        if sketch.is_empty():
            _wrong("KLL", name)
        if isinstance(given, list):
            return [None if item is None else one(sketch, item) for item in given]
        return one(sketch, given)

    def _quantile(self, name: str, buffer: bytes, ranks: Any) -> Any:
        if not all(0 <= rank <= 1 for rank in (ranks if isinstance(ranks, list) else [ranks]) if rank is not None):
            raise SparkValueError(
                "KLL_SKETCH_INVALID_QUANTILE_RANGE", f"For function `{name}`, the quantile value must be between 0.0 and 1.0 (inclusive)."
            )
        return self._each(name, buffer, ranks, lambda sketch, rank: self._number(sketch.get_quantile(float(rank), True)))

    def _rank(self, name: str, buffer: bytes, values: Any) -> Any:
        return self._each(name, buffer, values, lambda sketch, value: sketch.get_rank(self._number(value), True))

    def _shown(self, name: str, buffer: bytes) -> str:
        sketch = self._read(name, buffer)
        told = dict(line.split(":", 1) for line in sketch.to_string().splitlines() if ":" in line)
        told = {key.strip(): text.strip() for key, text in told.items()}
        width = 4 if self._kind == "float" else 8
        capacity, levels = int(told["Capacity items"]), int(told["Levels"])
        kept = sketch.num_retained
        ends = [("Min Item", sketch.get_min_value), ("Max Item", sketch.get_max_value)]
        lines = [
            ("K", sketch.k), ("Dynamic min K", told["min K"]), ("M", 8), ("N", sketch.n),
            ("Epsilon", f"{sketch.normalized_rank_error(False) * 100:.3f}%"),
            ("Epsilon PMF", f"{sketch.normalized_rank_error(True) * 100:.3f}%"), ("Empty", str(sketch.is_empty()).lower()),
            ("Estimation Mode", str(sketch.is_estimation_mode()).lower()), ("Levels", levels), ("Level 0 Sorted", told["Sorted"]),
            ("Capacity Items", capacity), ("Retained Items", kept), ("Free Space", capacity - kept), ("ReadOnly", "false"),
            ("Updatable Storage Bytes", 20 + 4 * (levels + 1) + width * (capacity + 2)), ("Compact Storage Bytes", len(buffer)),
            *((label, "NaN" if sketch.is_empty() else self._number(value())) for label, value in ends),
        ]  # fmt: skip
        title = {"bigint": "Longs", "double": "Doubles", "float": "Floats"}[self._kind]
        body = "".join(f"   {label:<23}: {value}\n" for label, value in lines)
        return f"\n### KllKll{title}Sketch Summary:\n{body}### End sketch summary\n"


for _kind in ("bigint", "double", "float"):
    _Kll(_kind)


# ---- tuple ----


@functools.lru_cache(1)
def _classes() -> tuple[Any, Any]:
    """(the policy of a mode, the bytes of summaries): classes of the library's."""
    policy: Any = _library().TuplePolicy
    serde: Any = _library().PyObjectSerDe

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
            _adds(f"{name}_{kind}")(function)

    def _policy(self, name: str, mode: str) -> Any:
        if mode.lower() not in _MODES:
            raise SparkValueError(
                "TUPLE_INVALID_SKETCH_MODE",
                f"Invalid call to `{name}`: mode '{mode}' is not supported. Valid modes are: {', '.join(_MODES)}.",
            )
        return _classes()[0](_MODES.index(mode.lower()), self._integer)

    def _read(self, name: str, buffer: bytes) -> Any:
        serde = _classes()[1](self._integer)
        return _read(
            "TUPLE", name, is_tuple(buffer, serde.get_size(None)), lambda: _library().compact_tuple_sketch.deserialize(buffer, serde)
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
        return _library().compact_tuple_sketch(_theta(name, buffer), (value if self._integer else float(value), number))

    def _of(self, name: str, pairs: list[Any] | None, entries: int = 12, mode: str = "sum") -> bytes:
        policy = self._policy(name, mode)
        sketch = _library().update_tuple_sketch(policy, _size(name, entries))
        for pair in pairs or ():
            if pair["k"] is not None and pair["v"] is not None:
                sketch.update(_datum(pair["k"]), (pair["v"], 0))
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
        union = _library().tuple_union(self._policy(name, mode), _size(name, entries))
        for sketch in sketches:
            union.update(sketch)
        return self._bytes(union.get_result(True), mode)

    def _crossed(self, name: str, sketches: list[Any], mode: str) -> bytes:
        both = _library().tuple_intersection(self._policy(name, mode))
        for sketch in sketches:
            both.update(sketch)
        if both.has_result():
            return self._bytes(both.get_result(True), mode)
        return self._united(name, [], 12, mode)

    def _union_of(self, name: str, buffers: list[Any] | None, entries: int = 12, mode: str = "sum") -> bytes:
        return self._united(name, [self._read(name, buffer) for buffer in _present(buffers)], entries, mode)

    def _union(self, name: str, left: bytes, right: bytes, entries: int = 12, mode: str = "sum") -> bytes:
        return self._union_of(name, [left, right], entries, mode)

    def _intersection_of(self, name: str, buffers: list[Any] | None, mode: str = "sum") -> bytes:
        return self._crossed(name, [self._read(name, buffer) for buffer in _present(buffers)], mode)

    def _intersection(self, name: str, left: bytes, right: bytes, mode: str = "sum") -> bytes:
        return self._intersection_of(name, [left, right], mode)

    def _difference(self, name: str, left: bytes, right: bytes) -> bytes:
        return self._without(name, left, self._read(name, right))

    def _without(self, name: str, left: bytes, right: Any) -> bytes:
        return self._bytes(_library().tuple_a_not_b().compute(self._read(name, left), right, True))

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
