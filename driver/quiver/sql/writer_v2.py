"""Writing DataFrames to tables by what is to be done: create, replace, append, overwrite."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from quiver.callsite import capture
from quiver.sql.column import Column
from quiver.sql.errors import AnalysisException
from quiver.sql.literals import column_of
from quiver.sql.table_writes import TableSpec, create_as, insert_into, name_parts
from quiver.sql.tree import expressions as e

if TYPE_CHECKING:
    from quiver.sql.dataframe import DataFrame


class DataFrameWriterV2:
    """`df.writeTo(table)`.

    >>> spark.range(3).writeTo("three").using("parquet").create()
    >>> spark.range(3, 5).writeTo("three").append()
    >>> spark.table("three").count(), spark.catalog.dropTable("three")
    (5, None)
    """

    def __init__(self, df: DataFrame, table: str) -> None:
        self._df = df
        self._table = name_parts(table)
        self._provider: str | None = None
        self._options: dict[str, str] = {}
        self._properties: dict[str, str] = {}
        self._partition_by: tuple[str, ...] = ()

    def using(self, provider: str) -> DataFrameWriterV2:
        """The format of a table that is made."""
        self._provider = provider
        return self

    def option(self, key: str, value: Any) -> DataFrameWriterV2:
        """One option of the format; `path`: where the files are to be."""
        if value is None:
            self._options.pop(key.lower(), None)
        else:
            self._options[key.lower()] = str(value).lower() if isinstance(value, bool) else str(value)
        return self

    def options(self, **options: Any) -> DataFrameWriterV2:
        """Several options."""
        for key, value in options.items():
            self.option(key, value)
        return self

    def tableProperty(self, property: str, value: str) -> DataFrameWriterV2:
        """A property of a table that is made."""
        self._properties[property] = value
        return self

    def partitionedBy(self, col: Column | str, *cols: Column | str) -> DataFrameWriterV2:
        """The partition columns of a table that is made. Raises AnalysisException for expressions: files are partitioned by columns."""
        names = []
        for given in (col, *cols):
            expression = column_of(given) if isinstance(given, str) else given._expression
            if not isinstance(expression, e.Name | e.Attribute):
                raise AnalysisException(
                    "Tables of files are partitioned by columns, not by expressions of them.", "UNSUPPORTED_FEATURE.TABLE_OPERATION"
                )
            names.append(expression.parts[-1] if isinstance(expression, e.Name) else expression.name)
        self._partition_by = tuple(names)
        return self

    def _spec(self) -> TableSpec:
        provider = self._provider or str(self._df._session.conf.get("spark.sql.sources.default", "parquet"))
        return TableSpec(provider, self._options, self._partition_by, None, self._options.get("path", ""), self._properties)

    def _create(self, mode: str) -> None:
        create_as(self._df._session, self._table, self._df._relation, self._spec(), mode, capture())

    def create(self) -> None:
        """Make the table. Raises AnalysisException TABLE_OR_VIEW_ALREADY_EXISTS."""
        self._create("error")

    def replace(self) -> None:
        """Put a new table in the place of one. Raises AnalysisException TABLE_OR_VIEW_NOT_FOUND."""
        self._df._session._state.stored_or_raise(self._table)
        self._create("overwrite")

    def createOrReplace(self) -> None:
        """Make the table, in the place of one where there is one.

        >>> for n in (1, 2):
        ...     spark.range(n).writeTo("made_anew").createOrReplace()
        >>> spark.table("made_anew").count(), spark.catalog.dropTable("made_anew")
        (2, None)
        """
        self._create("overwrite")

    def append(self) -> None:
        """Add the rows by the names of their columns. Raises AnalysisException TABLE_OR_VIEW_NOT_FOUND."""
        insert_into(self._df._session, self._table, self._df._relation, capture(), by_name=True, options=self._options)

    def overwrite(self, condition: Column | str) -> None:
        """Put the rows in the place of those for which the condition holds: it can only be `lit(True)`, as files are not changed.
        Raises AnalysisException UNSUPPORTED_OVERWRITE for others."""
        given = condition._expression if isinstance(condition, Column) else column_of(condition)
        if not (isinstance(given, e.Literal) and given.value is True):
            raise AnalysisException(
                "Rows of files can't be overwritten one by one. Use overwrite(lit(True)) for all, or overwritePartitions().",
                "UNSUPPORTED_OVERWRITE.TABLE",
            )
        insert_into(
            self._df._session, self._table, self._df._relation, capture(), overwrite=True, by_name=True,
            options={**self._options, "partitionoverwritemode": "static"},
        )  # fmt: skip

    def overwritePartitions(self) -> None:
        """Put the rows in the place of the partitions that they are of; of all, where the table has no partitions."""
        insert_into(
            self._df._session, self._table, self._df._relation, capture(), overwrite=True, by_name=True,
            options={**self._options, "partitionoverwritemode": "dynamic"},
        )  # fmt: skip
