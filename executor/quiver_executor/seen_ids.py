"""Which task ids were seen."""

from __future__ import annotations


class SeenIds:
    """A set of task ids in about one bit each: they are dense, and an executor sees millions."""

    __slots__ = ("_words",)

    def __init__(self) -> None:
        self._words: dict[int, int] = {}

    def add(self, number: int) -> bool:
        """False when it was there already."""
        word, bit = number >> 9, 1 << (number & 511)
        known = self._words.get(word, 0)
        if known & bit:
            return False
        self._words[word] = known | bit
        return True
