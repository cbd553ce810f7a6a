"""What the analyze() of a table function is given and gives, by PySpark's names (pyspark.sql.udtf)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from quiver.sql.types import DataType, StructType


@dataclass(frozen=True)
class AnalyzeArgument:
    """One argument of a call. `value`: of an expression of constants, what it is. `isTable`: it is a table, `dataType` the struct of its
    columns. `isConstantExpression`: `value` is known (which may be null)."""

    dataType: DataType
    value: Any | None
    isTable: bool
    isConstantExpression: bool


@dataclass(frozen=True)
class PartitioningColumn:
    """A column of the table, or an expression in SQL, by which its rows are to be put together."""

    name: str


@dataclass(frozen=True)
class OrderingColumn:
    """A column of the table, or an expression in SQL, by which rows are to be in order. `overrideNullsFirst`: None: nulls come first when
    ascending, else last."""

    name: str
    ascending: bool = True
    overrideNullsFirst: bool | None = None


@dataclass(frozen=True)
class SelectedColumn:
    """A column of the table, or an expression in SQL, that `eval` is to be given; `alias`: under this name."""

    name: str
    alias: str = ""


@dataclass
class AnalyzeResult:
    """The columns of a call's rows, and how the rows of its table are to come: all to one instance, or by groups, in order, with these
    columns. A subclass may hold more: an instance whose `__init__` takes an argument is given what analyze() gave."""

    schema: StructType
    withSinglePartition: bool = False
    partitionBy: Sequence[PartitioningColumn] = field(default_factory=tuple)
    orderBy: Sequence[OrderingColumn] = field(default_factory=tuple)
    select: Sequence[SelectedColumn] = field(default_factory=tuple)


class SkipRestOfInputTableException(Exception):
    """Raised by `eval`: it wants no more rows of this partition. `terminate` comes next."""
