"""What peers.py and growth.py run: each workload as a user would write it, for Quiver and PySpark (`spark_like`, the same program) and by
hand on two processes (`pool_like`). A workload returns its answer, which is the same for all; sums of floats are rounded.

`size` is how many records a workload has, about; those of other units say so.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator
from itertools import chain
from operator import add
from pathlib import Path
from typing import Any

import numpy as np

PARTS = 16
Workload = Callable[[], object]
Pairs = list[tuple[int, int]]

ROUNDS = 20
DIMENSIONS, CENTRES = 8, 10
VECTOR = 100_000


def noop(value: int) -> int:
    return value


def chance_of(part: int, seed: int = 0) -> np.random.Generator:
    return np.random.default_rng(1000 * seed + part)


def pairs(part: int, size: int, keys: int, seed: int = 0) -> Pairs:
    """This partition's share of `size` pairs with evenly spread keys."""
    chance, count = chance_of(part, seed), size // PARTS
    return list(zip(chance.integers(0, keys, count).tolist(), chance.integers(0, 100, count).tolist()))


def skewed(part: int, size: int) -> Pairs:
    """A fifth of all pairs have the key 0, the rest a long tail of keys."""
    chance, count = chance_of(part, 1), size // PARTS
    keys = np.where(chance.random(count) < 0.2, 0, chance.pareto(1.2, count).astype(np.int64) % 100_000)
    return list(zip(keys.tolist(), chance.integers(0, 100, count).tolist()))


