"""Errors of rows: a value is computed unless a condition holds of it."""

from __future__ import annotations

import re
from collections.abc import Sequence

from quiver.sql import types as t
from quiver.sql.lowering.names import cast, text

_NONZERO = re.compile(r"\(*(?:arrow_cast\()*'?-?(\d[\d.]*)'?(?:, '[^']*'\))*\)*")


def guarded(condition: str, error: str, value: str, kind: t.DataType, otherwise: str) -> str:
    """`otherwise`, unless the condition holds of a row: then the job fails with Spark's `error`, raised by a time that can't be read.

    It must be a function that fails: of a cast that does, in a branch that no row takes, the kernel complains while it plans.
    """
    failing = f"arrow_cast(to_timestamp(concat({text(f'[{error}] ')}, {cast(value, t.StringType())})), 'Int64')"
    raised = cast(failing, kind)
    return f"CASE WHEN {condition} THEN {raised} ELSE {otherwise} END"


def never_zero(value: str) -> bool:
    """Whether it is written as a constant other than zero."""
    found = _NONZERO.fullmatch(value)
    return found is not None and float(found[1]) != 0


def names_much(values: Sequence[str]) -> bool:
    """Whether operands are too much to be written several times: chains would grow by a power with every link."""
    return any("CASE " in value for value in values) or sum(map(len, values)) > _SHORT


_SHORT = 400
CHECKED = {"+": "add", "-": "subtract", "*": "multiply"}


def narrowed(value: str, kind: t.DataType) -> str:
    """As the narrower type. An own error, since the kernel's is that of a cast."""
    narrow = cast(value, kind, lenient=True)
    return f"({guarded(f'{narrow} IS NULL AND {value} IS NOT NULL', 'ARITHMETIC_OVERFLOW', value, kind, narrow)})"
