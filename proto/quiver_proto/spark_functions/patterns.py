"""Java's patterns of dates and times: `yyyy-MM-dd HH:mm:ss`."""

from __future__ import annotations

import calendar
import functools
import re
from datetime import datetime, timedelta
from typing import Any

from quiver_proto.spark_functions.java import SparkValueError

_TOKEN = re.compile(r"([A-Za-z])\1*|'((?:[^']|'')*)'|[^A-Za-z']+")


@functools.lru_cache(256)
def _tokens(form: str) -> tuple[tuple[str, str], ...]:
    """(letters or "", the text that stands as it is)."""
    result = []
    for found in _TOKEN.finditer(form):
        if found[1]:
            result.append((found[0], ""))
        else:
            result.append(("", "'" if found[0] == "''" else found[2].replace("''", "'") if found[2] is not None else found[0]))
    return tuple(result)


_MOST = {
    "G": 4, "y": 6, "M": 4, "L": 4, "Q": 4, "q": 4, "E": 4, "a": 1, "d": 2, "D": 3, "F": 1, "H": 2, "h": 2, "K": 2, "k": 2, "m": 2, "s": 2,
    "S": 9, "z": 4, "X": 5, "x": 5, "Z": 5,
}  # fmt: skip
"""How often a letter may stand in a row."""
_ODD = "INCONSISTENT_BEHAVIOR_CROSS_VERSION.DATETIME_PATTERN_RECOGNITION"


def _check(letters: str, text: str, form: str) -> None:
    """Raises SparkValueError for what Spark's patterns do not know. Text in quotes may be anything."""
    if letters[:1] in ("V", "O") and letters not in ("VV", "O", "OOOO"):
        raise SparkValueError("INVALID_DATETIME_PATTERN.WITH_SUGGESTION", f"'{letters}' is no pattern of dates and times.")
    if len(letters) > _MOST.get(letters[:1], len(letters)) or (f"'{text}'" not in form and any(mark in text for mark in "#{}")):
        raise SparkValueError(_ODD, f"'{letters or text}' is no pattern of dates and times.")


@functools.lru_cache(256)
def _to_write(form: str) -> tuple[tuple[str, str], ...]:
    """The tokens of a pattern to write by, without brackets: what may be left out is written."""
    for letters, text in _tokens(form):
        _check(letters, text, form)
    return tuple((letters, text if f"'{text}'" in form else text.translate({91: None, 93: None})) for letters, text in _tokens(form))


def formatted(moment: datetime, form: str, zone: str = "UTC") -> str:
    """What clocks of the zone show, by the pattern. Raises SparkValueError for a pattern that Spark has not."""
    return "".join(_written(moment, letters, zone) if letters else text for letters, text in _to_write(form))


def _offset(moment: datetime, zone: str) -> timedelta:
    from quiver_proto.spark_functions.times import zone_of

    offset: timedelta = moment.replace(tzinfo=zone_of(zone)).utcoffset() or timedelta(0)
    return offset


def _hours(offset: timedelta, colon: str, seconds: bool = False) -> str:
    minutes, rest = divmod(abs(offset.days * 86400 + offset.seconds), 60)
    text = f"{'-' if offset < timedelta(0) else '+'}{minutes // 60:02d}{colon}{minutes % 60:02d}"
    return f"{text}{colon}{rest:02d}" if seconds and rest else text


