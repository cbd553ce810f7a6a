"""Whole numbers' types as Spark writes them in JSON."""

from __future__ import annotations

from typing import Final

BITS: Final = {"byte": 8, "short": 16, "integer": 32, "long": 64}
_IN_SQL = {"byte": "tinyint", "short": "smallint", "integer": "int", "long": "bigint"}


def in_sql(kind: str) -> str:
    """A plain type's name in SQL.

    >>> in_sql("integer"), in_sql("string")
    ('int', 'string')
    """
    return _IN_SQL.get(kind, kind)
