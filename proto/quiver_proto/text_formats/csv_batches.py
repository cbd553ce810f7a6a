"""CSV files as Arrow batches."""

from __future__ import annotations

import contextlib
import functools
import io
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from quiver_proto.errors import FileUnreadable
from quiver_proto.text_formats import csv_variants
from quiver_proto.text_formats.conversion import converted
from quiver_proto.text_formats.csv_lines import CsvOptions, Tokens, TooLarge, records, tokenizer
from quiver_proto.text_formats.malformed import DROP, FAIL, malformed
from quiver_proto.text_formats.text_input import Piece, content, lines_of, text_blocks
from quiver_proto.variants.encoding import struct_of
from quiver_proto.variants.of_texts import Cells
from quiver_proto.variants.shredded import is_variant

if TYPE_CHECKING:
    import pyarrow as pa


def batches(
    piece: Piece | Sequence[str], schema: pa.Schema, options: CsvOptions, wanted: Sequence[str] | None = None
) -> Iterator[pa.RecordBatch]:
    """The rows of a piece (or of lines, without a header), with the columns of `schema` (by place) that are `wanted`; all without it.

    A column named `options.corrupt` is no column of the file: it holds the records that are malformed. Raises FileUnreadable.
    """
    path = piece.path if isinstance(piece, Piece) else "(lines)"
    with told(path):
        if options.single is not None:
            is_file = isinstance(piece, Piece)
            names = schema.names if wanted is None else wanted
            yield from csv_variants.batches(_records(piece, options), path, schema, options, names, options.header and is_file)
            return
        yield from _batches(piece, path, schema, options, wanted)


def _batches(
    piece: Piece | Sequence[str], path: str, schema: pa.Schema, options: CsvOptions, wanted: Sequence[str] | None
) -> Iterator[pa.RecordBatch]:
    import pyarrow as pa

    held = [field for field in schema if field.name != options.corrupt]
    names = schema.names if wanted is None else [name for name in schema.names if name in set(wanted)]
    # Where not all columns are asked for, Spark's parser is told so, and does not see how many a record has; unless it is `multi_line`.
    counts = not (options.prunes and not options.multi_line and sum(name != options.corrupt for name in names) < len(held))
    cells = {each.name: Cells(options.formats, options.null, options.prefer_date) for each in held if is_variant(each.type)}
    for texts, raw, short, where in _tables(piece, [field.name for field in held], options):
        columns: dict[str, Any] = {}
        bad = dict.fromkeys(short if counts else (), "it has more or fewer values than there are columns")
        for place, field in enumerate(held):
            if field.name in names and field.name in cells:
                columns[field.name] = _variants(texts[place], cells[field.name], place, short, field.type)
            elif field.name in names:
                columns[field.name], wrong = converted(texts[place], field.type, options.formats)
                for row in wrong:
                    bad.setdefault(row, f"column `{field.name}` ({field.type})")
        rows = len(texts[0]) if texts else len(raw())
        if bad and options.mode == FAIL:
            row = min(bad)
            raise malformed(path, None if where is None else where[row], raw()[row], bad[row])
        if options.corrupt in names:
            lines = raw() if bad else []
            columns[options.corrupt] = pa.array([lines[row] if row in bad else None for row in range(rows)], pa.string())
        batch = pa.RecordBatch.from_struct_array(
            pa.StructArray.from_arrays([columns[name] for name in names], names) if names else pa.array([{}] * rows, pa.struct([]))
        )
        if bad and options.mode == DROP:
            batch = batch.filter(pa.array([row not in bad for row in range(rows)]))
        yield batch


def _variants(texts: pa.Array, cells: Cells, place: int, short: Mapping[int, int], kind: pa.DataType) -> pa.Array:
    """Null where a record has no such cell, which is something else than an empty one."""
    import pyarrow as pa

    found = texts.to_pylist()
    return pa.array([None if short.get(row, place + 1) <= place else struct_of(cells.value(text)) for row, text in enumerate(found)], kind)


def header(piece: Piece, options: CsvOptions) -> Tokens | None:
    """The values of the file's first record; None for an empty file. Raises FileUnreadable."""
    for _, record in _records(piece, options):
        with told(piece.path):
            return tokenizer(options)(record)
    return None


@contextlib.contextmanager
def told(path: str) -> Iterator[None]:
    """Inside, a record that is too large is told with its file."""
    try:
        yield
    except TooLarge as problem:
        raise FileUnreadable(path, f"Malformed CSV record: {problem}", "MALFORMED_CSV_RECORD") from problem


def text_columns(piece: Piece | Sequence[str], names: Sequence[str], options: CsvOptions) -> Iterator[list[Any]]:
    """The columns of texts, as Arrow arrays, of block after block below the header. Raises FileUnreadable."""
    with told(piece.path if isinstance(piece, Piece) else "(lines)"):
        for columns, _, _, _ in _tables(piece, names, options, checks_header=False):
            yield columns


def token_rows(piece: Piece | Sequence[str], options: CsvOptions) -> Iterator[Tokens]:
    """The values of each record below the header; of lines, of each."""
    cut = tokenizer(options)
    if not isinstance(piece, Piece):
        yield from (cut(line) for line in piece if _is_data(line, options))
        return
    for place, (_, record) in enumerate(_records(piece, options)):
        if place or not (options.header and not piece.start):
            yield cut(record)


def _records(piece: Piece | Sequence[str], options: CsvOptions) -> Iterator[tuple[int, str]]:
    """(lines before it, record), without blank lines and comments."""
    if not isinstance(piece, Piece):
        found: Iterable[tuple[int, str]] = enumerate(piece)
    elif options.multi_line:
        found = records(content(piece).decode(options.line.encoding, "replace").removeprefix("\ufeff"), options)
    else:
        found = _lines(piece, options)
    return ((number, record) for number, record in found if _is_data(record, options))


