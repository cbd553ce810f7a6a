"""What a DataFrame is: an analysed relation of a session, its columns and its plan."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from quiver.sql import types as t
from quiver.sql.column import Column
from quiver.sql.errors import PySparkAttributeError, PySparkIndexError, PySparkValueError, column_not_found, wrong_argument
from quiver.sql.literals import column_of, quoted
from quiver.sql.refusals import STREAMS, NotOffered
from quiver.sql.tree import expressions as e
from quiver.sql.tree import relations as r
from quiver.sql.tree.relations import schema_of

if TYPE_CHECKING:
    from quiver.sql.dataframe import DataFrame
    from quiver.sql.metrics import ExecutionInfo
    from quiver.sql.session import Session


def listed(cols: Sequence[Any]) -> list[Any]:
    """Arguments given one by one, or as one list."""
    return list(cols[0]) if len(cols) == 1 and isinstance(cols[0], list | tuple) else list(cols)


class DataFrameCore:
    """Identity, columns and plan."""

    writeStream = NotOffered(STREAMS, called=False)
    withWatermark = NotOffered(STREAMS)
    dropDuplicatesWithinWatermark = NotOffered(STREAMS)
    pandas_api = NotOffered("pandas on Spark is not there. Use `toPandas`")
    plot = NotOffered("pandas on Spark is not there. Use `toPandas().plot`", called=False)

    def __init__(self, relation: r.Relation, session: Session) -> None:
        self._relation = relation
        self._session = session

    @property
    def _self(self) -> DataFrame:
        from quiver.sql.dataframe import DataFrame

        assert isinstance(self, DataFrame)
        return self

    def _with(self, relation: r.Relation) -> DataFrame:
        from quiver.sql.dataframe import DataFrame

        return DataFrame(relation, self._session)

    @property
    def sparkSession(self) -> Session:
        """The session that made it.

        >>> spark.range(1).sparkSession is spark
        True
        """
        return self._session

    @property
    def schema(self) -> t.StructType:
        """Names, types and nullability of the columns.

        >>> spark.range(1).schema
        StructType([StructField('id', LongType(), False)])
        """
        return schema_of(self._relation)

    @property
    def columns(self) -> list[str]:
        """Names of the columns.

        >>> spark.range(1).columns
        ['id']
        """
        return [column.name for column in self._relation.output]

    @property
    def dtypes(self) -> list[tuple[str, str]]:
        """(name, type) of each column.

        >>> spark.range(1).dtypes
        [('id', 'bigint')]
        """
        return [(column.name, column.type.simpleString()) for column in self._relation.output]

    def printSchema(self, level: int | None = None) -> None:
        """Print the schema as a tree, to a depth of `level` (None: all of it).

        >>> spark.range(1).printSchema()
        root
         |-- id: long (nullable = false)
        <BLANKLINE>
        """
        print(self.schema.treeString(level))

    def __getitem__(self, item: Any) -> Any:
        if isinstance(item, str):
            return self._column(item)
        if isinstance(item, int) and not isinstance(item, bool):
            try:
                return Column(self._relation.output[item])
            except IndexError:
                raise PySparkIndexError(
                    f"The column index must be in [0, {len(self.columns)}), got {item}.", "INDEX_OUT_OF_RANGE"
                ) from None
        if isinstance(item, Column):
            return self._self.filter(item)
        if isinstance(item, list | tuple):
            return self._self.select(*item)
        raise wrong_argument("item", "Column, float, int, list, or str", item)

    def __getattr__(self, name: str) -> Column:
        if name.startswith("__") or name not in self.columns:
            raise PySparkAttributeError(f"Attribute `{name}` is not supported.", "ATTRIBUTE_NOT_SUPPORTED")
        return self._column(quoted(name))

    def __dir__(self) -> list[str]:
        return sorted({*super().__dir__(), *(name for name in self.columns if name.isidentifier())})

    def _column(self, name: str) -> Column:
        expression = column_of(name)
        if isinstance(expression, e.Name):
            found = self._session._state.analyser.lookup(expression.parts, self._relation.output)
            if found is None:
                raise column_not_found(name, self.columns)
            return Column(found)
        if isinstance(expression, e.Star):
            expression = replace(expression, of=self._relation.output)
        return Column(expression)

    def colRegex(self, colName: str) -> Column:
        """The columns whose names fit a regular expression in backticks.

        >>> df = spark.createDataFrame([("a", 1, 2)], ["name", "x1", "x2"])
        >>> df.select(df.colRegex("`x[0-9]`")).columns
        ['x1', 'x2']
        """
        if not isinstance(colName, str):
            raise wrong_argument("colName", "str", colName)
        quoted = re.fullmatch(r"`(.*)`", colName)
        if quoted is None:
            return self._column(colName)
        pattern = re.compile(quoted[1], re.IGNORECASE)
        return Column(e.Listed(tuple(column for column in self._relation.output if pattern.fullmatch(column.name))))

    def metadataColumn(self, colName: str) -> Column:
        """A column that rows of files have beside their own: `_metadata`. Raises AnalysisException for another.

        >>> import os, tempfile
        >>> path = os.path.join(tempfile.mkdtemp(), "one.txt")
        >>> with open(path, "w") as file:
        ...     _ = file.write("a")
        >>> df = spark.read.text(path)
        >>> df.select(df.metadataColumn("_metadata")["file_name"].alias("name")).collect()
        [Row(name='one.txt')]
        """
        if colName.lower() != "_metadata":
            raise column_not_found(colName, self.columns)
        return Column(e.Name(("_metadata",)))

    def _ipython_key_completions_(self) -> list[str]:
        return self.columns

    @property
    def isStreaming(self) -> bool:
        """Whether it is a stream: no.

        >>> spark.range(1).isStreaming
        False
        """
        return False

    def isLocal(self) -> bool:
        """Whether collect() needs no executor: only rows that the driver has are such.

        >>> spark.createDataFrame([(1,)], ["a"]).isLocal(), spark.range(1).where("id > 0").isLocal()
        (True, False)
        """
        return isinstance(self._relation, r.Local)

    def inputFiles(self) -> list[str]:
        """Paths that are read, each once.

        >>> spark.range(1).inputFiles()
        []
        """
        found: dict[str, None] = {}
        pending: list[r.Relation] = [self._relation]
        while pending:
            relation = pending.pop()
            pending.extend(relation.inputs)
            if isinstance(relation, r.Files | r.Sourced):
                found.update((file.path if "://" in file.path else f"file://{file.path}", None) for file in relation.files)
        return list(found)

    def sameSemantics(self, other: DataFrame) -> bool:
        """Whether both are computed in the same way from the same rows. False may also mean that it can't be told.

        >>> df = spark.range(3)
        >>> df.withColumn("x", df.id + 1).sameSemantics(df.withColumn("y", df.id + 1))
        True
        """
        from quiver.sql.analysis.sameness import shape

        if not isinstance(other, DataFrameCore):
            raise wrong_argument("other", "DataFrame", other)
        return shape(self._relation) == shape(other._relation)

    def semanticHash(self) -> int:
        """Equal for DataFrames that sameSemantics finds equal.

        >>> df = spark.range(3)
        >>> df.select(df.id + 1).semanticHash() == df.select((df.id + 1).alias("x")).semanticHash()
        True
        """
        import zlib

        from quiver.sql.analysis.sameness import shape

        return zlib.crc32(shape(self._relation).encode()) - 2**31

    def explain(self, extended: bool | str | None = None, mode: str | None = None) -> None:
        """Print how it is computed, and whether as one task or in how many stages, and why.

        `mode`: "simple" has the physical plan; "extended" (or extended=True) also the logical ones; "formatted" operators with numbers and
        their details below; "cost" what the kernel expects of them. Raises IllegalArgumentException for another, PySparkValueError for both
        arguments, UnsupportedOperationException for "codegen".

        >>> spark.range(10).where("id > 3").explain()  # doctest: +ELLIPSIS
        == Physical Plan ==
        ...
        Runs as one task: it reads no files.
        <BLANKLINE>
        """
        from quiver.sql.explaining import explained

        if extended is not None and mode is not None:
            raise PySparkValueError("extended and mode should not be set together.", "CANNOT_SET_TOGETHER")
        if not isinstance(extended, bool | str | None):
            raise wrong_argument("extended", "bool or str", extended)
        if not isinstance(mode, str | None):
            raise wrong_argument("mode", "str", mode)
        chosen = mode if mode is not None else extended if isinstance(extended, str) else "extended" if extended else "simple"
        print(explained(self._relation, self._session._state.runtime, chosen))

    @property
    def executionInfo(self) -> ExecutionInfo | None:
        """What the operators did when it was last computed; None before its first action.

        >>> df = spark.range(10).where("id > 6")
        >>> df.executionInfo is None, df.count()
        (True, 3)
        >>> sorted({metric.name for each in df.executionInfo.metrics.operators for metric in each.metrics})
        ['computeTime', 'longestComputeTime', 'numOutputRows', 'numTasks']
        """
        from quiver.sql.metrics import ExecutionInfo, plan_metrics

        executions = self._session._state.runtime.executions
        execution = executions.last_of(self._relation)
        if execution is None:
            return None
        return ExecutionInfo(plan_metrics(executions.operators(execution), dict(execution.stages)), str(execution.query_id))

    def __repr__(self) -> str:
        return f"DataFrame[{', '.join(f'{name}: {kind}' for name, kind in self.dtypes)}]"
