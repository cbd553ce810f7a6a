"""Every error that Quiver raises on purpose; see quiver_proto.errors for the hierarchy.

Those of DataFrames and SQL have PySpark's names and are here too: `from quiver.errors import AnalysisException`.
"""

from typing import TYPE_CHECKING, Any

from quiver_proto.errors import *  # noqa: F403

if TYPE_CHECKING:
    from quiver.sql.errors import *  # noqa: F403


def __getattr__(name: str) -> Any:
    # Looked for only when asked: they are part of quiver.sql, which takes a while to import.
    from quiver.sql import errors

    if name in errors.__all__:
        return getattr(errors, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
