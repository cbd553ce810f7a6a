"""The table of sketches' functions, and what they share: the library, the checks of what it is given."""

from __future__ import annotations

import functools
import importlib
import struct
from collections.abc import Callable, Iterable
from typing import Any, NoReturn, TypeVar

from quiver_proto.spark_functions.java import SparkValueError
from quiver_proto.spark_functions.prepared import Prepared, prepared

OPERATIONS: dict[str, Callable[..., Any]] = {}
"""By name."""
_Function = TypeVar("_Function", bound=Callable[..., Any])


def operation(name: str) -> Prepared:
    """What computes the function of that name; travels in plans by it."""
    return prepared(name, _named, name)


def _named(name: str) -> Callable[..., Any]:
    return OPERATIONS[name]


@functools.lru_cache(1)
def datasketches() -> Any:
    """The package. Raises SparkValueError where it is missing."""
    try:
        return importlib.import_module("datasketches")
    except ImportError:
        raise SparkValueError(
            "UNSUPPORTED_FEATURE.SKETCHES", "Sketches need the package datasketches on executors: pip install 'quiver-cluster[sketches]'."
        ) from None


def adds(name: str) -> Callable[[_Function], _Function]:
    """Puts a function, which is given its own name first, into the table."""

    def add(function: _Function) -> _Function:
        OPERATIONS[name] = functools.partial(function, name)
        return function

    return add


def wrong(family: str, name: str) -> NoReturn:
    """Raises SparkValueError: what the function `name` was given is no sketch of the family."""
    made_by = {"HLL": "hll_sketch_agg", "THETA": "theta_sketch_agg", "KLL": "kll_sketch_agg", "TUPLE": "tuple_sketch_agg"}[family]
    raise SparkValueError(
        f"{family}_INVALID_INPUT_SKETCH_BUFFER",
        f"Invalid call to `{name}`; only valid {family} sketch buffers are supported as inputs (such as those produced by the `{made_by}` "
        "function).",
    ) from None


def read_sound(family: str, name: str, is_sound: bool, read: Callable[[], Any]) -> Any:
    """What the library reads, which is given sound bytes only. Raises SparkValueError."""
    if not is_sound:
        wrong(family, name)
    try:
        return read()
    except (ValueError, IndexError, RuntimeError, MemoryError, SystemError, struct.error):
        wrong(family, name)


def nominal_entries(name: str, entries: int) -> int:
    """The logarithm of a sketch's entries, once checked. Raises SparkValueError."""
    if not 4 <= entries <= 26:
        raise SparkValueError(
            "SKETCH_INVALID_LG_NOM_ENTRIES",
            f"Invalid call to `{name}`; the `lgNomEntries` value must be between 4 and 26, inclusive: {entries}.",
        )
    if entries < 5:
        raise SparkValueError("UNSUPPORTED_FEATURE.SKETCHES", f"`{name}` takes an `lgNomEntries` of 5 and more here; give 5 for 4.")
    return entries


def present(values: Iterable[Any] | None) -> list[Any]:
    """Those that are not null."""
    return [value for value in values or () if value is not None]


def datum(value: Any) -> Any:
    """As the library takes it, whose texts are of UTF-8. Raises SparkValueError."""
    if isinstance(value, bytes):
        try:
            return value.decode()
        except UnicodeDecodeError:
            raise SparkValueError("UNSUPPORTED_FEATURE.SKETCHES", "Sketches of bytes that are no UTF-8 are not supported.") from None
    return value
