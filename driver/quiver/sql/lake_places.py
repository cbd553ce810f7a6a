"""Where tables that their own libraries read are."""

from __future__ import annotations

import os
from urllib.parse import unquote, urlsplit

from quiver.sql.errors import AnalysisException


def local_table(path: str) -> str:
    """Its directory. Raises AnalysisException UNSUPPORTED_FILE_SYSTEM."""
    if path.startswith("file:"):
        return unquote(urlsplit(path).path)
    if "://" in path:
        raise AnalysisException(
            f"{path!r} is not on a file system that tables are read from: give a local path.", "UNSUPPORTED_FILE_SYSTEM"
        )
    return os.path.abspath(path)
