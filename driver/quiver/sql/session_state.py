"""What a session has, as the modules of quiver.sql see it. Users see the Session."""

from __future__ import annotations

import difflib
import itertools
import logging
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from quiver.callsite import capture
from quiver.sql.analysis.analyser import Analyser
from quiver.sql.errors import AnalysisException
from quiver.sql.explaining import tree
from quiver.sql.metastore import DEFAULT, GLOBAL_TEMP, Table, metastore
from quiver.sql.runtime import Runtime
from quiver.sql.session_conf import RuntimeConfig
from quiver.sql.tree import relations as r
from quiver.sql.tree.expressions import Expression

if TYPE_CHECKING:
    from quiver.context import Context
    from quiver.sql.datasource import DataSource
    from quiver_proto.storage import StorageLevel

log = logging.getLogger("quiver.sql")
_LONG = 120
"""Characters of a plan that are shown as the name of kept rows."""
_ids = itertools.count(1)
"""Attributes of all sessions, so that DataFrames of two sessions never mean each other's columns."""


class SessionState:
    """One per session: its settings, what names mean in it, its analyser, and its way to rows."""

    def __init__(self, context: Context) -> None:
        self.context = context
        self.settings = RuntimeConfig(context._conf)
        self.views: dict[str, r.Relation] = {}
        """Temporary views, by name in lower case."""
        self.routines: dict[str, Callable[[Sequence[Expression], Sequence[str | None]], Expression]] = {}
        """The session's own functions, by name in lower case: what a call of one means."""
        self.data_sources: dict[str, type[DataSource]] = {}
        """Those that the program has registered, by name in lower case."""
        self.runtime = Runtime(context, self.settings.get)
        self.analyser = Analyser(self.new_id, self.settings.zone, self.routines, self.batch_rows)
        self.store = metastore(context)
        """Databases and their tables, those of all sessions of the application."""
        self.database = DEFAULT
        """The current one."""

    def data_source(self, name: str, formats: Sequence[str]) -> type[DataSource] | None:
        """The registered data source of this name; None for one of the `formats`. Raises AnalysisException DATA_SOURCE_NOT_FOUND."""
        found = self.data_sources.get(name.lower())
        if found is None and name.lower() not in formats:
            registered = f"; registered are {', '.join(self.data_sources)}" if self.data_sources else ""
            raise AnalysisException(
                f"Failed to find the data source: {name}. Formats are {', '.join(formats)}{registered}.", "DATA_SOURCE_NOT_FOUND"
            )
        return found

    @staticmethod
    def new_id() -> int:
        """A number for a new attribute."""
        return next(_ids)

    def batch_rows(self) -> int:
        """How many rows users' functions get at a time at most; 0: as they come."""
        return int(self.settings.get("spark.sql.execution.arrow.maxRecordsPerBatch", "10000"))

    def keep(self, relation: r.Relation, level: StorageLevel, name: str) -> None:
        """Have a relation's rows kept; `name` is what pages show, or else its plan in short. Nothing changes when they are already."""
        if self.runtime.kept.find(relation) is not None:
            log.warning("Asked to cache already cached data.")
            return
        rows = self.runtime.batches(relation, capture())
        shown = name or " ".join(line.strip() for line in tree(relation).splitlines())
        self.runtime.kept.keep(relation, rows.setName(shown if len(shown) <= _LONG else f"{shown[: _LONG - 1]}…"), level)

    def temporary(self, parts: Sequence[str]) -> r.Relation | None:
        """A temporary view, of the session or of all."""
        if len(parts) == 2 and parts[0].lower() == GLOBAL_TEMP:
            return self.store.global_views.get(parts[1].lower())
        return self.views.get(parts[0].lower()) if len(parts) == 1 else None

    def stored(self, parts: Sequence[str]) -> Table | None:
        """A table or view of a database (of the current one, if none is named)."""
        if not 1 <= len(parts) <= 2:
            return None
        return self.store.table(parts[0] if len(parts) > 1 else self.database, parts[-1])

    def stored_or_raise(self, parts: Sequence[str]) -> Table:
        """The same. Raises AnalysisException TABLE_OR_VIEW_NOT_FOUND, or EXPECT_PERMANENT_VIEW_NOT_TEMP for temporary views."""
        found = self.stored(parts)
        if found is None and self.temporary(parts) is not None:
            raise AnalysisException(
                f"A table or a permanent view is expected, but `{'`.`'.join(parts)}` is a temp view.", "EXPECT_PERMANENT_VIEW_NOT_TEMP"
            )
        if found is None:
            known = [*self.views, *(table.name for table in self.store.tables(self.database))]
            alike = difflib.get_close_matches(parts[-1].lower(), known, n=3)
            hint = f" Did you mean {', '.join(f'`{name}`' for name in alike)}?" if alike else ""
            raise AnalysisException(f"The table or view `{'`.`'.join(parts)}` cannot be found.{hint}", "TABLE_OR_VIEW_NOT_FOUND")
        return found
