"""A value as people may see it in an error: short, and safe however the value's own repr behaves."""

from __future__ import annotations

from typing import Any

LIMIT = 200


def shorten(value: Any, limit: int = LIMIT) -> str:
    """repr(value), at most `limit` characters; never raises, and does not build a huge repr of a huge str, bytes, list or tuple."""
    try:
        if (isinstance(value, str | bytes) and len(value) > limit) or (type(value) in (list, tuple) and len(value) > limit):
            text = repr(value[:limit])
        else:
            text = repr(value)
    except Exception as error:
        text = f"<{type(value).__qualname__} whose repr raised {type(error).__qualname__}>"
    return text if len(text) <= limit else f"{text[: limit - 1]}…"
