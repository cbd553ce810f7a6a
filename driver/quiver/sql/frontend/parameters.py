"""Values for `:name` and `?` in a text of SQL, and for `{name}` as in str.format."""

from __future__ import annotations

import re
import string
from collections.abc import Iterable, Mapping
from typing import Any

from sqlglot import expressions as g
from sqlglot.expressions.core import Expression as Node
from sqlglot.tokenizer_core import TokenType

from quiver.sql import types as t
from quiver.sql.errors import AnalysisException, wrong_argument
from quiver.sql.frontend.dialect import Dialect
from quiver.sql.literals import expression_of
from quiver.sql.tree import expressions as e
from quiver.sql.tree import relations as r

_PLACE, _FORMATTED = re.compile(r"_\d+"), re.compile(r"_f\d+")
"""The names that `bound` and `Formatted` give."""


def bound(text: str, args: Mapping[str, Any] | Iterable[Any] | None) -> tuple[str, dict[str, e.Expression]]:
    """(the text, in which each `?` is `:_1`, `:_2`, …; the values by name). Raises AnalysisException when there are too few."""
    if args is None:
        return text, {}
    if isinstance(args, Mapping):
        for name in args:
            if not isinstance(name, str):
                raise wrong_argument("args", "dict of str", name)
        return text, {name: expression_of(value) for name, value in args.items()}
    if isinstance(args, str | bytes) or not isinstance(args, Iterable):
        raise wrong_argument("args", "dict or list", args)
    values = list(args)
    marks = [token for token in Dialect().tokenize(text) if token.token_type == TokenType.PLACEHOLDER]
    if len(marks) > len(values):
        raise AnalysisException(
            f"Found the unbound parameter: _{marks[len(values)].start}. `args` has {len(values)} values for {len(marks)} markers.",
            "UNBOUND_SQL_PARAMETER",
        )
    for number, token in reversed(list(enumerate(marks, 1))):
        text = f"{text[: token.start]}:_{number} {text[token.end + 1 :]}"
    return text, {f"_{number}": expression_of(value) for number, value in enumerate(values, 1)}


def check_unmixed(statement: Node, args: Mapping[str, Any] | Iterable[Any] | None) -> None:
    """Raises AnalysisException INVALID_QUERY_MIXED_QUERY_PARAMETERS for a statement, as `bound` wrote it, with both `?` and `:name`."""
    if args is None:
        return
    names = {node.this if isinstance(node.this, str) else node.name for node in statement.find_all(g.Placeholder, g.Parameter)}
    places = {name for name in names if name == "?" or (not isinstance(args, Mapping) and _PLACE.fullmatch(name))}
    if places and any(not _FORMATTED.fullmatch(name) for name in names - places):
        raise AnalysisException(
            "Parameterized query must either use positional, or named parameters, but not both.", "INVALID_QUERY_MIXED_QUERY_PARAMETERS"
        )


class Formatted(string.Formatter):
    """`{df}` is a table, `{df[a]}` or `{column}` a column, `{value}` a constant. `tables` and `parameters` hold what was met."""

    def __init__(self) -> None:
        self.tables: dict[str, r.Relation] = {}
        self.parameters: dict[str, e.Expression] = {}

    def format_field(self, value: Any, format_spec: str) -> str:
        from quiver.sql.column import Column
        from quiver.sql.dataframe import DataFrame

        if isinstance(value, DataFrame):
            name = f"_frame_{id(value._relation):x}"
            self.tables[name] = value._relation
            return name
        if isinstance(value, Column):
            if isinstance(value._expression, e.Attribute):
                return "`" + value._expression.name.replace("`", "``") + "`"
            return self._marker(value._expression)
        if isinstance(value, str):
            return self._marker(e.Literal(value, t.StringType()))
        if isinstance(value, int | float) and not isinstance(value, bool):
            return f"({super().format_field(value, format_spec)})" if value < 0 else super().format_field(value, format_spec)
        if isinstance(value, list | tuple) and format_spec == "":
            listed = ", ".join(self._marker(expression_of(item)) for item in value)
            return f"({listed})" if isinstance(value, tuple) else listed
        return self._marker(expression_of(value))

    def _marker(self, expression: e.Expression) -> str:
        name = f"_f{len(self.parameters)}"
        self.parameters[name] = expression
        return f":{name}"
