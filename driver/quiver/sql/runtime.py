"""Runs relations: lowers them, has the kernel plan, and chooses between one task and stages."""

from __future__ import annotations

import itertools
import os
import weakref
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from quiver.sql import queries, scanning, text_scanning
from quiver.sql.arrow_types import arrow_schema
from quiver.sql.cutting import CutPlan, cut, has_exchanges, reads_of
from quiver.sql.executions import Execution, Executions
from quiver.sql.kernel import describe, encoded, physical_plan, session
from quiver.sql.kernel_errors import spark_errors
from quiver.sql.lowering.relations import Query, lower
from quiver.sql.producing import Production, lineage, placed, produce
from quiver.sql.registry.python import prepare
from quiver.sql.tree import relations as r
from quiver.sql.tree.expressions import Attribute
from quiver.sql.types import StructField, StructType
from quiver_proto import ops
from quiver_proto.fragments import scans
from quiver_proto.ops import CallSite
from quiver_proto.units import parse_memory
from quiver_proto.v1.kernel_pb2 import Plan

if TYPE_CHECKING:
    import datafusion
    import pyarrow as pa

    from quiver.context import Context
    from quiver.plan.model import PlannedJob
    from quiver.rdd import RDD


SMALL = 64 << 20
"""Bytes of input below which a query is done sooner by one core than spread over executors."""
_TINY = 4 << 20
"""The same where each row is given to Python afterwards."""


def schema_of(relation: r.Relation) -> StructType:
    """The columns, by the names that users see."""
    return StructType([StructField(c.name, c.type, c.nullable, dict(c.metadata)) for c in relation.output])


@dataclass(frozen=True, slots=True)
class Explained:
    """The kernel's plans as it writes them, and where they run: "as one task", "in 3 stages"."""

    logical: str
    physical: str
    where: str


