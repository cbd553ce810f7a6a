"""Of strings, regular expressions and bytes as text."""

from __future__ import annotations

import base64 as _base64
import functools
import math
import random
import re
import urllib.parse
from decimal import ROUND_HALF_EVEN, Decimal
from typing import Any

from quiver_proto.spark_functions.java import SparkValueError, java_format, java_pattern, java_replacement


def initcap(text: str) -> str:
    return " ".join(word[:1].title() + word[1:].lower() for word in text.split(" "))


def substring(text: Any, position: int, length: int = 2**31 - 1) -> Any:
    start = position - 1 if position > 0 else len(text) + position if position else 0
    return text[max(0, start) : max(0, start + length)]


def instr(text: str, part: str, start: int = 1, occurrence: int = 1) -> int:
    if occurrence <= 0:
        raise SparkValueError("INVALID_PARAMETER_VALUE", f"the occurrence must be positive, not {occurrence}")
    if start < 0:
        at = text.rfind(part, 0, len(text) + start + len(part))
        for _ in range(occurrence - 1):
            at = text.rfind(part, 0, at + len(part) - 1) if at > 0 else -1
        return at + 1
    at = text.find(part, max(0, start - 1)) if start else -1
    for _ in range(occurrence - 1):
        if at < 0:
            break
        at = text.find(part, at + 1)
    return at + 1


def locate(part: str, text: str, start: int = 1) -> int:
    return 0 if start < 1 else text.find(part, start - 1) + 1


def translate(text: str, matching: str, replace: str) -> str:
    table: dict[int, str | None] = {}
    for at, character in enumerate(matching):
        table.setdefault(ord(character), replace[at] if at < len(replace) else None)
    return text.translate(table)


def levenshtein(a: str, b: str, threshold: int | None = None) -> int:
    row = list(range(len(b) + 1))
    for i, x in enumerate(a, 1):
        before, row[0] = row[0], i
        for j, y in enumerate(b, 1):
            before, row[j] = row[j], min(row[j] + 1, row[j - 1] + 1, before + (x != y))
    return -1 if threshold is not None and row[-1] > threshold else row[-1]


def soundex(text: str) -> str:
    codes = {c: str(n) for n, letters in enumerate(("BFPV", "CGJKQSXZ", "DT", "L", "MN", "R"), 1) for c in letters}
    word = text.upper()
    if not word or not ("A" <= word[0] <= "Z"):
        return text
    result, last = word[0], codes.get(word[0])
    for character in word[1:]:
        if character in "HW":
            continue
        code = codes.get(character)
        if code is not None and code != last:
            result += code
        if "A" <= character <= "Z":
            last = code
    return (result + "000")[:4]


def overlay(text: str, replace: str, position: int = 1, length: int = -1) -> str:
    taken = len(replace) if length < 0 else length
    return text[: max(0, position - 1)] + replace + text[max(0, position - 1 + taken) :]


def substring_index(text: str, delimiter: str, count: int) -> str:
    if not delimiter or not count:
        return ""
    if count > 0:
        return delimiter.join(text.split(delimiter)[:count])
    return delimiter.join(text.rsplit(delimiter, -count)[count:])


def split_part(text: str, delimiter: str, number: int) -> str:
    if number == 0:
        raise SparkValueError(
            "INVALID_INDEX_OF_ZERO", "The index 0 is invalid. An index shall be either < 0 or > 0 (the first element has index 1)."
        )
    parts = text.split(delimiter) if delimiter else [text]
    at = number - 1 if number > 0 else len(parts) + number
    return parts[at] if 0 <= at < len(parts) else ""


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


def find_in_set(text: str, listed: str) -> int:
    if "," in text:
        return 0
    options = listed.split(",")
    return options.index(text) + 1 if text in options else 0


