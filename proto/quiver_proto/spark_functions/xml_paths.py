"""XPath 1.0 over texts in XML, as Spark has it. It needs the package lxml where queries run.

Texts are parsed by expat, which loads nothing: external entities are empty, and entities that grow are an error. As to Java's parser,
names are without their namespaces. The tree stands below an element of its own, so that a path begins where the document does.
"""

from __future__ import annotations

import functools
import importlib
import re
from collections.abc import Callable
from decimal import Decimal
from typing import Any

from quiver_proto.spark_functions.java import SparkValueError

_MOST = 16
"""A document's text may be so many times as long as the document, besides a megabyte."""
_NUMBER = re.compile(r"[ \t\r\n]*(-?(?:\d+(?:\.\d*)?|\.\d+))[ \t\r\n]*", re.ASCII)
_TOKEN = re.compile(r"\"[^\"]*\"|'[^']*'|\s+|//?|::|[\w.-]+:(?!:)[\w*.-]+|\$?[\w.-]+|.", re.DOTALL)
_WORDS = ("and", "or", "div", "mod")
_BEFORE_PATHS = frozenset("([,|=<>+-!*")


def _wrong(why: str) -> SparkValueError:
    return SparkValueError("INVALID_XPATH", why)


def _etree() -> Any:
    try:
        return importlib.import_module("lxml.etree")
    except ImportError:
        raise SparkValueError(
            "UNSUPPORTED_FEATURE.XML", "XPath needs the package lxml on executors: pip install 'quiver-cluster[xml]'."
        ) from None


class _Growth:
    """Counts text. Raises SparkValueError for more than a document of this size has."""

    def __init__(self, size: int, take: Callable[[str], object]) -> None:
        self._left = size * _MOST + 2**20
        self._take = take

    def __call__(self, text: str) -> None:
        self._left -= len(text)
        if self._left < 0:
            raise _wrong("The entities of the XML document expand to too much text.")
        self._take(text)


@functools.lru_cache(8)
def _tree(xml: str) -> Any:
    """The element above the document's. Raises SparkValueError."""
    from xml.parsers import expat

    builder = _etree().TreeBuilder()

    def start(name: str, attributes: dict[str, str]) -> None:
        plain = {key.rpartition(":")[2]: value for key, value in attributes.items() if key.partition(":")[0] != "xmlns"}
        builder.start(name.rpartition(":")[2], plain)

    parser = expat.ParserCreate("UTF-8")
    parser.StartElementHandler = start
    parser.EndElementHandler = lambda name: builder.end(name.rpartition(":")[2])
    parser.CharacterDataHandler = _Growth(len(xml), builder.data)
    parser.CommentHandler = builder.comment
    parser.ProcessingInstructionHandler = builder.pi
    builder.start("document", {})
    try:
        parser.Parse(xml.lstrip().encode("utf-8", "replace"), True)
    except expat.ExpatError as error:
        raise _wrong(f"Invalid XML document: {error}.") from None
    except ValueError as error:
        raise error if isinstance(error, SparkValueError) else _wrong(f"Invalid XML document: {error}.") from None
    builder.end("document")
    return builder.close()


@functools.lru_cache(256)
def _compiled(path: str) -> Any:
    """The expression, where `/` at the start of a path is the variable `document`. Raises SparkValueError."""
    etree = _etree()
    written: list[str] = []
    prefixes: dict[str, str] = {}
    before = ""
    for token in _TOKEN.findall(path):
        prefix, colon, _ = token.partition(":")
        if colon and prefix and token != "::" and token[0] not in "\"'":
            prefixes[prefix] = f"none:{prefix}"  # Names have lost theirs: none is the same.
        begins = not before or before in _BEFORE_PATHS or before in _WORDS
        written.append("$document" * (begins and token in ("/", "//")) + token)
        before = before if token.isspace() else token
    text = re.sub(r"\$document/(?=\s*(?:$|[\])|,=<>+!*-]))", "$document", "".join(written))
    try:
        return etree.XPath(text, namespaces=prefixes or None, regexp=False, smart_strings=False)
    except etree.XPathError as error:
        raise _wrong(f"Invalid XPath '{path}': {error}.") from None


def _evaluated(xml: str, path: str) -> Any:
    etree = _etree()
    tree = _tree(xml)
    try:
        return _compiled(path)(tree, document=[tree])
    except etree.XPathError as error:
        raise _wrong(f"Invalid XPath '{path}': {error}.") from None


def _text(node: Any) -> str:
    return node if isinstance(node, str) else str(_compiled("string()")(node))


def _string(value: Any) -> str:
    if isinstance(value, list):
        return _text(value[0]) if value else ""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float):
        if value != value or value in (float("inf"), float("-inf")):
            return "NaN" if value != value else "Infinity" if value > 0 else "-Infinity"
        return format(Decimal(repr(value)), "f").removesuffix(".0") if value else "0"
    return str(value)


def _number(value: Any) -> float:
    if isinstance(value, bool | float):
        return float(value)
    found = _NUMBER.fullmatch(_string(value))
    return float(found[1]) if found else float("nan")


def xpath(xml: str, path: str) -> list[str | None] | None:
    """The values of the nodes; elements have none."""
    if not xml or not path:
        return None
    found = _evaluated(xml, path)
    if not isinstance(found, list):
        raise _wrong(f"The XPath '{path}' gives no nodes. Use xpath_string, xpath_double or xpath_boolean.")
    etree = _etree()
    return [
        node if isinstance(node, str) else node.text if isinstance(node, (etree._Comment, etree._ProcessingInstruction)) else None
        for node in found
    ]


def xpath_string(xml: str, path: str) -> str | None:
    return _string(_evaluated(xml, path)) if xml and path else None


def xpath_boolean(xml: str, path: str) -> bool | None:
    if not xml or not path:
        return None
    value = _evaluated(xml, path)
    return bool(value) and value == value


def xpath_double(xml: str, path: str) -> float | None:
    return _number(_evaluated(xml, path)) if xml and path else None


def _saturated(value: float, bits: int) -> int:
    """As Java casts a double."""
    if value != value:
        return 0
    limit = 1 << bits - 1
    return limit - 1 if value >= limit else -limit if value <= -limit else int(value)


def xpath_int(xml: str, path: str) -> int | None:
    return _saturated(_number(_evaluated(xml, path)), 32) if xml and path else None


def xpath_long(xml: str, path: str) -> int | None:
    return _saturated(_number(_evaluated(xml, path)), 64) if xml and path else None


def xpath_short(xml: str, path: str) -> int | None:
    whole = xpath_int(xml, path)
    return None if whole is None else (whole + 2**15) % 2**16 - 2**15
