"""DataFrame: rows with named, typed columns, computed when an action asks for them. Its methods stand, by kind, in the classes it
inherits from:

DataFrameCore       columns, schema, explain        dataframe_core.py
ColumnOperators     select, withColumn, drop, …     dataframe_columns.py
RowOperators        filter, orderBy, groupBy, …     dataframe_rows.py
CombiningOperators  join, union, intersect, …       dataframe_combining.py
NullOperators       dropna, fillna, replace         nulls.py
StatisticOperators  describe, summary, corr, …      statistics.py
Keeping             cache, persist, checkpoint      dataframe_keeping.py
PythonOperators     mapInPandas, mapInArrow         dataframe_python.py
Actions             collect, show, count, …         dataframe_actions.py
"""

from __future__ import annotations

from quiver.sql.dataframe_actions import Actions
from quiver.sql.dataframe_columns import ColumnOperators
from quiver.sql.dataframe_combining import CombiningOperators
from quiver.sql.dataframe_keeping import Keeping
from quiver.sql.dataframe_python import PythonOperators
from quiver.sql.dataframe_rows import RowOperators
from quiver.sql.nulls import DataFrameNaFunctions, NullOperators
from quiver.sql.statistics import DataFrameStatFunctions, StatisticOperators

__all__ = ["DataFrame", "DataFrameNaFunctions", "DataFrameStatFunctions"]


class DataFrame(ColumnOperators, RowOperators, CombiningOperators, NullOperators, StatisticOperators, PythonOperators, Keeping, Actions):
    """Rows with named, typed columns. Operators describe; actions (collect, show, count, toPandas …) compute.

    A mistake in names or types is told when the operator is called, on the driver.

    >>> df = spark.createDataFrame([("Alice", 5), ("Bob", 7)], ["name", "age"])
    >>> df.where(df.age > 5).select("name").collect()
    [Row(name='Bob')]
    """
