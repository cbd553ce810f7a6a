"""The relational kernel (DataFusion) as the driver uses it: settings, physical plans as bytes, and what a fragment's rows look like."""

from __future__ import annotations

import functools
import re
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Final

from quiver.sql.cutting import Described
from quiver.sql.nesting import TooDeep
from quiver.sql.proving import prove
from quiver.sql.row_scans import described
from quiver_proto.errors import MalformedMessage, UnsupportedPlan
from quiver_proto.fragments import SCANS, JoinType, body_of, children, copied, kind_of, parse
from quiver_proto.spark_functions.kernel import enable
from quiver_proto.v1.kernel_pb2 import Plan

if TYPE_CHECKING:
    import pyarrow as pa
    from datafusion import DataFrame, SessionContext
    from datafusion.plan import ExecutionPlan

ORDERED: Final = {"datafusion.optimizer.enable_round_robin_repartition": "false"}
"""Rows of one partition stay in it: else what follows a merge of sorted runs is spread over several, and their order is lost."""
STAGED: Final = {
    # A cut needs partitions that mean something: rows dealt round robin would only be another exchange.
    **ORDERED,
    "datafusion.optimizer.prefer_existing_union": "true",
    # Their state spans the partitions of a join, which are different tasks.
    "datafusion.optimizer.enable_join_dynamic_filter_pushdown": "false",
}
DIALECT: Final = {
    # Its planner takes some columns of set operations for non-null that its operators do not: no reason to refuse a query.
    "datafusion.execution.skip_physical_aggregate_schema_check": "true",
    # Of brackets: 300 queries in each other overflowed the stack of a thread.
    "datafusion.sql_parser.recursion_limit": "200",
    # Of the dialects that know lambdas, the one where "a" is a column.
    "datafusion.sql_parser.dialect": "duckdb",
    # Members of computed structs would be taken below filters, with what can fail on rows that these drop.
    "datafusion.optimizer.enable_leaf_expression_pushdown": "false",
    # A relation keeps the order of the one below it, as users expect; the optimiser still drops sorts that nothing shows.
    "datafusion.sql_parser.enable_subquery_sort_elimination": "false",
}
_LARGE: Final = 32 << 10
"""Bytes of a plan above which it is looked whether a task can read it, which takes a millisecond: others are flat enough."""
_MIRRORED = {"lag": "lead", "lead": "lag"}
_ORDER = re.compile(r" ORDER BY \[.*? (ASC|DESC) NULLS (?:FIRST|LAST)[],]")
_IGNORES = re.compile(r"\) IGNORE NULLS( FILTER \(.*\))? (PARTITION BY|ORDER BY|ROWS|RANGE|GROUPS) ")


def session(partitions: int, *, staged: bool = False, ordered: bool = False, settings: Sequence[tuple[str, str]] = ()) -> SessionContext:
    """A kernel session that plans for `partitions`; `staged`: plans that can be cut; `ordered`: that keep the order of sorted rows.

    Raises KernelDiffers.
    """
    from datafusion import SessionConfig, SessionContext

    prove()
    config = SessionConfig().with_target_partitions(partitions)
    for key, value in {**DIALECT, **(ORDERED if ordered else {}), **(STAGED if staged else {}), **dict(settings)}.items():
        config = config.set(key, value)
    context = SessionContext(config)
    enable(context)
    return context


def physical_plan(frame: DataFrame) -> Plan:
    """The optimised physical plan, never executed: an executed one holds what its operators have learned. Raises UnsupportedPlan."""
    return encoded(frame.execution_plan())


def encoded(execution: ExecutionPlan, doubted: bool = False) -> Plan:
    """A physical plan of the kernel's as a message; `doubted`: it may be too deep. Raises UnsupportedPlan, TooDeep."""
    try:
        data = execution.to_bytes()
    except Exception as error:
        raise UnsupportedPlan(f"an operator that has no serialised form ({error})") from error
    try:
        plan = parse(data)
    except MalformedMessage:  # The kernel's own: it is not malformed.
        raise TooDeep from None
    if doubted or len(data) > _LARGE:
        _check_depth(data)
    if b" IGNORE NULLS " in data or b"lag" in data or b"lead" in data:
        _mend_windows(plan)
    return plan


def _check_depth(data: bytes) -> None:
    """Raises TooDeep for a plan that a task could not read."""
    from datafusion.plan import ExecutionPlan

    try:
        ExecutionPlan.from_bytes(bare_session(), data)
    except Exception as error:
        if "recursion limit" in str(error):
            raise TooDeep from None


def _mend_windows(plan: Plan) -> None:
    """Write into window functions what the kernel leaves out when it encodes them, and their names still tell: that nulls are ignored,
    and that lag or lead look the other way because the optimiser has turned their order round to save a sort."""
    pending = [plan]
    while pending:
        top = pending.pop()
        if top.WhichOneof("node") == "window":
            for function in top.window.expressions:
                if _IGNORES.search(function.name):
                    function.ignore_nulls = True
                order = _ORDER.search(function.name)
                turned = order is not None and function.order_by and (order[1] == "ASC") != function.order_by[0].ascending
                if turned and function.function in _MIRRORED:
                    function.function = _MIRRORED[function.function]
        pending += children(top)


def describe(plan: Plan) -> Described:
    """The schema of a fragment's rows, and a scan of such rows."""
    return described(_schema(plan), bare_session)


def columns_of(plan: Plan) -> list[str]:
    """The names of a fragment's columns, in order."""
    return list(_schema(plan).names)


def _schema(plan: Plan) -> pa.Schema:
    """Of a fragment's rows, by running it without its data.

    A left join of one empty row with the fragment, whose scans have lost their files, gives exactly one row of nulls that carries it:
    the kernel has no other way to tell what a decoded plan's columns are.
    """
    emptied = _without_rows(plan)
    probe = Plan()
    probe.nested_loop_join.left.placeholder_row.schema.SetInParent()
    probe.nested_loop_join.right.merge.input.CopyFrom(emptied)
    probe.nested_loop_join.join_type = JoinType.LEFT
    schema = None
    context = bare_session()
    for batch in context.execute(_decode(context, probe), 0):
        schema = batch.to_pyarrow().schema
    assert schema is not None
    return schema


def _without_rows(plan: Plan) -> Plan:
    """The plan over leaves without rows: nothing is computed, and no user's function is called."""
    result = copied(plan)
    pending = [result]
    while pending:
        top = pending.pop()
        kind = kind_of(top)
        if kind in SCANS:
            del body_of(top).base_conf.file_groups[:]
            body_of(top).base_conf.file_groups.add()
        elif below := children(top):
            pending += below
        else:
            leaf = copied(top)
            top.local_limit.input.CopyFrom(leaf)  # Of no rows.
    return result


@functools.cache
def bare_session() -> SessionContext:
    """A session for questions that need no data."""
    return session(1)


def _decode(context: SessionContext, plan: Plan) -> Any:
    from datafusion.plan import ExecutionPlan

    return ExecutionPlan.from_bytes(context, plan.SerializeToString())
