"""Errors of DataFrames and SQL, by PySpark's names."""

from __future__ import annotations

import difflib
import enum
import pickle
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from quiver.sql.error_states import sql_state
from quiver_proto.errors import QuiverError
from quiver_proto.secret_texts import urls_without_secrets

__all__ = [
    "AnalysisException",
    "ArithmeticException",
    "ArrayIndexOutOfBoundsException",
    "DateTimeException",
    "IllegalArgumentException",
    "NumberFormatException",
    "ParseException",
    "PickleException",
    "PySparkAssertionError",
    "PySparkAttributeError",
    "PySparkException",
    "PySparkImportError",
    "PySparkIndexError",
    "PySparkKeyError",
    "PySparkNotImplementedError",
    "PySparkPicklingError",
    "PySparkRuntimeError",
    "PySparkTypeError",
    "PySparkValueError",
    "PythonException",
    "QueryContext",
    "QueryContextType",
    "QueryExecutionException",
    "SessionNotSameException",
    "SparkNoSuchElementException",
    "SparkRuntimeException",
    "SparkUpgradeException",
    "StreamingPythonRunnerInitializationException",
    "StreamingQueryException",
    "TempTableAlreadyExistsException",
    "UnknownException",
    "UnsupportedOperationException",
    "column_not_found",
    "wrong_argument",
]


class QueryContextType(enum.Enum):
    """What a QueryContext tells of."""

    SQL = 0
    DataFrame = 1


class QueryContext:
    """A part of a query, and where the user's program asked for it."""

    def __init__(self, fragment: str, call_site: str) -> None:
        self._fragment = fragment
        self._call_site = call_site

    def contextType(self) -> QueryContextType:
        """DataFrame: positions in a text of SQL are not known."""
        return QueryContextType.DataFrame

    def objectType(self) -> str:
        """Empty: no view is named."""
        return ""

    def objectName(self) -> str:
        """Empty: no view is named."""
        return ""

    def startIndex(self) -> int:
        """-1: not known."""
        return -1

    def stopIndex(self) -> int:
        """-1: not known."""
        return -1

    def fragment(self) -> str:
        """The expression, as its column would be called: `(a / b)`."""
        return self._fragment

    def callSite(self) -> str:
        """The action and its line: `collect at report.py:12`."""
        return self._call_site

    def summary(self) -> str:
        """Both."""
        return f"{self._fragment} was called from {self._call_site}"


class PySparkException(QuiverError):
    """Base of the errors that DataFrames and SQL raise. `condition` is Spark's error condition, such as UNRESOLVED_COLUMN."""

    def __init__(
        self,
        message: str,
        condition: str = "",
        parameters: Mapping[str, str] | None = None,
        contexts: Sequence[Sequence[str]] = (),
    ) -> None:
        """`parameters`: what the message was made of, by Spark's names; `contexts`: pairs of a fragment of the query and its call site."""
        message = urls_without_secrets(message)
        state = sql_state(condition) if parameters is not None else None
        text = f"[{condition}] {message}" if condition else message
        if state is not None:
            text += f" SQLSTATE: {state}"
        for fragment, call_site in contexts:
            text += "\n== DataFrame ==\n" + (f"{fragment}\nwas called from {call_site}" if fragment else call_site)
        fields: tuple[Any, ...] = (message, condition)
        if parameters is not None or contexts:
            fields += (None if parameters is None else dict(parameters), [list(context) for context in contexts])
        super().__init__(text, *fields)
        self.condition = condition
        self._parameters = parameters
        self._contexts = [QueryContext(*context) for context in contexts]

    def getCondition(self) -> str | None:
        """Spark's name for what is wrong; None where it has none.

        >>> from quiver.sql import errors
        >>> try:
        ...     spark.range(1).select("nothing")
        ... except errors.AnalysisException as error:
        ...     print(error.getCondition(), error.getSqlState())
        UNRESOLVED_COLUMN.WITH_SUGGESTION 42703
        """
        return self.condition or None

    getErrorClass = getCondition

    def getSqlState(self) -> str | None:
        """The SQLSTATE of the condition; None when it has none."""
        return sql_state(self.condition)

    def getMessageParameters(self) -> dict[str, str]:
        """What the message was made of, by Spark's names: {"indexValue": "5", "arraySize": "2"}. Empty where that is not known."""
        return dict(self._parameters or {})

    def getMessage(self) -> str:
        """The whole text."""
        return str(self)

    def getQueryContext(self) -> list[QueryContext]:
        """Which parts of the query it is about, as far as known."""
        return list(self._contexts)


class AnalysisException(PySparkException):
    """A query that can't mean anything: an unknown column or table, types that don't fit."""


