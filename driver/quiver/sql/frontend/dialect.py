"""Spark's SQL as sqlglot's trees, in which functions keep the names and arguments that were written."""

from __future__ import annotations

import itertools
import re
from typing import Any, ClassVar, cast

from sqlglot import expressions as g
from sqlglot.dialects.spark import Spark
from sqlglot.errors import ErrorLevel, ParseError, SqlglotError, TokenError
from sqlglot.expressions.core import Expression as Node
from sqlglot.parsers.spark import SparkParser
from sqlglot.tokenizer_core import Token, TokenType

from quiver.sql.errors import ParseException
from quiver.sql.frontend.heeded import check_heeded
from quiver.sql.frontend.nodes import CopyTo, TableOf, Unset
from quiver.sql.nesting import with_room

_SPELLED = ("CAST", "TRY_CAST", "EXTRACT", "TRIM", "POSITION", "OVERLAY", "SUBSTRING")
"""Functions with a grammar of their own."""
LITERAL = "literal"
"""Marks a cast, or a sum of intervals, that was written as one literal: `1L`, `DATE '2026-01-01'`, `INTERVAL 1 DAY 2 HOURS`."""


VARIANT_PATH = "variant path"
"""The function of a variant, a path, and the last name in it, that `v:a.b` is."""


_TABLE = re.compile(r"^TABLE(?=\s+[\w`.]+\s*;?\s*$)", re.IGNORECASE)


_UNSIGNED_SHIFT = TokenType.COLON_GT
"""A token that Spark's SQL has not, for one that sqlglot has not."""


_AFTER_NAMES = frozenset({TokenType.FROM, TokenType.COMMA, TokenType.DOT, TokenType.R_PAREN, TokenType.SEMICOLON})
"""What may follow a name and begins no condition."""
_BEFORE_NAMES = frozenset({
    TokenType.SELECT, TokenType.DISTINCT, TokenType.ALIAS, TokenType.WHERE, TokenType.AND, TokenType.OR, TokenType.NOT, TokenType.ON,
    TokenType.COMMA, TokenType.DOT, TokenType.ORDER_BY, TokenType.GROUP_BY, TokenType.HAVING,
})  # fmt: skip
"""What no condition follows."""


_CONSTANTS = frozenset({TokenType.NUMBER, TokenType.STRING, TokenType.NULL, TokenType.TRUE, TokenType.FALSE})
_ENDS = frozenset({TokenType.COMMA, TokenType.R_PAREN})