def words(part: int, size: int) -> list[str]:
    return [f"user-{key}" for key in chance_of(part, 2).integers(0, max(1, size // 8), size // PARTS).tolist()]


def numbers(part: int, size: int) -> list[int]:
    drawn: list[int] = chance_of(part, 3).integers(0, 1 << 40, size // PARTS).tolist()
    return drawn


def edges(part: int, size: int) -> Pairs:
    """Links between `size / 10` pages; each page has one at least."""
    pages, chance, count = max(PARTS, size // 10), chance_of(part, 4), size // PARTS
    own = [(page, (page + 1) % pages) for page in range(part, pages, PARTS)]
    return own + list(zip(chance.integers(0, pages, count).tolist(), (pages * chance.power(0.3, count)).astype(np.int64).tolist()))


def points(part: int, size: int) -> list[Any]:
    return list(chance_of(part, 5).normal(size=(size // PARTS, DIMENSIONS)))


def vector(part: int) -> Any:
    return chance_of(part, 6).random(VECTOR)


def first_centres() -> list[Any]:
    return list(np.random.default_rng(6).normal(size=(CENTRES, DIMENSIONS)))


def nearest(point: Any, centres: Any) -> int:
    return int(((centres - point) ** 2).sum(axis=1).argmin())


def add_points(one: Any, other: Any) -> Any:
    return one[0] + other[0], one[1] + other[1]


def count_and_sum(state: tuple[int, int], value: int) -> tuple[int, int]:
    return state[0] + 1, state[1] + value


def shares(links: Iterable[int], rank: float) -> Iterator[tuple[int, float]]:
    links = list(links)
    for page in links:
        yield page, rank / len(links)


def is_ordered(keys: Iterable[int]) -> tuple[int, int, int]:
    """(how many, the sum of the first and the last, how many out of order) of a partition, read through once."""
    count = wrong = 0
    first = last = -1
    for key in keys:
        first = key if count == 0 else first
        wrong += key < last
        last = key
        count += 1
    return count, wrong, first + last


def spark_like(sc: Any, text: str, size: int) -> dict[str, Workload]:
    def each(function: Callable[[int], Iterable[Any]]) -> Any:
        return sc.parallelize(range(PARTS), PARTS).flatMap(function)

    def uniform(seed: int = 0) -> Any:
        return each(lambda part: pairs(part, size, size // 10, seed))

    def pagerank() -> object:
        links = each(lambda part: edges(part, size)).distinct(PARTS).groupByKey(PARTS).cache()
        ranks = links.mapValues(lambda _: 1.0)
        for _ in range(ROUNDS):
            gifts = links.join(ranks, PARTS).flatMap(lambda page: shares(*page[1]))
            ranks = gifts.reduceByKey(add, PARTS).mapValues(lambda rank: 0.15 + 0.85 * rank)
        answer = round(ranks.values().map(lambda rank: rank * rank).sum(), 3)
        links.unpersist()
        return answer

    def kmeans() -> object:
        data = each(lambda part: points(part, size // 50)).cache()
        centres = first_centres()
        for _ in range(ROUNDS):
            known = np.array(centres)
            found = data.map(lambda point, known=known: (nearest(point, known), (point, 1))).reduceByKey(add_points, PARTS).collect()
            for number, (total, count) in found:
                centres[number] = total / count
        data.unpersist()
        return round(float(sum(centre.sum() for centre in centres)), 6)

    def sort() -> object:
        ordered = each(lambda part: numbers(part, size)).map(lambda key: (key, None)).sortByKey(numPartitions=PARTS)
        parts = ordered.keys().mapPartitions(lambda keys: [is_ordered(keys)]).collect()
        return sum(part[0] for part in parts), sum(part[1] for part in parts)

    return {
        "tasks10k": lambda: sc.parallelize(range(10_000), 10_000).count(),
        "latency": lambda: sc.parallelize([7], 1).map(noop).collect(),
        "wordcount": lambda: dict(
            sc.textFile(text, PARTS).flatMap(lambda line: line.split()).map(lambda w: (w, 1)).reduceByKey(add, PARTS).collect()
        ),
        "reducebykey": lambda: uniform().reduceByKey(add, PARTS).map(lambda kv: kv[0] * kv[1]).sum(),
        "join": lambda: (
            uniform().reduceByKey(add, PARTS).join(uniform(7).reduceByKey(max, PARTS), PARTS).map(lambda row: row[1][0] * row[1][1]).sum()
        ),
        "sortbykey": sort,
        "groupbykey": lambda: (
            each(lambda part: skewed(part, size)).groupByKey(PARTS).map(lambda kv: kv[0] + len(kv[1]) * sum(kv[1])).sum()
        ),
        "cogroup": lambda: (
            uniform().cogroup(uniform(7), PARTS).map(lambda row: row[0] + len(row[1][0]) * sum(row[1][1])).sum()
        ),
        "distinct": lambda: each(lambda part: words(part, size)).distinct(PARTS).count(),
        "aggregatebykey": lambda: (
            uniform().aggregateByKey((0, 0), count_and_sum, lambda s, t: (s[0] + t[0], s[1] + t[1]), PARTS)
            .map(lambda kv: kv[0] * kv[1][0] + kv[1][1]).sum()
        ),
        "cartesian": lambda: (
            sc.parallelize(range(int(size**0.5)), 4).cartesian(sc.parallelize(range(int(size**0.5)), 4))
            .filter(lambda pair: pair[0] * pair[1] % 7 == 1).count()
        ),
        "pagerank": pagerank,
        "kmeans": kmeans,
        "treeaggregate": lambda: round(
            float(sc.parallelize(range(4 * PARTS), 4 * PARTS).map(vector).treeAggregate(np.zeros(VECTOR), add, add, 2).sum()), 4
        ),
    }  # fmt: skip


# ---- by hand: functions that a pool runs, and what is done with what they return ----


def count_words(path: str) -> dict[str, int]:
    counts: Counter[str] = Counter()
    with open(path) as file:
        for line in file:
            counts.update(line.split())
    return dict(counts)


def sum_by_key(part: int, size: int, seed: int = 0) -> dict[int, int]:
    sums: dict[int, int] = {}
    for key, value in pairs(part, size, size // 10, seed):
        sums[key] = sums[key] + value if key in sums else value
    return sums


def max_by_key(part: int, size: int, seed: int) -> dict[int, int]:
    most: dict[int, int] = {}
    for key, value in pairs(part, size, size // 10, seed):
        most[key] = max(most[key], value) if key in most else value
    return most


def states_by_key(part: int, size: int) -> dict[int, tuple[int, int]]:
    states: dict[int, tuple[int, int]] = {}
    for key, value in pairs(part, size, size // 10):
        states[key] = count_and_sum(states.get(key, (0, 0)), value)
    return states


def grouped(items: Iterable[tuple[int, int]]) -> dict[int, list[int]]:
    groups: dict[int, list[int]] = defaultdict(list)
    for key, value in items:
        groups[key].append(value)
    return dict(groups)


def skewed_groups(part: int, size: int) -> dict[int, list[int]]:
    return grouped(skewed(part, size))


def uniform_groups(part: int, size: int, seed: int) -> dict[int, list[int]]:
    return grouped(pairs(part, size, size // 10, seed))


def distinct_words(part: int, size: int) -> set[str]:
    return set(words(part, size))


def sorted_numbers(part: int, size: int) -> list[tuple[int, None]]:
    return sorted(((key, None) for key in numbers(part, size)), key=lambda pair: pair[0])


def crossed(start: int, stop: int, width: int) -> int:
    return sum(1 for one in range(start, stop) for other in range(width) if one * other % 7 == 1)


def near_points(part: int, size: int, centres: list[Any]) -> dict[int, Any]:
    known = np.array(centres)
    found: dict[int, Any] = {}
    for point in kept_points(part, size):
        number = nearest(point, known)
        found[number] = add_points(found[number], (point, 1)) if number in found else (point, 1)
    return found


_kept: dict[tuple[int, int], list[Any]] = {}


def kept_points(part: int, size: int) -> list[Any]:
    """Made once in a process, as by somebody who caches by hand."""
    if (part, size) not in _kept:
        _kept[part, size] = points(part, size)
    return _kept[part, size]


def page_shares(links: list[tuple[list[int], float]]) -> dict[int, float]:
    sums: dict[int, float] = {}
    for targets, rank in links:
        for page, share in shares(targets, rank):
            sums[page] = sums[page] + share if page in sums else share
    return sums


def distinct_edges(part: int, size: int) -> set[tuple[int, int]]:
    return set(edges(part, size))


def merged(parts: Iterator[dict[Any, Any]], merge: Callable[[Any, Any], Any]) -> dict[Any, Any]:
    whole: dict[Any, Any] = {}
    for part in parts:
        for key, value in part.items():
            whole[key] = merge(whole[key], value) if key in whole else value
    return whole


def pool_like(pool: Any, text: str, size: int) -> dict[str, Workload]:
    """What a user would write by hand on two processes: partial results in parallel, put together here."""

    def each(function: Callable[..., Any], *arguments: Any) -> Iterator[Any]:
        mapped: Iterator[Any] = pool.map(function, range(PARTS), *([argument] * PARTS for argument in arguments))
        return mapped

    def join() -> object:
        left, right = merged(each(sum_by_key, size, 0), add), merged(each(max_by_key, size, 7), max)
        return sum(value * right[key] for key, value in left.items() if key in right)

    def sort() -> object:
        whole = list(chain.from_iterable(each(sorted_numbers, size)))
        whole.sort(key=lambda pair: pair[0])
        return is_ordered(key for key, _ in whole)[:2]

    def cogroup() -> object:
        left, right = merged(each(uniform_groups, size, 0), add), merged(each(uniform_groups, size, 7), add)
        return sum(key + len(left.get(key, ())) * sum(right.get(key, ())) for key in left.keys() | right.keys())

    def cartesian() -> object:
        width = int(size**0.5)
        cuts = [width * number // PARTS for number in range(PARTS + 1)]
        return sum(pool.map(crossed, cuts, cuts[1:], [width] * PARTS))

    def kmeans() -> object:
        centres = first_centres()
        for _ in range(ROUNDS):
            for number, (total, count) in merged(each(near_points, size // 50, centres), add_points).items():
                centres[number] = total / count
        return round(float(sum(centre.sum() for centre in centres)), 6)

    def pagerank() -> object:
        links = grouped(set().union(*each(distinct_edges, size)))
        ranks = dict.fromkeys(links, 1.0)
        for _ in range(ROUNDS):
            rows = [(targets, ranks[page]) for page, targets in links.items() if page in ranks]
            gifts = merged(pool.map(page_shares, [rows[number::PARTS] for number in range(PARTS)]), add)
            ranks = {page: 0.15 + 0.85 * rank for page, rank in gifts.items()}
        return round(sum(rank * rank for rank in ranks.values()), 3)

    return {
        "tasks10k": lambda: len(list(pool.map(noop, range(10_000)))),
        "latency": lambda: [pool.submit(noop, 7).result()],
        "wordcount": lambda: merged(pool.map(count_words, [str(path) for path in sorted(Path(text).iterdir())]), add),
        "reducebykey": lambda: sum(key * value for key, value in merged(each(sum_by_key, size), add).items()),
        "join": join,
        "sortbykey": sort,
        "groupbykey": lambda: sum(key + len(values) * sum(values) for key, values in merged(each(skewed_groups, size), add).items()),
        "cogroup": cogroup,
        "distinct": lambda: len(set().union(*each(distinct_words, size))),
        "aggregatebykey": lambda: sum(
            key * count + total
            for key, (count, total) in merged(each(states_by_key, size), lambda s, t: (s[0] + t[0], s[1] + t[1])).items()
        ),
        "cartesian": cartesian,
        "pagerank": pagerank,
        "kmeans": kmeans,
        "treeaggregate": lambda: round(float(sum(pool.map(vector, range(4 * PARTS)), np.zeros(VECTOR)).sum()), 4),
    }
