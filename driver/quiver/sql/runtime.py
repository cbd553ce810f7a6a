"""Runs relations: as one task, or as a query in stages."""

from __future__ import annotations

import itertools
import logging
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, TypeVar

from quiver.accumulators import repeated
from quiver.sql import queries
from quiver.sql.analysis.demand import demands
from quiver.sql.arrow_types import arrow_schema
from quiver.sql.caching import Kept, kept_relations
from quiver.sql.cutting import CutPlan, cut
from quiver.sql.dividing import DEEPEST, check_size, divided, height
from quiver.sql.executions import Execution, Executions
from quiver.sql.explaining import tree
from quiver.sql.hinting import built_columns, wants_shuffling, wants_sorting
from quiver.sql.in_turn import in_turn
from quiver.sql.kernel import columns_of, describe
from quiver.sql.kernel_errors import spark_errors
from quiver.sql.lazy_checkpoints import LazyCheckpoints
from quiver.sql.lowering.collapsing import collapsed
from quiver.sql.lowering.flat_joins import with_flat_joins
from quiver.sql.lowering.relations import Query
from quiver.sql.lowering.sparing import spared
from quiver.sql.lowering.window_layers import MANY, has_many_windows, with_few_windows
from quiver.sql.nesting import TooDeep, with_room
from quiver.sql.observation import observing
from quiver.sql.plan_drawing import Operator
from quiver.sql.plan_reading import PlanReader, single_tasks
from quiver.sql.planning import Planning, Plans
from quiver.sql.producing import Production, lineage, produce
from quiver.sql.python.inputs import by_group, by_partition
from quiver.sql.ranging import bounded, dealing
from quiver.sql.registry.python import called
from quiver.sql.rounds import without_rounds
from quiver.sql.rows import rows_of
from quiver.sql.sizing import CORES, TRIES, Sizing
from quiver.sql.sourcing import sourced
from quiver.sql.spreading import Spread, spread_of
from quiver.sql.tree import relations as r
from quiver.sql.tree.relations import schema_of
from quiver.sql.types import StructType
from quiver.sql.unions import with_flat_unions
from quiver_proto import ops
from quiver_proto.errors import GroupOutOfMemory, KernelOutOfMemory, UnsupportedPlan
from quiver_proto.ops import CallSite
from quiver_proto.units import format_bytes

T = TypeVar("T")
log = logging.getLogger("quiver.driver")

