"""Queries and commands in SQL with the answers that PySpark 4.3 gives: names, types and rows, or the error's condition.

In sql_answers.txt `>` begins a statement, `=` tells the columns, `|` a row, `!` an error's condition; `.`: it runs, and is looked at later.
"""

from __future__ import annotations

import datetime
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from quiver import Conf, Context
from quiver.sql import Session
from quiver.sql.errors import AnalysisException, ParseException, PySparkException

ANSWERS = Path(__file__).with_name("sql_answers.txt")
DATAFUSION = Path(__file__).with_name("datafusion_answers.txt")
"""In the same form: what DataFusion's SQL has and Spark's has not."""
NAMES = {"datetime": datetime, "Decimal": Decimal, "nan": float("nan"), "Row": lambda **members: tuple(members.values())}


@pytest.fixture(scope="module")
def session(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Session]:
    folder = tmp_path_factory.mktemp("sql")
    conf = Conf(loadDefaults=False).set("quiver.eventLog.dir", str(folder / "events")).set("spark.ui.enabled", "false")
    conf.set("spark.sql.session.timeZone", "UTC").set("spark.sql.warehouse.dir", str(folder / "warehouse"))
    with Session(Context("inline", "test", conf=conf)) as made:
        _views(made)
        yield made


def _views(spark: Session) -> None:
    t = [
        (1, "a", 10.0, True),
        (2, "b", 20.5, False),
        (3, "a", None, True),
        (4, None, -3.25, None),
        (5, "c", 7.0, False),
        (None, "b", 1.0, True),
    ]
    spark.createDataFrame(t, "id int, k string, v double, f boolean").createOrReplaceTempView("t")
    u = [(1, "x"), (2, "y"), (2, "z"), (None, "n"), (7, "q")]
    spark.createDataFrame(u, "id int, w string").createOrReplaceTempView("u")
    nested = [
        (1, [1, 2, 3], {"a": 1, "b": 2}, (5, "five")),
        (2, [], {}, (6, None)),
        (3, None, None, None),
        (4, [None, 9], {"c": None}, (7, "seven")),
    ]
    spark.createDataFrame(nested, "id int, xs array<int>, m map<string,int>, s struct<n:int,t:string>").createOrReplaceTempView("nested")
    courses = [
        ("dotNET", 2012, 10000, "Q1"), ("Java", 2012, 20000, "Q1"), ("dotNET", 2012, 5000, "Q2"), ("dotNET", 2013, 48000, "Q1"),
        ("Java", 2013, 30000, "Q3"),
    ]  # fmt: skip
    spark.createDataFrame(courses, "course string, year int, earnings int, q string").createOrReplaceTempView("courses")
    dates = [
        (1, datetime.date(2020, 1, 1), datetime.datetime(2020, 1, 1, 10, 30), Decimal("1.50"), "2020-01-05"),
        (2, datetime.date(2021, 12, 31), datetime.datetime(2021, 12, 31, 23, 59, 59), Decimal("22.25"), "x"),
        (3, None, None, None, None),
    ]
    spark.createDataFrame(dates, "id int, d date, ts timestamp, p decimal(10,2), s string").createOrReplaceTempView("dates")
    emp = [
        ("e1", "sales", 100, "m1"), ("e2", "sales", 200, "m1"), ("e3", "hr", 150, "m2"), ("e4", "hr", 150, None), ("e5", "it", 300, "m2"),
    ]  # fmt: skip
    spark.createDataFrame(emp, "name string, dept string, sal int, mgr string").createOrReplaceTempView("emp")


def _plain(value: Any) -> Any:
    match value:
        case float():
            return "nan" if value != value else round(value, 9)
        case tuple() | list():
            return tuple(map(_plain, value))
        case dict():
            return tuple(sorted(((repr(_plain(key)), _plain(item)) for key, item in value.items()), key=repr))
        case bytearray():
            return bytes(value)
        case _:
            return value


def _answer(spark: Session, text: str) -> list[str] | str:
    try:
        df = spark.sql(text)
        columns = [(field.name, field.dataType.simpleString()) for field in df.schema]
        rows = [_plain(tuple(row)) for row in df.collect()]
    except PySparkException as error:
        return f"! {error.getCondition()}"
    if "ORDER BY" not in text.upper():
        rows.sort(key=repr)
    return [repr(columns), *map(repr, rows)]


def test_answers_are_pysparks(session: Session, tmp_path: Path) -> None:
    wrong = []
    cases = [*ANSWERS.read_text().split("\n\n"), *DATAFUSION.read_text().split("\n\n")]
    assert len(cases) > 300
    for case in cases:
        statement, answer = [], []
        for line in case.strip("\n").split("\n"):
            (answer if line[:2] in ("= ", "| ", "! ") or line == "." else statement).append(line)
        text = "\n".join(statement).removeprefix("> ").replace("{folder}", str(tmp_path))
        got = _answer(session, text)
        if answer[0] == ".":
            wanted: list[str] | str = got
        elif answer[0].startswith("!"):
            wanted = answer[0]
        else:
            rows = [_plain(eval(line[2:], NAMES)) for line in answer[1:]]
            if "ORDER BY" not in text.upper():
                rows.sort(key=repr)
            wanted = [repr(eval(answer[0][2:], NAMES)), *map(repr, rows)]
        if got != wanted:
            wrong.append(f"{text}\n  wanted {wanted}\n  got    {got}")
    assert not wrong, "\n".join(wrong)


