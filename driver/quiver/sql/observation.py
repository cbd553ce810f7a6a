"""Metrics of the rows that a DataFrame gives: `df.observe(Observation("quality"), F.count("*"))`.

They are computed by a query of their own, right after the first query on the observed DataFrame. That costs a second pass, but nothing
when nobody observes; where the rows are kept (DataFrame.cache) the pass is over what is kept.
"""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable, Iterator
from typing import Any

from quiver.sql.errors import PySparkAssertionError, PySparkTypeError, PySparkValueError
from quiver.sql.row import Row
from quiver.sql.tree import relations as r

_observed = threading.Event()
"""Whether anything was ever observed in this process: if not, no relation is searched."""


class Observation:
    """The metrics of one DataFrame, told by the first query on it.

    >>> from quiver.sql import Observation
    >>> seen = Observation("ages")
    >>> people = spark.createDataFrame([("Alice", 2), ("Bob", 5)], ["name", "age"])
    >>> people.observe(seen, F.count(F.lit(1)).alias("count"), F.max("age")).count()
    2
    >>> seen.get
    {'count': 2, 'max(age)': 5}
    """

    def __init__(self, name: str | None = None) -> None:
        if name is not None and not isinstance(name, str):
            raise PySparkTypeError(f"Argument `name` should be str, got {type(name).__name__}.", "NOT_EXPECTED_TYPE")
        if name == "":
            raise PySparkValueError("Value for `name` must be a non empty string, got ''.", "VALUE_NOT_NON_EMPTY_STR")
        self._name = name
        self._state = threading.Condition()
        self._is_used = False
        self._running = 0
        self._row: Row | None = None

    def _attach(self) -> None:
        """For one DataFrame, once. Raises PySparkAssertionError."""
        with self._state:
            if self._is_used:
                raise PySparkAssertionError("An Observation can be used with a DataFrame only once.", "REUSE_OBSERVATION")
            self._is_used = True
        _observed.set()

    @property
    def get(self) -> dict[str, Any]:
        """The metrics by name; waits for a query that is running. Raises PySparkAssertionError when nothing was observed, or no query
        on it has ended well or is running (PySpark waits for ever then)."""
        with self._state:
            self._state.wait_for(lambda: self._row is not None or not self._running)
            if self._row is None:
                what = "computed. Run a query on the observed DataFrame first" if self._is_used else "asked for by DataFrame.observe"
                raise PySparkAssertionError(f"Should observe by calling `DataFrame.observe` before `get`: nothing was {what}.",
                                            "NO_OBSERVE_BEFORE_GET")  # fmt: skip
            return self._row.asDict()


@contextlib.contextmanager
def observing(relation: r.Relation, first: Callable[[r.Relation], Row]) -> Iterator[None]:
    """Around a query: afterwards the metrics in it that nobody has told yet are told. `first` computes a relation's only row."""
    if not _observed.is_set():
        yield
        return
    waiting = [node for node in _observes(relation) if node.observation._row is None]
    for node in waiting:
        with node.observation._state:
            node.observation._running += 1
    try:
        yield
        for node in waiting:
            if node.observation._row is None:
                row = first(r.Aggregate(node.child, (), node.metrics))
                with node.observation._state:
                    node.observation._row = node.observation._row or row
    finally:
        for node in waiting:
            with node.observation._state:
                node.observation._running -= 1
                node.observation._state.notify_all()


def _observes(relation: r.Relation) -> list[r.Observe]:
    found: dict[int, r.Observe] = {}
    pending = [relation]
    seen: set[int] = set()
    while pending:
        node = pending.pop()
        if id(node) in seen:
            continue
        seen.add(id(node))
        pending.extend(node.inputs)
        if isinstance(node, r.Observe):
            found[id(node)] = node
    return list(found.values())
