"""How large things may be: from settings, and from the bytes that a query reads. Pure.

Measured on two cores over TPC-H at SF1: 32 partitions cost 2.4 to 9 times the CPU of 2, so a partition is worth having from about
128 MiB of files on, or one for each core, whatever is more.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

from quiver.sql.adapting import Policy
from quiver.sql.errors import IllegalArgumentException
from quiver_proto.errors import BadSetting
from quiver_proto.ops import BATCH_ROWS
from quiver_proto.units import parse_memory

CORES = "quiver.cores"
"""Of a fragment (quiver_executor.kernel_memory): its task has the memory of so many slots."""
TRIES = 3
"""How often a query is planned anew for less memory, with the first time."""
PARTITION_BYTES = 128 << 20
"""Of files: about three times as much in memory."""
MOST_PARTITIONS = 2000
SMALL = 64 << 20
"""Bytes of input below which a query is done sooner by one core than spread over executors."""
FEW_COLUMNS = 32 << 20
"""Bytes of columns (column_bytes) below which the same holds, however large their files are."""
_BYTES_A_ROW = 80
"""Of a build side whose size in bytes the kernel does not know."""

_BATCH_BYTES = 8 << 20
"""Of large rows, in a batch of a query that needed too much memory."""

WITHOUT_VIEWS = (
    ("datafusion.execution.parquet.schema_force_view_types", "false"),
    ("datafusion.sql_parser.map_string_types_to_utf8view", "false"),
)
"""Settings of the kernel's planner."""

Get = Callable[[str, str], str]


