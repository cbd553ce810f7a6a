"""JSON files as Arrow batches, and the types of their values."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from quiver_proto.errors import FileUnreadable
from quiver_proto.text_formats.conversion import Formats, date_of, decimal_of, moment_of, naive_of, zone_of
from quiver_proto.text_formats.json_parsing import Laxity, Number, Parser, Repeated, parse
from quiver_proto.text_formats.malformed import DROP, FAIL, malformed
from quiver_proto.text_formats.text_input import Line, Piece, content, lines_of, text_blocks

if TYPE_CHECKING:
    import pyarrow as pa

_ROWS = 8192
_BAD = object()
"""What a value is that is none of its type."""
Convert = Callable[[Any, "_Record"], Any]


@dataclass(frozen=True, slots=True)
class JsonOptions:
    """Spark's options of JSON. `corrupt`: the column of malformed records."""

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
    columns: list[list[Any]] = [[] for _ in fields]
    corrupt: list[str | None] = []

    def batch() -> pa.RecordBatch:
        arrays = [pa.array(values, each.type) for values, each in zip(columns, fields)]
        names = [each.name for each in fields]
        if has_corrupt:
            arrays.append(pa.array(corrupt, pa.string()))
            names.append(options.corrupt)
        made = pa.StructArray.from_arrays(arrays, names) if names else pa.array([{}] * len(corrupt), pa.struct([]))
        for values in columns:
            values.clear()
        corrupt.clear()
        return pa.RecordBatch.from_struct_array(made)

    for number, text in _texts(piece, options):
        for row, problem in _rows(text, converts, options):
            if problem:
                if options.mode == FAIL:
                    raise _malformed(piece, number, text, problem)
                if options.mode == DROP:
                    continue
            for values, value in zip(columns, row):
                values.append(value)
            corrupt.append(text if problem else None)
        if len(corrupt) >= _ROWS:
            yield batch()
    if corrupt:
        yield batch()


def _malformed(piece: Piece | Iterable[str], number: int, text: str, problem: str) -> FileUnreadable:
    if isinstance(piece, Piece):
        return malformed(piece.path, None if piece.start else number + 1, text, problem)
    return malformed("(texts)", None, text, problem)


def _texts(piece: Piece | Iterable[str], options: JsonOptions) -> Iterator[tuple[int, str]]:
    """(lines before it, record's text)."""
    if not isinstance(piece, Piece):
        yield from ((number, text) for number, text in enumerate(piece) if text and not text.isspace())
        return
    if options.multi_line:
        text = content(piece.path).decode(options.line.encoding, "replace").removeprefix("\ufeff")
        if text.strip():
            yield 0, text
        return
    number = 0
    for block in text_blocks(piece, options.line):
        for line in lines_of(block, options.line.separator):
            if line and not line.isspace():
                yield number, line
            number += 1


def _rows(text: str, converts: Sequence[tuple[str, Convert]], options: JsonOptions) -> list[tuple[list[Any], str]]:
    """(values, what is wrong with the record) of each row that a record holds."""
    try:
        found = parse(text, options.laxity)
        try:
            return _converted(found, converts, _Record())
        except _NeedsTexts:
            parser = Parser(text, options.laxity, keeps=True)
            return _converted(parser.value_at_start(), converts, _Record(parser.texts))
    except (ValueError, RecursionError) as problem:
        return [([None] * len(converts), f"no JSON ({problem})")]


