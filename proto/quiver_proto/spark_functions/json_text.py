"""JSON as text: read by a type, and written. Types are as Spark writes them in JSON."""

from __future__ import annotations

import base64
import functools
import json
import re
from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal, InvalidOperation
from typing import Any

from quiver_proto.spark_functions import casts
from quiver_proto.spark_functions.java import SparkValueError
from quiver_proto.spark_functions.json_types import BITS, in_sql
from quiver_proto.spark_functions.patterns import formatted, parsed
from quiver_proto.spark_functions.prepared import Prepared, prepared
from quiver_proto.spark_functions.times import zone_of
from quiver_proto.spark_functions.times_of_day import read as read_time
from quiver_proto.spark_functions.times_of_day import shown as shown_clock
from quiver_proto.text_formats.conversion import Formats
from quiver_proto.text_formats.json_batches import JsonOptions
from quiver_proto.text_formats.json_parsing import Number, parse
from quiver_proto.text_formats.malformed import FAIL
from quiver_proto.variants import calls
from quiver_proto.variants.of_texts import of_json

Convert = Callable[[Any], Any]
Options = tuple[tuple[str, str], ...]
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class Unfit(ValueError):
    """A value that is not of the wanted type."""


class JsonReader:
    """Reads JSON text as values of a type, for the kernel; malformed text is null, or nulls in the members of a struct."""

    def __init__(self, kind: str, options: JsonOptions) -> None:
        self._options = options
        self._kind = json.loads(kind)
        self._read = reader(self._kind, options.formats, options.mode == FAIL)
        self._strict = reader(self._kind, options.formats, True)
        self._corrupt = ""
        if isinstance(self._kind, dict) and self._kind["type"] == "struct":
            self._corrupt = options.corrupt if any(field["name"] == options.corrupt for field in self._kind["fields"]) else ""

    def __call__(self, text: str) -> Any:
        options = self._options
        try:
            if not text.strip():
                return None
            value = parse(text, options.laxity)
            if options.single is not None:
                return {field["name"]: of_json(value) if field["name"] == options.single else None for field in self._kind["fields"]}
            if isinstance(self._kind, dict) and self._kind["type"] == "struct":
                value = {} if value is None or isinstance(value, list) else value
            if isinstance(self._kind, dict) and self._kind["type"] == "array" and isinstance(value, dict):
                value = [value]
            return self._read(value) if not self._corrupt else self._told(value, text)
        except (ValueError, RecursionError) as error:
            if options.mode == FAIL:
                raise SparkValueError(
                    "MALFORMED_RECORD_IN_PARSING.WITHOUT_SUGGESTION", f"Malformed records are detected in record parsing: {text}."
                ) from error
            if isinstance(self._kind, dict) and self._kind["type"] == "struct":
                return {field["name"]: text if field["name"] == self._corrupt else None for field in self._kind["fields"]}
            return None

    def _told(self, value: Any, text: str) -> Any:
        """With the text beside what fits, where something does not."""
        found = self._read(value)
        try:
            self._strict(value)
        except (ValueError, InvalidOperation):
            return {**found, self._corrupt: text}
        return found


def json_reader(kind: str, options: JsonOptions) -> Prepared:
    """`kind`: a type in JSON."""
    return prepared("from_json", JsonReader, kind, options)


def reader(kind: Any, formats: Formats, strict: bool) -> Convert:
    """What makes values of the type of parsed JSON. It raises Unfit; unless it is `strict`, members of structs that don't fit are null."""
    if isinstance(kind, dict):
        return _nested_reader(kind, formats, strict)
    match kind:
        case "string":
            return lambda value: None if value is None else _string(value)
        case "boolean":
            return lambda value: value if value is None or isinstance(value, bool) else _unfit(value)
        case "byte" | "short" | "integer" | "long":
            return functools.partial(_integer, BITS[kind])
        case "float" | "double":
            return _double
        case "date":
            return functools.partial(_date, formats.date)
        case "timestamp":
            return functools.partial(_time, formats.timestamp, formats.zone, False)
        case "timestamp_ntz":
            return functools.partial(_time, formats.timestamp_ntz, formats.zone, True)
        case "binary":
            return lambda value: None if value is None else base64.b64decode(_text(value))
        case "void":
            return lambda value: None
        case "variant":
            return of_json
        case _ if kind.startswith("time("):
            return lambda value: None if value is None else read_time(_text(value)) or _unfit(value)
        case _ if kind.startswith("decimal"):
            precision, scale = map(int, re.findall(r"\d+", kind) or ("10", "0"))
            return functools.partial(_decimal, precision, scale)
        case _:
            raise Unfit(kind)


def _nested_reader(kind: dict[str, Any], formats: Formats, strict: bool) -> Convert:
    if kind["type"] == "array":
        item = reader(kind["elementType"], formats, strict)
        return lambda value: None if value is None else [item(x) for x in value] if isinstance(value, list) else _unfit(value)
    if kind["type"] == "map":
        item = reader(kind["valueType"], formats, strict)
        return lambda value: (
            None if value is None else [(key, item(x)) for key, x in value.items()] if isinstance(value, dict) else _unfit(value)
        )
    members = [(field["name"], reader(field["type"], formats, strict)) for field in kind["fields"]]

    def read(value: Any) -> Any:
        if value is None:
            return None
        if not isinstance(value, dict):
            raise Unfit(value)
        result = {}
        for name, member in members:
            try:
                # A variant may hold a null, which is something else than no member.
                result[name] = member(value.get(name)) if name in value or member is not of_json else None
            except (ValueError, InvalidOperation):
                if strict:
                    raise
                result[name] = None
        return result

    return read


