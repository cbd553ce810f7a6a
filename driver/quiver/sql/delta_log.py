"""Where a Delta table's directory and log are read by us, not by Delta's library: what it misreads, or does not tell."""

from __future__ import annotations

import contextlib
import json
import os
import re
from collections.abc import Iterator
from typing import Any

from quiver.sql.errors import AnalysisException
from quiver.sql.lake_places import local_table
from quiver_proto.staging_leases import STAGING

_MISREAD = re.compile(r"%[0-9A-Fa-f]{2}|[\[\]|^\\\x00-\x1f\x7f]")
"""The library takes paths for URLs: it decodes some of these, once more than was encoded, and panics at others."""
_ENTRY = re.compile(r"(\d{20})\.json")
_CHECKPOINT = re.compile(r"(\d{20})\.checkpoint\..*")


def delta_directory(path: str) -> str:
    """A table's directory. Raises AnalysisException DELTA_INVALID_PATH for one that the library misreads, UNSUPPORTED_FILE_SYSTEM.

    >>> delta_directory("/data/a b")
    '/data/a b'
    """
    local = local_table(path)
    found = _MISREAD.search(local)
    if found is not None:
        raise AnalysisException(
            f"Paths of Delta tables have no {found[0]!r} here, which Delta's library misreads: {local!r}. Rename the folder.",
            "DELTA_INVALID_PATH",
        )
    return local


@contextlib.contextmanager
def unreadable(deltalake: Any, path: str) -> Iterator[None]:
    """Inside, the library's errors are AnalysisExceptions: DELTA_MISSING_DELTA_TABLE, DELTA_TABLE_UNREADABLE."""
    try:
        yield
    except deltalake.exceptions.TableNotFoundError as problem:
        raise AnalysisException(f"`{path}` is not a Delta table.", "DELTA_MISSING_DELTA_TABLE") from problem
    except (deltalake.exceptions.DeltaError, OSError) as problem:
        raise AnalysisException(f"The Delta table {path} cannot be read: {problem}", "DELTA_TABLE_UNREADABLE") from problem


def first_entry() -> str:
    """The log's first entry, as a path below the table's directory: once it is there, the directory is a table."""
    return f"_delta_log/{0:020d}.json"


def is_free(directory: str) -> bool:
    """Whether a table may be made there: there is nothing but places of writers and a log without an entry, as those leave who die
    before the first one. Raises OSError."""
    try:
        if any(name not in (STAGING, "_delta_log") for name in os.listdir(directory)):
            return False
        return not any(_ENTRY.fullmatch(name) or "checkpoint" in name for name in os.listdir(f"{directory}/_delta_log"))
    except FileNotFoundError:
        return True


def is_entered(directory: str, identity: str, after: int) -> bool | None:
    """Whether an entry later than version `after` (-1: the table was not there) is of the write `identity` (its commitInfo's txnId).

    None when it can't be told: the log is not listed, or an entry of these is gone or not to be read.
    """
    log = f"{directory}/_delta_log"
    try:
        names = os.listdir(log)
    except FileNotFoundError:
        return False if after < 0 else None
    except OSError:
        return None
    entries = {int(found[1]) for name in names if (found := _ENTRY.fullmatch(name))}
    newest = max({after, *entries, *(int(found[1]) for name in names if (found := _CHECKPOINT.fullmatch(name)))})
    sure = True
    for version in range(newest, after, -1):
        try:
            with open(f"{log}/{version:020d}.json", "rb") as file:
                if any(_identity(line) == identity for line in file if line.strip()):
                    return True
        except (OSError, ValueError):
            sure = False
    return False if sure else None


def _identity(line: bytes) -> Any:
    """Raises ValueError."""
    action = json.loads(line)
    if not isinstance(action, dict):
        raise ValueError(line)
    info = action.get("commitInfo")
    return info.get("txnId") if isinstance(info, dict) else None
