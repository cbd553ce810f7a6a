"""Runs relations: lowers them, has the kernel plan, and chooses between one task and stages."""

from __future__ import annotations

import itertools
import logging
import os
import weakref
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from quiver.sql import queries, scanning
from quiver.sql.analysis.demand import demands
from quiver.sql.arrow_types import arrow_schema
from quiver.sql.caching import kept_relations
from quiver.sql.cutting import CutPlan, cut
from quiver.sql.executions import Execution, Executions
from quiver.sql.hinting import built_columns, wants_sorting
from quiver.sql.kernel import describe, encoded, session
from quiver.sql.kernel_errors import spark_errors
from quiver.sql.lowering.relations import Query, lower
from quiver.sql.observation import observing
from quiver.sql.plan_drawing import Operator
from quiver.sql.plan_reading import PlanReader, single_tasks
from quiver.sql.producing import Production, lineage, placed, produce
from quiver.sql.python.inputs import by_group, by_partition
from quiver.sql.registry.python import called, prepare
from quiver.sql.rounds import without_rounds
from quiver.sql.rows import rows_of
from quiver.sql.sizing import CORES, SMALL, TRIES, Sizing, sizing
from quiver.sql.sourcing import sourced
from quiver.sql.spreading import Spread, spread_of
from quiver.sql.tree import relations as r
from quiver.sql.tree.expressions import Attribute
from quiver.sql.types import StructField, StructType
from quiver_proto import ops
from quiver_proto.errors import KernelOutOfMemory, UnsupportedPlan
from quiver_proto.fragments import holds_rows, scans
from quiver_proto.ops import CallSite
from quiver_proto.units import format_bytes
from quiver_proto.v1.kernel_pb2 import Plan

log = logging.getLogger("quiver.driver")

if TYPE_CHECKING:
    import datafusion
    import pyarrow as pa

    from quiver.context import Context
    from quiver.plan.model import PlannedJob
    from quiver.rdd import RDD
    from quiver.sql.python.model import Bound


def schema_of(relation: r.Relation) -> StructType:
    """The columns, by the names that users see."""
    return StructType([StructField(c.name, c.type, c.nullable, dict(c.metadata)) for c in relation.output])


@dataclass(frozen=True, slots=True)
class Explained:
    """The kernel's plans as it writes them, and where they run: "as one task", "in 3 stages".

    `root` is the physical plan over all stages, `notes` say where it runs and why, `statistics` is it with what the kernel expects.
    """

    logical: str
    physical: str
    where: str
    root: Operator
    notes: tuple[str, ...] = ()
    statistics: str = ""


