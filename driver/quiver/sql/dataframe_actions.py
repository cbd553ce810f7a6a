"""Actions: what computes rows and brings them, prints them or names them."""

from __future__ import annotations

import contextlib
import itertools
import re
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

from quiver.callsite import capture
from quiver.sql.dataframe_core import DataFrameCore
from quiver.sql.errors import AnalysisException, PySparkTypeError, wrong_argument
from quiver.sql.kernel_errors import spark_errors
from quiver.sql.metastore import GLOBAL_TEMP
from quiver.sql.row import Row
from quiver.sql.rows import Rows, packed, rows_of, unpacked
from quiver.sql.tree import expressions as e
from quiver.sql.tree import relations as r
from quiver_proto.errors import KernelOutOfMemory

if TYPE_CHECKING:
    import pyarrow as pa

    from quiver.rdd import RDD
    from quiver.sql.dataframe import DataFrame
    from quiver.sql.writer import DataFrameWriter
    from quiver.sql.writer_v2 import DataFrameWriterV2
    from quiver_proto.ops import CallSite


@contextlib.contextmanager
def unrepeatable(why: str, otherwise: str) -> Iterator[None]:
    """Inside, what runs out of memory is not planned anew; the error says so, and what to do."""
    try:
        yield
    except KernelOutOfMemory as problem:
        problem.add_note(
            f"{why}, so the query goes on as it was planned: {otherwise}. Set quiver.sql.partitions to a larger number, or keep the rows "
            "first: df.localCheckpoint() is planned for less memory when that is needed."
        )
        raise


