"""How many partitions, of how many bytes."""

from __future__ import annotations

import pytest

from quiver.sql.sizing import MOST_PARTITIONS, PARTITION_BYTES, sizing


def _default(key: str, default: str) -> str:
    return default


@pytest.mark.parametrize(
    ("input_bytes", "cores", "slot_bytes", "pieces"),
    [
        (0, 0, 0, 2),  # No executor yet.
        (0, 2, 0, 2),
        (0, 12, 0, 12),
        (2 * PARTITION_BYTES, 2, 0, 2),
        (2 * PARTITION_BYTES + 1, 2, 0, 4),  # One more would leave a core idle half of the time.
        (2 * PARTITION_BYTES + 1, 1, 0, 3),
        (PARTITION_BYTES, 2, 256 << 20, 4),  # A slot of 256 MiB holds 32 MiB of files.
        (1 << 50, 3, 0, 2001),
        (1 << 50, 2, 0, MOST_PARTITIONS),
    ],
)
def test_partitions_of_a_query(input_bytes: int, cores: int, slot_bytes: int, pieces: int) -> None:
    assert sizing(_default, cores).pieces(input_bytes, cores, slot_bytes) == pieces


@pytest.mark.parametrize(
    ("input_bytes", "again", "cores", "pieces"),
    [
        (3 * PARTITION_BYTES, 0, 2, 2),
        (3 * PARTITION_BYTES + 1, 0, 2, 4),
        (5 * PARTITION_BYTES, 0, 2, 4),
        (6 * PARTITION_BYTES, 4 * PARTITION_BYTES, 2, 2),
        (7 * PARTITION_BYTES, 6 * PARTITION_BYTES, 2, 4),  # However often: half of it counts.
        (PARTITION_BYTES // 2, 0, 1, 2),
        (1 << 50, 0, 2, MOST_PARTITIONS),
    ],
)
def test_partitions_of_a_query_in_ample_slots(input_bytes: int, again: int, cores: int, pieces: int) -> None:
    assert sizing(_default, cores).pieces(input_bytes, cores, 2 << 30, again) == pieces


def test_partitions_that_were_asked_for() -> None:
    asked = sizing(lambda key, default: "7" if key == "spark.sql.shuffle.partitions" else default, 2)
    assert asked.pieces(1 << 40, 2, 0) == 7


def test_build_sides_that_are_collected_where_slots_have_the_memory() -> None:
    sizes = sizing(_default, 2)
    executors = [(0, 1), (1, 1), (2, 1), (8, 2), (8, 8)]
    assert [sizes.fitting(memory << 30, cores).policy.collected_bytes >> 20 for memory, cores in executors] == [0, 16, 32, 40, 16]
    assert sizes.without_broadcasts().fitting(8 << 30).policy.collected_bytes < 0


def test_pieces_are_skewed_that_a_slot_does_not_hold() -> None:
    sizes = sizing(_default, 2)
    assert [sizes.fitting(memory << 20, 1).policy.skew_bytes >> 20 for memory in (0, 512, 1024, 8192)] == [256, 64, 128, 256]
    again = sizes.smaller(1, 2).fitting(512 << 20).policy
    assert (again.skew_bytes >> 20, again.target_bytes >> 20) == (64, 16)
    assert [sizes.smaller(1, 2, row).batch_rows for row in (0, 100, 1 << 20, 100 << 20)] == [1024, 1024, 8, 1]
    assert [sizes.smaller(1, 2, row).smaller(2, 8).batch_rows for row in (0, 1 << 20)] == [64, 8]
    again = sizes.smaller(1, 2).smaller(2, 8).fitting(512 << 20).policy
    assert (again.skew_bytes >> 20, again.target_bytes >> 20) == (16, 4)
