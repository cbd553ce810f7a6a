"""Every operator and action once while executors are killed: every job loses a running task, twice where an RDD comes of it.

The first attempt at partition 0 of each operator's input, and later of its outcome, says that it runs and stays. When all of a group's
have said so, every executor gets SIGKILL. A public name of RDD that has no entry here fails a test.
"""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from operator import add
from pathlib import Path
from typing import Any

import pytest
from harness import eventually
from programs import hold_once
from test_survival import Cluster, executor_pids

from quiver import RDD, Conf, Context, StorageLevel

pytestmark = pytest.mark.filterwarnings("ignore:(mapPartitionsWithSplit|collectWithJobGroup) is deprecated:FutureWarning")

CORES = 8
"""Of each of two nodes: all of a group's held tasks, and at least four slots for the others, have room at once."""
GROUP = 10
LIMIT_S = 120.0

NUMBERS = list(range(12))
PAIRS = [(x % 3, x) for x in NUMBERS]
OTHER = [(0, "a"), (2, "b"), (2, "c"), (7, "d")]
JOINED = [(k, (x, y)) for k, x in PAIRS for j, y in OTHER if j == k]
LEFT_ONLY = [(1, (x, None)) for k, x in PAIRS if k == 1]
RIGHT_ONLY = [(7, (None, "d"))]
GROUPS = [(k, [x for j, x in PAIRS if j == k]) for k in range(3)]
SUMS = [(k, sum(xs)) for k, xs in GROUPS]


@dataclass(frozen=True)
class Given:
    """What an operator works on: 12 numbers and 12 pairs in 4 partitions, both held; another dataset; an empty directory of its own."""

    sc: Context
    numbers: RDD[int]
    pairs: RDD[tuple[int, int]]
    other: RDD[tuple[int, str]]
    directory: Path


def listed(groups: Any) -> list[Any]:
    return list(map(list, groups))


def keep(pair: Any) -> Any:
    return pair


def by_ten(text: str) -> int:
    return int(text) * 10


# ---- operators: name -> (an RDD of it, its records, whether in this order) ----

