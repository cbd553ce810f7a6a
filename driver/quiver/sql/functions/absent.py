"""Functions of PySpark that are not here: why, and what to use."""

from __future__ import annotations

import difflib
import re
from typing import Final

from quiver.sql.errors import PySparkAttributeError

_JAVA = "there is no Java"
_WRITE = "tables are not partitioned by transforms of columns; use a column of its own"
REASONS: Final = (
    (r"(try_)?reflect|java_method", _JAVA),
    (r"st_.*", "there are no types of places on maps"),
    (r"unwrap_udt", "there are no types of users"),
    (r"years|months|days|hours|bucket", _WRITE),
    (r"input_file_.*", "of a row's file only its name and `_metadata` are known: `input_file_name()`, `_metadata.file_size`"),
    (r"collat.*", "strings are compared by their characters; use `lower`"),
    (r"timestamp_nanos|unix_nanos", "times are of microseconds; keep nanoseconds as a bigint"),
    (r".*", "not built yet"),
)
"""Patterns of names, the first that fits counts."""


def reason(name: str) -> str:
    """Why a function of PySpark is not here."""
    return next(why for pattern, why in REASONS if re.fullmatch(pattern, name))


def absent(name: str, known: list[str], names: frozenset[str]) -> PySparkAttributeError:
    """The error of asking for a function that is not here; `names`: all of PySpark's."""
    if name in names:
        return PySparkAttributeError(f"functions.{name} is not offered: {reason(name)}.", "NOT_IMPLEMENTED")
    alike = difflib.get_close_matches(name, known, n=3, cutoff=0.6)
    hint = f" Did you mean {', '.join(alike)}?" if alike else ""
    return PySparkAttributeError(f"There is no function `{name}`.{hint}", "ATTRIBUTE_NOT_SUPPORTED")
