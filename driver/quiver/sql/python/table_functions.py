"""udtf: classes of users whose calls make rows."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from quiver.sql import types as t
from quiver.sql.errors import PySparkRuntimeError, PySparkTypeError
from quiver.sql.literals import column_of
from quiver.sql.python.user_defined import UserDefinedFunction
from quiver.sql.tree import expressions as e

if TYPE_CHECKING:
    from quiver.sql.dataframe import DataFrame
    from quiver.sql.session import Session


class UserDefinedTableFunction:
    """A class whose `eval` yields rows (tuples), and whose `terminate`, where it has one, yields the last ones. Made by udtf.

    Called with columns or values it gives a DataFrame; registered with `spark.udtf`, SQL calls it in FROM, LATERAL and LATERAL VIEW. Each
    call has an instance of its own.
    """

    def __init__(self, func: type, returnType: t.StructType | str, name: str | None = None, deterministic: bool = False) -> None:
        if not isinstance(func, type):
            raise PySparkTypeError(
                f"Invalid function: the function handler must be a class, got {type(func).__name__}.", "INVALID_UDTF_HANDLER_TYPE"
            )
        if not callable(getattr(func, "eval", None)):
            raise PySparkTypeError(f"The class `{func.__name__}` must have a method `eval`.", "INVALID_UDTF_NO_EVAL")
        self.func = func
        self._name: str = name or func.__name__
        self._returns = returnType
        self._deterministic = deterministic
        self._made: UserDefinedFunction | None = None

    @property
    def returnType(self) -> t.StructType:
        """The columns of its rows. Raises PySparkTypeError for a type that is no struct."""
        kind = t.DataType.fromDDL(self._returns) if isinstance(self._returns, str) else self._returns
        if not isinstance(kind, t.StructType):
            raise PySparkTypeError(f"The return type of the table function `{self._name}` must be a struct.", "UDTF_RETURN_TYPE_MISMATCH")
        self._returns = kind
        return kind

    @property
    def deterministic(self) -> bool:
        """Whether equal arguments give equal rows."""
        return self._deterministic

    def asDeterministic(self) -> UserDefinedTableFunction:
        """The same function, which gives equal rows for equal arguments."""
        return UserDefinedTableFunction(self.func, self._returns, self._name, True)

    def _function(self) -> UserDefinedFunction:
        if self._made is None:
            rows = t.ArrayType(self.returnType)
            self._made = UserDefinedFunction(CallRows(self.func), rows, "row", self._name, self._deterministic)
        return self._made

    def _routine(self, args: Sequence[e.Expression], names: Sequence[str | None]) -> e.Expression:
        return e.Call("inline", (self._function()._routine(args, names),))

    def __call__(self, *args: Any, **kwargs: Any) -> DataFrame:
        from quiver.sql.column import Column
        from quiver.sql.session import Session

        session = Session.getActiveSession()
        if session is None:
            raise PySparkRuntimeError(f"`{self._name}` makes a DataFrame: there is no session that it could be of.", "NO_ACTIVE_SESSION")
        values = [column_of(value) for value in (*args, *kwargs.values())]
        rows = self._function()._call(values, [*[None] * len(args), *kwargs])
        return session.range(1).select(Column(e.Call("inline", (rows,))))


@dataclass(frozen=True, slots=True)
class CallRows:
    """All rows of one call of a user's class."""

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
    """A class as a function that makes rows: `udtf(Cls, returnType="a int, b string")`, or a decorator.

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

    def make(handler: Any) -> UserDefinedTableFunction:
        if returnType is None:
            raise PySparkTypeError("Argument `returnType` should not be None: rows' columns are not analysed here.", "CANNOT_BE_NONE")
        return UserDefinedTableFunction(handler, returnType)

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
        made = UserDefinedTableFunction(f.func, f._returns, name, f._deterministic)
        self.sparkSession._state.routines[name.lower()] = made._routine
        return made
