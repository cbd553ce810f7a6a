"""Readers of files of text, and of files as they are."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import islice
from typing import TYPE_CHECKING

from quiver_proto.text_formats import csv_batches, json_batches
from quiver_proto.text_formats.csv_lines import CsvOptions
from quiver_proto.text_formats.json_batches import JsonOptions
from quiver_proto.text_formats.text_input import Line, Piece, content, lines_of, text_blocks
from quiver_proto.xml_records import files as xml_files
from quiver_proto.xml_records.options import XmlOptions

if TYPE_CHECKING:
    import pyarrow as pa


@dataclass(frozen=True, slots=True)
class CsvFiles:
    options: CsvOptions

    def read(self, part: Piece, schema: pa.Schema, wanted: frozenset[str]) -> Iterator[pa.RecordBatch]:
        # A row is malformed by what is asked of it; without `prunes`, by what all columns are.
        chosen = wanted if self.options.prunes else frozenset(schema.names)
        return csv_batches.batches(part, schema, self.options, sorted(chosen))


@dataclass(frozen=True, slots=True)
class JsonFiles:
    options: JsonOptions

    def read(self, part: Piece, schema: pa.Schema, wanted: frozenset[str]) -> Iterator[pa.RecordBatch]:
        chosen = frozenset(schema.names) if self.options.corrupt in wanted else wanted
        return json_batches.batches(part, schema, self.options, chosen)


@dataclass(frozen=True, slots=True)
class XmlFiles:
    options: XmlOptions

    def read(self, part: Piece, schema: pa.Schema, wanted: frozenset[str]) -> Iterator[pa.RecordBatch]:
        chosen = frozenset(schema.names) if self.options.corrupt in wanted else wanted
        return xml_files.batches(part, schema, self.options, chosen)


@dataclass(frozen=True, slots=True)
class TextFiles:
    """A column of lines, or (`whole`) of whole files."""

    whole: bool = False
    line: Line = field(default_factory=Line)

    def read(self, part: Piece, schema: pa.Schema, wanted: frozenset[str]) -> Iterator[pa.RecordBatch]:
        import pyarrow as pa

        name = schema.names[0] if schema.names else "value"
        if self.whole:
            text = content(part).decode(self.line.encoding, "replace")
            yield pa.record_batch({name: [text]})
            return
        for block in text_blocks(part, self.line):
            yield pa.record_batch({name: pa.array(lines_of(block, self.line.separator), pa.string())})


@dataclass(frozen=True, slots=True)
class BinaryFiles:
    """Each file as one row: path, modificationTime, length, content."""

    def read(self, part: Piece, schema: pa.Schema, wanted: frozenset[str]) -> Iterator[pa.RecordBatch]:
        import pyarrow as pa

        data = None
        if "content" in wanted:
            data = content(part, as_it_is=True)
        path = part.path if "://" in part.path else f"file:{part.path}"
        moment = pa.array([int(part.modified * 1000) * 1000], pa.int64()).cast(pa.timestamp("us", "UTC"))
        yield pa.record_batch(
            [pa.array([path]), moment, pa.array([part.size], pa.int64()), pa.array([data], pa.binary())],
            names=["path", "modificationTime", "length", "content"],
        )


@dataclass(frozen=True, slots=True)
class Lines:
    """What maps a partition's lines (CSV) or texts (JSON, XML) to batches."""

    options: CsvOptions | JsonOptions | XmlOptions
    schema: bytes

    def __call__(self, lines: Iterator[str | bytes]) -> Iterator[pa.RecordBatch]:
        import pyarrow as pa

        schema = pa.ipc.read_schema(pa.py_buffer(self.schema))
        wanted = frozenset(schema.names)
        texts = (line.decode() if isinstance(line, bytes) else line for line in lines)
        while some := list(islice(texts, 8192)):
            if isinstance(self.options, CsvOptions):
                found = csv_batches.batches(some, schema, self.options)
            elif isinstance(self.options, XmlOptions):
                found = xml_files.batches(some, schema, self.options, wanted)
            else:
                found = json_batches.batches(some, schema, self.options, wanted)
            for batch in found:
                yield batch.select(schema.names)
