r"""Java's regular expressions as the kernel's, where both mean the same; what has no counterpart is left to Python. Pure.

Java's classes are ASCII (`\d`, `\w`, `\s`), `.` stands for no line terminator, and an empty match may follow another match at once:
patterns that can match nothing, look around or refer back are not translated.
"""

from __future__ import annotations

import functools
import re
import re._parser as _parser  # type: ignore[import-not-found]
from dataclasses import dataclass

_CLASSES = {"d": "0-9", "w": "a-zA-Z0-9_", "s": r" \t\n\x0B\f\r"}
_NEGATED = {"D": "d", "W": "w", "S": "s"}
_ANY = r"[^\n\r\x{85}\x{2028}\x{2029}]"
_SAME = frozenset("tnrf")
_QUANTIFIER = re.compile(r"\{\d+(?:,\d*)?\}|[*+?]")
_GROUP = re.compile(r"\(\?<[a-zA-Z][a-zA-Z0-9]*>|\(\?:|\((?!\?)")


@dataclass(frozen=True, slots=True)
class Translated:
    """`text` for the kernel. `groups`: how many it captures. `literal`: the plain string that it is, if it is one.
    `anchored`: it looks at the end of its input, which for Java may be before a last line terminator."""

    text: str
    groups: int
    literal: str | None
    anchored: bool


@functools.lru_cache(1024)
def translated(pattern: str, capture: int | None = None) -> Translated | None:
    """The pattern for the kernel; None: Python must do it. `capture`: only that group captures; of 0 the whole."""
    prefix, rest = ("(?i)", pattern[4:]) if pattern.startswith("(?i)") else ("", pattern)
    out, at, groups, plain = [prefix], 0, 0, not prefix
    literal, anchored = "", False
    while at < len(rest):
        character = rest[at]
        if character == "\\":
            piece = _escaped(rest[at + 1 : at + 2])
            if piece is None:
                return None
            out.append(piece)
            letter = rest[at + 1]
            plain = plain and not letter.isalnum()
            literal += letter
            at += 2
        elif character == "[":
            found = _bracketed(rest, at)
            if found is None:
                return None
            piece, at = found
            out.append(piece)
            plain = False
        elif character == "(":
            opening = _GROUP.match(rest, at)
            if opening is None:
                return None
            if opening[0] == "(?:":
                out.append("(?:")
            else:
                groups += 1
                out.append("(" if capture is None or capture == groups else "(?:")
            at = opening.end()
            plain = False
        elif (quantifier := _QUANTIFIER.match(rest, at)) is not None:
            if rest[quantifier.end() : quantifier.end() + 1] == "+":
                return None  # Possessive.
            out.append(quantifier[0])
            at = quantifier.end()
            plain = False
        elif character in "{}]":
            return None
        else:
            plain = plain and character not in ".^$|)"
            anchored = anchored or character == "$"
            out.append({".": _ANY}.get(character, character))
            literal += character
            at += 1
    try:  # Last, since Python warns of classes in classes, which were sent away above.
        if not rest or _parser.parse(rest.replace("(?<", "(?P<")).getwidth()[0] == 0:
            return None
    except (re.error, OverflowError, RecursionError):
        return None
    text = "".join(out)
    if capture is not None and (capture > groups or capture < 0):
        return None
    if capture == 0:
        text = f"{prefix}({text.removeprefix(prefix)})"
    return Translated(text, groups, literal if plain else None, anchored)


def _escaped(letter: str) -> str | None:
    if letter in _CLASSES:
        return f"[{_CLASSES[letter]}]" if letter else None
    if letter in _NEGATED:
        return f"[^{_CLASSES[_NEGATED[letter]]}]"
    if letter == "b":
        return r"(?-u:\b)"
    if letter in _SAME:
        return "\\" + letter
    if not letter or letter.isalnum() or not letter.isascii():
        return None
    return letter if letter in "<> \"'%&,/:;=@_`!" else "\\" + letter


def _bracketed(text: str, at: int) -> tuple[str, int] | None:
    """(the class, where it ends)."""
    out = ["["]
    at += 1
    if text[at : at + 1] == "^":
        out.append("^")
        at += 1
    first = at
    while at < len(text):
        character = text[at]
        if character == "]" and at > first:
            return "".join([*out, "]"]), at + 1
        if character == "\\":
            letter = text[at + 1 : at + 2]
            if letter in _CLASSES and letter:
                out.append(_CLASSES[letter])
            elif letter in _SAME and letter:
                out.append("\\" + letter)
            elif not letter or letter.isalnum() or not letter.isascii():
                return None
            else:
                out.append(f"\\{letter}" if letter in r"\[]^-.*+?(){}|$/#&~" and letter != "/" else letter)
            at += 2
            continue
        if character in "[]" or text[at : at + 2] in ("&&", "--", "~~"):
            return None
        out.append(character)
        at += 1
    return None


def replacement(text: str, groups: int) -> str | None:
    """Java's `$1` and `\\$` as the kernel writes them; None: Python must do it."""
    out, at = [], 0
    while at < len(text):
        character = text[at]
        if character == "\\":
            if at + 1 == len(text) or text[at + 1] == "\\":
                return None  # The kernel would take a backslash before a digit for a group.
            out.append("$$" if text[at + 1] == "$" else text[at + 1])
            at += 2
        elif character == "$":
            found = re.compile(r"\d").match(text, at + 1)
            if found is None or int(found[0]) > groups:
                return None
            number, at = found[0], at + 2
            while at < len(text) and text[at].isdigit() and int(number + text[at]) <= groups:
                number, at = number + text[at], at + 1
            out.append(f"${{{number}}}")
        else:
            out.append(character)
            at += 1
    return "".join(out)


def like_pattern(pattern: str, escape: str) -> str | None:
    """A LIKE pattern with this escape as one that escapes by a backslash, which is the only one that the kernel knows.

    None: the escape stands before what it may not stand before.
    """
    out, at = [], 0
    while at < len(pattern):
        character = pattern[at]
        if character == escape:
            following = pattern[at + 1 : at + 2]
            if following not in ("%", "_", escape) or not following:
                return None
            out.append("\\" + following if following in "%_\\" else following)
            at += 2
        else:
            out.append("\\\\" if character == "\\" else character)
            at += 1
    return "".join(out)
