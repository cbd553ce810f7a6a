"""Errors that users ask for, and values that a table's columns do not take."""

from __future__ import annotations

from quiver_proto.spark_functions.java import SparkValueError


def assert_true(condition: bool | None, message: str | None = None) -> None:
    if not condition:
        raise SparkValueError("USER_RAISED_EXCEPTION", message or "the condition of assert_true is not true!")


def within_length(value: str, limit: int) -> str:
    """What a CHAR or VARCHAR of so many characters stores: blanks at the end that don't fit are left out."""
    if len(value.rstrip(" ")) > limit:
        raise SparkValueError("EXCEED_LIMIT_LENGTH", f"Exceeds char/varchar type length limitation: {limit}.")
    return value[:limit]


def raise_error(message: str | None) -> None:
    raise SparkValueError("USER_RAISED_EXCEPTION", str(message))
