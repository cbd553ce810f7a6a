"""Which settings and options hold secrets, and texts without them: what is written to logs, pages and answers passes through here."""

from __future__ import annotations

import re

from quiver_proto.secret_texts import REDACTED, SECRET_WORDS, names_a_secret, without_parameters

_PAIR = re.compile(
    rf"""((?:^|[\s(,;'"`])[\w.-]*{SECRET_WORDS}[\w.-]*['"`]?\s*(?:=>?|:|\s)\s*)('(?:[^'\\]|\\.|'')*'|"(?:[^"\\]|\\.|"")*")""", re.IGNORECASE
)
"""A name and a quoted value, as in OPTIONS (password 'x') or TBLPROPERTIES ('a.secret' = "x")."""
_LOGIN = re.compile(r"""((?<![\w+.-])[\w+.-]+://[^\s/'"`:@]*:)[^\s/'"`]+(?=@)""", re.IGNORECASE)
"""As in postgresql://user:x@host/name."""


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
    if not names_a_secret(text):
        return text
    text = _PAIR.sub(lambda found: f"{found[1]}{found[2][0]}{REDACTED}{found[2][0]}", text)
    return without_parameters(text)
