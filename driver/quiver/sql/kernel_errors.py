"""What the kernel says when a value can't be computed, as Spark's errors."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Iterator

from quiver.sql import errors
from quiver_proto.errors import FileUnreadable

_CONDITION = re.compile(r"\[([A-Z][A-Z0-9_]{3,}(?:\.[A-Z0-9_]+)?)\] ?((?:[^'\"\\]|'(?!\)|\s*to value)|\"|\\.)*)")
_TEXT = re.compile(r"Cannot cast string '(.*?)' to value of (\w+)(?:\([^)]*\))? type", re.DOTALL)
_NUMBER = re.compile(
    r"Can't cast value (\S+) to type (\w+)|(?:value|Value) of (\S+) is out of range (\w+)|"
    r"(\S+) is too (?:large|small) to store in a (\w+)"
)
_KINDS = {
    "Int8": "TINYINT", "Int16": "SMALLINT", "Int32": "INT", "Int64": "BIGINT", "Float32": "FLOAT", "Float64": "DOUBLE",
    "Boolean": "BOOLEAN", "Date32": "DATE", "Timestamp": "TIMESTAMP", "Decimal128": "DECIMAL", "Utf8": "STRING",
}  # fmt: skip
_CLASSES: tuple[tuple[str, type[errors.PySparkException]], ...] = (
    ("DIVIDE_BY_ZERO", errors.ArithmeticException),
    ("REMAINDER_BY_ZERO", errors.ArithmeticException),
    ("ARITHMETIC_OVERFLOW", errors.ArithmeticException),
    ("CAST_OVERFLOW", errors.ArithmeticException),
    ("NUMERIC_VALUE_OUT_OF_RANGE", errors.ArithmeticException),
    ("CAST_INVALID_INPUT", errors.NumberFormatException),
    ("INVALID_ARRAY_INDEX", errors.ArrayIndexOutOfBoundsException),
    ("CANNOT_PARSE_TIMESTAMP", errors.DateTimeException),
    ("DATETIME_FIELD_OUT_OF_BOUNDS", errors.DateTimeException),
    ("INVALID_PARAMETER_VALUE", errors.IllegalArgumentException),
)
_MEANT = {
    "DIVIDE_BY_ZERO": "Division by zero. Use `try_divide` to tolerate divisor being 0 and return NULL instead.",
    "REMAINDER_BY_ZERO": "Remainder by zero. Use `try_mod` to tolerate divisor being 0 and return NULL instead.",
}


def translated(error: BaseException) -> errors.PySparkException | None:
    """The error that Spark raises for what the kernel's says; None for those that say nothing of values."""
    if isinstance(error, FileUnreadable):
        return errors.SparkRuntimeException(f"Encountered error while reading file {error.path}. {error.problem}", error.condition)
    text = str(error)
    found = _CONDITION.search(text)
    if found and ("Execution error: PyErr" in text or "Cast error" in text):
        return _made(found[1], _MEANT.get(found[1]) or found[2].strip().replace("\\'", "'"))
    if "Divide by zero" in text:
        return _made("DIVIDE_BY_ZERO", _MEANT["DIVIDE_BY_ZERO"])
    if found := re.search(r"Overflow happened on: ([^\n]*)|(\w+ overflow on [^\n]*)", text):
        return _made("ARITHMETIC_OVERFLOW", f"{found[1] or found[2]}. Use `try_` functions to tolerate overflow and return NULL instead.")
    found = _TEXT.search(text)
    if found:
        kind = _KINDS.get(found[2], found[2].upper())
        return _made(
            "CAST_INVALID_INPUT",
            f'The value \'{found[1]}\' of the type "STRING" cannot be cast to "{kind}" because it is malformed. Correct the value as per '
            "the syntax, or change its target type. Use `try_cast` to tolerate malformed input and return NULL instead.",
        )
    if re.search(r"Decimal\d+\(\d+, \d+\)\. Overflowing|too (?:large|small) to store in a Decimal", text):
        return _made(
            "NUMERIC_VALUE_OUT_OF_RANGE.WITH_SUGGESTION",
            "a value has more digits than its decimal type. Use a wider type, or `try_cast` for NULL instead.",
        )
    found = _NUMBER.search(text)
    if found:
        value, kind = next((found[at], found[at + 1]) for at in (1, 3, 5) if found[at])
        return _made(
            "CAST_OVERFLOW",
            f"The value {value} cannot be cast to {_KINDS.get(kind, kind)} due to an overflow. Use `try_cast` to tolerate overflow and "
            "return NULL instead.",
        )
    return None


def _made(condition: str, message: str) -> errors.PySparkException:
    kind = next((kind for start, kind in _CLASSES if condition.startswith(start)), errors.SparkRuntimeException)
    return kind(message, condition)


@contextlib.contextmanager
def spark_errors() -> Iterator[None]:
    """Inside, what the kernel says of values is raised as Spark's errors."""
    try:
        yield
    except errors.PySparkException:
        raise
    except Exception as error:
        meant = translated(error)
        if meant is None:
            raise
        raise meant from error
