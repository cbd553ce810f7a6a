"""Reading files into DataFrames."""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from quiver.rdd import RDD
from quiver.sql import types as t
from quiver.sql.analysis.fixed_lengths import check_no_lengths
from quiver.sql.database_sources import database
from quiver.sql.dataframe_core import DataFrameCore
from quiver.sql.errors import AnalysisException, PySparkValueError, wrong_argument
from quiver.sql.file_schemas import called
from quiver.sql.file_sources import files, lines
from quiver.sql.lake_sources import delta, iceberg
from quiver.sql.python.sources import source_rows

if TYPE_CHECKING:
    from quiver.sql.dataframe import DataFrame
    from quiver.sql.session import Session

FORMATS = ("arrow", "avro", "binaryfile", "csv", "delta", "hdf5", "iceberg", "jdbc", "json", "orc", "parquet", "text", "xml")
_ALIASES = {"feather": "arrow", "hdf": "hdf5", "ipc": "arrow"}
NAMES = frozenset({*FORMATS, *_ALIASES, "noop"})
"""What no data source of the program can be called."""


def _texts(df: DataFrameCore, kind: str) -> RDD[str]:
    """The values of a DataFrame's one column. Raises AnalysisException."""
    from quiver.sql.dataframe import DataFrame

    kinds = [column.type for column in df._relation.output]
    if len(kinds) != 1 or not isinstance(kinds[0], t.StringType):
        listed = ", ".join(each.simpleString() for each in kinds)
        raise AnalysisException(f"Texts in {kind.upper()} are read from a DataFrame of one string column, not of ({listed}).")
    rdd: RDD[str] = DataFrame(df._relation, df._session).rdd.map(lambda row: row[0])
    return rdd.filter(lambda text: text is not None)


