"""udtf: classes of users whose calls make rows."""

from __future__ import annotations

import inspect
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from quiver.sql import types as t
from quiver.sql.errors import AnalysisException, PySparkAttributeError, PySparkRuntimeError, PySparkTypeError
from quiver.sql.literals import column_of
from quiver.sql.python.user_defined import UserDefinedFunction
from quiver.sql.tree import expressions as e
from quiver.sql.tree.walking import walk

if TYPE_CHECKING:
    from quiver.sql.dataframe import DataFrame
    from quiver.sql.session import Session


class UserDefinedTableFunction:
    """A class whose `eval` yields rows (tuples), and whose `terminate`, where it has one, yields the last ones. Made by udtf.

    Called with columns, values or a table (`df.asTable()`) it gives a DataFrame; registered with `spark.udtf`, SQL calls it in FROM and in
    LATERAL joins. An instance is given the rows of one partition, or of one group of the table's: `eval` is called for each of them, then
    `terminate`, whose rows of a LATERAL join stand beside the last row, and in any case `cleanup`.
    """

    def __init__(
        self,
        func: type,
        returnType: t.StructType | str | None,
        name: str | None = None,
        deterministic: bool = False,
        is_arrow: bool = False,
    ) -> None:
        _check_handler(func, returnType, is_arrow)
        self.func = func
        self.is_arrow = is_arrow
        self._name: str = name or func.__name__
        self._returns = returnType
        self._deterministic = deterministic
        self._made: UserDefinedFunction | None = None

    @property
    def evalType(self) -> int:
        """Spark's number of what kind of function it is."""
        return 302 if self.is_arrow else 300

    @property
    def returnType(self) -> t.StructType | None:
        """The columns of its rows; None where analyze() tells them. Raises PySparkTypeError for a type that is no struct."""
        kind = t.DataType.fromDDL(self._returns) if isinstance(self._returns, str) else self._returns
        if kind is not None and not isinstance(kind, t.StructType):
            raise PySparkTypeError(f"The return type of the table function `{self._name}` must be a struct.", "UDTF_RETURN_TYPE_MISMATCH")
        self._returns = kind
        return kind

    @property
    def deterministic(self) -> bool:
        """Whether equal arguments give equal rows."""
        return self._deterministic

    def asDeterministic(self) -> UserDefinedTableFunction:
        """The same function, which gives equal rows for equal arguments."""
        return self._copy(self._name, True)

    def _copy(self, name: str, deterministic: bool) -> UserDefinedTableFunction:
        return UserDefinedTableFunction(self.func, self._returns, name, deterministic, self.is_arrow)

    @property
    def _analyzes(self) -> bool:
        return self._returns is None

    def _as_generator(self, args: Sequence[e.Expression], names: Sequence[str | None]) -> e.Expression:
        """A call whose arguments depend on a query around: an instance for each row. Raises AnalysisException for what needs more."""
        returns = self.returnType
        if returns is None or self.is_arrow:
            what = "made of Arrow columns" if self.is_arrow else "analyzed"
            raise AnalysisException(
                f"The table function `{self._name}` is {what}: it can be called in FROM, or in a LATERAL join of a table.",
                "UNSUPPORTED_FEATURE.TABLE_OPERATION",
            )
        if self._made is None:
            self._made = UserDefinedFunction(CallRows(self.func), t.ArrayType(returns), "row", self._name, self._deterministic)
        return e.Call("inline", (self._made._routine(args, names),))

    def __call__(self, *args: Any, **kwargs: Any) -> DataFrame:
        from quiver.sql.column import Column
        from quiver.sql.python.table_argument import TableArg
        from quiver.sql.python.table_calls import table_call
        from quiver.sql.session import Session

        tables = [value for value in (*args, *kwargs.values()) if isinstance(value, TableArg)]
        session = tables[0]._df._session if tables else Session.getActiveSession()
        if session is None:
            raise PySparkRuntimeError(f"`{self._name}` makes a DataFrame: there is no session that it could be of.", "NO_ACTIVE_SESSION")
        given = [value._argument if isinstance(value, TableArg) else column_of(value) for value in (*args, *kwargs.values())]
        names = [*[None] * len(args), *kwargs]
        plain = [value for value in given if isinstance(value, e.Expression)]
        if any(isinstance(part, e.Outer) for value in plain for part in walk(value)):
            return session.range(1).select(Column(self._as_generator(plain, names)))
        return session._dataframe(table_call(session._state.analyser, self, given, names))


