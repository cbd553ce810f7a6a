"""JSON files as Arrow batches: by blocks where Arrow's parser serves, else record by record, exactly as Spark reads them."""

from __future__ import annotations

import base64
import binascii
import operator
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from itertools import compress
from typing import TYPE_CHECKING, Any

from quiver_proto.errors import FileUnreadable
from quiver_proto.text_formats import json_blocks
from quiver_proto.text_formats.conversion import Formats, clock_of, date_of, decimal_of, moment_of, naive_of, zone_of
from quiver_proto.text_formats.json_parsing import Laxity, Number, Parser, parse
from quiver_proto.text_formats.malformed import DROP, FAIL, malformed
from quiver_proto.text_formats.text_input import Line, Piece, content, lines_of, text_blocks
from quiver_proto.variants.of_texts import of_json
from quiver_proto.variants.shredded import is_variant

if TYPE_CHECKING:
    import pyarrow as pa

_ROWS = 8192
_BAD = object()
"""What a value is that is none of its type."""
Convert = Callable[[Any, "_Record"], Any]


@dataclass(frozen=True, slots=True)
class JsonOptions:
    """Spark's options of JSON. `corrupt`: the column of malformed records; `single`: that of records as variants."""

    mode: str = "PERMISSIVE"
    corrupt: str = "_corrupt_record"
    multi_line: bool = False
    primitives_as_strings: bool = False
    prefers_decimal: bool = False
    drop_null_fields: bool = False
    infer_timestamps: bool = False
    laxity: Laxity = field(default_factory=Laxity)
    line: Line = field(default_factory=Line)
    formats: Formats = field(default_factory=Formats)
    single: str | None = None


class _Record:
    """A record while it is converted. `texts`: of its objects and lists, by id(), once a column has asked for one as text."""

    __slots__ = ("problem", "texts")

    def __init__(self, texts: dict[int, str] | None = None) -> None:
        self.texts = texts
        self.problem = ""


class _NeedsTexts(Exception):
    """An object is asked for as text, which only the slower parser keeps."""


def batches(piece: Piece | Iterable[str], schema: pa.Schema, options: JsonOptions, wanted: frozenset[str]) -> Iterator[pa.RecordBatch]:
    """The rows of a piece (or of texts) with the wanted columns. Raises FileUnreadable."""
    import pyarrow as pa

    fields = [each for each in schema if each.name in wanted and each.name != options.corrupt]
    converts = [(each.name, conversion(each.type, options.formats)) for each in fields]
    has_corrupt = options.corrupt in wanted and options.corrupt in schema.names

    def batch(arrays: list[pa.Array], problems: list[str | None]) -> pa.RecordBatch:
        names = [each.name for each in fields]
        if has_corrupt:
            arrays.append(pa.array(problems, pa.string()))
            names.append(options.corrupt)
        rows = pa.StructArray.from_arrays(arrays, names) if names else pa.array([{}] * len(problems), pa.struct([]))
        return pa.RecordBatch.from_struct_array(rows)

    def one_by_one(numbers: Sequence[int], lines: Sequence[str], places: Sequence[int]) -> _Part:
        columns: list[list[Any]] = [[] for _ in fields]
        corrupt: list[str | None] = []
        keys: list[int] = []
        for place in places:
            text = lines[place]
            for row, problem in _rows(text, converts, options):
                if problem and options.mode == FAIL:
                    raise failed(piece, numbers[place], text, problem)
                if problem and options.mode == DROP:
                    continue
                for values, value in zip(columns, row):
                    values.append(value)
                corrupt.append(text if problem else None)
                keys.append(place)
        return keys, batch([pa.array(values, each.type) for values, each in zip(columns, fields)], corrupt)

    quick = None if options.multi_line or options.single is not None else json_blocks.reader(fields, options.formats)
    for numbers, lines in texts(piece, options):
        parts: list[_Part] = []
        for places, arrays in json_blocks.sifted(lines, quick):
            if arrays is not None:
                parts.append((places, batch(arrays, [None] * len(places))))
            else:
                some = (places[start : start + _ROWS] for start in range(0, len(places), _ROWS))
                parts += (one_by_one(numbers, lines, each) for each in some)
        if parts:
            yield _in_order(parts)


