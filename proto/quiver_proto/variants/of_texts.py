"""Variants of what texts hold: of parsed JSON, and of the cells of CSV."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from datetime import UTC
from decimal import Decimal, InvalidOperation
from typing import Any

from quiver_proto.text_formats.conversion import Formats, date_of, moment_of, zone_of
from quiver_proto.text_formats.json_parsing import Number, Repeated
from quiver_proto.variants.encoding import struct_of
from quiver_proto.variants.json_form import duplicate, fraction, whole

_DAY = re.compile(r"\d{4}-\d{2}-\d{2}")
_MOMENT = re.compile(r"\d{4,6}-\d{1,2}(?:-\d{1,2}(?:[ T]\d{1,2}:\d{1,2}(?::\d{1,2}(?:\.\d*)?)?)?)?")
"""Without a zone, as Spark has it here."""
_WHOLE = re.compile(r"[+-]?\d+")
_DIGITS = 38


def of_json(value: Any) -> dict[str, bytes]:
    """Of a value that json_parsing has read. Raises SparkValueError for an object in which a name comes twice."""
    return struct_of(_tree(value))


def _tree(value: Any) -> Any:
    if isinstance(value, Number):
        return whole(value) if value.is_whole else fraction(value)
    if isinstance(value, Repeated):
        raise duplicate(value.name)
    if isinstance(value, dict):
        return {name: _tree(member) for name, member in value.items()}
    return [_tree(item) for item in value] if isinstance(value, list) else value


class Cells:
    """Makes values of the cells of one column, one after the other: numbers, dates, instants, booleans, else texts.

    As to Spark, a column's values only become wider: once one was a text, those after it are texts, too.
    """

    def __init__(self, formats: Formats, null: str, prefers_date: bool) -> None:
        self._formats, self._null = formats, null
        self._zone = zone_of(formats.zone)
        self._kinds: list[Callable[[str], Any]] = [self._integer, self._decimal, self._day, self._instant, _boolean, str]
        if not prefers_date:
            self._kinds.remove(self._day)

    def value(self, cell: str | None) -> Any:
        """A part of a variant; None for a null."""
        if cell is None or cell == self._null:
            return None
        while True:
            try:
                return self._kinds[0](cell)
            except (ValueError, OverflowError, InvalidOperation):
                self._kinds.pop(0)

    def _integer(self, cell: str) -> int:
        if not _WHOLE.fullmatch(cell) or not -(2**63) <= (number := int(cell[:40])) < 2**63:
            raise ValueError(cell)
        return number

    def _decimal(self, cell: str) -> Decimal:
        if "_" in cell or cell.strip() != cell:
            raise ValueError(cell)
        number = Decimal(cell.replace(",", ""))
        _, digits, exponent = number.as_tuple()
        if not isinstance(exponent, int) or max(len(digits) + max(exponent, 0), -exponent) > _DIGITS:
            raise ValueError(cell)
        return number

    def _day(self, cell: str) -> Any:
        if self._formats.date is None and not _DAY.fullmatch(cell):
            raise ValueError(cell)
        return date_of(cell, self._formats.date)

    def _instant(self, cell: str) -> Any:
        if self._formats.timestamp is None and not _MOMENT.fullmatch(cell):
            raise ValueError(cell)
        return moment_of(cell, self._formats.timestamp, self._zone).astimezone(UTC)


def _boolean(cell: str) -> bool:
    folded = cell.lower()
    if folded not in ("true", "false"):
        raise ValueError(cell)
    return folded == "true"


class CsvRecords:
    """Makes one variant of each record of CSV: an object of its cells, by the columns' names, of those that it has.

    `names`: of a header; None: `_c0`, `_c1`, …, of any number of cells.
    """

    def __init__(self, names: Sequence[str] | None, formats: Formats, null: str, prefers_date: bool) -> None:
        self._names = names
        self._of_column = (formats, null, prefers_date)
        self._cells: list[Cells] = []

    def variant(self, tokens: Sequence[str | None]) -> dict[str, bytes]:
        """Of the cells of the next record."""
        count = len(tokens) if self._names is None else min(len(tokens), len(self._names))
        while len(self._cells) < count:
            self._cells.append(Cells(*self._of_column))
        names = [f"_c{place}" for place in range(count)] if self._names is None else self._names
        return struct_of({names[place]: self._cells[place].value(tokens[place]) for place in range(count)})
