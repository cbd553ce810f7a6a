"""Functions whose results may be far larger than what they are made of: whether there is room, before memory is asked for.

The kernel counts the bytes of a batch's strings, and the elements of its lists, with 31 bits, and asks for memory at once: more than
there is ends the process. So what is too much for one value is refused as Spark refuses it, and what is too much for a batch is
KernelOutOfMemory, after which a query is planned anew with smaller batches.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from quiver_proto.errors import KernelOutOfMemory
from quiver_proto.kernel_faults import keep
from quiver_proto.spark_functions.java import SparkValueError
from quiver_proto.units import format_bytes

if TYPE_CHECKING:
    import pyarrow as pa

MOST: Final = 2**31 - 16
"""Bytes of a string, elements of an array: Spark's limit."""
OBJECT_BYTES: Final = 40
"""Of an element that Python makes, about, beside the bytes of a string."""
_LOOKED_AT: Final = 8
_FEW: Final = 1000
"""Copies of which no harm comes: a value that is there has its size."""


class _Allowance:
    """Bytes that this process's task may use; None: not known."""

    task_bytes: int | None = None


def allow(task_bytes: int) -> None:
    """Says how much memory the task that runs now has. Slots run one at a time."""
    _Allowance.task_bytes = task_bytes


def allowed() -> int | None:
    """Bytes of memory that the task which runs now has, when that is known."""
    return _Allowance.task_bytes


def room_for(rows: int) -> int:
    """How many bytes the results of a function may take in a batch of so many rows.

    What takes them on copies them, more than once. A single row can't be divided, so it may try with all of the memory.
    """
    if _Allowance.task_bytes is None:
        return MOST
    return min(MOST, _Allowance.task_bytes // (4 if rows > 1 else 1))


def no_room(function: str, size: float, row_bytes: float = 0, rows: int = 2) -> RuntimeError:
    """What a function raises inside the kernel for a batch whose results of `function` would take so many bytes: KernelOutOfMemory,
    outside. `row_bytes`: of the largest row among them."""
    return RuntimeError(keep(KernelOutOfMemory(function, format_bytes(int(size)), format_bytes(room_for(rows)), int(row_bytes))))


def check_elements(function: str, count: int) -> None:
    """Raises SparkValueError when an array of so many elements can't be made, and what `no_room` gives when the task has no room for it."""
    if count > MOST:
        raise SparkValueError(
            "COLLECTION_SIZE_LIMIT_EXCEEDED.FUNCTION",
            f"Can't create array with {count} elements which exceeding the array size limit {MOST}, "
            f"unsuccessful try to create arrays in the function `{function}`.",
        )

    if count > _FEW and _Allowance.task_bytes is not None and count * OBJECT_BYTES > _Allowance.task_bytes:
        raise no_room(function, count * OBJECT_BYTES, count * OBJECT_BYTES, 1)


def check_bytes(function: str, size: int) -> None:
    """Raises SparkValueError when a string of so many bytes can't be made."""
    if size > MOST:
        raise SparkValueError(
            "STRING_SIZE_LIMIT_EXCEEDED",
            f"Can't create a string of {size} bytes in the function `{function}`: the most is {MOST} bytes. Make it of shorter parts.",
        )


class Batch:
    """The results of one batch as they are made in Python: their sizes so far."""

    __slots__ = ("_bytes", "_function", "_largest", "_rows")

    def __init__(self, function: str) -> None:
        self._function = function
        self._bytes = self._largest = self._rows = 0

    def add(self, value: str | bytes | list[Any]) -> None:
        """Raises what `no_room` gives when this is too much for a batch."""
        if not isinstance(value, list):
            check_bytes(self._function, len(value))
        size = weight(value)
        self._bytes += size
        self._largest = max(self._largest, size)
        self._rows += 1
        if self._bytes > room_for(self._rows):
            raise no_room(self._function, self._bytes, self._largest, self._rows)


def check_copies(function: str, value: Any, count: int) -> None:
    """Raises SparkValueError when an array can't hold so many copies, and what `no_room` gives when they are more bytes than any row
    may have."""
    check_elements(function, count)
    if count > _FEW and (size := count * weight(value)) > room_for(1):
        raise no_room(function, size, size, 1)


def weight(value: Any) -> int:
    """About how many bytes a value takes: of long arrays some elements are looked at."""
    if isinstance(value, str | bytes):
        return len(value) + OBJECT_BYTES
    if isinstance(value, list | tuple):
        some = value[:: len(value) // _LOOKED_AT + 1]
        return OBJECT_BYTES + (sum(map(weight, some)) * len(value) // len(some) if some else 0)
    if isinstance(value, dict):
        return sum(map(weight, value.values()))
    return OBJECT_BYTES


@dataclass(frozen=True, slots=True)
class Room:
    """Gives its first column as it is when there is room for the results of `function`, whose bytes the second column tells as doubles."""

    function: str

    def __call__(self, given: pa.Array, sizes: pa.Array) -> pa.Array:
        import pyarrow.compute as pc

        largest = pc.call_function("max", [sizes]).as_py()
        if largest is not None:
            check_bytes(self.function, int(largest))
            total = pc.call_function("sum", [sizes]).as_py()
            if total > room_for(len(given)):
                raise no_room(self.function, total, largest, len(given))
        return given
