"""Which keys of a map task's output are heavy: a small summary, kept of a sample, so that it costs next to nothing.

The summary is that of Misra and Gries ("Finding repeated elements", 1982), filled in batches: counters pile up to FULL, then the
(KEPT + 1)-th largest count is taken off all of them and those that reach zero go. Each such step takes at least (KEPT + 1) times what
it takes off any one counter, so after n keys no counter is above its key's true count, nor below it by more than n / (KEPT + 1) (Agarwal
et al., "Mergeable summaries", 2012).

Of the records one in STRIDE is looked at. What is told is scaled up again, less three standard deviations of such a sample's error: at
least that many, but for about one case in a thousand.
"""

from __future__ import annotations

import heapq
from collections import _count_elements  # type: ignore[attr-defined]
from collections.abc import Callable, Sequence
from math import sqrt
from typing import Any

from quiver_proto.messages import HeavyKey
from quiver_proto.shorten import shorten

STRIDE = 127
"""A prime, so that data which repeats itself is not always met at the same place."""
KEPT = 64
FULL = 1024
MOST_TOLD = 8
SMALLEST_SHARE = 0.02
SHOWN = 80
"""Characters of a key that are told."""
FEWEST = 64
"""A sample of fewer keys says nothing."""


class Summary:
    """Counts of the keys that come often. Keys must be hashable."""

    __slots__ = ("_kept", "counts", "seen")

    def __init__(self, kept: int = KEPT) -> None:
        self._kept = kept
        self.counts: dict[Any, int] = {}
        self.seen = 0

    def add(self, keys: Sequence[Any]) -> None:
        """Raises what hashing or comparing keys raises."""
        self.seen += len(keys)
        _count_elements(self.counts, keys)
        if len(self.counts) > max(FULL, self._kept):
            self.shrink()

    def shrink(self) -> None:
        """Down to at most as many counters as are to be kept."""
        if len(self.counts) > self._kept:
            off = heapq.nlargest(self._kept + 1, self.counts.values())[-1]
            self.counts = {key: count - off for key, count in self.counts.items() if count > off}

    def heaviest(self, most: int) -> list[tuple[Any, int]]:
        """(key, at least how often it came), most often first."""
        return heapq.nlargest(most, self.counts.items(), key=lambda item: item[1])


class HeavyKeys:
    """One map task's. `see` all pairs in batches, then ask once with `told`."""

    __slots__ = ("_next", "_summary")

    def __init__(self, partition: int) -> None:
        self._summary: Summary | None = Summary()
        self._next = partition * 17 % STRIDE

    def see(self, pairs: Sequence[Any]) -> None:
        """Pairs, or other sequences whose first item is the key. Keys that can't be counted end the summary; they are no error here."""
        start = self._next
        sample = pairs[start::STRIDE]
        self._next = start + STRIDE * len(sample) - len(pairs)
        if sample and self._summary is not None:
            try:
                self._summary.add([pair[0] for pair in sample])
            except Exception:  # Sorting needs no hash, and a user's key may raise what it likes.
                self._summary = None

    def told(self, partition_of: Callable[[Any], int]) -> tuple[HeavyKey, ...]:
        """The keys with a share of at least SMALLEST_SHARE, heaviest first."""
        summary = self._summary
        if summary is None or summary.seen < FEWEST:
            return ()
        found = []
        for key, count in summary.heaviest(MOST_TOLD):
            surely = count - 3 * sqrt(count * (1 - count / summary.seen))
            if surely >= summary.seen * SMALLEST_SHARE:
                found.append(HeavyKey(shorten(key, SHOWN), partition_of(key), int(surely * STRIDE)))
        return tuple(found)


def place_by(scatter: Callable[[Sequence[Any], list[list[Any]]], None], width: int) -> Callable[[Any], int]:
    """The partition of a key, asked from what deals pairs into lists."""

    def place(key: Any) -> int:
        lists: list[list[Any]] = [[] for _ in range(width)]
        scatter([(key, None)], lists)
        return next(number for number, found in enumerate(lists) if found)

    return place
