"""Functions in SQL with the answers that PySpark 4.3 gives.

In function_answers.txt `>` begins a statement, `=` tells its columns, `|` its rows, `!` the class and condition of an error.
"""

from __future__ import annotations

import datetime
import json
import time
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from quiver import Conf, Context
from quiver.sql import Session
from quiver.sql import functions as F
from quiver.sql.errors import AnalysisException, PySparkException, PySparkTypeError, PySparkValueError
from quiver.sql.types import VariantVal
from quiver_proto.variants.encoding import encoded

ANSWERS = Path(__file__).with_name("function_answers.txt")
NAMES = {
    "datetime": datetime,
    "Decimal": Decimal,
    "nan": "nan",
    "inf": float("inf"),
    "Row": lambda **members: tuple(members.values()),
    "V": lambda *parts: VariantVal(*map(bytes.fromhex, parts)),
}


@pytest.fixture(scope="module")
def spark(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Session]:
    """What a function means is the same on every master: one is enough. The machine's clocks show UTC."""
    patched = pytest.MonkeyPatch()
    patched.setenv("TZ", "UTC")
    time.tzset()
    conf = Conf(loadDefaults=False).set("quiver.eventLog.dir", str(tmp_path_factory.mktemp("events"))).set("spark.ui.enabled", "false")
    with Session(Context("inline", "answers", conf=conf.set("spark.sql.session.timeZone", "UTC"))) as session:
        yield session
    patched.undo()
    time.tzset()


def answers() -> list[Any]:
    """By the function that the statement is of."""
    entries = [entry.splitlines() for entry in ANSWERS.read_text().strip().split("\n\n")]
    return [pytest.param(lines[0][2:], lines[1:], id=f"{number}-{lines[0][9:40]}") for number, lines in enumerate(entries)]


def plain(value: Any) -> Any:
    if isinstance(value, float):
        return "nan" if value != value else value
    if isinstance(value, dict):
        return {plain(key): plain(item) for key, item in value.items()}
    if isinstance(value, tuple):
        return tuple(map(plain, value))
    return list(map(plain, value)) if isinstance(value, list) else value


@pytest.mark.parametrize(("statement", "answer"), answers())
def test_functions_answer_as_spark(spark: Session, statement: str, answer: list[str]) -> None:
    if answer[0].startswith("! "):
        kind, condition = answer[0][2:].split()
        with pytest.raises(PySparkException) as raised:
            spark.sql(statement).collect()
        assert (type(raised.value).__name__, raised.value.getCondition()) == (kind, condition)
        return
    frame = spark.sql(statement)
    assert frame.schema.simpleString() == answer[0][2:]
    assert [plain(tuple(row)) for row in frame.collect()] == plain(eval(answer[1][2:], NAMES))


ROWS = [(datetime.time(1, 2, 3, 400000), 1), (None, 2), (datetime.time(12), 1), (datetime.time(12), 3)]