def format_number(number: Any, form: Any) -> str | None:
    if isinstance(form, str):
        return _patterned(number, form)
    if form < 0:
        return None
    if isinstance(number, float) and not math.isfinite(number):
        return "NaN" if math.isnan(number) else "∞" if number > 0 else "-∞"
    return f"{Decimal(repr(number) if isinstance(number, float) else number).quantize(Decimal(1).scaleb(-form), ROUND_HALF_EVEN):,f}"


def _patterned(number: Any, form: str) -> str:
    whole, _, fraction = form.partition(".")
    least, most = fraction.count("0"), len(fraction)
    value = Decimal(repr(number) if isinstance(number, float) else number).quantize(Decimal(1).scaleb(-most), ROUND_HALF_EVEN)
    text = f"{abs(value):{',' if ',' in whole else ''}f}"
    before, _, after = text.partition(".")
    after = after[:least] + after[least:].rstrip("0")
    digits = whole.replace(",", "").count("0")
    before = before.lstrip("0") if not digits else before.zfill(digits)
    return ("-" if value < 0 else "") + before + ("." + after if after else "")


def format_string(form: str | None, *values: Any) -> str | None:
    return None if form is None else java_format(form, values)


def elt(number: int | None, *values: str | None) -> str | None:
    if number is None:
        return None
    if not 1 <= number <= len(values):
        raise SparkValueError("INVALID_ARRAY_INDEX", f"The index {number} is out of bounds. The array has {len(values)} elements.")
    return values[number - 1]


def sentences(text: str, language: str = "", country: str = "") -> list[list[str]]:
    parts = re.split(r"(?<=[.!?])\s+", text.strip())
    return [words for part in parts if (words := re.findall(r"[\w'’-]+", part))]


def mask(
    text: str | None, upper: str | None = "X", lower: str | None = "x", digit: str | None = "n", other: str | None = None
) -> str | None:
    if text is None:
        return None

    def masked(character: str) -> str:
        if character.isupper():
            by = upper
        elif character.islower():
            by = lower
        elif character.isdigit():
            by = digit
        else:
            by = other
        return character if by is None else by

    return "".join(map(masked, text))


def quote(text: str) -> str:
    return "'" + text.replace("'", "\\'") + "'"


def randstr(length: int) -> str:
    return "".join(random.choices("0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ", k=length))


def lpad(text: Any, length: int, pad: Any = None) -> Any:
    missing, by = _missing(text, length, pad)
    return text[: max(0, length)] if missing <= 0 else (by * missing)[:missing] + text


def rpad(text: Any, length: int, pad: Any = None) -> Any:
    missing, by = _missing(text, length, pad)
    return text[: max(0, length)] if missing <= 0 else text + (by * missing)[:missing]


def _missing(text: Any, length: int, pad: Any) -> tuple[int, Any]:
    by = (b"\x00" if isinstance(text, bytes) else " ") if pad is None else pad
    return (max(0, length) - len(text) if by else 0), by


def concat_ws(separator: str | None, *values: Any) -> str | None:
    if separator is None:
        return None
    parts: list[str] = []
    for value in values:
        parts += [item for item in value if item is not None] if isinstance(value, list) else [] if value is None else [value]
    return separator.join(parts)


# ---- regular expressions ----


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
    return text[: position - 1] + java_pattern(pattern).sub(java_replacement(replacement), text[position - 1 :])


def regexp_count(text: str, pattern: str) -> int:
    return sum(1 for _ in java_pattern(pattern).finditer(text))


def regexp_instr(text: str, pattern: str, group: int = 0) -> int:
    match = java_pattern(pattern).search(text)
    return 0 if match is None else match.start() + 1


def regexp_substr(text: str, pattern: str) -> str | None:
    match = java_pattern(pattern).search(text)
    return None if match is None else match.group()


# ---- as bytes ----


def base64(data: bytes) -> str:
    return _base64.b64encode(data).decode()


def unbase64(text: str) -> bytes:
    plain = re.sub(r"[^A-Za-z0-9+/]", "", text)  # As of mail: what is no letter of the code is passed over.
    try:
        return _base64.b64decode(plain + "=" * (-len(plain) % 4), validate=True)
    except ValueError:
        raise SparkValueError(
            "CONVERSION_INVALID_INPUT", f"The value '{text}' cannot be converted to \"BINARY\": it is no base64."
        ) from None


