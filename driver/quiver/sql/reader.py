"""Reading files into DataFrames."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from quiver.sql import types as t
from quiver.sql.discovery import Found, discover
from quiver.sql.errors import AnalysisException, wrong_argument
from quiver.sql.file_schemas import called, schema_of_files, stored_names
from quiver.sql.tree.expressions import Attribute
from quiver.sql.tree.relations import Files

if TYPE_CHECKING:
    from quiver.sql.dataframe import DataFrame
    from quiver.sql.session import Session

FORMATS = ("arrow", "csv", "json", "parquet")


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
        """The format that `load` reads: parquet (unless told), csv or json."""
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
        given = path if path is not None else self._options.get("path")
        if given is None:
            raise AnalysisException("No path is given: use load(path).", "UNABLE_TO_INFER_SCHEMA")
        kind = {"feather": "arrow", "ipc": "arrow"}.get(self._format.lower(), self._format.lower())
        if kind not in FORMATS:
            raise AnalysisException(
                f"Failed to find the data source: {self._format}. Formats are {', '.join(FORMATS)}.", "DATA_SOURCE_NOT_FOUND"
            )
        return self._read(kind, [given] if isinstance(given, str) else [str(one) for one in given])

    def _read(self, kind: str, paths: Sequence[str]) -> DataFrame:
        found = discover(paths, self._options)
        schema, verified = self._columns(kind, found)
        columns = tuple(Attribute(self._session._new_id(), field.name, field.dataType, True) for field in schema)
        if self._schema is not None and kind == "parquet" and found.files:
            schema = stored_names(schema, found.files[0].path)
        names = tuple(name for name, _ in found.partitions)
        options = tuple(self._options.items())
        return self._session._dataframe(Files(kind, found.roots, options, schema, columns, names, found.files, verified))

    def _columns(self, kind: str, found: Found) -> tuple[t.StructType, frozenset[str]]:
        """Partition columns last; of the types that were asked for, or else those of their directories' names."""
        wanted, verified = self._schema, frozenset[str]()
        if wanted is None:
            if not found.files:
                raise AnalysisException(
                    f"Unable to infer schema for {called(kind)}. It must be specified manually.", "UNABLE_TO_INFER_SCHEMA"
                )
            wanted, verified = schema_of_files(kind, [file.path for file in found.files], self._options)
        asked = {field.name: field.dataType for field in wanted}
        partitions = {name: asked.get(name, inferred) for name, inferred in found.partitions}
        fields = [t.StructField(field.name, field.dataType) for field in wanted if field.name not in partitions]
        return t.StructType([*fields, *(t.StructField(name, inferred) for name, inferred in partitions.items())]), verified

    def parquet(self, *paths: str, **options: Any) -> DataFrame:
        """Parquet files. `mergeSchema`: columns of all files, rather than of the first.

        >>> import tempfile, pyarrow, pyarrow.parquet
        >>> folder = tempfile.mkdtemp()
        >>> pyarrow.parquet.write_table(pyarrow.table({"n": [1, 2]}), f"{folder}/one.parquet")
        >>> spark.read.parquet(folder).collect()
        [Row(n=1), Row(n=2)]
        """
        return self.load(list(paths), "parquet", **options)

    def csv(self, path: str | Sequence[str], schema: t.StructType | str | None = None, **options: Any) -> DataFrame:
        """Lines of values. Options: header, sep, quote, escape, comment, nullValue, multiLine, inferSchema (else all are strings), and
        mode for values that have not their column's type: PERMISSIVE (null), DROPMALFORMED, FAILFAST. See the class for an example."""
        return self.load(path, "csv", schema, **options)

    def json(self, path: str | Sequence[str], schema: t.StructType | str | None = None, **options: Any) -> DataFrame:
        """One JSON object a line.

        >>> import os, tempfile
        >>> path = os.path.join(tempfile.mkdtemp(), "rows.json")
        >>> with open(path, "w") as file:
        ...     _ = file.write('{"b": 1, "a": {"k": [1.5]}}')
        >>> spark.read.json(path).collect()
        [Row(a=Row(k=[1.5]), b=1)]
        """
        return self.load(path, "json", schema, **options)

    def table(self, tableName: str) -> DataFrame:
        """A view by name.

        >>> spark.range(2).createOrReplaceTempView("numbers")
        >>> spark.read.table("numbers").count()
        2
        """
        return self._session.table(tableName)
