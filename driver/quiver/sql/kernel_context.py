"""A context of the kernel, and the tables in it."""

from __future__ import annotations

import itertools
import os
import threading
import weakref
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from quiver.sql import scanning
from quiver.sql.arrow_types import arrow_schema
from quiver.sql.kernel import encoded
from quiver.sql.lowering.relations import Query
from quiver.sql.nesting import TooDeep
from quiver.sql.producing import Production
from quiver.sql.registry.python import prepare
from quiver.sql.tree import relations as r
from quiver.sql.tree.relations import schema_of
from quiver_proto.kernel_faults import panics_told
from quiver_proto.v1.kernel_pb2 import Plan

if TYPE_CHECKING:
    import datafusion
    import pyarrow as pa
    from datafusion.plan import ExecutionPlan


class KernelContext:
    """A kernel context, and the leaves that it has been given: each as long as its relation lives. `views`: strings of files are such."""

    def __init__(self, context: datafusion.SessionContext, slices: int, views: bool = True) -> None:
        self.context = context
        self._views = views
        self._slices = slices
        self._mirrors: dict[str, scanning.Mirror] = {}
        """By their directories' names."""
        self._mirrored: dict[str, str] = {}
        """Which mirror a leaf has."""
        self._registering = threading.RLock()  # Recursive queries run others of theirs.
        """Programs plan in several threads, often queries of the same leaves."""

    def planned(self, query: Query, productions: Mapping[str, Production]) -> tuple[datafusion.DataFrame, Any, Plan]:
        """A lowered query's logical plan, its physical plan as the kernel has it, and this with the files that it reads.

        Raises FileUnreadable, UnsupportedPlan.
        """
        frame = self._logical(query, productions)
        mirrors = [self._mirrors[self._mirrored[name]] for name in query.leaves if name in self._mirrored]
        for each in mirrors:
            each.check_present()
        try:
            with panics_told():
                physical = frame.execution_plan()
                plan = encoded(physical, query.text.startswith("WITH "))
        except Exception:
            for each in mirrors:
                each.blame()
            raise
        scanning.resolve(plan, self._mirrors, query.pins)
        return frame, physical, plan

    def decoded(self, plan: Plan) -> ExecutionPlan:
        """The physical plan that is `plan`."""
        from datafusion.plan import ExecutionPlan

        return ExecutionPlan.from_bytes(self.context, plan.SerializeToString())

    def statistics(self, query: Query, productions: Mapping[str, Production]) -> str:
        """The physical plan with how many rows and bytes the kernel expects of each operator."""
        self.context.sql("SET datafusion.explain.show_statistics = true").collect()
        try:
            rows = self._logical(Query(f"EXPLAIN {query.text}", query.leaves), productions).collect()
        finally:
            self.context.sql("SET datafusion.explain.show_statistics = false").collect()
        plans = {row["plan_type"]: row["plan"] for batch in rows for row in batch.to_pylist()}
        return str(plans["physical_plan"])

    def shown(self, text: str) -> str:
        """A plan as the kernel writes it, with the files that it reads."""
        return scanning.shown(text, self._mirrors)

    def _logical(self, query: Query, productions: Mapping[str, Production]) -> datafusion.DataFrame:
        for name, leaf in query.leaves.items():
            if name in productions:
                continue
            with self._registering:
                if not self.context.table_exist(name):
                    self._register(name, leaf)
                    weakref.finalize(leaf, _forget, weakref.ref(self), name).atexit = False
        prepare(self.context, query.text)
        try:
            for production in productions.values():
                production.register(self.context)
            frame = None if query.wide is None else query.wide.frame(self.context)
            return self.context.sql(query.text) if frame is None else frame
        except Exception as error:
            if "RecursionLimitExceeded" in str(error):
                raise TooDeep from None
            raise
        finally:
            for name in productions:
                self.context.deregister_table(name)

    def forget(self, name: str) -> None:
        """Its relation is gone."""
        self.context.deregister_table(name)
        self._mirrors.pop(self._mirrored.pop(name, ""), None)

    def _register(self, name: str, leaf: r.Relation) -> None:
        match leaf:
            case r.Local():
                self.context.register_record_batches(name, _sliced(_batches(leaf), self._slices))
            case r.Recursive():
                self._register(name, r.Local(leaf.rows(), leaf.columns))
            case r.Files():
                mirror = scanning.register(self.context, name, leaf, self._views)
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


def _forget(kernel: weakref.ref[KernelContext], name: str) -> None:
    living = kernel()
    if living is not None:
        living.forget(name)