_Part = tuple[Sequence[int], "pa.RecordBatch"]
"""(where each row comes from, the rows)."""


def _in_order(parts: Sequence[_Part]) -> pa.RecordBatch:
    import pyarrow as pa

    whole = pa.concat_batches([rows for _, rows in parts])
    keys = [key for keys, _ in parts for key in keys] if len(parts) > 1 else []
    if all(map(operator.le, keys, keys[1:])):
        return whole
    return whole.take(pa.array(sorted(range(len(keys)), key=keys.__getitem__), pa.int64()))


def failed(piece: Piece | Iterable[str], number: int, text: str, problem: str) -> FileUnreadable:
    """The error of FAILFAST for a record."""
    if isinstance(piece, Piece):
        return malformed(piece.path, None if piece.start else number + 1, text, problem)
    return malformed("(texts)", None, text, problem)


def texts(piece: Piece | Iterable[str], options: JsonOptions) -> Iterator[tuple[Sequence[int], list[str]]]:
    """Block after block: (how many lines are before each record, the records' texts). Raises FileUnreadable."""
    if not isinstance(piece, Piece):
        yield _without_blanks(0, list(piece))
        return
    if options.multi_line:
        text = content(piece).decode(options.line.encoding, "replace").removeprefix("\ufeff")
        yield _without_blanks(0, [text])
        return
    number = 0
    for block in text_blocks(piece, options.line):
        lines = lines_of(block, options.line.separator)
        yield _without_blanks(number, lines)
        number += len(lines)


def _without_blanks(number: int, lines: list[str]) -> tuple[Sequence[int], list[str]]:
    where = range(number, number + len(lines))
    data = [bool(line) and not line.isspace() for line in lines]
    return (where, lines) if all(data) else (list(compress(where, data)), list(compress(lines, data)))


def _rows(text: str, converts: Sequence[tuple[str, Convert]], options: JsonOptions) -> list[tuple[list[Any], str]]:
    """(values, what is wrong with the record) of each row that a record holds."""
    try:
        found = parse(text, options.laxity)
        if options.single is not None:
            variant = of_json(found)
            return [([variant for _ in converts], "")]
        try:
            return _converted(found, converts, _Record())
        except _NeedsTexts:
            parser = Parser(text, options.laxity, keeps=True)
            return _converted(parser.value_at_start(), converts, _Record(parser.texts))
    except (ValueError, RecursionError) as problem:
        return [([None] * len(converts), f"no JSON ({problem})")]


def _converted(found: Any, converts: Sequence[tuple[str, Convert]], record: _Record) -> list[tuple[list[Any], str]]:
    objects = found if isinstance(found, list) else [found]
    if not all(isinstance(each, dict) for each in objects):
        return [([None] * len(converts), "no object")]
    rows: list[tuple[list[Any], str]] = []
    for each in objects:
        record.problem = ""
        row = []
        for name, convert in converts:
            value = each.get(name)
            # A variant may hold a null, which is something else than no member.
            if value is not None or (convert is _variant and name in each):
                value = convert(value, record)
                if value is _BAD:
                    record.problem = record.problem or f"column `{name}`"
                    value = None
            row.append(value)
        rows.append((row, record.problem))
    return rows


