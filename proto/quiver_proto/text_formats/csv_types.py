"""Which types the values of CSV columns have. A type is told as a name: null, int, bigint, decimal(n,0), double, date, timestamp, boolean,
string; what values of several types have in common is the type that holds them all."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from functools import reduce
from itertools import islice
from typing import TYPE_CHECKING, Any

from quiver_proto.text_formats import csv_batches
from quiver_proto.text_formats.conversion import Convert, Formats, converted, converter
from quiver_proto.text_formats.csv_lines import CsvOptions
from quiver_proto.text_formats.text_input import Piece

if TYPE_CHECKING:
    import pyarrow as pa

_ROWS = 50_000
_WHOLE = re.compile(r"[+-]?\d+\.?")
_STRICT_DATE = re.compile(r"\d{4}-\d{2}-\d{2}")


def types_of(piece: Piece | Sequence[str], width: int, options: CsvOptions, keep: float = 1.0) -> list[str]:
    """Of the columns of a piece (or of lines), by place; of a part of its rows where `keep` is less than 1."""
    import random

    if keep >= 1:
        names = [str(place) for place in range(width)]
        found = ["null"] * width
        for columns in csv_batches.text_columns(piece, names, options):
            for place, column in enumerate(columns):
                if found[place] != "string":
                    found[place] = merged(found[place], of_column(column, options))
        return found
    draw = random.Random(f"{piece.path}:{piece.start}" if isinstance(piece, Piece) else "")
    found = ["null"] * width
    rows = csv_batches.token_rows(piece, options)
    while some := list(islice(rows, _ROWS)):
        some = [row for row in some if draw.random() < keep]
        for place in range(width):
            if found[place] != "string":
                found[place] = merged(found[place], of_values((row[place] for row in some if place < len(row)), options))
    return found


def of_column(texts: pa.Array, options: CsvOptions) -> str:
    """As of_values, of an Arrow array; at once where all texts are alike."""
    import pyarrow.compute as pc

    known = texts.drop_null()
    if not len(known):
        return "null"
    first = of_values(known[:50].to_pylist(), options)
    pattern = _ALIKE.get(first)
    if first == "string" or pattern is None:
        return first if first == "string" else of_values(known.to_pylist(), options)
    if first == "date" and (options.formats.date is not None or not options.prefer_date):
        return of_values(known.to_pylist(), options)
    if first == "timestamp" and options.formats.timestamp is not None:
        return of_values(known.to_pylist(), options)
    fits = pc.call_function("match_substring_regex", [known], pc.MatchSubstringOptions(pattern))
    if pc.call_function("all", [fits]).as_py() and not (
        first in ("date", "timestamp") and converted(known, _arrow(first), options.formats)[1]
    ):
        return first
    return of_values(known.to_pylist(), options)


def _arrow(kind: str) -> pa.DataType:
    import pyarrow as pa

    return pa.date32() if kind == "date" else pa.timestamp("us", "UTC")


_ALIKE = {
    "int": r"^[+-]?\d{1,9}$",
    "double": r"^[+-]?\d*\.\d+$",
    "date": r"^\d{4}-\d{2}-\d{2}$",
    "timestamp": r"^\d{4}-\d\d-\d\d[ T]\d\d:\d\d(?::\d\d(?:\.\d+)?)?(?:Z|[+-]\d\d:?\d\d)?$",
    "boolean": r"^(?i:true|false)$",
}
"""Texts that are of a type for sure."""


def all_merged(found: Iterable[Sequence[str]], width: int) -> list[str]:
    """What columns of several pieces have in common; a column without values has strings."""
    result = reduce(lambda a, b: [merged(x, y) for x, y in zip(a, b)], found, ["null"] * width)
    return ["string" if kind == "null" else kind for kind in result]


def merged(one: str, other: str) -> str:
    """The type that holds values of both.

    >>> merged("int", "double"), merged("date", "timestamp"), merged("boolean", "int"), merged("null", "date")
    ('double', 'timestamp', 'string', 'date')
    """
    if one == other or other == "null":
        return one
    if one == "null":
        return other
    ranks = [_rank(one), _rank(other)]
    if min(ranks) >= 0:
        if ranks == [2, 2]:
            return max(one, other, key=lambda kind: int(kind[8:].partition(",")[0]))
        if 2 in ranks and ranks != [2, 2] and max(ranks) == 2:
            wide = one if ranks[0] == 2 else other
            return f"decimal({max(20, int(wide[8:].partition(',')[0]))},0)"
        return (one, other)[ranks.index(max(ranks))]
    return "timestamp" if {one, other} == {"date", "timestamp"} else "string"


def _rank(kind: str) -> int:
    return 2 if kind.startswith("decimal") else {"int": 0, "bigint": 1, "double": 3}.get(kind, -1)


def of_values(values: Iterable[str | None], options: CsvOptions) -> str:
    """The type of all of them that are not null."""
    known = {value for value in values if value is not None}
    tests = _tests(options.formats)
    found = "null"
    kinds: dict[str, Any] = {}
    for value in known:
        kind = _of_one(value, tests, options)
        kinds.setdefault(kind, None)
        if kind == "string":
            return "string"
    for kind in kinds:
        found = merged(found, kind)
    return found


def _tests(formats: Formats) -> dict[str, Convert]:
    import pyarrow as pa

    kinds = {"double": pa.float64(), "date": pa.date32(), "timestamp": pa.timestamp("us", "UTC"), "boolean": pa.bool_()}
    return {name: convert for name, kind in kinds.items() if (convert := converter(kind, formats)) is not None}


def _of_one(value: str, tests: dict[str, Convert], options: CsvOptions) -> str:
    if _WHOLE.fullmatch(value):
        if value.endswith("."):
            return f"decimal({len(value.lstrip('+-0')) - 1 or 1},0)"
        number = int(value)
        if -(2**31) <= number < 2**31:
            return "int"
        if -(2**63) <= number < 2**63:
            return "bigint"
        return f"decimal({len(str(abs(number)))},0)" if len(str(abs(number))) <= 38 else "double"
    for kind in ("double", "date", "timestamp", "boolean"):
        if kind == "date" and (not options.prefer_date or (options.formats.date is None and not _STRICT_DATE.fullmatch(value))):
            continue
        try:
            tests[kind](value)
        except (ValueError, OverflowError):
            continue
        return kind
    return "string"