class DataFrameReader:
    """How files are read: `format`, `option`, `schema`; then `load`, or a format's own method.

    Paths are files, directories, globs, or lists of such. Directories named `key=value` below a path give columns: which of them are
    read is decided by the query's filters on these columns.

    >>> import os, tempfile
    >>> path = os.path.join(tempfile.mkdtemp(), "people.csv")
    >>> with open(path, "w") as file:
    ...     _ = file.write("name,age\\nAlice,5\\nBob,\\n")
    >>> spark.read.csv(path, header=True, inferSchema=True).collect()
    [Row(name='Alice', age=5), Row(name='Bob', age=None)]
    """

    def __init__(self, session: Session) -> None:
        self._session = session
        self._format = "parquet"
        self._options: dict[str, str] = {}
        self._schema: t.StructType | None = None

    def format(self, source: str) -> DataFrameReader:
        """The format that `load` reads: parquet (unless told), csv, json, xml, text, binaryFile, orc, arrow (or feather), jdbc.

        With their extras: avro, delta (options versionAsOf, timestampAsOf), iceberg (snapshot-id, as-of-timestamp, branch, tag), hdf5
        (key, rowsPerPartition). And the names of data sources that were registered: see quiver.sql.datasource.DataSource.
        """
        self._format = source
        return self

    def option(self, key: str, value: Any) -> DataFrameReader:
        """One option of the format; None takes it back. Names are the same in any case."""
        if value is None:
            self._options.pop(key.lower(), None)
        else:
            self._options[key.lower()] = str(value).lower() if isinstance(value, bool) else str(value)
        return self

    def options(self, **options: Any) -> DataFrameReader:
        """Several options."""
        for key, value in options.items():
            self.option(key, value)
        return self

    def schema(self, schema: t.StructType | str) -> DataFrameReader:
        """The columns, instead of looking into the files: a StructType or DDL. Raises ParseException."""
        kinds = t.DataType.fromDDL(schema) if isinstance(schema, str) else schema
        if not isinstance(kinds, t.StructType):
            raise wrong_argument("schema", "str or StructType", schema)
        check_no_lengths(kinds)
        self._schema = kinds
        return self

    def load(
        self, path: str | Sequence[str] | None = None, format: str | None = None, schema: t.StructType | str | None = None, **options: Any
    ) -> DataFrame:
        """The rows of files. Raises AnalysisException: PATH_NOT_FOUND, UNABLE_TO_INFER_SCHEMA, DATA_SOURCE_NOT_FOUND, and
        FAILED_READ_FILE with the name of a file that can't be understood."""
        if format is not None:
            self.format(format)
        if schema is not None:
            self.schema(schema)
        self.options(**options)
        source = self._session._state.data_source(self._format, (*FORMATS, *_ALIASES))
        if source is not None:
            return self._session._dataframe(source_rows(self._session, source, self._with_path(path), self._schema))
        kind = _ALIASES.get(self._format.lower(), self._format.lower())
        if kind == "jdbc":
            return self._session._dataframe(database(self._session, self._options, self._schema))
        given = path if path is not None else self._options.get("path")
        if not given:
            if kind in ("text", "binaryfile", "csv", "json", "xml") and self._schema is not None:
                raise AnalysisException("'path' is not specified.", "UNSPECIFIED_PATH")
            raise AnalysisException(
                f"Unable to infer schema for {called(kind)}. It must be specified manually: no path is given.", "UNABLE_TO_INFER_SCHEMA"
            )
        paths = [given] if isinstance(given, str) else [str(one) for one in given]
        if not all(isinstance(one, str | os.PathLike) for one in ([given] if isinstance(given, str) else given)):
            raise wrong_argument("path", "str or list of str", given)
        if kind in ("delta", "iceberg"):
            if len(paths) != 1:
                raise AnalysisException(f"A {kind.capitalize()} table has one path, not {len(paths)}.")
            return self._session._dataframe((delta if kind == "delta" else iceberg)(self._session, paths[0], self._options))
        return self._session._dataframe(files(self._session, kind, paths, self._options, self._schema))

    def _with_path(self, path: str | Sequence[str] | None) -> dict[str, str]:
        """The options, and where `load` was told to read from: of several paths, `paths`, a list in JSON."""
        if path is None:
            return self._options
        given = [str(path)] if isinstance(path, str | os.PathLike) else [str(one) for one in path]
        return {**self._options, **({"path": given[0]} if len(given) == 1 else {"paths": json.dumps(given)})}

    def parquet(self, *paths: str, **options: Any) -> DataFrame:
        """Parquet files. `mergeSchema`: columns of all files, rather than of the first. `verifyChecksums`: a page with a wrong byte is an
        error, where the file has checksums (as all have that are written here); such files are read more slowly.

        >>> import tempfile, pyarrow, pyarrow.parquet
        >>> folder = tempfile.mkdtemp()
        >>> pyarrow.parquet.write_table(pyarrow.table({"n": [1, 2]}), f"{folder}/one.parquet")
        >>> spark.read.parquet(folder).collect()
        [Row(n=1), Row(n=2)]
        """
        return self.load(list(paths), "parquet", **options)

    def orc(self, path: str | Sequence[str], **options: Any) -> DataFrame:
        """ORC files.

        >>> import os, tempfile, pyarrow, pyarrow.orc
        >>> path = os.path.join(tempfile.mkdtemp(), "one.orc")
        >>> pyarrow.orc.write_table(pyarrow.table({"n": [1, 2]}), path)
        >>> spark.read.orc(path).collect()
        [Row(n=1), Row(n=2)]
        """
        return self.load(path, "orc", **options)

    def csv(self, path: str | Sequence[str] | RDD[str] | DataFrame, schema: t.StructType | str | None = None, **options: Any) -> DataFrame:
        """Lines of values, of files, of an RDD, or of a DataFrame of one column.

        All of Spark's options: header, sep, quote, escape, comment, nullValue, multiLine,
        inferSchema (else all are strings), encoding, dateFormat, timestampFormat … and `mode` for records that are not what the columns
        promise: PERMISSIVE (null, and the record in a column `_corrupt_record` if the schema has one), DROPMALFORMED, FAILFAST.

        >>> spark.read.csv(spark.sparkContext.parallelize(["1,x", "?,y"]), schema="n int, s string").collect()
        [Row(n=1, s='x'), Row(n=None, s='y')]
        """
        if isinstance(path, RDD | DataFrameCore):
            return self._of_lines(path, "csv", schema, options)
        return self.load(path, "csv", schema, **options)

    def json(self, path: str | Sequence[str] | RDD[str] | DataFrame, schema: t.StructType | str | None = None, **options: Any) -> DataFrame:
        """One JSON object a line, of files, of an RDD, or of a DataFrame of one column.

        With `multiLine`, one or a list of them a file. All of Spark's options.

        >>> import os, tempfile
        >>> path = os.path.join(tempfile.mkdtemp(), "rows.json")
        >>> with open(path, "w") as file:
        ...     _ = file.write('{"b": 1, "a": {"k": [1.5]}}')
        >>> spark.read.json(path).collect()
        [Row(a=Row(k=[1.5]), b=1)]
        """
        if isinstance(path, RDD | DataFrameCore):
            return self._of_lines(path, "json", schema, options)
        return self.load(path, "json", schema, **options)

    def xml(
        self,
        path: str | Sequence[str] | RDD[str] | DataFrame,
        rowTag: str | None = None,
        schema: t.StructType | str | None = None,
        **options: Any,
    ) -> DataFrame:
        """The elements `rowTag` of files; or texts of one element each, of an RDD, or of a DataFrame of one column.

        Attributes are columns `_name`, the text of elements that have more than text is `_VALUE`. Options as Spark's, but for
        rowValidationXSDPath and wildcardColName. A task reads a file as a whole. In files with a document type, records whose entities
        it declares are malformed.

        >>> import os, tempfile
        >>> path = os.path.join(tempfile.mkdtemp(), "rows.xml")
        >>> with open(path, "w") as file:
        ...     _ = file.write('<all><r k="x"><n>1</n></r><r><n>2.5</n></r></all>')
        >>> spark.read.xml(path, "r").collect()
        [Row(_k='x', n=1.0), Row(_k=None, n=2.5)]
        """
        self.option("rowTag", rowTag if rowTag is not None else self._options.get("rowtag"))
        if isinstance(path, RDD | DataFrameCore):
            return self._of_lines(path, "xml", schema, options)
        return self.load(path, "xml", schema, **options)

    def _of_lines(
        self, given: RDD[str] | DataFrameCore, kind: str, schema: t.StructType | str | None, options: dict[str, Any]
    ) -> DataFrame:
        rdd = _texts(given, kind) if isinstance(given, DataFrameCore) else given
        if schema is not None:
            self.schema(schema)
        self.options(**options)
        return self._session._dataframe(lines(self._session, rdd, kind, self._options, self._schema))

    def text(self, paths: str | Sequence[str], wholetext: bool = False, lineSep: str | None = None, **options: Any) -> DataFrame:
        """Lines (or, `wholetext`, whole files) as a column `value`.

        >>> import os, tempfile
        >>> path = os.path.join(tempfile.mkdtemp(), "a.txt")
        >>> with open(path, "w") as file:
        ...     _ = file.write("one\\ntwo")
        >>> spark.read.text(path).collect()
        [Row(value='one'), Row(value='two')]
        """
        return self.option("wholetext", wholetext).option("lineSep", lineSep).load(paths, "text", **options)

    def jdbc(
        self,
        url: str,
        table: str,
        column: str | None = None,
        lowerBound: int | str | None = None,
        upperBound: int | str | None = None,
        numPartitions: int | None = None,
        predicates: list[str] | None = None,
        properties: dict[str, str] | None = None,
    ) -> DataFrame:
        """A table of a database, or a query in parentheses. `url` is SQLAlchemy's, with or without `jdbc:` in front of it.

        Read in one partition; in `numPartitions` strides of a `column`; or in one for each of `predicates`, conditions in the database's
        SQL. Needs the extra `jdbc`. Raises AnalysisException FAILED_JDBC with what the database says.

        >>> import os, sqlite3, tempfile
        >>> path = os.path.join(tempfile.mkdtemp(), "one.db")
        >>> with sqlite3.connect(path) as database:
        ...     _ = database.execute("CREATE TABLE people (id INTEGER, name TEXT)")
        ...     _ = database.execute("INSERT INTO people VALUES (1, 'Alice'), (2, 'Bob')")
        >>> spark.read.jdbc(f"sqlite:///{path}", "people", "id", 1, 3, 2).where("id > 1").collect()
        [Row(id=2, name='Bob')]
        """
        self.options(**(properties or {})).options(url=url, dbtable=table)
        if column is not None:
            if lowerBound is None or upperBound is None or numPartitions is None:
                raise PySparkValueError("`lowerBound`, `upperBound` and `numPartitions` are needed with `column`.", "ARGUMENT_REQUIRED")
            self.options(partitionColumn=column, lowerBound=lowerBound, upperBound=upperBound, numPartitions=numPartitions)
        return self._session._dataframe(database(self._session, self._options, self._schema, predicates))

    def table(self, tableName: str) -> DataFrame:
        """A view by name.

        >>> spark.range(2).createOrReplaceTempView("numbers")
        >>> spark.read.table("numbers").count()
        2
        """
        return self._session.table(tableName)
