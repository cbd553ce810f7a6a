"""Random pipelines: a typed grammar of sources, operators and an action. A step runs on a real RDD and on the plain one alike.

The kinds of records: ints · texts · things (hashable, of mixed types, nested) · blobs (nested lists: no hash) · pairs of (thing, int) ·
keyed, pairs of (int, blob).
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import reduce
from typing import Any

import pipeline_functions as f
from hypothesis import strategies as st
from plain_rdd import PlainRDD, bag, rank

from quiver import StorageLevel

Make = Callable[[Sequence[Any], int], Any]
"""A dataset of records in so many partitions: sc.parallelize, or plain."""

MOST_RECORDS = 400
LONGEST = 6

LEVELS = [StorageLevel.MEMORY_ONLY, StorageLevel.MEMORY_AND_DISK, StorageLevel.DISK_ONLY, StorageLevel.MEMORY_ONLY_2]

EMPTY_RDD = 0
"""A source of this many partitions is emptyRDD()."""


@dataclass(frozen=True)
class Source:
    records: Sequence[Any]
    slices: int

    def make(self, make: Make) -> Any:
        return make(self.records, self.slices)

    def __repr__(self) -> str:
        return f"parallelize({self.records!r}, {self.slices})"


@dataclass(frozen=True, repr=False)
class Step:
    """One operator or action on a dataset; `other` makes the second dataset of those that take two (None: the first itself)."""

    text: str
    run: Callable[..., Any]
    becomes: str = "same"
    other: Source | None = None
    binary: bool = False
    needs_order: bool = False

    def __call__(self, dataset: Any, make: Make) -> Any:
        if not self.binary:
            return self.run(dataset)
        return self.run(dataset, dataset if self.other is None else self.other.make(make))

    def __repr__(self) -> str:
        return f".{self.text}" + (f" [other: {self.other or 'itself'}]" if self.binary else "")


@dataclass(frozen=True, repr=False)
class Pipeline:
    source: Source
    steps: tuple[Step, ...]
    action: Step

    def run(self, make: Make) -> Any:
        dataset = reduce(lambda dataset, step: step(dataset, make), self.steps, self.source.make(make))
        return self.action(dataset, make)

    def __repr__(self) -> str:
        return "\n  ".join([repr(self.source), *map(repr, self.steps), repr(self.action)])


def plain(records: Sequence[Any], slices: int) -> PlainRDD:
    return PlainRDD(records)


# ---- data ----

small_ints = st.integers(-4, 4)
texts = st.text("abé \n", max_size=3)
floats = st.sampled_from([0.5, -0.5, 1.0, -0.0, 2.5, 1e300])
atoms = st.one_of(st.none(), st.booleans(), small_ints, floats, texts, st.binary(max_size=2))
things = st.one_of(atoms, st.tuples(atoms), st.tuples(atoms, st.tuples(atoms, atoms)), st.just(()))
keys = st.sampled_from([None, 0, 1, True, 1.0, "a", "", 0.5, b"a", (None,), (1, ("a", None)), (True, ("a", None)), ()])
"""Few, so that they meet; some are equal and of different types."""
edge_ints = st.one_of(small_ints, st.sampled_from([2**31, 2**53 + 1, 2**62, 2**63 - 1, 2**63, -(2**63), -(2**63) - 1]))
blobs = st.recursive(st.one_of(st.none(), small_ints, texts), lambda inner: st.lists(inner, max_size=3), max_leaves=4)
RECORDS: dict[str, st.SearchStrategy[Any]] = {
    "ints": st.one_of(small_ints, st.integers(-(2**70), 2**70)),
    "texts": texts,
    "things": things,
    "blobs": st.lists(blobs, max_size=2),
    "pairs": st.tuples(st.one_of(keys, keys, things), small_ints),
    # Pairs of one type each, which may travel as columns.
    "pairs of text": st.tuples(texts, edge_ints),
    "pairs of ints": st.tuples(edge_ints, edge_ints),
    "pairs of floats": st.tuples(floats, small_ints),
    "keyed": st.tuples(small_ints, st.lists(blobs, max_size=2)),
}


@st.composite
def sources(draw: st.DrawFn, kind: str, sizes: Sequence[tuple[int, int]] = ((10, 40), (1, 3), (4, 12), (0, 0))) -> Source:
    if kind == "ints" and draw(st.integers(0, 4)) == 0:
        return Source(range(draw(small_ints), draw(st.integers(-10, 30)), draw(st.sampled_from([1, 2, 7, -1]))), draw(st.integers(1, 8)))
    least, most = draw(st.sampled_from(sizes))
    if kind == "pairs":
        kind = draw(st.sampled_from(["pairs", "pairs of text", "pairs of ints", "pairs of floats"]))
    records = draw(st.lists(RECORDS[kind], min_size=least, max_size=most))
    return Source(records, draw(st.integers(1, 8)) if records else draw(st.integers(0, 3)))


# ---- operators ----

ANY = ("ints", "texts", "things", "blobs", "pairs", "keyed")
HASHABLE = ("ints", "texts", "things", "pairs")
PAIRS = ("pairs", "keyed")
widths = st.one_of(st.none(), st.integers(1, 7))


def steps_on(kind: str, ordered: bool) -> list[st.SearchStrategy[Step]]:
    """All that can be done with records of this kind."""
    found: list[st.SearchStrategy[Step]] = []

    def add(kinds: Sequence[str], text: str, run: Callable[..., Any], becomes: str = "same") -> None:
        if kind in kinds:
            found.append(st.just(Step(text, run, becomes)))

    def with_width(kinds: Sequence[str], text: str, run: Callable[..., Any], becomes: str = "same", least: bool = False) -> None:
        if kind in kinds:
            found.append(
                (st.integers(1, 7) if least else widths).map(
                    lambda n: Step(text.replace("n)", f"{n})"), lambda dataset: run(dataset, n), becomes)
                )
            )

    def with_other(kinds: Sequence[str], text: str, run: Callable[..., Any], becomes: str = "same") -> None:
        if kind in kinds:
            others = st.one_of(st.none(), sources(kind))
            found.append(others.map(lambda other: Step(text, run, becomes, other, binary=True)))

    hashable_wrapped = "things" if kind in HASHABLE else "blobs"
    # Narrow.
    add(("ints",), "map(one_more).map(squared).map(halved)", lambda d: d.map(f.one_more).map(f.squared).map(f.halved))
    add(("ints",), "flatMap(below_three)", lambda d: d.flatMap(f.below_three))
    add(("texts",), "map(shouted)", lambda d: d.map(f.shouted))
    add(("texts",), "flatMap(letters)", lambda d: d.flatMap(f.letters))
    add(ANY, "map(weight)", lambda d: d.map(f.weight), "ints")
    add(ANY, "map(lambda, which is pickled by value)", lambda d: d.map(lambda x: f.weight(x) + 1), "ints")
    add(ANY, "filter(is_light)", lambda d: d.filter(f.is_light))
    add(ANY, "filter(never).union(itself)", lambda d: d.filter(f.never).union(d))
    add(ANY, "flatMap(as_often_as_heavy)", lambda d: d.flatMap(f.as_often_as_heavy))
    add(HASHABLE, "map(wrapped)", lambda d: d.map(f.wrapped), "things")
    add(ANY, "map(listed)", lambda d: d.map(f.listed), "blobs")
    add(HASHABLE, "mapPartitions(each_wrapped)", lambda d: d.mapPartitions(f.each_wrapped), "things")
    add(ANY, "mapPartitionsWithIndex(light_ones)", lambda d: d.mapPartitionsWithIndex(f.light_ones))
    add(HASHABLE, "map(with_weight)", lambda d: d.map(f.with_weight), "pairs")
    add(("blobs",), "keyBy(weight)", lambda d: d.keyBy(f.weight), "keyed")
    add(HASHABLE, "keyBy(weight)", lambda d: d.keyBy(f.weight), "things")
    add(ANY, "glom().flatMap(identity)", lambda d: d.glom().flatMap(f.identity))
    add(PAIRS, "keys()", lambda d: d.keys(), "things" if kind == "pairs" else "ints")
    add(PAIRS, "values()", lambda d: d.values(), "ints" if kind == "pairs" else "blobs")
    add(("pairs",), "map(key_weight_first)", lambda d: d.map(f.key_weight_first))
    add(("pairs",), "mapValues(one_more)", lambda d: d.mapValues(f.one_more))
    add(("keyed",), "mapValues(listed)", lambda d: d.mapValues(f.listed))
    add(("pairs",), "flatMapValues(below_three)", lambda d: d.flatMapValues(f.below_three))
    if ordered and kind in HASHABLE:
        found.append(st.just(Step("zipWithIndex()", lambda d: d.zipWithIndex(), "pairs", needs_order=True)))
        found.append(st.just(Step("zip(map(weight))", lambda d: d.zip(d.map(f.weight)), "pairs", needs_order=True)))
    # Kept and cut: what is computed stays the same. Each on an RDD of its own: one RDD has one level, and after a local checkpoint its
    # blocks are all there is.
    level = st.sampled_from(LEVELS)
    found.append(level.map(lambda level: Step(f"persist({level!r})", lambda d: _own(d).persist(level))))
    found.append(level.map(lambda level: Step(f"persist({level!r}), count()", lambda d: _counted(_own(d).persist(level)))))
    found.append(st.just(Step("persist(), count(), unpersist()", lambda d: _counted(_own(d).persist()).unpersist())))
    found.append(st.just(Step("localCheckpoint(), count()", lambda d: _checkpointed(_own(d), local=True))))
    found.append(st.just(Step("checkpoint(), count()", lambda d: _checkpointed(_own(d), local=False))))
    # Two datasets.
    with_other(ANY, "union(other)", lambda d, other: d.union(other))
    with_other(HASHABLE, "cartesian(other)", lambda d, other: d.cartesian(other), "things")
    with_other(HASHABLE, "intersection(other)", lambda d, other: d.intersection(other))
    with_other(HASHABLE, "subtract(other)", lambda d, other: d.subtract(other))
    with_other(PAIRS, "join(other)", lambda d, other: d.join(other).values(), hashable_wrapped if kind == "pairs" else "blobs")
    with_other(("pairs",), "leftOuterJoin(other, 3)", lambda d, other: d.leftOuterJoin(other, 3), "things")
    with_other(("pairs",), "rightOuterJoin(other)", lambda d, other: d.rightOuterJoin(other), "things")
    with_other(("pairs",), "fullOuterJoin(other)", lambda d, other: d.fullOuterJoin(other), "things")
    with_other(PAIRS, "subtractByKey(other)", lambda d, other: d.subtractByKey(other))
    with_other(("pairs",), "cogroup(other).mapValues(bags)", lambda d, other: d.cogroup(other).mapValues(_bags), "things")
    with_other(("keyed",), "cogroup(other).mapValues(bags)", lambda d, other: d.cogroup(other).mapValues(_bags), "blobs")
    # Wide.
    with_width(ANY, "repartition(n)", lambda d, n: d.repartition(n), least=True)
    with_width(ANY, "coalesce(n)", lambda d, n: d.coalesce(n), least=True)
    with_width(HASHABLE, "distinct(n)", lambda d, n: d.distinct(n))
    sorting = st.tuples(st.sampled_from([rank, f.weight]), st.booleans(), widths)
    found.append(sorting.map(lambda how: Step(f"sortBy({how[0].__name__}, {how[1]}, {how[2]})", lambda d: d.sortBy(*how))))
    with_width(HASHABLE, "groupBy(weight, n).mapValues(bag)", lambda d, n: d.groupBy(f.weight, n).mapValues(bag), "things")
    with_width(PAIRS, "partitionBy(n)", lambda d, n: d.partitionBy(n), least=True)
    if kind in PAIRS:
        by_key = st.tuples(st.booleans(), widths)
        found.append(by_key.map(lambda how: Step(f"sortByKey({how[0]}, {how[1]}, rank)", lambda d: d.sortByKey(*how, rank))))
    with_width(("pairs",), "groupByKey(n).mapValues(bag)", lambda d, n: d.groupByKey(n).mapValues(bag), "things")
    with_width(("keyed",), "groupByKey(n).mapValues(bag)", lambda d, n: d.groupByKey(n).mapValues(bag), "blobs")
    with_width(("pairs",), "reduceByKey(add, n)", lambda d, n: d.reduceByKey(f.add, n))
    with_width(("pairs",), "reduceByKey(operator.add, n)", lambda d, n: d.reduceByKey(operator.add, n))
    with_width(("pairs",), "reduceByKey(lambda a, b: a + b, n)", lambda d, n: d.reduceByKey(lambda a, b: a + b, n))
    with_width(("pairs",), "reduceByKey(max, n)", lambda d, n: d.reduceByKey(max, n))
    with_width(("pairs",), "reduceByKey(min, n)", lambda d, n: d.reduceByKey(min, n))
    with_width(("pairs",), "reduceByKey(larger, n)", lambda d, n: d.reduceByKey(f.larger, n))
    with_width(("pairs",), "foldByKey(0, add, n)", lambda d, n: d.foldByKey(0, f.add, n))
    with_width(("pairs",), "aggregateByKey(n)", lambda d, n: d.aggregateByKey((0, 0), f.count_and_sum, f.both_sums, n), "things")
    with_width(("keyed",), "aggregateByKey(n)", lambda d, n: d.aggregateByKey(0, f.weights, f.add, n), "pairs")
    with_width(("pairs",), "combineByKey(n)", lambda d, n: d.combineByKey(f.first_of_group, f.count_and_sum, f.both_sums, n), "things")
    return found


def _own(dataset: Any) -> Any:
    return dataset.filter(f.always)


def _checkpointed(dataset: Any, local: bool) -> Any:
    if local:
        dataset.localCheckpoint()
    else:
        dataset.checkpoint()
    return _counted(dataset)


def _counted(dataset: Any) -> Any:
    dataset.count()
    return dataset


def _bags(groups: Sequence[Any]) -> tuple[Any, ...]:
    return tuple(map(bag, groups))


def actions_on(kind: str, plain: PlainRDD) -> list[st.SearchStrategy[Step]]:
    """Actions that give an answer here: what they raise for no records is tested elsewhere."""
    numbers = st.integers(0, 12)
    found: list[st.SearchStrategy[Step]] = [
        st.just(Step("collect()", lambda d: d.collect())),
        st.just(Step("count()", lambda d: d.count())),
        st.just(Step("isEmpty()", lambda d: d.isEmpty())),
        st.just(Step("toLocalIterator()", lambda d: _listed(d.toLocalIterator()))),
        numbers.map(lambda n: Step(f"take({n})", lambda d: d.take(n))),
        numbers.map(lambda n: Step(f"top({n}, rank)", lambda d: d.top(n, rank))),
        numbers.map(lambda n: Step(f"takeOrdered({n}, rank)", lambda d: d.takeOrdered(n, rank))),
        st.just(Step("aggregate(0, weights, add)", lambda d: d.aggregate(0, f.weights, f.add))),
        st.just(Step("treeAggregate(0, weights, add)", lambda d: d.treeAggregate(0, f.weights, f.add))),
    ]
    if plain.records:
        found += [st.just(Step("max(rank)", lambda d: d.max(rank))), st.just(Step("min(rank)", lambda d: d.min(rank)))]
    if kind in HASHABLE:
        found.append(st.just(Step("countByValue()", lambda d: dict(d.countByValue()))))
    if kind in PAIRS:
        found.append(st.just(Step("countByKey()", lambda d: dict(d.countByKey()))))
        key = st.sampled_from([*(k for k, _ in plain.records), None, 99])
        found.append(key.map(lambda k: Step(f"lookup({k!r})", lambda d: d.lookup(k))))
    if kind == "pairs":
        found.append(st.just(Step("reduceByKeyLocally(add)", lambda d: d.reduceByKeyLocally(f.add))))
    if kind == "ints":
        found += [st.just(Step("sum()", lambda d: d.sum())), st.just(Step("fold(0, add)", lambda d: d.fold(0, f.add)))]
        if plain.records:
            found += [
                st.just(Step("reduce(add)", lambda d: d.reduce(f.add))),
                st.just(Step("treeReduce(larger)", lambda d: d.treeReduce(f.larger))),
            ]
    return found


def _listed(records: Any) -> Any:
    """An iterator's records; the plain answer as it is."""
    return list(records) if hasattr(records, "__next__") else records


