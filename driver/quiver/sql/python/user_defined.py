"""udf, pandas_udf, arrow_udf: functions of users as functions of columns."""

from __future__ import annotations

import collections.abc
import dataclasses
import functools
import inspect
import sys
import typing
from collections.abc import Callable, Sequence
from typing import Any

from quiver.callsite import capture
from quiver.closures import seal
from quiver.sql import types as t
from quiver.sql.column import Column
from quiver.sql.errors import PySparkTypeError, PySparkValueError, wrong_argument
from quiver.sql.literals import column_of
from quiver.sql.python.model import UserFunction
from quiver.sql.tree import expressions as e

_EVAL_TYPES = {
    "row": 100, "pandas": 200, "pandas_iter": 204, "pandas_aggregate": 202, "pandas_iter_aggregate": 216, "arrow": 250, "arrow_iter": 251,
    "arrow_aggregate": 252, "arrow_iter_aggregate": 254, "pandas_grouped_map": 201,
}  # fmt: skip
"""Spark's numbers of them."""
_OF_NUMBERS = {
    200: "pandas",
    201: "pandas_grouped_map",
    202: "pandas_aggregate",
    204: "pandas_iter",
    250: "arrow",
    251: "arrow_iter",
    252: "arrow_aggregate",
}


class PandasUDFType:
    """Kinds of pandas_udf, for functions without type hints."""

    SCALAR = 200
    SCALAR_ITER = 204
    GROUPED_MAP = 201
    GROUPED_AGG = 202


class ArrowUDFType:
    """Kinds of arrow_udf, for functions without type hints."""

    SCALAR = 250
    SCALAR_ITER = 251
    GROUPED_AGG = 252


class UserDefinedFunction:
    """A Python function that is called with columns and makes one. Made by udf, pandas_udf, arrow_udf, or `spark.udf.register`.

    It is pickled when it is first called.
    """

    def __init__(
        self, func: Callable[..., Any], returnType: t.DataType | str = "string", kind: str = "row", name: str | None = None,
        deterministic: bool = True, nullable: bool = True,
    ) -> None:  # fmt: skip
        if not callable(func):
            raise PySparkTypeError(f"Argument `func` should be a callable, got {type(func).__name__}.", "NOT_CALLABLE")
        self.func = func
        self._returns = returnType
        self._kind = kind
        self._name: str = name or getattr(func, "__name__", None) or type(func).__name__
        self._deterministic = deterministic
        self._nullable = nullable
        self._made: UserFunction | None = None
        functools.update_wrapper(self, func, assigned=("__module__", "__name__", "__qualname__", "__doc__"), updated=())

    @property
    def returnType(self) -> t.DataType:
        """The type of its results. Raises ParseException for DDL that is none."""
        if isinstance(self._returns, str):
            self._returns = t.DataType.fromDDL(self._returns)
        return self._returns

    @property
    def evalType(self) -> int:
        """Spark's number of what kind of function it is."""
        return _EVAL_TYPES[self._kind]

    @property
    def deterministic(self) -> bool:
        """Whether equal arguments give equal results."""
        return self._deterministic

    def _copy(self, **changes: Any) -> UserDefinedFunction:
        state = {"name": self._name, "deterministic": self._deterministic, "nullable": self._nullable, **changes}
        return UserDefinedFunction(self.func, self._returns, self._kind, **state)

    def asNondeterministic(self) -> UserDefinedFunction:
        """The same function, whose results may differ for equal arguments.

        >>> import random
        >>> F.udf(lambda: random.random(), "double").asNondeterministic().deterministic
        False
        """
        return self._copy(deterministic=False)

    def asNonNullable(self) -> UserDefinedFunction:
        """The same function, which never gives None."""
        return self._copy(nullable=False)

    def _function(self) -> UserFunction:
        """Sealed now, unless it was before. Raises UnpicklableClosure."""
        if self._made is None:
            sealed = seal(self.func, dataclasses.replace(capture(), operator="udf"))
            self._made = UserFunction(self._name, sealed, self.returnType, self._kind, self._deterministic, self._nullable)
        return self._made

    def _call(self, args: Sequence[e.Expression], names: Sequence[str | None]) -> e.Expression:
        if self._kind == "pandas_grouped_map":
            raise PySparkTypeError(f"`{self._name}` is a function of groups: use groupBy().applyInPandas.", "INVALID_UDF_EVAL_TYPE")
        function = self._function()
        if function.is_aggregate and not args:
            raise PySparkValueError(f"`{self._name}` makes one value of many rows: it needs a column.", "WRONG_NUM_ARGS")
        return e.PythonCall(function, tuple(args), tuple(names))

    def _routine(self, args: Sequence[e.Expression], names: Sequence[str | None]) -> e.Expression:
        return self._call(args, names)

    def __call__(self, *args: Any, **kwargs: Any) -> Column:
        values = [column_of(value) for value in (*args, *kwargs.values())]
        return Column(self._call(values, [*[None] * len(args), *kwargs]))

    def __repr__(self) -> str:
        return f"<UserDefinedFunction {self._name}: {self.returnType.simpleString()}>"


