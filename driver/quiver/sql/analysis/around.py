"""The query around the one that is analysed: which columns `outer()` may mean."""

from __future__ import annotations

from contextvars import ContextVar

from quiver.sql.errors import AnalysisException
from quiver.sql.tree.expressions import Attribute

AROUND: ContextVar[tuple[Attribute, ...] | None] = ContextVar("AROUND", default=None)
"""Its columns; None: there is no query around."""


class NeedsQueryAround(AnalysisException):
    """A column was marked by `outer()` where there is no query around."""

    def __init__(self, name: str) -> None:
        super().__init__(
            f"The column `{name}` is of a query around this one: use this DataFrame in lateralJoin, or by scalar() or exists().",
            "UNRESOLVED_COLUMN.WITHOUT_SUGGESTION",
        )
