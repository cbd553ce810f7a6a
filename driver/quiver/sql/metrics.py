"""What the operators of an executed DataFrame did: `df.executionInfo`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from quiver.sql.errors import PySparkImportError

if TYPE_CHECKING:
    from quiver_proto.sessions import OperatorStatus


class MetricValue:
    """One number. `metric_type` is sum, size (bytes) or nsTiming (nanoseconds)."""

    def __init__(self, name: str, value: int | float, type: str) -> None:
        self._name = name
        self._value = value
        self._type = type

    def __repr__(self) -> str:
        return f"<{self._name}={self._value} ({self._type})>"

    @property
    def name(self) -> str:
        """numOutputRows, numTasks, computeTime, longestComputeTime, spillSize, numSpills or sizeOfFilesRead."""
        return self._name

    @property
    def value(self) -> int | float:
        """Over all tasks."""
        return self._value

    @property
    def metric_type(self) -> str:
        """sum, size or nsTiming."""
        return self._type

    def to_dict(self) -> dict[str, Any]:
        """As plain data."""
        return {"name": self._name, "value": self._value, "type": self._type}


class PlanMetrics:
    """One operator. `parent_plan_id` is the id of the one that reads it; that of the result is its own."""

    def __init__(self, name: str, id: int, parent: int, metrics: list[MetricValue], detail: str = "", stage_id: int = -1) -> None:
        self._name = name
        self._id = id
        self._parent_id = parent
        self._metrics = metrics
        self.detail = detail
        """What it does, in short."""
        self.stage_id = stage_id
        """The stage whose tasks ran it."""

    def __repr__(self) -> str:
        return f"Plan({self._name}: {self._id}->{self._parent_id})={self._metrics}"

    @property
    def name(self) -> str:
        """What the kernel calls it."""
        return self._name

    @property
    def plan_id(self) -> int:
        """Unique within the query."""
        return self._id

    @property
    def parent_plan_id(self) -> int:
        """The id of the operator that reads it."""
        return self._parent_id

    @property
    def metrics(self) -> list[MetricValue]:
        """Its numbers."""
        return self._metrics

    def to_dict(self) -> dict[str, Any]:
        """As plain data."""
        metrics = [metric.to_dict() for metric in self._metrics]
        return {"name": self._name, "plan_id": self._id, "parent_plan_id": self._parent_id, "metrics": metrics}


class CollectedMetrics:
    """The operators of a query."""

    @dataclass
    class Node:
        """An operator with the ids of those that it reads."""

        id: int
        name: str = ""
        metrics: list[MetricValue] = field(default_factory=list)
        children: list[int] = field(default_factory=list)

    def __init__(self, metrics: list[PlanMetrics]) -> None:
        self._metrics = metrics

    @property
    def operators(self) -> list[PlanMetrics]:
        """All of them, each before those that it reads."""
        return list(self._metrics)

    def extract_graph(self) -> tuple[int, dict[int, CollectedMetrics.Node]]:
        """The id of the result's operator, and all operators by id."""
        nodes = {each.plan_id: self.Node(each.plan_id, each.name, each.metrics) for each in self._metrics}
        root = self._metrics[0].plan_id
        for each in self._metrics:
            if each.parent_plan_id != each.plan_id:
                nodes[each.parent_plan_id].children.append(each.plan_id)
        return root, nodes

    def toText(self) -> str:
        """The tree, with the numbers of each operator.

        >>> df = spark.range(3)
        >>> df.collect()
        [Row(id=0), Row(id=1), Row(id=2)]
        >>> print(df.executionInfo.metrics.toText())  # doctest: +ELLIPSIS
        +- ...(numOutputRows: 3 (sum)...
        """
        root, nodes = self.extract_graph()
        lines = []
        pending = [(root, 0)]
        while pending:
            number, depth = pending.pop()
            node = nodes[number]
            shown = ", ".join(f"{metric.name}: {metric.value} ({metric.metric_type})" for metric in node.metrics)
            lines.append(f"{'  ' * depth}+- {node.name}({shown})")
            pending += ((child, depth + 1) for child in reversed(node.children))
        return "\n".join(lines) + "\n"

    def toDot(self, filename: str | None = None, out_format: str = "png") -> Any:
        """A graphviz.Digraph, written to `filename` when that is given. Raises PySparkImportError without the library graphviz."""
        try:
            import graphviz  # type: ignore[import-not-found,unused-ignore]  # pyright: ignore[reportMissingImports]  # the user brings it
        except ImportError:
            raise PySparkImportError("toDot needs the library graphviz: `pip install graphviz`.", "PACKAGE_NOT_INSTALLED") from None
        dot = graphviz.Digraph(comment="Query Plan", node_attr={"shape": "box", "fontsize": "10"})
        _, nodes = self.extract_graph()
        for node in nodes.values():
            told = [f"{metric.name}: {metric.value} ({metric.metric_type})" for metric in node.metrics]
            dot.node(str(node.id), "\n".join([node.name, *told]))
            for child in node.children:
                dot.edge(str(node.id), str(child))
        if filename:
            dot.render(filename, format=out_format, cleanup=True)
        return dot


class ExecutionInfo:
    """A DataFrame's last execution."""

    def __init__(self, metrics: list[PlanMetrics] | None, operation_id: str) -> None:
        self._metrics = CollectedMetrics(metrics) if metrics else None
        self._operation_id = operation_id

    @property
    def metrics(self) -> CollectedMetrics | None:
        """What its operators did; None while no task has ended, and where the driver does not know any more."""
        return self._metrics

    @property
    def operation_id(self) -> str:
        """The query's id, as the SQL page and interruptOperation have it."""
        return self._operation_id

    @property
    def flows(self) -> list[tuple[str, dict[str, Any]]]:
        """Always empty: what a query observed is with its Observation."""
        return []


def plan_metrics(rows: Sequence[OperatorStatus], stages: Mapping[int, int | None]) -> list[PlanMetrics]:
    """The operators of these stages (with the shuffle that each leaves), results first, as one tree."""
    by_stage: dict[int, list[OperatorStatus]] = {}
    for row in rows:
        by_stage.setdefault(row.stage_id, []).append(row)
    found: list[PlanMetrics] = []
    readers: dict[int, int] = {}
    for stage_id in reversed(list(stages)):
        shuffle_id = stages[stage_id]
        reader = 0 if shuffle_id is None else readers.get(shuffle_id, 0)
        above: list[tuple[int, int]] = []
        for row in by_stage.get(stage_id, ()):
            while above and (above[-1][0] >= row.depth or row.depth == 0):
                above.pop()
            number = len(found)
            found.append(PlanMetrics(row.name, number, above[-1][1] if above else reader, _values(row), row.detail, stage_id))
            above.append((row.depth, number))
            if row.shuffle_id >= 0:
                readers.setdefault(row.shuffle_id, number)
    return found


def _values(row: OperatorStatus) -> list[MetricValue]:
    values = [
        MetricValue("numOutputRows", row.rows, "sum"),
        MetricValue("numTasks", row.tasks, "sum"),
        MetricValue("computeTime", round(row.compute_s * 1e9), "nsTiming"),
        MetricValue("longestComputeTime", round(row.longest_s * 1e9), "nsTiming"),
    ]
    if row.spills:
        values += [MetricValue("numSpills", row.spills, "sum"), MetricValue("spillSize", row.spilled_bytes, "size")]
    if row.scanned_bytes:
        values.append(MetricValue("sizeOfFilesRead", row.scanned_bytes, "size"))
    return values
