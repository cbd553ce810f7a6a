"""Java's patterns of dates and times as the kernel's (those of chrono), where every letter has a counterpart. Pure."""

from __future__ import annotations

import functools
import re

_TOKEN = re.compile(r"([A-Za-z])\1*|'((?:[^']|'')*)'|[^A-Za-z']+")
_WRITTEN = {
    "y": "%-Y", "yyyy": "%Y", "yy": "%y", "M": "%-m", "MM": "%m", "MMM": "%b", "MMMM": "%B", "L": "%-m", "LL": "%m", "d": "%-d",
    "dd": "%d", "H": "%-H", "HH": "%H", "h": "%-I", "hh": "%I", "m": "%-M", "mm": "%M", "s": "%-S", "ss": "%S", "SSS": "%3f",
    "SSSSSS": "%6f", "a": "%p", "E": "%a", "EE": "%a", "EEE": "%a", "EEEE": "%A", "D": "%-j", "DDD": "%j",
}  # fmt: skip
_READ = {"yyyy": 4, "MM": 2, "dd": 2, "HH": 2, "mm": 2, "ss": 2, "SSS": 3, "SSSSSS": 6}
_DATE, _TIME = ("yyyy", "MM", "dd"), ("HH", "mm", "ss")


@functools.lru_cache(256)
def written(pattern: str) -> str | None:
    """The pattern for `to_char`; None: Python must write."""
    result = ""
    for letters, text in _tokens(pattern):
        if letters:
            if letters not in _WRITTEN:
                return None
            result += _WRITTEN[letters]
        elif "[" in text or "]" in text or "#" in text or "{" in text or "}" in text:
            return None
        else:
            result += text.replace("%", "%%")
    return result


@functools.lru_cache(256)
def read(pattern: str) -> tuple[str, str] | None:
    """(a LIKE pattern of what fits, the SQL that makes ISO text of the value "{0}"); None: Python must read.

    Only patterns whose letters are all of fixed width, so that the parts are known by where they stand.
    """
    like, places, at = "", {}, 1
    for letters, text in _tokens(pattern):
        if letters:
            if letters not in _READ or letters in places:
                return None
            places[letters] = at
            like += "_" * _READ[letters]
            at += _READ[letters]
        elif any(character in "[]%_\\#{}" for character in text):
            return None
        else:
            like += text
            at += len(text)
    if any(part not in places for part in _DATE):
        return None
    pieces = [_piece("yyyy", places), "'-'", _piece("MM", places), "'-'", _piece("dd", places)]
    if any(part in places for part in (*_TIME, "SSS", "SSSSSS")):
        for mark, part in zip(("' '", "':'", "':'"), _TIME, strict=True):
            pieces += [mark, _piece(part, places) if part in places else "'00'"]
        fraction = next((part for part in ("SSS", "SSSSSS") if part in places), None)
        if fraction:
            pieces += ["'.'", _piece(fraction, places)]
    return like, f"concat({', '.join(pieces)})"


def _piece(part: str, places: dict[str, int]) -> str:
    return f"substr({{0}}, {places[part]}, {_READ[part]})"


def _tokens(pattern: str) -> list[tuple[str, str]]:
    """(letters, or "" where text stands as it is; that text)."""
    result = []
    for found in _TOKEN.finditer(pattern):
        if found[1]:
            result.append((found[0], ""))
        else:
            result.append(("", "'" if found[0] == "''" else found[2].replace("''", "'") if found[2] is not None else found[0]))
    return result
