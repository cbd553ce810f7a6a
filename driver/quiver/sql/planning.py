"""From a lowered query to the kernel's plan: for one task, or to be cut into stages."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from quiver.sql.analysis.cardinality import estimated
from quiver.sql.analysis.join_order import with_ordered_joins
from quiver.sql.analysis.narrowed_subqueries import with_narrowed_subqueries
from quiver.sql.analysis.rewriting import parts
from quiver.sql.column_bytes import column_bytes
from quiver.sql.file_statistics import StoredExtents, of_parquet
from quiver.sql.in_turn import may_show_order, with_partitions_in_turn
from quiver.sql.kernel import columns_of, session
from quiver.sql.kernel_context import KernelContext
from quiver.sql.large_limits import most_held, with_large_limits_sorted
from quiver.sql.lowering.gathering import gathering
from quiver.sql.lowering.keys_once import with_keys_once
from quiver.sql.lowering.relations import Query, lower
from quiver.sql.nesting import with_room
from quiver.sql.producing import Production, placed
from quiver.sql.queries import Settings
from quiver.sql.registry.python import counts_rows, wants_partitions
from quiver.sql.sizing import SMALL, WITHOUT_VIEWS, Sizing, needs_little, sizing
from quiver.sql.tree import relations as r
from quiver_proto.fragments import holds_rows, read_bytes, scans
from quiver_proto.units import format_bytes
from quiver_proto.v1.kernel_pb2 import Plan

if TYPE_CHECKING:
    import datafusion

    from quiver.context import Context


_TIGHT = 1 << 30
"""Bytes of a slot below which what is not counted matters more than the CPU that views save."""


@dataclass(frozen=True, slots=True)
class Plans:
    """A query's plans, of which `plan` is to run, and the kernel that made them.

    `pieces`: of an exchange; None: it is for one task. `size`: about how many bytes it reads.
    """

    kernel: KernelContext
    frame: datafusion.DataFrame
    physical: Any
    plan: Plan
    pieces: int | None
    size: int


class Planning:
    """One per session. A query is planned for one task with all the cores of an executor.

    When it reads more than `quiver.sql.oneTask.maxBytes`, it is planned anew to be cut into stages; where one executor has only some of the
    cores, when it reads more than SMALL, unless it needs few columns of that. `setting(key, default)` tells settings as they are now.
    """

    def __init__(self, context: Context, setting: Callable[[str, str], str]) -> None:
        self._context = context
        self._setting = setting
        self._kernels: dict[tuple[object, ...], KernelContext] = {}
        self._memory = 0

    def sizes(self) -> Sizing:
        """What settings say now."""
        return sizing(self._setting, self._context.defaultParallelism)

    def lowered(self, relation: r.Relation, sizes: Sizing) -> Query:
        """The relation in the kernel's SQL. Raises AnalysisException for one that nests too deeply."""
        return with_room(lambda: self._lowered(relation, sizes))

    def _lowered(self, relation: r.Relation, sizes: Sizing) -> Query:
        relation = self._prepared(relation)
        stored = StoredExtents()
        query = lower(relation, of_leaf=stored.of, cores=self._context._driver.executor_cores())
        if wants_partitions(query.text):
            query = lower(relation, self._pieces(0, sizes), stored.of)
        query.pins = stored.pins
        return query

    def lowered_to_spread(self, relation: r.Relation, sizes: Sizing, alone: bool = False) -> Query:
        """The same, for rows that Python's functions get, maybe much later: nothing relies on files staying what they are.

        `alone`: in one partition."""
        return with_room(lambda: lower(self._prepared(relation), 1 if alone else self._pieces(0, sizes)))

    def _prepared(self, relation: r.Relation) -> r.Relation:
        relation = self._in_order(relation)
        return gathering(relation, _groups) if _may_read(relation) > SMALL else relation

    def _in_order(self, relation: r.Relation) -> r.Relation:
        """With chains of joins in the order that promises the fewest rows on the way, subqueries of no more rows than are asked for,
        and keys that are only looked for there once."""
        asked = self._setting("spark.sql.cbo.joinReorder.enabled", "true").strip().lower() != "false"
        if not asked:
            return relation
        return with_keys_once(with_ordered_joins(with_narrowed_subqueries(relation, of_parquet), of_parquet), of_parquet)

    def planned(self, query: Query, productions: Mapping[str, Production], sizes: Sizing) -> Plans:
        """For one task, or for stages. Raises FileUnreadable, UnsupportedPlan."""
        if wants_partitions(query.text):
            return self.spread(query, productions, sizes)
        promised = _promised(query, productions)
        if promised > self._most_for_one_task(sizes):
            # Planning is a large part of what the driver does for a query: once, unless partitions are pruned.
            pieces = self._pieces(promised, sizes, _again(query))
            plans = self._staged(query, productions, sizes, pieces)
            if plans.size == promised and promised > self.one_task_limit(plans, sizes)[0]:
                return plans
        plans = self.whole(query, productions)
        if plans.size <= self.one_task_limit(plans, sizes)[0]:
            return plans
        return self._staged(query, productions, sizes, self._pieces(plans.size, sizes, _again(query)))

    def whole(self, query: Query, productions: Mapping[str, Production]) -> Plans:
        """For one task, whatever it reads."""
        # Executors may still come: a session's first query must not settle for how many cores there were then.
        settings = WITHOUT_VIEWS if query.windowed else ()
        kernel = self._kernel(self._context._driver.executor_cores(), ordered=query.ordered, spread=query.ordered, settings=settings)
        return _plans(kernel, query, productions, None, lambda: most_held(self.executor_bytes()))

    def spread(self, query: Query, productions: Mapping[str, Production], sizes: Sizing, alone: bool = False) -> Plans:
        """For stages; for rows that Python's functions get: over all slots, however few they are, since a row may take long.

        And for rows that are counted by partition. `alone`: in one partition, unless they are."""
        if alone and not wants_partitions(query.text):
            return self._staged(query, productions, sizes, 1)
        pieces = self._pieces(0, sizes)
        plans = self._staged(query, productions, sizes, pieces, spread=True)
        wanted = self._pieces(plans.size, sizes)
        if wanted > pieces:
            plans = self._staged(query, productions, sizes, wanted, spread=True)
        return plans

    def reads_little(self, relation: r.Relation) -> bool:
        """Whether one core is best for the relation's rows, by what is known before it is planned."""
        spans = (leaf for leaf in parts(relation) if isinstance(leaf, r.Span))
        return _may_read(relation) + 8 * sum(len(range(span.start, span.end, span.step)) for span in spans) <= SMALL

    def one_task_limit(self, plans: Plans, sizes: Sizing) -> tuple[int, str]:
        """Up to how many bytes of input a query is one task, and what says so."""
        limit = self._most_for_one_task(sizes)
        if limit < sizes.one_task_bytes:
            needed = column_bytes(plans.plan) if limit < plans.size <= sizes.one_task_bytes else None
            if needed is not None and needs_little(needed, self.executor_bytes()):
                return sizes.one_task_bytes, f"{format_bytes(sizes.one_task_bytes)}, and needs columns of only {format_bytes(needed)} of it"
            return limit, f"the {format_bytes(SMALL)} that are worth spreading over executors"
        if limit >= plans.size > SMALL and holds_rows(plans.plan):
            # Files are compressed, but not all of their columns are wanted.
            half = self.executor_bytes() // 2
            if 0 < half < limit:
                return half, f"half of an executor's memory, {format_bytes(half)}, since rows have to be held"
        return limit, f"quiver.sql.oneTask.maxBytes, {format_bytes(limit)}"

    def _most_for_one_task(self, sizes: Sizing) -> int:
        spreads = self._context._driver.executor_cores() < self._context.defaultParallelism
        return min(SMALL, sizes.one_task_bytes) if spreads else sizes.one_task_bytes

    def executor_bytes(self) -> int:
        """Memory of the largest executor; 0 as long as there is none."""
        if not self._memory:
            self._memory = max((one.memory_bytes for one in self._context._driver.status("executors").executors), default=0)
        return self._memory

    def _pieces(self, size: int, sizes: Sizing, again: int = 0) -> int:
        slot_bytes = self._slot_bytes() if size > SMALL else 0
        return sizes.pieces(size, self._context.defaultParallelism, slot_bytes, again)

    def _slot_bytes(self) -> int:
        return self.executor_bytes() // max(1, self._context._driver.executor_cores())

    def _staged(self, query: Query, productions: Mapping[str, Production], sizes: Sizing, pieces: int, spread: bool = False) -> Plans:
        """`spread`: rows of the program are in several partitions, because Python's functions are to run on them."""
        kernel = self._staged_kernel(pieces, sizes, query, spread)
        return _plans(kernel, query, productions, pieces, lambda: most_held(self._slot_bytes(), tight=not sizes.heeds_hints))

    def _staged_kernel(self, pieces: int, sizes: Sizing, query: Query, spread: bool) -> KernelContext:
        # A window that gives rows as they come keeps what it has of them in one batch: its views refer to all that ever came. And batches
        # of views that were dealt into pieces have buffers of which the most is empty, and not counted.
        if query.windowed or 0 < self._slot_bytes() < _TIGHT:
            sizes = replace(sizes, views=False)
        settings = sizes.kernel_settings()
        if counts_rows(query.text):
            # What an operator learns while it runs must not leave out rows before they are counted.
            settings = (*settings, ("datafusion.optimizer.enable_dynamic_filter_pushdown", "false"))
        return self._kernel(pieces, staged=True, spread=spread, settings=settings)

    def _kernel(
        self, partitions: int, *, staged: bool = False, ordered: bool = False, spread: bool = False, settings: Settings = ()
    ) -> KernelContext:
        key = partitions, staged, ordered, spread, settings
        made = self._kernels.get(key)
        if made is None:
            context = session(partitions, staged=staged, ordered=ordered, settings=settings)
            made = self._kernels[key] = KernelContext(context, partitions if spread else 1, not set(WITHOUT_VIEWS) & set(settings))
        return made


