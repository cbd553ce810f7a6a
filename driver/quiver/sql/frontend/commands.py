"""Commands: statements that are no queries."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from sqlglot.expressions.core import Expression as Node

from quiver.sql.frontend.queries import Query
from quiver.sql.tree import relations as r

if TYPE_CHECKING:
    from quiver.sql.session import Session

Command = Callable[["Session", Query, Any, str], r.Relation]


def of(node: Node) -> Command | None:
    """How to run a statement; None for queries."""
    return None
