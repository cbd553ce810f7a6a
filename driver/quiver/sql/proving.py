"""Whether the installed kernel is the one whose plans we read. Its wire format is no contract between its versions: a field that has moved
would give wrong answers, not errors. So its version is asked, and a plan of its own is read, changed, and given back."""

from __future__ import annotations

import functools
from importlib.metadata import PackageNotFoundError, version
from typing import TYPE_CHECKING

from quiver_proto.errors import KernelDiffers
from quiver_proto.fragments import children, kind_of, parse, width
from quiver_proto.v1.kernel_pb2 import Plan
from quiver_proto.versions import KERNEL

if TYPE_CHECKING:
    from datafusion import SessionContext

_QUERY = "SELECT k FROM (SELECT 1 AS k UNION ALL SELECT 2) AS t GROUP BY k ORDER BY k NULLS FIRST LIMIT 3"
_OPERATORS = (
    "sort_preserving_merge", "sort", "aggregate", "repartition", "aggregate", "union", "projection", "placeholder_row",
    "projection", "placeholder_row",
)  # fmt: skip
"""Of its plan for three partitions, each before its inputs."""
_PARTITIONS, _GIVEN = 3, 7


@functools.cache
def prove() -> None:
    """To be called before plans are read; costs a few milliseconds, once in a process. Raises KernelDiffers."""
    try:
        installed = version("datafusion")
    except PackageNotFoundError:
        installed = "unknown"
    problem = "" if installed == KERNEL else "its plans may mean something else"
    try:
        problem = problem or _misread()
    except Exception as error:  # The kernel's own are of no type.
        problem = f"its plans can't be read: {error}"
    if problem:
        raise KernelDiffers(installed, KERNEL, problem)


def _misread() -> str:
    """What a plan of the kernel's is read as that it is not; "" when it is read right, and the kernel reads it back."""
    from datafusion import SessionConfig, SessionContext
    from datafusion.plan import ExecutionPlan

    context: SessionContext = SessionContext(SessionConfig().with_target_partitions(_PARTITIONS))
    plan = parse(context.sql(_QUERY).execution_plan().to_bytes())
    operators = _operators(plan)
    if tuple(map(kind_of, operators)) != _OPERATORS:
        return f"a plan is read as {', '.join(map(kind_of, operators))}"
    sort, final, exchange, partial, union = (operators[place] for place in range(1, 6))
    dealt = exchange.repartition.partitioning.hash
    keys = [(key.sort.ascending, key.sort.nulls_first) for key in sort.sort.expr]
    modes = partial.aggregate.mode, final.aggregate.mode
    read = (sort.sort.fetch, sort.sort.preserve_partitioning, keys, modes, dealt.partition_count, width(union))
    expected = (3, True, [(True, True)], (0, 2), _PARTITIONS, 2)
    if read != expected:
        return f"a plan's numbers are read as {read}, not {expected}"
    dealt.partition_count = _GIVEN
    given_back = ExecutionPlan.from_bytes(context, exchange.SerializeToString()).partition_count
    return "" if given_back == _GIVEN else f"a plan that is to have {_GIVEN} partitions has {given_back}"


def _operators(plan: Plan) -> list[Plan]:
    return [plan, *(below for child in children(plan) for below in _operators(child))]
