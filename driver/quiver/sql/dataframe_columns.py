"""Operators on columns: which there are, and what they are called."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from quiver.sql import types as t
from quiver.sql.analysis.clauses import one_column
from quiver.sql.analysis.coercion import common_type
from quiver.sql.column import Column
from quiver.sql.dataframe_core import DataFrameCore, listed
from quiver.sql.deferred import correlated
from quiver.sql.errors import AnalysisException, PySparkTypeError, column_not_found, wrong_argument
from quiver.sql.literals import column_of, expression_of
from quiver.sql.tree import expressions as e
from quiver.sql.tree import relations as r

if TYPE_CHECKING:
    from quiver.sql.dataframe import DataFrame


class ColumnOperators(DataFrameCore):
    """select, withColumn, drop, …"""

    @correlated
    def select(self, *cols: Any) -> DataFrame:
        """These columns: names, Columns, `*`.

        >>> df = spark.createDataFrame([(2, "Alice")], ["age", "name"])
        >>> df.select("name", (df.age + 10).alias("age")).collect()
        [Row(name='Alice', age=12)]
        """
        return self._with(self._session._state.analyser.select(self._relation, [column_of(item) for item in listed(cols)]))

    def selectExpr(self, *expr: Any) -> DataFrame:
        """Columns written in SQL.

        >>> spark.createDataFrame([(2, "Alice")], ["age", "name"]).selectExpr("age * 2", "upper(name) AS name").collect()
        [Row((age * 2)=4, name='ALICE')]
        """
        from quiver.sql.functions import expr as parse

        return self.select(*(parse(text) for text in listed(expr)))

    @correlated
    def withColumn(self, colName: str, col: Column) -> DataFrame:
        """With this column, in place of the one of that name or at the end.

        >>> df = spark.range(2)
        >>> df.withColumn("next", df.id + 1).collect()
        [Row(id=0, next=1), Row(id=1, next=2)]
        """
        if not isinstance(colName, str):
            raise wrong_argument("colName", "str", colName)
        return self.withColumns({colName: col})

    @correlated
    def withColumns(self, *colsMap: dict[str, Column]) -> DataFrame:
        """With these columns, each in place of the one of that name or at the end. A new one may be computed of those before it.

        >>> df = spark.range(1)
        >>> df.withColumns({"a": df.id + 1, "b": df.id + 2}).collect()
        [Row(id=0, a=1, b=2)]
        """
        (added,) = colsMap
        if not isinstance(added, dict):
            raise wrong_argument("colsMap", "dict", added)
        for column in added.values():
            if not isinstance(column, Column):
                raise wrong_argument("col", "Column", column)
        fold = self._session._state.analyser.fold
        left = {fold(name): (name, column) for name, column in added.items()}
        items: list[e.Expression] = []
        taken: set[str] = set()
        for attribute in self._relation.output:
            key = fold(attribute.name)
            if key in left:
                taken.add(key)
                items.append(_renamed(expression_of(left[key][1]), left[key][0]))
            else:
                items.append(attribute)
        items += [_renamed(expression_of(column), name) for key, (name, column) in left.items() if key not in taken]
        return self._with(self._session._state.analyser.select(self._relation, items))

    def withColumnRenamed(self, existing: str, new: str) -> DataFrame:
        """With that column under another name; as it is when there is none.

        >>> spark.range(1).withColumnRenamed("id", "n").columns
        ['n']
        """
        return self.withColumnsRenamed({existing: new})

    def withColumnsRenamed(self, colsMap: dict[str, str]) -> DataFrame:
        """With columns under other names, one after the other; what is not there is passed over.

        >>> spark.createDataFrame([(1, 2)], ["a", "b"]).withColumnsRenamed({"a": "x", "c": "y"}).columns
        ['x', 'b']
        """
        if not isinstance(colsMap, dict):
            raise wrong_argument("colsMap", "dict", colsMap)
        fold = self._session._state.analyser.fold
        names = self.columns
        for existing, new in colsMap.items():
            names = [new if fold(name) == fold(existing) else name for name in names]
        return self._with(self._session._state.analyser.renamed(self._relation, names))

    def withMetadata(self, columnName: str, metadata: dict[str, Any]) -> DataFrame:
        """With this metadata kept with a column.

        >>> spark.range(1).withMetadata("id", {"unit": "m"}).schema["id"].metadata
        {'unit': 'm'}
        """
        if not isinstance(metadata, dict):
            raise wrong_argument("metadata", "dict", metadata)
        return self.withColumn(columnName, self[columnName].alias(columnName, metadata=metadata))

    def drop(self, *cols: Any) -> DataFrame:
        """Without these columns; those that aren't there are not missed.

        >>> spark.createDataFrame([(1, 2)], ["a", "b"]).drop("b", "c").columns
        ['a']
        """
        analyser, output = self._session._state.analyser, self._relation.output
        gone: set[int] = set()
        for item in cols:
            if isinstance(item, str):
                gone |= {column.id for column in output if analyser.fold(column.name) == analyser.fold(item.strip("`"))}
            elif isinstance(item, Column):
                found = item._expression
                if isinstance(found, e.Name):
                    meant = analyser.lookup(found.parts, output)
                    found = meant if meant is not None else found
                if isinstance(found, e.Attribute):
                    gone.add(found.id)
            else:
                raise wrong_argument("cols", "Column or str", item)
        kept = tuple(column for column in output if column.id not in gone)
        return self._self if len(kept) == len(output) else self._with(r.Project(self._relation, kept))

    def toDF(self, *cols: str) -> DataFrame:
        """The columns under these names, in order.

        >>> spark.createDataFrame([(1, 2)], ["a", "b"]).toDF("x", "y").columns
        ['x', 'y']
        """
        for name in cols:
            if not isinstance(name, str):
                raise wrong_argument("cols", "list of str", name)
        output = self._relation.output
        if len(cols) != len(output):
            raise AnalysisException(
                f"The number of columns doesn't match. Old column names ({len(output)}): {', '.join(self.columns)}. "
                f"New column names ({len(cols)}): {', '.join(cols)}.",
                "ASSIGNMENT_ARITY_MISMATCH",
            )
        items = [e.Alias(column, name) for column, name in zip(output, cols, strict=True)]
        return self._with(self._session._state.analyser.project(self._relation, items))

    def to(self, schema: t.StructType) -> DataFrame:
        """The columns that a schema names, in its order and as its types. Raises AnalysisException for one that isn't there, or can be null
        where the schema has no nulls.

        >>> df = spark.createDataFrame([("a", 1)], ["i", "j"])
        >>> df.to(t.StructType([t.StructField("j", t.StringType()), t.StructField("i", t.StringType())])).collect()
        [Row(j='1', i='a')]
        """
        items: list[e.Expression] = []
        analyser, output = self._session._state.analyser, self._relation.output
        for field in schema:
            found = analyser.lookup((field.name,), output)
            if not isinstance(found, e.Attribute):
                if not field.nullable:
                    raise column_not_found(field.name, self.columns)
                items.append(e.Alias(e.Literal(None, field.dataType), field.name))
                continue
            if found.nullable and not field.nullable:
                raise AnalysisException(
                    f"Column or field `{field.name}` is nullable while it's required to be non-nullable.", "NULLABLE_COLUMN_OR_FIELD"
                )
            items.append(e.Alias(found if found.type == field.dataType else e.Cast(found, field.dataType), field.name))
        return self._with(analyser.project(self._relation, items))

    def zipWithIndex(self, indexColName: str = "index") -> DataFrame:
        """With the number of each row, from 0, as the last column; rows are in no order but that of the last orderBy.

        >>> spark.range(5, 7).zipWithIndex().collect()
        [Row(id=5, index=0), Row(id=6, index=1)]
        """
        counted = e.Call("-", (e.Cast(e.NUMBER_AS_THEY_COME, t.LongType()), e.Literal(1, t.LongType())))
        return self._with(self._session._state.analyser.project(self._relation, [e.Star(), e.Alias(counted, indexColName)]))

    def scalar(self) -> Column:
        """Its only value, as a Column of another query. More than one row is an error of that query.

        >>> df = spark.range(4)
        >>> df.where(df.id == df.agg(F.max("id")).scalar()).collect()
        [Row(id=3)]
        """
        return Column(one_column(self._relation))

    def exists(self) -> Column:
        """Whether it has a row, as a Column of another query.

        >>> spark.range(1).where(spark.range(2).where("id > 5").exists()).count()
        0
        """
        return Column(e.Exists(self._relation))

    def alias(self, alias: str) -> DataFrame:
        """The same rows, whose columns can be called `alias.name`.

        >>> df = spark.range(3)
        >>> df.alias("a").join(df.alias("b"), F.col("a.id") == F.col("b.id") + 1).select("b.id").orderBy("id").collect()
        [Row(id=0), Row(id=1)]
        """
        if not isinstance(alias, str):
            raise wrong_argument("alias", "str", alias)
        return self._with(self._session._state.analyser.alias(self._relation, alias))

    def transform(self, func: Callable[..., DataFrame], *args: Any, **kwargs: Any) -> DataFrame:
        """What a function makes of the DataFrame, so that calls can be chained.

        >>> spark.range(3).transform(lambda df, least: df.where(df.id >= least), 2).collect()
        [Row(id=2)]
        """
        result = func(self._self, *args, **kwargs)
        if not isinstance(result, DataFrameCore):
            raise PySparkTypeError(f"Func returned an instance of type [{type(result).__name__}], should have been DataFrame.")
        return result

    def unpivot(self, ids: Any, values: Any, variableColumnName: str, valueColumnName: str) -> DataFrame:
        """A row for each of the columns `values` (None: all but `ids`), with its name and its value, beside the columns `ids`.

        Raises AnalysisException when there is nothing to turn, or the types have none in common.

        >>> df = spark.createDataFrame([(1, 11, 12)], ["id", "a", "b"])
        >>> df.unpivot("id", ["a", "b"], "name", "value").collect()
        [Row(id=1, name='a', value=11), Row(id=1, name='b', value=12)]
        """
        analyser, output = self._session._state.analyser, self._relation.output
        kept = analyser.expand([column_of(item) for item in _several(ids)], output) if ids is not None else []
        if values is None:
            keys = {column.id for item in kept if isinstance(column := analyser.resolve(item, output), e.Attribute)}
            turned: list[e.Expression] = [column for column in output if column.id not in keys]
        else:
            turned = [analyser.resolve(item, output) for item in analyser.expand([column_of(item) for item in _several(values)], output)]
        if not turned:
            raise AnalysisException(
                "At least one value column needs to be specified for UNPIVOT, all columns specified as ids.",
                "UNPIVOT_REQUIRES_VALUE_COLUMNS",
            )
        from quiver.sql.analysis.implicit_casts import as_type
        from quiver.sql.analysis.pretty import output_name
        from quiver.sql.analysis.typing import type_of
        from quiver.sql.tree.walking import strip_alias

        kind = common_type([type_of(item) for item in turned])
        if kind is None or _mixed(turned):
            raise AnalysisException(
                "Unpivot value columns must share a least common type, some types do not: "
                f"[{', '.join(f'{type_of(item).simpleString().upper()} ({output_name(item)})' for item in turned)}].",
                "UNPIVOT_VALUE_DATA_TYPE_MISMATCH",
            )
        cells = [cell for item in turned for cell in (e.Literal(output_name(item), t.StringType()), as_type(strip_alias(item), kind))]
        stack = e.Call("stack", (e.Literal(len(turned), t.IntegerType()), *cells))
        return self._with(analyser.project(self._relation, [*kept, e.MultiAlias(stack, (variableColumnName, valueColumnName))]))

    melt = unpivot

    def transpose(self, indexColumn: Any = None) -> DataFrame:
        """Columns as rows: a row for each column but the index (the first, unless told), a column for each value of the index.

        Computed at once; rows whose index is null are left out. Raises AnalysisException when the other columns' types have
        none in common.

        >>> spark.createDataFrame([("x", 1, 2), ("y", 3, 4)], ["k", "a", "b"]).transpose().collect()
        [Row(key='a', x=1, y=3), Row(key='b', x=2, y=4)]
        """
        index = self[0] if indexColumn is None else self[indexColumn] if isinstance(indexColumn, str) else indexColumn
        others = [column for column in map(Column, self._relation.output) if column._expression != index._expression]
        kind = common_type([column._expression.type for column in others if isinstance(column._expression, e.Attribute)])
        if kind is None or _mixed(column._expression for column in others):
            raise AnalysisException("Transpose requires non-index columns to share a least common type.", "TRANSPOSE_NO_LEAST_COMMON_TYPE")
        limit = int(self._session.conf.get("spark.sql.transposeMaxValues", "500"))
        asked = self.select(index.cast("string").alias("key"), *(column.cast(kind) for column in others))
        rows = [row for row in asked.limit(limit + 1).collect() if row[0] is not None]
        if len(rows) > limit:
            raise AnalysisException(f"Number of rows exceeds the allowed limit of {limit} for TRANSPOSE.", "TRANSPOSE_EXCEED_ROW_LIMIT")
        rows.sort(key=lambda row: str(row[0]))
        names = self.select(*others).columns if others else []
        schema = t.StructType([t.StructField("key", t.StringType(), False), *(t.StructField(row[0], kind) for row in rows)])
        turned = sorted(((name, *(row[i] for row in rows)) for i, name in enumerate(names, 1)), key=lambda row: row[0])
        return self._session.createDataFrame(turned, schema)


def _mixed(expressions: Iterable[e.Expression]) -> bool:
    """Whether there is text beside something else: those have a common type in comparisons, but not as values of one column."""
    from quiver.sql.analysis.typing import type_of

    kinds = {isinstance(type_of(expression), t.StringType) for expression in expressions}
    return len(kinds) > 1


def _several(items: Any) -> Sequence[Any]:
    return list(items) if isinstance(items, list | tuple) else [items]


def _renamed(expression: e.Expression, name: str) -> e.Expression:
    if isinstance(expression, e.Alias):
        return replace(expression, name=name)
    return e.Alias(expression, name)
