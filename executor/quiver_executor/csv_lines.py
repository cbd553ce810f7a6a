"""Rows as lines of CSV, by the rules of Spark's writer. Whole batches at a time."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from quiver_executor.arrow_functions import compute
from quiver_executor.value_texts import Forms, texts

_SPACE = r"\x00-\x20"


class CsvLines:
    """Options, as Spark calls them, lower case: sep, quote, escape, chartoescapequoteescaping, escapequotes, quoteall, nullvalue,
    emptyvalue, linesep, comment, ignoreleadingwhitespace, ignoretrailingwhitespace."""

    def __init__(self, options: Mapping[str, str], forms: Forms) -> None:
        self._forms = forms
        self._separator = options.get("sep", ",")
        self._quote = options.get("quote", '"') or "\0"
        self._escape = options.get("escape", "\\") or "\0"
        inner = options.get("chartoescapequoteescaping", "")
        self._escaped_escape = inner if inner else self._escape if self._escape != self._quote else ""
        self._all = options.get("quoteall", "false") == "true"
        self._null = options.get("nullvalue", "")
        self._empty = options.get("emptyvalue", '""')
        self._end = options.get("linesep", "\n")
        self._strip_left = options.get("ignoreleadingwhitespace", "true") == "true"
        self._strip_right = options.get("ignoretrailingwhitespace", "true") == "true"
        escapes = options.get("escapequotes", "true") == "true"
        quote, inside = re.escape(self._quote), re.escape(self._separator[0])
        comment = options.get("comment", "#")
        special = [inside, r"\n", r"\r", f"^{quote}", *([quote] if escapes else [])]
        self._special = "|".join(special)
        # Only at a line's beginning it would be taken for a comment.
        self._first_special = "|".join([*special, *([f"^{re.escape(comment)}"] if comment else [])])

    def header(self, names: Sequence[str]) -> bytes:
        """The line of the columns' names."""
        import pyarrow as pa

        row = [pa.array([name]) for name in names]
        return self._lines([self._fields(array, not place) for place, array in enumerate(row)])

    def lines(self, batch: Any) -> bytes:
        """One line per row."""
        return self._lines([self._column(array, not place) for place, array in enumerate(batch.columns)]) if batch.num_rows else b""

    def _lines(self, columns: list[Any]) -> bytes:
        pc = compute()

        rows = pc.binary_join_element_wise(*columns, self._separator)
        return _joined(pc.binary_join_element_wise(rows, self._end, ""))

    def _column(self, array: Any, first: bool) -> Any:
        import pyarrow as pa

        pc = compute()

        kind, is_ = array.type, pa.types
        written = texts(array, self._forms)
        plain = is_.is_integer(kind) or is_.is_boolean(kind) or is_.is_floating(kind) or is_.is_decimal(kind)
        if plain and not self._all and self._separator[0] in ",;|\t ":
            return pc.fill_null(written, self._null)
        return self._fields(written, first)

    def _fields(self, array: Any, first: bool) -> Any:
        """Texts as they stand between separators, or at the beginnings of lines."""
        import pyarrow as pa

        pc = compute()

        trimmed = array
        if self._strip_left:
            trimmed = pc.replace_substring_regex(trimmed, f"^[{_SPACE}]+", "")
        if self._strip_right:
            trimmed = pc.replace_substring_regex(trimmed, f"[{_SPACE}]+$", "")
        if self._all:
            filled = pc.fill_null(pc.if_else(pc.equal(trimmed, ""), self._unquoted(self._empty), trimmed), self._null)
            return self._quoted(filled)
        needs = pc.fill_null(pc.match_substring_regex(trimmed, self._first_special if first else self._special), False)
        if pc.any(needs).as_py():
            trimmed = pc.if_else(needs, self._quoted(trimmed), trimmed)
        return pc.fill_null(pc.if_else(pc.equal(trimmed, ""), pa.scalar(self._empty), trimmed), self._null)

    def _unquoted(self, text: str) -> str:
        return "" if text == '""' else text

    def _quoted(self, array: Any) -> Any:
        pc = compute()

        inner = array
        if self._escaped_escape:
            inner = pc.replace_substring(inner, self._escape, self._escaped_escape + self._escape)
        inner = pc.replace_substring(inner, self._quote, self._escape + self._quote)
        return pc.binary_join_element_wise(self._quote, inner, self._quote, "")


def _joined(lines: Any) -> bytes:
    """All texts, one after the other: the bytes that they have in memory already."""
    offsets, data = lines.buffers()[1:]
    if data is None or not len(lines):
        return b""
    first = int.from_bytes(offsets[lines.offset * 4 : lines.offset * 4 + 4], "little")
    end = (lines.offset + len(lines)) * 4
    joined: bytes = data[first : int.from_bytes(offsets[end : end + 4], "little")].to_pybytes()
    return joined


def text_lines(array: Any, end: str) -> bytes:
    """Texts as lines; null is an empty one."""
    pc = compute()

    return _joined(pc.binary_join_element_wise(pc.fill_null(array, ""), end, "")) if len(array) else b""
