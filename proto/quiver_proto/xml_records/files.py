"""Files of records in XML, and texts of one each, as Arrow batches and as types."""

from __future__ import annotations

import random
import re
from collections.abc import Iterable, Iterator
from itertools import islice
from typing import TYPE_CHECKING, Any

from quiver_proto.text_formats.malformed import DROP, FAIL, malformed
from quiver_proto.text_formats.text_input import Piece, content
from quiver_proto.xml_records.elements import element_of
from quiver_proto.xml_records.inferring import Kind, merged, record_kind
from quiver_proto.xml_records.options import XmlOptions
from quiver_proto.xml_records.reading import RecordReader

if TYPE_CHECKING:
    import pyarrow as pa

_ROWS = 8192
_REST_OF_TAG = re.compile(r"""(?:[^"'>]++|"[^"]*+"?|'[^']*+'?)*+""")


def records(text: str, tag: str) -> Iterator[str]:
    """The elements of that name that are in none of its name, as they stand. One without an end goes on to the text's end.

    >>> list(records("<all><r a='>'>1</r><!-- <r/> --><r/><r>2", "r"))
    ["<r a='>'>1</r>", '<r/>', '<r>2']
    """
    name = re.escape(tag)
    marks = re.compile(
        rf"<!--.*?(?:-->|\Z)|<!\[CDATA\[.*?(?:\]\]>|\Z)|<\?.*?(?:\?>|\Z)|(?P<open><{name}(?=[\s/>]))|(?P<close></{name}\s*+>)", re.DOTALL
    )
    start, depth, at = 0, 0, 0
    while found := marks.search(text, at):
        at = found.end()
        if found["open"]:
            if not depth:
                start = found.start()
            rest = _REST_OF_TAG.match(text, at)
            assert rest is not None
            at = rest.end() + 1
            if text[at - 2 : at] == "/>":
                if not depth:
                    yield text[start:at]
            else:
                depth += 1
        elif found["close"] and depth:
            depth -= 1
            if not depth:
                yield text[start:at]
    if depth:
        yield text[start:]


def _texts(piece: Piece | Iterable[str], options: XmlOptions) -> Iterator[str]:
    """Of records. Raises FileUnreadable."""
    if not isinstance(piece, Piece):
        return iter(piece)
    return records(content(piece).decode(options.line.encoding, "replace").removeprefix("\ufeff"), options.row_tag)


def _where(piece: Piece | Iterable[str]) -> str:
    return piece.path if isinstance(piece, Piece) else "(texts)"


def batches(piece: Piece | Iterable[str], schema: pa.Schema, options: XmlOptions, wanted: frozenset[str]) -> Iterator[pa.RecordBatch]:
    """The rows of a piece (or of texts) with the wanted columns. Raises FileUnreadable."""
    import pyarrow as pa

    fields = [each for each in schema if each.name in wanted]
    read = RecordReader(fields, options)
    texts = _texts(piece, options)
    while some := list(islice(texts, _ROWS)):
        rows: list[dict[str, Any]] = []
        for text in some:
            row, problem = read(text)
            if problem and options.mode == FAIL:
                raise malformed(_where(piece), None, text, problem)
            if not problem or options.mode != DROP:
                rows.append(row)
        yield pa.RecordBatch.from_struct_array(pa.array(rows, pa.struct(fields)))


def types_of(piece: Piece | Iterable[str], options: XmlOptions, keep: float = 1.0) -> tuple[Kind, bool]:
    """(the type of the records of a piece: a struct; whether one is malformed). Raises FileUnreadable in mode FAILFAST."""
    draw = random.Random(_where(piece))
    result: Kind = ("struct", {})
    bad = False
    for text in _texts(piece, options):
        if keep < 1 and draw.random() >= keep:
            continue
        try:
            result = merged(result, record_kind(element_of(text), options), options)
        except ValueError as problem:
            if options.mode == FAIL:
                raise malformed(_where(piece), None, text, f"no XML ({problem})") from None
            bad = bad or options.mode != DROP
    return result, bad
