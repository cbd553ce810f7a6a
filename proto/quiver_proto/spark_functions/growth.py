"""Functions whose results may be far larger than what they are made of: whether there is room, before memory is asked for.

The kernel counts the bytes of a batch's strings, and the elements of its lists, with 31 bits, and asks for memory at once: more than
there is ends the process. So what is too much for one value is refused as Spark refuses it, and what is too much for a batch is
KernelOutOfMemory, after which a query is planned anew with smaller batches.
"""

from __future__ import annotations

from collections.abc import Sequence
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
"""Of an element that Python makes, about."""
_FEW: Final = 1000
"""Copies of which no harm comes: a value that is there has its size."""


class _Allowance:
    """Bytes that this process's task may use; None: not known."""

    task_bytes: int | None = None


def allow(task_bytes: int) -> None:
    """Says how much memory the task that runs now has. Slots run one at a time."""
    _Allowance.task_bytes = task_bytes


def no_room(function: str, size: float, of: str = "bytes") -> RuntimeError:
    """What a function raises inside the kernel for a batch whose results of `function` would take so much: KernelOutOfMemory, outside."""
    asked = format_bytes(int(size)) if of == "bytes" else f"{int(size)} elements"
    least = MOST if _Allowance.task_bytes is None else min(MOST, _Allowance.task_bytes)
    return RuntimeError(keep(KernelOutOfMemory(function, asked, format_bytes(least) if of == "bytes" else f"{MOST} elements")))


def check_elements(function: str, count: int) -> None:
    """Raises SparkValueError when an array of so many elements can't be made, and what `no_room` gives when the task has no room for it."""
    if count > MOST:
        raise SparkValueError(
            "COLLECTION_SIZE_LIMIT_EXCEEDED.FUNCTION",
            f"Can't create array with {count} elements which exceeding the array size limit {MOST}, "
            f"unsuccessful try to create arrays in the function `{function}`.",
        )

    if count > _FEW and _Allowance.task_bytes is not None and count * OBJECT_BYTES > _Allowance.task_bytes:
        raise no_room(function, count * OBJECT_BYTES)


def check_bytes(function: str, size: int) -> None:
    """Raises SparkValueError when a string of so many bytes can't be made."""
    if size > MOST:
        raise SparkValueError(
            "STRING_SIZE_LIMIT_EXCEEDED",
            f"Can't create a string of {size} bytes in the function `{function}`: the most is {MOST} bytes. Make it of shorter parts.",
        )


class Batch:
    """The results of one batch as they are made in Python: their sizes so far."""

    __slots__ = ("_bytes", "_function", "_most")

    def __init__(self, function: str) -> None:
        self._function = function
        self._bytes = 0
        allowed = _Allowance.task_bytes
        self._most = MOST * OBJECT_BYTES if allowed is None else min(allowed, MOST * OBJECT_BYTES)

    def add(self, value: Any) -> None:
        """Raises what `no_room` gives when this is too much for a batch."""
        if isinstance(value, str | bytes):
            check_bytes(self._function, len(value))
        self._bytes += len(value) * (OBJECT_BYTES if isinstance(value, list) else 1)
        if self._bytes > self._most or (isinstance(value, str | bytes) and self._bytes > MOST):
            raise no_room(self._function, self._bytes)


def check_copies(function: str, value: Any, count: int) -> None:
    """Raises SparkValueError when an array can't hold so many copies, and what `no_room` gives when no batch can."""
    check_elements(function, count)
    if count > _FEW and (size := count * _weight(value)) > MOST:
        raise no_room(function, size, "elements")


def _weight(value: Any) -> int:
    """Of a value that is to be repeated: its elements, and bytes of strings, all through."""
    if isinstance(value, str | bytes):
        return max(1, len(value))
    if isinstance(value, Sequence):
        return max(1, sum(map(_weight, value)))
    return 1


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
            if total > min(MOST, _Allowance.task_bytes or MOST):
                raise no_room(self.function, total)
        return given