class _Parser(SparkParser):
    # sqlglot would turn functions into those of all dialects; ours are found by Spark's names.
    FUNCTIONS: ClassVar[dict[str, Any]] = {}
    FUNCTION_PARSERS: ClassVar[dict[str, Any]] = {
        **{name: SparkParser.FUNCTION_PARSERS[name] for name in _SPELLED},
        "SUBSTR": lambda self: self.parse_substr(),
    }
    NO_PAREN_FUNCTION_PARSERS: ClassVar[dict[str, Any]] = {"CASE": SparkParser.NO_PAREN_FUNCTION_PARSERS["CASE"]}
    ARRAY_CONSTRUCTORS: ClassVar[dict[str, Any]] = {}  # `array(5, 6)[1]` is an element, no `ARRAY[1]`.
    STRICT_CAST = True
    MAP_KEYS_ARE_ARBITRARY_EXPRESSIONS = True
    JSON_OPERATORS: ClassVar[dict[Any, Any]] = {
        **SparkParser.JSON_OPERATORS,
        _UNSIGNED_SHIFT: lambda self, this, right: self.expression(g.Anonymous(this=">>>", expressions=[this, right])),
    }

    def expected(self, found: Any, what: str) -> Any:
        """What was found, which has to be something. Raises ParseError."""
        if not found:
            self.raise_error(f"Expecting {what}")
        return found

    def parse_struct(self) -> Any:
        """`{'a': 1}`, behind its brace."""

        def member() -> list[Any]:
            key = self.expected(self._parse_string() or self._parse_id_var(), "a name")
            self.expected(self._match(TokenType.COLON), "a colon")
            return [g.Literal.string(key.name), self._parse_disjunction()]

        members = [part for pair in self._parse_csv(member) for part in pair]
        self.expected(self._match(TokenType.R_BRACE), "}")
        return self.expression(g.Anonymous(this="named_struct", expressions=members))

    PLACEHOLDER_PARSERS: ClassVar[dict[Any, Any]] = {**SparkParser.PLACEHOLDER_PARSERS, TokenType.L_BRACE: parse_struct}

    def parse_copy(self) -> Any:
        """`COPY query TO 'path' STORED AS format PARTITIONED BY (columns) OPTIONS (key value, …)`, behind its first word."""

        def name() -> str:
            found = self._parse_string() or self._parse_var(any_token=True)
            text = self.expected(found, "a name").name
            while self._match(TokenType.DOT):
                text += f".{self.expected(self._parse_var(any_token=True), 'a name').name}"
            return str(text)

        def pair() -> tuple[str, str]:
            key = name()
            self._match(TokenType.EQ)
            value = self.expected(self._parse_primary() or self._parse_var(any_token=True), "a value")
            return key, str(value.this).lower() if isinstance(value, g.Boolean) else str(value.name)

        select = self._match(TokenType.L_PAREN, advance=False)
        this = self._parse_select(nested=True, parse_subquery_alias=False) if select else self._parse_table_parts()
        self.expected(self._match_text_seq("TO"), "TO")
        found: dict[str, Any] = {"this": this, "to": self.expected(self._parse_string(), "a path").name}
        while self._curr and self._curr.token_type != TokenType.SEMICOLON:
            if self._match_text_seq("STORED", "AS"):
                found["stored"] = name()
            elif self._match(TokenType.PARTITION_BY):
                wrapped = self._match(TokenType.L_PAREN)
                found["partition"] = self._parse_csv(name)
                if wrapped:
                    self._match_r_paren()
            elif self._match_text_seq("OPTIONS"):
                found["options"] = self._parse_wrapped_csv(pair)
            else:
                self.raise_error("Expecting STORED AS, PARTITIONED BY or OPTIONS")
        return CopyTo(**found)

    def parse_unset(self) -> Any:
        """`UNSET TBLPROPERTIES [IF EXISTS] ('a', 'b')`, behind its first word."""
        self.expected(self._match_text_seq("TBLPROPERTIES"), "TBLPROPERTIES")
        self._parse_exists()

        def key() -> Any:
            found = self.expected(self._parse_string() or self._parse_column(), "a name")
            return found if isinstance(found, g.Literal) else g.Literal.string(found.sql())

        return Unset(expressions=self._parse_wrapped_csv(key))

    ALTER_PARSERS: ClassVar[dict[str, Any]] = {**SparkParser.ALTER_PARSERS, "UNSET": parse_unset}
    STATEMENT_PARSERS: ClassVar[dict[Any, Any]] = {**SparkParser.STATEMENT_PARSERS, TokenType.COPY: parse_copy}

    def build_cast(self, strict: bool, **kwargs: Any) -> Any:
        last = self._prev
        cast_ = super().build_cast(strict, **kwargs)
        if last.text.upper() in Spark.Tokenizer.NUMERIC_LITERALS:
            cast_.meta[LITERAL] = True
        return cast_

    def _typed_literal(self, this: Any, data_type: Any) -> Any:
        made = self.expression(g.Cast(this=this, to=data_type))
        if isinstance(this, g.Literal | g.RawString):
            made.meta[LITERAL] = True
        return made

    TYPE_LITERAL_PARSERS: ClassVar[dict[Any, Any]] = dict.fromkeys(
        (g.DType.DATE, g.DType.TIME, g.DType.TIMESTAMP, g.DType.TIMESTAMPTZ, g.DType.TIMESTAMPNTZ, g.DType.TIMESTAMPLTZ), _typed_literal
    )

    def _parse_disjunction(self) -> Any:
        # A constant alone, of which there may be thousands in a list: twenty levels of operators are not looked for.
        if self._curr is not None and self._curr.token_type in _CONSTANTS and self._next is not None and self._next.token_type in _ENDS:
            self._advance()
            read: Any = self.PRIMARY_PARSERS[self._prev.token_type]
            return read(self, self._prev)
        return super()._parse_disjunction()

    def parse_substr(self) -> Any:
        """`substr(text FROM start FOR length)`, or with commas."""
        args = self._parse_csv(self._parse_bitwise)
        if len(args) != 1 or not self._match(TokenType.FROM):
            return self.expression(g.Anonymous(this="substr", expressions=args))
        start = self._parse_bitwise()
        return self.expression(g.Substring(this=args[0], start=start, length=self._parse_bitwise() if self._match(TokenType.FOR) else None))

    _before_colon = False
    """Is this the key of a map literal, whose colon is before the value?"""

    def _parse_bracket_key_value(self, is_map: bool = False) -> Any:
        if not is_map:
            return super()._parse_bracket_key_value(is_map)
        around, self._before_colon = self._before_colon, True
        try:
            key = self._parse_disjunction()
        finally:
            self._before_colon = around
        return self._parse_slice(key)

    def _parse_column_ops(self, this: Any) -> Any:
        made = super()._parse_column_ops(this)
        if made is None or self._before_colon or not self._match(TokenType.COLON):
            return made
        return self._parse_column_ops(self.expression(g.Anonymous(this=VARIANT_PATH, expressions=[made, *self.parse_variant_path()])))

    def parse_variant_path(self) -> list[Any]:
        """`a.b[0]['c']` behind the colon of `v:a.b[0]['c']`: as a path, and the last name in it."""
        path, last = "$", ""
        named = not self._match(TokenType.L_BRACKET, advance=False)
        while True:
            if named:
                last = self.expected(self._parse_id_var(any_token=True), "a name").name
                path += f".{last}" if last.isidentifier() else _bracketed(last)
            else:
                self.expected(self._match(TokenType.L_BRACKET), "[")
                key = self.expected(self._parse_string() or self._parse_number(), "a name or a place")
                self.expected(self._match(TokenType.R_BRACKET), "]")
                last = key.name if key.is_string else last
                path += _bracketed(last) if key.is_string else f"[{key.name}]"
            named = bool(self._match(TokenType.DOT))
            if not named and not self._match(TokenType.L_BRACKET, advance=False):
                return [g.Literal.string(path), g.Literal.string(last)]

    def parse_table_argument(self) -> Any:
        """`TABLE(t) PARTITION BY … ORDER BY …`, or None where there is none."""
        if not (self._curr and self._curr.token_type == TokenType.TABLE and self._next and self._next.token_type == TokenType.L_PAREN):
            return None
        self._advance(2)
        found: dict[str, Any] = {"this": self._parse_select() or self._parse_table_parts()}
        self._match_r_paren()

        def listed(item: Any) -> list[Any]:
            if self._match(TokenType.L_PAREN, advance=False):
                return list(self._parse_wrapped_csv(item))
            found = [item()]
            if self._match(TokenType.COMMA, advance=False) and self._tokens[self._index + 2].token_type != TokenType.FARROW:
                self.raise_error("Several expressions of PARTITION BY or ORDER BY need parentheses around them")
            return found

        if self._match(TokenType.PARTITION_BY) or self._match(TokenType.DISTRIBUTE_BY):
            found["partition"] = listed(self._parse_disjunction)
        elif self._match_text_seq("WITH", "SINGLE", "PARTITION"):
            found["single"] = True
        if len(found) > 1 and (self._match(TokenType.ORDER_BY) or self._match(TokenType.SORT_BY)):
            found["order"] = listed(self._parse_ordered)
        return self.expression(TableOf(**found))

    def _parse_lambda(self, alias: bool = False) -> Any:
        table = self.parse_table_argument()
        if table is not None:
            return table
        if self._next and self._next.token_type == TokenType.FARROW:
            place = self._index
            name = self._curr.text
            self._advance(2)
            table = self.parse_table_argument()
            if table is not None:
                return self.expression(g.Kwarg(this=g.var(name), expression=table))
            self._retreat(place)
        # sqlglot's way for arguments of one token would not see a name after them without AS.
        argument = super()._parse_lambda(alias)
        named = alias and self._curr is not None and self._curr.token_type in (TokenType.VAR, TokenType.IDENTIFIER)
        return self._parse_alias(argument) if named and not isinstance(argument, g.Alias) else argument

    def _parse_interval(self, require_interval: bool = True, parse_function_unit: bool = True) -> Any:
        interval = super()._parse_interval(require_interval, parse_function_unit)
        if isinstance(interval, g.Add):
            interval.meta[LITERAL] = True
        return interval


