"""Of strings."""

from __future__ import annotations

import math
import random
import re
from decimal import ROUND_HALF_EVEN, Decimal
from typing import Any

from quiver_proto.spark_functions.java import SparkValueError, java_format


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
