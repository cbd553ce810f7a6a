"""Metrics of the rows that a DataFrame gives: `df.observe(Observation("quality"), F.count("*"))`.

They are computed by a query of their own, right after the first query on the observed DataFrame. That costs a second pass, but nothing
when nobody observes; where the rows are kept (DataFrame.cache) the pass is over what is kept.
"""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable, Iterator, Sequence
from typing import Any, Final

from quiver.sql.errors import AnalysisException, PySparkAssertionError, PySparkTypeError, PySparkValueError
from quiver.sql.row import Row
from quiver.sql.tree import expressions as e
from quiver.sql.tree import relations as r
from quiver.sql.tree.walking import walk

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


_REFUSED: Final = {
    "MISSING_AGGREGATION": ("NON_AGGREGATE_FUNC_ARG_IS_ATTRIBUTE", "A column can only be used as an argument to an aggregate function."),
    "NESTED_AGGREGATE_FUNCTION": ("NESTED_AGGREGATES_UNSUPPORTED", "Nested aggregates are not allowed in observed metrics."),
}
"""What is wrong with an aggregation, and what so with metrics."""


def metrics_of(
    observation: Observation | str, relation: r.Relation, metrics: Sequence[e.Expression], aggregated: Callable[[], r.Aggregate]
) -> tuple[e.Expression, ...]:
    """The metrics of the relation's rows, analysed as `aggregated` does. Raises AnalysisException INVALID_OBSERVED_METRICS, and
    DUPLICATED_METRICS_NAME where another observation of the name is in the relation."""
    for part in (part for metric in metrics for part in walk(metric)):
        if isinstance(part, e.Windowed):
            raise _refused("WINDOW_EXPRESSIONS_UNSUPPORTED", "Window expressions are not allowed in observed metrics.")
        if isinstance(part, e.Call) and part.distinct:
            raise _refused(
                "AGGREGATE_EXPRESSION_WITH_DISTINCT_UNSUPPORTED", "Aggregate expressions with DISTINCT are not allowed in observed metrics."
            )
    try:
        outputs = aggregated().outputs
    except AnalysisException as error:
        if error.getCondition() in _REFUSED:
            raise _refused(*_REFUSED[str(error.getCondition())]) from error
        raise
    name = observation if isinstance(observation, str) else observation._name
    if name is not None and any(node.observation._name == name for node in _observes(relation)):
        raise AnalysisException(
            f"The metric name is not unique: {name}. The same name cannot be used for metrics with different results.",
            "DUPLICATED_METRICS_NAME",
        )
    return outputs


def _refused(kind: str, message: str) -> AnalysisException:
    return AnalysisException(f"Invalid observed metrics. {message}", f"INVALID_OBSERVED_METRICS.{kind}")


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
