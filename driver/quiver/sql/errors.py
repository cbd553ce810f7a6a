"""Errors of DataFrames and SQL, by PySpark's names."""

from __future__ import annotations

import difflib
from collections.abc import Iterable

from quiver_proto.errors import QuiverError

__all__ = [
    "AnalysisException",
    "ArithmeticException",
    "ArrayIndexOutOfBoundsException",
    "DateTimeException",
    "IllegalArgumentException",
    "NumberFormatException",
    "ParseException",
    "PySparkAttributeError",
    "PySparkException",
    "PySparkIndexError",
    "PySparkRuntimeError",
    "PySparkTypeError",
    "PySparkValueError",
    "PythonException",
    "SparkRuntimeException",
    "UnsupportedOperationException",
    "column_not_found",
    "wrong_argument",
]


class PySparkException(QuiverError):
    """Base of the errors that DataFrames and SQL raise. `condition` is Spark's error condition, such as UNRESOLVED_COLUMN."""

    def __init__(self, message: str, condition: str = "") -> None:
        super().__init__(f"[{condition}] {message}" if condition else message, message, condition)
        self.condition = condition

    def getCondition(self) -> str:
        """Spark's name for what is wrong."""
        return self.condition

    getErrorClass = getCondition


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
