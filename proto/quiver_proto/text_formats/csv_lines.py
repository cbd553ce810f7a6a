"""Lines of CSV as lists of values, in the way of the parser that Spark uses (univocity)."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

from quiver_proto.text_formats.conversion import Formats
from quiver_proto.text_formats.text_input import Line

Tokens = list[str | None]


@dataclass(frozen=True, slots=True)
class CsvOptions:
    """Spark's options of CSV; `quote`, `escape` and `comment` are one character or empty. `null` and `empty`: texts that mean null, and
    what a quoted empty text means. `corrupt`: the column of malformed records; `single`: that of records as variants. `prunes`: values
    that no column asks for make no record malformed."""

    separator: str = ","
    quote: str = '"'
    escape: str = "\\"
    comment: str = ""
    header: bool = False
    null: str = ""
    empty: str = ""
    trim_leading: bool = False
    trim_trailing: bool = False
    multi_line: bool = False
    enforce_schema: bool = True
    mode: str = "PERMISSIVE"
    corrupt: str = "_corrupt_record"
    max_columns: int = 20480
    max_characters: int = -1
    unescaped_quotes: str = "STOP_AT_DELIMITER"
    prefer_date: bool = True
    line: Line = field(default_factory=Line)
    formats: Formats = field(default_factory=Formats)
    single: str | None = None
    escape_escape: str | None = None
    prunes: bool = False

    @property
    def escape_of_escape(self) -> str:
        """What stands before an escape character that is none."""
        return (self.escape if self.escape != self.quote else "") if self.escape_escape is None else self.escape_escape


class TooLarge(ValueError):
    """A record with more values, or a longer one, than options allow."""


def tokenizer(options: CsvOptions) -> Callable[[str], Tokens]:
    """What cuts one record into its values; None for null. It raises TooLarge."""
    cut = _tokenizer(options)
    most, longest = options.max_columns, options.max_characters

    def tokens(record: str) -> Tokens:
        found = cut(record)
        if len(found) > most or (longest >= 0 and any(value is not None and len(value) > longest for value in found)):
            raise TooLarge(record)
        return found

    return tokens


def _tokenizer(options: CsvOptions) -> Callable[[str], Tokens]:
    separator, quote = options.separator, options.quote
    null, empty = options.null, options.empty
    lead, trail = options.trim_leading, options.trim_trailing

    def unquoted(text: str) -> str | None:
        if lead:
            text = text.lstrip(" \t")
        if trail:
            text = text.rstrip(" \t")
        return None if not text or text == null else text

    def quoted(text: str) -> str | None:
        text = text or empty
        return None if text == null else text

    def tokens(record: str) -> Tokens:
        if not quote or quote not in record:
            return [unquoted(part) for part in record.split(separator)]
        result: Tokens = []
        position, size = 0, len(record)
        while True:
            start = position
            while lead and start < size and record[start] in " \t" and record[start] != separator:
                start += 1
            if start + 1 < size and record[start] == quote:  # One that ends the record opens nothing.
                value, position, is_whole = _quoted(record, start + 1, options)
                result.append(value if value is None else quoted(value) if is_whole else unquoted(value))
                if position >= size:
                    return result
                position += len(separator)
                continue
            end = record.find(separator, position)
            if end < 0:
                result.append(unquoted(record[position:]))
                return result
            result.append(unquoted(record[position:end]))
            position = end + len(separator)

    return tokens


def _quoted(record: str, position: int, options: CsvOptions) -> tuple[str | None, int, bool]:
    """(the value after an opening quote, where the separator after it or the end is, whether it ends with a quote as it should)."""
    quote, escape, separator = options.quote, options.escape, options.separator
    parts: list[str] = []
    size = len(record)
    inner = options.escape_of_escape
    stop = re.compile("|".join(re.escape(each) for each in {quote, escape, inner} if each))
    while True:
        found = stop.search(record, position)
        if found is None:  # It never ends.
            parts.append(record[position:])
            return "".join(parts), size, True
        at = found.start()
        parts.append(record[position:at])
        character = record[at]
        following = record[at + 1] if at + 1 < size else ""
        if character == escape and escape and following == quote:
            parts.append(quote)
            position = at + 2
            continue
        if character == inner and inner and following == escape:
            parts.append(escape)
            position = at + 2
            continue
        if character != quote:
            parts.append(character)
            position = at + 1
            continue
        last = at
        while record.startswith(quote, last + 1):
            last += 1
        after = _after_quote(record, last, separator)
        if after >= size or record.startswith(separator, after):  # Of several quotes in a row the last one ends the value.
            return "".join(parts) + quote * (last - at), after, True
        if options.unescaped_quotes == "STOP_AT_CLOSING_QUOTE":
            parts.append(quote)
            position = at + 1
            continue
        end = record.find(separator, at)
        end = size if end < 0 else end
        if options.unescaped_quotes == "SKIP_VALUE":
            return None, end, False
        # The value is as it stands, from its opening quote to the separator after the quote that should have been its last.
        return f"{quote}{''.join(parts)}{record[at:end]}", end, False


def _after_quote(text: str, at: int, separator: str) -> int:
    """Where what follows a quote is, spaces aside."""
    after = at + 1
    while after < len(text) and text[after] in " \t" and not text.startswith(separator, after):
        after += 1
    return after


def records(text: str, options: CsvOptions) -> Iterator[tuple[int, str]]:
    """(number of lines before, record) of a text whose values may hold ends of lines: of the whole file, for multiLine."""
    quote, escape = options.quote, options.escape
    if options.line.separator is None:
        text = text.replace("\r\n", "\n").replace("\r", "\n")
    end = options.line.separator or "\n"
    position, line, size = 0, 0, len(text)
    inner = options.escape_of_escape
    fence = re.compile("|".join(re.escape(each) for each in (end, quote, escape, inner) if each))
    start, inside = 0, False
    fresh = True
    """Whether a value begins here: only there a quote opens one."""
    separator = options.separator
    while position < size:
        found = fence.search(text, position)
        if found is None:
            break
        at, what = found.start(), found[0]
        if what == end and not inside:
            yield line, text[start:at]
            line += text.count(end, start, at) + 1
            position = start = at + len(end)
            continue
        if quote and what == quote:
            if inside:
                if escape == quote and text.startswith(quote, at + 1):
                    position = at + 2
                    continue
                after = _after_quote(text, at, separator)
                is_end = after >= size or text.startswith((separator, end), after)
                inside = not is_end and options.unescaped_quotes == "STOP_AT_CLOSING_QUOTE"
            else:
                before = text[start:at].rstrip(" \t") if options.trim_leading and separator[-1] not in " \t" else text[start:at]
                fresh = not before or before.endswith(separator)
                inside = fresh
            position = at + 1
            continue
        escaped = what in (escape, inner) and text.startswith(quote if what == escape else escape, at + len(what))
        escaped = escaped or (what == escape == inner and text.startswith(escape, at + 1))
        position = at + (2 if escaped and inside else len(what))
    if start < size:
        yield line, text[start:]
