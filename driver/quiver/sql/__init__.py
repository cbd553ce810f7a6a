"""DataFrames and SQL: `from quiver.sql import SparkSession, functions as F, Window, types as T`."""

from quiver.sql.column import Column
from quiver.sql.dataframe import DataFrame, DataFrameNaFunctions, DataFrameStatFunctions
from quiver.sql.grouped import GroupedData
from quiver.sql.row import Row
from quiver.sql.session import Session
from quiver.sql.window import Window, WindowSpec

SparkSession = Session

__all__ = [
    "Column",
    "DataFrame",
    "DataFrameNaFunctions",
    "DataFrameStatFunctions",
    "GroupedData",
    "Row",
    "Session",
    "SparkSession",
    "Window",
    "WindowSpec",
]