def _converted(found: Any, converts: Sequence[tuple[str, Convert]], record: _Record) -> list[tuple[list[Any], str]]:
    rows: list[tuple[list[Any], str]] = []
    for each in found if isinstance(found, list) else [found]:
        if not isinstance(each, dict):
            rows.append(([None] * len(converts), "no object"))
            continue
        record.problem = ""
        row = []
        for name, convert in converts:
            value = each.get(name)
            if value is not None:
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
    if is_.is_timestamp(kind):
        if kind.tz is None:
            return lambda value, record: _tried(lambda text: naive_of(text, formats.timestamp_ntz), value) if _is_text(value) else _BAD
        zone = zone_of(formats.zone)
        return lambda value, record: (
            _tried(lambda text: moment_of(text, formats.timestamp, zone), value)
            if _is_text(value)
            else datetime(1970, 1, 1, tzinfo=UTC) + timedelta(seconds=int(value))
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


def _is_text(value: Any) -> bool:
    return isinstance(value, str) and not isinstance(value, Number)


def _tried(convert: Callable[[Any], Any], value: Any) -> Any:
    try:
        return convert(str(value) if isinstance(value, Number) else value)
    except (ValueError, OverflowError):
        return _BAD


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


def _map(convert: Convert) -> Convert:
    def made(value: Any, record: _Record) -> Any:
        if not isinstance(value, dict):
            return _BAD
        pairs = [(_whole(key), None if item is None else convert(item, record)) for key, item in value.items()]
        return _BAD if any(item is _BAD for _, item in pairs) else pairs

    return made


def _list(convert: Convert) -> Convert:
    def made(value: Any, record: _Record) -> Any:
        if not isinstance(value, list):
            return _BAD
        items = [None if item is None else convert(item, record) for item in value]
        return _BAD if any(item is _BAD for item in items) else items

    return made


def _struct(members: Sequence[tuple[str, Convert]]) -> Convert:
    def made(value: Any, record: _Record) -> Any:
        if not isinstance(value, dict):
            return _BAD
        result: dict[str, Any] = {}
        for name, convert in members:
            item = value.get(name)
            if item is not None:
                item = convert(item, record)
                if item is _BAD:
                    record.problem = record.problem or f"field `{name}`"
                    item = None
            result[name] = item
        return result

    return made


# ---- types ----

Kind = Any
"""null, boolean, bigint, decimal(p,s), double, timestamp, string; ("array", kind); ("struct", {name: kind})."""


def types_of(piece: Piece | Iterable[str], options: JsonOptions, keep: float = 1.0) -> tuple[Kind, bool]:
    """(the type of the records of a piece: a struct; whether one is malformed). Raises FileUnreadable in mode FAILFAST."""
    import random

    draw = random.Random(f"{piece.path}:{piece.start}" if isinstance(piece, Piece) else "")
    result: Kind = ("struct", {})
    bad = False
    for number, text in _texts(piece, options):
        if keep < 1 and draw.random() >= keep:
            continue
        try:
            found = parse(text, options.laxity)
            rows = found if isinstance(found, list) else [found]
            if not all(isinstance(row, dict) for row in rows):
                raise ValueError("no object")
        except (ValueError, RecursionError) as problem:
            if options.mode == FAIL:
                raise _malformed(piece, number, text, str(problem)) from None
            bad = bad or options.mode != DROP
            continue
        for row in rows:
            result = merged(result, _of(row, options))
    return result, bad


def _of(value: Any, options: JsonOptions) -> Kind:
    if value is None:
        return "null"
    if isinstance(value, dict):
        kind: Kind = ("struct", {name: _of(item, options) for name, item in value.items()})
        if isinstance(value, Repeated):
            kind[1][""] = "repeated"
        return kind
    if isinstance(value, list):
        inner: Kind = "null"
        for item in value:
            inner = merged(inner, _of(item, options))
        return ("array", inner)
    if options.primitives_as_strings:
        return "string"
    if isinstance(value, bool):
        return "boolean"
    if isinstance(value, Number):
        return _of_number(value, options)
    if options.infer_timestamps:
        try:
            moment_of(value, options.formats.timestamp, UTC)
        except (ValueError, OverflowError):
            return "string"
        return "timestamp"
    return "string"


def _of_number(value: Number, options: JsonOptions) -> str:
    if value.is_whole:
        number = int(value)
        if -(2**63) <= number < 2**63:
            return "bigint"
        digits = len(str(abs(number)))
        return f"decimal({digits},0)" if digits <= 38 else "double"
    if options.prefers_decimal and not any(letter in value for letter in "NI"):
        _, digits_of, exponent = Decimal(value).as_tuple()
        scale = max(0, -int(exponent))
        precision = max(len(digits_of) + max(0, int(exponent)), scale)
        if precision <= 38:
            return f"decimal({precision},{scale})"
    return "double"


def merged(one: Kind, other: Kind) -> Kind:
    """The type that values of both can be read as.

    >>> merged("bigint", "double"), merged(("array", "bigint"), ("array", "null")), merged("bigint", "boolean")
    ('double', ('array', 'bigint'), 'string')
    """
    if one == other or other == "null":
        return one
    if one == "null":
        return other
    if isinstance(one, tuple) and isinstance(other, tuple) and one[0] == other[0]:
        if one[0] == "array":
            return ("array", merged(one[1], other[1]))
        members = dict(one[1])
        for name, kind in other[1].items():
            members[name] = merged(members[name], kind) if name in members else kind
        return ("struct", members)
    if isinstance(one, tuple) or isinstance(other, tuple):
        return "string"
    both = {one, other}
    decimals = [kind for kind in both if kind.startswith("decimal")]
    if decimals and both <= {*decimals, "bigint"}:
        sizes = [(20, 0) if kind == "bigint" else tuple(map(int, kind[8:-1].split(","))) for kind in both]
        scale = max(size[1] for size in sizes)
        whole = max(size[0] - size[1] for size in sizes)
        return f"decimal({whole + scale},{scale})" if whole + scale <= 38 else "double"
    if both <= {*decimals, "bigint", "double"}:
        return "double"
    return "string"
