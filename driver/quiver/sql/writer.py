"""Writing DataFrames to files."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from quiver.callsite import capture
from quiver.sql.delta_targets import write_delta
from quiver.sql.errors import AnalysisException, IllegalArgumentException, column_not_found, wrong_argument
from quiver.sql.metastore import Buckets
from quiver.sql.saving import Output, run_only, save, save_mode
from quiver.sql.table_writes import TableSpec, create_as, insert_into, name_parts

if TYPE_CHECKING:
    from quiver.sql.dataframe import DataFrame
    from quiver.sql.datasource import DataSource
    from quiver.sql.tree.relations import Relation


class DataFrameWriter:
    """How rows are written: `format`, `mode`, `option`, `partitionBy`; then `save`, or a format's own method.

    A path becomes a directory of files `part-00000-<uuid>-c000.snappy.parquet`, … and an empty `_SUCCESS`. Rows are staged and put in
    place once: a write that fails or is cancelled leaves nothing, and `overwrite` takes the old rows away only when the new ones are
    all there.

    >>> import tempfile
    >>> path = tempfile.mkdtemp() + "/people"
    >>> df = spark.createDataFrame([("Alice", 5), ("Bob", 7)], ["name", "age"])
    >>> df.write.parquet(path)
    >>> df.write.mode("append").parquet(path)
    >>> spark.read.parquet(path).count()
    4
    """

    def __init__(self, df: DataFrame) -> None:
        self._df = df
        self._format: str | None = None
        self._mode = "error"
        self._options: dict[str, str] = {}
        self._partition_by: tuple[str, ...] = ()
        self._buckets: Buckets | None = None
        self._sort_by: tuple[str, ...] = ()
        self._cluster_by: tuple[str, ...] = ()

    def mode(self, saveMode: str | None) -> DataFrameWriter:
        """What to do where there is something already: `append`, `overwrite`, `ignore` (write nothing), or `error` (unless told; also
        `errorifexists`). Raises AnalysisException INVALID_SAVE_MODE.

        >>> spark.range(1).write.mode("upsert")  # doctest: +ELLIPSIS
        Traceback (most recent call last):
        ...
        quiver.sql.errors.AnalysisException: [INVALID_SAVE_MODE] The specified save mode "upsert" is invalid. ...
        """
        if saveMode is not None:
            self._mode = save_mode(saveMode)
        return self

    def format(self, source: str) -> DataFrameWriter:
        """What `save` and `saveAsTable` write: parquet (unless told), csv, json, xml, text, orc, arrow, avro, or
        noop, which computes the rows and leaves them. `save` alone: jdbc, and with its extra delta, whose table gets all rows or none
        (modes as of files; `overwriteSchema` with overwrite takes the rows' columns for the table's), and data sources that were
        registered (see quiver.sql.datasource.DataSource)."""
        self._format = source
        return self

    def option(self, key: str, value: Any) -> DataFrameWriter:
        """One option of the format; None takes it back. Names are the same in any case. Of all formats: `maxRecordsPerFile`, and
        `maxFileBytes` (`512m`): about how large a file gets before its task goes on in the next one."""
        if value is None:
            self._options.pop(key.lower(), None)
        else:
            self._options[key.lower()] = str(value).lower() if isinstance(value, bool) else str(value)
        return self

    def options(self, **options: Any) -> DataFrameWriter:
        """Several options."""
        for key, value in options.items():
            self.option(key, value)
        return self

    def partitionBy(self, *cols: str | Sequence[str]) -> DataFrameWriter:
        """Rows go to directories named `column=value`, which readers know again as columns; null and "" are both
        `__HIVE_DEFAULT_PARTITION__`.

        >>> import os, tempfile
        >>> path = tempfile.mkdtemp() + "/out"
        >>> spark.range(4).selectExpr("id", "id % 2 AS k").write.partitionBy("k").parquet(path)
        >>> sorted(os.listdir(path))
        ['_SUCCESS', 'k=0', 'k=1']
        """
        self._partition_by = _names("cols", cols)
        return self

    def bucketBy(self, numBuckets: int, col: str | Sequence[str], *cols: str) -> DataFrameWriter:
        """Rows go to `numBuckets` files by the hash of these columns, in tables alone (`saveAsTable`).

        >>> spark.range(4).write.bucketBy(2, "id").save("bucketed")
        Traceback (most recent call last):
        ...
        quiver.sql.errors.AnalysisException: 'save' does not support bucketBy right now.
        """
        if not isinstance(numBuckets, int) or isinstance(numBuckets, bool):
            raise wrong_argument("numBuckets", "int", numBuckets)
        if numBuckets < 1:
            raise AnalysisException(
                f"Number of buckets should be greater than 0 but less than or equal to bucketing.maxBuckets, got `{numBuckets}`.",
                "INVALID_BUCKET_COUNT",
            )
        self._buckets = Buckets(numBuckets, _names("col", (col, *cols)))
        return self

    def sortBy(self, col: str | Sequence[str], *cols: str) -> DataFrameWriter:
        """Order the rows of each bucket by these columns; only with `bucketBy`."""
        self._sort_by = _names("col", (col, *cols))
        return self

    def clusterBy(self, *cols: str | Sequence[str]) -> DataFrameWriter:
        """Order the rows of each task by these columns before they are written, so that a reader's filters can pass over more of them.

        >>> import tempfile
        >>> path = tempfile.mkdtemp() + "/out"
        >>> spark.range(3).selectExpr("id", "-id AS n").write.clusterBy("n").parquet(path)
        >>> spark.read.parquet(path).count()
        3
        """
        self._cluster_by = _names("cols", cols)
        return self

    def _relation(self) -> Relation:
        relation = self._df._relation
        if not self._cluster_by:
            return relation
        unknown = [name for name in self._cluster_by if name.lower() not in {column.name.lower() for column in relation.output}]
        if unknown:
            raise column_not_found(unknown[0], self._df.columns)
        return self._df.sortWithinPartitions(*self._cluster_by)._relation

    def _bucketing(self, operation: str | None) -> Buckets | None:
        """The buckets with their order. Raises AnalysisException where `operation` has none, and for an order without buckets."""
        if self._buckets is None:
            if self._sort_by:
                raise AnalysisException("sortBy must be used together with bucketBy.", "SORT_BY_WITHOUT_BUCKETING")
            return None
        if operation is not None:
            what = "bucketBy and sortBy" if self._sort_by else "bucketBy"
            raise AnalysisException(f"'{operation}' does not support {what} right now.")
        return self._buckets._replace(sort=self._sort_by)

    def save(
        self,
        path: str | None = None,
        format: str | None = None,
        mode: str | None = None,
        partitionBy: str | Sequence[str] | None = None,
        **options: Any,
    ) -> None:
        """Write the rows below `path`.

        Raises AnalysisException: PATH_ALREADY_EXISTS, UNSUPPORTED_OVERWRITE.PATH when the rows come from there,
        UNSUPPORTED_DATA_TYPE_FOR_DATASOURCE; DiskFull; PathUnwritable for what can't be written.
        """
        self.mode(mode).options(**options)
        if partitionBy is not None:
            self.partitionBy(partitionBy)
        if format is not None:
            self.format(format)
        self._bucketing("save")
        target = path if path is not None else self._options.get("path")
        if self._source().lower() == "noop":
            run_only(self._df._session, self._relation(), capture())
            return
        if self._source().lower() == "jdbc":
            self._to_database()
            return
        source = self._df._session._state.data_sources.get(self._source().lower())
        if source is not None:
            self._to_source(source, None if target is None else str(target))
            return
        if target is None:
            raise IllegalArgumentException("'path' is not specified.")
        output = Output(str(target), self._source(), self._mode, self._options, self._partition_by)
        if self._source().lower() == "delta":
            write_delta(self._df._session, self._relation(), output, capture())
            return
        save(self._df._session, self._relation(), output, capture())

    def saveAsTable(
        self,
        name: str,
        format: str | None = None,
        mode: str | None = None,
        partitionBy: str | Sequence[str] | None = None,
        **options: Any,
    ) -> None:
        """Write the rows as a table of the catalog: files in a folder of the warehouse (spark.sql.warehouse.dir), or with the option
        `path` there. `append` adds rows by the names of their columns, `overwrite` makes the table anew.

        Raises AnalysisException: TABLE_OR_VIEW_ALREADY_EXISTS, LOCATION_ALREADY_EXISTS, INCOMPATIBLE_DATA_FOR_TABLE,
        UNSUPPORTED_OVERWRITE.TABLE, and what `save` raises.

        >>> spark.range(3).write.bucketBy(2, "id").sortBy("id").saveAsTable("written")
        >>> spark.range(1).write.mode("append").saveAsTable("written")
        >>> sorted(row.id for row in spark.table("written").collect()), spark.catalog.dropTable("written")
        ([0, 0, 1, 2], None)
        """
        self.mode(mode).options(**options)
        if partitionBy is not None:
            self.partitionBy(partitionBy)
        if format is not None:
            self.format(format)
        spec = TableSpec(self._source(), self._options, self._partition_by, self._bucketing(None), self._options.get("path", ""))
        create_as(self._df._session, name_parts(name), self._relation(), spec, self._mode, capture())

    def insertInto(self, tableName: str, overwrite: bool | None = None) -> None:
        """Add the rows to a table, column by column in its order, whatever they are called; or (`overwrite`, or that mode) put them in the
        place of its rows, see the setting spark.sql.sources.partitionOverwriteMode.

        Raises AnalysisException: TABLE_OR_VIEW_NOT_FOUND, INSERT_COLUMN_ARITY_MISMATCH, INCOMPATIBLE_DATA_FOR_TABLE,
        UNSUPPORTED_OVERWRITE.TABLE.

        >>> spark.range(2).write.saveAsTable("target")
        >>> spark.sql("SELECT 7 AS seven").write.insertInto("target")
        >>> sorted(row.id for row in spark.table("target").collect()), spark.catalog.dropTable("target")
        ([0, 1, 7], None)
        """
        if overwrite is not None:
            self.mode("overwrite" if overwrite else "append")
        parts = name_parts(tableName)
        if self._partition_by:
            raise AnalysisException(
                "partitionBy() cannot be used with insertInto(). Partition columns for table "
                f"{'.'.join(parts)} are determined by the table definition.",
                "PARTITION_BY_NOT_ALLOWED_WITH_INSERT_INTO",
            )
        self._bucketing("insertInto")
        df = self._df
        insert_into(df._session, parts, self._relation(), capture(), overwrite=self._mode == "overwrite", options=self._options)

    def _source(self) -> str:
        return self._format or str(self._df._session.conf.get("spark.sql.sources.default", "parquet"))

    def parquet(
        self,
        path: str,
        mode: str | None = None,
        partitionBy: str | Sequence[str] | None = None,
        compression: str | None = None,
    ) -> None:
        """Parquet files. `compression`: snappy (unless told), zstd, gzip, lz4_raw, brotli, none. Options: `parquet.block.size` (bytes of
        rows in memory per row group), `parquet.page.size`, `compressionLevel`. See the class for an example."""
        self._given(compression=compression)
        self.save(path, "parquet", mode, partitionBy)

    def csv(
        self,
        path: str,
        mode: str | None = None,
        compression: str | None = None,
        sep: str | None = None,
        quote: str | None = None,
        escape: str | None = None,
        header: bool | str | None = None,
        nullValue: str | None = None,
        escapeQuotes: bool | str | None = None,
        quoteAll: bool | str | None = None,
        dateFormat: str | None = None,
        timestampFormat: str | None = None,
        ignoreLeadingWhiteSpace: bool | str | None = None,
        ignoreTrailingWhiteSpace: bool | str | None = None,
        charToEscapeQuoteEscaping: str | None = None,
        encoding: str | None = None,
        emptyValue: str | None = None,
        lineSep: str | None = None,
    ) -> None:
        r"""Lines of values. As Spark's: spaces around values go, an empty text is `""`, null is empty, and quotes are escaped by `\`.

        >>> import pathlib, tempfile
        >>> path = pathlib.Path(tempfile.mkdtemp(), "out")
        >>> spark.createDataFrame([("a,b", None), ('say "x"', 2)], "s string, n int").write.csv(str(path), header=True)
        >>> print(next(path.glob("part-*")).read_text(), end="")
        s,n
        "a,b",
        "say \"x\"",2
        """
        self._given(
            compression=compression, sep=sep, quote=quote, escape=escape, header=header, nullValue=nullValue, escapeQuotes=escapeQuotes,
            quoteAll=quoteAll, dateFormat=dateFormat, timestampFormat=timestampFormat, ignoreLeadingWhiteSpace=ignoreLeadingWhiteSpace,
            ignoreTrailingWhiteSpace=ignoreTrailingWhiteSpace, charToEscapeQuoteEscaping=charToEscapeQuoteEscaping, encoding=encoding,
            emptyValue=emptyValue, lineSep=lineSep,
        )  # fmt: skip
        self.save(path, "csv", mode)

    def json(
        self,
        path: str,
        mode: str | None = None,
        compression: str | None = None,
        dateFormat: str | None = None,
        timestampFormat: str | None = None,
        lineSep: str | None = None,
        encoding: str | None = None,
        ignoreNullFields: bool | str | None = None,
    ) -> None:
        """One JSON object a line; nulls are left out unless `ignoreNullFields` is false.

        >>> import pathlib, tempfile
        >>> path = pathlib.Path(tempfile.mkdtemp(), "out")
        >>> spark.sql("SELECT 1 AS a, NULL AS b, array(1.5D) AS c").write.json(str(path))
        >>> print(next(path.glob("part-*")).read_text(), end="")
        {"a":1,"c":[1.5]}
        """
        self._given(
            compression=compression, dateFormat=dateFormat, timestampFormat=timestampFormat, lineSep=lineSep, encoding=encoding,
            ignoreNullFields=ignoreNullFields,
        )  # fmt: skip
        self.save(path, "json", mode)

    def xml(
        self,
        path: str,
        rowTag: str | None = None,
        mode: str | None = None,
        attributePrefix: str | None = None,
        valueTag: str | None = None,
        rootTag: str | None = None,
        declaration: str | None = None,
        arrayElementName: str | None = None,
        nullValue: str | None = None,
        dateFormat: str | None = None,
        timestampFormat: str | None = None,
        compression: str | None = None,
        encoding: str | None = None,
        validateName: bool | str | None = None,
    ) -> None:
        """Documents of one element `rootTag` (ROWS) of an element `rowTag` a row, as to_xml writes it. Files of no rows are empty.

        >>> import pathlib, tempfile
        >>> path = pathlib.Path(tempfile.mkdtemp(), "out")
        >>> spark.sql("SELECT 1 AS a, 'x' AS _k").write.xml(str(path), "r", rootTag="all", declaration="")
        >>> print(next(path.glob("part-*")).read_text())
        <all>
            <r k="x">
                <a>1</a>
            </r>
        </all>
        """
        self._given(
            rowTag=rowTag, attributePrefix=attributePrefix, valueTag=valueTag, rootTag=rootTag, declaration=declaration,
            arrayElementName=arrayElementName, nullValue=nullValue, dateFormat=dateFormat, timestampFormat=timestampFormat,
            compression=compression, encoding=encoding, validateName=validateName,
        )  # fmt: skip
        self.save(path, "xml", mode)

    def text(self, path: str, compression: str | None = None, lineSep: str | None = None) -> None:
        """The lines of the only column, a text. Raises AnalysisException for other columns.

        >>> import pathlib, tempfile
        >>> path = pathlib.Path(tempfile.mkdtemp(), "out")
        >>> spark.createDataFrame([("one",), (None,)], "line string").write.text(str(path))
        >>> next(path.glob("part-*")).read_text()
        'one\\n\\n'
        """
        self._given(compression=compression, lineSep=lineSep)
        self.save(path, "text")

    def orc(
        self,
        path: str,
        mode: str | None = None,
        partitionBy: str | Sequence[str] | None = None,
        compression: str | None = None,
    ) -> None:
        """ORC files. `compression`: zstd (unless told), snappy, zlib, lz4, none."""
        self._given(compression=compression)
        self.save(path, "orc", mode, partitionBy)

    def jdbc(self, url: str, table: str, mode: str | None = None, properties: dict[str, str] | None = None) -> None:
        """A table of a database, through SQLAlchemy (`quiver-cluster[jdbc]`). `url` is SQLAlchemy's, with or without `jdbc:` in front.
        `properties`: user, password. Options: `truncate` (overwrite keeps the table's definition), `batchsize`.

        Tasks insert into a table that stands beside; one transaction moves the rows: a write that fails changes nothing.

        >>> import tempfile
        >>> url = f"sqlite:///{tempfile.mkdtemp()}/some.db"
        >>> spark.range(3).write.jdbc(url, "numbers")
        >>> spark.range(2).write.jdbc(url, "numbers", "append")
        >>> spark.read.jdbc(url, "numbers").count()
        5
        """
        self.mode(mode).options(**(properties or {})).options(url=url, dbtable=table)
        self.format("jdbc").save()

    def _to_database(self) -> None:
        from quiver.sql.database_targets import write_database

        if self._partition_by:
            raise AnalysisException("'save' to a database does not support partitionBy.")
        write_database(self._df._session, self._relation(), self._options, self._mode, capture())

    def _to_source(self, source: type[DataSource], path: str | None) -> None:
        from quiver.sql.python.sources import write_source

        if self._partition_by:
            raise AnalysisException("'save' to a data source of the program does not support partitionBy.")
        options = self._options if path is None else {**self._options, "path": path}
        write_source(self._df._session, self._relation(), source, options, self._mode, capture())

    def _given(self, **options: Any) -> None:
        for key, value in options.items():
            if value is not None:
                self.option(key, value)


def _names(argument: str, given: Sequence[Any]) -> tuple[str, ...]:
    names = given[0] if len(given) == 1 and isinstance(given[0], list | tuple) else given
    for name in names:
        if not isinstance(name, str):
            raise wrong_argument(argument, "str", name)
    return tuple(names)
