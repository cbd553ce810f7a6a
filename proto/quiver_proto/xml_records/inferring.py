"""Which types the values of elements have."""

from __future__ import annotations

import re
from datetime import UTC
from decimal import Decimal
from typing import Any

from quiver_proto.text_formats import json_types
from quiver_proto.text_formats.conversion import date_of, moment_of
from quiver_proto.xml_records.elements import Element
from quiver_proto.xml_records.options import XmlOptions

Kind = Any
"""As json_types has them, and `date`."""
_WHOLE = re.compile(r"[+-]?\d+")
_FRACTION = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?")
_DAY = re.compile(r"\d{4}-\d\d?-\d\d?")


def kind_of(element: Element, options: XmlOptions) -> Kind:
    """Of an element in a record: of its text, or a struct."""
    attributes = options.attributes_of(element)
    if not attributes and not element.has_elements():
        return text_kind(element.text(), options)
    members: dict[str, Kind] = {}

    def add(name: str, kind: Kind) -> None:
        if name not in members:
            members[name] = kind
            return
        held = members[name]
        members[name] = ("array", merged(held[1] if isinstance(held, tuple) and held[0] == "array" else held, kind, options))

    for name, value in attributes.items():
        add(name, text_kind(value, options))
    for each in element.content:
        if isinstance(each, Element):
            add(options.name_of(each.name), kind_of(each, options))
    for text in options.texts_of(element):
        add(options.value_tag, text_kind(text, options))
    return ("struct", members)


def record_kind(element: Element, options: XmlOptions) -> Kind:
    """Of a record: always a struct."""
    kind = kind_of(element, options)
    if isinstance(kind, tuple):
        return kind
    return ("struct", {options.value_tag: kind} if element.text().strip() else {})


def text_kind(text: str, options: XmlOptions) -> Kind:
    """Of a text: null, bigint, decimal(p,s), double, boolean, date, timestamp, string."""
    value = text.strip()
    if not value or value == options.null:
        return "null"
    if not options.infers:
        return "string"
    if _WHOLE.fullmatch(value) and -(2**63) <= int(value[:40]) < 2**63:
        return "bigint"
    if _FRACTION.fullmatch(value):
        return _fraction(value) if options.prefers_decimal else "double"
    if value.lower() in ("true", "false"):
        return "boolean"
    formats = options.formats
    try:
        if options.prefers_date and (formats.date is not None or _DAY.fullmatch(value)):
            date_of(value, formats.date)
            return "date"
    except (ValueError, OverflowError):
        pass
    try:
        moment_of(value, formats.timestamp, UTC)
    except (ValueError, OverflowError):
        return "string"
    return "timestamp"


def _fraction(text: str) -> Kind:
    _, digits, exponent = Decimal(text).as_tuple()
    scale = max(0, -int(exponent))
    precision = max(len(digits) + max(0, int(exponent)), scale)
    return f"decimal({precision},{scale})" if precision <= 38 else "double"


def merged(one: Kind, other: Kind, options: XmlOptions) -> Kind:
    """The type that elements of both can be read as."""
    if one == other or other == "null":
        return one
    if one == "null":
        return other
    one_is, other_is = (kind[0] if isinstance(kind, tuple) else "" for kind in (one, other))
    if "array" in (one_is, other_is):
        return ("array", merged(one[1] if one_is == "array" else one, other[1] if other_is == "array" else other, options))
    if one_is and other_is:
        members = dict(one[1])
        for name, kind in other[1].items():
            members[name] = merged(members[name], kind, options) if name in members else kind
        return ("struct", members)
    if one_is or other_is:
        struct, plain = (one, other) if one_is else (other, one)
        if options.value_tag not in struct[1]:
            return "string"
        return ("struct", {**struct[1], options.value_tag: merged(struct[1][options.value_tag], plain, options)})
    if {one, other} == {"date", "timestamp"}:
        return "timestamp"
    return json_types.merged(one, other)


def ddl(kind: Kind) -> str:
    """As DDL; members by their names."""
    if isinstance(kind, str):
        return "STRING" if kind == "null" else kind.upper()
    if kind[0] == "array":
        return f"ARRAY<{ddl(kind[1])}>"
    members = (f"{_name(name)}: {ddl(kind[1][name])}" for name in sorted(kind[1]))
    return f"STRUCT<{', '.join(members)}>"


def _name(name: str) -> str:
    return name if re.fullmatch(r"\w+", name, re.ASCII) else "`" + name.replace("`", "``") + "`"