def conversion(kind: pa.DataType, formats: Formats) -> Convert:
    """What makes a column's value of a parsed one that is not null; _BAD where it is none of the type."""
    import pyarrow as pa

    is_ = pa.types
    if is_variant(kind):
        return _variant
    if is_.is_string(kind):
        return _text
    if is_.is_boolean(kind):
        return lambda value, record: value if isinstance(value, bool) else _BAD
    if is_.is_integer(kind):
        limit = 1 << (kind.bit_width - 1)
        return lambda value, record: (
            number if isinstance(value, Number) and value.is_whole and -limit <= (number := int(value)) < limit else _BAD
        )
    if is_.is_floating(kind):
        return _float
    if is_.is_decimal(kind):
        exact = decimal_of(kind.precision, kind.scale)
        return lambda value, record: _BAD if isinstance(value, bool | dict | list) else _tried(exact, value)
    if is_.is_date(kind):
        return lambda value, record: _tried(lambda text: date_of(text, formats.date), value) if _is_text(value) else _BAD
    if is_.is_time(kind):
        return lambda value, record: _tried(clock_of, value) if _is_text(value) else _BAD
    if is_.is_timestamp(kind):
        if kind.tz is None:
            return lambda value, record: _tried(lambda text: naive_of(text, formats.timestamp_ntz), value) if _is_text(value) else _BAD
        zone = zone_of(formats.zone)
        return lambda value, record: (
            _tried(lambda text: moment_of(text, formats.timestamp, zone), value)
            if _is_text(value)
            else _tried(_seconds, value)
            if isinstance(value, Number) and value.is_whole
            else _BAD
        )
    if is_.is_binary(kind):
        return lambda value, record: _tried(_unbased, value) if _is_text(value) else _BAD
    if is_.is_null(kind):
        return lambda value, record: None
    if is_.is_map(kind):
        return _map(conversion(kind.item_type, formats))
    if is_.is_list(kind):
        return _list(conversion(kind.value_type, formats))
    if is_.is_struct(kind):
        return _struct([(each.name, conversion(each.type, formats)) for each in kind])
    raise TypeError(f"JSON has no values of type {kind}")


def _variant(value: Any, record: _Record) -> Any:
    try:
        return of_json(value)
    except ValueError:
        return _BAD


def _is_text(value: Any) -> bool:
    return isinstance(value, str) and not isinstance(value, Number)


def _tried(convert: Callable[[Any], Any], value: Any) -> Any:
    try:
        return convert(str(value) if isinstance(value, Number) else value)
    except (ValueError, OverflowError):
        return _BAD


def _seconds(text: str) -> datetime:
    return datetime(1970, 1, 1, tzinfo=UTC) + timedelta(seconds=int(text))


def _unbased(text: str) -> bytes:
    try:
        return base64.b64decode(text, validate=True)
    except binascii.Error as problem:
        raise ValueError(text) from problem


_FLOATS = {"NaN", "Infinity", "-Infinity", "+Infinity", "INF", "-INF", "+INF", "Inf", "-Inf"}


def _float(value: Any, record: _Record) -> Any:
    if isinstance(value, Number) or value in _FLOATS if isinstance(value, str) else False:
        return float(value)
    return _BAD


def _text(value: Any, record: _Record) -> Any:
    if isinstance(value, str):
        return _whole(str(value))
    if isinstance(value, bool):
        return "true" if value else "false"
    if record.texts is None:
        raise _NeedsTexts
    return record.texts[id(value)]


def _whole(text: str) -> str:
    """Halves of surrogate pairs, which escapes can say and no encoding can, become U+FFFD."""
    if text.isascii():
        return text
    return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")


def _member(value: Any, convert: Convert, record: _Record) -> Any:
    return None if value is None and convert is not _variant else convert(value, record)


def _map(convert: Convert) -> Convert:
    def made(value: Any, record: _Record) -> Any:
        if not isinstance(value, dict):
            return _BAD
        pairs = [(_whole(key), _member(item, convert, record)) for key, item in value.items()]
        return _BAD if any(item is _BAD for _, item in pairs) else pairs

    return made


def _list(convert: Convert) -> Convert:
    def made(value: Any, record: _Record) -> Any:
        if not isinstance(value, list):
            return _BAD
        items = [_member(item, convert, record) for item in value]
        return _BAD if any(item is _BAD for item in items) else items

    return made


def _struct(members: Sequence[tuple[str, Convert]]) -> Convert:
    def made(value: Any, record: _Record) -> Any:
        if not isinstance(value, dict):
            return _BAD
        result: dict[str, Any] = {}
        for name, convert in members:
            item = value.get(name)
            if item is not None or (convert is _variant and name in value):
                item = convert(item, record)
                if item is _BAD:
                    record.problem = record.problem or f"field `{name}`"
                    item = None
            result[name] = item
        return result

    return made
