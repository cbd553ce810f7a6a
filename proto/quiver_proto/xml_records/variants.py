"""Elements as variants."""

from __future__ import annotations

import re
from decimal import Decimal
from typing import Any

from quiver_proto.variants.encoding import struct_of
from quiver_proto.xml_records.elements import Element
from quiver_proto.xml_records.options import XmlOptions

_WHOLE = re.compile(r"[+-]?\d+")
_FRACTION = re.compile(r"[+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?")
_DIGITS = 38


def of_element(element: Element, options: XmlOptions) -> dict[str, bytes]:
    """An object of attributes, elements and text; of an element that has text only, a number, boolean or text; of an empty one null.

    Elements of one name are an array.
    """
    return struct_of(_tree(element, options))


def of_text(text: str, options: XmlOptions) -> dict[str, bytes]:
    """A number, boolean or text."""
    return struct_of(_scalar(text, options))


def _tree(element: Element, options: XmlOptions) -> Any:
    attributes = options.attributes_of(element)
    if not attributes and not element.has_elements():
        text = element.text()
        return _scalar(text, options) if text.strip() else None
    members: dict[str, list[Any]] = {name: [_scalar(value, options)] for name, value in attributes.items()}
    for each in element.content:
        if isinstance(each, Element):
            members.setdefault(options.name_of(each.name), []).append(_tree(each, options))
    for text in options.texts_of(element):
        members.setdefault(options.value_tag, []).append(_scalar(text, options))
    return {name: values[0] if len(values) == 1 else values for name, values in members.items()}


def _scalar(text: str, options: XmlOptions) -> Any:
    value = text.strip() if options.strips else text
    if value == options.null:
        return None
    if not options.infers:
        return value
    folded = value.lower()
    if folded in ("true", "false"):
        return folded == "true"
    if _WHOLE.fullmatch(value) and -(2**63) <= (number := int(value[:40])) < 2**63:
        return number
    if _FRACTION.fullmatch(plain := value.replace(",", "")):
        exact = Decimal(plain)
        _, digits, exponent = exact.as_tuple()
        if isinstance(exponent, int) and max(len(digits) + max(exponent, 0), -exponent) <= _DIGITS:
            return exact
    return value
