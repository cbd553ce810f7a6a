"""The summary of heavy keys keeps what it promises, whatever the data."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Sequence

from hypothesis import given
from hypothesis import strategies as st

from quiver_executor.heavy_keys import FEWEST, FULL, MOST_TOLD, STRIDE, HeavyKeys, Summary, place_by

KEYS = st.one_of(st.integers(0, 30), st.text(max_size=2), st.tuples(st.integers(0, 3), st.booleans()))


@given(st.lists(st.lists(KEYS, max_size=60), max_size=12), st.integers(1, 8), st.booleans())
def test_a_counter_is_never_above_the_truth_nor_too_far_below(batches: list[list[object]], kept: int, eager: bool) -> None:
    summary = Summary(kept)
    for batch in batches:
        summary.add(batch)
        if eager:
            summary.shrink()
    summary.shrink()
    truth = Counter(key for batch in batches for key in batch)
    assert summary.seen == truth.total()
    assert len(summary.counts) <= kept
    for key, count in truth.items():
        counted = summary.counts.get(key, 0)
        assert counted <= count
        # A summary with k counters is off by at most n / (k + 1).
        assert count - counted <= summary.seen / (kept + 1)


def test_memory_is_bounded_whatever_comes() -> None:
    summary = Summary()
    for start in range(0, 100_000, 500):
        summary.add(range(start, start + 500))
        assert len(summary.counts) <= FULL
    assert summary.seen == 100_000


def batches(keys: Sequence[object], size: int = 1000) -> list[list[tuple[object, int]]]:
    return [[(key, 1) for key in keys[i : i + size]] for i in range(0, len(keys), size)]


def told(keys: Sequence[object], partition: int = 0) -> dict[str, int]:
    heavy = HeavyKeys(partition)
    for batch in batches(keys):
        heavy.see(batch)
    return {key.key: key.records for key in heavy.told(lambda key: 0)}


def test_the_heaviest_keys_are_named_with_at_least_how_often() -> None:
    keys: list[str | int] = ["a"] * 60_000 + ["b"] * 30_000 + list(range(10_000))
    random.Random(1).shuffle(keys)
    found = told(keys)
    assert list(found) == ["'a'", "'b'"]
    assert 0.8 * 60_000 < found["'a'"] <= 60_000
    assert 0.7 * 30_000 < found["'b'"] <= 30_000


def test_even_keys_are_not_heavy_though_they_come_in_a_regular_order() -> None:
    for period in (64, 128, 256, 1000, 1024):
        assert told([i % period for i in range(200_000)]) == {}, period


def test_a_task_looks_at_one_record_in_a_stride_however_the_batches_are_cut() -> None:
    for size in (1, 7, STRIDE, 1000):
        heavy = HeavyKeys(3)
        for batch in batches(list(range(10_000)), size):
            heavy.see(batch)
        assert heavy._summary is not None
        assert sorted(heavy._summary.counts) == list(range(3 * 17 % STRIDE, 10_000, STRIDE))


def test_few_records_say_nothing() -> None:
    assert told(["a"] * (STRIDE * (FEWEST - 2))) == {}
    assert told(["a"] * (STRIDE * (FEWEST + 2)))


def test_only_some_are_told() -> None:
    assert len(told([i % (MOST_TOLD + 2) for i in range(200_000)])) == MOST_TOLD


class Odd:
    """Can be sorted, and not hashed."""

    __hash__ = None


def test_keys_that_cannot_be_counted_end_the_summary_and_nothing_else() -> None:
    assert told([Odd() for _ in range(10_000)]) == {}
    assert told([["list"]] * 10_000) == {}


def test_a_key_is_placed_as_its_records_were() -> None:
    def scatter(pairs: object, lists: list[list[object]]) -> None:
        for pair in pairs:
            lists[pair[0] % len(lists)].append(pair)

    place = place_by(scatter, 4)
    assert [place(key) for key in (0, 5, 7)] == [0, 1, 3]
