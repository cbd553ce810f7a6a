"""A line of CSV as text: read by a type, and written."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import datetime
from typing import TYPE_CHECKING, Any

from quiver_proto.spark_functions import casts
from quiver_proto.spark_functions.java import SparkValueError
from quiver_proto.spark_functions.json_text import Options
from quiver_proto.spark_functions.patterns import formatted
from quiver_proto.spark_functions.prepared import Prepared, prepared
from quiver_proto.spark_functions.times import zone_of
from quiver_proto.spark_functions.times_of_day import shown
from quiver_proto.text_formats.conversion import converter
from quiver_proto.text_formats.csv_lines import CsvOptions, TooLarge, tokenizer
from quiver_proto.text_formats.malformed import FAIL
from quiver_proto.variants.encoding import struct_of
from quiver_proto.variants.of_texts import Cells, CsvRecords
from quiver_proto.variants.shredded import is_variant

if TYPE_CHECKING:
    import pyarrow as pa


_NOTHING: Any = object()
"""No cell, which is something else than an empty one."""


class CsvReader:
    """Reads a line of CSV as a struct, for the kernel; what does not fit is null."""

    def __init__(self, kind: pa.StructType, options: CsvOptions) -> None:
        self._options = options
        self._cut = tokenizer(options)
        # Of variants none: they are made by _variant.
        self._members = [(field.name, None if is_variant(field.type) else converter(field.type, options.formats) or str) for field in kind]
        self._width = sum(name != options.corrupt for name, _ in self._members)

    def __call__(self, text: str) -> dict[str, Any]:
        options = self._options
        try:
            blank = not text.strip() or bool(options.comment and text.startswith(options.comment))
            cells = [] if blank else self._cut(text)
        except TooLarge:
            raise SparkValueError("MALFORMED_CSV_RECORD", f"Malformed CSV record: {text}") from None
        if options.single is not None:
            variant = CsvRecords(None, options.formats, options.null, options.prefer_date).variant(cells)
            return {name: variant if name == options.single else None for name, _ in self._members}
        failed = len(cells) != self._width
        left = iter(cells)
        result: dict[str, Any] = {}
        for name, member in self._members:
            cell = _NOTHING if name == options.corrupt else next(left, _NOTHING)
            try:
                if member is None:
                    result[name] = None if cell is _NOTHING else self._variant(cell)
                else:
                    result[name] = None if cell is _NOTHING or cell is None else member(cell)
            except (ValueError, OverflowError):
                failed, result[name] = True, None
        if failed and options.mode == FAIL:
            raise SparkValueError(
                "MALFORMED_RECORD_IN_PARSING.WITHOUT_SUGGESTION", f"Malformed records are detected in record parsing: {text}."
            )
        if failed and options.corrupt in result:
            result[options.corrupt] = text
        return result

    def _variant(self, cell: str | None) -> dict[str, bytes]:
        """Of this cell alone: a call knows no others of its column."""
        options = self._options
        return struct_of(Cells(options.formats, options.null, options.prefer_date).value(cell))


def csv_reader(kind: pa.StructType, options: CsvOptions) -> Prepared:
    """Raises TypeError in its first call for a type that CSV has no values of."""
    return prepared("from_csv", CsvReader, kind, options)


class CsvWriter:
    """Writes a struct as a line of CSV, for the kernel."""

    def __init__(self, kind: str, options: Options, zone: str) -> None:
        given = dict(options)
        self._members = [_writer(field["type"], given, zone) for field in json.loads(kind)["fields"]]
        self._separator = given.get("sep", given.get("delimiter", ","))
        self._null = given.get("nullvalue", "")

    def __call__(self, value: dict[str, Any]) -> str | None:
        cells = [None if x is None else write(x) for write, x in zip(self._members, value.values(), strict=True)]
        separator, null = self._separator, self._null
        if len(cells) == 1 and cells[0] is None and not null:
            return None  # A line of nothing is none.
        return separator.join(null if cell is None else _quoted(cell, separator) for cell in cells)


def csv_writer(kind: str, options: Options, zone: str) -> Prepared:
    """`kind`: a struct in JSON."""
    return prepared("to_csv", CsvWriter, kind, options, zone)


def _quoted(cell: str, separator: str) -> str:
    if not cell:
        return '""'
    if separator in cell or '"' in cell or "\n" in cell or "\r" in cell:
        escaped = cell.replace('"', '\\"')
        return f'"{escaped}"'
    return cell.strip()


def _writer(kind: Any, options: dict[str, str], zone: str) -> Callable[[Any], str]:
    match kind:
        case "boolean":
            return lambda value: "true" if value else "false"
        case "double":
            return casts.written
        case "float":
            return casts.written_single
        case "date":
            form = options.get("dateformat", "yyyy-MM-dd")
            return lambda value: formatted(datetime(value.year, value.month, value.day), form)
        case "timestamp":
            form = options.get("timestampformat", "yyyy-MM-dd'T'HH:mm:ss.SSSXXX")
            return lambda value: formatted(value.astimezone(zone_of(zone)).replace(tzinfo=None), form, zone)
        case _ if isinstance(kind, str) and kind.startswith("time("):
            return shown
        case "timestamp_ntz":
            return lambda value: formatted(value, options.get("timestampntzformat", "yyyy-MM-dd'T'HH:mm:ss.SSS"))
        case "binary":
            return lambda value: bytes(value).decode(errors="replace")
        case _ if isinstance(kind, str) and kind.startswith("decimal"):
            return lambda value: format(value, "f")
        case _ if isinstance(kind, str) and kind.startswith("interval"):
            return casts.shower(kind, zone)
        case _:
            return str


def schema_of_csv(text: str, options: str = "{}") -> str:
    """As DDL, of a line whose columns are `_c0`, `_c1` …."""
    given = {str(name).lower(): str(value) for name, value in json.loads(options).items()}
    usual = CsvOptions()
    cut = tokenizer(
        CsvOptions(
            given.get("sep", given.get("delimiter", usual.separator)), given.get("quote", usual.quote), given.get("escape", usual.escape),
            trim_leading=given.get("ignoreleadingwhitespace", "").lower() == "true",
            trim_trailing=given.get("ignoretrailingwhitespace", "").lower() == "true",
        )
    )  # fmt: skip
    kinds = (_inferred(cell or "") for cell in cut(text))
    return f"STRUCT<{', '.join(f'_c{at}: {kind}' for at, kind in enumerate(kinds))}>"


def _inferred(cell: str) -> str:
    for kind, reads in (("INT", casts.integer), ("BIGINT", casts.bigint), ("DOUBLE", casts.double)):
        if reads(cell, True) is not None:
            return kind
    if cell.lower() in ("true", "false"):
        return "BOOLEAN"
    if len(cell) == 10 and casts.date_of(cell, True):
        return "DATE"
    return "TIMESTAMP" if casts.wall_clock_of(cell, True) and "-" in cell else "STRING"