@dataclass(frozen=True, slots=True)
class Sizing:
    """Of one query. `partitions`: as set, or 0 for what its input asks for. `broadcast_bytes`: up to this a build side is small (-1: none).

    `adapts`: stages are planned anew by the sizes of those before.
    """

    partitions: int
    one_task_bytes: int
    broadcast_bytes: int
    adapts: bool
    policy: Policy
    joins_by_sorting: bool = False
    """Of two large sides: an operator that spills, in place of a hash table that can't."""

    heeds_hints: bool = True
    """Of the program, which may not know how much memory there is."""
    batch_rows: int = 0
    """How many rows the kernel's batches have (0: its own number): expressions may make so much of each (`repeat(text, 3000)`) that a
    usual batch of them does not fit."""
    views: bool = True
    """Whether strings are views, of buffers that live as long as any of their strings does. They cost less CPU, and are not counted."""

    def pieces(self, input_bytes: int, cores: int, slot_bytes: int, again: int = 0) -> int:
        """How many partitions a query's shuffles have. `cores`: all there are; `slot_bytes`: memory of one slot (0: not known);
        `again`: how many of the bytes are of files that are read more than once.

        By bytes, and as many for each core: three tasks take two cores as long as four do. Where slots are ample, two do as well, up to
        half as much again in each; and tables that are joined with themselves count no more than twice, since operators hold one of their
        sides.
        """
        if self.partitions:
            return self.partitions
        cores = max(1, cores)
        most = max(1, min(PARTITION_BYTES, slot_bytes // 8)) if slot_bytes else PARTITION_BYTES
        if slot_bytes // 16 >= PARTITION_BYTES:
            input_bytes -= min(again, input_bytes // 2)
            rounds = max(1, (2 * input_bytes + most * cores - 1) // (2 * most * cores))
            wanted = rounds * cores
        else:
            wanted = -(-input_bytes // most)
        wanted = max(2, min(MOST_PARTITIONS, wanted))
        return -(-wanted // cores) * cores

    def fitting(self, executor_bytes: int, cores: int = 1) -> Sizing:
        """For executors with so much memory (0: not known), and so many cores."""
        if not executor_bytes:
            return self
        # Pieces are compressed, to a third or a quarter.
        target = min(self.policy.target_bytes, max(1 << 20, executor_bytes // 16))
        slot_bytes = executor_bytes // max(1, cores)
        collected = min(4 * self.policy.broadcast_bytes, slot_bytes // 64)
        skew = min(self.policy.skew_bytes, max(target, slot_bytes // 8))
        return replace(self, policy=replace(self.policy, target_bytes=target, collected_bytes=collected, skew_bytes=skew))

    def without_broadcasts(self) -> Sizing:
        """No side of a join is small: each is dealt by its keys."""
        return replace(self, broadcast_bytes=-1, policy=replace(self.policy, broadcast_bytes=-1))

    def smaller(self, tried: int, pieces: int, row_bytes: int = 0) -> Sizing:
        """For a query that needed too much memory `tried` times, the last time with `pieces` (1: as one task); `row_bytes`: of the largest
        row of a batch that was too large, when that is known."""
        return replace(
            self,
            partitions=max(8, pieces * 4) if tried == 1 else pieces,
            one_task_bytes=-1,
            broadcast_bytes=-1,
            policy=replace(
                self.policy,
                broadcast_bytes=-1,
                coalesces=False,
                target_bytes=max(1, self.policy.target_bytes // 4),
                skew_bytes=max(1, self.policy.skew_bytes // 4),
            ),
            joins_by_sorting=tried > 1,
            # With small batches, more runs can be merged in the same memory, and less is on its way between operators.
            batch_rows=max(1, min(self.batch_rows or 1024, 1024 if tried == 1 else 64, _BATCH_BYTES // max(1, row_bytes))),
            heeds_hints=False,
            views=False,
        )

    def task_settings(self) -> tuple[tuple[str, str], ...]:
        """What the kernel is told where tasks run."""
        return ((BATCH_ROWS, str(self.batch_rows)),) if self.batch_rows else ()

    def kernel_settings(self) -> tuple[tuple[str, str], ...]:
        """What the kernel's planner is told."""
        small = max(0, self.broadcast_bytes)
        joins = (("datafusion.optimizer.prefer_hash_join", "false"),) if self.joins_by_sorting else ()
        return (
            *self.task_settings(),  # Some operators bring them along.
            *joins,
            *(() if self.views else WITHOUT_VIEWS),
            ("datafusion.optimizer.hash_join_single_partition_threshold", str(small)),
            ("datafusion.optimizer.hash_join_single_partition_threshold_rows", str(small // _BYTES_A_ROW)),
        )


def needs_little(needed: int, executor_bytes: int) -> bool:
    """Whether columns of so many bytes are best read by one task of an executor with so much memory (0: not known).

    On two executors of one core, TPC-H 2, 11 and 22 (29, 25 and 14 MB of columns in files of 90 to 105) took twice the CPU in stages.
    """
    return needed <= (min(FEW_COLUMNS, executor_bytes // 16) if executor_bytes else FEW_COLUMNS)


def sizing(get: Get, cores: int) -> Sizing:
    """From settings: `get(key, default)`. Raises IllegalArgumentException for a value that is none."""
    broadcast = _bytes(get, "spark.sql.autoBroadcastJoinThreshold", "10m")
    later = get("spark.sql.adaptive.autoBroadcastJoinThreshold", "")
    policy = Policy(
        target_bytes=_bytes(get, "spark.sql.adaptive.advisoryPartitionSizeInBytes", "64m"),
        least_bytes=_bytes(get, "spark.sql.adaptive.coalescePartitions.minPartitionSize", "1m"),
        least_tasks=cores,
        broadcast_bytes=_bytes(get, "spark.sql.adaptive.autoBroadcastJoinThreshold", later) if later else broadcast,
        skew_bytes=_bytes(get, "spark.sql.adaptive.skewJoin.skewedPartitionThresholdInBytes", "256m"),
        skew_factor=_number(get, "spark.sql.adaptive.skewJoin.skewedPartitionFactor", "5"),
        coalesces=_flag(get, "spark.sql.adaptive.coalescePartitions.enabled"),
        splits=_flag(get, "spark.sql.adaptive.skewJoin.enabled"),
    )
    partitions = get("spark.sql.shuffle.partitions", "") or get("quiver.sql.partitions", "")
    return Sizing(
        partitions=int(_number(lambda key, default: partitions, "spark.sql.shuffle.partitions", "")) if partitions else 0,
        one_task_bytes=_bytes(get, "quiver.sql.oneTask.maxBytes", "4g"),
        broadcast_bytes=broadcast,
        adapts=_flag(get, "spark.sql.adaptive.enabled"),
        policy=policy,
    )


def _bytes(get: Get, key: str, default: str) -> int:
    text = get(key, default).strip().lower()
    if text.startswith("-") or (text == "0" and key.endswith("BroadcastJoinThreshold")):
        return -1
    try:
        return parse_memory(text)
    except (BadSetting, ValueError) as problem:
        raise IllegalArgumentException(
            f"{key} should be a size such as 10m or 64MB, or -1, got {text!r}.", "INVALID_CONF_VALUE"
        ) from problem


def _number(get: Get, key: str, default: str) -> float:
    text = get(key, default)
    try:
        value = float(text)
    except ValueError:
        value = 0.0
    if value <= 0:
        raise IllegalArgumentException(f"{key} should be a positive number, got {text!r}.", "INVALID_CONF_VALUE")
    return value


def _flag(get: Get, key: str) -> bool:
    text = get(key, "true").strip().lower()
    if text not in ("true", "false"):
        raise IllegalArgumentException(f"{key} should be true or false, got {text!r}.", "INVALID_CONF_VALUE")
    return text == "true"
