"""Between variants and values of Spark's types, which are told as Spark writes them in JSON."""

from __future__ import annotations

import functools
import math
import struct
from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from decimal import Context, Decimal, InvalidOperation
from typing import Any

from quiver_proto.spark_functions import casts
from quiver_proto.spark_functions.java import SparkValueError
from quiver_proto.spark_functions.json_types import BITS, in_sql
from quiver_proto.spark_functions.times import zone_of
from quiver_proto.variants import encoding as v
from quiver_proto.variants.decoding import Part, tree_of
from quiver_proto.variants.json_form import as_json, plain

_WIDE = Context(prec=100)
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class Unfit(ValueError):
    """A part of a variant that is not of the wanted type; `part` and `kind` say which."""

    def __init__(self, part: Part, kind: Any) -> None:
        super().__init__(kind)
        self.part, self.kind = part, kind

    def error(self, zone: str) -> SparkValueError:
        """What a cast raises."""
        shown = as_json(self.part, zone)
        return SparkValueError(
            "INVALID_VARIANT_CAST",
            f'The variant value `{shown}` cannot be cast into `"{_called(self.kind)}"`. Please use `try_variant_get` instead.',
        )


def _called(kind: Any) -> str:
    if isinstance(kind, str):
        return in_sql(kind).upper()
    match kind["type"]:
        case "array":
            return f"ARRAY<{_called(kind['elementType'])}>"
        case "map":
            return f"MAP<{_called(kind['keyType'])}, {_called(kind['valueType'])}>"
        case _:
            fields = (field["name"] + ": " + _called(field["type"]) for field in kind["fields"])
            return f"STRUCT<{', '.join(fields)}>"


def value_of(part: Part, kind: Any, zone: str, lenient: bool) -> Any:
    """The part as the type; null is null. `lenient`: what does not fit is null, item by item, else Unfit is raised."""
    if kind == "variant":
        value, metadata = v.encoded(tree_of(part))
        return {"value": value, "metadata": metadata}
    of = part.kind
    if of == "void":
        return None
    if isinstance(kind, dict):
        made = _nested(part, of, kind, zone, lenient)
    elif of in ("object", "array"):
        made = as_json(part, zone) if kind == "string" else _UNFIT
    else:
        made = _scalar(part.scalar(), of, kind, zone)
    if made is _UNFIT:
        if lenient:
            return None
        raise Unfit(part, kind)
    return made


_UNFIT: Any = object()


def _nested(part: Part, of: str, kind: dict[str, Any], zone: str, lenient: bool) -> Any:
    match kind["type"], of:
        case "array", "array":
            return [value_of(item, kind["elementType"], zone, lenient) for item in part.items()]
        case "map", "object" if kind["keyType"] == "string":
            return [(name, value_of(member, kind["valueType"], zone, lenient)) for name, member in part.members()]
        case "struct", "object":
            fields = {field["name"]: field["type"] for field in kind["fields"]}
            made = dict.fromkeys(fields)
            for name, member in part.members():
                if name in fields:
                    made[name] = value_of(member, fields[name], zone, lenient)
            return made
    return _UNFIT


# ---- scalars ----


def _scalar(value: Any, of: str, kind: str, zone: str) -> Any:
    """As Spark casts constants, null where it can't; _UNFIT for that."""
    try:
        made = _target(kind)(value, of, zone)
    except (ValueError, OverflowError, InvalidOperation):
        return _UNFIT
    return _UNFIT if made is None else made


@functools.lru_cache(256)
def _target(kind: str) -> Callable[[Any, str, str], Any]:
    if kind in BITS:
        return functools.partial(_whole, kind)
    if kind.startswith("decimal"):
        precision, _, scale = kind.removeprefix("decimal").strip("()").partition(",")
        return functools.partial(_decimal, int(precision or 10), int(scale or 0))
    return _TARGETS.get(kind, lambda value, of, zone: None)


def _whole(kind: str, value: Any, of: str, zone: str) -> int | None:
    bits = BITS[kind]
    match value:
        case str():
            return casts.whole(value, bits)
        case bool() | int() | Decimal():
            number = int(value)
        case float():
            number = math.trunc(value)
        case datetime() if value.tzinfo is not None:
            number = (value - _EPOCH) // timedelta(seconds=1)
        case _:
            return None
    return number if -(1 << bits - 1) <= number < 1 << bits - 1 else None


