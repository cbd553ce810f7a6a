"""Of numbers."""

from __future__ import annotations

import math
from decimal import ROUND_CEILING, ROUND_FLOOR, ROUND_HALF_EVEN, ROUND_HALF_UP, Context, Decimal
from typing import Any, NoReturn

from quiver_proto.spark_functions.java import SparkValueError

_WIDE = Context(prec=800, Emax=999999, Emin=-999999)


def factorial(n: int) -> int | None:
    if not 0 <= n <= 20:
        return None
    result = 1
    for factor in range(2, n + 1):
        result *= factor
    return result


def binary(number: int) -> str:
    return f"{number & 0xFFFFFFFFFFFFFFFF:b}"


_DIGITS = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ"


def conv(text: str, source: int, target: int) -> str | None:
    text = text.strip()
    if not 2 <= source <= 36 or not 2 <= abs(target) <= 36 or not text:
        return None
    negative = text[0] == "-"
    value = 0
    for character in text[negative:].upper():
        digit = _DIGITS.find(character)
        if not 0 <= digit < source:
            break
        value = value * source + digit
    if value >= 2**64:
        raise SparkValueError(
            "ARITHMETIC_OVERFLOW", 'Overflow in function conv(). If necessary set "spark.sql.ansi.enabled" to "false" to bypass this error.'
        )
    if negative:
        value = -value
    sign = ""
    if target < 0:
        value = (value + 2**63) % 2**64 - 2**63
        sign, value, target = "-" * (value < 0), abs(value), -target
    else:
        value %= 2**64
    digits = ""
    while value:
        value, digit = divmod(value, target)
        digits = _DIGITS[digit] + digits
    return sign + (digits or "0")


def width_bucket(value: float, least: float, most: float, count: int) -> int | None:
    if count <= 0 or least == most or value != value:
        return None
    if least < most:
        return 0 if value < least else count + 1 if value >= most else int(count * (value - least) / (most - least)) + 1
    return 0 if value > least else count + 1 if value <= most else int(count * (least - value) / (least - most)) + 1


_SURELY_NOTHING = -400
"""Places left of the point: no double has so many."""
_LEAST_SCALE = -(2**31) + 1
"""Java's decimals have more places."""
_GREATEST_SCALE = 646_456_993
"""Ten to this is more than Java's numbers can be."""


def _no_number(scale: int) -> NoReturn:
    raise SparkValueError("ARITHMETIC_OVERFLOW", f"Rounding to a scale of {scale} leaves the range of numbers. Use a scale nearer to 0.")


def _rounded(value: Any, scale: int, mode: str) -> Any:
    if isinstance(value, float) and not math.isfinite(value):
        return value
    if scale <= _LEAST_SCALE or (isinstance(value, float) and scale >= _GREATEST_SCALE):
        _no_number(scale)
    if scale < _SURELY_NOTHING:
        return type(value)(0)
    if isinstance(value, float):
        return float(Decimal(repr(value)).quantize(Decimal(1).scaleb(-scale), mode, _WIDE)) if scale < 300 else value
    if isinstance(value, int):
        if scale >= 0:
            return value
        unit = Decimal(1).scaleb(-scale)
        return int(_WIDE.multiply(_WIDE.divide(Decimal(value), unit).quantize(Decimal(1), mode, _WIDE), unit))
    return value.quantize(Decimal(1).scaleb(-scale), mode, _WIDE) if -value.as_tuple().exponent > scale else value


def round(value: Any, scale: int = 0) -> Any:  # Spark's name.
    return _rounded(value, scale, ROUND_HALF_UP)


def bround(value: Any, scale: int = 0) -> Any:
    return _rounded(value, scale, ROUND_HALF_EVEN)


def _decimal(value: Any, scale: int, mode: str) -> Decimal:
    number = Decimal(repr(value) if isinstance(value, float) else value)
    exponent = number.as_tuple().exponent
    if not isinstance(exponent, int) or scale <= _LEAST_SCALE:
        _no_number(scale)
    if scale >= -exponent:
        return number
    result = number.quantize(Decimal(1).scaleb(-max(scale, _SURELY_NOTHING)), mode, _WIDE)
    if result and result.adjusted() >= 38:
        _no_number(scale)
    return result or Decimal(0)


def ceil(value: Any, scale: int = 0) -> Decimal:
    return _decimal(value, scale, ROUND_CEILING)


def floor(value: Any, scale: int = 0) -> Decimal:
    return _decimal(value, scale, ROUND_FLOOR)


def bit_count(value: int | bool) -> int:
    return (int(value) & 0xFFFFFFFFFFFFFFFF).bit_count()


def bit_get(value: int, position: int) -> int:
    if not 0 <= position < 64:
        raise SparkValueError("INVALID_PARAMETER_VALUE.BIT_POSITION_RANGE", f"Expects a bit from 0 to 63, but got {position}.")
    return value >> position & 1


def _signed(value: int, width: int) -> int:
    value &= (1 << width) - 1
    return value - (1 << width) if value >> (width - 1) else value


def shiftleft(value: int, bits: int, width: int) -> int:
    return _signed(value << bits % width, width)


def shiftright(value: int, bits: int, width: int) -> int:
    return value >> bits % width


def shiftrightunsigned(value: int, bits: int, width: int) -> int:
    return _signed((value & (1 << width) - 1) >> bits % width, width)
