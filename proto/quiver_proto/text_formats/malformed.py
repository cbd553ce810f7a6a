"""What becomes of records that are not what their columns promise."""

from __future__ import annotations

from quiver_proto.errors import FileUnreadable

PERMISSIVE, DROP, FAIL = "PERMISSIVE", "DROPMALFORMED", "FAILFAST"
_SHOWN = 200


def malformed(path: str, number: int | None, record: str, why: str) -> FileUnreadable:
    """The error of FAILFAST. `number`: of the line, from 1, where it is known."""
    where = "" if number is None else f" in line {number}"
    shown = record if len(record) <= _SHOWN else record[:_SHOWN] + "…"
    return FileUnreadable(
        path,
        f"[MALFORMED_RECORD_IN_PARSING.WITHOUT_SUGGESTION] Malformed records are detected in record parsing{where}: {why}: {shown!r}. "
        "Parse Mode: FAILFAST. To process malformed records as null result, try setting the option 'mode' as 'PERMISSIVE'.",
    )