def _lines(piece: Piece, options: CsvOptions) -> Iterator[tuple[int, str]]:
    number = 0
    for block in text_blocks(piece, options.line):
        for record in lines_of(block, options.line.separator):
            yield number, record
            number += 1


_Table = tuple[list[Any], Any, dict[int, int], Sequence[int] | None]
_BLANK = re.compile(r"\n[ \t\r]*\n")


def _tables(piece: Piece | Sequence[str], names: Sequence[str], options: CsvOptions, checks_header: bool = True) -> Iterator[_Table]:
    """(columns of texts, what gives the records, the widths of rows of another width, numbers of the lines from 1 where known)."""
    if not isinstance(piece, Piece):
        found = [(number, line) for number, line in enumerate(piece) if _is_data(line, options)]
        if found:
            yield _cut(found, names, options, False)
        return
    skips = options.header and not piece.start
    if options.multi_line:
        found = list(_records(piece, options))
        if skips and found:
            if checks_header:
                _check_header(piece.path, found[0][1], names, options)
            found = found[1:]
        if found:
            yield _cut(found, names, options, True)
        return
    number = 0
    for block in text_blocks(piece, options.line):
        if skips:
            lines = lines_of(block, options.line.separator)
            at = next((place for place, line in enumerate(lines) if _is_data(line, options)), None)
            if at is None:
                number += len(lines)
                continue
            if checks_header:
                _check_header(piece.path, lines[at], names, options)
            skips = False
            block = (options.line.separator or "\n").join([*lines[at + 1 :], ""]) if at + 1 < len(lines) else ""
            number += at + 1
            if not block:
                continue
        quick = _at_once(block, names, options)
        if quick is not None:
            if quick:
                where = None if piece.start else range(number + 1, number + 1 + len(quick[0]))
                yield quick, functools.partial(lines_of, block, None), {}, where
            number += block.count("\n")
            continue
        lines = lines_of(block, options.line.separator)
        found = [(number + place, line) for place, line in enumerate(lines) if _is_data(line, options)]
        number += len(lines)
        if found:
            yield _cut(found, names, options, not piece.start)


def _is_data(line: str, options: CsvOptions) -> bool:
    return bool(line.strip()) and not (options.comment and line.startswith(options.comment))


def _cut(found: list[tuple[int, str]], names: Sequence[str], options: CsvOptions, counted: bool) -> _Table:
    import pyarrow as pa

    width = len(names)
    cut = tokenizer(options)
    rows: list[Tokens] = []
    short: dict[int, int] = {}
    for place, (_, record) in enumerate(found):
        tokens = cut(record)
        if len(tokens) != width:
            short[place] = len(tokens)
            tokens = tokens[:width] if len(tokens) > width else [*tokens, *[None] * (width - len(tokens))]
        rows.append(tokens)
    columns = [pa.array(column, pa.string()) for column in zip(*rows)] if width else []
    return columns, lambda: [record for _, record in found], short, [number + 1 for number, _ in found] if counted else None


def _check_header(path: str, record: str, names: Sequence[str], options: CsvOptions) -> None:
    if options.enforce_schema:
        return
    told = tokenizer(options)(record)
    if len(told) != len(names) or any((a or "").lower() != b.lower() for a, b in zip(told, names)):
        raise FileUnreadable(
            path,
            f"CSV header does not conform to the schema. Header: {', '.join(each or '' for each in told)}. Schema: {', '.join(names)}.",
        )


def _at_once(block: str, names: Sequence[str], options: CsvOptions) -> list[Any] | None:
    """The columns by Arrow's reader, where it means the same; None where a closer look is needed, [] for no rows."""
    import pyarrow as pa
    import pyarrow.csv

    if (
        not names
        or len(options.separator) != 1
        or not options.separator.isascii()
        or options.line.separator is not None
        or options.comment
        or options.trim_leading
        or options.trim_trailing
        or options.empty
        or options.max_characters >= 0
        or len(names) > options.max_columns
        or _BLANK.search(f"\n{block}" if block.endswith("\n") else f"\n{block}\n")
    ):
        return None
    quotes = block.count(options.quote) if options.quote else 0
    if quotes:
        q, s, e = (re.escape(each) for each in (options.quote, options.separator, options.escape or "\0"))
        # It begins with the quote itself, so that nothing else is looked at twice.
        clean = re.compile(rf"{q}(?<=[{s}\n]{q})[^{q}{e}\r\n]*{q}(?={s}|\r?$)", re.MULTILINE)
        if 2 * len(clean.findall(f"\n{block}")) != quotes:
            return None
    wrong = []

    def differs(row: Any) -> str:
        wrong.append(row)
        return "skip"

    try:
        table = pyarrow.csv.read_csv(
            io.BytesIO(block.encode()),
            pyarrow.csv.ReadOptions(use_threads=False, column_names=list(map(str, range(len(names)))), block_size=1 << 30),
            pyarrow.csv.ParseOptions(
                delimiter=options.separator,
                quote_char=options.quote if quotes else False,
                double_quote=False,
                escape_char=False,
                invalid_row_handler=differs,
            ),
            pyarrow.csv.ConvertOptions(
                column_types={str(place): pa.string() for place in range(len(names))},
                null_values=["", options.null],
                strings_can_be_null=True,
                quoted_strings_can_be_null=True,
            ),
        )
    except pa.ArrowInvalid:
        return None
    return None if wrong else [column.combine_chunks() for column in table.columns]
