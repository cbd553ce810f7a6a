"""Table functions of users, by PySpark's names (pyspark.sql.udtf)."""

from quiver.sql.python.table_functions import UDTFRegistration, UserDefinedTableFunction
from quiver.sql.python.udtf_analysis import (
    AnalyzeArgument,
    AnalyzeResult,
    OrderingColumn,
    PartitioningColumn,
    SelectedColumn,
    SkipRestOfInputTableException,
)

__all__ = [
    "AnalyzeArgument",
    "AnalyzeResult",
    "OrderingColumn",
    "PartitioningColumn",
    "SelectedColumn",
    "SkipRestOfInputTableException",
    "UDTFRegistration",
    "UserDefinedTableFunction",
]
