"""Errors that users ask for."""

from __future__ import annotations

from quiver_proto.spark_functions.java import SparkValueError


def assert_true(condition: bool | None, message: str | None = None) -> None:
    if not condition:
        raise SparkValueError("USER_RAISED_EXCEPTION", message or "the condition of assert_true is not true!")


def raise_error(message: str | None) -> None:
    raise SparkValueError("USER_RAISED_EXCEPTION", str(message))
