"""What Spark 4.3 gives for more than a thousand expressions over odd values, written down: values, types and names of columns.

The table is functions_golden.json: by kind of table, [expression, name, type, a value a row, rows where Spark fails]. Values are as
`plain` writes them.
"""

from __future__ import annotations

import datetime as dt
import json
import math
import time
from collections.abc import Iterator
from decimal import Decimal as D
from pathlib import Path
from typing import Any

import pytest

from quiver import Conf, Context
from quiver.sql import DataFrame, Session, Window, functions

GOLDEN: dict[str, list[Any]] = json.loads((Path(__file__).parent / "functions_golden.json").read_text())
CHUNK = 60
nan, inf = math.nan, math.inf
NUMBERS = [
    (0, 1, 2, 3, 4, 1.5, 2.5, D("1.25"), D("1.0000000005")),
    (1, -1, -2, -3, -4, -1.5, -2.5, D("-1.25"), D("-1.5")),
    (2, 127, 32767, 2**31 - 1, 2**63 - 1, 3.4028234663852886e38, 1.7976931348623157e308, D("99999999.99"), D("9" * 28 + "." + "9" * 10)),
    (
        3, -128, -32768, -(2**31), -(2**63), -3.4028234663852886e38, -1.7976931348623157e308, D("-99999999.99"),
        D("-" + "9" * 28 + "." + "9" * 10),
    ),
    (4, 0, 0, 0, 0, 0.0, 0.0, D("0.00"), D("0")),
    (5, 5, 10, 35, 16, -0.0, -0.0, D("0.05"), D("0.0000000001")),
    (6, 7, 100, 25, 1000, nan, nan, D("2.50"), D("2.5")),
    (7, 64, 1000, 123456, 123456789012, inf, inf, D("3.45"), D("0.5")),
    (8, 3, 4, 5, 6, -inf, -inf, D("-2.55"), D("-0.5")),
    (9, None, None, None, None, None, None, None, None),
    (10, 2, 3, 20, 63, 1e-10, 1e-300, D("12.34"), D("12.345")),
    (11, 10, 12, 2, 2, 0.5, 0.5, D("-0.50"), D("123.456")),
]  # fmt: skip
TEXTS = [
    "hello world", "", "Spark SQL", "  pad  ", None, "ünïcödé ß ẞ", "a,b,,c", "123", "-45.67e2", "2024-02-29 12:34:56.789", "true",
    "😀 emoji 👍🏽", "ABC-def_GHI.jkl", "x", "aaa", "The quick. Brown fox! jumps? over", "http://user:pw@host:80/p/a/t?q=1&r=a%20b#frag",
    "tab\tnew\nline", "00ff", "o'neil \\ back",
]  # fmt: skip
PARTS = ["o", "", "S", " ", "x", "ö", ",", "2", "e", "-", None, "m", "[a-z]+", "(x)", "a", "fox", "host", "\\s", "f", "'"]
COUNTS = [1, 2, 3, -1, 0, 5, -3, 10, None, 4, 2, 1, 7, 100, 2, -20, 8, 3, 1, 6]
DAYS = [
    dt.date(2024, 2, 29), dt.date(1970, 1, 1), dt.date(1582, 10, 15), dt.date(1, 1, 3), dt.date(9999, 12, 29), None, dt.date(2023, 12, 31),
    dt.date(2025, 1, 1), dt.date(1999, 7, 4), dt.date(1900, 2, 28),
]  # fmt: skip
MOMENTS = [
    dt.datetime(2024, 2, 29, 12, 34, 56, 789123), dt.datetime(1970, 1, 1), dt.datetime(1969, 12, 31, 23, 59, 59, 999999),
    dt.datetime(1, 1, 3), dt.datetime(9999, 12, 29, 23, 59, 59, 999999), None, dt.datetime(2023, 12, 31, 23, 0, 1),
    dt.datetime(2025, 1, 1, 0, 0, 0, 1), dt.datetime(1999, 7, 4, 1, 2, 3, 400000), dt.datetime(1900, 2, 28, 13),
]  # fmt: skip
STEPS = [1, 0, -1, 12, -13, 5, None, 100, 31, -400]
WRITTEN = [
    "2024-02-29", "1970-01-01 00:00:00", "2020-2-3", "2021-12-31T23:59:59Z", "bad", "2024-02-30", None, "20240102", "07/04/1999",
    "1999-07-04 01:02:03.4+02:00",
]  # fmt: skip
LISTS = [
    (0, [1, 2, 3], [2, 3, 4], ["a", "b", "c"], [1.0, nan, -0.0], {"a": 1, "b": 2}, [[1], [2, 3]], 2, "b", (1, "x")),
    (1, [], [], [], [], {}, [], 0, "", (None, None)),
    (2, None, None, None, None, None, None, None, None, None),
    (3, [1, None, 3, 1], [None, 5], ["x", None, "", "x"], [nan, None, 1.0, nan, 0.0], {"z": None, "": 0}, [None, [1]], 1, "x", (2, "y")),
    (4, [5, 4, 3, 2, 1], [1], ["b", "a"], [3.0, 1.0, inf, -inf], {"k": 5}, [[], [None]], -1, "k", (3, None)),
    (5, [7], [7, 7, 7], ["é", "Z", "z"], [0.0, -0.0], {"b": 9, "a": 8, "c": 7}, [[1, 2], [3, 4], [5]], 3, "a", (4, "zz")),
    (6, [None], [None], [None], [None], {"n": None}, [[9]], 5, None, (5, "q")),
]  # fmt: skip


