"""The table that show() prints."""

from __future__ import annotations

import math
import re
import struct
from collections.abc import Sequence
from typing import Any

from quiver.sql import types as t
from quiver_proto.spark_functions.casts import written
from quiver_proto.spark_functions.times_of_day import shown as clock_text


def cell(value: Any, kind: t.DataType, zone: str = "UTC") -> str:
    """A value as show() prints it. `zone`: by whose clocks variants have their instants."""
    if value is None:
        return "NULL"
    if isinstance(value, str):
        return value  # Days that Python's years do not have, among others.
    match kind:
        case t.BooleanType():
            return str(value).lower()
        case t.StructType():
            return (
                "{"
                + ", ".join(
                    cell(member, field.dataType, zone)
                    for member, field in zip(value.values() if isinstance(value, dict) else value, kind.fields)
                )
                + "}"
            )
        case t.ArrayType():
            return "[" + ", ".join(cell(item, kind.elementType, zone) for item in value) + "]"
        case t.MapType():
            pairs = value.items() if isinstance(value, dict) else value
            return "{" + ", ".join(f"{cell(key, kind.keyType, zone)} -> {cell(item, kind.valueType, zone)}" for key, item in pairs) + "}"
        case t.BinaryType():
            return "[" + " ".join(f"{byte:02X}" for byte in value) + "]"
        case t.FloatType():
            return written(_shortest(value))
        case t.DoubleType():
            return written(float(value))
        case t.DecimalType():
            return format(value, "f")
        case t.TimestampType() | t.TimestampNTZType():
            fraction = f".{value.microsecond:06d}".rstrip("0") if value.microsecond else ""
            return f"{value:%H:%M:%S}".join((f"{value.date().isoformat()} ", fraction))
        case t.TimeType():
            return clock_text(value)
        case t.DayTimeIntervalType() | t.YearMonthIntervalType():
            return interval_text(value, kind)
        case t.VariantType():
            return str(value.toJson(zone))
        case _:
            return str(value)


def interval_text(value: Any, kind: t.DayTimeIntervalType | t.YearMonthIntervalType) -> str:
    """As SQL writes a timedelta or a number of months: INTERVAL '1 02:03:04.5' DAY TO SECOND.

    >>> import datetime
    >>> interval_text(datetime.timedelta(hours=-26), t.DayTimeIntervalType(0, 1)), interval_text(14, t.YearMonthIntervalType())
    ("INTERVAL '-1 02' DAY TO HOUR", "INTERVAL '1-2' YEAR TO MONTH")
    """
    if isinstance(kind, t.YearMonthIntervalType):
        years, months = divmod(abs(value), 12)
        parts, sign = [str(years), str(months)], "-" if value < 0 else ""
        first, last = kind.startField, kind.endField
        text = "-".join(parts) if first < last else str(abs(value)) if first == kind.MONTH else parts[0]
    else:
        micros = (value.days * 86_400 + value.seconds) * 1_000_000 + value.microseconds
        sign = "-" if micros < 0 else ""
        seconds, fraction = divmod(abs(micros), 1_000_000)
        first, last = kind.startField, kind.endField
        units = (86_400, 3_600, 60, 1)
        text = ""
        for position in range(first, last + 1):
            count, seconds = divmod(seconds, units[position])
            text += str(count) if position == first and position == 0 else f"{count:02d}"
            if position < last:
                text += " " if position == 0 else ":"
        if last == kind.SECOND and fraction:
            text += f".{fraction:06d}".rstrip("0")
    return f"INTERVAL '{sign}{text}' {kind.simpleString().removeprefix('interval ').upper()}"


def table_text(
    names: Sequence[str], rows: Sequence[Sequence[Any]], n: int, width: int, vertical: bool, kinds: Sequence[t.DataType], zone: str = "UTC"
) -> str:
    """`rows` may hold one more than `n`, which is then told of. `width`: longest cell (0: any)."""
    more = len(rows) > n
    cells = [[_cut(cell(value, kind, zone), width) for value, kind in zip(tuple(row), kinds)] for row in rows[:n]]
    if vertical:
        text = _vertical(names, cells)
    else:
        widths = [max([3, half_widths(name), *(half_widths(row[i]) for row in cells)]) for i, name in enumerate(names)]
        line = f"+{'+'.join('-' * size for size in widths)}+"

        def aligned(values: Sequence[str]) -> str:
            return f"|{'|'.join(_padded(value, size, bool(width)) for value, size in zip(values, widths))}|"

        text = "\n".join([line, aligned(names), line, *map(aligned, cells), line]) + "\n"
    if more:
        text += f"only showing top {n} row{'s' if n != 1 else ''}"
    return text


def table_html(
    names: Sequence[str], rows: Sequence[Sequence[Any]], n: int, width: int, kinds: Sequence[t.DataType], zone: str = "UTC"
) -> str:
    """As table_text, as a table of HTML."""
    from html import escape

    def line(tag: str, values: Sequence[str]) -> str:
        return f"<tr>{''.join(f'<{tag}>{escape(value)}</{tag}>' for value in values)}</tr>\n"

    cells = [[_cut(cell(value, kind, zone), width) for value, kind in zip(tuple(row), kinds)] for row in rows[:n]]
    more = f"only showing top {n} row{'s' if n != 1 else ''}\n" if len(rows) > n else ""
    return f"<table border='1'>\n{line('th', names)}{''.join(line('td', values) for values in cells)}</table>\n{more}"


def _shortest(value: float) -> float:
    """The double with the fewest digits that is this 32-bit number."""
    if not math.isfinite(value):
        return value
    return next(short for digits in range(1, 18) if _as_float32(short := float(f"{value:.{digits}g}")) == value)


def _as_float32(value: float) -> float:
    try:
        return float(struct.unpack("f", struct.pack("f", value))[0])
    except OverflowError:
        return math.inf


_WIDE = re.compile("[\u1100-\u115f\u2e80-\ua4cf\uac00-\ud7a3\uf900-\ufaff\ufe30-\ufe6f\uff00-\uff60\uffe0-\uffe6]")
"""Characters that take two places in a terminal."""


def half_widths(text: str) -> int:
    """How many places a text takes in a terminal."""
    return len(text) if text.isascii() else len(text) + len(_WIDE.findall(text))


def _padded(text: str, size: int, right: bool) -> str:
    blanks = " " * (size - half_widths(text))
    return blanks + text if right else text + blanks


def _cut(text: str, width: int) -> str:
    text = text.replace("\n", "\\n").replace("\r", "\\r").replace("\t", "\\t")
    if not width or len(text) <= width:
        return text
    return text[:width] if width < 4 else f"{text[: width - 3]}..."


def _vertical(names: Sequence[str], cells: Sequence[Sequence[str]]) -> str:
    left = max([3, *map(half_widths, names)])
    right = max([3, *(half_widths(value) for row in cells for value in row)])
    lines: list[str] = []
    for number, row in enumerate(cells):
        lines.append(f"-RECORD {number}".ljust(left + right + 5, "-"))
        lines += [f" {_padded(name, left, False)} | {_padded(value, right, False)} " for name, value in zip(names, row)]
    return "\n".join(lines) + "\n" if lines else "(0 rows)"
