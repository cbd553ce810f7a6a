"""How keys map to partitions."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from quiver_proto.hashing import portable_hash


@dataclass(frozen=True, slots=True)
class Partitioning:
    """How keys map to partitions, as PySpark's Partitioner. `function` is the user's, or that of a range; None is the portable hash.

    Two datasets of equal partitioning have equal keys in the same partition.
    """

    width: int
    function: Callable[[Any], int] | None = None

    @property
    def numPartitions(self) -> int:
        """The width."""
        return self.width

    @property
    def partitionFunc(self) -> Callable[[Any], int]:
        """key -> int; its remainder by the width is the partition."""
        return portable_hash if self.function is None else self.function

    def __call__(self, key: Any) -> int:
        """The partition of a key. Only true here as there for keys whose hash is the same in every process (see `is_seedless`)."""
        return self.partitionFunc(key) % self.width
