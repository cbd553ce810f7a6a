"""Which settings and options hold secrets, and texts without them: what is written to logs, pages and answers passes through here."""

from __future__ import annotations

import re
from typing import Final

REDACTED: Final = "*********(redacted)"
"""Stands for a secret, as in Spark."""
_WORDS = r"(?:secret|passw(?:or)?d|token|credential|(?:access|account|api|private)[._-]?key)"
_NAME = re.compile(_WORDS, re.IGNORECASE)
_PAIR = re.compile(
    rf"""((?:^|[\s(,;'"`])[\w.-]*{_WORDS}[\w.-]*['"`]?\s*(?:=>?|:|\s)\s*)('(?:[^'\\]|\\.|'')*'|"(?:[^"\\]|\\.|"")*")""", re.IGNORECASE
)
"""A name and a quoted value, as in OPTIONS (password 'x') or TBLPROPERTIES ('a.secret' = "x")."""
_PARAMETER = re.compile(rf"""(?<![\w.-])([\w.-]*{_WORDS}[\w.-]*=)[^\s&;'"`=)]+""", re.IGNORECASE)
"""As in jdbc:postgresql://host/name?password=x."""
_LOGIN = re.compile(r"""((?<![\w+.-])[\w+.-]+://[^\s/'"`:@]*:)[^\s/'"`]+(?=@)""", re.IGNORECASE)
"""As in postgresql://user:x@host/name."""


def names_a_secret(key: str) -> bool:
    """Whether the value of a setting or option is shown and sent to nobody.

    >>> names_a_secret("spark.hadoop.fs.s3a.access.key"), names_a_secret("url")
    (True, False)
    """
    return _NAME.search(key) is not None


def shown(key: str, value: str) -> str:
    """The value, or what stands for a secret.

    >>> shown("password", "x")
    '*********(redacted)'
    """
    return REDACTED if names_a_secret(key) else value


def redacted(text: str) -> str:
    """A statement or message without the secrets that stand in it as values of options, in URLs, or as their parameters.

    >>> redacted("USING jdbc OPTIONS (url 'jdbc:postgresql://me:x@host/name', password 'x')")
    "USING jdbc OPTIONS (url 'jdbc:postgresql://me:*********(redacted)@host/name', password '*********(redacted)')"
    """
    if "://" in text:
        text = _LOGIN.sub(rf"\1{REDACTED}", text)
    if _NAME.search(text) is None:
        return text
    text = _PAIR.sub(lambda found: f"{found[1]}{found[2][0]}{REDACTED}{found[2][0]}", text)
    return _PARAMETER.sub(rf"\1{REDACTED}", text)
