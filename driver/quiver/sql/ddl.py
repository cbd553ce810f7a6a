"""Types and schemas as they are written in DDL: read, and written."""

from __future__ import annotations

import re
from typing import NoReturn

from quiver.sql import types as t
from quiver.sql.errors import ParseException

_TOKEN = re.compile(
    r"""\s*(?:(?P<quoted>`(?:[^`]|``)*`)|(?P<text>'(?:[^'\\]|\\.|'')*'|"(?:[^"\\]|\\.)*")|(?P<word>[^\W\d]\w*|\d+\w*)|(?P<sign>[<>(),:.-]))""",
    re.VERBOSE,
)
_NAMED: dict[str, t.DataType] = {
    "boolean": t.BooleanType(), "tinyint": t.ByteType(), "byte": t.ByteType(), "smallint": t.ShortType(), "short": t.ShortType(),
    "int": t.IntegerType(), "integer": t.IntegerType(), "bigint": t.LongType(), "long": t.LongType(), "float": t.FloatType(),
    "real": t.FloatType(), "double": t.DoubleType(), "date": t.DateType(), "timestamp": t.TimestampType(),
    "timestamp_ntz": t.TimestampNTZType(), "timestamp_ltz": t.TimestampType(), "string": t.StringType(), "binary": t.BinaryType(),
    "void": t.NullType(), "variant": t.VariantType(),
}  # fmt: skip
_INTERVALS = (t.DayTimeIntervalType, t.YearMonthIntervalType)


def parse_type(text: str) -> t.DataType:
    """`INT`, `array<string>`, or columns: `a INT NOT NULL COMMENT 'how old', b: STRING` (a struct). Raises ParseException.

    >>> parse_type("a decimal(10, 2), b map<string, array<int>>").simpleString()
    'struct<a:decimal(10,2),b:map<string,array<int>>>'
    """
    try:
        return _Reader(text).whole_columns()
    except ParseException as error:
        reader = _Reader(text)
        try:
            kind = reader.type()
        except ParseException as unknown:
            raise (unknown if re.fullmatch(r"\s*\w+\s*", text) else error) from None
        if reader.left():
            raise error from None
        return kind


