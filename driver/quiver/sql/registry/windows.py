"""Window functions."""

from __future__ import annotations

from collections.abc import Sequence

from quiver.sql import types as t
from quiver.sql.analysis.coercion import expect_common
from quiver.sql.lowering.names import cast, text
from quiver.sql.registry.define import define, mismatch
from quiver.sql.registry.guarding import guarded
from quiver.sql.registry.model import AFTER, Function, Types, call, register

for _name in ("row_number", "rank", "dense_rank"):
    define(_name, "", "i", _name, kind="window", nullable=False)
for _name in ("percent_rank", "cume_dist"):
    define(_name, "", "d", _name, kind="window", nullable=False)
define("ntile", "i", "i", "ntile({0})", kind="window", nullable=False)
# The kernel's own nth_value, when its order is turned round to save a sort, is encoded as if it were not.
define("nth_value", "*i?b", "0", lambda args, kinds: f"array_element(array_agg({args[0]}){AFTER}, {args[1]})", kind="window", nullable=True)


def _neighbour(kinds: Types) -> Sequence[t.DataType | None]:
    if len(kinds) < 3:
        return [None, t.LongType()][: len(kinds)]
    both = expect_common("lag", (kinds[0], kinds[2]))
    return [both, t.LongType(), both]


for _name in ("lag", "lead"):
    register(Function(_name, call(_name), lambda kinds: kinds[0], _neighbour, "window", True, (1, 3)))


_NO_START = -(2**62)


def _counter_kinds(kinds: Types) -> Sequence[t.DataType | None]:
    if not isinstance(kinds[0], t.NumericType | t.NullType):
        raise mismatch("counter_diff", 1, '"NUMERIC"', kinds[0])
    if len(kinds) > 1 and not isinstance(kinds[1], t.TimestampType | t.TimestampNTZType | t.NullType):
        raise mismatch("counter_diff", 2, '("TIMESTAMP" or "TIMESTAMP_NTZ")', kinds[1])
    return [t.LongType() if isinstance(kinds[0], t.NullType) else None, None][: len(kinds)]


def _counter_diff(args: Sequence[str], kinds: Types) -> str:
    """What a counter has grown by since the last row that has one; null where it was reset, by its value or by its start."""
    value, kind = args[0], kinds[0]
    before = f"lag({value}) IGNORE NULLS{AFTER}"
    grown = f"CASE WHEN {before} <= {value} THEN {value} - {before} END"
    if len(args) > 1:
        start = args[1]
        # A start that is not known is known to be so by the next row.
        held = f"coalesce({cast(start, t.LongType())}, {_NO_START})"
        started = cast(f"nullif(lag(CASE WHEN {value} IS NOT NULL THEN {held} END) IGNORE NULLS{AFTER}, {_NO_START})", kinds[1])
        told = f"concat('Start time provided to function `counter_diff` decreased from ', {started}, ' to ', {start}, " + text(
            ". Start time is required to be non-decreasing."
        )
        counted = f"{value} IS NOT NULL AND {started}"
        grown = f"CASE WHEN {counted} < {start} THEN NULL ELSE {grown} END"
        grown = guarded(f"{counted} > {start}", "COUNTER_DIFF_START_TIME_DECREASED", f"{told})", kind, grown)
    told = f"concat('A negative counter value ', {value}, " + text(
        " was provided to function `counter_diff`. Negative counter values are not allowed."
    )
    return f"({guarded(f'{value} < 0', 'COUNTER_DIFF_NEGATIVE_COUNTER_VALUE', f'{told})', kind, grown)})"


register(Function("counter_diff", _counter_diff, lambda kinds: kinds[0], _counter_kinds, "window", True, (1, 2)))