OPERATORS: dict[str, tuple[Callable[[Given], Any], list[Any], bool]] = {
    "aggregateByKey": (lambda g: g.pairs.aggregateByKey(0, add, add), SUMS, False),
    "barrier": (lambda g: g.numbers.barrier().mapPartitions(lambda part: [sum(part)]), [3, 12, 21, 30], True),
    "cache": (lambda g: counted(g.numbers.cache()), NUMBERS, True),
    "cartesian": (lambda g: g.numbers.cartesian(g.other.keys()), [(x, k) for x in NUMBERS for k, _ in OTHER], False),
    "checkpoint": (lambda g: checkpointed(g.numbers), NUMBERS, True),
    "coalesce": (lambda g: g.numbers.coalesce(2), NUMBERS, True),
    "cogroup": (
        lambda g: g.pairs.cogroup(g.other).mapValues(lambda both: [sorted(each) for each in both]),
        [(0, [[0, 3, 6, 9], ["a"]]), (1, [[1, 4, 7, 10], []]), (2, [[2, 5, 8, 11], ["b", "c"]]), (7, [[], ["d"]])],
        False,
    ),
    "combineByKey": (lambda g: g.pairs.combineByKey(keep, add, add), SUMS, False),
    "distinct": (lambda g: g.numbers.map(lambda x: x % 5).distinct(), [0, 1, 2, 3, 4], False),
    "filter": (lambda g: g.numbers.filter(lambda x: x % 2), NUMBERS[1::2], True),
    "flatMap": (lambda g: g.numbers.flatMap(lambda x: [x] * (x % 2)), NUMBERS[1::2], True),
    "flatMapValues": (lambda g: g.pairs.flatMapValues(lambda x: [x] * (x % 2)), [(k, x) for k, x in PAIRS if x % 2], True),
    "foldByKey": (lambda g: g.pairs.foldByKey(0, add), SUMS, False),
    "fullOuterJoin": (lambda g: g.pairs.fullOuterJoin(g.other), JOINED + LEFT_ONLY + RIGHT_ONLY, False),
    "glom": (lambda g: g.numbers.glom(), [[0, 1, 2], [3, 4, 5], [6, 7, 8], [9, 10, 11]], True),
    "groupBy": (lambda g: g.numbers.groupBy(lambda x: x % 3).mapValues(sorted), GROUPS, False),
    "groupByKey": (lambda g: g.pairs.groupByKey().mapValues(sorted), GROUPS, False),
    "groupWith": (
        lambda g: g.pairs.groupWith(g.other, g.other).mapValues(lambda all: sum(map(len, all))),
        [(0, 6), (1, 4), (2, 8), (7, 2)],
        False,
    ),
    "intersection": (lambda g: g.numbers.intersection(g.other.keys()), [0, 2, 7], False),
    "join": (lambda g: g.pairs.join(g.other), JOINED, False),
    "keyBy": (lambda g: g.numbers.keyBy(lambda x: x % 3), PAIRS, True),
    "keys": (lambda g: g.pairs.keys(), [k for k, _ in PAIRS], True),
    "leftOuterJoin": (lambda g: g.pairs.leftOuterJoin(g.other), JOINED + LEFT_ONLY, False),
    "map": (lambda g: g.numbers.map(lambda x: -x), [-x for x in NUMBERS], True),
    "mapPartitions": (lambda g: g.numbers.mapPartitions(lambda part: [sum(part)]), [3, 12, 21, 30], True),
    "mapPartitionsWithIndex": (
        lambda g: g.numbers.mapPartitionsWithIndex(lambda i, part: [(i, sum(part))]),
        [(0, 3), (1, 12), (2, 21), (3, 30)],
        True,
    ),
    "mapPartitionsWithSplit": (lambda g: g.numbers.mapPartitionsWithSplit(lambda i, part: [i]), [0, 1, 2, 3], True),
    "mapValues": (lambda g: g.pairs.mapValues(lambda x: -x), [(k, -x) for k, x in PAIRS], True),
    "partitionBy": (lambda g: g.pairs.partitionBy(3), PAIRS, False),
    "persist": (lambda g: counted(g.numbers.persist(StorageLevel.MEMORY_AND_DISK_2)), NUMBERS, True),
    "pipe": (lambda g: g.numbers.pipe("cat"), [str(x) for x in NUMBERS], True),
    "randomSplit": (lambda g: g.sc.union(g.numbers.randomSplit([1, 2], 5)), NUMBERS, False),
    "reduceByKey": (lambda g: g.pairs.reduceByKey(add), SUMS, False),
    "repartition": (lambda g: g.numbers.repartition(3), NUMBERS, False),
    "repartitionAndSortWithinPartitions": (
        lambda g: g.pairs.repartitionAndSortWithinPartitions(2, lambda key: key % 2).keys(),
        [0] * 4 + [2] * 4 + [1] * 4,
        True,
    ),
    "rightOuterJoin": (lambda g: g.pairs.rightOuterJoin(g.other), JOINED + RIGHT_ONLY, False),
    "sample": (lambda g: g.numbers.sample(False, 1.0, 3), NUMBERS, True),
    "sampleByKey": (lambda g: g.pairs.sampleByKey(False, {0: 1.0, 1: 0.0, 2: 1.0}, 3), [(k, x) for k, x in PAIRS if k != 1], True),
    "sortBy": (lambda g: g.numbers.sortBy(lambda x: (x % 3, -x)), sorted(NUMBERS, key=lambda x: (x % 3, -x)), True),
    "sortByKey": (lambda g: g.pairs.sortByKey(False, 2), sorted(PAIRS, key=lambda pair: -pair[0]), True),
    "subtract": (lambda g: g.numbers.subtract(g.other.keys()), [x for x in NUMBERS if x not in (0, 2, 7)], False),
    "subtractByKey": (lambda g: g.pairs.subtractByKey(g.other), [(k, x) for k, x in PAIRS if k == 1], False),
    "union": (lambda g: g.numbers.union(g.other.keys()), [*NUMBERS, 0, 2, 2, 7], True),
    "unpersist": (lambda g: counted(g.numbers.cache()).unpersist(True), NUMBERS, True),
    "values": (lambda g: g.pairs.values(), NUMBERS, True),
    "zip": (lambda g: g.numbers.zip(g.numbers.map(str)), [(x, str(x)) for x in NUMBERS], True),
    "zipWithIndex": (lambda g: g.numbers.map(str).zipWithIndex(), [(str(x), x) for x in NUMBERS], True),
    "zipWithUniqueId": (lambda g: g.numbers.zipWithUniqueId(), [(x, x % 3 * 4 + x // 3) for x in NUMBERS], True),
}


def counted(rdd: RDD[Any]) -> RDD[Any]:
    assert rdd.count() == len(NUMBERS)
    return rdd


def checkpointed(rdd: RDD[Any]) -> RDD[Any]:
    rdd.checkpoint()
    counted(rdd)
    assert rdd.isCheckpointed()
    return rdd


# ---- actions: name -> (what it gives, which must be this) ----

ACTIONS: dict[str, tuple[Callable[[Given], Any], Any]] = {
    "aggregate": (lambda g: g.numbers.aggregate(0, add, add), 66),
    "collect": (lambda g: g.numbers.collect(), NUMBERS),
    "collectAsMap": (lambda g: g.numbers.map(lambda x: (x, -x)).collectAsMap(), {x: -x for x in NUMBERS}),
    "collectWithJobGroup": (lambda g: g.numbers.collectWithJobGroup("group", "of its own"), NUMBERS),
    "count": (lambda g: g.numbers.count(), 12),
    "countApprox": (lambda g: g.numbers.countApprox(600_000), 12),
    "countApproxDistinct": (lambda g: g.numbers.countApproxDistinct(), 12),
    "countByKey": (lambda g: dict(g.pairs.countByKey()), {0: 4, 1: 4, 2: 4}),
    "countByValue": (lambda g: dict(g.pairs.keys().countByValue()), {0: 4, 1: 4, 2: 4}),
    "first": (lambda g: g.numbers.first(), 0),
    "fold": (lambda g: g.numbers.fold(0, add), 66),
    "foreach": (lambda g: touched(g.directory, lambda touch: g.numbers.foreach(touch)), {str(x) for x in NUMBERS}),
    "foreachPartition": (
        lambda g: touched(g.directory, lambda touch: g.numbers.foreachPartition(lambda part: touch(sum(part)))),
        {"3", "12", "21", "30"},
    ),
    "histogram": (lambda g: g.numbers.histogram(2), ([0.0, 5.5, 11], [6, 6])),
    "isEmpty": (lambda g: g.numbers.isEmpty(), False),
    "localCheckpoint": (lambda g: (g.numbers.localCheckpoint(), g.numbers.collect())[1], NUMBERS),
    "lookup": (lambda g: g.pairs.lookup(1), [1, 4, 7, 10]),
    "max": (lambda g: g.numbers.max(), 11),
    "mean": (lambda g: g.numbers.mean(), 5.5),
    "meanApprox": (lambda g: float(g.numbers.meanApprox(600_000)), 5.5),
    "min": (lambda g: g.numbers.min(), 0),
    "reduce": (lambda g: g.numbers.reduce(add), 66),
    "reduceByKeyLocally": (lambda g: g.pairs.reduceByKeyLocally(add), dict(SUMS)),
    "sampleStdev": (lambda g: round(g.numbers.sampleStdev(), 6), 3.605551),
    "sampleVariance": (lambda g: g.numbers.sampleVariance(), 13.0),
    "saveAsPickleFile": (
        lambda g: (g.numbers.saveAsPickleFile(f"{g.directory}/p"), sorted(g.sc.pickleFile(f"{g.directory}/p").collect()))[1],
        NUMBERS,
    ),
    "saveAsTextFile": (lambda g: (g.numbers.saveAsTextFile(f"{g.directory}/t"), lines_in(g.directory / "t"))[1], [str(x) for x in NUMBERS]),
    "stats": (lambda g: (g.numbers.stats().count(), g.numbers.stats().mean(), g.numbers.stats().max()), (12, 5.5, 11.0)),
    "stdev": (lambda g: round(g.numbers.stdev(), 6), 3.452053),
    "sum": (lambda g: g.numbers.sum(), 66),
    "sumApprox": (lambda g: float(g.numbers.sumApprox(600_000)), 66.0),
    "take": (lambda g: g.numbers.take(7), NUMBERS[:7]),
    "takeOrdered": (lambda g: g.numbers.takeOrdered(3, lambda x: -x), [11, 10, 9]),
    "takeSample": (lambda g: sorted(g.numbers.takeSample(False, 20, 1)), NUMBERS),
    "toLocalIterator": (lambda g: list(g.numbers.toLocalIterator()), NUMBERS),
    "top": (lambda g: g.numbers.top(3), [11, 10, 9]),
    "treeAggregate": (lambda g: g.numbers.treeAggregate(0, add, add), 66),
    "treeReduce": (lambda g: g.numbers.treeReduce(add), 66),
    "variance": (lambda g: round(g.numbers.variance(), 6), 11.916667),
}

START_NO_JOB = {
    "cleanShuffleDependencies", "context", "ctx", "getCheckpointFile", "getNumPartitions", "getResourceProfile", "getStorageLevel", "id",
    "isCheckpointed", "isLocallyCheckpointed", "is_cached", "is_checkpointed", "name", "partitioner", "setName", "toDebugString",
    "withResources", "has_resource_profile",
}  # fmt: skip
NEED_A_JVM = {
    "saveAsHadoopDataset", "saveAsHadoopFile", "saveAsNewAPIHadoopDataset", "saveAsNewAPIHadoopFile", "saveAsSequenceFile",
}  # fmt: skip
MAKE_DATAFRAMES = {"toDF"}


def touched(directory: Path, run: Callable[[Callable[[Any], None]], None]) -> set[str]:
    """The names of the files that tasks made."""
    folder = str(directory)
    run(lambda name: open(f"{folder}/{name}", "w").close())
    return {path.name for path in directory.iterdir()}


def lines_in(folder: Path) -> list[str]:
    assert (folder / "_SUCCESS").exists()
    return [line for part in sorted(folder.glob("part-*")) for line in part.read_text().splitlines()]


PUBLIC = {name for name in dir(RDD) if not name.startswith("_")}


def test_every_public_name_has_an_entry() -> None:
    known = [*OPERATORS, *ACTIONS, *START_NO_JOB, *NEED_A_JVM, *MAKE_DATAFRAMES]
    assert len(known) == len(set(known)), "an entry in two tables"
    assert PUBLIC - set(known) == set(), "new names: give each an entry above"


# ---- the cluster, and what is done to it ----


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    # Stand-alone, because local-cluster[…] rightly gives up an application whose executors die more than ten times.
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("QUIVER_MANAGER_MAX_EXECUTOR_DEATHS", "1000000")
        made = Cluster(tmp_path_factory.mktemp("cluster"))
    made.start_node("node-a", CORES, "2g")
    made.start_node("node-b", CORES, "2g")
    yield made
    made.stop()


@pytest.fixture(scope="module")
def sc(cluster: Cluster) -> Iterator[Context]:
    place = cluster.directory
    conf = Conf(loadDefaults=False).setMaster(cluster.url).setAppName("kills").set("quiver.secret.file", str(place / "secret"))
    conf.set("quiver.eventLog.dir", str(place / "events")).set("spark.ui.enabled", False)
    # How often a task may be lost is another test's matter: on a busy machine one can be sent to the next that is about to be killed.
    conf.set("spark.task.maxFailures", 100)
    with Context(conf=conf) as context:
        context.setCheckpointDir(str(place / "checkpoints"))
        yield context


class Running:
    """One entry in a thread of its own."""

    def __init__(self, sc: Context, name: str, directory: Path) -> None:
        self.name = name
        self.marks = [directory / f"{name}-input-held"]
        self.wrong = ""
        folder = directory / name
        folder.mkdir()
        before = partial(hold_once, str(self.marks[0]))
        given = Given(
            sc,
            sc.parallelize(NUMBERS, 4).mapPartitionsWithIndex(before),
            sc.parallelize(PAIRS, 4).mapPartitionsWithIndex(before),
            sc.parallelize(OTHER, 2),
            folder,
        )
        if name in OPERATORS:
            self.marks.append(directory / f"{name}-outcome-held")
        self.thread = threading.Thread(target=self._run, args=(given,), name=name)
        self.thread.start()

    def _run(self, given: Given) -> None:
        try:
            if self.name in OPERATORS:
                make, expected, ordered = OPERATORS[self.name]
                found = make(given).mapPartitionsWithIndex(partial(hold_once, str(self.marks[1]))).collect()
                right = found == expected if ordered else sorted(found, key=repr) == sorted(expected, key=repr)
            else:
                run, expected = ACTIONS[self.name]
                found = run(given)
                right = found == expected
            if not right:
                self.wrong = f"{self.name} gave {found}, not {expected}"
        except BaseException as error:
            self.wrong = f"{self.name} raised {error!r}"

    def __repr__(self) -> str:
        return f"{self.name} {[mark.exists() for mark in self.marks]} {self.thread.is_alive()} {self.wrong}"

    def is_held(self, number: int) -> bool:
        """Whether it is where it shall be killed for the number-th time; or over."""
        return not self.thread.is_alive() or (number < len(self.marks) and self.marks[number].exists())


ENTRIES = [name for name in [*OPERATORS, *ACTIONS] if name in PUBLIC]


@pytest.mark.parametrize("names", [ENTRIES[i : i + GROUP] for i in range(0, len(ENTRIES), GROUP)], ids=lambda names: names[0])
def test_under_kills(sc: Context, cluster: Cluster, tmp_path: Path, names: list[str]) -> None:
    runs = [Running(sc, name, tmp_path) for name in names]
    for number in range(max(len(run.marks) for run in runs)):
        eventually(lambda number=number: all(run.is_held(number) for run in runs), f"all of {runs} hold a task", LIMIT_S)
        for pid in [pid for node in ("node-a", "node-b") for pid in executor_pids(cluster.processes[node].pid)]:
            os.kill(pid, signal.SIGKILL)
    for run in runs:
        run.thread.join(LIMIT_S)
    assert not [run.name for run in runs if run.thread.is_alive()], "these did not end"
    assert [run.wrong for run in runs if run.wrong] == []
    assert all(mark.exists() for run in runs for mark in run.marks), "a task was never held: nothing was killed under it"
