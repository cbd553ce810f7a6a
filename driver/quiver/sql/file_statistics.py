"""What Parquet files tell of their rows without being read: how many there are, and the values of each column."""

from __future__ import annotations

import datetime
import functools
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

from quiver.sql.analysis.cardinality import Estimate, Values, number
from quiver.sql.tree import relations as r

T = TypeVar("T")
_FILES, _ROW_GROUPS = 8, 64
"""Of one table and of one file: more than these are not looked at, but taken to be like those."""
_CODED_BITS = 16
"""A column that has at most so many bits a value is a dictionary's codes."""


@dataclass(frozen=True, slots=True)
class _Told:
    """Of a column: bounds (None: not numbers), whether it has no values between whole numbers, and how many values its codes can tell
    apart (None: it is not coded)."""

    low: float | None
    high: float | None
    whole: bool
    coded: float | None

    def and_also(self, other: _Told) -> _Told:
        return _Told(
            None if self.low is None or other.low is None else min(self.low, other.low),
            None if self.high is None or other.high is None else max(self.high, other.high),
            self.whole and other.whole,
            None if self.coded is None or other.coded is None else max(self.coded, other.coded),
        )

    def values(self, rows: float) -> Values:
        distinct = rows if self.coded is None else min(rows, self.coded)
        if self.whole and self.low is not None and self.high is not None:
            distinct = min(rows, self.high - self.low + 1)
        return Values(distinct, self.low, self.high)


def of_parquet(leaf: r.Files) -> Estimate | None:
    """What is expected of a leaf's rows, by the footers of some of its files; None for other formats, and where nothing can be read."""
    if leaf.format != "parquet" or not leaf.files:
        return None
    chosen = _spread(leaf.files, _FILES)
    try:
        files = [_footer(file.path, file.size, file.modified) for file in chosen]
    except Exception:  # Whatever is wrong with a file, the query that reads it tells.
        return None
    rows = sum(each for each, _ in files) * sum(file.size for file in leaf.files) / max(1, sum(file.size for file in chosen))
    columns: dict[int, Values] = {}
    for column, stored in zip(leaf.columns, leaf.schema, strict=False):  # Hidden columns are in no file.
        if stored.name in leaf.partition_columns:
            place = leaf.partition_columns.index(stored.name)
            columns[column.id] = Values(float(len({file.values[place] for file in leaf.files})))
        elif all(stored.name in told for _, told in files):
            columns[column.id] = functools.reduce(_Told.and_also, (told[stored.name] for _, told in files)).values(rows)
    return Estimate(rows, columns)


def _spread(items: Sequence[T], most: int) -> Sequence[T]:
    """At most so many, evenly."""
    return items if len(items) <= most else [items[number * len(items) // most] for number in range(most)]


@functools.lru_cache(maxsize=1024)
def _footer(path: str, size: int, modified: float) -> tuple[int, dict[str, _Told]]:
    """Rows of a file that has this size and time, and what it tells of its columns."""
    import pyarrow.parquet as pq

    footer = pq.read_metadata(path)
    groups = [footer.row_group(group) for group in _spread(range(footer.num_row_groups), _ROW_GROUPS)]
    found: dict[str, _Told] = {}
    for place, name in enumerate(footer.schema.names if groups else ()):
        chunks = [group.column(place) for group in groups]
        if chunks[0].path_in_schema == name and all(chunk.is_stats_set for chunk in chunks):
            found[name] = functools.reduce(_Told.and_also, map(_told, chunks))
    return footer.num_rows, found


def _told(chunk: Any) -> _Told:
    statistics = chunk.statistics
    low, high = (statistics.min, statistics.max) if statistics.has_min_max else (None, None)
    bits = 8 * chunk.total_uncompressed_size / max(1, chunk.num_values)
    coded: float | None = 2.0**bits if bits < _CODED_BITS and any("DICTIONARY" in each for each in chunk.encodings) else None
    if statistics.has_distinct_count and statistics.distinct_count:
        coded = float(statistics.distinct_count)
    return _Told(number(low), number(high), isinstance(low, int | datetime.date), coded)
