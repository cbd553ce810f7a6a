"""Texts of intervals, and intervals of months, days and microseconds."""

from __future__ import annotations

import re
from datetime import timedelta
from decimal import Decimal

from quiver_proto.spark_functions.java import SparkValueError

_UNITS = ("day", "hour", "minute", "second")
_MICROS = {"day": 86_400_000_000, "hour": 3_600_000_000, "minute": 60_000_000, "second": 1_000_000}
_SHAPE = {"day": r"\d+", "hour": r"\d+", "minute": r"\d+", "second": r"\d+(?:\.\d{1,9})?"}
_BEFORE = {"hour": "[ ]+", "minute": ":", "second": ":"}
_LEAST, _MOST = -(1 << 63), (1 << 63) - 1


def span_of(text: str, lenient: bool, kind: str) -> timedelta | None:
    """The text of a duration, as `kind` is written: `1 02:03:04.5`, or in whole, `INTERVAL '1 02:03:04.5' DAY TO SECOND`."""
    first, last = _fields(kind)
    units = _UNITS[_UNITS.index(first) : _UNITS.index(last) + 1]
    pattern = f"({_SHAPE[first]})" + "".join(f"{_BEFORE[unit]}({_SHAPE[unit]})" for unit in units[1:])
    found = _read(text, kind, pattern)
    if found is None:
        _refused(text, lenient, kind)
        return None
    sign, numbers = found
    total = sum(int(Decimal(number) * _MICROS[unit]) for number, unit in zip(numbers, units, strict=True))
    return timedelta(microseconds=sign * total)


def months_of(text: str, lenient: bool, kind: str) -> tuple[int, int, int] | None:
    """The text of a number of months, as `kind` is written: `1-2`, or in whole, `INTERVAL '1-2' YEAR TO MONTH`."""
    first, last = _fields(kind)
    found = _read(text, kind, r"(\d+)" if first == last else r"(\d+)-(\d{1,2})")
    if found is None:
        _refused(text, lenient, kind)
        return None
    sign, numbers = found
    size = 12 if first == "year" else 1
    return (sign * (int(numbers[0]) * size + sum(map(int, numbers[1:]))), 0, 0)


def _fields(kind: str) -> tuple[str, str]:
    first, _, last = kind.removeprefix("interval ").partition(" to ")
    return first, last or first


def _read(text: str, kind: str, pattern: str) -> tuple[int, list[str]] | None:
    whole = rf"\s*INTERVAL\s+([+-]?)'\s*([+-]?){pattern}\s*'\s+{kind.removeprefix('interval ')}\s*"
    found = re.fullmatch(whole, text, re.IGNORECASE) or re.fullmatch(rf"\s*()([+-]?){pattern}\s*", text)
    if found is None:
        return None
    outer, inner, *numbers = found.groups()
    return (-1 if (outer == "-") != (inner == "-") else 1), numbers


def _refused(text: str, lenient: bool, kind: str) -> None:
    if not lenient:
        raise SparkValueError(
            "INVALID_INTERVAL_FORMAT.UNMATCHED_FORMAT_STRING",
            f"Error parsing '{text}' to interval. Please ensure that the value provided is in a valid format for defining an interval. "
            f"Interval string does not match the format of `{kind}`.",
        )


def calendar(years: int, months: int, weeks: int, days: int, hours: int, minutes: int, seconds: Decimal) -> tuple[int, int, int] | None:
    """(months, days, nanoseconds); None when they don't fit."""
    total_months, total_days = years * 12 + months, weeks * 7 + days
    micros = (hours * 3600 + minutes * 60) * 1_000_000 + int(seconds * 1_000_000)
    fits = -(1 << 31) <= total_months < 1 << 31 and -(1 << 31) <= total_days < 1 << 31 and _LEAST <= micros * 1000 <= _MOST
    return (total_months, total_days, micros * 1000) if fits else None


def text_of(interval: tuple[int, int, int]) -> str:
    """As Spark writes it: `1 years 2 months 3 days 4 hours 5.5 seconds`."""
    months, days, nanos = interval
    parts = [(int(months / 12), "years"), (months - int(months / 12) * 12, "months"), (days, "days")]
    micros = nanos // 1000
    sign, micros = -1 if micros < 0 else 1, abs(micros)
    parts += [(sign * (micros // 3_600_000_000), "hours"), (sign * (micros // 60_000_000 % 60), "minutes")]
    texts = [f"{amount} {unit}" for amount, unit in parts if amount]
    rest = micros % 60_000_000
    if rest:
        seconds = f"{rest // 1_000_000}.{rest % 1_000_000:06d}".rstrip("0").rstrip(".")
        texts.append(f"{'-' if sign < 0 else ''}{seconds} seconds")
    return " ".join(texts) or "0 seconds"
