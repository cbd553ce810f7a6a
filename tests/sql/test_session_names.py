"""A session's settings and names."""

from __future__ import annotations

import datetime

import pytest

from quiver.sql import Session
from quiver.sql.errors import AnalysisException, IllegalArgumentException, PySparkException, UnsupportedOperationException


def test_settings_are_of_one_session(spark: Session) -> None:
    default = spark.conf.get("spark.sql.session.timeZone")
    other = spark.newSession()
    other.conf.set("spark.sql.session.timeZone", "Asia/Tokyo")
    moment = datetime.datetime(2026, 1, 1, tzinfo=datetime.UTC)
    assert other.createDataFrame([(moment,)], ["t"]).selectExpr("hour(t)").first() == (9,)
    assert spark.conf.get("spark.sql.session.timeZone") == default != "Asia/Tokyo"
    other.conf.unset("spark.sql.session.timeZone")
    assert other.conf.get("spark.sql.session.timeZone") == default


def test_settings_that_cant_be(spark: Session) -> None:
    with pytest.raises(IllegalArgumentException, match="Nowhere"):
        spark.conf.set("spark.sql.session.timeZone", "Nowhere/City")
    with pytest.raises(AnalysisException, match="CANNOT_MODIFY_CONFIG"):
        spark.conf.set("spark.master", "local")
    with pytest.raises(PySparkException, match="SQL_CONF_NOT_FOUND"):
        spark.conf.get("spark.sql.no.such")
    # Queries would not heed them, and mean something else than in Spark.
    for key, value, there in (
        ("spark.sql.caseSensitive", True, "false"),
        ("spark.sql.mapKeyDedupPolicy", "LAST_WIN", "EXCEPTION"),
        ("spark.sql.timestampType", "TIMESTAMP_NTZ", "TIMESTAMP_LTZ"),
    ):
        with pytest.raises(UnsupportedOperationException, match=f"{key} is {there} here"):
            spark.conf.set(key, value)
        spark.conf.set(key, there)
        spark.conf.unset(key)
    assert spark.conf.get("spark.sql.ansi.enabled") == spark.conf.get("spark.sql.adaptive.enabled") == "true"
    assert spark.sql("SET spark.sql.ansi.enabled").collect() == [("spark.sql.ansi.enabled", "true")]


def test_settings_that_nobody_set(spark: Session) -> None:
    assert spark.sql("SET spark.sql.ansi.enabled").collect() == [("spark.sql.ansi.enabled", "true")]
    assert spark.sql("SET spark.sql.no.such").collect() == [("spark.sql.no.such", "<undefined>")]
    assert spark.conf.get("spark.sql.caseSensitive") == "false"
    assert spark.conf.get("spark.sql.caseSensitive", None) is None


def test_views_are_of_one_session(spark: Session) -> None:
    spark.range(3).createOrReplaceTempView("mine")
    assert not spark.newSession().catalog.tableExists("mine")
    assert [table.name for table in spark.catalog.listTables(pattern="mi*|x")] == ["mine"]
    assert spark.catalog.getTable("mine").isTemporary
    assert spark.catalog.dropTempView("mine")
    assert not spark.catalog.dropTempView("mine")
    with pytest.raises(AnalysisException, match="SCHEMA_NOT_FOUND"):
        spark.catalog.listTables("elsewhere")
    with pytest.raises(AnalysisException, match="TABLE_OR_VIEW_NOT_FOUND"):
        spark.catalog.listColumns("mine")
