"""A line of CSV as text: read by a type, and written."""

from __future__ import annotations

import csv
import functools
import json
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

from quiver_proto.spark_functions import casts
from quiver_proto.spark_functions.java import SparkValueError
from quiver_proto.spark_functions.json_text import Options
from quiver_proto.spark_functions.patterns import formatted, parsed
from quiver_proto.spark_functions.times import zone_of
from quiver_proto.spark_functions.times_of_day import shown, time_of


class CsvReader:
    """Reads a line of CSV as a struct, for the kernel; what does not fit is null."""

    def __init__(self, kind: str, options: Options, zone: str) -> None:
        self._given = (kind, options, zone)
        self.__module__, self.__qualname__, self.__name__ = __name__, f"read {kind} {options} {zone}", "from_csv"
        self._members: list[tuple[str, Callable[[str], Any]]] = []

    def __reduce__(self) -> Any:
        return csv_reader, self._given

    def __call__(self, text: str) -> dict[str, Any]:
        kind, given, zone = self._given
        options = dict(given)
        if not self._members:
            self._members = [(field["name"], _reader(field["type"], options, zone)) for field in json.loads(kind)["fields"]]
        cells = _cells(text, options)
        corrupt = options.get("columnNameOfCorruptRecord", "_corrupt_record")
        result: dict[str, Any] = {}
        failed = False
        at = 0
        for name, member in self._members:
            if name == corrupt:
                result[name] = None
                continue
            cell = cells[at] if at < len(cells) else None
            at += 1
            try:
                null = cell is None or cell == options.get("nullValue", "")
                result[name] = None if null or cell is None else member(cell)
            except ValueError:
                failed, result[name] = True, None
        if failed and options.get("mode", "").upper() == "FAILFAST":
            raise SparkValueError(
                "MALFORMED_RECORD_IN_PARSING.WITHOUT_SUGGESTION", f"Malformed records are detected in record parsing: {text}."
            )
        if failed and corrupt in result:
            result[corrupt] = text
        return result


@functools.lru_cache(256)
def csv_reader(kind: str, options: Options, zone: str) -> CsvReader:
    """`kind`: a struct in JSON."""
    return CsvReader(kind, options, zone)


def _cells(text: str, options: dict[str, str]) -> list[str]:
    separator = options.get("sep", options.get("delimiter", ","))
    # A line's ends inside are of the values.
    line = text.replace("\n", "\ue00a").replace("\r", "\ue00d")
    lines = csv.reader([line], delimiter=separator, quotechar=options.get("quote", '"') or None, escapechar=options.get("escape", "\\"))
    cells = [cell.replace("\ue00a", "\n").replace("\ue00d", "\r") for cell in next(lines, [])]
    leading, trailing = (options.get(f"ignore{side}WhiteSpace", "false").lower() == "true" for side in ("Leading", "Trailing"))
    return [cell.lstrip() if leading and not trailing else cell.rstrip() if trailing and not leading else cell.strip() if leading else cell
            for cell in cells]  # fmt: skip


def _reader(kind: Any, options: dict[str, str], zone: str) -> Callable[[str], Any]:
    match kind:
        case "string":
            return str
        case "boolean":
            return lambda cell: casts.boolean(cell, False)
        case "byte" | "short" | "integer" | "long":
            name = {"byte": "ByteType", "short": "ShortType", "integer": "IntegerType", "long": "LongType"}[kind]
            return lambda cell: casts.INTEGERS[name](cell, False)
        case "double" | "float":
            return lambda cell: casts.double(cell, False)
        case "date":
            form = options.get("dateFormat")
            return lambda cell: casts.date_of(cell, False) if form is None else _moment(cell, form).date()
        case "timestamp":
            form = options.get("timestampFormat")
            return lambda cell: casts.instant_of(cell, False, zone) if form is None else _in_zone(_moment(cell, form), zone)
        case "timestamp_ntz":
            return lambda cell: casts.wall_clock_of(cell, False)
        case _ if isinstance(kind, str) and kind.startswith("time("):
            return lambda cell: time_of(cell, False, int(kind[5:-1]))
        case _ if isinstance(kind, str) and kind.startswith("decimal"):
            precision, scale = map(int, kind[8:-1].split(",")) if "(" in kind else (10, 0)
            return lambda cell: casts.exact(cell, False, precision, scale)
        case _:
            raise SparkValueError("UNSUPPORTED_DATATYPE", f"CSV has no values of {kind}.")


def _moment(cell: str, form: str) -> datetime:
    moment = parsed(cell, form)
    if moment is None:
        raise ValueError(cell)
    return moment


def _in_zone(moment: datetime, zone: str) -> datetime:
    return (moment if moment.tzinfo else moment.replace(tzinfo=zone_of(zone))).astimezone(UTC)


class CsvWriter:
    """Writes a struct as a line of CSV, for the kernel."""

    def __init__(self, kind: str, options: Options, zone: str) -> None:
        self._given = (kind, options, zone)
        self.__module__, self.__qualname__, self.__name__ = __name__, f"write {kind} {options} {zone}", "to_csv"
        self._members: list[Callable[[Any], str]] = []

    def __reduce__(self) -> Any:
        return csv_writer, self._given

    def __call__(self, value: dict[str, Any]) -> str | None:
        kind, given, zone = self._given
        options = dict(given)
        if not self._members:
            self._members = [_writer(field["type"], options, zone) for field in json.loads(kind)["fields"]]
        cells = [None if x is None else write(x) for write, x in zip(self._members, value.values(), strict=True)]
        separator = options.get("sep", options.get("delimiter", ","))
        null = options.get("nullValue", "")
        if len(cells) == 1 and cells[0] is None and not null:
            return None  # A line of nothing is none.
        return separator.join(null if cell is None else _quoted(cell, separator) for cell in cells)


@functools.lru_cache(256)
def csv_writer(kind: str, options: Options, zone: str) -> CsvWriter:
    """`kind`: a struct in JSON."""
    return CsvWriter(kind, options, zone)


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
            form = options.get("dateFormat", "yyyy-MM-dd")
            return lambda value: formatted(datetime(value.year, value.month, value.day), form)
        case "timestamp":
            form = options.get("timestampFormat", "yyyy-MM-dd'T'HH:mm:ss.SSSXXX")
            return lambda value: formatted(value.astimezone(zone_of(zone)).replace(tzinfo=None), form, zone)
        case _ if isinstance(kind, str) and kind.startswith("time("):
            return shown
        case "timestamp_ntz":
            return lambda value: formatted(value, options.get("timestampNTZFormat", "yyyy-MM-dd'T'HH:mm:ss.SSS"))
        case "binary":
            return lambda value: bytes(value).decode(errors="replace")
        case _ if isinstance(kind, str) and kind.startswith("decimal"):
            return lambda value: format(value, "f")
        case _:
            return str


def schema_of_csv(text: str, options: str = "{}") -> str:
    """As DDL, of a line whose columns are `_c0`, `_c1` …."""
    kinds = (_inferred(cell) for cell in _cells(text, json.loads(options)))
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
