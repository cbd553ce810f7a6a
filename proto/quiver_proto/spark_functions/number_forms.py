"""Numbers by a pattern such as `$9,999.99S`: written, as `to_char` does, and read, as `to_number`."""

from __future__ import annotations

import functools
import re
from decimal import Decimal

from quiver_proto.spark_functions.java import SparkValueError

PATTERN = re.compile(r"(?P<first>MI|S)?(?P<money>[$L])?(?P<whole>[09G,]*)(?P<point>[.D])?(?P<part>[09]*)(?P<late>[$L])?(?P<last>PR|MI|S)?")


@functools.lru_cache(256)
def _read(form: str) -> dict[str, str]:
    found = PATTERN.fullmatch(form.upper())
    if found is None:
        raise ValueError(f"[INVALID_FORMAT.UNEXPECTED_TOKEN] The format is invalid: '{form}'.")
    return {name: text or "" for name, text in found.groupdict().items()}


def to_char(value: Decimal, form: str) -> str:
    """Digits that the pattern has no room for make all of them `#`. A minus that it has no place for is left out."""
    pattern = _read(form)
    negative = value < 0
    whole, _, part = f"{abs(value):f}".partition(".")
    whole, part = whole.lstrip("0"), part.rstrip("0")
    places = sum(character in "09" for character in pattern["whole"])
    fits = len(whole) <= places and len(part) <= len(pattern["part"])
    signs = {"S": "-" if negative else "+", "MI": "-" if negative else " ", "": ""}
    result = list(signs[pattern["first"]])
    if pattern["last"] == "PR" and negative:
        result.append("<")
    if pattern["money"]:
        result.append("$")
    if fits:
        _put_digits(result, pattern["whole"], whole.rjust(places))
    else:
        result += ["#" if character in "09" else " " for character in pattern["whole"]]
    if pattern["point"]:
        if result and result[-1] == " ":
            result[-1] = "0" if fits else " "
        result.append("." if pattern["part"] else " ")
    result += part.ljust(len(pattern["part"]), "0") if fits else "#" * len(pattern["part"])
    if pattern["late"]:
        result.append("$")
    if pattern["last"] == "PR":
        result += ">" if negative else "  "
    else:
        result += signs[pattern["last"]]
    return "".join(result)


def _put_digits(result: list[str], places: str, digits: str) -> None:
    given = iter(digits)
    started = False
    for place in places:
        if place in "G,":
            character = "," if started else " "
        else:
            digit = next(given)
            character = digit if digit != " " else "0" if place == "0" or started else " "
            started = started or character != " "
        if character == " " and result and result[-1] in "+-<":
            result.insert(-1, " ")  # Signs stand next to the digits.
        else:
            result.append(character)


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
