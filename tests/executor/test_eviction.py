"""Which blocks go: by use or by worth, never of the dataset that is being stored, all that is needed or nothing."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from quiver_executor.eviction import HALF_LIFE_S, Candidate, Policy, used_again, victims, worth


def block(dataset: int, size: int = 10, last_used: float = 0.0, uses: float = 1.0, compute_s: float = 1.0, partition: int = 0) -> Candidate:
    return Candidate(dataset, partition, size, last_used, uses, compute_s)


def test_least_recently_used_first_and_no_more_than_needed() -> None:
    blocks = [block(1), block(2), block(3)]
    assert victims(blocks, 11, 9, "lru", 0.0, 0.0) == blocks[:2]


def test_nothing_goes_when_all_would_not_be_enough() -> None:
    assert victims([block(1), block(2)], 21, 9, "lru", 0.0, 0.0) is None


def test_a_dataset_does_not_evict_itself() -> None:
    assert victims([block(1), block(2)], 10, 1, "lru", 0.0, 0.0) == [block(2)]
    assert victims([block(1)], 10, 1, "lru", 0.0, 0.0) is None


def test_by_cost_the_cheap_the_large_and_the_unused_go_first() -> None:
    dear, cheap, large, unused = block(1, compute_s=9.0), block(2, compute_s=0.1), block(3, size=100), block(4, uses=0.5)
    blocks = [dear, cheap, large, unused]
    assert victims(blocks, 1, 9, "cost", 10.0, 0.0) == [cheap]
    assert victims(blocks, 11, 9, "cost", 10.0, 0.0) == [cheap, large]
    assert victims(blocks, 115, 9, "cost", 10.0, 0.0) == [cheap, large, unused]


def test_by_cost_nothing_goes_for_what_is_worth_less() -> None:
    kept = block(1, size=10, compute_s=1.0)
    assert victims([kept], 10, 9, "cost", worth(0.5, 1.0, 10), 0.0) is None
    assert victims([kept], 10, 9, "cost", worth(1.5, 1.0, 10), 0.0) == [kept]


def test_uses_fade() -> None:
    once_often = block(1, uses=4.0, last_used=0.0)
    lately = block(2, uses=1.5, last_used=2 * HALF_LIFE_S)
    now = 2 * HALF_LIFE_S
    assert victims([once_often, lately], 10, 9, "cost", 1e9, now) == [once_often]
    assert used_again(4.0, 0.0, 2 * HALF_LIFE_S) == 2.0
    assert used_again(1.0, 5.0, 5.0) == 2.0


candidates = st.lists(
    st.builds(
        Candidate,
        dataset=st.integers(1, 4),
        partition=st.integers(0, 5),
        size=st.integers(1, 100),
        last_used=st.floats(0, 1000),
        uses=st.floats(0.01, 50),
        compute_s=st.floats(0, 100),
    ),
    max_size=20,
)


@given(candidates, st.integers(0, 500), st.sampled_from(["lru", "cost"]), st.floats(0, 10))
def test_enough_and_not_one_too_many(blocks: list[Candidate], needed: int, policy: Policy, value: float) -> None:
    blocks.sort(key=lambda one: one.last_used)
    chosen = victims(blocks, needed, 1, policy, value, 1000.0)
    if chosen is None:
        if policy == "lru":
            assert sum(one.size for one in blocks if one.dataset != 1) < needed
        return
    assert sum(one.size for one in chosen) >= needed
    assert sum(one.size for one in chosen[:-1]) < needed or not chosen
    assert all(one.dataset != 1 for one in chosen)
    if policy == "lru":
        others = [one for one in blocks if one.dataset != 1]
        assert chosen == others[: len(chosen)]