def _maker(f: Any, return_type: Any, make: Callable[[Callable[..., Any], Any], UserDefinedFunction]) -> Any:
    """As a call, or as a decorator with or without arguments."""
    if f is None or isinstance(f, str | t.DataType):
        given = return_type if f is None else f
        return lambda function: make(function, given)
    return make(f, return_type)


def udf(f: Any = None, returnType: Any = None, *, useArrow: bool | None = None) -> Any:
    """A Python function of values as a function of columns: `udf(f, "int")`, or a decorator, `@udf("int")`. It is called for each row.

    `returnType`: a type or its DDL; without it, string. None is null both ways; structs come as Rows, and may be given as Rows, tuples or
    dicts. `useArrow` means nothing: rows always come in Arrow columns. A function whose type hints are of pandas.Series or pyarrow.Array is
    called with those, as by pandas_udf and arrow_udf. Results that don't fit the type raise PythonException, as what the function raises.

    >>> @F.udf("int")
    ... def length(text):
    ...     return None if text is None else len(text)
    >>> df = spark.createDataFrame([("Ann",), (None,)], ["name"])
    >>> df.select(length("name")).collect()
    [Row(length(name)=3), Row(length(name)=None)]
    """
    if not (f is None or callable(f) or isinstance(f, str | t.DataType)):
        raise PySparkTypeError(f"Argument `func` should be a callable, got {type(f).__name__}.", "NOT_CALLABLE")
    if returnType is not None and not isinstance(returnType, str | t.DataType):
        raise wrong_argument("returnType", "DataType or str", returnType)
    return _maker(f, returnType, lambda function, kind: UserDefinedFunction(function, kind or "string", _hinted(function) or "row"))


def pandas_udf(f: Any = None, returnType: Any = None, functionType: int | None = None) -> Any:
    """A function of pandas.Series as a function of columns: `@pandas_udf("double")`. It is called for batches of rows.

    What it is called with is told by its type hints: Series (or, for structs, DataFrames) → Series; an Iterator of them → an Iterator, for
    what is made once for many batches; Series → one value: an aggregate, for groups and windows. `functionType` tells it without hints.

    >>> import pandas as pd
    >>> @F.pandas_udf("long")
    ... def times(a: pd.Series, b: pd.Series) -> pd.Series:
    ...     return a * b
    >>> @F.pandas_udf("double")
    ... def mean(v: pd.Series) -> float:
    ...     return v.mean()
    >>> df = spark.createDataFrame([(1, 2), (3, 4)], ["a", "b"])
    >>> df.select(times("a", "b").alias("x")).collect(), df.select(mean("b").alias("x")).collect()
    ([Row(x=2), Row(x=12)], [Row(x=3.0)])
    """
    return _vectorised(f, returnType, functionType, "pandas")


def arrow_udf(f: Any = None, returnType: Any = None, functionType: int | None = None) -> Any:
    """As pandas_udf, for functions of pyarrow.Array.

    >>> import pyarrow as pa, pyarrow.compute as pc
    >>> @F.arrow_udf("long")
    ... def times(a: pa.Array, b: pa.Array) -> pa.Array:
    ...     return pc.multiply(a, b)
    >>> spark.createDataFrame([(1, 2), (3, 4)], ["a", "b"]).select(times("a", "b").alias("x")).collect()
    [Row(x=2), Row(x=12)]
    """
    return _vectorised(f, returnType, functionType, "arrow")