@st.composite
def pipelines(draw: st.DrawFn) -> Pipeline:
    kind = draw(st.sampled_from((*ANY, "pairs", "pairs", "things")))
    source = draw(sources(kind))
    steps: list[Step] = []
    dataset = source.make(plain)
    for _ in range(draw(st.integers(1, LONGEST))):
        step = draw(st.one_of(steps_on(kind, dataset.ordered)))
        after = step(dataset, plain)
        if len(after.records) > MOST_RECORDS:
            continue
        steps.append(step)
        dataset, kind = after, kind if step.becomes == "same" else step.becomes
    return Pipeline(source, tuple(steps), draw(st.one_of(actions_on(kind, dataset))))


@st.composite
def around_one_step(draw: st.DrawFn, kind: str, number: int) -> Pipeline:
    """A source, perhaps a shuffle, then the step with this number on its kind, and collect: so that chance leaves out none."""
    source = draw(sources(kind, ((4, 12), (10, 40))))
    before = draw(st.sampled_from([(), (Step("repartition(3)", lambda d: d.repartition(3)),)]))
    dataset = reduce(lambda dataset, step: step(dataset, plain), before, source.make(plain))
    choices = steps_on(kind, ordered=True)
    step = draw(choices[number])
    if step.needs_order and not dataset.ordered:
        before, dataset = (), source.make(plain)
    return Pipeline(source, (*before, step), Step("collect()", lambda d: d.collect()))