def test_parameters(session: Session) -> None:
    assert session.sql("SELECT :a + 1 AS n, :b AS s", {"a": 1, "b": "it's"}).collect() == [(2, "it's")]
    assert session.sql("SELECT id FROM t WHERE k = ? AND id < ? ORDER BY id LIMIT ?", ["a", 10, 1]).collect() == [(1,)]
    assert session.sql("SELECT count(*) FROM IDENTIFIER(:name)", {"name": "u"}).collect() == [(5,)]
    given = session.sql(
        "SELECT interval :n day, interval -:n week, interval :s second, interval -:y year to month", {"n": 1, "s": "1.5", "y": "1-2"}
    )
    assert given.columns == ["INTERVAL '1' DAY", "INTERVAL '-7' DAY", "INTERVAL '01.5' SECOND", "INTERVAL '-1-2' YEAR TO MONTH"]
    assert session.sql("SELECT date'2026-01-01' + interval ? day", [1]).collect() == [(datetime.date(2026, 1, 2),)]
    df = session.range(4)
    assert session.sql("SELECT {df[id]} AS x FROM {df} WHERE id > {low} ORDER BY 1", df=df, low=1).collect() == [(2,), (3,)]
    with pytest.raises(AnalysisException, match="UNBOUND_SQL_PARAMETER"):
        session.sql("SELECT :nothing", {"a": 1})
    with pytest.raises(AnalysisException, match="UNBOUND_SQL_PARAMETER"):
        session.sql("SELECT ?, ?", [1])
    for args in ({"a": 1}, [1]):
        with pytest.raises(AnalysisException, match="INVALID_QUERY_MIXED_QUERY_PARAMETERS"):
            session.sql("SELECT :a + ?", args)


@pytest.mark.parametrize(
    ("text", "line", "column"),
    [
        ("SELECT *\nFROM t WHERE id ==== 3", 2, 18),
        ("SELECT (1", 1, 8),
        ("SELECT 'abc", 1, 10),
        ("SELECT id FROM t ORDER id", 1, 23),
        ("SELECT 1; SELECT 2", 1, 10),
    ],
)
def test_syntax_errors_tell_their_place(session: Session, text: str, line: int, column: int) -> None:
    with pytest.raises(ParseException) as caught:
        session.sql(text)
    message = str(caught.value)
    assert "[PARSE_SYNTAX_ERROR]" in message
    assert f"(line {line}, pos {column})" in message, message
    shown = message.split("== SQL ==\n")[1].split("\n")
    assert shown[line - 1] == text.split("\n")[line - 1]
    assert shown[line] == "-" * column + "^^^"


@pytest.mark.parametrize(
    ("text", "what"),
    [
        ("BEGIN SELECT 1; END", "SQL scripting"),
        ("SELECT * RENAME (id AS n) FROM t", "RENAME"),
        ("SELECT sum(id ORDER BY id) FROM t", "ORDER BY within sum"),
        ("SELECT array_agg(id ORDER BY v) OVER (PARTITION BY k) FROM t", "put ORDER BY into OVER"),
        ("SELECT arrow_cast(1, 'Int8')", "use CAST"),
        ("SELECT unnest([1]), unnest([2])", "arrays_zip"),
        ("SELECT * FROM unnest([1]) WITH ORDINALITY", "use posexplode"),
        ("SELECT 1 AS a EXCEPT BY NAME SELECT 2 AS a", "BY NAME"),
    ],
)
def test_what_is_not_supported_is_named(session: Session, text: str, what: str) -> None:
    with pytest.raises(ParseException, match=f"UNSUPPORTED_FEATURE.*{what}"):
        session.sql(text)


def test_recursive_queries_are_told_by_explain_and_limited(session: Session) -> None:
    query = "WITH RECURSIVE r(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM r WHERE n < {}) SELECT max(n) AS m FROM r"
    (row,) = session.sql("EXPLAIN " + query.format(5)).collect()
    assert "after the recursive query `r`, each of whose rounds is a query of its own" in row.plan
    assert session.sql(query.format(50)).collect() == [(50,)]
    with pytest.raises(PySparkException, match="RECURSION_LEVEL_LIMIT_EXCEEDED"):
        session.sql(query.format(1000)).collect()


def test_hints_are_on_what_they_name(session: Session) -> None:
    query = "EXPLAIN EXTENDED SELECT /*+ BROADCAST(x), REPARTITION(3) */ t.id FROM t JOIN u AS x ON t.id = x.id"
    plan = session.sql(query).collect()[0].plan
    assert "Hint broadcast" in plan
    assert "Repartition 3" in plan
    assert "Hint" not in session.sql(query.replace("(x)", "(nothing)")).collect()[0].plan


def test_expressions_of_dataframes_read_the_same_sql(session: Session) -> None:
    df = session.table("t")
    assert df.filter("id BETWEEN 2 AND 3 AND NOT f").selectExpr("id * 2 AS twice", "k || '!' AS s").collect() == [(4, "b!")]
    assert df.selectExpr("count_if(f) AS n", "max(v) FILTER (WHERE f) AS m").collect() == [(3, 10.0)]
    assert [row.rn for row in df.selectExpr("id", "row_number() OVER (PARTITION BY k ORDER BY id) AS rn").where("id = 3").collect()] == [2]