def _vectorised(f: Any, return_type: Any, function_type: int | None, of: str) -> Any:
    if isinstance(f, str | t.DataType) and isinstance(return_type, int):
        function_type, return_type = return_type, None
    if function_type is not None and function_type not in _OF_NUMBERS:
        raise PySparkValueError(
            f"Argument `functionType` should be one of PandasUDFType or ArrowUDFType, got {function_type}.",
            "INVALID_PANDAS_UDF_TYPE",
        )

    def make(function: Callable[..., Any], kind: Any) -> UserDefinedFunction:
        if kind is None:
            raise PySparkTypeError("Argument `returnType` should not be None.", "CANNOT_BE_NONE")
        found = _OF_NUMBERS[function_type] if function_type is not None else _hinted(function) or of
        if found.partition("_")[0] != of:
            raise PySparkValueError(f"the type hints of `{function.__name__}` are of {found.partition('_')[0]}.", "UNSUPPORTED_SIGNATURE")
        if not inspect.isbuiltin(function) and not _takes_something(function):
            raise PySparkValueError(f"0-arg {of}_udfs are not supported. Instead, create a 1-arg one and ignore it.", "INVALID_PANDAS_UDF")
        return UserDefinedFunction(function, kind, found)

    return _maker(f, return_type, make)


def _takes_something(function: Callable[..., Any]) -> bool:
    try:
        return bool(inspect.signature(function).parameters)
    except (TypeError, ValueError):
        return True


def _hinted(function: Callable[..., Any]) -> str | None:
    """The kind of function that type hints tell; None when they are not of columns."""
    hints = hints_of(function)
    gives = hints.pop("return", None)
    kinds = [kind for kind in map(_kind_of_hint, hints.values()) if kind]
    if not kinds:
        return None
    of, many = kinds[0]
    result = _kind_of_hint(gives)
    if result is None:
        return None if gives is None else f"{of}{'_iter' if many else ''}_aggregate"
    return f"{of}_iter" if many else of


def hints_of(function: Callable[..., Any]) -> dict[str, Any]:
    """Its type hints; none where they can't be made out. Hints that are text may use names that the function alone imports."""
    known = {"pd": sys.modules.get("pandas"), "pa": sys.modules.get("pyarrow"), "np": sys.modules.get("numpy"), **vars(typing)}
    for names in ({}, known):
        try:
            return typing.get_type_hints(function, localns=names or None)
        except Exception:
            continue
    return {}


def _kind_of_hint(hint: Any) -> tuple[str, bool] | None:
    """(pandas or arrow, whether it is an iterator of such)."""
    origin = typing.get_origin(hint)
    arguments = typing.get_args(hint)
    if origin in (collections.abc.Iterator, collections.abc.Iterable, collections.abc.Generator) and arguments:
        inner = _kind_of_hint(arguments[0])
        return inner and (inner[0], True)
    if origin is tuple and arguments:
        return _kind_of_hint(arguments[0])
    if origin is typing.Union or (origin is not None and origin.__module__ == "types"):
        return next((found for found in map(_kind_of_hint, arguments) if found), None)
    module = getattr(hint, "__module__", "") or ""
    name = getattr(hint, "__name__", "")
    if module.startswith("pandas") and name in ("Series", "DataFrame"):
        return "pandas", False
    if module.startswith("pyarrow") and (name == "Array" or name.endswith("Array")):
        return "arrow", False
    return None


def call_udf(udfName: str, *cols: Any) -> Column:
    """Call a function that was registered with the session.

    >>> _ = spark.udf.register("twice", lambda x: x * 2, "long")
    >>> spark.range(3).select(F.call_udf("twice", "id").alias("x")).collect()
    [Row(x=0), Row(x=2), Row(x=4)]
    """
    from quiver.sql.session import Session

    args = [column_of(value) for value in cols]
    active = Session.getActiveSession()
    routine = None if active is None else active._state.routines.get(udfName.lower())
    return Column(e.Call(udfName, tuple(args)) if routine is None else routine(args, (None,) * len(args)))