class Actions(DataFrameCore):
    """collect, show, count, toPandas, …"""

    # ---- rows ----

    def toArrow(self) -> pa.Table:
        """All rows as an Arrow table.

        >>> spark.range(2).toArrow().to_pydict()
        {'id': [0, 1]}
        """
        return self._session._state.runtime.collect(self._relation, capture())

    def collect(self) -> list[Row]:
        """All rows.

        >>> spark.range(2).collect()
        [Row(id=0), Row(id=1)]
        """
        table = self.toArrow()
        with spark_errors(self._relation, capture()):
            return rows_of(table, self.schema)

    @property
    def rdd(self) -> RDD[Row]:
        """The rows as an RDD, computed where its tasks run.

        >>> spark.range(4).rdd.map(lambda row: row.id * 2).sum()
        12
        """
        return self._batches().mapPartitions(Rows(self.schema.json()))

    def _batches(self) -> RDD[pa.RecordBatch]:
        """The rows as an RDD of Arrow batches."""
        return self._session._state.runtime.batches(self._relation, capture())

    def toLocalIterator(self, prefetchPartitions: bool = False) -> Iterator[Row]:
        """All rows, one partition at a time; with `prefetchPartitions` the next is computed while this one is looked at.

        >>> list(spark.range(2).toLocalIterator())
        [Row(id=0), Row(id=1)]
        """
        call_site, runtime, given = capture(), self._session._state.runtime, Rows(self.schema.json())

        def begun(batches: RDD[pa.RecordBatch]) -> tuple[Iterator[Row], list[Row]]:
            rows = given(unpacked(batches.mapPartitions(packed).toLocalIterator(prefetchPartitions)))
            return rows, list(itertools.islice(rows, 1))

        with spark_errors(self._relation, call_site):
            rows, first = runtime.retried(self._relation, call_site, begun)
            yield from first
            with unrepeatable("Rows were looked at already", "planned anew they would come in another order"):
                yield from rows

    def _first(self, num: int) -> DataFrame:
        return self._with(r.Limit(self._relation, num))

    def take(self, num: int) -> list[Row]:
        """The first rows.

        >>> spark.range(5).take(2)
        [Row(id=0), Row(id=1)]
        """
        if not isinstance(num, int) or isinstance(num, bool):
            raise wrong_argument("num", "int", num)
        return self._self.limit(num).collect()

    def tail(self, num: int) -> list[Row]:
        """The last rows.

        >>> spark.range(5).tail(2)
        [Row(id=3), Row(id=4)]
        """
        table = self.toArrow()
        with spark_errors(self._relation, capture()):
            return rows_of(table.slice(max(0, table.num_rows - max(num, 0))), self.schema)

    def head(self, n: int | None = None) -> Any:
        """The first row (None when there is none), or the first `n` as a list.

        >>> spark.range(2).head(), spark.range(2).head(1)
        (Row(id=0), [Row(id=0)])
        """
        return self.first() if n is None else self.take(n)

    def first(self) -> Row | None:
        """The first row, or None.

        >>> spark.range(2).first()
        Row(id=0)
        """
        rows = self.take(1)
        return rows[0] if rows else None

    def count(self) -> int:
        """How many rows.

        >>> spark.range(3).count()
        3
        """
        counted = r.Aggregate(self._relation, (), (e.Alias(e.Call("count"), "count", self._session._state.new_id()),))
        return int(self._session._state.runtime.collect(counted, capture()).column(0)[0].as_py())

    def isEmpty(self) -> bool:
        """Whether there is no row.

        >>> spark.range(0).isEmpty()
        True
        """
        return not self._first(1).toArrow().num_rows

    def foreach(self, f: Callable[[Row], None]) -> None:
        """Call a function with each row, where rows are computed. As in Spark it may see rows again: those of a task that is tried
        again, and all of them where a query that ran out of memory is planned anew. Accumulators count each row once.

        >>> seen = spark.context.accumulator(0)
        >>> spark.range(3).foreach(lambda row: seen.add(row.id))
        >>> seen.value
        3
        """
        self._for_effect(lambda rows: rows.foreach(f), capture())

    def foreachPartition(self, f: Callable[[Iterator[Row]], None]) -> None:
        """Call a function with the rows of each partition, where rows are computed; maybe again, as `foreach` tells. Partitions that are
        planned anew are more than before: what is left under a partition's number is written over.

        >>> seen = spark.context.accumulator(0)
        >>> spark.range(3).foreachPartition(lambda rows: seen.add(sum(row.id for row in rows)))
        >>> seen.value
        3
        """
        self._for_effect(lambda rows: rows.foreachPartition(f), capture())

    def _for_effect(self, action: Callable[[RDD[Row]], None], call_site: CallSite) -> None:
        given = Rows(self.schema.json())
        with spark_errors(self._relation, call_site):
            self._session._state.runtime.retried(self._relation, call_site, lambda batches: action(batches.mapPartitions(given)))

    # ---- other forms ----

    def toPandas(self) -> Any:
        """All rows as a pandas DataFrame. Arrays are numpy's and structs dicts, unless spark.sql.execution.arrow.pyspark.enabled is
        false: then they are lists and Rows.

        >>> spark.range(2).toPandas()["id"].tolist()
        [0, 1]
        """
        from quiver.sql.rows import pandas_of

        arrow = self._session.conf.get("spark.sql.execution.arrow.pyspark.enabled", "true") == "true"
        table = self.toArrow()
        with spark_errors(self._relation, capture()):
            return pandas_of(table, self.schema, self._session.conf.zone(), arrow)

    def toPolars(self) -> Any:
        """All rows as a Polars DataFrame, which has to be installed."""
        import polars  # pyright: ignore[reportMissingImports]  # the user brings it

        return polars.from_arrow(self.toArrow())

    def __arrow_c_stream__(self, requested_schema: object | None = None) -> object:
        """For whatever reads Arrow streams: `pyarrow.table(df)`, `polars.DataFrame(df)`.

        >>> import pyarrow
        >>> pyarrow.table(spark.range(2)).num_rows
        2
        """
        return self.toArrow().__arrow_c_stream__(requested_schema)

    def toJSON(self, use_unicode: bool = True) -> Any:
        """Each row as a JSON object without its nulls, as an RDD of texts.

        >>> spark.createDataFrame([(2, "Ann"), (5, None)], ["age", "name"]).toJSON().collect()
        ['{"age":2,"name":"Ann"}', '{"age":5}']
        """
        from quiver.sql.rows import json_of

        kinds, zone = self.schema, self._session.conf.zone()
        return self.rdd.map(lambda row: json_of(row, kinds, zone))

    @property
    def write(self) -> DataFrameWriter:
        """Writes the rows to files: `df.write.parquet(path)`.

        >>> spark.range(1).write.format("noop").mode("overwrite").save()
        """
        from quiver.sql.writer import DataFrameWriter

        return DataFrameWriter(self._self)

    def writeTo(self, table: str) -> DataFrameWriterV2:
        """Writes the rows to a table: `df.writeTo("t").append()`.

        >>> spark.range(2).writeTo("two_rows").create()
        >>> spark.table("two_rows").count(), spark.catalog.dropTable("two_rows")
        (2, None)
        """
        from quiver.sql.writer_v2 import DataFrameWriterV2

        return DataFrameWriterV2(self._self, table)

    # ---- printing ----

    def _table(self, n: int, width: int, vertical: bool) -> str:
        from quiver.sql.showing import table_text

        kinds = [column.type for column in self._relation.output]
        return table_text(self.columns, self._shown(n), n, width, vertical, kinds, str(self._session.conf.zone()))

    def _shown(self, n: int) -> list[Row]:
        """One row more than `n`, if there is one, with instants as clocks of the session's zone show them."""
        table = self._first(n + 1).toArrow()
        with spark_errors(self._relation, capture()):
            return rows_of(table, self.schema, self._session.conf.zone(), far_as_text=True)

    def show(self, n: int = 20, truncate: bool | int = True, vertical: bool = False) -> None:
        """Print the first rows as a table. `truncate`: to 20 characters a cell, to so many, or not.

        >>> spark.range(2).show()
        +---+
        | id|
        +---+
        |  0|
        |  1|
        +---+
        <BLANKLINE>
        """
        if not isinstance(n, int) or isinstance(n, bool):
            raise wrong_argument("n", "int", n)
        n = max(n, 0)
        if not isinstance(vertical, bool):
            raise wrong_argument("vertical", "bool", vertical)
        if isinstance(truncate, bool):
            width = 20 if truncate else 0
        else:
            try:
                width = int(truncate)
            except ValueError:
                raise PySparkTypeError(f"Argument `truncate` should be a bool or int, got {type(truncate).__name__}.", "NOT_BOOL") from None
        print(self._table(n, width, vertical))

    def __repr__(self) -> str:
        conf = self._session.conf
        if conf.get("spark.sql.repl.eagerEval.enabled", "false") != "true":
            return super().__repr__()
        n, width = int(conf.get("spark.sql.repl.eagerEval.maxNumRows", "20")), int(conf.get("spark.sql.repl.eagerEval.truncate", "20"))
        return self._table(max(n, 0), max(width, 0), False)

    def _repr_html_(self) -> str | None:
        """The first rows as a table for notebooks, when `spark.sql.repl.eagerEval.enabled` is set; None otherwise."""
        conf = self._session.conf
        if conf.get("spark.sql.repl.eagerEval.enabled", "false") != "true":
            return None
        from quiver.sql.showing import table_html

        n, width = int(conf.get("spark.sql.repl.eagerEval.maxNumRows", "20")), int(conf.get("spark.sql.repl.eagerEval.truncate", "20"))
        kinds = [column.type for column in self._relation.output]
        return table_html(self.columns, self._shown(max(n, 0)), max(n, 0), max(width, 0), kinds, str(conf.zone()))

    # ---- views ----

    def createOrReplaceTempView(self, name: str) -> None:
        """Let SQL of this session call it by that name.

        >>> spark.range(2).createOrReplaceTempView("two")
        >>> spark.sql("SELECT count(*) AS n FROM two").collect()
        [Row(n=2)]
        """
        self._session._state.views[_view_name(name)] = self._relation

    def createTempView(self, name: str) -> None:
        """As createOrReplaceTempView. Raises AnalysisException when the name is taken.

        >>> spark.range(2).createTempView("fresh")
        >>> spark.table("fresh").count()
        2
        """
        if _view_name(name) in self._session._state.views:
            raise _taken(name)
        self.createOrReplaceTempView(name)

    def createOrReplaceGlobalTempView(self, name: str) -> None:
        """Let SQL of all sessions of the application call it `global_temp.` and that name.

        >>> spark.range(2).createOrReplaceGlobalTempView("shared_two")
        >>> spark.newSession().sql("SELECT count(*) AS n FROM global_temp.shared_two").collect()
        [Row(n=2)]
        """
        self._session._state.store.global_views[_view_name(name)] = self._relation

    def createGlobalTempView(self, name: str) -> None:
        """As createOrReplaceGlobalTempView. Raises AnalysisException when the name is taken.

        >>> spark.range(2).createGlobalTempView("for_everyone")
        >>> spark.table("global_temp.for_everyone").count()
        2
        >>> spark.catalog.dropGlobalTempView("for_everyone")
        True
        """
        if _view_name(name) in self._session._state.store.global_views:
            raise _taken(f"{GLOBAL_TEMP}.{name}")
        self.createOrReplaceGlobalTempView(name)

    registerTempTable = createOrReplaceTempView


def _taken(name: str) -> AnalysisException:
    return AnalysisException(
        f"Cannot create the temporary view `{name}` because it already exists. Choose a different name, drop or replace the existing view.",
        "TEMP_TABLE_OR_VIEW_ALREADY_EXISTS",
    )


def _view_name(name: str) -> str:
    if not re.fullmatch(r"\w+|`[^`]+`", name):
        raise AnalysisException(f"{name!r} can't be the name of a view.", "INVALID_TEMP_OBJ_REFERENCE")
    return name.strip("`").lower()