class Runtime:
    """One per session: its kernel contexts, and the way from a relation to rows.

    A query is planned for one task with all the cores of an executor. When it reads more than `quiver.sql.oneTask.maxBytes`, or more than
    SMALL where one executor has only some of the cores, it is planned anew to be cut into stages. `setting(key, default)` tells settings
    as they are now.
    """

    def __init__(self, context: Context, setting: Callable[[str, str], str]) -> None:
        self._context = context
        self._setting = setting
        self._kernels: dict[tuple[object, ...], _Kernel] = {}
        self._memory = 0
        self.executions = Executions(context)
        self.kept = kept_relations(context)

    def collect(self, relation: r.Relation, call_site: CallSite) -> pa.Table:
        """All rows, as an Arrow table whose columns have the users' names (maybe some twice). Raises what the query's tasks raise."""
        observed = self._observing(relation, call_site)
        with observed, self.executions.begin(relation, call_site) as execution, spark_errors(relation, call_site):
            streams = self._run(relation, call_site, execution)
            table = queries.table_of(streams, arrow_schema(schema_of(relation)))
            execution.rows = table.num_rows
        return table

    def save(self, relation: r.Relation, call_site: CallSite, make_sink: queries.MakeSink, spread: Spread | None = None) -> Sequence[bytes]:
        """Computes the rows, in such partitions, for a sink that leaves them somewhere; what its tasks say.

        Raises what the query's tasks raise.
        """
        observed = self._observing(relation, call_site)
        with observed, self.executions.begin(relation, call_site) as execution, spark_errors(relation, call_site):
            return self._run(relation, call_site, execution, make_sink, spread)

    def _observing(self, relation: r.Relation, call_site: CallSite) -> AbstractContextManager[None]:
        return observing(relation, lambda metrics: rows_of(self.collect(metrics, call_site), schema_of(metrics))[0])

    def batches(self, relation: r.Relation, call_site: CallSite) -> RDD[pa.RecordBatch]:
        """An RDD of the relation's rows as Arrow batches with the users' names; planned now, computed when it is used.

        Its partitions are those of the kernel's plan, cut into stages.
        """
        context = self._context
        context._check(call_site.operator)
        relation = self.kept.substituted(relation)
        sizes = self._sizing()
        query = lower(relation, self._pieces(0, sizes))
        with spark_errors(relation, call_site):
            productions = self._productions(relation, query, call_site)
            plans = self._spread(query, productions, sizes)
        placed(plans.plan, productions)
        assert plans.pieces is not None
        spread = spread_of(relation)
        plan = plans.plan if spread is None or spread.at_most else spread.applied(plans.plan, plans.pieces)
        parts = cut(plan, describe, context._planner.shuffle_id, plans.pieces)
        head = arrow_schema(schema_of(relation)).serialize().to_pybytes()
        functions = tuple(replace(each.function.sealed, pickled=b"") for each in called(query.text))
        rdd: RDD[pa.RecordBatch] = context._rdd(lineage(parts, productions.values(), context._planner, head, call_site, (), functions))
        return rdd.coalesce(spread.count) if spread is not None and spread.at_most and spread.count is not None else rdd

    def _spread(self, query: Query, productions: Mapping[str, Production], sizes: Sizing) -> _Plans:
        """For rows that Python's functions get: over all slots, however few they are, since a row may take long."""
        pieces = self._pieces(0, sizes)
        kernel = self.staged_kernel(pieces, sizes, spread=True)
        made = kernel.planned(query, productions)
        size = _size(made[2], productions)
        if self._pieces(size, sizes) > pieces:
            pieces = self._pieces(size, sizes)
            kernel = self.staged_kernel(pieces, sizes, spread=True)
            made = kernel.planned(query, productions)
        return _Plans(kernel, *made, pieces)

    def _planned(self, query: Query, productions: Mapping[str, Production], sizes: Sizing) -> _Plans:
        if called(query.text):
            return self._spread(query, productions, sizes)
        kernel = self.whole_kernel(query.ordered)
        made = kernel.planned(query, productions)
        size = _size(made[2], productions)
        if self._is_one_task(size, made[2], sizes):
            return _Plans(kernel, *made, None)
        pieces = self._pieces(size, sizes)
        kernel = self.staged_kernel(pieces, sizes)
        return _Plans(kernel, *kernel.planned(query, productions), pieces)

    def produced(self, rdd: RDD[pa.RecordBatch], schema: StructType, new_id: Callable[[], int], size: int | None = None) -> r.Produced:
        """A relation of the batches of `rdd`, whose columns have the Arrow types of `schema` (arrow_types.arrow_schema)."""
        return r.Produced(rdd, tuple(Attribute(new_id(), field.name, field.dataType, field.nullable) for field in schema), size)

    def _productions(self, relation: r.Relation, query: Query, call_site: CallSite) -> dict[str, Production]:
        planner = self._context._planner
        found = {}
        asked = demands(relation) if any(isinstance(leaf, r.Sourced) for leaf in query.leaves.values()) else {}
        for name, leaf in query.leaves.items():
            match leaf:
                case r.Produced():
                    found[name] = produce(name, leaf.rdd, leaf.columns, planner, call_site, leaf.size)
                case r.Sourced():
                    rdd, size = sourced(self._context, leaf, asked.get(id(leaf)))
                    found[name] = produce(name, rdd, leaf.columns, planner, call_site, size)
                case r.PythonMap() | r.GroupedMap():
                    found[name] = produce(name, self.mapped(leaf, call_site), leaf.columns, planner, call_site)
        return found

    def mapped(self, leaf: r.PythonMap | r.GroupedMap, call_site: CallSite) -> RDD[pa.RecordBatch]:
        """The results of a user's function over batches or groups."""
        if isinstance(leaf, r.PythonMap):
            return self.batches(leaf.child, call_site).mapPartitions(by_partition(leaf, schema_of(leaf.child), schema_of(leaf)))
        rows, function = by_group(leaf, schema_of(leaf))
        return self.batches(rows, call_site).mapPartitions(function)

    def explain(self, relation: r.Relation, statistics: bool = False) -> Explained:
        """How it would be computed now. Nothing is computed. `statistics`: with what the kernel expects of each operator."""
        relation = self.kept.substituted(relation)
        relation, recursive = without_rounds(relation)
        query = lower(relation)
        sizes = self._sizing()
        if called(query.text):
            query = lower(relation, self._pieces(0, sizes))
        productions = self._productions(relation, query, CallSite("explain", "", 0))
        plans = self._planned(query, productions, sizes)
        kernel, frame, physical, plan = plans.kernel, plans.frame, plans.physical, plans.plan
        size = _size(plan, productions)
        limit = self._one_task_limit(size, plan, sizes)
        placed(plan, productions)
        staged: CutPlan | None = None
        notes = [f"Runs as one task: {f'it reads {format_bytes(size)}, no more than {limit[1]}' if size else 'it reads no files'}."]
        where = _ONE_TASK
        if plans.pieces is not None:
            try:
                staged = cut(plan, describe, itertools.count(_FIRST_EXPLAINED).__next__, plans.pieces)
            except UnsupportedPlan as problem:
                kernel = self.whole_kernel(query.ordered)
                frame, physical, plan = kernel.planned(query, productions)
                placed(plan, productions)
                notes = [f"Runs as one task, though it reads {format_bytes(size)}: {problem}"]
            else:
                where = _in_stages(len(staged.stages) + 1)
                adapts = "; what follows a stage is planned anew by the sizes that it left (spark.sql.adaptive.enabled)"
                notes = [f"Runs {where}{adapts if sizes.adapts and staged.stages else ''}.", *single_tasks(staged)]
        for name in recursive:
            told = f", after the recursive query `{name}`, each of whose rounds is a query of its own"
            where += told
            notes.append(f"Runs{told[1:]}.")
        made = {int(each.shuffle.id): self._told(query.leaves.get(name)) for name, each in productions.items()}
        reader = PlanReader(kernel.context, made)
        root = reader.whole(plan) if staged is None else reader.staged(staged)
        return Explained(
            frame.optimized_logical_plan().display_indent(),
            kernel.shown(physical.display_indent()),
            where,
            root,
            tuple(notes),
            kernel.shown(kernel.statistics(query, productions)) if statistics else "",
        )

    def _told(self, leaf: r.Relation | None) -> str:
        kept = isinstance(leaf, r.Produced) and self.kept.holds(leaf)
        return f"kept: {leaf.rdd.name()}" if kept and isinstance(leaf, r.Produced) else "of the program"

    def whole_kernel(self, ordered: bool = False) -> _Kernel:
        """The kernel that plans whole queries; `ordered`: those that work on rows in their order."""
        # Executors may still come: a session's first query must not settle for how many cores there were then.
        return self._kernel(self._context._driver.executor_cores(), ordered=ordered)

    def staged_kernel(self, pieces: int, sizes: Sizing, spread: bool = False) -> _Kernel:
        """The kernel that plans queries that are cut into stages, with so many partitions.

        `spread`: rows of the program are in several partitions, because Python's functions are to run on them.
        """
        return self._kernel(pieces, staged=True, spread=spread, settings=sizes.kernel_settings())

    def _kernel(
        self, partitions: int, *, staged: bool = False, ordered: bool = False, spread: bool = False, settings: queries.Settings = ()
    ) -> _Kernel:
        key = partitions, staged, ordered, spread, settings
        made = self._kernels.get(key)
        if made is None:
            context = session(partitions, staged=staged, ordered=ordered, settings=settings)
            made = self._kernels[key] = _Kernel(context, partitions if spread else 1)
        return made

    def _sizing(self) -> Sizing:
        return sizing(self._setting, self._context.defaultParallelism)

    def _executor_bytes(self) -> int:
        """Memory of the largest executor; 0 as long as there is none."""
        if not self._memory:
            self._memory = max((one.memory_bytes for one in self._context._driver.status("executors").executors), default=0)
        return self._memory

    def _is_one_task(self, size: int, plan: Plan, sizes: Sizing) -> bool:
        return size <= self._one_task_limit(size, plan, sizes)[0]

    def _one_task_limit(self, size: int, plan: Plan, sizes: Sizing) -> tuple[int, str]:
        """Up to how many bytes of input a query is one task, and what says so."""
        limit = sizes.one_task_bytes
        if self._context._driver.executor_cores() < self._context.defaultParallelism and limit > SMALL:
            return SMALL, f"the {format_bytes(SMALL)} that are worth spreading over executors"
        if limit >= size > SMALL and holds_rows(plan):
            # Files are compressed, but not all of their columns are wanted.
            half = self._executor_bytes() // 2
            if 0 < half < limit:
                return half, f"half of an executor's memory, {format_bytes(half)}, since rows have to be held"
        return limit, f"quiver.sql.oneTask.maxBytes, {format_bytes(limit)}"

    def _pieces(self, size: int, sizes: Sizing) -> int:
        slot_bytes = self._executor_bytes() // max(1, self._context._driver.executor_cores()) if size > SMALL else 0
        return sizes.pieces(size, self._context.defaultParallelism, slot_bytes)

    def _run(
        self,
        relation: r.Relation,
        call_site: CallSite,
        execution: Execution,
        make_sink: queries.MakeSink = ops.FragmentCollect,
        spread: Spread | None = None,
    ) -> Sequence[bytes]:
        self._context._check(call_site.operator)
        relation = self.kept.substituted(relation)
        sizes = self._sizing()
        query = lower(relation)
        if called(query.text):
            query = lower(relation, self._pieces(0, sizes))
        productions = self._productions(relation, query, call_site)
        if wants_sorting(relation):
            sizes = replace(sizes, joins_by_sorting=True)
        for tried in itertools.count(1):
            plans = self._planned(query, productions, sizes)
            try:
                return self._result(relation, query, plans, productions, sizes, call_site, execution, make_sink, spread)
            except KernelOutOfMemory as problem:
                if tried == TRIES:
                    raise
                log.warning("%s: it is planned anew for less memory: %s", call_site, problem)
                sizes = sizes.smaller(tried, plans.pieces or 1)
        raise AssertionError

    def _result(
        self,
        relation: r.Relation,
        query: Query,
        plans: _Plans,
        productions: Mapping[str, Production],
        sizes: Sizing,
        call_site: CallSite,
        execution: Execution,
        make_sink: queries.MakeSink,
        spread: Spread | None,
    ) -> Sequence[bytes]:
        context, planner, driver = self._context, self._context._planner, self._context._driver
        users, properties = called(query.text), execution.properties
        kernel, frame, physical, plan = plans.kernel, plans.frame, plans.physical, plans.plan
        placed(plan, productions)
        staged: queries.StagedQuery | None = None
        where = _ONE_TASK
        if plans.pieces is not None:
            settings = sizes.task_settings()
            try:
                staged = queries.staged(
                    plan if spread is None else spread.applied(plan, plans.pieces), planner, plans.pieces, call_site, settings, properties,
                    productions.values(), make_sink, spread is not None and spread.count is not None,
                    built_columns(relation) if sizes.heeds_hints else frozenset(),
                )  # fmt: skip
                where = _in_stages(staged.planned_stages)
            except UnsupportedPlan:  # What can't be cut is still one task.
                kernel = self.whole_kernel(query.ordered)
                frame, physical, plan = kernel.planned(query, productions)
                placed(plan, productions)
        execution.planned(
            lambda: _tree(relation),
            lambda: frame.logical_plan().display_indent(),
            lambda: kernel.shown(physical.display_indent()),
            where,
        )

        def run(job: PlannedJob) -> Sequence[bytes]:
            execution.runs(job)
            return context._run_planned(_with_broadcasts(job, users))

        if staged is None:
            if spread is not None:
                plan = spread.applied(plan, None)
            cores = driver.executor_cores()
            settings = ((CORES, str(cores)),) if cores > 1 else ()
            return run(queries.in_one_task(plan, planner, cores, call_site, settings, properties, productions.values(), make_sink))
        try:
            return staged.run(driver, run, sizes.fitting(self._executor_bytes()).policy if sizes.adapts else None)
        finally:
            staged.close(driver)  # Shuffles of RDDs go with the last reference to them.


