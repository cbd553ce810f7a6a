"""Functions whose values depend on the partition and on how many of its rows came before: Spark's random numbers and ids of rows.

The kernel calls one of these objects for each batch of a partition, in order; a task has its own, so what it remembers is one partition's.
"""

from __future__ import annotations

import functools
import math
import struct
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from quiver_proto.task_context import TaskContext

if TYPE_CHECKING:
    import numpy as np
    import pyarrow as pa

_MASK32: Final = 0xFFFFFFFF
_MASK64: Final = 0xFFFFFFFFFFFFFFFF
_SIGNS: Final = "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"


@dataclass(slots=True)
class OfPartition:
    """`kind`: ids, partition, uniform (from 0 to 1), normal, texts, places (in which an array is reordered). The first column tells how
    many rows there are.

    Of random kinds the second column is the seed; null counts as 0. Of texts and places the third is how long they are.
    """

    kind: str
    _done: int = field(default=0, compare=False)
    _drawn: XorShift | Twister | None = field(default=None, compare=False)

    def __reduce__(self) -> Any:
        return OfPartition, (self.kind,)

    def __call__(self, *columns: pa.Array) -> pa.Array:
        import pyarrow as pa

        kinds = {"ids": pa.int64(), "partition": pa.int32(), "texts": pa.string(), "places": pa.list_(pa.int32())}
        return pa.array(self._values(columns, len(columns[0])), kinds.get(self.kind, pa.float64()))

    def _values(self, columns: Sequence[pa.Array], count: int) -> Any:
        import numpy as np

        context = TaskContext.get()
        partition = 0 if context is None else context.partitionId()
        if self.kind == "partition":
            return np.full(count, partition, np.int32)
        if self.kind == "ids":
            first = (partition << 33) + self._done
            self._done += count
            return np.arange(first, first + count, dtype=np.int64)
        if not count:
            return []
        if self._drawn is None:
            seed = (columns[1][0].as_py() or 0) + partition
            self._drawn = Twister(seed) if self.kind == "places" else XorShift(seed)
        if isinstance(self._drawn, Twister):
            return [None if size is None else self._drawn.places(size) for size in columns[2].to_pylist()]
        if self.kind == "texts":
            return [None if size is None else self._drawn.text(size) for size in columns[2].to_pylist()]
        return self._drawn.uniform(count) if self.kind == "uniform" else self._drawn.normal(count)


class XorShift:
    """Spark's generator of random numbers: the same ones for the same seed."""

    def __init__(self, seed: int) -> None:
        data = struct.pack(">q", (seed + (1 << 63)) % (1 << 64) - (1 << 63))
        low = _murmur3(data, 0x3C074A61)
        self._state = _murmur3(data, low) << 32 | low
        self._normals: list[float] = []

    def uniform(self, count: int) -> np.ndarray[Any, np.dtype[np.float64]]:
        """The next numbers from 0 (inclusive) to 1."""
        import numpy as np

        states = self._next(2 * count)
        high, low = states[0::2] & np.uint64((1 << 26) - 1), states[1::2] & np.uint64((1 << 27) - 1)
        return ((high << np.uint64(27)) + low).astype(np.float64) * 2.0**-53

    def normal(self, count: int) -> list[float]:
        """The next numbers of mean 0 and deviation 1."""
        while len(self._normals) < count:
            # Of the pairs pi / 4 lie in the circle, and each gives two numbers.
            wanted = count - len(self._normals)
            pairs = 2 * self.uniform(2 * (wanted * 2 // 3 + 8)) - 1
            for a, b in zip(pairs[0::2].tolist(), pairs[1::2].tolist(), strict=True):
                square = a * a + b * b
                if 0 < square < 1:
                    scale = math.sqrt(-2 * math.log(square) / square)
                    self._normals += (a * scale, b * scale)
        result = self._normals[:count]
        del self._normals[:count]
        return result

    def text(self, length: int) -> str:
        """The next letters and digits."""
        drawn = ((int(state) & _MASK32 ^ 1 << 31) - (1 << 31) for state in self._next(length))
        return "".join(_SIGNS[abs(number) % 62] for number in drawn)

    def _next(self, count: int) -> np.ndarray[Any, np.dtype[np.uint64]]:
        """The next states. One is a linear function (in bits) of the one before: n of them give the next n at once."""
        import numpy as np

        states = np.empty(count, np.uint64)
        if not count:
            return states
        states[0] = _step(self._state)
        known, power = 1, 0
        while known < count:
            more = min(known, count - known)
            states[known : known + more] = _applied(_jump(power), states[:more])
            known, power = known + more, power + 1
        self._state = int(states[-1])
        return states


class Twister:
    """Java's MersenneTwister, for Spark's orders of arrays."""

    def __init__(self, seed: int) -> None:
        import numpy as np

        self._random = np.random.RandomState([seed >> 32 & _MASK32, seed & _MASK32])

    def places(self, count: int) -> list[int]:
        """The numbers below `count` in a random order."""
        result: list[int] = []
        for number in range(count):
            place = self._below(number + 1)
            result.append(number)
            result[place], result[number] = number, result[place]
        return result

    def _below(self, bound: int) -> int:
        while True:
            bits = int(self._random.randint(0, 1 << 32, dtype="uint32")) >> 1
            if not bound & bound - 1:
                return bound * bits >> 31
            if bits - bits % bound + bound - 1 < 1 << 31:
                return bits % bound


def _step(state: int) -> int:
    state ^= state << 21 & _MASK64
    state ^= state >> 35
    return state ^ (state << 4 & _MASK64)


@functools.cache
def _jump(power: int) -> np.ndarray[Any, np.dtype[np.uint64]]:
    """2**power steps as a table: what each value of each byte of a state (the lowest first) adds to the result."""
    import numpy as np

    if not power:
        return np.array([[_step(value << 8 * place) for value in range(256)] for place in range(8)], np.uint64)
    half = _jump(power - 1)
    return _applied(half, half)


def _applied(table: np.ndarray[Any, np.dtype[np.uint64]], states: np.ndarray[Any, Any]) -> np.ndarray[Any, np.dtype[np.uint64]]:
    import numpy as np

    result: np.ndarray[Any, np.dtype[np.uint64]] = table[0][states & np.uint64(255)]
    for place in range(1, 8):
        result = result ^ table[place][states >> np.uint64(8 * place) & np.uint64(255)]
    return result


def _murmur3(data: bytes, seed: int) -> int:
    """Of whole words, little-endian."""
    mixed = seed
    for (word,) in struct.iter_unpack("<I", data):
        word = word * 0xCC9E2D51 & _MASK32
        word = (word << 15 | word >> 17) * 0x1B873593 & _MASK32
        mixed ^= word
        mixed = ((mixed << 13 | mixed >> 19) * 5 + 0xE6546B64) & _MASK32
    mixed ^= len(data)
    mixed = (mixed ^ mixed >> 16) * 0x85EBCA6B & _MASK32
    mixed = (mixed ^ mixed >> 13) * 0xC2B2AE35 & _MASK32
    return mixed ^ mixed >> 16