def test_times_of_the_day_in_frames(spark: Session, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    frame = spark.createDataFrame(ROWS, "t time, k int")
    assert spark.createDataFrame(ROWS[:1], ["t", "k"]).schema["t"].dataType.simpleString() == "time(6)"
    assert frame.toJSON().first() == '{"t":"01:02:03.4","k":1}'
    frame.limit(1).select("t").show()
    assert "|01:02:03.4|\n" in capsys.readouterr().out
    assert [tuple(row) for row in frame.groupBy("t").count().orderBy(F.desc("t")).collect()] == [
        (datetime.time(12), 2), (datetime.time(1, 2, 3, 400000), 1), (None, 1),
    ]  # fmt: skip
    assert [row.k for row in frame.where(frame.t > datetime.time(2)).orderBy("k").collect()] == [1, 3]
    ordered = frame.selectExpr("k", "rank() OVER (ORDER BY t DESC) r").orderBy("r", "k")
    assert [tuple(row) for row in ordered.collect()] == [(1, 1), (3, 1), (1, 3), (2, 4)]
    later = F.udf(lambda value: value and value.replace(hour=23), "time")
    assert frame.select(later("t")).first() == (datetime.time(23, 2, 3, 400000),)
    for kind in ("parquet", "json", "csv"):
        frame.coalesce(1).write.format(kind).save(f"{tmp_path}/{kind}")
        again = spark.read.schema("t time, k int").format(kind).load(f"{tmp_path}/{kind}")
        assert [tuple(row) for row in again.collect()] == ROWS, kind
    assert "01:02:03.4,1\n" in next((tmp_path / "csv").glob("part*")).read_text()
    with pytest.raises(AnalysisException, match="UNSUPPORTED_DATA_TYPE_FOR_DATASOURCE"):
        frame.write.orc(f"{tmp_path}/orc")


def test_buckets_and_casts_by_the_clocks_of_a_zone(spark: Session) -> None:
    spark.conf.set("spark.sql.session.timeZone", "America/New_York")
    try:
        frame = spark.sql(
            """SELECT time_bucket(INTERVAL '1' DAY, t) a, time_bucket(INTERVAL '7' HOUR, t) b, time_bucket(INTERVAL '36' HOUR, t) c,
            time_bucket(INTERVAL '3' MONTH, t) d, time_bucket(INTERVAL '1' DAY, t, TIMESTAMP'2024-01-01 02:30:00') e,
            cast(t AS time) f, make_timestamp(DATE'2024-07-02', TIME'01:27:00') = t g
            FROM (SELECT TIMESTAMP'2024-07-02 01:27:00' t)"""
        )
        midnight = datetime.datetime(2024, 7, 2, 4)
        assert frame.first() == (
            midnight, midnight, datetime.datetime(2024, 7, 1, 4), datetime.datetime(2024, 7, 1, 4), datetime.datetime(2024, 7, 1, 6, 30),
            datetime.time(1, 27), True,
        )  # fmt: skip
    finally:
        spark.conf.set("spark.sql.session.timeZone", "UTC")


def test_names_and_mistakes_of_times(spark: Session) -> None:
    frame = spark.sql("SELECT TIME'01:02:03' a, DATE'2024-01-01' d, TIMESTAMP_NTZ'2024-01-01 00:00:00' n")
    quarter = F.expr("INTERVAL '15' MINUTE")
    assert frame.select(
        F.make_timestamp(date="d", time="a"), F.try_to_time(F.lit("x")), F.time_bucket(quarter, "n"), F.current_time()
    ).columns == [
        "make_timestamp(d, a)", "try_to_time(to_time(x))",
        "time_bucket(INTERVAL '15' MINUTE, n, TIMESTAMP_NTZ '1970-01-01 00:00:00')", "current_time(6)",
    ]  # fmt: skip
    assert spark.sql("SELECT abs(time_diff('SECOND', current_time, cast(now() AS time))) < 2").first() == (True,)
    named = spark.createDataFrame([("x",)], "current_time string")
    assert named.selectExpr("current_time").first() == named.select("current_time").first() == ("x",)
    one = F.lit(1)
    with pytest.raises(PySparkTypeError):
        F.make_timestamp(date="d")
    with pytest.raises(PySparkValueError, match="CANNOT_SET_TOGETHER"):
        F.make_timestamp(one, one, one, one, one, one, date="d", time="a")


LAUGHS = "".join(f'<!ENTITY x{n} "{f"&x{n - 1};" * 10}">' for n in range(1, 9))


@pytest.mark.parametrize(
    ("xml", "path", "why"),
    [
        (f'<!DOCTYPE a [<!ENTITY x0 "lol">{LAUGHS}]><a>&x8;</a>', "a", "too much text"),
        ("<a><b></a>", "a", "mismatched tag"),
        ("<a/><b/>", "a", "junk after"),
        ("<a/>", "a[", "Invalid XPath 'a\\['"),
        ("<a/>", "document('file:///etc/hostname')", "Unregistered function"),
    ],
)
def test_texts_and_paths_that_are_refused(spark: Session, xml: str, path: str, why: str) -> None:
    with pytest.raises(PySparkException, match=why):
        spark.createDataFrame([(xml,)], ["x"]).select(F.xpath_string("x", F.lit(path))).collect()


def test_documents_load_nothing(spark: Session, tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("secret")
    address = (tmp_path / "secret").as_uri()
    texts = [
        f'<!DOCTYPE a [<!ENTITY x SYSTEM "{address}">]><a>&x;</a>',
        f'<!DOCTYPE a SYSTEM "{address}"><a/>',
        f'<!DOCTYPE a [<!ENTITY % p SYSTEM "{address}"> %p;]><a>&x;</a>',
    ]
    frame = spark.createDataFrame([(text,) for text in texts], ["x"])
    assert [row[0] for row in frame.select(F.xpath_string("x", F.lit("a"))).collect()] == ["", "", ""]
    with pytest.raises(PySparkException, match="gives no nodes"):
        frame.select(F.xpath("x", F.lit("count(a)"))).collect()


def test_sketches_that_spark_has_written(spark: Session) -> None:
    whole = "05010F00C80008000400000000000000C8000100C4000000" + "".join(f"{n:02X}00000000000000" for n in (1, 3, 1, 2, 2, 3))
    keys = (
        "02030901000ACC93040000000000000015F97DCBBD86A105000000000000F03F00BD3273724691CC1400000000000008400040DE2EE1C9DB3D08"
        "000000000000044000C397FC1281709D1E0000000000001A4000"
    )
    row = spark.sql(
        f"""SELECT kll_sketch_get_quantile_bigint(X'{whole}', array(0, 0.5, 1)), kll_sketch_get_rank_bigint(X'{whole}', 2),
        tuple_sketch_estimate_double(X'{keys}'), tuple_sketch_summary_double(X'{keys}'),
        tuple_sketch_summary_double(tuple_union_double(X'{keys}', X'{keys}', 12, 'max'), 'max')"""
    ).first()
    assert row == ([1, 2, 3], 0.75, 4.0, 13.0, 6.5)
    # Entries stand in another order than Java's: the sketches are the same.
    mine = spark.sql(
        """SELECT hex(tuple_union_double(tuple_sketch_agg_double(a, b), tuple_sketch_agg_double(c, b)))
        FROM VALUES (1, 1.0D, 2), (2, 2.5D, 4), (2, 3.0D, 5) t(a, b, c)"""
    ).first()[0]
    entries = [sorted(text[32:][at : at + 34] for at in range(0, 136, 34)) for text in (keys, mine)]
    assert (mine[:32], entries[0]) == (keys[:32], entries[1])


def test_sketches_of_many_values_stay_small(spark: Session) -> None:
    row = (
        spark.range(30000)
        .agg(
            F.length(F.kll_sketch_agg_double(F.col("id").cast("double"))).alias("n"),
            F.kll_sketch_get_quantile_double(F.kll_sketch_agg_double(F.col("id").cast("double")), F.lit(0.5)).alias("q"),
            F.tuple_sketch_estimate_integer(F.tuple_sketch_agg_integer(F.col("id") % 20000, F.lit(1))).alias("t"),
        )
        .first()
    )
    assert row.n < 6000
    assert abs(row.q - 15000) < 1500
    assert abs(row.t - 20000) < 2000


def test_bytes_that_no_sketch_can_take(spark: Session) -> None:
    with pytest.raises(PySparkException, match="no UTF-8"):
        spark.sql("SELECT hll_sketch_agg(X'FF')").collect()


def test_variants_in_frames_and_files(spark: Session, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    texts = ['{"a":[1,"x",null],"b":{"c":1.5}}', "[]", '"s"']
    rows = [(n, VariantVal.parseJson(text), [None]) for n, text in enumerate(texts)]
    frame = spark.createDataFrame(rows, "n int, v variant, l array<variant>")
    frame.orderBy("n").limit(1).select("v").show(truncate=False)
    assert f"|{texts[0]}|\n" in capsys.readouterr().out
    assert frame.toJSON().first() == f'{{"n":0,"v":{texts[0]},"l":[null]}}'
    for kind in ("parquet", "json"):
        frame.coalesce(1).write.format(kind).save(f"{tmp_path}/{kind}")
    read = spark.read.parquet(f"{tmp_path}/parquet")
    assert read.schema == frame.schema
    assert [row.v.toJson() for row in read.orderBy("n").collect()] == texts
    assert (tmp_path / "json").glob("part*").__next__().read_text().splitlines()[2] == '{"n":2,"v":"s","l":[null]}'
    back = spark.read.schema("n int, v variant").json(f"{tmp_path}/json").orderBy("n")
    assert [row.v.toJson() for row in back.collect()] == texts
    lines = spark.read.text(f"{tmp_path}/json").select(F.from_json("value", "n int, v variant").alias("r"))
    again = lines.selectExpr("r.v:b.c::double c").where("c IS NOT NULL")
    assert [tuple(row) for row in again.collect()] == [(1.5,)]
    same = F.udf(lambda value: VariantVal.parseJson(value.toJson()), "variant")
    assert [row[0].toJson() for row in frame.orderBy("n").select(same("v")).collect()] == texts
    for kind in ("csv", "orc"):
        with pytest.raises(AnalysisException, match="UNSUPPORTED_DATA_TYPE_FOR_DATASOURCE"):
            frame.write.format(kind).save(f"{tmp_path}/{kind}")
    with pytest.raises(AnalysisException, match="INVALID_PARTITION_COLUMN_DATA_TYPE"):
        frame.write.partitionBy("v").parquet(f"{tmp_path}/by")
    with pytest.raises(AnalysisException, match="PARTITION_BY_VARIANT"):
        frame.repartition("v")


def test_shredded_variants(spark: Session, tmp_path: Path) -> None:
    """As Spark writes them: members of a type of their own in columns, the rest in bytes."""
    binary, member = pa.binary(), lambda kind: pa.struct([("value", pa.binary()), ("typed_value", kind)])
    typed = pa.struct([("n", member(pa.int64())), ("xs", member(pa.list_(member(pa.float32()))))])
    kind = pa.struct([("metadata", binary), ("value", binary), ("typed_value", typed)])
    value, metadata = encoded({"rest": "r"})
    text, (whole, names) = encoded("t")[0], encoded([1])
    rows = [
        {
            "metadata": metadata, "value": value,
            "typed_value": {"n": {"typed_value": 7}, "xs": {"typed_value": [{"typed_value": 1.5}, {"value": text}]}},
        },
        {"metadata": metadata, "value": None, "typed_value": {"n": {"value": text}, "xs": {}}},
        {"metadata": names, "value": whole, "typed_value": None},
        None,
    ]  # fmt: skip
    told = {"type": "struct", "fields": [{"name": "v", "type": "variant", "nullable": True, "metadata": {}}]}
    schema = pa.schema([pa.field("v", kind)], {"org.apache.spark.sql.parquet.row.metadata": json.dumps(told)})
    pq.write_table(pa.table([pa.array(rows, kind)], schema=schema), tmp_path / "shredded.parquet")
    frame = spark.read.parquet(str(tmp_path / "shredded.parquet"))
    assert frame.schema.simpleString() == "struct<v:variant>"
    assert [row.v and row.v.toJson() for row in frame.collect()] == ['{"n":7,"rest":"r","xs":[1.5,"t"]}', '{"n":"t"}', "[1]", None]
    assert frame.selectExpr("sum(try_variant_get(v, '$.n', 'int'))").first() == (7,)
