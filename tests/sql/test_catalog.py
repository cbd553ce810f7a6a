"""Databases, tables and views of an application, and which session a thread has."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from quiver import Conf, Context
from quiver.sql import Session
from quiver.sql.errors import AnalysisException, PySparkRuntimeError, UnsupportedOperationException


@pytest.fixture(scope="module")
def spark(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Session]:
    folder = tmp_path_factory.mktemp("catalog")
    conf = Conf(loadDefaults=False).set("quiver.eventLog.dir", str(folder / "events")).set("spark.ui.enabled", "false")
    conf.set("spark.sql.warehouse.dir", str(folder / "warehouse"))
    with Session(Context("inline", "test", conf=conf)) as session:
        yield session


def test_tables_are_of_a_database_and_shared_by_sessions(spark: Session) -> None:
    catalog = spark.catalog
    catalog.createDatabase("sales", properties={"comment": "what was sold"})
    table = catalog.createTable("sales.orders", schema=spark.range(1).schema, description="one a row")
    assert (table.columns, table.count()) == (["id"], 0)
    pq.write_table(pa.table({"id": [1, 2]}), Path(catalog.getDatabase("sales").locationUri.removeprefix("file://")) / "orders/part.parquet")
    other = spark.newSession()
    assert other.table("spark_catalog.sales.orders").count() == 2
    other.catalog.setCurrentDatabase("sales")
    assert [row.id for row in other.sql("SELECT orders.id FROM orders ORDER BY 1").collect()] == [1, 2]
    assert other.catalog.getTable("orders")[:5] == ("orders", "spark_catalog", ["sales"], "one a row", "MANAGED")
    assert [column.name for column in catalog.listColumns("orders", "sales")] == ["id"]
    assert not catalog.tableExists("orders")
    assert catalog.tableExists("orders", "sales")
    with pytest.raises(AnalysisException, match="SCHEMA_NOT_EMPTY"):
        catalog.dropDatabase("sales")
    catalog.truncateTable("sales.orders")
    assert spark.table("sales.orders").count() == 0
    folder = Path(catalog.getDatabase("sales").locationUri.removeprefix("file://"))
    catalog.dropDatabase("sales", cascade=True)
    assert not (folder / "orders").exists()
    assert not catalog.databaseExists("sales")


def test_an_external_table_leaves_its_files(spark: Session, tmp_path: Path) -> None:
    pq.write_table(pa.table({"n": [1, 2, 3]}), tmp_path / "some.parquet")
    assert spark.catalog.createTable("outside", path=str(tmp_path)).count() == 3
    with pytest.raises(AnalysisException, match="TABLE_OR_VIEW_ALREADY_EXISTS"):
        spark.catalog.createTable("OUTSIDE", path=str(tmp_path))
    with pytest.raises(AnalysisException, match="TRUNCATE"):
        spark.catalog.truncateTable("outside")
    spark.range(1).createOrReplaceTempView("outside")
    assert [table.tableType for table in spark.catalog.listTables(pattern="out*")] == ["EXTERNAL", "TEMPORARY"]
    assert spark.table("outside").columns == ["id"]
    spark.catalog.dropView("outside")
    spark.catalog.dropTable("outside")
    spark.catalog.dropTable("outside", ifExists=True)
    with pytest.raises(AnalysisException, match="TABLE_OR_VIEW_NOT_FOUND"):
        spark.catalog.dropTable("outside")
    assert list(tmp_path.iterdir())


def test_global_views_are_seen_by_all_sessions(spark: Session) -> None:
    spark.range(3).createGlobalTempView("three")
    with pytest.raises(AnalysisException, match="TEMP_TABLE_OR_VIEW_ALREADY_EXISTS"):
        spark.newSession().range(1).createGlobalTempView("three")
    assert [table.namespace for table in spark.newSession().catalog.listTables("global_temp")] == [["global_temp"]]
    assert not spark.catalog.tableExists("three")
    assert spark.catalog.tableExists("global_temp.three")
    assert spark.catalog.dropGlobalTempView("three")
    with pytest.raises(AnalysisException, match="TABLE_OR_VIEW_NOT_FOUND"):
        spark.table("global_temp.three")


def test_the_session_of_a_thread(spark: Session) -> None:
    first = Session.builder.config("spark.sql.some.key", True).getOrCreate()
    assert first is Session.active()
    assert first.conf.get("spark.sql.some.key") == "true"
    other = spark.newSession()
    assert Session.active() is other
    spark.range(1)
    assert Session.active() is spark
    seen: list[object] = []
    thread = threading.Thread(target=lambda: seen.extend([Session.getActiveSession(), Session.active()]))
    thread.start()
    thread.join()
    assert seen == [None, spark]
    made = Session.builder.config("spark.sql.other.key", 1).create()
    assert made is not spark
    assert spark.conf.get("spark.sql.other.key", None) is None


def test_what_is_not_offered_says_so(spark: Session) -> None:
    with pytest.raises(UnsupportedOperationException, match=r"Session\.readStream is not offered: there are no streaming queries"):
        _ = spark.readStream
    with pytest.raises(UnsupportedOperationException, match="quiver-driver"):
        Session.builder.remote("sc://host")


def test_no_session_no_active_one() -> None:
    seen: list[str] = []

    def ask() -> None:
        default, Session._default = Session._default, None
        try:
            Session.active()
        except PySparkRuntimeError as error:
            seen.append(error.condition)
        finally:
            Session._default = default

    thread = threading.Thread(target=ask)
    thread.start()
    thread.join()
    assert seen == ["NO_ACTIVE_SESSION"]


def test_an_empty_table_is_kept_under_its_name(spark: Session) -> None:
    spark.catalog.createTable("empty_one", schema=spark.range(1).schema)
    spark.catalog.cacheTable("empty_one")
    assert spark.catalog.isCached("spark_catalog.default.empty_one")
    assert spark.table("empty_one").count() == 0
    spark.range(2).write.insertInto("empty_one")
    assert spark.table("empty_one").count() == 2
    spark.catalog.clearCache()
    spark.catalog.dropTable("empty_one")
