"""`repartition` of what came out of a shuffle, when one of its outputs is lost and made again in another order."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from pathlib import Path

from harness import MakeContext
from programs import mark

KEYS = 2011


def test_no_record_is_lost_or_there_twice(make_context: MakeContext, tmp_path: Path) -> None:
    sc = make_context("local[1]")
    directory = str(tmp_path)

    def reordered(records: Iterable[tuple[int, int]]) -> Iterator[tuple[int, int]]:
        """What a spill does to the order, on the re-run only."""
        found = list(records)
        return iter(found[::-1] if Path(directory, "lost").exists() else found)

    def lose_one(index: int, records: Iterator[tuple[int, int]]) -> Iterator[tuple[int, int]]:
        yield from records
        if index == 0 and not Path(directory, "lost").exists():
            # The second shuffle's: the first has been read already.
            sorted(Path(directory, "local").rglob("map-*.arrow"))[-1].unlink()
            mark(directory, "lost")

    counts = sc.range(6000, numSlices=2).map(lambda x: (x % KEYS, x)).groupByKey(2).mapValues(len)
    result = counts.mapPartitions(reordered).repartition(3).mapPartitionsWithIndex(lose_one).collect()
    assert (tmp_path / "lost").exists()
    assert Counter(result) == Counter((key, len(range(key, 6000, KEYS))) for key in range(KEYS))