class Runtime:
    """One per session: its kernel contexts, and the way from a relation to rows.

    A query is planned for one task with all the cores of an executor. When it reads more than `quiver.sql.oneTask.maxBytes`, or more than
    SMALL where one executor has only some of the cores, it is planned anew to be cut into stages.
    """

    def __init__(self, context: Context) -> None:
        self._context = context
        conf = context._conf
        self._one_task_bytes = parse_memory(conf.get("quiver.sql.oneTask.maxBytes", "4g"))
        self._pieces = int(conf.get("quiver.sql.partitions", "") or max(2, context.defaultParallelism))
        self._kernels: dict[tuple[bool, bool, bool, int], _Kernel] = {}
        self.executions = Executions(context)

    def collect(self, relation: r.Relation, call_site: CallSite) -> pa.Table:
        """All rows, as an Arrow table whose columns have the users' names (maybe some twice). Raises what the query's tasks raise."""
        with self.executions.begin(relation, call_site) as execution, spark_errors():
            streams = self._run(relation, call_site, execution)
            table = queries.table_of(streams, arrow_schema(schema_of(relation)))
            execution.rows = table.num_rows
        return table

    def save(self, relation: r.Relation, call_site: CallSite, make_sink: queries.MakeSink) -> Sequence[bytes]:
        """Computes the rows for a sink that leaves them somewhere; what its tasks say. Raises what the query's tasks raise."""
        with self.executions.begin(relation, call_site) as execution, spark_errors():
            return self._run(relation, call_site, execution, make_sink)

    def batches(self, relation: r.Relation, call_site: CallSite) -> RDD[pa.RecordBatch]:
        """An RDD of the relation's rows as Arrow batches with the users' names; planned now, computed when it is used.

        Its partitions are those of the kernel's plan, cut into stages; small inputs that would be exchanged make one partition.
        """
        context = self._context
        context._check(call_site.operator)
        query = lower(relation)
        productions = self._productions(query, call_site)
        _, _, plan = self.kernel(staged=True, spread=True).planned(query, productions)
        is_tiny = _size(plan, productions) <= _TINY
        placed(plan, productions)
        if is_tiny and has_exchanges(plan):
            _, _, plan = self.kernel(staged=False, ordered=query.ordered).planned(query, productions)
            placed(plan, productions)
            whole = Plan()
            whole.merge.input.CopyFrom(plan)
            pieces = CutPlan((), whole, reads_of(whole))
        else:
            pieces = cut(plan, describe, context._planner.shuffle_id, self._pieces)
        head = arrow_schema(schema_of(relation)).serialize().to_pybytes()
        return context._rdd(lineage(pieces, productions.values(), context._planner, head, call_site, ()))

    def produced(self, rdd: RDD[pa.RecordBatch], schema: StructType, new_id: Callable[[], int], size: int | None = None) -> r.Produced:
        """A relation of the batches of `rdd`, whose columns have the Arrow types of `schema` (arrow_types.arrow_schema)."""
        return r.Produced(rdd, tuple(Attribute(new_id(), field.name, field.dataType, field.nullable) for field in schema), size)

    def _productions(self, query: Query, call_site: CallSite) -> dict[str, Production]:
        planner = self._context._planner
        found = {}
        for name, leaf in query.leaves.items():
            if isinstance(leaf, r.Produced):
                found[name] = produce(name, leaf.rdd, leaf.columns, planner, call_site, leaf.size)
        return found

    def explain(self, relation: r.Relation) -> Explained:
        """How the kernel would compute it now. Nothing is computed."""
        query = lower(relation)
        productions = self._productions(query, CallSite("explain", "", 0))
        kernel = self.kernel(staged=False, ordered=query.ordered)
        frame = kernel.plan(query, productions)
        where = "as one task"
        if _size(physical_plan(frame), productions) > self._one_task_bytes:
            kernel = self.kernel(staged=True)
            frame = kernel.plan(query, productions)
            count = len(cut(physical_plan(frame), describe, itertools.count().__next__, self._pieces).stages) + 1
            where = f"in {count} stage{'s' if count > 1 else ''}"
        return Explained(frame.optimized_logical_plan().display_indent(), kernel.shown(frame.execution_plan().display_indent()), where)

    def kernel(self, staged: bool, ordered: bool = False, spread: bool = False) -> _Kernel:
        """The kernel that plans whole queries, those of them that work on rows in their order, or those that are cut into stages.

        `spread`: rows of the program are in several partitions, because Python's functions are to run on them.
        """
        # Executors may still come: a session's first query must not settle for how many cores there were then.
        partitions = self._pieces if staged else self._context._driver.executor_cores()
        key = staged, ordered, spread, partitions
        made = self._kernels.get(key)
        if made is None:
            made = self._kernels[key] = _Kernel(session(partitions, staged=staged, ordered=ordered), partitions if spread else 1)
        return made

    def _is_one_task(self, size: int) -> bool:
        limit = self._one_task_bytes
        if self._context._driver.executor_cores() < self._context.defaultParallelism:
            limit = min(limit, SMALL)
        return size <= limit

    def _run(
        self, relation: r.Relation, call_site: CallSite, execution: Execution, make_sink: queries.MakeSink = ops.FragmentCollect
    ) -> Sequence[bytes]:
        context = self._context
        context._check(call_site.operator)
        query = lower(relation)
        planner, driver, properties = context._planner, context._driver, execution.properties
        productions = self._productions(query, call_site)
        kernel = self.kernel(staged=False, ordered=query.ordered)
        frame, physical, plan = kernel.planned(query, productions)
        if self._is_one_task(_size(plan, productions)):
            placed(plan, productions)
            job = queries.in_one_task(plan, planner, driver.executor_cores(), call_site, (), properties, productions.values(), make_sink)
        else:
            kernel = self.kernel(staged=True)
            frame, physical, plan = kernel.planned(query, productions)
            placed(plan, productions)
            job = queries.planned(plan, planner, self._pieces, call_site, (), properties, productions.values(), make_sink)
        execution.planned(
            lambda: _tree(relation),
            lambda: frame.logical_plan().display_indent(),
            lambda: kernel.shown(physical.display_indent()),
            _where(job),
        )
        execution.runs(job)
        try:
            return context._run_planned(job)
        finally:
            # Those of RDDs go with the last reference to them.
            for stage in job.stages:
                if stage.spec.shuffle_id is not None and not planner.holds(stage.spec.shuffle_id):
                    driver.release_shuffle(stage.spec.shuffle_id)


def _tree(relation: r.Relation) -> str:
    from quiver.sql.explaining import tree

    return tree(relation)


def _where(job: PlannedJob) -> str:
    count = len(job.stages)
    if count > 1:
        return f"in {count} stages"
    tasks = job.stages[0].spec.width
    return "as one task" if tasks == 1 else f"in one stage of {tasks} tasks"


