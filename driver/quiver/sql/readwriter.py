"""Readers and writers, where PySpark has them."""

from quiver.sql.reader import DataFrameReader
from quiver.sql.writer import DataFrameWriter
from quiver.sql.writer_v2 import DataFrameWriterV2

__all__ = ["DataFrameReader", "DataFrameWriter", "DataFrameWriterV2"]