def _decimal(precision: int, scale: int, value: Any, of: str, zone: str) -> Decimal | None:
    match value:
        case str():
            return casts.exact(value, True, precision, scale)
        case bool() | int() | Decimal():
            number = Decimal(int(value) if isinstance(value, bool) else value)
        case float():
            number = Decimal(repr(value))
        case datetime() if value.tzinfo is not None:
            number = Decimal((value - _EPOCH) // timedelta(microseconds=1)).scaleb(-6, _WIDE)
        case _:
            return None
    if not number.is_finite():
        return None
    return casts.fitted(number, precision, scale)


def _double(value: Any, of: str, zone: str) -> float | None:
    match value:
        case str():
            return casts.double(value, True)
        case bool() | int() | Decimal() | float():
            return float(value)
        case datetime() if value.tzinfo is not None:
            return (value - _EPOCH) / timedelta(seconds=1)
    return None


def _single(value: Any, of: str, zone: str) -> float | None:
    number = _double(value, of, zone)
    if number is None:
        return None
    try:
        return float(struct.unpack("f", struct.pack("f", number))[0])
    except OverflowError:
        return math.copysign(math.inf, number)


def _boolean(value: Any, of: str, zone: str) -> bool | None:
    if isinstance(value, str):
        return casts.boolean(value, True)
    return bool(value) if isinstance(value, bool | int | float | Decimal) else None


def _string(value: Any, of: str, zone: str) -> str | None:
    match value:
        case str():
            return value
        case bool():
            return "true" if value else "false"
        case Decimal():
            return plain(value)
        case float():
            return (casts.written if of == "double" else casts.written_single)(value)
        case bytes():
            return casts.text_of(value)
        case datetime():
            return casts.shown_time(value if value.tzinfo is None else value.astimezone(zone_of(zone)))
        case date():
            return value.isoformat()
    return str(value)


def _binary(value: Any, of: str, zone: str) -> bytes | None:
    return value if isinstance(value, bytes) else value.encode() if isinstance(value, str) else None


def _date(value: Any, of: str, zone: str) -> date | None:
    match value:
        case str():
            return casts.date_of(value, True)
        case datetime():
            return (value if value.tzinfo is None else value.astimezone(zone_of(zone))).date()
        case date():
            return value
    return None


def _wall(value: Any, of: str, zone: str) -> datetime | None:
    match value:
        case str():
            return casts.wall_clock_of(value, True)
        case date():
            return _clock(value, zone)
    return None


def _clock(day: date, zone: str) -> datetime:
    if not isinstance(day, datetime):
        return datetime(day.year, day.month, day.day)
    return day if day.tzinfo is None else day.astimezone(zone_of(zone)).replace(tzinfo=None)


def _instant(value: Any, of: str, zone: str) -> datetime | None:
    match value:
        case str():
            return casts.instant_of(value, True, zone)
        case bool():
            return None
        case int() | Decimal():
            return _EPOCH + timedelta(microseconds=int(value * 10**6))
        case float():
            return _EPOCH + timedelta(microseconds=math.trunc(value * 10**6))
        case datetime() if value.tzinfo is not None:
            return value
        case date():
            return _clock(value, zone).replace(tzinfo=zone_of(zone)).astimezone(UTC)
    return None


_TARGETS: dict[str, Callable[[Any, str, str], Any]] = {
    "double": _double, "float": _single, "boolean": _boolean, "string": _string, "binary": _binary, "date": _date,
    "timestamp_ntz": _wall, "timestamp": _instant,
}  # fmt: skip


# ---- to variants ----


def tree_maker(kind: Any) -> Callable[[Any], Any]:
    """What makes a tree for encoding.encoded of values of the type, as the kernel gives them to Python's functions."""
    inner = _tree_maker(kind)
    return lambda value: None if value is None else inner(value)


def _tree_maker(kind: Any) -> Callable[[Any], Any]:
    if isinstance(kind, dict):
        if kind["type"] == "array":
            item = tree_maker(kind["elementType"])
            return lambda items: [item(each) for each in items]
        if kind["type"] == "map":
            member = tree_maker(kind["valueType"])
            return lambda pairs: {str(name): member(each) for name, each in pairs}
        fields = [(field["name"], tree_maker(field["type"])) for field in kind["fields"]]
        return lambda value: {name: make(value[name]) for name, make in fields}
    match kind:
        case "variant":
            from quiver_proto.variants.decoding import part_of

            return lambda value: tree_of(part_of(value["value"], value["metadata"]))
        case "float":
            return v.Single
        case _:
            return lambda value: value
