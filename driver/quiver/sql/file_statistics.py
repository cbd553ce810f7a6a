"""What Parquet files tell of their rows without being read: how many there are, and the values of each column.

As estimates, from some files of a table; and as bounds, which hold for every row as long as the files stay what they are.
"""

from __future__ import annotations

import datetime
import functools
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from math import ceil, floor
from typing import Any, TypeVar

from quiver.sql import types as t
from quiver.sql.analysis.cardinality import Estimate, Values, number
from quiver.sql.analysis.ranges import LIMITS, Column, Extent, Range, hull
from quiver.sql.tree import relations as r
from quiver_proto.parquet_footers import footer_digest

T = TypeVar("T")
_FILES, _ROW_GROUPS = 8, 64
"""Of one table and of one file: more than these are not looked at, but taken to be like those."""
_MOST_FILES, _MOST_CHUNKS = 256, 1 << 16
"""Of one table, and columns' chunks of one file: of more, bounds are not looked for. A file takes some milliseconds, once."""
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
        files = [_read(file.path)[0] for file in chosen]
    except Exception:  # Whatever is wrong with a file, the query that reads it tells.
        return None
    rows = sum(each.rows for each in files) * sum(file.size for file in leaf.files) / max(1, sum(file.size for file in chosen))
    columns: dict[int, Values] = {}
    for column, stored in zip(leaf.columns, leaf.schema, strict=False):  # Hidden columns are in no file.
        if stored.name in leaf.partition_columns:
            place = leaf.partition_columns.index(stored.name)
            columns[column.id] = Values(float(len({file.values[place] for file in leaf.files})))
        elif all(stored.name in each.told for each in files):
            columns[column.id] = functools.reduce(_Told.and_also, (each.told[stored.name] for each in files)).values(rows)
    return Estimate(rows, columns)


def stored_bytes(path: str) -> Mapping[str, int] | None:
    """What a Parquet file's columns take, compressed, but four bytes a value at least: a value costs something, however well it is coded.

    None where its footer can't be read.
    """
    try:
        return _read(path)[0].sizes
    except Exception:  # As above.
        return None


class StoredExtents:
    """Bounds of the rows of leaves, for one query, which is right only as long as the files' footers have the digests in
    `pins`, by path."""

    def __init__(self) -> None:
        self.pins: dict[str, int] = {}

    def of(self, leaf: r.Files | r.Local) -> Extent:
        """Nothing, where files are not all of a kind that tells."""
        if isinstance(leaf, r.Local):
            return Extent(leaf.table.num_rows)
        if leaf.format != "parquet" or len(leaf.files) > _MOST_FILES:
            return Extent()
        try:
            read = {file.path: _read(file.path) for file in leaf.files}
        except Exception:  # As above.
            return Extent()
        self.pins.update((path, digest) for path, (_, digest) in read.items())
        footers = [footer for footer, _ in read.values()]
        columns: dict[int, Column] = {}
        for column, stored in zip(leaf.columns, leaf.schema, strict=False):
            if stored.name not in leaf.partition_columns and footers and all(stored.name in each.exact for each in footers):
                bounds = [_in_units(found, column.type) for each in footers if (found := each.exact[stored.name]) is not None]
                known = [each for each in bounds if each is not None]
                if len(known) == len(bounds):
                    columns[column.id] = Column(hull(known) if known else (0, 0))
        return Extent(sum(read[file.path][0].rows for file in leaf.files), columns)


_Number = int | Decimal


@dataclass(frozen=True, slots=True)
class _Footer:
    """Of a file: its rows; what is told of columns by some of its row groups; and bounds of those with whole numbers and decimals, by all
    (None: the column has no values). `sizes`: see `stored_bytes`."""

    rows: int
    told: dict[str, _Told]
    exact: dict[str, tuple[_Number, _Number] | None]
    sizes: dict[str, int]


def _in_units(bounds: tuple[_Number, _Number], kind: t.DataType) -> Range | None:
    """Of a type's values, as analysis/ranges.py counts them; None: these are not stored as such."""
    low, high = bounds
    if isinstance(low, int) and isinstance(high, int):
        return (low, high) if type(kind) in LIMITS else None
    if not isinstance(kind, t.DecimalType):
        return None
    return (floor(Decimal(low).scaleb(kind.scale)), ceil(Decimal(high).scaleb(kind.scale)))


