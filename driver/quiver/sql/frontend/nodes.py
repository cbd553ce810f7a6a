"""Statements, and parts of them, that sqlglot has no nodes for."""

from __future__ import annotations

from typing import ClassVar

from sqlglot.expressions.core import Expression as Node


class CopyTo(Node):
    """`COPY … TO 'path'`. `this` is a query or a table; the others are plain strings, lists and pairs of them."""

    arg_types: ClassVar[dict[str, bool]] = {"this": True, "to": True, "stored": False, "partition": False, "options": False}


class Unset(Node):
    """`UNSET TBLPROPERTIES` of ALTER: `expressions` are the keys."""

    arg_types: ClassVar[dict[str, bool]] = {"expressions": True}


class TableOf(Node):
    """`TABLE(t) PARTITION BY … ORDER BY …` as a function's argument. `this` is a query or a table; `single`: WITH SINGLE PARTITION."""

    arg_types: ClassVar[dict[str, bool]] = {"this": True, "partition": False, "order": False, "single": False}
