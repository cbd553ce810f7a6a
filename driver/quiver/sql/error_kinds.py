"""Errors of jobs as queries raise them: still of their own type, and PySparkException too, for programs that catch that."""

from __future__ import annotations

import types

from quiver.sql.errors import PySparkException
from quiver_proto.errors import QuiverError

_kinds: dict[type[QuiverError], type[QuiverError]] = {}


def _kind(kind: type[QuiverError]) -> type[QuiverError]:
    """Without fields of its own: an error of `kind` can become one."""
    found = _kinds.get(kind)
    if found is None:
        named: dict[str, object] = {"__module__": kind.__module__, "__doc__": kind.__doc__, "code": kind.code}
        named |= {"condition": "", "_parameters": None, "_contexts": ()}
        bases = (PySparkException,) if kind is QuiverError else (kind, PySparkException)
        # Not known by name: what comes from the wire is of `kind`.
        found = _kinds[kind] = types.new_class(kind.__name__, bases, {"registered": False}, lambda names: names.update(named))
    return found


def made_spark(error: QuiverError) -> None:
    """From now on the error is a PySparkException too, without a condition.

    >>> from quiver_proto.errors import DiskFull
    >>> error = DiskFull("/disk", 0, "full", True)
    >>> made_spark(error)
    >>> isinstance(error, DiskFull), isinstance(error, PySparkException), error.getCondition(), type(error).__name__
    (True, True, None, 'DiskFull')
    """
    if not isinstance(error, PySparkException):
        error.__class__ = _kind(type(error))
