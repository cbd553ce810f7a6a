"""Writers of data files, one per format: each takes batches and turns them into bytes at once."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Mapping
from typing import IO, Any, Protocol

from quiver_executor.compressed import compressed
from quiver_executor.csv_lines import CsvLines, text_lines
from quiver_executor.json_lines import JsonLines
from quiver_executor.value_texts import Forms
from quiver_executor.xml_rows import XmlRows
from quiver_proto.ops import FileFormat

TEXTS = frozenset({"csv", "json", "text", "xml"})
"""Formats without row groups: what is held of them need not be large to be written."""
_TEXT_ROWS = 8192


class FileWriter(Protocol):
    """An open file. After `abandon` nothing more is written to it, also when it is collected."""

    def write(self, table: Any) -> None:
        """A pyarrow.Table of the file's columns. Its rows are one row group where the format has such."""
        ...

    def close(self) -> None:
        """Finish the file. The raw file stays open."""
        ...

    def abandon(self) -> None: ...


def open_writer(form: FileFormat, schema: Any, raw: IO[bytes]) -> FileWriter:
    """`schema` is the file's Arrow schema."""
    options = dict(form.options)
    match form.kind:
        case "parquet":
            return _Parquet(raw, schema, options)
        case "orc":
            return _Orc(raw, options)
        case "arrow":
            return _Arrow(raw, schema, options)
        case "avro":
            return _Avro(raw, options)
        case _:
            return _Lines(form.kind, raw, schema, options)


class _Parquet:
    """Options: compression, compressionlevel, dictionary, pagesize, version; `spark` is the schema as Spark keeps it in such files."""

    def __init__(self, raw: IO[bytes], schema: Any, options: Mapping[str, str]) -> None:
        import pyarrow.parquet as pq

        if "spark" in options:
            schema = schema.with_metadata(
                {"org.apache.spark.version": "4.0.0", "org.apache.spark.sql.parquet.row.metadata": options["spark"]}
            )
        level = options.get("compressionlevel")
        self._writer = pq.ParquetWriter(
            raw,
            schema,
            compression=options.get("compression", "snappy"),
            compression_level=None if level is None else int(level),
            use_dictionary=options.get("dictionary", "true") == "true",
            data_page_size=int(options.get("pagesize", 1 << 20)),
            write_page_checksum=True,
        )

    def write(self, table: Any) -> None:
        self._writer.write_table(table, row_group_size=max(1, table.num_rows))

    def close(self) -> None:
        self._writer.close()

    def abandon(self) -> None:
        self._writer.is_open = False


class _Orc:
    """Options: compression, stripe (bytes)."""

    def __init__(self, raw: IO[bytes], options: Mapping[str, str]) -> None:
        from pyarrow import orc

        self._raw = _Enduring(raw)
        self._writer: Any = orc.ORCWriter(
            self._raw, compression=options.get("compression", "zstd"), stripe_size=int(options.get("stripe", 64 << 20))
        )

    def write(self, table: Any) -> None:
        self._writer.write(table)
        self._raw.check()

    def close(self) -> None:
        self._writer.close()
        self._raw.check()

    def abandon(self) -> None:
        # Its own way out writes the file's end.
        self._raw.problem = self._raw.problem or ValueError("the file was given up")
        with contextlib.suppress(Exception):
            self._writer.close()


class _Enduring:
    """A file whose first error waits for `check`: of one in the middle of its work ORC's writer makes the end of the process."""

    closed = False

    def __init__(self, raw: IO[bytes]) -> None:
        self.problem: Exception | None = None
        self._raw = raw
        self._written = 0

    def write(self, data: Any) -> int:
        size = memoryview(data).nbytes
        self._written += size
        if self.problem is None:
            try:
                self._raw.write(data)
            except Exception as problem:
                self.problem = problem
        return size

    def tell(self) -> int:
        return self._written

    def flush(self) -> None:
        """The owner of the raw file does so."""

    def close(self) -> None:
        """The raw file stays open."""

    def readable(self) -> bool:
        return False

    def writable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return False

    def check(self) -> None:
        """Raise the error."""
        if self.problem is not None:
            raise self.problem


class _Arrow:
    """Options: compression (lz4, zstd or none)."""

    def __init__(self, raw: IO[bytes], schema: Any, options: Mapping[str, str]) -> None:
        import pyarrow as pa

        codec = options.get("compression", "none")
        written = pa.ipc.IpcWriteOptions(compression=None if codec == "none" else codec)
        self._writer = pa.ipc.new_file(raw, schema, options=written)

    def write(self, table: Any) -> None:
        self._writer.write_table(table)

    def close(self) -> None:
        self._writer.close()

    def abandon(self) -> None:
        pass


class _Avro:
    """Options: compression, and `avroschema`, as JSON."""

    def __init__(self, raw: IO[bytes], options: Mapping[str, str]) -> None:
        import fastavro
        from fastavro.write import Writer

        schema = fastavro.parse_schema(json.loads(options["avroschema"]))
        self._writer = Writer(raw, schema, codec=options.get("compression", "snappy"))

    def write(self, table: Any) -> None:
        for batch in table.to_batches(max_chunksize=_TEXT_ROWS):
            for record in batch.to_pylist(maps_as_pydicts="strict"):
                self._writer.write(record)

    def close(self) -> None:
        self._writer.flush()

    def abandon(self) -> None:
        pass


class _Lines:
    """Options: compression, encoding, linesep; for csv those of CsvLines and header; for json ignorenullfields, variants; for xml those of
    XmlRows; patterns, `zone`."""

    def __init__(self, kind: str, raw: IO[bytes], schema: Any, options: Mapping[str, str]) -> None:
        forms = Forms(
            options.get("dateformat", ""),
            options.get("timestampformat", ""),
            options.get("timestampntzformat", ""),
            options.get("zone", "UTC"),
        )
        self._end = options.get("linesep", "\n")
        encoding = options.get("encoding", "utf-8")
        # A file has one byte order mark: UTF-16 is big-endian, as Java's.
        kind_of_text = {"utf16": "utf-16-be", "utf32": "utf-32-be"}.get(encoding.lower().replace("-", "").replace("_", ""))
        self._encoding = "" if encoding.lower().replace("-", "") == "utf8" else kind_of_text or encoding
        self._mark = "\ufeff".encode("utf-16-be") if kind_of_text == "utf-16-be" else b""
        self._csv = CsvLines(options, forms) if kind == "csv" else None
        self._json = JsonLines(forms, options.get("ignorenullfields") == "false", "variants" in options) if kind == "json" else None
        self._xml = XmlRows(options) if kind == "xml" else None
        self._file = compressed(raw, options.get("compression", ""))
        if self._csv is not None and options.get("header") == "true":
            self._put(self._csv.header(schema.names))

    def write(self, table: Any) -> None:
        for batch in table.to_batches(max_chunksize=_TEXT_ROWS):
            if self._csv is not None:
                self._put(self._csv.lines(batch))
            elif self._json is not None:
                self._put(text_lines(self._json.objects(batch), self._end))
            elif self._xml is not None:
                self._put(self._xml.rows(batch))
            else:
                self._put(text_lines(batch.column(0), self._end))

    def _put(self, data: bytes) -> None:
        if not self._encoding:
            self._file.write(data)
        elif data:
            self._file.write(self._mark + data.decode().encode(self._encoding, "replace"))
            self._mark = b""

    def close(self) -> None:
        if self._xml is not None:
            self._put(self._xml.end())
        self._file.close()

    def abandon(self) -> None:
        with contextlib.suppress(OSError, ValueError):
            self._file.close()
