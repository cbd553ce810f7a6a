"""Secrets in properties: shown as `(redacted)`, even where the writer of the log forgot to."""

from __future__ import annotations

import re
from collections.abc import Mapping

from quiver_proto.secret_texts import names_a_secret, urls_without_secrets

REDACTED = "(redacted)"
_USER_INFO = re.compile(r"(?<=://)[^/@\s:]*:[^/@\s]+(?=@)")


def redacted(properties: Mapping[str, str]) -> list[tuple[str, str]]:
    """(key, value), sorted by key. Also hides `user:password` in URLs."""
    return sorted((str(key), REDACTED if names_a_secret(str(key)) else _without_password(str(value))) for key, value in properties.items())


def _without_password(text: str) -> str:
    return _USER_INFO.sub(REDACTED, urls_without_secrets(text))
