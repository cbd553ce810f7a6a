"""Types and schemas written as in DDL."""

from __future__ import annotations

from quiver.sql import types as t
from quiver.sql.errors import ParseException


def parse_type(text: str) -> t.DataType:
    """`INT`, `array<string>`, or columns: `a INT, b STRING` (a struct). Raises ParseException."""
    import sqlglot
    from sqlglot import expressions as g
    from sqlglot.errors import SqlglotError

    from quiver.sql.frontend.expressions import type_of_node

    try:
        parsed = sqlglot.parse_one(text, read="spark", into=g.DataType)
        if isinstance(parsed, g.DataType):
            return type_of_node(parsed)
    except (SqlglotError, ParseException, AssertionError):
        pass
    try:
        table = sqlglot.parse_one(f"CREATE TABLE t ({text.replace(':', ' ') if '<' not in text else text})", read="spark")
        columns = table.this.expressions
        return t.StructType(
            [
                t.StructField(
                    column.name,
                    type_of_node(column.args["kind"]),
                    not any(isinstance(c.kind, g.NotNullColumnConstraint) for c in column.constraints),
                )
                for column in columns
            ]
        )
    except (SqlglotError, AttributeError, KeyError, AssertionError) as error:
        raise ParseException(f"{text!r} is no type and no list of columns: {error}", "PARSE_SYNTAX_ERROR") from None
