"""DataFrame: rows with named, typed columns, computed when an action asks for them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from quiver.callsite import capture
from quiver.sql import types as t
from quiver.sql.column import Column, column_of, expression_of
from quiver.sql.errors import column_not_found
from quiver.sql.row import Row, row_of
from quiver.sql.runtime import schema_of
from quiver.sql.tree import expressions as e
from quiver.sql.tree import relations as r

if TYPE_CHECKING:
    import pyarrow as pa

    from quiver.sql.grouped import GroupedData
    from quiver.sql.session import Session


class DataFrame:
    """Rows with named, typed columns. Operators describe; actions (collect, show, count, toPandas …) compute.

    A mistake in names or types is told when the operator is called, on the driver.

    >>> df = spark.createDataFrame([("Alice", 5), ("Bob", 7)], ["name", "age"])
    >>> df.where(df.age > 5).select("name").collect()
    [Row(name='Bob')]
    """

    def __init__(self, relation: r.Relation, session: Session) -> None:
        self._relation = relation
        self._session = session

    @property
    def sparkSession(self) -> Session:
        """The session that made it."""
        return self._session

    def _with(self, relation: r.Relation) -> DataFrame:
        return DataFrame(relation, self._session)

    # ---- columns ----

    @property
    def schema(self) -> t.StructType:
        """Names, types and nullability of the columns."""
        return schema_of(self._relation)

    @property
    def columns(self) -> list[str]:
        """Names of the columns."""
        return [column.name for column in self._relation.output]

    @property
    def dtypes(self) -> list[tuple[str, str]]:
        """(name, type) of each column."""
        return [(column.name, column.type.simpleString()) for column in self._relation.output]

    def printSchema(self, level: int | None = None) -> None:
        """Print the schema as a tree."""
        print(self.schema.treeString())

    def __getitem__(self, item: Any) -> Any:
        if isinstance(item, str):
            return self._column(item)
        if isinstance(item, int):
            return Column(self._relation.output[item])
        if isinstance(item, Column):
            return self.filter(item)
        if isinstance(item, list | tuple):
            return self.select(*item)
        raise TypeError(f"[NOT_COLUMN_OR_FLOAT_OR_INT_OR_LIST_OR_STR] unexpected item type: {type(item).__name__}")

    def __getattr__(self, name: str) -> Column:
        if name.startswith("__") or name not in self.columns:
            raise AttributeError(f"'{type(self).__name__}' object has no attribute '{name}'")
        return self._column(name)

    def _column(self, name: str) -> Column:
        expression = column_of(name)
        if isinstance(expression, e.Name):
            found = self._session._analyser.lookup(expression.parts, self._relation.output)
            if found is None:
                raise column_not_found(name, self.columns)
            return Column(found)
        return Column(expression)

    # ---- operators ----

    def select(self, *cols: Any) -> DataFrame:
        """These columns: names, Columns, `*`."""
        given = cols[0] if len(cols) == 1 and isinstance(cols[0], list) else cols
        return self._with(self._session._analyser.project(self._relation, [column_of(item) for item in given]))

    def filter(self, condition: Column | str) -> DataFrame:
        """Rows for which the condition holds; a str is SQL."""
        from quiver.sql.functions import expr

        expression = (expr(condition) if isinstance(condition, str) else condition)._expression
        return self._with(self._session._analyser.filter(self._relation, expression))

    where = filter

    def withColumn(self, colName: str, col: Column) -> DataFrame:
        """With this column, in place of the one of that name or at the end."""
        return self.withColumns({colName: col})

    def withColumns(self, *colsMap: dict[str, Column]) -> DataFrame:
        """With these columns, each in place of the one of that name or at the end."""
        (added,) = colsMap
        left = {name.lower(): (name, column) for name, column in added.items()}
        items: list[e.Expression] = []
        for column in self._relation.output:
            taken = left.pop(column.name.lower(), None)
            items.append(column if taken is None else e.Alias(expression_of(taken[1]), taken[0]))
        items += [e.Alias(expression_of(column), name) for name, column in left.values()]
        return self._with(self._session._analyser.project(self._relation, items))

    def withColumnRenamed(self, existing: str, new: str) -> DataFrame:
        """With that column under another name; as it is when there is none."""
        items = [e.Alias(column, new) if column.name.lower() == existing.lower() else column for column in self._relation.output]
        return self._with(self._session._analyser.project(self._relation, items))

    def drop(self, *cols: Any) -> DataFrame:
        """Without these columns; those that aren't there are not missed."""
        names = {item.lower() for item in cols if isinstance(item, str)}
        ids = {item._expression.id for item in cols if isinstance(item, Column) and isinstance(item._expression, e.Attribute)}
        kept = tuple(column for column in self._relation.output if column.name.lower() not in names and column.id not in ids)
        return self if len(kept) == len(self._relation.output) else self._with(r.Project(self._relation, kept))

    def groupBy(self, *cols: Any) -> GroupedData:
        """Rows of equal columns together, to be aggregated."""
        from quiver.sql.grouped import GroupedData

        given = cols[0] if len(cols) == 1 and isinstance(cols[0], list) else cols
        return GroupedData(self, [column_of(item) for item in given])

    groupby = groupBy

    def agg(self, *exprs: Any) -> DataFrame:
        """Aggregates of all rows."""
        return self.groupBy().agg(*exprs)

    def orderBy(self, *cols: Any, ascending: bool | Sequence[bool] = True) -> DataFrame:
        """In this order; nulls are smallest."""
        given = cols[0] if len(cols) == 1 and isinstance(cols[0], list) else cols
        directions = [ascending] * len(given) if isinstance(ascending, bool | int) else list(ascending)
        keys = []
        for item, up in zip(given, directions, strict=True):
            expression = column_of(item)
            keys.append(expression if isinstance(expression, e.SortKey) else e.SortKey(expression, bool(up)))
        return self._with(self._session._analyser.sort(self._relation, keys))

    sort = orderBy

    def limit(self, num: int) -> DataFrame:
        """The first rows."""
        return self._with(r.Limit(self._relation, num))

    def offset(self, num: int) -> DataFrame:
        """Without the first rows."""
        return self._with(r.Limit(self._relation, None, num))

    def distinct(self) -> DataFrame:
        """Each row once."""
        return self._with(self._session._analyser.deduplicate(self._relation, None))

    def dropDuplicates(self, subset: Sequence[str] | None = None) -> DataFrame:
        """One row for each value of these columns."""
        return self._with(self._session._analyser.deduplicate(self._relation, subset))

    def alias(self, alias: str) -> DataFrame:
        """The same rows, whose columns can be called `alias.name`."""
        return self._with(self._session._analyser.alias(self._relation, alias))

    def join(self, other: DataFrame, on: Any = None, how: str | None = None) -> DataFrame:
        """Rows of both that fit: on a condition, or on columns of the same name."""
        kind = _JOINS.get((how or ("inner" if on is not None else "cross")).lower().replace("_", ""))
        if kind is None:
            raise ValueError(f"Unsupported join type {how!r}. Supported: {', '.join(sorted(_JOINS))}.")
        analyser = self._session._analyser
        if on is None:
            return self._with(analyser.join(self._relation, other._relation, kind))
        items = list(on) if isinstance(on, list | tuple) else [on]
        if all(isinstance(item, str) for item in items):
            return self._with(analyser.join(self._relation, other._relation, kind, using=items))
        from quiver.sql.analysis.analyser import all_of

        return self._with(analyser.join(self._relation, other._relation, kind, all_of([expression_of(item) for item in items])))

    def crossJoin(self, other: DataFrame) -> DataFrame:
        """Every row with every other."""
        return self._with(self._session._analyser.join(self._relation, other._relation, "cross"))

    def union(self, other: DataFrame) -> DataFrame:
        """All rows of both, columns by position."""
        return self._with(self._session._analyser.union((self._relation, other._relation)))

    unionAll = union

    def unionByName(self, other: DataFrame, allowMissingColumns: bool = False) -> DataFrame:
        """All rows of both, columns by name."""
        return self._with(self._session._analyser.union((self._relation, other._relation), True, allowMissingColumns))

    def intersect(self, other: DataFrame) -> DataFrame:
        """Rows that both have, each once."""
        return self._with(self._session._analyser.set_operation("intersect", False, self._relation, other._relation))

    def subtract(self, other: DataFrame) -> DataFrame:
        """Rows that the other has not, each once."""
        return self._with(self._session._analyser.set_operation("except", False, self._relation, other._relation))

    def exceptAll(self, other: DataFrame) -> DataFrame:
        """Rows, less one for each that the other has."""
        return self._with(self._session._analyser.set_operation("except", True, self._relation, other._relation))

    def createOrReplaceTempView(self, name: str) -> None:
        """Let SQL of this session call it by that name."""
        self._session._views[name.lower()] = self._relation

    # ---- actions ----

    def toArrow(self) -> pa.Table:
        """All rows as an Arrow table."""
        return self._session._runtime.collect(self._relation, capture())

    def collect(self) -> list[Row]:
        """All rows."""
        return rows_of(self.toArrow(), self.schema)

    def take(self, num: int) -> list[Row]:
        """The first rows."""
        return self.limit(num).collect()

    def head(self, n: int | None = None) -> Any:
        """The first row (None when there is none), or the first `n` as a list."""
        rows = self.take(1 if n is None else n)
        return rows if n is not None else (rows[0] if rows else None)

    def first(self) -> Row | None:
        """The first row, or None."""
        rows = self.take(1)
        return rows[0] if rows else None

    def count(self) -> int:
        """How many rows."""
        counted = r.Aggregate(self._relation, (), (e.Alias(e.Call("count"), "count", self._session._new_id()),))
        return int(self._session._runtime.collect(counted, capture()).column(0)[0].as_py())

    def isEmpty(self) -> bool:
        """Whether there is no row."""
        return not self.take(1)

    def toPandas(self) -> Any:
        """All rows as a pandas DataFrame."""
        return self.toArrow().to_pandas()

    def show(self, n: int = 20, truncate: bool | int = True, vertical: bool = False) -> None:
        """Print the first rows as a table."""
        from quiver.sql.showing import table_text

        width = (20 if truncate else 0) if isinstance(truncate, bool) else int(truncate)
        print(table_text(self.columns, self.take(n + 1), n, width, vertical, [column.type for column in self._relation.output]))

    def __repr__(self) -> str:
        return f"DataFrame[{', '.join(f'{name}: {kind}' for name, kind in self.dtypes)}]"


_JOINS = {
    "inner": "inner", "cross": "cross", "left": "left", "leftouter": "left", "right": "right", "rightouter": "right", "outer": "full",
    "full": "full", "fullouter": "full", "semi": "semi", "leftsemi": "semi", "anti": "anti", "leftanti": "anti",
}  # fmt: skip


def rows_of(table: pa.Table, schema: t.StructType) -> list[Row]:
    """An Arrow table as Rows with Spark's Python values."""
    names = schema.names
    columns = [table.column(i).to_pylist() for i in range(table.num_columns)]
    if not columns:
        return [row_of(names, ()) for _ in range(table.num_rows)]
    return [row_of(names, values) for values in zip(*columns)]