class ParseException(AnalysisException):
    """Text that is no SQL."""


class IllegalArgumentException(PySparkException, ValueError):
    """An argument outside what is allowed."""


class PySparkTypeError(PySparkException, TypeError):
    """An argument of a type that is not taken."""


class PySparkValueError(PySparkException, ValueError):
    """An argument whose value is not taken."""


class PySparkAttributeError(PySparkException, AttributeError):
    """No such attribute or column."""


class PySparkIndexError(PySparkException, IndexError):
    """A position that isn't there."""


class PySparkRuntimeError(PySparkException, RuntimeError):
    """What can't be done now, such as using a session where there is none."""


class ArithmeticException(PySparkException, ArithmeticError):
    """A division by zero, or a number that leaves its type."""


class NumberFormatException(IllegalArgumentException):
    """Text that is no value of the type it is cast to."""


class DateTimeException(PySparkException):
    """Text or parts that are no date or time."""


class ArrayIndexOutOfBoundsException(PySparkException, IndexError):
    """A position outside an array."""


class SparkRuntimeException(PySparkException):
    """A value that a function can't take, or an error that the query raises itself."""


class UnsupportedOperationException(PySparkException):
    """What is not offered, and what to use instead."""


class PythonException(PySparkException):
    """A user's function raised, or returned what its type does not allow."""


class QueryExecutionException(PySparkException):
    """A query that could not be carried out."""


class UnknownException(PySparkException):
    """What has no name of its own."""


class SparkUpgradeException(PySparkException):
    """What old versions of Spark did otherwise."""


class SparkNoSuchElementException(PySparkException, LookupError):
    """No such setting or element."""


class TempTableAlreadyExistsException(AnalysisException):
    """A temporary view of that name is there."""


class SessionNotSameException(PySparkException):
    """DataFrames of two sessions."""


class StreamingQueryException(PySparkException):
    """A stream ended with an error. There are no streams yet: for `except` clauses."""


class StreamingPythonRunnerInitializationException(PySparkException):
    """A stream's Python process did not start. There are no streams yet: for `except` clauses."""


class PySparkImportError(PySparkException, ImportError):
    """A library is missing, or too old."""


class PySparkAssertionError(PySparkException, AssertionError):
    """What a test expected does not hold, or what must have been done before, or must not have been."""


class PySparkNotImplementedError(PySparkException, NotImplementedError):
    """What is not offered."""


class PySparkPicklingError(PySparkException, pickle.PicklingError):
    """What can't be sent to tasks."""


class PySparkKeyError(PySparkException, KeyError):
    """No such name."""


class PickleException(PySparkException, pickle.PicklingError):
    """A value that can't be sent between Python and the kernel."""


def wrong_argument(name: str, wanted: str, value: object) -> PySparkTypeError:
    """`wanted` lists what is taken, as in "Column or str"."""
    return PySparkTypeError(f"Argument `{name}` should be {wanted}, got {type(value).__name__}.", "NOT_EXPECTED_TYPE")


def column_not_found(name: str, candidates: Iterable[str]) -> AnalysisException:
    """With the names most like it first."""
    known = list(dict.fromkeys(candidates))
    alike = difflib.get_close_matches(name, known, n=5, cutoff=0.4)
    offered = [*alike, *(other for other in known if other not in alike)][:5]
    text = f"A column, variable, or function parameter with name `{name}` cannot be resolved."
    if offered:
        return AnalysisException(
            f"{text} Did you mean one of the following? [{', '.join(f'`{other}`' for other in offered)}].",
            "UNRESOLVED_COLUMN.WITH_SUGGESTION",
        )
    return AnalysisException(text, "UNRESOLVED_COLUMN.WITHOUT_SUGGESTION")


def column_already_exists(name: str, where: str = "") -> AnalysisException:
    """A name that two columns share. `where`: of which file, when that isn't plain."""
    place = f" in {where}" if where else ""
    return AnalysisException(
        f"The column `{name}` already exists{place}. Choose another name or rename the existing column.", "COLUMN_ALREADY_EXISTS"
    )


def check_names_differ(names: Iterable[str], where: str = "") -> None:
    """Raises AnalysisException COLUMN_ALREADY_EXISTS when two are the same in upper and lower case."""
    seen: set[str] = set()
    for name in map(str.lower, names):
        if name in seen:
            raise column_already_exists(name, where)
        seen.add(name)


def checked_name(name: str) -> str:
    """A column's name, as it is. Raises AnalysisException INVALID_IDENTIFIER for one that Arrow has no room for."""
    if "\0" in name:
        raise AnalysisException(f"{name!r} can't be a column's name: it has a NUL. Give it another with `alias`.", "INVALID_IDENTIFIER")
    return name
