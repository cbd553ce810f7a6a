"""Where cached partitions are kept."""

from __future__ import annotations

from typing import Any, ClassVar


class StorageLevel:
    """In memory, on disk, or both, and on how many executors.

    `deserialized` keeps, besides the serialised block, the live objects in the slot that made them. `useOffHeap` is accepted and means
    the same as `useMemory`: blocks are in shared memory, outside every process's heap, anyway. Instances can't be changed and compare by
    value.

    >>> print(StorageLevel.DISK_ONLY)
    Disk Serialized 1x Replicated
    """

    __slots__ = ("deserialized", "replication", "useDisk", "useMemory", "useOffHeap")

    useDisk: bool
    useMemory: bool
    useOffHeap: bool
    deserialized: bool
    replication: int

    NONE: ClassVar[StorageLevel]
    DISK_ONLY: ClassVar[StorageLevel]
    DISK_ONLY_2: ClassVar[StorageLevel]
    DISK_ONLY_3: ClassVar[StorageLevel]
    MEMORY_ONLY: ClassVar[StorageLevel]
    MEMORY_ONLY_2: ClassVar[StorageLevel]
    MEMORY_AND_DISK: ClassVar[StorageLevel]
    MEMORY_AND_DISK_2: ClassVar[StorageLevel]
    OFF_HEAP: ClassVar[StorageLevel]
    MEMORY_AND_DISK_DESER: ClassVar[StorageLevel]

    def __init__(self, useDisk: bool, useMemory: bool, useOffHeap: bool, deserialized: bool, replication: int = 1) -> None:
        for name, value in zip(self.__slots__, (deserialized, replication, useDisk, useMemory, useOffHeap), strict=True):
            object.__setattr__(self, name, value)

    def __setattr__(self, name: str, value: object) -> None:
        raise AttributeError(f"a StorageLevel can't be changed ({name})")

    def __reduce__(self) -> tuple[Any, ...]:
        return StorageLevel, self._values()

    def _values(self) -> tuple[bool, bool, bool, bool, int]:
        return self.useDisk, self.useMemory, self.useOffHeap, self.deserialized, self.replication

    def __eq__(self, other: object) -> bool:
        return isinstance(other, StorageLevel) and self._values() == other._values()

    def __hash__(self) -> int:
        return hash(self._values())

    def __repr__(self) -> str:
        return f"StorageLevel({', '.join(map(str, self._values()))})"

    def __str__(self) -> str:
        parts = ["Disk " if self.useDisk else "", "Memory " if self.useMemory else "", "OffHeap " if self.useOffHeap else ""]
        return f"{''.join(parts)}{'Deserialized' if self.deserialized else 'Serialized'} {self.replication}x Replicated"


StorageLevel.NONE = StorageLevel(False, False, False, False)
StorageLevel.DISK_ONLY = StorageLevel(True, False, False, False)
StorageLevel.DISK_ONLY_2 = StorageLevel(True, False, False, False, 2)
StorageLevel.DISK_ONLY_3 = StorageLevel(True, False, False, False, 3)
StorageLevel.MEMORY_ONLY = StorageLevel(False, True, False, False)
StorageLevel.MEMORY_ONLY_2 = StorageLevel(False, True, False, False, 2)
StorageLevel.MEMORY_AND_DISK = StorageLevel(True, True, False, False)
StorageLevel.MEMORY_AND_DISK_2 = StorageLevel(True, True, False, False, 2)
StorageLevel.OFF_HEAP = StorageLevel(True, True, True, False, 1)
StorageLevel.MEMORY_AND_DISK_DESER = StorageLevel(True, True, False, True)