def _bracketed(name: str) -> str:
    return f'["{name}"]' if "'" in name else f"['{name}']"


class Dialect(Spark):
    """Spark's dialect, read plainly."""

    class Tokenizer(Spark.Tokenizer):
        STRING_ESCAPES: ClassVar[list[str]] = ["\\", "'", '"']  # A quote twice is a quote.
        SINGLE_TOKENS: ClassVar[dict[str, Any]] = {**Spark.Tokenizer.SINGLE_TOKENS, "$": TokenType.HEREDOC_STRING}
        HEREDOC_STRINGS: ClassVar[list[str | tuple[str, str]]] = ["$"]
        HEREDOC_TAG_IS_IDENTIFIER = True
        HEREDOC_STRING_ALTERNATIVE = TokenType.PARAMETER

    Parser = _Parser


def parsed(text: str) -> Node:
    """One statement. Raises ParseException."""
    statements = [statement for statement in parsed_all(text) if statement is not None and not isinstance(statement, g.Semicolon)]
    if not statements:
        raise syntax_error("Syntax error, unexpected empty statement.", text, 1, 0, "PARSE_EMPTY_STATEMENT")
    if len(statements) > 1:
        second = _second_statement(text)
        raise syntax_error(f"Syntax error at or near '{second.text}': extra input.", text, second.line, second.col - len(second.text))
    return statements[0]


