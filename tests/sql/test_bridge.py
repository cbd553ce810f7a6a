"""RDDs as relations and relations as RDDs, in one task, in stages, and on executors that don't see one another's files."""

from __future__ import annotations

import contextlib
import datetime
import os
import signal
from collections.abc import Callable, Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import pytest

from quiver import Conf, Context, StorageLevel
from quiver.errors import BatchMismatch
from quiver.sql import Row, Session
from quiver.sql import functions as F
from quiver.sql import types as t
from quiver_executor import fragment
from quiver_proto import blocks
from quiver_proto.fragments import scans


@pytest.fixture(scope="module", params=["inline", "local[2] staged", "local-cluster[2,1,512m]"])
def bridged(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Session]:
    master, _, how = request.param.partition(" ")
    folder = tmp_path_factory.mktemp("bridge")
    conf = Conf(loadDefaults=False).set("quiver.eventLog.dir", str(folder / "events")).set("quiver.local.dir", str(folder / "local"))
    conf.set("spark.ui.enabled", "false").set("quiver.sql.oneTask.maxBytes", "1" if how else "1g")
    with Session(Context(master, "test", conf=conf)) as session:
        yield session


def test_an_rdd_is_joined_grouped_and_joined_with_another(bridged: Session) -> None:
    sc = bridged.context
    sales = sc.parallelize([Row(shop=i % 5, amount=i) for i in range(1000)], 7).toDF()
    assert sales.dtypes == [("shop", "bigint"), ("amount", "bigint")]
    shops = sc.parallelize([(i, f"shop {i}") for i in range(4)], 3).reduceByKey(lambda a, b: a).toDF("id int, name string")
    told = bridged.createDataFrame([(0, "north"), (1, "south"), (2, "east")], ["id", "where"])
    joined = sales.join(shops, sales.shop == shops.id).join(told, "id", "left")
    totals = joined.groupBy("name", "where").agg(F.sum("amount").alias("sum")).orderBy("name")
    expected = [Row(name=f"shop {i}", where=where, sum=sum(range(i, 1000, 5))) for i, where in enumerate(["north", "south", "east", None])]
    assert totals.collect() == expected
    assert sorted(totals.rdd.map(lambda row: row["sum"]).collect()) == sorted(row["sum"] for row in expected)
    assert sales.union(sales).count() == 2000
    assert [sales.count(), sales.select().count(), sales.where("amount < 0").count()] == [1000, 1000, 0]
    assert sales.orderBy(F.desc("amount")).rdd.take(2) == [Row(shop=4, amount=999), Row(shop=3, amount=998)]


def test_types_survive_both_ways(bridged: Session) -> None:
    schema = (
        "b boolean, i tinyint, d decimal(10,2), s string, x binary, day date, at timestamp, n timestamp_ntz, "
        "a array<struct<u:int>>, m map<string,double>"
    )
    moment = datetime.datetime(2024, 5, 17, 12, 30, 1, 250000)
    full = (True, 7, Decimal("12.34"), "é", b"\0\1", moment.date(), moment, moment, [Row(u=1), Row(u=None)], {"k": 1.5})
    empty = (None,) * 10
    df = bridged.context.parallelize([full, empty], 5).toDF(schema)
    assert [tuple(row) for row in df.collect()] == [full, empty]
    again = df.rdd.toDF(df.schema)
    assert again.schema == df.schema
    assert [tuple(row) for row in again.collect()] == [full, empty]
    assert [tuple(row) for row in again.filter("i = 7").rdd.collect()] == [full]


def test_batches_are_records_and_partitions_may_be_empty(bridged: Session) -> None:
    sc, runtime = bridged.context, bridged._state.runtime
    kinds = t.StructType([t.StructField("v", t.LongType())])

    def batches(parts: Iterator[int]) -> Iterator[pa.RecordBatch]:
        for part in parts:
            for start in range(0, part, 2):
                yield pa.record_batch({"anything": pa.array(range(start, min(part, start + 2)), pa.int64())})

    rdd = sc.parallelize([0, 5, 0, 3], 4).mapPartitions(batches)
    df = bridged._dataframe(runtime.produced(rdd, kinds, bridged._state.new_id))
    assert df.agg(F.sum("v"), F.count("*")).collect() == [(13, 8)]
    assert bridged._dataframe(runtime.produced(sc.emptyRDD(), kinds, bridged._state.new_id)).groupBy("v").count().collect() == []
    back = df._batches()
    assert all(isinstance(batch, pa.RecordBatch) and batch.schema.names == ["v"] for batch in back.collect())
    assert sum(batch.num_rows for batch in back.persist(StorageLevel.MEMORY_AND_DISK).collect()) == 8
    assert back.map(lambda batch: batch.num_rows).sum() == 8
    wrong = rdd.map(lambda batch: batch.set_column(0, "v", batch.column(0).cast(pa.float64())))
    with pytest.raises(BatchMismatch, match="column v is of type double, not int64"):
        bridged._dataframe(runtime.produced(wrong, kinds, bridged._state.new_id)).count()