@pytest.fixture(scope="module")
def spark(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Session]:
    """What an expression means is the same on every master: one is enough."""
    conf = Conf(loadDefaults=False).set("quiver.eventLog.dir", str(tmp_path_factory.mktemp("events"))).set("spark.ui.enabled", "false")
    with Session(Context("inline", "golden", conf=conf)) as session:
        yield session


@pytest.fixture
def utc(spark: Session, monkeypatch: pytest.MonkeyPatch) -> Iterator[Session]:
    """A session and a machine whose clocks show UTC, as those did that the values are of."""
    monkeypatch.setenv("TZ", "UTC")
    time.tzset()
    spark.conf.set("spark.sql.session.timeZone", "UTC")
    yield spark
    spark.conf.unset("spark.sql.session.timeZone")
    monkeypatch.undo()
    time.tzset()


def table(spark: Session, kind: str) -> DataFrame:
    match kind:
        case "num":
            columns = "id int, b tinyint, s smallint, i int, l bigint, f float, d double, m decimal(10,2), n decimal(38,10)"
            return spark.createDataFrame(NUMBERS, columns)
        case "str":
            rows = [
                (at, text, part, count, None if text is None else text.encode())
                for at, (text, part, count) in enumerate(zip(TEXTS, PARTS, COUNTS, strict=True))
            ]
            return spark.createDataFrame(rows, "id int, s string, p string, k int, x binary")
        case "time":
            columns = "id int, D date, T timestamp, N timestamp_ntz, k int, s string"
            rows = [(at, d, m, m, k, w) for at, (d, m, k, w) in enumerate(zip(DAYS, MOMENTS, STEPS, WRITTEN, strict=True))]
            return spark.createDataFrame(rows, columns)
        case _:
            columns = (
                "id int, a array<int>, c array<int>, g array<string>, e array<double>, h map<string,int>, aa array<array<int>>, k int, "
                "w string, st struct<p:int,q:string>"
            )
            return spark.createDataFrame(LISTS, columns)


def plain(value: Any) -> Any:
    """A value as it is written in the table."""
    if isinstance(value, float):
        return "nan" if math.isnan(value) else repr(value)
    if isinstance(value, bytes | bytearray):
        return "x" + bytes(value).hex()
    if hasattr(value, "asDict"):
        return {"row": {name: plain(item) for name, item in zip(value.__fields__, value, strict=True)}}
    if isinstance(value, dict):
        return {"map": sorted(([plain(key), plain(item)] for key, item in value.items()), key=str)}
    if isinstance(value, list | tuple):
        return [plain(item) for item in value]
    return value if value is None or isinstance(value, bool | int | str) else repr(value)


def alike(given: Any, wanted: Any) -> bool:
    """Equal, but for the last digits of doubles."""
    if given == wanted:
        return True
    if isinstance(given, list) and isinstance(wanted, list):
        return len(given) == len(wanted) and all(map(alike, given, wanted))
    if isinstance(given, dict) and isinstance(wanted, dict):
        return given.keys() == wanted.keys() and all(alike(given[key], wanted[key]) for key in given)
    if not isinstance(given, str) or not isinstance(wanted, str):
        return False
    try:
        return math.isclose(float(given), float(wanted), rel_tol=1e-12)
    except ValueError:
        return False


def chunks() -> list[Any]:
    result = []
    for kind, entries in GOLDEN.items():
        sound = [entry for entry in entries if not entry[4]]
        result += [pytest.param(kind, sound[at : at + CHUNK], id=f"{kind}-{at}") for at in range(0, len(sound), CHUNK)]
        by_failing: dict[str, list[Any]] = {}
        for entry in entries:
            if entry[4]:
                by_failing.setdefault(str(entry[4]), []).append(entry)
        result += [pytest.param(kind, group, id=f"{kind}-without-{failing}") for failing, group in by_failing.items()]
    return result


@pytest.mark.parametrize(("kind", "entries"), chunks())
def test_expressions_give_what_spark_gives(utc: Session, kind: str, entries: list[Any]) -> None:
    base, _, aggregated = kind.partition(".")
    frame, failing = table(utc, base), entries[0][4]
    if failing:
        frame = frame.where(~functions.col("id").isin(failing))
    columns = [eval(entry[0], {"F": functions, "W": Window}) for entry in entries]
    query = frame.agg(*columns) if aggregated else frame.select("id", *columns)
    given = query.schema.fields[0 if aggregated else 1 :]
    rows = [tuple(row) for row in query.collect()]
    rows = rows if aggregated else [row[1:] for row in sorted(rows, key=lambda row: row[0])]
    wrong = []
    for at, (text, name, type_text, values, _) in enumerate(entries):
        found = [plain(row[at]) for row in rows]
        wanted = [value for number, value in enumerate(values) if number not in failing]
        if (given[at].name, given[at].dataType.simpleString()) != (name, type_text) or not alike(found, wanted):
            wrong.append(f"{text}: {given[at].name!r} {given[at].dataType.simpleString()} {found}, not {name!r} {type_text} {wanted}")
    assert not wrong, "\n".join(wrong)
