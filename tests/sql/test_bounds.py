"""Bounds of values and rows: they hold, checks are left out only where they prove it, and files that prove it must stay as they are."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from decimal import Decimal
from fractions import Fraction
from math import floor
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from quiver import Conf, Context
from quiver.sql import DataFrame, Session, errors
from quiver.sql import types as t
from quiver.sql.analysis.extents import Extents
from quiver.sql.analysis.ranges import LIMITS, Column, Extent, Ranges
from quiver.sql.analysis.typing import type_of
from quiver.sql.file_statistics import StoredExtents
from quiver.sql.tree import expressions as e
from quiver_executor.data_files import look_at
from quiver_proto.errors import FileUnreadable
from quiver_proto.parquet_footers import footer_digest

INT, LONG = t.IntegerType(), t.LongType()
MOST = 2**63 - 1


# ---- expressions ----

KINDS: list[t.DataType] = [INT, LONG, t.DecimalType(12, 2), t.DecimalType(38, 6), t.DecimalType(38, 0)]
Valued = tuple[e.Expression, Fraction, dict[int, Column]]
"""An expression, its value in a row, and bounds of its columns."""


def rounded(value: Fraction, kind: t.DataType) -> Fraction:
    """As the type holds it; values that it does not hold are left out, since they are errors."""
    one = 10**kind.scale if isinstance(kind, t.DecimalType) else 1
    units = floor(abs(value) * one + Fraction(1, 2)) * (1 if value >= 0 else -1)
    low, high = LIMITS.get(type(kind)) or (1 - 10**kind.precision, 10**kind.precision - 1)
    assume(low <= units <= high)
    return Fraction(units, one)


@st.composite
def columns(draw: st.DrawFn) -> Valued:
    kind = draw(st.sampled_from(KINDS))
    digits = draw(st.integers(0, 12))
    low, value, high = sorted(draw(st.tuples(*[st.integers(-(10**digits), 10**digits)] * 3)))
    limit = LIMITS.get(type(kind), (-(10**12), 10**12))
    low, value, high = (min(max(each, limit[0]), limit[1]) for each in (low, value, high))
    number = draw(st.integers(1, 1_000_000))
    one = 10**kind.scale if isinstance(kind, t.DecimalType) else 1
    return e.Attribute(number, "c", kind), Fraction(value, one), {number: Column((low, high))}


@st.composite
def grown(draw: st.DrawFn, below: st.SearchStrategy[Valued]) -> Valued:
    (one, a, known), (other, b, more) = draw(below), draw(below)
    assume(not set(known) & set(more))
    name = draw(st.sampled_from(["+", "-", "*", "negative", "abs", "cast", "case", "coalesce", "%", "pmod"]))
    given = {**known, **more}
    if name == "cast":
        target = draw(st.sampled_from(KINDS))
        return e.Cast(one, target), converted(a, target), given
    if name in ("negative", "abs"):
        return e.Call(name, (one,)), rounded(-a if name == "negative" else abs(a), type_of(one)), given
    if type_of(one) != type_of(other):
        other, b = e.Cast(other, type_of(one)), converted(b, type_of(one))
    if name in ("case", "coalesce"):
        first = draw(st.booleans())
        condition = e.Literal(first, t.BooleanType())
        made = e.Case(((condition, one),), other) if name == "case" else e.Call("coalesce", (one, other))
        return made, a if first or name == "coalesce" else b, given
    call = e.Call(name, (one, other))
    assume(name not in ("%", "pmod") or b)
    value = a + b if name == "+" else a - b if name == "-" else a * b if name == "*" else a - b * int(a / b)
    if name == "pmod" and value < 0:
        value = (value + b) - b * int((value + b) / b)
    return call, rounded(value, type_of(call)), given


def converted(value: Fraction, target: t.DataType) -> Fraction:
    return rounded(Fraction(int(value)) if isinstance(target, t.IntegralType) else value, target)


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.filter_too_much, HealthCheck.too_slow])
@given(st.recursive(columns(), grown, max_leaves=6))
def test_values_are_within_their_bounds(drawn: Valued) -> None:
    expression, value, known = drawn
    bounds, kind = Ranges(Extent(None, known)).of(expression), type_of(expression)
    assert bounds is not None
    assert bounds[0] <= value * (10**kind.scale if isinstance(kind, t.DecimalType) else 1) <= bounds[1]


def test_what_is_left_of_a_negative_divisor_is_negative() -> None:
    a, b = e.Attribute(1, "a", INT), e.Attribute(2, "b", INT)
    for name, divisor, expected in (("pmod", (-7, 3), (-7, 7)), ("pmod", (2, 7), (0, 7)), ("%", (2, 7), (-7, 7))):
        assert Ranges(Extent(None, {1: Column((-5, 5)), 2: Column(divisor)})).of(e.Call(name, (a, b))) == expected


@pytest.mark.parametrize("most", [9, 2**31, 2**62, 2**63 - 1])
def test_what_fits_is_within_its_type(most: int) -> None:
    a, b = e.Attribute(1, "a", LONG), e.Attribute(2, "b", LONG)
    wide = e.Cast(a, t.DecimalType(38, 18))
    expected = {
        e.Call("+", (a, b)): most < 2**63 - 1,
        e.Call("*", (a, a)): most**2 < 2**63,
        e.Call("sum", (a,)): most * 1000 < 2**63,
        e.Call("avg", (a,)): False,
        e.Call("sum", (wide,)): most * 1000 < 10**20,
        e.Call("+", (wide, wide)): most * 2 < 10**20,
    }
    ranges = Ranges(Extent(1000, {1: Column((0, most)), 2: Column((-1, 1))}))
    assert {call: ranges.fits(call) for call in expected} == expected


# ---- relations ----


@pytest.fixture(scope="module")
def spark(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Session]:
    folder = tmp_path_factory.mktemp("tables")
    decimals = pa.decimal128(15, 2)
    for number in range(2):
        rows = {
            "k": pa.array([number, 1, 2, None], pa.int64()),
            "v": pa.array([-3, 5, None, 7 + number], pa.int64()),
            "i": pa.array([1, 2, 3, 4], pa.int32()),
            "p": pa.array([Decimal("104949.50"), Decimal("900.25"), None, Decimal("-1.5")], decimals),
            "d": pa.array([Decimal("0.10"), Decimal("0.00"), Decimal("0.05"), Decimal("0.04")], decimals),
            "large": pa.array([MOST, MOST - 1, 1, -MOST], pa.int64()),
        }
        pq.write_table(pa.table(rows), folder / f"part-{number}.parquet", row_group_size=3, store_decimal_as_integer=number == 0)
    conf = Conf(loadDefaults=False).set("quiver.eventLog.dir", str(tmp_path_factory.mktemp("events"))).set("spark.ui.enabled", "false")
    with Session(Context("inline", "test", conf=conf)) as session:
        session.read.parquet(str(folder)).createOrReplaceTempView("t")
        yield session


RELATIONS = [
    "SELECT * FROM t",
    "SELECT v + 1 a, -v b, v * i c, p * (1 - d) d, p * (1 - d) * (1 + d) e, CASE WHEN v > 0 THEN p END f, abs(v) g FROM t WHERE k > 0",
    "SELECT k, count(*) n, count(v) m, sum(v) s, min(v) a, max(p) b, sum(p) c, sum(v) + 1 x FROM t GROUP BY k",
    "SELECT count(*) g, sum(n) n, sum(s) s FROM (SELECT k, count(*) n, sum(v) s FROM t GROUP BY k)",
    "SELECT count(*) n, sum(v) s FROM t WHERE v > 100",
    "SELECT k, i, sum(v) s, count(*) n FROM t GROUP BY ROLLUP (k, i)",
    "SELECT sum(s) s, sum(n) n FROM (SELECT k, i, sum(v) s, count(*) n FROM t GROUP BY CUBE (k, i))",
    "SELECT sum(x.v) a, sum(y.v) b, count(*) n FROM t x JOIN t y ON x.k = y.k",
    "SELECT x.v a, y.v b FROM t x FULL JOIN (SELECT * FROM t WHERE v > 100) y ON x.k = y.k",
    "SELECT x.v, y.v w FROM t x LEFT JOIN (SELECT * FROM t LIMIT 0) y ON true",
    "SELECT sum(v) s FROM (SELECT v FROM t UNION ALL SELECT v * 2 FROM t UNION ALL SELECT id FROM range(-9, 100, 7))",
    "SELECT v FROM t EXCEPT SELECT 5L UNION SELECT v + 1 FROM t",
    "SELECT v, sum(v) OVER (PARTITION BY i ORDER BY k) s, count(*) OVER () n, lag(v, 1, 77L) OVER (ORDER BY i) l FROM t",
    "SELECT v, e FROM t LATERAL VIEW explode(array(v, i, 900)) x AS e",
    "SELECT sum(e) s FROM (SELECT v e FROM t LATERAL VIEW explode(array(1, 2, 3)) x AS y)",
    "SELECT v + (SELECT max(v) FROM t) a, (SELECT sum(v) FROM t x WHERE x.k = t.k) b FROM t",
    "SELECT cast(p AS decimal(20,1)) a, cast(v AS decimal(38,4)) b, cast(p AS int) c, nvl(v, 3L) d, if(v > 3, v, -100L) e FROM t",
]


@pytest.mark.parametrize("query", RELATIONS)
def test_rows_are_within_their_bounds(spark: Session, query: str) -> None:
    frame = spark.sql(query)
    known = Extents(StoredExtents().of).of(frame._relation)
    rows = frame.collect()
    if known.rows is not None:
        assert len(rows) <= known.rows
    for place, column in enumerate(frame._relation.output):
        if column.id not in known.columns:
            continue
        bounds, scale = known.columns[column.id], column.type.scale if isinstance(column.type, t.DecimalType) else 0
        values = [int(Decimal(row[place]).scaleb(scale)) for row in rows if row[place] is not None]
        assert all(bounds.range[0] <= value <= bounds.range[1] for value in values), (column.name, bounds)
        assert bounds.total is None or sum(map(abs, values)) <= bounds.total, (column.name, bounds)


def test_columns_of_files_and_what_is_made_of_them_are_known(spark: Session) -> None:
    frame = spark.sql("SELECT v, p, count(*) OVER () n FROM t")
    known = Extents(StoredExtents().of).of(frame._relation)
    assert [known.columns[column.id].range for column in frame._relation.output] == [(-3, 8), (-150, 10494950), (0, 8)]
    assert known.rows == 8


def written(frame: DataFrame) -> str:
    planning = frame.sparkSession._state.runtime._planning
    return planning.lowered(frame._relation, planning.sizes()).text


def is_checked(frame: DataFrame) -> bool:
    return any(sign in written(frame) for sign in ("9.2e18", "Decimal256", "OVERFLOW", "quiver_checked"))


@pytest.mark.parametrize(
    ("query", "checked"),
    [
        ("SELECT sum(v), sum(v) OVER (ORDER BY k), v + v, v * v * v, -v FROM t GROUP BY v, k", False),
        ("SELECT count(*), sum(n), sum(s) FROM (SELECT k, count(*) n, sum(v) s FROM t GROUP BY k)", False),
        ("SELECT sum(p * (1 - d)), sum(p * (1 - d) * (1 + d)), avg(p * (1 - d)) FROM t", False),
        ("SELECT cast(p AS decimal(38,2)) + cast(v AS decimal(38,2)) FROM t", False),
        ("SELECT sum(x.v), sum(y.p * y.d * y.d) FROM t x LEFT JOIN t y ON x.i = y.i", False),
        ("SELECT sum(large) FROM t", True),
        ("SELECT large + 1 FROM t", True),
        ("SELECT sum(large * 0.5bd) FROM t", False),
        ("SELECT sum(cast(large AS decimal(38,19))) FROM t", True),
        ("SELECT sum(v * 1000000000) FROM t LATERAL VIEW explode(array(1, 2)) x AS y", True),  # A row any number of times.
        ("SELECT sum(e) FROM (SELECT pow(v, 2) AS e FROM t)", False),  # Of doubles.
        ("SELECT v + cast(pow(v, 2) AS bigint) FROM t", True),
    ],
)
def test_checks_are_left_out_where_bounds_prove_it(spark: Session, query: str, checked: bool) -> None:
    assert is_checked(spark.sql(query)) == checked
    spark.sql(query).collect() if "large" not in query else None


def test_what_overflows_is_an_error_with_bounds_and_without(spark: Session) -> None:
    rows = spark.createDataFrame([(MOST,), (1,)], "large bigint")
    for frame in (spark.table("t"), rows):
        for expression in ("sum(large)", "sum(DISTINCT large)", "max(large + 1)", "max(large * 2)", "sum(large) OVER ()"):
            with pytest.raises(errors.ArithmeticException, match="OVERFLOW"):
                frame.where("large > 0").selectExpr(expression).collect()
    assert spark.sql("SELECT sum(DISTINCT v), sum(DISTINCT large) FROM t").collect() == [(17, MOST)]


# ---- files ----


def bounds_of(spark: Session, path: Path) -> Extent:
    return StoredExtents().of(spark.read.parquet(str(path))._relation)


def test_only_what_every_file_tells_is_known(spark: Session, tmp_path: Path) -> None:
    def columns_known(**tables: dict[str, Any]) -> dict[str, tuple[int, int]]:
        folder = tmp_path / str(len(list(tmp_path.iterdir())))
        folder.mkdir()
        for name, options in tables.items():
            pq.write_table(options.pop("rows"), folder / f"{name}.parquet", **options)
        frame = spark.read.schema("a bigint, b decimal(10,2)").parquet(str(folder))
        known = StoredExtents().of(frame._relation)
        return {column.name: known.columns[column.id].range for column in frame._relation.output if column.id in known.columns}

    def rows(*values: int | None) -> pa.Table:
        return pa.table({"a": pa.array(values, pa.int64()), "b": pa.array([1] * len(values), pa.decimal128(10, 2))})

    both = {"a": (-1, 4), "b": (100, 100)}
    assert columns_known(x={"rows": rows(4, None)}, y={"rows": rows(-1)}) == both
    assert columns_known(x={"rows": rows(4, -1)}, y={"rows": rows(None)}) == both
    assert columns_known(x={"rows": rows(4, -1)}, y={"rows": rows(9), "write_statistics": False}) == {}
    assert columns_known(x={"rows": rows(4, -1)}, y={"rows": rows(9), "write_statistics": ["b"]}) == {"b": (100, 100)}
    assert columns_known(x={"rows": rows(4)}, y={"rows": rows(9).select(["a"])}) == {"a": (4, 9)}
    assert columns_known(x={"rows": pa.table({"a": pa.array([2**32 - 1], pa.uint32())})}) == {}
    assert columns_known(x={"rows": pa.table({"a": [[1]], "b": [1.5]})}) == {}
    assert bounds_of(spark, tmp_path / "0").rows == 3


def test_files_must_stay_what_a_query_relies_on(spark: Session, tmp_path: Path) -> None:
    path = tmp_path / "x.parquet"
    pq.write_table(pa.table({"v": [1, 2]}), path)
    planning = spark._state.runtime._planning
    frame = spark.read.parquet(str(path)).selectExpr("sum(v)")
    query = planning.lowered(frame._relation, planning.sizes())
    assert query.pins == {str(path): footer_digest(str(path))}
    look_at(planning.planned(query, {}, planning.sizes()).plan)
    plain = planning.lowered(spark.read.parquet(str(path)).selectExpr("v")._relation, planning.sizes())
    # A copy is as good; one with other values is not, though its size and time be the same.
    before = path.stat()
    shutil.copy(path, tmp_path / "copy")
    os.replace(tmp_path / "copy", path)
    look_at(planning.planned(query, {}, planning.sizes()).plan)
    pq.write_table(pa.table({"v": [1, 3]}), path)
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert path.stat().st_size == before.st_size
    with pytest.raises(FileUnreadable, match="changed after the query was planned"):
        look_at(planning.planned(query, {}, planning.sizes()).plan)
    look_at(planning.planned(plain, {}, planning.sizes()).plan)
    # Planned anew, it is read as it is now.
    pq.write_table(pa.table({"v": [MOST, 2]}), path)
    with pytest.raises(errors.ArithmeticException, match="OVERFLOW"):
        frame.collect()


def test_windows_over_a_series_in_one_partition(spark: Session) -> None:
    """It is sorted, which the kernel relied on when it planned, and did not know any more when it ran."""
    assert sorted(row.id for row in spark.range(10).exceptAll(spark.range(5)).collect()) == [5, 6, 7, 8, 9]
    assert spark.sql("SELECT id, count(*) OVER (PARTITION BY id) AS n FROM range(3)").collect() == [(0, 1), (1, 1), (2, 1)]