@dataclass(frozen=True, slots=True)
class _Plans:
    """A query's plans, of which `plan` is to run, and the kernel that made them. `pieces`: of an exchange; None: it is one task."""

    kernel: _Kernel
    frame: datafusion.DataFrame
    physical: Any
    plan: Plan
    pieces: int | None


def _with_broadcasts(job: PlannedJob, functions: Sequence[Bound]) -> PlannedJob:
    met = {each.id: each for bound in functions for each in bound.function.sealed.broadcasts}
    if not met:
        return job
    return replace(job, stages=tuple(replace(stage, broadcasts={**stage.broadcasts, **met}) for stage in job.stages))


def _tree(relation: r.Relation) -> str:
    from quiver.sql.explaining import tree

    return tree(relation)


_ONE_TASK = "as one task"
_FIRST_EXPLAINED = 1 << 50
"""Numbers of shuffles that are only explained: those of RDDs that a query reads are real."""


def _in_stages(count: int) -> str:
    return f"in {count} stage{'s' if count > 1 else ''}"


class _Kernel:
    """A kernel context, and the leaves that it has been given: each as long as its relation lives."""

    def __init__(self, context: datafusion.SessionContext, slices: int) -> None:
        self.context = self._context = context
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

    def statistics(self, query: Query, productions: Mapping[str, Production]) -> str:
        """The physical plan with how many rows and bytes the kernel expects of each operator."""
        self._context.sql("SET datafusion.explain.show_statistics = true").collect()
        try:
            rows = self.plan(Query(f"EXPLAIN {query.text}", query.leaves), productions).collect()
        finally:
            self._context.sql("SET datafusion.explain.show_statistics = false").collect()
        plans = {row["plan_type"]: row["plan"] for batch in rows for row in batch.to_pylist()}
        return str(plans["physical_plan"])

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
            case r.Recursive():
                self._register(name, r.Local(leaf.rows(), leaf.columns))
            case r.Files():
                mirror = scanning.register(self._context, name, leaf)
                key = os.path.basename(mirror.root)
                self._mirrors[key] = mirror
                self._mirrored[name] = key
            case _:
                raise AssertionError(type(leaf))


def _batches(leaf: r.Local) -> list[pa.RecordBatch]:
    """At least one, with the columns' lowered names."""
    import pyarrow as pa

    if not leaf.columns:
        return [pa.RecordBatch.from_struct_array(pa.array([{}] * leaf.table.num_rows, pa.struct([])))]  # Rows of nothing.
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
