"""Values of a type as elements."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from quiver_proto.spark_functions import casts
from quiver_proto.spark_functions.java import SparkValueError
from quiver_proto.spark_functions.json_types import in_sql
from quiver_proto.spark_functions.patterns import formatted
from quiver_proto.spark_functions.prepared import Prepared, prepared
from quiver_proto.spark_functions.times import zone_of

_NAME = re.compile(r"[^\W\d][\w.:-]*")
_INDENT = "    "
Show = Callable[[Any], str]
Write = Callable[[str, Any, int], str]
"""An element by its name, value (or None) and depth, from the end of the line before on."""


@dataclass(frozen=True, slots=True)
class XmlForm:
    """Spark's options of writing XML. `null`: what nulls are written as; None: not at all."""

    row_tag: str = "ROW"
    attribute_prefix: str = "_"
    value_tag: str = "_VALUE"
    array_element: str = "item"
    null: str | None = None
    indent: str = _INDENT
    checks_names: bool = True
    zone: str = "UTC"
    date: str = "yyyy-MM-dd"
    timestamp: str = "yyyy-MM-dd'T'HH:mm:ss.SSSXXX"
    timestamp_ntz: str = "yyyy-MM-dd'T'HH:mm:ss.SSS"


def form_of(options: Mapping[str, str], zone: str) -> XmlForm:
    """Of options by names in small letters."""
    usual = XmlForm()
    return XmlForm(
        options.get("rowtag", usual.row_tag),
        options.get("attributeprefix", usual.attribute_prefix),
        options.get("valuetag", usual.value_tag),
        options.get("arrayelementname", usual.array_element),
        options.get("nullvalue"),
        options.get("indent", usual.indent),
        options.get("validatename", "true").lower() != "false",
        options.get("timezone", zone),
        options.get("dateformat", usual.date),
        options.get("timestampformat", usual.timestamp),
        options.get("timestampntzformat", usual.timestamp_ntz),
    )


def record_writer(kind: Any, form: XmlForm, depth: int = 0) -> Callable[[Any], str]:
    """What writes rows of the type, a struct's in JSON, as elements. It raises ValueError for what can be no name."""
    write = _writer(kind, form)
    return lambda value: write(form.row_tag, value, depth).removeprefix("\n")


def _writer(kind: Any, form: XmlForm) -> Write:
    if not isinstance(kind, dict):
        return _plain(kind, form)
    if kind["type"] == "array":
        return _array(kind, form)
    return _struct(kind, form) if kind["type"] == "struct" else _map(kind, form)


def _begin(name: str, depth: int, form: XmlForm) -> str:
    if form.checks_names and not _NAME.fullmatch(name):
        raise ValueError(f"{name!r} can be no name of an element in XML")
    return f"\n{form.indent * depth}<{name}" if form.indent else f"<{name}"


def _plain(kind: str, form: XmlForm) -> Write:
    show = shower(kind, form)

    def write(name: str, value: Any, depth: int) -> str:
        text = form.null if value is None else show(value)
        if text is None:
            return ""
        start = _begin(name, depth, form)
        return f"{start}>{_escaped(text)}</{name}>"

    return write


def _array(kind: dict[str, Any], form: XmlForm) -> Write:
    inner = kind["elementType"]
    item = _writer(inner, form)
    nested = isinstance(inner, dict) and inner["type"] == "array"

    def write(name: str, value: Any, depth: int) -> str:
        if nested:
            items = ("".join(item(form.array_element, each, depth + 1)) for each in value or ())
            return "".join(_around(_begin(name, depth, form), name, each, depth, form) for each in items)
        return "".join(item(name, each, depth) for each in value or ())

    return write


def _around(start: str, name: str, inside: str, depth: int, form: XmlForm) -> str:
    if not inside:
        return f"{start}/>"
    end = f"\n{form.indent * depth}" if form.indent else ""
    return f"{start}>{inside}{end}</{name}>"


def _map(kind: dict[str, Any], form: XmlForm) -> Write:
    key, item = shower(kind["keyType"], form), _writer(kind["valueType"], form)

    def write(name: str, value: Any, depth: int) -> str:
        if value is None:
            return "" if form.null is None else f"{_begin(name, depth, form)}>{_escaped(form.null)}</{name}>"
        inside = "".join(item(key(each), x, depth + 1) for each, x in value)
        return _around(_begin(name, depth, form), name, inside, depth, form)

    return write


def _struct(kind: dict[str, Any], form: XmlForm) -> Write:
    attributes: list[tuple[str, str, Show]] = []
    members: list[tuple[str, Write]] = []
    text: Show | None = None
    for field in kind["fields"]:
        name, inner = field["name"], field["type"]
        if name == form.value_tag and not isinstance(inner, dict):
            text = shower(inner, form)
        elif form.attribute_prefix and name.startswith(form.attribute_prefix) and not isinstance(inner, dict):
            attributes.append((name, name.removeprefix(form.attribute_prefix), shower(inner, form)))
        else:
            members.append((name, _writer(inner, form)))

    def write(name: str, value: Any, depth: int) -> str:
        if value is None:
            return "" if form.null is None else f"{_begin(name, depth, form)}>{_escaped(form.null)}</{name}>"
        start = _begin(name, depth, form)
        for column, attribute, show in attributes:
            shown = form.null if value[column] is None else show(value[column])
            if shown is not None:
                quoted = _escaped(shown).replace('"', "&quot;")
                start += f' {attribute}="{quoted}"'
        own = None if text is None else form.null if value[form.value_tag] is None else text(value[form.value_tag])
        inside = "".join(member(column, value[column], depth + 1) for column, member in members)
        if own and not inside:
            return f"{start}>{_escaped(own)}</{name}>"
        return _around(start, name, _escaped(own or "") + inside, depth, form)

    return write


def _escaped(text: str) -> str:
    return text.replace("&", "&amp;").replace("<", "&lt;")


def shower(kind: Any, form: XmlForm) -> Show:
    """What writes values of a type that is not nested."""
    match kind:
        case "date":
            return lambda value: formatted(datetime(value.year, value.month, value.day), form.date)
        case "timestamp":
            zone = zone_of(form.zone)
            return lambda value: formatted(value.astimezone(zone).replace(tzinfo=None), form.timestamp, form.zone)
        case "timestamp_ntz":
            return lambda value: formatted(value, form.timestamp_ntz)
        case "binary":
            return lambda value: f"[{value.hex(' ').upper()}]"
        case str() if kind.startswith("decimal"):
            return lambda value: format(value, "f")
        case str() if not kind.startswith("interval") and kind != "variant":
            return casts.shower(in_sql(kind), form.zone)
        case _:
            raise ValueError(f"XML has no texts of type {kind}")


def xml_writer(kind: str, options: tuple[tuple[str, str], ...], zone: str) -> Prepared:
    """Writes structs as text in XML, for the kernel. `kind`: a type in JSON. `options`: by names in small letters."""
    return prepared("to_xml", _writer_of, kind, options, zone)


def _writer_of(kind: str, options: tuple[tuple[str, str], ...], zone: str) -> Callable[[Any], str]:
    form = form_of(dict(options), zone)
    write = record_writer(json.loads(kind), form)

    def text(value: Any) -> str:
        try:
            return write(value) + "\n" * (not form.indent)
        except ValueError as error:
            raise SparkValueError("INVALID_XML_NAME", f"{error}.") from None

    return text