def _strict_base64(text: str) -> bytes:
    plain = re.sub(r"\s", "", text)
    try:
        return _base64.b64decode(plain + "=" * (-len(plain) % 4), validate=True)
    except ValueError:
        raise SparkValueError(
            "CONVERSION_INVALID_INPUT", f"The value '{text}' cannot be converted to \"BINARY\": it is no base64."
        ) from None


def to_base32(data: bytes) -> str:
    return _base64.b32encode(data).decode()


def from_base32(text: str) -> bytes:
    return _base64.b32decode(text)


_CHARSETS = {
    "US-ASCII": "ascii",
    "ISO-8859-1": "latin-1",
    "UTF-8": "utf-8",
    "UTF-16BE": "utf-16-be",
    "UTF-16LE": "utf-16-le",
    "UTF-32": "utf-32-be",
}


def _charset(name: str) -> str:
    known = _CHARSETS.get(name.upper())
    if known is None:
        raise SparkValueError("INVALID_PARAMETER_VALUE.CHARSET", f"Expects one of {', '.join([*_CHARSETS, 'UTF-16'])}, but got '{name}'.")
    return known


def encode(text: str, charset: str) -> bytes:
    if charset.upper() == "UTF-16":
        return b"\xfe\xff" + text.encode("utf-16-be") if text else b""
    return text.encode(_charset(charset))


def decode(data: bytes, charset: str) -> str:
    if charset.upper() == "UTF-16":
        return data.decode("utf-16" if data[:2] in (b"\xfe\xff", b"\xff\xfe") else "utf-16-be")
    return data.decode(_charset(charset))


def unhex(text: str) -> bytes | None:
    try:
        return bytes.fromhex("0" * (len(text) % 2) + text)
    except ValueError:
        return None


def hexadecimal(value: int | bytes | str) -> str:
    if isinstance(value, int):
        return f"{value & 0xFFFFFFFFFFFFFFFF:X}"
    return (value.encode() if isinstance(value, str) else value).hex().upper()


def to_binary(text: str, form: str = "hex") -> bytes:
    match form.lower():
        case "hex":
            data = unhex(text)
            if data is None:
                raise SparkValueError(
                    "CONVERSION_INVALID_INPUT", f"The value '{text}' (hex) cannot be converted to \"BINARY\" because it is malformed."
                )
            return data
        case "utf-8" | "utf8":
            return text.encode()
        case "base64":
            return _strict_base64(text)
        case _:
            raise SparkValueError("INVALID_PARAMETER_VALUE", f"the format is hex, utf-8 or base64, not '{form}'")


def try_to_binary(text: str, form: str = "hex") -> bytes | None:
    try:
        return to_binary(text, form)
    except SparkValueError:
        return None


def is_valid_utf8(data: bytes) -> bool:
    return try_validate_utf8(data) is not None


def make_valid_utf8(data: bytes) -> str:
    return data.decode(errors="replace")


def validate_utf8(data: bytes) -> str:
    try:
        return data.decode()
    except UnicodeDecodeError:
        raise SparkValueError("INVALID_UTF8_STRING", f"Invalid UTF8 byte sequence found in string: {data!r}.") from None


def try_validate_utf8(data: bytes) -> str | None:
    try:
        return data.decode()
    except UnicodeDecodeError:
        return None


def url_encode(text: str) -> str:
    return urllib.parse.quote_plus(text, safe="*-._").replace("~", "%7E")


def url_decode(text: str) -> str:
    if re.search(r"%(?![0-9A-Fa-f]{2})", text):
        raise SparkValueError("CANNOT_DECODE_URL", f"The provided URL cannot be decoded: {text}.")
    return urllib.parse.unquote_plus(text)


def try_url_decode(text: str) -> str | None:
    try:
        return url_decode(text)
    except SparkValueError:
        return None