def _check_handler(handler: Any, returns: Any, is_arrow: bool) -> None:
    """Raises PySparkTypeError, PySparkAttributeError for a class that is no table function."""
    if not isinstance(handler, type):
        raise PySparkTypeError(
            f"Invalid function: the function handler must be a class, got {type(handler).__name__}.", "INVALID_UDTF_HANDLER_TYPE"
        )
    name = handler.__name__
    if not hasattr(handler, "eval"):
        raise PySparkAttributeError(
            f"The UDTF '{name}' is invalid. It does not implement the required 'eval' method.", "INVALID_UDTF_NO_EVAL"
        )
    analyze = inspect.getattr_static(handler, "analyze", None)
    if analyze is not None and is_arrow:
        raise PySparkAttributeError(
            f"The arrow UDTF '{name}' is invalid. It has an 'analyze' method: give a return type instead.",
            "INVALID_ARROW_UDTF_WITH_ANALYZE",
        )
    if returns is None and not isinstance(analyze, staticmethod):
        raise PySparkAttributeError(
            f"The UDTF '{name}' is invalid. It does not specify its return type or implement the required 'analyze' static method.",
            "INVALID_UDTF_RETURN_TYPE",
        )
    if returns is not None and analyze is not None:
        raise PySparkAttributeError(
            f"The UDTF '{name}' is invalid. It has both its return type and an 'analyze' attribute. Please make it have one of them.",
            "INVALID_UDTF_BOTH_RETURN_TYPE_AND_ANALYZE",
        )


@dataclass(frozen=True, slots=True)
class TableRoutine:
    """What a name of a session's table function means: in FROM the function is asked for, elsewhere it is a generator."""

    function: UserDefinedTableFunction

    def __call__(self, args: Sequence[e.Expression], names: Sequence[str | None]) -> e.Expression:
        return self.function._as_generator(args, names)


@dataclass(frozen=True, slots=True)
class CallRows:
    """All rows of one call of a user's class, for calls that depend on a query around."""

    handler: type

    def __call__(self, *args: Any, **kwargs: Any) -> list[Any]:
        handler: Any = self.handler()
        rows = list(_rows(handler.eval(*args, **kwargs)))
        if hasattr(handler, "terminate"):
            rows += _rows(handler.terminate())
        if hasattr(handler, "cleanup"):
            handler.cleanup()
        return rows


def _rows(made: Iterable[Any] | None) -> Iterable[Any]:
    return () if made is None else made


def udtf(cls: Any = None, *, returnType: Any = None, useArrow: bool | None = None) -> Any:
    """A class as a function that makes rows: `udtf(Cls, returnType="a int, b string")`, or a decorator. Without `returnType` the class has
    a static method `analyze`, which is told the arguments (AnalyzeArgument) and gives an AnalyzeResult.

    >>> @F.udtf(returnType="n int, square int")
    ... class Squares:
    ...     def eval(self, first: int, last: int):
    ...         for n in range(first, last + 1):
    ...             yield n, n * n
    >>> Squares(F.lit(1), F.lit(2)).collect()
    [Row(n=1, square=1), Row(n=2, square=4)]
    >>> _ = spark.udtf.register("squares", Squares)
    >>> spark.sql("SELECT id, square FROM range(3), LATERAL squares(id, id)").collect()
    [Row(id=0, square=0), Row(id=1, square=1), Row(id=2, square=4)]
    """

    return _maker(cls, returnType, False)


def arrow_udtf(cls: Any = None, *, returnType: Any = None) -> Any:
    """As udtf, of Arrow columns: `eval` is given a pyarrow.RecordBatch for a table, else a pyarrow.Array for each argument, and yields
    pyarrow.Tables or RecordBatches.

    >>> import pyarrow as pa
    >>> @F.arrow_udtf(returnType="id long")
    ... class Odd:
    ...     def eval(self, batch: pa.RecordBatch):
    ...         yield pa.table({"id": [id for id in batch.column("id").to_pylist() if id % 2]})
    >>> Odd(spark.range(3).asTable().withSinglePartition()).collect()
    [Row(id=1)]
    """
    return _maker(cls, returnType, True)


def _maker(cls: Any, returns: Any, is_arrow: bool) -> Any:
    def make(handler: Any) -> UserDefinedTableFunction:
        return UserDefinedTableFunction(handler, returns, is_arrow=is_arrow)

    return make if cls is None else make(cls)


class UDTFRegistration:
    """What `spark.udtf` is."""

    def __init__(self, sparkSession: Session) -> None:
        self.sparkSession = sparkSession

    def register(self, name: str, f: UserDefinedTableFunction) -> UserDefinedTableFunction:
        """Let SQL of the session call what udtf made by this name; it is returned. Raises PySparkTypeError for anything else.

        >>> one = F.udtf(type("One", (), {"eval": lambda self: [(1,)]}), returnType="n int")
        >>> _ = spark.udtf.register("one", one)
        >>> spark.sql("SELECT * FROM one()").collect()
        [Row(n=1)]
        """
        if not isinstance(f, UserDefinedTableFunction):
            raise PySparkTypeError(f"Cannot register {f!r}: it is not what udtf made.", "CANNOT_REGISTER_UDTF")
        made = f._copy(name, f._deterministic)
        self.sparkSession._state.routines[name.lower()] = TableRoutine(made)
        return made
