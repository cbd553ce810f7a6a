"""What Spark takes from Java: patterns of regular expressions, format strings, and errors with a condition."""

from __future__ import annotations

import functools
import re
from typing import Any


class SparkValueError(ValueError):
    """A value that a function can't take; its text begins with Spark's condition in brackets."""

    def __init__(self, condition: str, message: str) -> None:
        super().__init__(f"[{condition}] {message}")


_POSIX = {
    "Alpha": "a-zA-Z", "Digit": "0-9", "Alnum": "a-zA-Z0-9", "Punct": re.escape("!\"#$%&'()*+,-./:;<=>?@[\\]^_`{|}~"), "Upper": "A-Z",
    "Lower": "a-z",
    "Space": r"\s", "XDigit": "0-9a-fA-F", "L": "^\\W\\d_", "Lu": "A-ZÀ-ÖØ-Þ", "Ll": "a-zß-öø-ÿ", "N": r"\d", "IsAlphabetic": "^\\W\\d_",
}  # fmt: skip


@functools.lru_cache(1024)
def java_pattern(pattern: str) -> re.Pattern[str]:
    """A regular expression of Java, where it differs from Python's: named groups, POSIX classes, ASCII digits. Raises SparkValueError."""
    text = re.sub(r"\(\?<([a-zA-Z]\w*)>", r"(?P<\1>", pattern)
    text = re.sub(r"\\k<(\w+)>", r"(?P=\1)", text)
    text = re.sub(r"\\p\{(\w+)\}", lambda found: f"[{_POSIX.get(found[1], found[1])}]", text)
    text = re.sub(r"\\Q(.*?)\\E", lambda found: re.escape(found[1]), text, flags=re.DOTALL)
    text = text.replace(r"\z", r"\Z").replace(r"\h", r"[ \t]")
    try:
        return re.compile(text, 0 if re.search(r"\(\?\w*U", pattern) else re.ASCII if not re.search(r"[^\x00-\x7f]", pattern) else 0)
    except re.error as error:
        raise SparkValueError(
            "INVALID_PARAMETER_VALUE.PATTERN", f"Expects a valid regular expression, but got '{pattern}' ({error})."
        ) from None


@functools.lru_cache(1024)
def java_replacement(text: str) -> str:
    r"""Java's `$1` and `\$` as Python's template."""
    result, at = [], 0
    while at < len(text):
        character = text[at]
        if character == "\\" and at + 1 < len(text):
            at += 1
            result.append("\\\\" if text[at] == "\\" else text[at])
        elif character == "$" and (found := re.compile(r"\{(\w+)\}|(\d)").match(text, at + 1)):
            result.append(f"\\g<{found[1] or found[2]}>")
            at = found.end() - 1
        else:
            result.append(character)
        at += 1
    return "".join(result)


_DIRECTIVE = re.compile(r"%(?:(\d+)\$)?([-#+ 0,(]*)(\d+)?(?:\.(\d+))?([a-zA-Z%])")


def java_format(form: str, values: tuple[Any, ...]) -> str:
    """As String.format: %s %d %f %e %g %x %o %c %b %%, with flags and positions. Raises SparkValueError."""
    count = 0

    def written(found: re.Match[str]) -> str:
        nonlocal count
        position, flags, width, precision, letter = found.groups()
        if letter in "%n":
            return "%" if letter == "%" else "\n"
        if position:
            at = int(position) - 1
        else:
            at, count = count, count + 1
        if at >= len(values):
            raise SparkValueError("INVALID_PARAMETER_VALUE", f"the format '{form}' wants more than {len(values)} arguments")
        text = _formatted(values[at], flags, precision, letter)
        if width:
            if "0" in flags and letter not in "sS" and values[at] is not None:
                sign = text[:1] if text[:1] in "+- " and text else ""
                text = sign + text[len(sign) :].rjust(int(width) - len(sign), "0")
            else:
                text = text.ljust(int(width)) if "-" in flags else text.rjust(int(width))
        return text

    return _DIRECTIVE.sub(written, form)


def _formatted(value: Any, flags: str, precision: str | None, letter: str) -> str:
    if value is None and letter not in "bB":
        return "NULL" if letter.isupper() else "null"
    sign = "+" if "+" in flags else " " if " " in flags else ""
    comma = "," if "," in flags else ""
    match letter.lower():
        case "s":
            text = "true" if value is True else "false" if value is False else str(value)
            text = text if precision is None else text[: int(precision)]
        case "d":
            if isinstance(value, float | str):
                raise SparkValueError("INVALID_PARAMETER_VALUE", f"%d wants an integer, not {value!r}")
            text = f"{value:{sign}{comma}d}"
        case "f":
            text = f"{value:{sign}{comma}.{precision or 6}f}"
        case "e":
            text = f"{value:{sign}.{precision or 6}e}"
        case "g":
            text = f"{value:{sign}.{precision or 6}g}"
        case "x":
            number = int(value or 0)
            text = f"{number & 0xFFFFFFFF if -(2**31) <= number < 0 else number & 0xFFFFFFFFFFFFFFFF:x}"
            text = ("0x" if "#" in flags else "") + text
        case "o":
            number = int(value or 0)
            text = f"{number & 0xFFFFFFFF if -(2**31) <= number < 0 else number & 0xFFFFFFFFFFFFFFFF:o}"
        case "c":
            text = chr(value) if isinstance(value, int) else str(value)
        case "b":
            text = str(bool(value) if isinstance(value, bool) or value is None else True).lower()
        case _:
            raise SparkValueError("INVALID_PARAMETER_VALUE", f"%{letter} is no format")
    return text.upper() if letter.isupper() else text