def parse_url(text: str, part: str, key: str | None = None) -> str | None:
    if re.search(r"[\s<>\"{}|\\^`]", text):
        raise SparkValueError("INVALID_URL", f"The url is invalid: {text}. Use `try_parse_url` to tolerate it and return NULL.")
    return _url_part(text, part, key)


def try_parse_url(text: str, part: str, key: str | None = None) -> str | None:
    try:
        return parse_url(text, part, key)
    except SparkValueError:
        return None


def _url_part(text: str, part: str, key: str | None) -> str | None:
    match = re.match(r"^(?:([^:/?#]+):)?(?://([^/?#]*))?([^?#]*)(?:\?([^#]*))?(?:#(.*))?$", text)
    assert match is not None
    scheme, authority, path, query, reference = match.groups()
    if key is not None:
        found = re.search(rf"(?:^|&){re.escape(key)}=([^&]*)", query or "") if part == "QUERY" else None
        return found.group(1) if found else None
    user, _, host = (authority or "").rpartition("@")
    match part:
        case "HOST":
            return re.sub(r":\d*$", "", host) or None
        case "PATH":
            return path
        case "QUERY":
            return query
        case "REF":
            return reference
        case "PROTOCOL":
            return scheme
        case "FILE":
            return path + ("" if query is None else f"?{query}")
        case "AUTHORITY":
            return authority
        case "USERINFO":
            return user or None
        case _:
            return None


def to_number(text: str, form: str) -> Decimal:
    value = try_to_number(text, form)
    if value is None:
        raise SparkValueError(
            "INVALID_FORMAT.MISMATCH_INPUT", f"The input '{text}' does not match the format '{form}'. Use `try_to_number` for NULL instead."
        )
    return value


def try_to_number(text: str, form: str) -> Decimal | None:
    if not _number_form(form).fullmatch(text.strip()):
        return None
    digits = re.sub(r"[,G$<>]", "", text.strip())
    negative = "-" in digits or text.strip().startswith("<")
    return Decimal(digits.strip("+-") or "0") * (-1 if negative else 1)


@functools.lru_cache(256)
def _number_form(form: str) -> re.Pattern[str]:
    result, seen_point = "", False
    for character in form.upper():
        if character in "90":
            result += r"\d?"
        elif character in ",G":
            result += ",?"
        elif character in ".D":
            result, seen_point = result + r"(?:\.", True
        elif character == "S":
            result += "[+-]?"
        elif character in "$L":
            result += r"\$"
    return re.compile(result + (")?" if seen_point else ""))


def jaro_winkler_similarity(a: str, b: str) -> float:
    if a == b:
        return 1.0
    reach = max(0, max(len(a), len(b)) // 2 - 1)
    taken = [False] * len(b)
    ours: list[str] = []
    for i, x in enumerate(a):
        for j in range(max(0, i - reach), min(len(b), i + reach + 1)):
            if not taken[j] and b[j] == x:
                taken[j] = True
                ours.append(x)
                break
    if not ours:
        return 0.0
    theirs = [y for y, used in zip(b, taken, strict=True) if used]
    swapped = sum(x != y for x, y in zip(ours, theirs, strict=True)) // 2
    n = len(ours)
    jaro = (n / len(a) + n / len(b) + (n - swapped) / n) / 3
    prefix = 0
    for x, y in zip(a[:4], b[:4], strict=False):
        if x != y:
            break
        prefix += 1
    return jaro + prefix * 0.1 * (1 - jaro)


def str_to_map(text: str, pairs: str = ",", inner: str = ":") -> list[tuple[str, str | None]]:
    result: dict[str, str | None] = {}
    for pair in split(text, pairs):
        parts = split(pair, inner, 2)
        if parts[0] in result:
            raise SparkValueError("DUPLICATED_MAP_KEY", f"Duplicate map key {parts[0]} was found.")
        result[parts[0]] = parts[1] if len(parts) > 1 else None
    return list(result.items())
