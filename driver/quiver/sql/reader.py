"""Reading files into DataFrames."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from quiver.sql import types as t
from quiver.sql.arrow_types import spark_schema
from quiver.sql.tree.expressions import Attribute
from quiver.sql.tree.relations import Files

if TYPE_CHECKING:
    from quiver.sql.dataframe import DataFrame
    from quiver.sql.session import Session


class DataFrameReader:
    """How files are read: format, options, schema."""

    def __init__(self, session: Session) -> None:
        self._session = session
        self._format = "parquet"
        self._options: dict[str, str] = {}

    def parquet(self, *paths: str) -> DataFrame:
        """Parquet files."""
        import pyarrow.parquet as pq

        schema = spark_schema(pq.read_schema(paths[0]))
        columns = tuple(Attribute(self._session._new_id(), field.name, field.dataType, True) for field in schema)
        nullable = t.StructType([t.StructField(field.name, field.dataType) for field in schema])
        return self._session._dataframe(Files("parquet", paths, tuple(self._options.items()), nullable, columns))

    def option(self, key: str, value: Any) -> DataFrameReader:
        """One option of the format."""
        self._options[key.lower()] = str(value)
        return self
