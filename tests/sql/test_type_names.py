"""Types as DDL, JSON and trees."""

from __future__ import annotations

import json
from datetime import time, timedelta

import pytest

from quiver.sql import Session
from quiver.sql import types as t
from quiver.sql.ddl import parse_type
from quiver.sql.errors import ParseException

EVERYTHING = (
    "a TINYINT NOT NULL,`b c` DECIMAL(12,3) COMMENT 'it\\'s',d ARRAY<STRUCT<x: TIMESTAMP_NTZ, y: MAP<STRING, BINARY>>>,"
    "e INTERVAL DAY TO MINUTE,f INTERVAL MONTH,g TIME(3),h CHAR(4),i VARCHAR(5),j VARIANT,k STRING COLLATE UNICODE_CI,l VOID,m INTERVAL"
)


def test_everything_goes_through_ddl_and_json() -> None:
    kind = parse_type(EVERYTHING)
    assert isinstance(kind, t.StructType)
    assert kind.toDDL() == EVERYTHING
    assert t.StructType.fromJson(json.loads(kind.json())) == kind
    assert kind["b c"].metadata == {"comment": "it's"}
    assert not kind["a"].nullable


@pytest.mark.parametrize(
    ("text", "simple"),
    [
        ("int", "int"),
        (" array< long > ", "array<bigint>"),
        ("a: int, b string", "struct<a:int,b:string>"),
        ("date date, timestamp timestamp", "struct<date:date,timestamp:timestamp>"),
        ("struct<a:int,b:struct<>>", "struct<a:int,b:struct<>>"),
        ("n decimal", "struct<n:decimal(10,0)>"),
        ("st struct<q:int,w:string>, n void", "struct<st:struct<q:int,w:string>,n:void>"),
        ("", "struct<>"),
    ],
)
def test_ddl_that_is_understood(text: str, simple: str) -> None:
    assert parse_type(text).simpleString() == simple


@pytest.mark.parametrize(
    "text", ["a", "a int,", "a int b", "array<int", "map<int>", "a bloat", "interval hour to day", "varchar", "a int;"]
)
def test_ddl_that_is_not(text: str) -> None:
    with pytest.raises(ParseException):
        parse_type(text)


def test_times_and_variants_in_columns(spark: Session, capsys: pytest.CaptureFixture[str]) -> None:
    row = (time(1, 2, 3, 500_000), timedelta(hours=-26))
    frame = spark.createDataFrame([row], "a time, b interval day to hour")
    assert frame.collect() == [row]
    frame.show(truncate=False)
    assert "|01:02:03.5|INTERVAL '-1 02' DAY TO HOUR|" in capsys.readouterr().out
    assert spark.createDataFrame([], "v variant").collect() == []