def _read(path: str) -> tuple[_Footer, int]:
    """A file's footer, and its digest. Raises OSError, what pyarrow does, ValueError for one that changes now."""
    state = _state(path)
    read = _footer(path, state)
    if _state(path) != state:
        raise ValueError(f"{path} is being changed")
    return read


def _state(path: str) -> tuple[int, ...]:
    """Another one when the file was written: also where its old time was given back to it."""
    now = os.stat(path)
    return (now.st_ino, now.st_size, now.st_mtime_ns, now.st_ctime_ns)


def _spread(items: Sequence[T], most: int) -> Sequence[T]:
    """At most so many, evenly."""
    return items if len(items) <= most else [items[number * len(items) // most] for number in range(most)]


@functools.lru_cache(maxsize=1024)
def _footer(path: str, state: tuple[int, ...]) -> tuple[_Footer, int]:
    """What a file in this state tells, and its footer's digest."""
    import pyarrow.parquet as pq

    digest, footer = footer_digest(path), pq.read_metadata(path)
    groups = [footer.row_group(group) for group in _spread(range(footer.num_row_groups), _ROW_GROUPS)]
    found: dict[str, _Told] = {}
    for place, name in enumerate(footer.schema.names if groups else ()):
        chunks = [group.column(place) for group in groups]
        if chunks[0].path_in_schema == name and all(chunk.is_stats_set for chunk in chunks):
            found[name] = functools.reduce(_Told.and_also, map(_told, chunks))
    return _Footer(footer.num_rows, found, _exact(footer), _sizes(groups, footer.num_row_groups)), digest


def _sizes(groups: Sequence[Any], count: int) -> dict[str, int]:
    """By these of `count` row groups. A column of parts is all of them, and each part as well."""
    found: dict[str, int] = {}
    for group in groups:
        for place in range(group.num_columns):
            chunk = group.column(place)
            size = max(chunk.total_compressed_size, 4 * chunk.num_values) * count // len(groups)
            path = chunk.path_in_schema
            for name in {path, path.partition(".")[0]}:
                found[name] = found.get(name, 0) + size
    return found


def _exact(footer: Any) -> dict[str, tuple[_Number, _Number] | None]:
    """Of columns whose every chunk tells, in the file's own type."""
    found: dict[str, tuple[_Number, _Number] | None] = {}
    if footer.num_row_groups * footer.num_columns > _MOST_CHUNKS:
        return found
    groups = [footer.row_group(group) for group in range(footer.num_row_groups)]
    names = [footer.schema.column(place).path for place in range(footer.num_columns)]
    for place, name in enumerate(names):
        if _is_counted(footer.schema.column(place)) and names.count(name) == 1:
            chunks = [_bounds(group.column(place)) for group in groups]
            known = [each for each in chunks if each is not None]
            if len(known) == len(chunks):
                told = [bound for each in known for bound in each]
                found[name] = (min(told), max(told)) if told else None
    return found


def _is_counted(column: Any) -> bool:
    """A column of its own, of signed whole numbers or decimals, whose order no writer has mistaken."""
    logical = column.logical_type.type
    if column.max_repetition_level or column.max_definition_level > 1 or column.path != column.name:
        return False
    if column.physical_type in ("INT32", "INT64") and logical in ("NONE", "INT"):
        return not str(column.converted_type).startswith("UINT")
    return column.physical_type in ("INT32", "INT64", "FIXED_LEN_BYTE_ARRAY") and logical == "DECIMAL"


def _bounds(chunk: Any) -> tuple[()] | tuple[_Number, _Number] | None:
    """Least and greatest value; () of a chunk without any; None: it does not tell."""
    statistics = chunk.statistics
    if statistics is None:
        return None
    if not statistics.has_min_max:
        return () if statistics.has_null_count and statistics.null_count == chunk.num_values else None
    low, high = statistics.min, statistics.max
    of_a_kind = isinstance(low, int | Decimal) and type(low) is type(high) and not isinstance(low, bool)
    return (low, high) if of_a_kind and low <= high else None


def _told(chunk: Any) -> _Told:
    statistics = chunk.statistics
    low, high = (statistics.min, statistics.max) if statistics.has_min_max else (None, None)
    bits = 8 * chunk.total_uncompressed_size / max(1, chunk.num_values)
    coded: float | None = 2.0**bits if bits < _CODED_BITS and any("DICTIONARY" in each for each in chunk.encodings) else None
    if statistics.has_distinct_count and statistics.distinct_count:
        coded = float(statistics.distinct_count)
    return _Told(number(low), number(high), isinstance(low, int | datetime.date), coded)
