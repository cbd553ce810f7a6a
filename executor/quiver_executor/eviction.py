"""Which cached blocks make room for another: a pure decision.

"lru": the least recently used first. "cost": first those that are cheap to make again for the room they take, and seldom used. A block's
worth is seconds to compute × uses ÷ bytes, uses counting half after HALF_LIFE_S: the opportunistic cache of the Dask world
(https://github.com/dask/cachey). Under "cost" nothing is evicted for a block that is worth less.

Blocks of the dataset that is being stored are never evicted for it, as in Spark: they would chase one another out.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final, Literal

Policy = Literal["lru", "cost"]

HALF_LIFE_S: Final = 300.0


@dataclass(frozen=True, slots=True)
class Candidate:
    """A block in memory. `size` in bytes; `uses` as of `last_used` (seconds, any clock); `compute_s` is what it cost to make."""

    dataset: int
    partition: int
    size: int
    last_used: float
    uses: float
    compute_s: float


def used_again(uses: float, last_used: float, now: float) -> float:
    """The count of uses after one more, `now`."""
    return _decayed(uses, last_used, now) + 1.0


def worth(compute_s: float, uses: float, size: int) -> float:
    """Seconds saved per byte held."""
    return compute_s * uses / max(1, size)


def victims(candidates: Iterable[Candidate], needed: int, dataset: int, policy: Policy, value: float, now: float) -> list[Candidate] | None:
    """The blocks to evict so that `needed` bytes become free for a block of `dataset` that is worth `value`; None: it can't be done.

    `candidates` come least recently used first. All or nothing: what would not be enough is not evicted.
    """
    others = (one for one in candidates if one.dataset != dataset)
    if policy == "cost":
        ranked = sorted((worth(one.compute_s, _decayed(one.uses, one.last_used, now), one.size), n, one) for n, one in enumerate(others))
        others = (one for rank, _, one in ranked if rank < value)
    chosen: list[Candidate] = []
    for one in others:
        if needed <= 0:
            break
        chosen.append(one)
        needed -= one.size
    return chosen if needed <= 0 else None


def _decayed(uses: float, last_used: float, now: float) -> float:
    return float(uses * 0.5 ** (max(0.0, now - last_used) / HALF_LIFE_S))
