"""Directories that hold rows with one value of a column: `column=value`, both escaped as Hive does."""

from __future__ import annotations

import re
from urllib.parse import unquote

NULL_PARTITION = "__HIVE_DEFAULT_PARTITION__"
"""Stands for null and for an empty text."""
_SPECIAL = re.compile("[\x00-\x1f\"#%'*/:=?\\\\\x7f{\\[\\]^]")


def escaped(name: str) -> str:
    """A column's name, or a value's text, as part of a directory's name.

    >>> escaped("a/b=c d")
    'a%2Fb%3Dc d'
    """
    return _SPECIAL.sub(lambda found: f"%{ord(found[0]):02X}", name)


def unescaped(part: str) -> str:
    """The inverse of `escaped`.

    >>> unescaped("a%2Fb%3Dc d")
    'a/b=c d'
    """
    return unquote(part)


def directory(column: str, value: str | None) -> str:
    """`column=value`.

    >>> directory("k", None), directory("k", "x:y")
    ('k=__HIVE_DEFAULT_PARTITION__', 'k=x%3Ay')
    """
    return f"{escaped(column)}={escaped(value) if value else NULL_PARTITION}"


def values_of(path: str) -> tuple[str | None, ...]:
    """The values that the directories of a file's path tell, outermost first.

    >>> values_of("k=x%3Ay/j=__HIVE_DEFAULT_PARTITION__/part-0.parquet")
    ('x:y', None)
    """
    told = (part.partition("=")[2] for part in path.split("/")[:-1])
    return tuple(None if value == NULL_PARTITION else unescaped(value) for value in told)
