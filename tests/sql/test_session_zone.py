"""Instants are shown, read and cast by the clocks of `spark.sql.session.timeZone`; Python's naive datetimes are of the machine's zone."""

from __future__ import annotations

import time
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta

import pytest

from quiver.sql import Session
from quiver.sql import functions as F
from quiver.sql.local_zone import kernel_zone, local_zone

ZONE = "spark.sql.session.timeZone"
NOON = datetime(2024, 7, 15, 12, 0, 0, 500_000, tzinfo=UTC)


@pytest.fixture
def berlin(spark: Session) -> Iterator[Session]:
    spark.conf.set(ZONE, "Europe/Berlin")
    yield spark
    spark.conf.unset(ZONE)


@pytest.fixture
def machine_in_new_york(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setenv("TZ", "America/New_York")
    time.tzset()
    yield
    monkeypatch.undo()
    time.tzset()


def test_functions_and_casts_read_the_clocks_of_the_session(berlin: Session) -> None:
    late = datetime(2024, 7, 15, 22, 30, tzinfo=UTC)
    row = (
        berlin.createDataFrame([(late,)], ["t"])
        .select(F.hour("t"), F.col("t").cast("date"), F.col("t").cast("timestamp_ntz").alias("ntz"), F.col("t").cast("string").alias("s"))
        .first()
    )
    assert row is not None
    assert tuple(row) == (0, date(2024, 7, 16), datetime(2024, 7, 16, 0, 30), "2024-07-16 00:30:00")


@pytest.mark.parametrize(
    ("wall", "instant"),
    [
        ("2024-01-15 12:00:00", "2024-01-15 11:00:00"),
        ("2024-10-27 02:30:00", "2024-10-27 00:30:00"),  # There twice: the first.
        ("2024-03-31 02:30:00", "2024-03-31 01:30:00"),  # Never there: as much later as the gap is long.
    ],
)
def test_a_wall_clock_time_is_an_instant_of_the_session_zone(berlin: Session, wall: str, instant: str) -> None:
    frame = berlin.range(1).select(F.lit(wall).cast("timestamp_ntz").cast("timestamp").alias("t"))
    berlin.conf.set(ZONE, "UTC")
    assert frame.select(F.col("t").cast("string")).first() == (instant,)


def test_months_and_differences_are_of_clocks(berlin: Session) -> None:
    row = berlin.createDataFrame([(datetime(2024, 3, 31, 1, 30, tzinfo=UTC), date(2024, 3, 30))], ["t", "d"]).selectExpr(
        "cast(t - interval 1 month as string)", "t - d", "cast(t + interval 1 day as string)", "cast(array(t) as array<string>)"
    )
    assert row.first() == ("2024-02-29 03:30:00", timedelta(days=1, hours=3, minutes=30), "2024-04-01 03:30:00", ["2024-03-31 03:30:00"])


def test_whole_days_of_an_interval_are_of_clocks_and_the_rest_of_instants(berlin: Session) -> None:
    before, after = "timestamp'2024-03-30 12:00:00'", "timestamp'2024-04-01 12:00:00'"
    row = berlin.sql(
        f"select {before} + interval 1 day, timestamp'2024-03-31 12:00:00' - interval 1 day, {before} + make_dt_interval(1), "
        f"{before} + interval '1' day * 2, {before} + interval '24' hour, {before} + interval '1 01:30:00' day to second, "
        f"try_add({before}, interval 1 day 2 hours), timestamp'2024-10-27 12:00:00' - interval '11' hour"
    )
    assert [str(each)[5:16] for each in row.selectExpr(*[f"cast(`{name}` as string)" for name in row.columns]).first() or ()] == [
        "03-31 12:00", "03-30 12:00", "03-31 12:00", "04-01 12:00", "03-31 12:00", "03-31 13:30", "03-31 14:00", "10-27 02:00",
    ]  # fmt: skip
    spans = berlin.sql("values (interval '1' hour), (interval '48' hour), (interval '-24' hour), (null) t(i)")
    assert [tuple(each) for each in spans.selectExpr(f"cast({before} + i as string)", f"cast({after} - i as string)").collect()] == [
        ("2024-03-30 13:00:00", "2024-04-01 11:00:00"),
        ("2024-04-01 12:00:00", "2024-03-30 12:00:00"),
        ("2024-03-29 12:00:00", "2024-04-02 12:00:00"),
        (None, None),
    ]
    assert berlin.range(1).select((F.expr(before) + F.expr("interval 1 day")).cast("string")).first() == ("2024-03-31 12:00:00",)


def test_the_zone_is_that_of_the_time_of_analysis(berlin: Session) -> None:
    hour = berlin.createDataFrame([(NOON,)], ["t"]).select(F.hour("t"))
    berlin.conf.set(ZONE, "UTC")
    assert hour.first() == (14,)


@pytest.mark.usefixtures("machine_in_new_york")
def test_naive_datetimes_are_of_the_machine_and_shown_by_the_session(berlin: Session, capsys: pytest.CaptureFixture[str]) -> None:
    frame = berlin.createDataFrame([(datetime(2024, 7, 15, 8, 0),), (NOON,)], ["t"])
    assert [row.t for row in frame.collect()] == [datetime(2024, 7, 15, 8, 0), datetime(2024, 7, 15, 8, 0, 0, 500_000)]
    frame.show(truncate=False)
    assert "|2024-07-15 14:00:00  |\n|2024-07-15 14:00:00.5|" in capsys.readouterr().out
    assert frame.where(F.col("t") == F.lit(datetime(2024, 7, 15, 8, 0))).count() == 1
    assert local_zone() == berlin.newSession().conf.get(ZONE) == "America/New_York"


def test_pandas_timestamps_are_of_the_session(berlin: Session) -> None:
    import pandas as pd

    frame = berlin.createDataFrame(pd.DataFrame({"t": [datetime(2024, 7, 15, 14, 0), None]}))
    assert frame.toPandas()["t"].isna().tolist() == [False, True]
    assert frame.toPandas()["t"][0] == pd.Timestamp(2024, 7, 15, 14, 0)
    assert frame.toArrow().column("t")[0].as_py() == datetime(2024, 7, 15, 12, 0, tzinfo=UTC)


@pytest.mark.parametrize(
    ("given", "name"), [("Z", "UTC"), ("+1", "+01:00"), ("GMT+2", "+02:00"), ("UTC-05:30", "-05:30"), ("Asia/Tokyo", "Asia/Tokyo")]
)
def test_zones_by_all_their_names(given: str, name: str) -> None:
    assert kernel_zone(given) == name


@pytest.mark.parametrize("given", ["Europe/Nowhere", "+19:00", "", "+01:75"])
def test_what_is_no_zone(given: str) -> None:
    with pytest.raises(ValueError, match=r"no (time zone|offset)"):
        kernel_zone(given)


def test_variants_are_shown_with_the_clocks_of_the_session(berlin: Session, capsys: pytest.CaptureFixture[str]) -> None:
    at = "cast(timestamp'2024-07-15 12:00:00' as variant)"
    berlin.sql(f"select {at} v, array({at}) w").show(truncate=False)
    assert capsys.readouterr().out.count('"2024-07-15 12:00:00+02:00"') == 2
