"""Of patterns: LIKE, regular expressions, and what is cut by them."""

from __future__ import annotations

import functools
import re

from quiver_proto.spark_functions.growth import MOST, check_bytes
from quiver_proto.spark_functions.java import SparkValueError, java_pattern, java_replacement


def split(text: str, pattern: str, limit: int = -1) -> list[str]:
    compiled = java_pattern(pattern)
    if not text:
        return [""]
    parts: list[str] = []
    start = 0
    for match in compiled.finditer(text):
        if limit > 0 and len(parts) == limit - 1:
            break
        if match.end() == 0 or (match.start() == match.end() == len(text)):
            continue  # Nothing before the first character is no part.
        parts.append(text[start : match.start()])
        start = match.end()
    parts.append(text[start:])
    if not pattern and (limit <= 0 or len(parts) < limit):
        parts.append("")
        parts = parts if parts[-2:] != ["", ""] else parts[:-1]
        return parts[:-1] if len(parts) > 1 else parts
    return parts


def rlike(text: str, pattern: str) -> bool:
    return java_pattern(pattern).search(text) is not None


@functools.lru_cache(256)
def _like_pattern(pattern: str, escape: str, flags: int) -> re.Pattern[str]:
    out, at = [], 0
    while at < len(pattern):
        character = pattern[at]
        if character == escape:
            following = pattern[at + 1 : at + 2]
            if not following:
                raise SparkValueError("INVALID_FORMAT.ESC_AT_THE_END", f"The format is invalid: '{pattern}'. The escape character ends it.")
            if following not in ("%", "_", escape):
                raise SparkValueError(
                    "INVALID_FORMAT.ESC_IN_THE_MIDDLE",
                    f"The format is invalid: '{pattern}'. The escape character is not allowed to precede '{following}'.",
                )
            out.append(re.escape(following))
            at += 2
            continue
        out.append({"%": ".*", "_": "."}.get(character) or re.escape(character))
        at += 1
    return re.compile("".join(out), re.DOTALL | flags)


def like(text: str, pattern: str, escape: str = "\\") -> bool:
    return _like_pattern(pattern, escape, 0).fullmatch(text) is not None


def ilike(text: str, pattern: str, escape: str = "\\") -> bool:
    return _like_pattern(pattern, escape, re.IGNORECASE).fullmatch(text) is not None


def regexp_extract(text: str, pattern: str, group: int = 1) -> str:
    compiled = _grouped(pattern, group)
    match = compiled.search(text)
    return "" if match is None else match.group(group) or ""


def _grouped(pattern: str, group: int) -> re.Pattern[str]:
    compiled = java_pattern(pattern)
    if not 0 <= group <= compiled.groups:
        raise SparkValueError(
            "INVALID_PARAMETER_VALUE.REGEX_GROUP_INDEX", f"Expects group index between 0 and {compiled.groups}, but got {group}."
        )
    return compiled


def regexp_extract_all(text: str, pattern: str, group: int = 1) -> list[str]:
    return [match.group(group) or "" for match in _grouped(pattern, group).finditer(text)]


def regexp_replace(text: str, pattern: str, replacement: str, position: int = 1) -> str:
    if position < 1:
        raise SparkValueError("INVALID_PARAMETER_VALUE", f"the position must be positive, not {position}")
    found = java_pattern(pattern)
    if (len(text) + 1) * len(replacement) > MOST:
        check_bytes("regexp_replace", sum(1 for _ in found.finditer(text, position - 1)) * len(replacement))
    return text[: position - 1] + found.sub(java_replacement(replacement), text[position - 1 :])


def regexp_count(text: str, pattern: str) -> int:
    return sum(1 for _ in java_pattern(pattern).finditer(text))


def regexp_instr(text: str, pattern: str, group: int = 0) -> int:
    match = java_pattern(pattern).search(text)
    return 0 if match is None else match.start() + 1


def regexp_substr(text: str, pattern: str) -> str | None:
    match = java_pattern(pattern).search(text)
    return None if match is None else match.group()


def str_to_map(text: str, pairs: str = ",", inner: str = ":") -> list[tuple[str, str | None]]:
    result: dict[str, str | None] = {}
    for pair in split(text, pairs):
        parts = split(pair, inner, 2)
        if parts[0] in result:
            raise SparkValueError("DUPLICATED_MAP_KEY", f"Duplicate map key {parts[0]} was found.")
        result[parts[0]] = parts[1] if len(parts) > 1 else None
    return list(result.items())
