"""Records of CSV as one variant each (option singleVariantColumn)."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import islice
from typing import TYPE_CHECKING

from quiver_proto.text_formats.csv_lines import CsvOptions, tokenizer
from quiver_proto.text_formats.malformed import DROP, FAIL, malformed
from quiver_proto.variants.of_texts import CsvRecords

if TYPE_CHECKING:
    import pyarrow as pa

_ROWS = 8192


def batches(
    found: Iterator[tuple[int, str]], path: str, schema: pa.Schema, options: CsvOptions, wanted: Sequence[str], has_header: bool
) -> Iterator[pa.RecordBatch]:
    """The rows of records, each with how many lines are before it. With a header, the first is it, and records of another width are
    malformed; else none is. Raises FileUnreadable, TooLarge."""
    import pyarrow as pa

    cut = tokenizer(options)
    head = next(found, None) if has_header else None
    names = None if head is None else [name or "" for name in cut(head[1])]
    make = CsvRecords(names, options.formats, options.null, options.prefer_date)
    kinds = pa.struct([each for each in schema if each.name in wanted])
    while some := list(islice(found, _ROWS)):
        rows = []
        for number, record in some:
            tokens = cut(record)
            bad = names is not None and options.single in wanted and len(tokens) != len(names)
            if bad and options.mode == FAIL:
                raise malformed(path, number + 1, record, "it has more or fewer values than there are columns")
            if not bad or options.mode != DROP:
                variant = make.variant(tokens)
                rows.append({each.name: variant if each.name == options.single else record if bad else None for each in kinds})
        yield pa.RecordBatch.from_struct_array(pa.array(rows, kinds))


def column_names(first: Sequence[str | None], is_header: bool) -> list[str]:
    """Of a first record: those that it tells, or `_c0`, …; names that are there twice get the place behind them."""
    if not is_header:
        return [f"_c{place}" for place in range(len(first))]
    folded = [(name or "").lower() for name in first]
    return [f"_c{place}" if not name else f"{name}{place}" if folded.count(name.lower()) > 1 else name for place, name in enumerate(first)]