def _plans(
    kernel: KernelContext, query: Query, productions: Mapping[str, Production], pieces: int | None, most: Callable[[], int]
) -> Plans:
    frame, physical, plan = kernel.planned(query, productions)
    changed = " LIMIT " in query.text and with_large_limits_sorted(plan, most)
    if pieces is None and may_show_order(query.text):
        changed = with_partitions_in_turn(plan, columns_of) or changed
    if changed:
        physical = kernel.decoded(plan)  # As it is shown.
    size = _size(plan, productions)
    placed(plan, productions)
    return Plans(kernel, frame, physical, plan, pieces, size)


def _groups(node: r.Aggregate) -> float | None:
    expected = estimated(node, of_parquet)
    return None if expected is None else expected.rows


def _may_read(relation: r.Relation) -> int:
    """About how many bytes there are to read, before it is known which of them are needed."""
    match relation:
        case r.Files():
            return sum(file.size for file in relation.files)
        case r.Produced() if relation.size is None and relation.rdd.getNumPartitions() == 1:
            return 0
        case r.Produced() | r.Sourced() | r.PythonMap() | r.GroupedMap():
            size = getattr(relation, "size", None)
            return SMALL + 1 if size is None else size
        case _:
            return sum(map(_may_read, relation.inputs))


def _promised(query: Query, productions: Mapping[str, Production]) -> int:
    """What `_size` will be, when no file turns out not to be needed."""
    read = {name: sum(file.size for file in leaf.files) for name, leaf in query.leaves.items() if isinstance(leaf, r.Files)}
    return sum(size * query.text.count(name) for name, size in read.items()) + _produced_bytes(productions)


def _again(query: Query) -> int:
    """How many bytes a query reads of files that it has read already."""
    read = {name: leaf.files for name, leaf in query.leaves.items() if isinstance(leaf, r.Files)}
    once = {file.path: file.size for files in read.values() for file in files}
    return sum(query.text.count(name) * file.size for name, files in read.items() for file in files) - sum(once.values())


def _size(plan: Plan, productions: Mapping[str, Production]) -> int:
    """About how many bytes a query reads."""
    files = (file for scan in scans(plan) for group in scan.base_conf.file_groups for file in group.files)
    return sum(map(read_bytes, files)) + _produced_bytes(productions)


def _produced_bytes(productions: Mapping[str, Production]) -> int:
    """What is not known is more than is SMALL, unless it comes from one task."""
    return sum(each.size if each.size is not None else SMALL + 1 if each.shuffle.parent.width > 1 else 0 for each in productions.values())
