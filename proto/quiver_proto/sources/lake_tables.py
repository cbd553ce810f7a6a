"""Readers of Delta and Iceberg tables whose files alone don't tell their rows: by the tables' own libraries."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from quiver_proto.errors import FileUnreadable
from quiver_proto.sources.packages import needed

if TYPE_CHECKING:
    import pyarrow as pa


@dataclass(frozen=True, slots=True)
class DeltaRows:
    """A part is (path, version): all rows of a table."""

    def read(self, part: tuple[str, int], schema: pa.Schema, wanted: frozenset[str]) -> Iterator[pa.RecordBatch]:
        deltalake = needed("deltalake", "deltalake", "delta", "Reading Delta tables")
        import pyarrow as pa

        path, version = part
        names = [name for name in schema.names if name in wanted]
        try:
            # Without a column there are no rows to count.
            scan = deltalake.DeltaTable(path, version=version).scan(names or schema.names[:1])
            yield from pa.RecordBatchReader.from_stream(scan)
        except Exception as problem:  # The library raises errors of many kinds.
            raise FileUnreadable(path, f"The Delta table cannot be read: {problem}") from problem


def iceberg_table(metadata: str) -> Any:
    """The library's table of a metadata file (a local path). Raises PackageMissing and the library's errors, which are of many kinds.

    Not by the library's own way: that takes from the file which class reads files (py-io-impl), and imports its module.
    """
    tables = needed("pyiceberg.table", "pyiceberg", "iceberg", "Reading Iceberg tables")
    from pyiceberg.catalog.noop import NoopCatalog
    from pyiceberg.io.pyarrow import PyArrowFileIO
    from pyiceberg.serializers import FromInputFile

    io = PyArrowFileIO()
    held = FromInputFile.table_metadata(io.new_input(metadata))
    return tables.StaticTable(("static-table", metadata), held, metadata, io, NoopCatalog("static-table"))


@dataclass(frozen=True, slots=True)
class IcebergFiles:
    """A part is one of the library's FileScanTasks: a data file with the files of its deleted rows. `metadata`: the path of the table's."""

    metadata: str
    schema_id: int

    def read(self, part: Any, schema: pa.Schema, wanted: frozenset[str]) -> Iterator[pa.RecordBatch]:
        needed("pyiceberg.table", "pyiceberg", "iceberg", "Reading Iceberg tables")
        from pyiceberg.expressions import AlwaysTrue
        from pyiceberg.io.pyarrow import ArrowScan

        path = part.file.file_path
        try:
            table = iceberg_table(self.metadata)
            current = table.schemas()[self.schema_id]
            names = [name for name in schema.names if name in wanted]
            asked = current.select(*names) if names else current
            yield from ArrowScan(table.metadata, table.io, asked, AlwaysTrue()).to_record_batches([part])
        except Exception as problem:  # The library raises errors of many kinds.
            raise FileUnreadable(path, f"The Iceberg table's file cannot be read: {problem}") from problem
