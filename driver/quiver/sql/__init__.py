"""DataFrames and SQL: `from quiver.sql import SparkSession, functions as F, Window, types as T`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from quiver.sql.column import Column
    from quiver.sql.dataframe import DataFrame, DataFrameNaFunctions, DataFrameStatFunctions
    from quiver.sql.grouped import GroupedData
    from quiver.sql.observation import Observation
    from quiver.sql.python.cogrouped import PandasCogroupedOps
    from quiver.sql.python.registration import UDFRegistration
    from quiver.sql.python.user_defined import UserDefinedFunction
    from quiver.sql.reader import DataFrameReader
    from quiver.sql.row import Row
    from quiver.sql.session import Session
    from quiver.sql.session import Session as SparkSession
    from quiver.sql.window import Window, WindowSpec
    from quiver.sql.writer import DataFrameWriter
    from quiver.sql.writer_v2 import DataFrameWriterV2

__all__ = [
    "Column",
    "DataFrame",
    "DataFrameNaFunctions",
    "DataFrameReader",
    "DataFrameStatFunctions",
    "DataFrameWriter",
    "DataFrameWriterV2",
    "GroupedData",
    "Observation",
    "PandasCogroupedOps",
    "Row",
    "Session",
    "SparkSession",
    "UDFRegistration",
    "UserDefinedFunction",
    "Window",
    "WindowSpec",
]

_PLACES = {
    "Column": "column",
    "DataFrameReader": "reader",
    "DataFrameWriter": "writer",
    "DataFrameWriterV2": "writer_v2",
    "DataFrame": "dataframe",
    "DataFrameNaFunctions": "dataframe",
    "DataFrameStatFunctions": "dataframe",
    "GroupedData": "grouped",
    "Observation": "observation",
    "PandasCogroupedOps": "python.cogrouped",
    "Row": "row",
    "Session": "session",
    "UDFRegistration": "python.registration",
    "UserDefinedFunction": "python.user_defined",
    "Window": "window",
    "WindowSpec": "window",
}


def __getattr__(name: str) -> Any:
    # Slots that make Rows, or run users' functions, need little of all this.
    import importlib

    if name == "SparkSession":
        name = "Session"
    if name not in _PLACES:
        raise AttributeError(f"module 'quiver.sql' has no attribute {name!r}")
    return getattr(importlib.import_module(f"quiver.sql.{_PLACES[name]}"), name)
