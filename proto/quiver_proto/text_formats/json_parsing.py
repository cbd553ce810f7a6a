"""JSON as Spark's parser reads it: laxly where options allow, numbers as they are written, and with the text of any part at hand."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from typing import Any, Final


class Number(str):
    """A number as it was written."""

    __slots__ = ()

    @property
    def is_whole(self) -> bool:
        """Written without point and exponent."""
        return not any(letter in self for letter in ".eENI")


class Repeated(dict[str, Any]):
    """An object in which a key, `name`, comes twice."""

    __slots__ = ("name",)
    name: str


@dataclass(frozen=True, slots=True)
class Laxity:
    """What is taken beyond strict JSON, by Spark's options."""

    comments: bool = False
    unquoted_names: bool = False
    single_quotes: bool = True
    leading_zeros: bool = False
    any_escape: bool = False
    control_characters: bool = False
    not_numbers: bool = True


_SPACE = " \t\r\n"
_NUMBER = re.compile(r"-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][+-]?\d+)?")
_ZEROS = re.compile(r"-?\d+(?:\.\d+)?(?:[eE][+-]?\d+)?")
_SPECIAL = re.compile(r"NaN|[+-]?INF(?:inity)?\b|[+-]?Infinity")
_NAME = re.compile(r"[A-Za-z_$][\w$]*")
_ESCAPED: Final = {'"': '"', "\\": "\\", "/": "/", "b": "\b", "f": "\f", "n": "\n", "r": "\r", "t": "\t", "'": "'"}
_decoder = json.JSONDecoder(parse_float=Number, parse_int=Number, parse_constant=Number, object_pairs_hook=lambda pairs: _object(pairs))


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    made = dict(pairs)
    if len(made) == len(pairs):
        return made
    seen: set[str] = set()
    repeated = Repeated(made)
    repeated.name = next(name for name, _ in pairs if name in seen or seen.add(name))  # type: ignore[func-returns-value]
    return repeated


def parse(text: str, laxity: Laxity) -> Any:
    """The first value in the text. Raises ValueError where there is none."""
    stripped = text.lstrip(_SPACE)
    try:
        value, _ = _decoder.raw_decode(stripped)
    except ValueError:
        return Parser(text, laxity).value_at_start()
    if not laxity.not_numbers and any(word in stripped for word in ("NaN", "Infinity")):
        return Parser(text, laxity).value_at_start()
    return value


class Parser:
    """Reads value by value; with `keeps` the text of each object and list stays with it."""

    def __init__(self, text: str, laxity: Laxity, keeps: bool = False) -> None:
        self._text = text
        self._laxity = laxity
        self._keeps = keeps
        self._at = 0
        self.texts: dict[int, str] = {}
        """By id() of the object or list."""

    def value_at_start(self) -> Any:
        """Raises ValueError."""
        return self._value()

    def _skip(self) -> None:
        text = self._text
        while self._at < len(text):
            if text[self._at] in _SPACE:
                self._at += 1
            elif self._laxity.comments and text.startswith("/*", self._at):
                end = text.find("*/", self._at + 2)
                if end < 0:
                    raise ValueError("comment without end")
                self._at = end + 2
            elif self._laxity.comments and text.startswith("//", self._at):
                end = text.find("\n", self._at)
                self._at = len(text) if end < 0 else end
            else:
                return

    def _peek(self) -> str:
        self._skip()
        return self._text[self._at] if self._at < len(self._text) else ""

    def _value(self) -> Any:
        character = self._peek()
        if character == "{":
            return self._kept(self._members)
        if character == "[":
            return self._kept(self._items)
        if character == '"' or (character == "'" and self._laxity.single_quotes):
            return self._string(character)
        for word, value in (("true", True), ("false", False), ("null", None)):
            if self._text.startswith(word, self._at):
                self._at += len(word)
                return value
        special = _SPECIAL.match(self._text, self._at) if self._laxity.not_numbers else None
        found = special or (_ZEROS if self._laxity.leading_zeros else _NUMBER).match(self._text, self._at)
        if found is None:
            raise ValueError(f"no value at character {self._at}")
        following = self._text[found.end() : found.end() + 1]
        if following.isalnum() or following == ".":
            raise ValueError(f"no number at character {self._at}")
        self._at = found.end()
        return Number(found[0])

    def _kept(self, read: Any) -> Any:
        start = self._at
        made = read()
        if self._keeps:
            self.texts[id(made)] = self._text[start : self._at]
        return made

    def _members(self) -> dict[str, Any]:
        self._at += 1
        pairs: list[tuple[str, Any]] = []
        if self._peek() == "}":
            self._at += 1
            return {}
        while True:
            quote = self._peek()
            if quote == '"' or (quote == "'" and self._laxity.single_quotes):
                name = self._string(quote)
            else:
                found = _NAME.match(self._text, self._at) if self._laxity.unquoted_names else None
                if found is None:
                    raise ValueError(f"no name at character {self._at}")
                name = found[0]
                self._at = found.end()
            self._expect(":")
            pairs.append((name, self._value()))
            if self._peek() == "}":
                self._at += 1
                return _object(pairs)
            self._expect(",")

    def _items(self) -> list[Any]:
        self._at += 1
        items: list[Any] = []
        if self._peek() == "]":
            self._at += 1
            return items
        while True:
            items.append(self._value())
            if self._peek() == "]":
                self._at += 1
                return items
            self._expect(",")

    def _expect(self, character: str) -> None:
        if self._peek() != character:
            raise ValueError(f"no {character} at character {self._at}")
        self._at += 1

    def _string(self, quote: str) -> str:
        text, laxity = self._text, self._laxity
        self._at += 1
        parts: list[str] = []
        while True:
            if self._at >= len(text):
                raise ValueError("text without end")
            character = text[self._at]
            self._at += 1
            if character == quote:
                return "".join(parts).encode("utf-16", "surrogatepass").decode("utf-16", "replace")
            if character == "\\":
                escaped = text[self._at : self._at + 1]
                self._at += 1
                if escaped == "u":
                    parts.append(chr(int(text[self._at : self._at + 4], 16)))
                    self._at += 4
                elif escaped in _ESCAPED and (escaped != "'" or laxity.single_quotes or laxity.any_escape):
                    parts.append(_ESCAPED[escaped])
                elif laxity.any_escape and escaped:
                    parts.append(escaped)
                else:
                    raise ValueError(f"no escape sequence at character {self._at}")
            elif character < " " and not laxity.control_characters:
                raise ValueError(f"a control character at {self._at}")
            else:
                parts.append(character)