def parsed_all(text: str) -> list[Node | None]:
    """All statements. Raises ParseException."""
    dialect = Dialect()
    text = _TABLE.sub("FROM ", text)  # Of the same length: places stay.
    try:
        tokens = dialect.tokenize(text)
    except TokenError as error:
        line, column = _place(text, error.end if error.end is not None else len(text))
        raise syntax_error("Syntax error: text that is no SQL, maybe a quote that is not closed.", text, line, column) from None
    tokens = _with_operators(tokens)
    _tell_matches(tokens)
    _tell_names(tokens)
    for token, after in itertools.pairwise(tokens):
        if token.token_type == TokenType.WINDOW and after.token_type == TokenType.L_PAREN:
            token.token_type = TokenType.VAR  # The function.
        if token.token_type == TokenType.COMMA and after.token_type == TokenType.FROM:
            raise syntax_error("Trailing comma detected in SELECT clause.", text, token.line, token.col - 1, "TRAILING_COMMA_IN_SELECT")
    try:
        statements = with_room(lambda: cast("list[Node | None]", dialect.parser(error_level=ErrorLevel.IMMEDIATE).parse(tokens, text)))
        for statement in statements:
            if statement is not None:
                check_heeded(statement)
        return statements
    except ParseError as error:
        raise _syntax_error(error, tokens, text) from None
    except (SqlglotError, ValueError, AttributeError, TypeError) as error:
        raise syntax_error(f"Syntax error: {error}", text, 1, 0) from None


def _with_operators(tokens: list[Token]) -> list[Token]:
    """With `>>>` as one token, where it is no end of types."""
    if ">>>" not in "".join(token.text if token.token_type == TokenType.GT else " " for token in tokens):
        return tokens
    result: list[Token] = []
    open_types = 0
    for token in tokens:
        open_types += (token.token_type == TokenType.LT) - (token.token_type == TokenType.GT)
        result.append(token)
        last = result[-3:]
        adjacent = len(last) == 3 and all(one.token_type == TokenType.GT for one in last) and last[2].start - last[0].start == 2
        if adjacent and open_types < 0:
            first = last[0]
            first.token_type, first.text = _UNSIGNED_SHIFT, ">>>"
            del result[-2:]
            open_types += 3
    return result


