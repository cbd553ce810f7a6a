"""Queries that nest deeply: what walks over them recursively is done anew with more room where Python's limit stops it."""

from __future__ import annotations

import contextvars
import sys
import threading
from collections.abc import Callable
from typing import Final, TypeVar

from quiver.sql.errors import AnalysisException

T = TypeVar("T")


class TooDeep(AnalysisException):
    """A query whose plan nests more deeply than can be planned, or sent to a task."""

    def __init__(self) -> None:
        super().__init__(
            "The query is too deeply nested: its brackets, operators or DataFrames stand in each other thousands of levels deep, or its "
            "functions some thirty. Build it in parts, and keep those between with localCheckpoint() or as tables; write isin() instead of "
            "many comparisons.",
            "QUERY_TOO_DEEPLY_NESTED",
        )


_FRAMES: Final = 60_000
_STACK_BYTES: Final = 512 << 20
"""Of address space: memory is what is used of it. Some 8 KiB a frame, several times what one takes."""
_lock = threading.Lock()


def with_room(work: Callable[[], T]) -> T:
    """The value of `work`, which is called a second time, in a thread with a large stack, when it recurses too deeply for this one.

    Raises AnalysisException when it is too deep for that as well.
    """
    try:
        return work()
    except RecursionError:
        pass
    try:
        return _on_large_stack(work)
    except RecursionError:
        raise TooDeep() from None


def _on_large_stack(work: Callable[[], T]) -> T:
    results: list[T] = []
    problems: list[BaseException] = []
    context = contextvars.copy_context()

    def run() -> None:
        try:
            results.append(context.run(work))
        except BaseException as problem:
            problems.append(problem)

    # Both settings are of the whole process: one at a time, and only while it lasts.
    with _lock:
        limit, size = sys.getrecursionlimit(), threading.stack_size()
        thread = threading.Thread(target=run, name="quiver-deep-query")
        try:
            sys.setrecursionlimit(max(limit, _FRAMES))
            threading.stack_size(_STACK_BYTES)
            try:
                thread.start()
            finally:
                threading.stack_size(size)
            thread.join()
        finally:
            sys.setrecursionlimit(limit)
    if problems:
        raise problems[0]
    return results[0]