class _Kernel:
    """A kernel context, and the leaves that it has been given: each as long as its relation lives."""

    def __init__(self, context: datafusion.SessionContext, slices: int) -> None:
        self._context = context
        self._slices = slices
        self._mirrors: dict[str, scanning.Mirror] = {}
        """By their directories' names."""
        self._mirrored: dict[str, str] = {}
        """Which mirror a leaf has."""

    def planned(self, query: Query, productions: Mapping[str, Production]) -> tuple[datafusion.DataFrame, Any, Plan]:
        """A lowered query's logical plan, its physical plan as the kernel has it, and this with the files that it reads.

        Raises FileUnreadable, UnsupportedPlan.
        """
        frame = self.plan(query, productions)
        mirrors = [self._mirrors[self._mirrored[name]] for name in query.leaves if name in self._mirrored]
        for each in mirrors:
            each.check_present()
        try:
            physical = frame.execution_plan()
            plan = encoded(physical)
        except Exception:
            for each in mirrors:
                each.blame()
            raise
        scanning.resolve(plan, self._mirrors)
        return frame, physical, plan

    def shown(self, text: str) -> str:
        """A plan as the kernel writes it, with the files that it reads."""
        return scanning.shown(text, self._mirrors)

    def plan(self, query: Query, productions: Mapping[str, Production]) -> datafusion.DataFrame:
        """The kernel's logical plan of a lowered query."""
        for name, leaf in query.leaves.items():
            if name not in productions and not self._context.table_exist(name):
                self._register(name, leaf)
                weakref.finalize(leaf, _forget, weakref.ref(self), name).atexit = False
        prepare(self._context, query.text)
        try:
            for production in productions.values():
                production.register(self._context)
            return self._context.sql(query.text)
        finally:
            for name in productions:
                self._context.deregister_table(name)

    def forget(self, name: str) -> None:
        self._context.deregister_table(name)
        self._mirrors.pop(self._mirrored.pop(name, ""), None)

    def _register(self, name: str, leaf: r.Relation) -> None:
        match leaf:
            case r.Local():
                self._context.register_record_batches(name, _sliced(_batches(leaf), self._slices))
            case r.Files() if leaf.format in scanning.NATIVE:
                mirror = scanning.register(self._context, name, leaf)
                key = os.path.basename(mirror.root)
                self._mirrors[key] = mirror
                self._mirrored[name] = key
            case r.Files():
                text_scanning.register(self._context, name, leaf)
            case _:
                raise AssertionError(type(leaf))


def _batches(leaf: r.Local) -> list[pa.RecordBatch]:
    """At least one, with the columns' lowered names."""
    import pyarrow as pa

    if not leaf.columns:
        return list(leaf.table.to_batches())  # One row of nothing: SELECT without FROM.
    kinds = arrow_schema(schema_of(leaf))
    fields = [pa.field(f"{c.name}#{c.id}", kind.type, kind.nullable) for c, kind in zip(leaf.columns, kinds, strict=True)]
    table = leaf.table.rename_columns([field.name for field in fields]).cast(pa.schema(fields))
    return table.combine_chunks().to_batches() or [pa.RecordBatch.from_pylist([], pa.schema(fields))]


def _sliced(batches: list[pa.RecordBatch], slices: int) -> list[list[pa.RecordBatch]]:
    """The rows, in order, in at most so many partitions."""
    if slices == 1 or not batches[0].num_columns:
        return [batches]
    if len(batches) > 1:
        return [[batch] for batch in batches]
    (batch,) = batches
    rows = batch.num_rows
    bounds = [rows * number // slices for number in range(slices + 1)]
    return [[batch.slice(start, stop - start)] for start, stop in itertools.pairwise(bounds) if stop > start] or [batches]


def _size(plan: Plan, productions: Mapping[str, Production]) -> int:
    """About how many bytes a query reads. What is not known is more than is SMALL, unless it comes from one task."""
    sizes = (each.size if each.size is not None else SMALL + 1 if each.shuffle.parent.width > 1 else 0 for each in productions.values())
    return _input_bytes(plan) + sum(sizes)


def _input_bytes(plan: Plan) -> int:
    return sum(file.size for scan in scans(plan) for group in scan.base_conf.file_groups for file in group.files)


def _forget(kernel: weakref.ref[_Kernel], name: str) -> None:
    living = kernel()
    if living is not None:
        living.forget(name)