def test_rows_stay_where_tasks_run(bridged: Session) -> None:
    """No row of an RDD passes through the driver on its way into a query, nor one of a relation on its way to a function."""
    sc = bridged.context
    driver, inline = os.getpid(), sc.master == "inline"
    seen = sc.accumulator(0)

    def noted(row: Any) -> Any:
        assert inline or os.getpid() != driver
        seen.add(1)
        return row

    df = sc.parallelize([(i, "x" * 100) for i in range(2000)], 4).map(noted).toDF("i int, s string")
    assert df.agg(F.max("i")).collect() == [(1999,)]
    assert seen.value == 2000
    df.foreach(noted)
    assert seen.value == 6000
    assert next(df.toLocalIterator(prefetchPartitions=True)).i == 0


def harm(file: Path, part: str) -> None:
    """Damage a map output."""
    data = bytearray(file.read_bytes())
    index = data.rfind(blocks.MAGIC)
    places = {"cut": len(data) - 9, "pieces": 600, "index": index - 8, "footer": (index + len(data)) // 2, "end": len(data) - 8}
    if part == "unlinked":
        file.unlink()
    elif part == "cut":
        os.truncate(file, places[part])
    else:
        data[places[part]] ^= 0x41
        file.write_bytes(data)


def test_what_was_lost_is_made_again(bridged: Session, tmp_path: Path) -> None:
    sc = bridged.context
    places = Path(str(sc._conf.get("quiver.local.dir")))
    df = sc.parallelize([(i % 10, i) for i in range(1000)], 4).toDF("k int, v int")
    rows = df.groupBy("k").agg(F.sum("v").alias("v")).rdd
    assert rows.map(lambda row: row.v).sum() == 499500
    for part in ("unlinked", "footer", "cut", "pieces", "index", "end")[: 6 if sc.master == "inline" else 2]:
        files = list(places.rglob("map-*.arrow"))
        assert files
        for file in files:
            with contextlib.suppress(FileNotFoundError):  # Of an earlier test, whose shuffles are let go meanwhile.
                harm(file, part)
        assert rows.map(lambda row: row.v).sum() == 499500, part
    del rows


def test_what_is_damaged_while_the_kernel_reads_it_is_made_again(bridged: Session, monkeypatch: pytest.MonkeyPatch) -> None:
    """It was verified before, and the kernel's errors name nothing."""
    if bridged.context.master != "inline":
        return
    df = bridged.context.parallelize([(i % 10, i) for i in range(1000)], 2).toDF("k int, v int").groupBy("k").agg(F.sum("v").alias("v"))
    harms: list[Callable[[Path], Any]] = []
    decoded = fragment._decoded

    def harmed(context: Any, plan: Any) -> Any:
        files = [Path(f"/{file.path}") for scan in scans(plan) for group in scan.base_conf.file_groups for file in group.files]
        if files and harms:
            harms.pop()(files[0])
        return decoded(context, plan)

    monkeypatch.setattr(fragment, "_decoded", harmed)
    harms += [lambda file: file.unlink(), lambda file: os.truncate(file, 0)]
    assert sum(row.v for row in df.collect()) == 499500
    assert not harms
    harms += [lambda file: os.truncate(file, file.stat().st_size - 3), lambda file: file.write_bytes(b"x" * file.stat().st_size)]
    assert sum(df.rdd.map(lambda row: row.v).collect()) == 499500
    assert not harms


def test_the_shuffles_of_a_query_go_with_it(bridged: Session) -> None:
    sc = bridged.context
    released: list[int] = []
    release = sc._driver.release_shuffle
    sc._driver.release_shuffle = lambda shuffle: (released.append(shuffle), release(shuffle))[1]
    try:
        df = sc.parallelize([(i,) for i in range(10)], 2).toDF(["i"])
        assert df.count() == 10
        assert released
        jobs = len(released)
        assert df.groupBy("i").count().count() == 10
        assert len(released) > jobs
    finally:
        del sc._driver.release_shuffle


def test_slots_that_die_in_functions(bridged: Session, tmp_path: Path) -> None:
    can_die = bridged.context.master != "inline"

    def dies(kind: str) -> None:
        if can_die and not (tmp_path / kind).exists():
            (tmp_path / kind).touch()
            os.kill(os.getpid(), signal.SIGKILL)

    def of_row(n: int) -> int:
        if n == 17:
            dies("row")
        return n + 1

    @F.pandas_udf("long")
    def of_series(parts: Iterator[pd.Series]) -> Iterator[pd.Series]:
        for part in parts:
            if 18 in set(part):
                dies("series")
            yield part * 2

    def of_group(group: pd.DataFrame) -> pd.DataFrame:
        if group.k[0] == 1:
            dies("group")
        return pd.DataFrame({"k": group.k[:1], "n": [len(group)], "total": [group.v.sum()]})

    @F.pandas_udf("long")
    def sums(v: pd.Series) -> int:
        dies("sums")
        return int(v.sum())

    rows = bridged.range(0, 30, 1, 3).select((F.col("id") % 3).alias("k"), of_series(F.udf(of_row, "long")("id")).alias("v"))
    found = rows.groupBy("k").applyInPandas(of_group, "k long, n long, total long").collect()
    assert sorted(found) == [(k, 10, sum(2 * (n + 1) for n in range(k, 30, 3))) for k in range(3)]
    assert rows.agg(sums("v")).collect() == [(sum(2 * (n + 1) for n in range(30)),)]
    assert sorted(each.name for each in tmp_path.iterdir()) == (["group", "row", "series", "sums"] if can_die else [])