def _unfit(value: Any) -> Any:
    raise Unfit(value)


def _text(value: Any) -> str:
    return value if isinstance(value, str) and not isinstance(value, Number) else _unfit(value)


def _string(value: Any) -> str:
    if isinstance(value, Number) and not value.lstrip("-").isdigit():
        return casts.written(float(value))  # A fraction comes as a double.
    return str(value) if isinstance(value, str) else written(value)


def _integer(bits: int, value: Any) -> int | None:
    if value is None:
        return None
    if not isinstance(value, Number) or not re.fullmatch(r"-?\d+", value):
        raise Unfit(value)
    number = int(value)
    return number if -(1 << bits - 1) <= number < 1 << bits - 1 else _unfit(value)


def _double(value: Any) -> float | None:
    if value is None:
        return None
    if isinstance(value, Number) or value in ("NaN", "Infinity", "-Infinity", "INF", "-INF", "+INF", "+Infinity"):
        return float(value)
    raise Unfit(value)


def _decimal(precision: int, scale: int, value: Any) -> Decimal | None:
    if value is None:
        return None
    if not isinstance(value, str):
        raise Unfit(value)
    return casts.fitted(Decimal(value.replace(",", "")), precision, scale)


def _date(form: str | None, value: Any) -> date | None:
    if value is None:
        return None
    if form is not None:
        moment = parsed(_text(value), form)
        return moment.date() if moment else _unfit(value)
    return casts.date_of(_text(value), True) or _unfit(value)


def _time(form: str | None, zone: str, wall: bool, value: Any) -> datetime | None:
    if value is None:
        return None
    if isinstance(value, Number) and not wall and value.lstrip("-").isdigit():
        return _EPOCH + timedelta(seconds=int(value))
    if form is not None:
        moment = parsed(_text(value), form)
        if moment is None:
            raise Unfit(value)
        return moment.replace(tzinfo=None) if wall else (moment if moment.tzinfo else moment.replace(tzinfo=zone_of(zone))).astimezone(UTC)
    found = casts.wall_clock_of(_text(value), True) if wall else casts.instant_of(_text(value), True, zone)
    return found or _unfit(value)


# ---- written ----


def written(value: Any) -> str:
    """Parsed JSON as text again, numbers as they stood."""
    if isinstance(value, Number):
        return str(value)
    if isinstance(value, dict):
        return "{" + ",".join(f"{_quoted(key)}:{written(item)}" for key, item in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ",".join(map(written, value)) + "]"
    return "null" if value is None else "true" if value is True else "false" if value is False else _quoted(value)


def _quoted(text: str) -> str:
    return json.dumps(text, ensure_ascii=False)


def json_writer(kind: str, options: Options, zone: str) -> Prepared:
    """Writes values of a type, `kind` in JSON, as JSON text, for the kernel."""
    return prepared("to_json", _writer_of, kind, options, zone)


def _writer_of(kind: str, options: Options, zone: str) -> Callable[[Any], str]:
    return writer(json.loads(kind), dict(options), zone)


def writer(kind: Any, options: dict[str, str], zone: str) -> Callable[[Any], str]:
    """What writes values of the type, which are not null."""
    if isinstance(kind, dict):
        return _nested_writer(kind, options, zone)
    match kind:
        case "boolean":
            return lambda value: "true" if value else "false"
        case "byte" | "short" | "integer" | "long":
            return str
        case "double" | "float":
            show = casts.written if kind == "double" else casts.written_single
            return lambda value: show(value) if value == value and abs(value) != float("inf") else f'"{show(value)}"'
        case "date":
            form = options.get("dateformat", "yyyy-MM-dd")
            return lambda value: f'"{formatted(datetime(value.year, value.month, value.day), form)}"'
        case "timestamp":
            form = options.get("timestampformat", "yyyy-MM-dd'T'HH:mm:ss.SSSXXX")
            return lambda value: f'"{formatted(value.astimezone(zone_of(zone)).replace(tzinfo=None), form, zone)}"'
        case "timestamp_ntz":
            form = options.get("timestampntzformat", "yyyy-MM-dd'T'HH:mm:ss.SSS")
            return lambda value: f'"{formatted(value, form)}"'
        case "binary":
            return lambda value: f'"{base64.b64encode(value).decode()}"'
        case "variant":
            return calls.written_in(zone)
        case _ if kind.startswith("time("):
            return lambda value: _quoted(shown_clock(value))
        case _ if kind.startswith("decimal"):
            return lambda value: format(value, "f")
        case _ if kind.startswith("interval"):
            show_text = casts.shower(kind, zone)
            return lambda value: _quoted(show_text(value))
        case _:
            return _quoted


def _nested_writer(kind: dict[str, Any], options: dict[str, str], zone: str) -> Callable[[Any], str]:
    if kind["type"] == "array":
        item = writer(kind["elementType"], options, zone)
        return lambda value: "[" + ",".join("null" if x is None else item(x) for x in value) + "]"
    if kind["type"] == "map":
        item = writer(kind["valueType"], options, zone)
        key = kind["keyType"]
        plain = casts.shower(in_sql(key) if isinstance(key, str) else "string", zone)
        return lambda value: "{" + ",".join(f"{_quoted(plain(k))}:{'null' if x is None else item(x)}" for k, x in value) + "}"
    members = [(_quoted(field["name"]), writer(field["type"], options, zone)) for field in kind["fields"]]
    keep = options.get("ignorenullfields", "true").lower() == "false"

    def write(value: Any) -> str:
        parts = (
            f"{name}:{'null' if x is None else member(x)}"
            for (name, member), x in zip(members, value.values(), strict=True)
            if keep or x is not None
        )
        return "{" + ",".join(parts) + "}"

    return write