class _Reader:
    """Reads a text from left to right, one token at a time."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._tokens: list[tuple[str, str]] = []
        position = 0
        while text[position:].strip():
            match = _TOKEN.match(text, position)
            if match is None:
                self._fail(text[position:].strip()[:1])
            assert match.lastgroup is not None
            self._tokens.append((match.lastgroup, match[match.lastgroup]))
            position = match.end()
        self._at = 0

    def left(self) -> bool:
        return self._at < len(self._tokens)

    def _fail(self, near: str = "") -> NoReturn:
        place = f" near {near!r}" if near else " at its end"
        raise ParseException(f"{self._text!r} is no type and no list of columns: Syntax error{place}.", "PARSE_SYNTAX_ERROR")

    def _peek(self) -> str:
        return self._tokens[self._at][1].lower() if self.left() else ""

    def _take(self) -> tuple[str, str]:
        if not self.left():
            self._fail()
        self._at += 1
        return self._tokens[self._at - 1]

    def _accept(self, *words: str) -> bool:
        ahead = [text.lower() for _, text in self._tokens[self._at : self._at + len(words)]]
        if ahead != list(words):
            return False
        self._at += len(words)
        return True

    def _expect(self, sign: str) -> None:
        if not self._accept(sign):
            self._fail(self._peek())

    def _name(self) -> str:
        group, text = self._take()
        if group == "quoted":
            return text[1:-1].replace("``", "`")
        if group != "word":
            self._fail(text)
        return text

    def _number(self) -> int:
        negative = self._accept("-")
        _, text = self._take()
        if not text.isdigit():
            self._fail(text)
        return -int(text) if negative else int(text)

    def whole_columns(self) -> t.StructType:
        if not self.left():
            return t.StructType([])
        fields = [self._column()]
        while self._accept(","):
            fields.append(self._column())
        if self.left():
            self._fail(self._peek())
        return t.StructType(fields)

    def _column(self) -> t.StructField:
        name = self._name()
        self._accept(":")
        kind = self.type()
        nullable, metadata = True, {}
        while self._peek() in ("not", "comment"):
            if self._accept("not", "null"):
                nullable = False
            elif self._accept("comment"):
                group, text = self._take()
                if group != "text":
                    self._fail(text)
                metadata["comment"] = re.sub(r"\\(.)", r"\1", text[1:-1])
            else:
                self._fail("not")
        return t.StructField(name, kind, nullable, metadata)

    def type(self) -> t.DataType:
        """One type."""
        group, text = self._take()
        word = text.lower()
        if group != "word":
            self._fail(text)
        match word:
            case "decimal" | "dec" | "numeric":
                sizes = self._sizes()
                return t.DecimalType(*sizes[:2]) if len(sizes) <= 2 else self._fail(text)
            case "char" | "character" | "varchar":
                sizes = self._sizes()
                if len(sizes) != 1:
                    raise ParseException(f'DataType "{word.upper()}" requires a length parameter, for example "{word.upper()}"(10).',
                                         "DATATYPE_MISSING_SIZE")  # fmt: skip
                return t.VarcharType(sizes[0]) if word == "varchar" else t.CharType(sizes[0])
            case "time":
                return t.TimeType(*self._sizes()[:1])
            case "array":
                self._expect("<")
                element = self.type()
                self._close()
                return t.ArrayType(element)
            case "map":
                self._expect("<")
                key = self.type()
                self._expect(",")
                value = self.type()
                self._close()
                return t.MapType(key, value)
            case "struct":
                return self._struct()
            case "interval":
                return self._interval()
            case "timestamp" if self._accept("without", "time", "zone"):
                return t.TimestampNTZType()
            case "string" if self._accept("collate"):
                return t.StringType(self._name().upper())
            case _:
                found = _NAMED.get(word)
                if found is None:
                    raise ParseException(f'Unsupported data type "{text.upper()}".', "UNSUPPORTED_DATATYPE")
                return found

    def _sizes(self) -> list[int]:
        if not self._accept("("):
            return []
        sizes = [self._number()]
        while self._accept(","):
            sizes.append(self._number())
        self._expect(")")
        return sizes

    def _struct(self) -> t.StructType:
        self._expect("<")
        if self._accept(">"):
            return t.StructType([])
        fields = [self._column()]
        while self._accept(","):
            fields.append(self._column())
        self._close()
        return t.StructType(fields)

    def _close(self) -> None:
        self._expect(">")

    def _interval(self) -> t.DataType:
        first = self._peek()
        if not any(first in kind.FIELDS for kind in _INTERVALS):
            return t.CalendarIntervalType()
        self._take()
        last = self._name().lower() if self._accept("to") else first
        for kind in _INTERVALS:
            fields = kind.FIELDS
            if first in fields and last in fields and fields.index(first) <= fields.index(last):
                return kind(fields.index(first), fields.index(last))
        raise ParseException(f"Invalid interval type: interval {first} to {last}.", "PARSE_SYNTAX_ERROR")


def column_ddl(field: t.StructField) -> str:
    """A column of a table: its name, type, and what else is known of it."""
    name = field.name if re.fullmatch(r"[A-Za-z_]\w*", field.name, re.ASCII) else "`" + field.name.replace("`", "``") + "`"
    comment = field.metadata.get("comment")
    said = f" COMMENT '{str(comment).translate(_ESCAPED)}'" if comment is not None else ""
    return f"{name} {type_ddl(field.dataType)}{'' if field.nullable else ' NOT NULL'}{said}"


_ESCAPED = str.maketrans({"'": "\\'", "\\": "\\\\"})


def type_ddl(kind: t.DataType) -> str:
    """A type, as tables' columns have it."""
    match kind:
        case t.ArrayType():
            return f"ARRAY<{type_ddl(kind.elementType)}>"
        case t.MapType():
            return f"MAP<{type_ddl(kind.keyType)}, {type_ddl(kind.valueType)}>"
        case t.StructType():
            return f"STRUCT<{', '.join(column_ddl(field).replace(' ', ': ', 1) for field in kind.fields)}>"
        case _:
            return kind.simpleString().upper()