if TYPE_CHECKING:
    import pyarrow as pa

    from quiver.context import Context
    from quiver.plan.model import PlannedJob
    from quiver.rdd import RDD
    from quiver.sql.python.model import Bound


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
    """One per session: the way from a relation to rows. `setting(key, default)` tells settings as they are now."""

    def __init__(self, context: Context, setting: Callable[[str, str], str]) -> None:
        self._context = context
        self._planning = Planning(context, setting)
        self.executions = Executions(context)
        self.kept = kept_relations(context)
        self.lazy_checkpoints = LazyCheckpoints()

    def collect(self, relation: r.Relation, call_site: CallSite) -> pa.Table:
        """All rows, as an Arrow table whose columns have the users' names (maybe some twice). Raises what the query's tasks raise."""
        with_room(lambda: check_size(relation))
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
        with_room(lambda: check_size(relation))
        observed = self._observing(relation, call_site)
        with observed, self.executions.begin(relation, call_site) as execution, spark_errors(relation, call_site):
            return self._run(relation, call_site, execution, make_sink, spread)

    def _observing(self, relation: r.Relation, call_site: CallSite) -> AbstractContextManager[None]:
        return observing(relation, lambda metrics: rows_of(self.collect(metrics, call_site), schema_of(metrics))[0])

    def batches(
        self, relation: r.Relation, call_site: CallSite, less: Sizing | None = None, of: Kept | None = None, alone: bool = False
    ) -> RDD[pa.RecordBatch]:
        """An RDD of the relation's rows as Arrow batches with the users' names; planned now, computed when it is used.

        Its partitions are those of the kernel's plan, cut into stages. `less`: planned for so little memory, and what it reads of kept rows
        that are not there, too. `of`: kept rows that it is to become. `alone`: in one partition, where there is little to read.
        """
        context = self._context
        context._check(call_site.operator)
        with_room(lambda: check_size(relation))
        relation = self._shallow(self._with_kept(relation, call_site, less, of), call_site, less)
        alone = alone and less is None and with_room(lambda: self._planning.reads_little(relation))
        sizes = self._planning.sizes() if less is None else less
        relation = relation if less is None else spared(relation)
        with spark_errors(relation, call_site):
            while True:
                try:
                    query = self._planning.lowered_to_spread(relation, sizes, alone)
                    productions = self._productions(relation, query, call_site, less)
                    plans = self._planning.spread(query, productions, sizes, alone)
                    break
                except TooDeep:
                    relation = self._divided(relation, call_site, less)
        assert plans.pieces is not None
        spread = dealing(self._bounded(spread_of(relation), call_site), plans.frame)
        plan = plans.plan if spread is None or spread.at_most else spread.applied(plans.plan, plans.pieces)
        parts = cut(plan, describe, context._planner.shuffle_id, plans.pieces)
        head = arrow_schema(schema_of(relation)).serialize().to_pybytes()
        functions = tuple(replace(each.function.sealed, pickled=b"") for each in called(query.text))
        settings = sizes.task_settings() if less is not None else ()
        rdd: RDD[pa.RecordBatch] = context._rdd(
            lineage(parts, productions.values(), context._planner, head, call_site, settings, functions)
        )
        return rdd.coalesce(spread.count) if spread is not None and spread.at_most and spread.count is not None else rdd

    def retried(self, relation: r.Relation, call_site: CallSite, action: Callable[[RDD[pa.RecordBatch]], T]) -> T:
        """What an action on the relation's batches gives. When the kernel runs out of memory all of it is done again, on batches that are
        planned for less: in other partitions, so what the action leaves behind must be the same, or may be there twice."""
        less: Sizing | None = None
        tried = 0
        while True:
            rows = self.batches(relation, call_site, less)
            tried += 1
            try:
                with repeated() if tried < TRIES else nullcontext():
                    return action(rows)
            except KernelOutOfMemory as problem:
                if tried == TRIES or isinstance(problem, GroupOutOfMemory):
                    raise
                less = self._smaller(less or self._planning.sizes(), tried, rows.getNumPartitions(), call_site, problem)

    def _smaller(self, sizes: Sizing, tried: int, pieces: int, call_site: CallSite, problem: KernelOutOfMemory) -> Sizing:
        log.warning("%s: it is planned anew for less memory: %s", call_site, problem)
        return sizes.smaller(tried, max(pieces, sizes.partitions), problem.row_bytes)

    def _with_kept(self, relation: r.Relation, call_site: CallSite, less: Sizing | None = None, of: Kept | None = None) -> r.Relation:
        """The relation with what is kept in place of what computes it; `less`: kept rows that are not all there are planned anew, as a
        whole, since partitions of one plan don't go with those of another."""
        for kept in self.kept.read_by(relation, of) if less is not None else ():
            if self._context._driver.stored(kept.rdd.id()).partitions < kept.rdd.getNumPartitions():
                self.kept.replace(kept, self.batches(kept.relation, call_site, less, kept))
        replan = None if less is None else lambda found: self.batches(found, call_site, less)
        return self.lazy_checkpoints.substituted(self.kept.substituted(relation, of), replan)

    def _shallow(self, relation: r.Relation, call_site: CallSite, less: Sizing | None = None) -> r.Relation:
        """The relation, with parts that are computed before the rest where it is deeper than can be planned. Raises AnalysisException."""
        if with_room(lambda: height(relation)) > DEEPEST:
            return with_room(lambda: self._in_parts(collapsed(with_flat_joins(with_flat_unions(relation))), call_site, less))
        if has_many_windows(relation):
            return with_room(lambda: with_few_windows(relation, lambda layer: self._rows(layer, call_site, less), MANY))
        return relation

    def _in_parts(self, relation: r.Relation, call_site: CallSite, less: Sizing | None = None) -> r.Relation:
        while height(relation) > DEEPEST and (parted := self._parted(relation, call_site, less)) is not None:
            relation = parted
        return relation

    def _divided(self, relation: r.Relation, call_site: CallSite, less: Sizing | None = None) -> r.Relation:
        """The relation in less deep parts. Raises TooDeep where there is only one."""
        flat = with_room(lambda: collapsed(relation))
        layered = with_room(lambda: with_few_windows(flat, lambda layer: self._rows(layer, call_site, less)))
        parted = with_room(lambda: self._parted(flat, call_site, less)) if layered is flat else layered
        if parted is None:
            raise TooDeep
        return parted

    def _parted(self, relation: r.Relation, call_site: CallSite, less: Sizing | None = None) -> r.Relation | None:
        return divided(relation, lambda part: self._rows(part, call_site, less))

    def _rows(self, part: r.Relation, call_site: CallSite, less: Sizing | None = None) -> r.Relation:
        return r.Produced(self.batches(part, call_site, less, alone=True), part.output)

    def _bounded(self, spread: Spread | None, call_site: CallSite) -> Spread | None:
        return bounded(spread, lambda keys: self.batches(keys, call_site), self._context.defaultParallelism)

    def produced(self, rdd: RDD[pa.RecordBatch], schema: StructType, new_id: Callable[[], int], size: int | None = None) -> r.Produced:
        """A relation of the batches of `rdd`, whose columns have the Arrow types of `schema` (arrow_types.arrow_schema)."""
        return r.Produced(rdd, r.columns_of(schema, new_id), size)

    def _productions(self, relation: r.Relation, query: Query, call_site: CallSite, less: Sizing | None = None) -> dict[str, Production]:
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
                    found[name] = produce(name, self.mapped(leaf, call_site, less), leaf.columns, planner, call_site)
        return found

    def mapped(self, leaf: r.PythonMap | r.GroupedMap, call_site: CallSite, less: Sizing | None = None) -> RDD[pa.RecordBatch]:
        """The results of a user's function over batches or groups."""
        if isinstance(leaf, r.PythonMap):
            return self.batches(leaf.child, call_site, less).mapPartitions(by_partition(leaf, schema_of(leaf.child), schema_of(leaf)))
        rows, function = by_group(leaf, schema_of(leaf))
        return self.batches(rows, call_site, less).mapPartitions(function)

    def explain(self, relation: r.Relation, statistics: bool = False) -> Explained:
        """How it would be computed now. Nothing is computed. `statistics`: with what the kernel expects of each operator."""
        with_room(lambda: check_size(relation))
        relation = self._shallow(self._with_kept(relation, _EXPLAIN), _EXPLAIN)
        relation, recursive = without_rounds(relation)
        sizes = self._planning.sizes()
        while True:
            try:
                query = self._planning.lowered(relation, sizes)
                productions = self._productions(relation, query, _EXPLAIN)
                plans = self._planning.planned(query, productions, sizes)
                break
            except TooDeep:
                relation = self._divided(relation, _EXPLAIN)
        size, (_, limit) = plans.size, self._planning.one_task_limit(plans, sizes)
        staged: CutPlan | None = None
        notes = [f"Runs as one task: {f'it reads {format_bytes(size)}, no more than {limit}' if size else 'it reads no files'}."]
        where = _ONE_TASK
        if plans.pieces is not None:
            try:
                staged = cut(plans.plan, describe, itertools.count(_FIRST_EXPLAINED).__next__, plans.pieces)
            except UnsupportedPlan as problem:
                plans = self._planning.whole(query, productions)
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
        kernel = plans.kernel
        reader = PlanReader(kernel.context, made)
        return Explained(
            plans.frame.optimized_logical_plan().display_indent(),
            kernel.shown(plans.physical.display_indent()),
            where,
            reader.whole(plans.plan) if staged is None else reader.staged(staged),
            tuple(notes),
            kernel.shown(kernel.statistics(query, productions)) if statistics else "",
        )

    def _told(self, leaf: r.Relation | None) -> str:
        kept = isinstance(leaf, r.Produced) and self.kept.holds(leaf)
        return f"kept: {leaf.rdd.name()}" if kept and isinstance(leaf, r.Produced) else "of the program"

    def _run(
        self,
        relation: r.Relation,
        call_site: CallSite,
        execution: Execution,
        make_sink: queries.MakeSink = ops.FragmentCollect,
        spread: Spread | None = None,
    ) -> Sequence[bytes]:
        self._context._check(call_site.operator)
        given = relation
        relation = self._shallow(self._with_kept(given, call_site), call_site)
        sizes = self._planning.sizes()
        less: Sizing | None = None
        query = self._planning.lowered(relation, sizes)
        productions = self._productions(relation, query, call_site)
        spread = self._bounded(spread, call_site)
        if wants_sorting(relation):
            sizes = replace(sizes, joins_by_sorting=True)
        if wants_shuffling(relation):
            sizes = sizes.without_broadcasts()
        tried = 0
        while True:
            try:
                plans = self._planning.planned(query, productions, sizes)
            except TooDeep:
                relation = self._divided(relation, call_site, less)
                query = self._planning.lowered(relation, sizes)
                productions = self._productions(relation, query, call_site, less)
                continue
            tried += 1
            try:
                return self._result(relation, query, plans, productions, sizes, call_site, execution, make_sink, spread)
            except KernelOutOfMemory as problem:
                if tried == TRIES or isinstance(problem, GroupOutOfMemory):
                    raise
                below = (productions[name].shuffle.parent.width for name, leaf in query.leaves.items() if self._is_computed(leaf))
                sizes = less = self._smaller(sizes, tried, max(plans.pieces or 1, *below, 1), call_site, problem)
            # Whose rows did not fit is not known: those of the query, or of what its leaves are computed from.
            relation = spared(self._shallow(self._with_kept(given, call_site, less), call_site, less))
            query = self._planning.lowered(relation, sizes)
            productions = self._productions(relation, query, call_site, less)

    def _is_computed(self, leaf: r.Relation) -> bool:
        """Whether its rows are those of a relation that was planned by itself."""
        if isinstance(leaf, r.Produced):
            return self.kept.holds(leaf) or self.lazy_checkpoints.holds(leaf)
        return isinstance(leaf, r.PythonMap | r.GroupedMap)

    def _result(
        self,
        relation: r.Relation,
        query: Query,
        plans: Plans,
        productions: Mapping[str, Production],
        sizes: Sizing,
        call_site: CallSite,
        execution: Execution,
        make_sink: queries.MakeSink,
        spread: Spread | None,
    ) -> Sequence[bytes]:
        context, planner, driver = self._context, self._context._planner, self._context._driver
        spread = dealing(spread, plans.frame)
        users, properties = called(query.text), execution.properties
        staged: queries.StagedQuery | None = None
        where = _ONE_TASK
        if plans.pieces is not None:
            settings = sizes.task_settings()
            try:
                staged = queries.staged(
                    plans.plan if spread is None else spread.applied(plans.plan, plans.pieces), planner, plans.pieces, call_site,
                    settings, properties, productions.values(), make_sink, spread is not None and spread.count is not None,
                    built_columns(relation) if sizes.heeds_hints else frozenset(),
                )  # fmt: skip
                where = _in_stages(staged.planned_stages)
            except UnsupportedPlan:  # What can't be cut is still one task.
                plans = self._planning.whole(query, productions)
        execution.planned(
            lambda: tree(relation),
            lambda: plans.frame.logical_plan().display_indent(),
            lambda: plans.kernel.shown(plans.physical.display_indent()),
            where,
        )

        def run(job: PlannedJob) -> Sequence[bytes]:
            execution.runs(job)
            return context._run_planned(_with_broadcasts(job, users))

        if staged is None:
            plan = plans.plan if spread is None else spread.applied(plans.plan, None)
            if spread is not None and spread.single:
                plan = in_turn(plan, columns_of) or plan
            cores = driver.executor_cores()
            settings = ((CORES, str(cores)),) if cores > 1 else ()
            return run(queries.in_one_task(plan, planner, cores, call_site, settings, properties, productions.values(), make_sink))
        try:
            return staged.run(
                driver, run, sizes.fitting(self._planning.executor_bytes(), driver.executor_cores()).policy if sizes.adapts else None
            )
        finally:
            staged.close(driver)  # Shuffles of RDDs go with the last reference to them.


def _with_broadcasts(job: PlannedJob, functions: Sequence[Bound]) -> PlannedJob:
    met = {each.id: each for bound in functions for each in bound.function.sealed.broadcasts}
    if not met:
        return job
    return replace(job, stages=tuple(replace(stage, broadcasts={**stage.broadcasts, **met}) for stage in job.stages))


_EXPLAIN = CallSite("explain", "", 0)
_ONE_TASK = "as one task"
_FIRST_EXPLAINED = 1 << 50
"""Numbers of shuffles that are only explained: those of RDDs that a query reads are real."""


def _in_stages(count: int) -> str:
    return f"in {count} stage{'s' if count > 1 else ''}"