def _zone_written(moment: datetime, letters: str, zone: str) -> str:
    from quiver_proto.spark_functions.times import zone_of

    count, offset = len(letters), _offset(moment, zone)
    match letters[0]:
        case "V":
            return "UTC" if zone in ("", "Etc/UTC") else zone
        case "z":
            name = moment.replace(tzinfo=zone_of(zone)).tzname() or zone
            if name == "UTC":
                return "Coordinated Universal Time" if count > 3 else name
            return name.removeprefix("UTC")  # Python calls offsets UTC+05:30.
        case "O":
            if not offset:
                return "GMT"
            hours, minutes = divmod(abs(offset.days * 86400 + offset.seconds) // 60, 60)
            short = f"{'-' if offset < timedelta(0) else '+'}{hours}" + (f":{minutes:02d}" if minutes else "")
            return "GMT" + (short if count == 1 else _hours(offset, ":"))
        case "X" if not offset:
            return "Z"
        case "X" | "x":
            if count == 1:
                plain = _hours(offset, "")
                return plain[:3] if plain.endswith("00") else plain
            return _hours(offset, ":" if count in (3, 5) else "", count >= 4)
        case _:
            if count == 4:
                return "GMT" + (_hours(offset, ":") if offset else "")
            return ("Z" if not offset else _hours(offset, ":")) if count == 5 else _hours(offset, "")


def _written(moment: datetime, letters: str, zone: str) -> str:
    count = len(letters)
    if letters[0] in "VzOXxZ":
        return _zone_written(moment, letters, zone)
    match letters[0]:
        case "y":
            return f"{moment.year % 100:02d}" if count == 2 else f"{moment.year:0{count}d}"
        case "M" | "L":
            return (
                calendar.month_name[moment.month]
                if count == 4
                else calendar.month_abbr[moment.month]
                if count == 3
                else f"{moment.month:0{count}d}"
            )
        case "d":
            return f"{moment.day:0{count}d}"
        case "D":
            return f"{moment.timetuple().tm_yday:0{count}d}"
        case "H":
            return f"{moment.hour:0{count}d}"
        case "k":
            return f"{moment.hour or 24:0{count}d}"
        case "h":
            return f"{moment.hour % 12 or 12:0{count}d}"
        case "K":
            return f"{moment.hour % 12:0{count}d}"
        case "m":
            return f"{moment.minute:0{count}d}"
        case "s":
            return f"{moment.second:0{count}d}"
        case "S":
            return f"{moment.microsecond:06d}".ljust(count, "0")[:count]
        case "a":
            return "AM" if moment.hour < 12 else "PM"
        case "E":
            return calendar.day_name[moment.weekday()] if count == 4 else calendar.day_abbr[moment.weekday()]
        case "Q" | "q":
            quarter = (moment.month - 1) // 3 + 1
            return (
                f"Q{quarter}"
                if count == 3
                else f"{('1st', '2nd', '3rd', '4th')[quarter - 1]} quarter"
                if count == 4
                else f"{quarter:0{count}d}"
            )
        case "G":
            return "Anno Domini" if count == 4 else "AD"
        case "F":
            return str((moment.day - 1) % 7 + 1)
        case _:
            if letters[0] in "nNAcWweuY":
                raise SparkValueError(
                    "INCONSISTENT_BEHAVIOR_CROSS_VERSION.DATETIME_PATTERN_RECOGNITION"
                    if letters[0] in "weuYWc"
                    else "INVALID_DATETIME_PATTERN.ILLEGAL_CHARACTER",
                    f"'{letters}' is no pattern of dates and times.",
                )
            raise SparkValueError("INVALID_DATETIME_PATTERN.ILLEGAL_CHARACTER", f"'{letters}' is no pattern of dates and times.")


_MONTHS = {name.lower(): number for number in range(1, 13) for name in (calendar.month_name[number], calendar.month_abbr[number])}


@functools.lru_cache(256)
def _reader(form: str) -> tuple[re.Pattern[str], tuple[str, ...]]:
    result, fields = "", []
    optional = 0
    for letters, text in _tokens(form):
        _check(letters, text, form)
        if letters[:1] in ("E", "u"):
            raise SparkValueError(_ODD, f"'{letters}' is no pattern to read by.")
        if letters[:1] in ("Q", "q", "F"):
            raise SparkValueError("INVALID_DATETIME_PATTERN.ILLEGAL_CHARACTER", f"'{letters}' is no pattern to read by.")
        if not letters:
            for character in text:
                if character == "[":
                    result, optional = result + "(?:", optional + 1
                elif character == "]" and optional:
                    result, optional = result + ")?", optional - 1
                else:
                    result += re.escape(character)
            continue
        result += f"({_expected(letters)})"
        fields.append(letters)
    return re.compile(result), tuple(fields)


def _expected(letters: str) -> str:
    count = len(letters)
    match letters[0]:
        case "y" | "u":
            return r"\d{2}" if count == 2 else r"[+-]?\d{4,}" if count in (1, 4) else rf"\d{{{count}}}"
        case "M" | "L" if count >= 3:
            return r"[A-Za-z]+"
        case "E" | "G":
            return r"[A-Za-z]+"
        case "a":
            return r"[AaPp][Mm]"
        case "S":
            return rf"\d{{1,{count}}}" if count > 1 else r"\d"
        case "x":
            return r"[+-]\d{2}(?::?\d{2})?"
        case "z" | "V" | "X" | "Z" | "O":
            return r"Z|(?:GMT|UTC)?[+-]\d{1,2}(?::?\d{2})?|[A-Za-z]+(?:/[A-Za-z_]+)?"
        case "M" | "L" | "d" | "D" | "H" | "k" | "h" | "K" | "m" | "s" | "Q" | "q":
            return r"\d{1,3}" if letters[0] == "D" else r"\d{1,2}" if count == 1 else rf"\d{{{count}}}"
        case _:
            raise SparkValueError(
                "INCONSISTENT_BEHAVIOR_CROSS_VERSION.DATETIME_PATTERN_RECOGNITION", f"'{letters}' is no pattern of dates and times."
            )


def parsed(text: str, form: str) -> datetime | None:
    """What the text means by the pattern, in a zone when it names one; None when it does not fit."""
    pattern, fields = _reader(form)
    found = pattern.fullmatch(text)
    if found is None:
        return None
    parts: dict[str, Any] = {}
    for letters, value in zip(fields, found.groups(), strict=True):
        if value is not None:
            parts[{"u": "y", "L": "M"}.get(letters[0], letters[0])] = (letters, value)
    try:
        return _moment(parts)
    except ValueError:
        return None


def _moment(parts: dict[str, Any]) -> datetime:
    from quiver_proto.spark_functions.times import zone_of

    def number(letter: str, otherwise: int) -> int:
        return int(parts[letter][1]) if letter in parts else otherwise

    year = number("y", 1970) + (2000 if "y" in parts and len(parts["y"][0]) == 2 else 0)
    month = 1
    if "M" in parts:
        letters, value = parts["M"]
        month = int(value) if len(letters) < 3 else _MONTHS.get(value.lower(), 0)
    hour = number("H", number("k", 0) % 24)
    if "h" in parts or "K" in parts:
        if not 1 <= number("h", 1) <= 12 or number("K", 0) > 11:
            raise ValueError("no hour of half a day")
        hour = number("h", number("K", 0)) % 12 + (12 if parts.get("a", ("", "am"))[1].lower() == "pm" else 0)
    micros = int(parts["S"][1].ljust(6, "0")[:6]) if "S" in parts else 0
    moment = datetime(year, month, number("d", 1), hour, number("m", 0), number("s", 0), micros)
    if "D" in parts and "d" not in parts:
        moment += timedelta(days=number("D", 1) - 1)
    for letter in "zVXxZO":
        if letter in parts:
            from datetime import UTC

            return moment.replace(tzinfo=zone_of(parts[letter][1])).astimezone(UTC)
    return moment