_OPERANDS = frozenset({
    TokenType.VAR, TokenType.IDENTIFIER, TokenType.STRING, TokenType.RAW_STRING, TokenType.NUMBER, TokenType.R_PAREN, TokenType.R_BRACKET,
    TokenType.NULL,
})  # fmt: skip
"""With which an operand may end."""


def _tell_matches(tokens: list[Token]) -> None:
    """`x ~ y` and `x !~ y` are RLIKE; before one operand `~` is the operator of bits."""
    for at, token in enumerate(tokens):
        if token.token_type == TokenType.TILDE:
            negated = at > 1 and tokens[at - 1].token_type == TokenType.NOT and tokens[at - 1].text == "!"
            if at and tokens[at - 1 - negated].token_type in _OPERANDS:
                token.token_type = TokenType.RLIKE


def _tell_names(tokens: list[Token]) -> None:
    """`where` may be a column or a table: by what stands before and behind it."""
    for at, token in enumerate(tokens):
        if token.token_type == TokenType.WHERE:
            last = at == len(tokens) - 1
            if last or tokens[at + 1].token_type in _AFTER_NAMES or tokens[max(at - 1, 0)].token_type in _BEFORE_NAMES:
                token.token_type = TokenType.VAR


def _syntax_error(error: ParseError, tokens: list[Token], text: str) -> ParseException:
    if not error.errors:
        return syntax_error(f"Syntax error: {error}", text, 1, 0)
    found = error.errors[0]
    line, end = int(found.get("line") or 1), int(found.get("col") or 0)
    word = str(found.get("highlight") or "")
    token = next((one for one in tokens if one.line == line and one.col == end), None)
    column = end - (token.end - token.start + 1) if token is not None else max(0, end - len(word))
    what = re.sub(r" but got <Token.*|Required keyword: .*", "", str(found.get("description") or ""))
    last = bool(tokens) and token is tokens[-1]
    if what.startswith("Expected TYPE after CAST") and word.isidentifier():
        return syntax_error(f'Unsupported data type "{word.upper()}".', text, line, max(0, column), "UNSUPPORTED_DATATYPE")
    if what.startswith(("Invalid expression", "Expecting")):
        where = "end of input" if last and what.startswith("Expecting") else f"'{word}'"
        more = "" if what.startswith("Invalid") else f" {what}."
        return syntax_error(f"Syntax error at or near {where}.{more}", text, line, max(0, column))
    return syntax_error(f"Syntax error at or near '{word}'{f': {what}' if what else ''}.", text, line, max(0, column))


def _second_statement(text: str) -> Token:
    tokens = Dialect().tokenize(text)
    position = next(i for i, token in enumerate(tokens) if token.token_type == TokenType.SEMICOLON)
    return tokens[min(position + 1, len(tokens) - 1)]


def _place(text: str, offset: int) -> tuple[int, int]:
    before = text[:offset]
    return before.count("\n") + 1, offset - (before.rfind("\n") + 1)


def syntax_error(message: str, text: str, line: int, column: int, condition: str = "PARSE_SYNTAX_ERROR") -> ParseException:
    """With the place (line from 1, column from 0) and the line of the text with a caret below it."""
    lines = text.split("\n")
    shown = [*lines[:line], f"{'-' * column}^^^", *lines[line:]]
    listed = "\n".join(shown)
    return ParseException(f"{message} (line {line}, pos {column})\n\n== SQL ==\n{listed}", condition)


def last_part(name: str) -> str:
    """Of a name in parts the last, without its backticks: points within these separate nothing.

    >>> last_part("spark_catalog.`a.b`")
    'a.b'
    """
    parts: list[str] = re.findall(r"`[^`]*`|[^.`]+", name)
    return parts[-1].strip("`")


def unsupported(what: str, node: Node | None = None) -> ParseException:
    """SQL that is understood and has no counterpart here."""
    text = "" if node is None else f": {node.sql(dialect='spark')}"
    return ParseException(f"The feature is not supported: {what}{text}.", "UNSUPPORTED_FEATURE")
