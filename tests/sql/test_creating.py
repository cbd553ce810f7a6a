"""What createDataFrame makes of a program's values: types, values and errors, by PySpark's rules."""

from __future__ import annotations

import datetime
from decimal import Decimal
from typing import Any

import pytest

from quiver.sql import functions as F
from quiver.sql import types as t
from quiver.sql.creating import table_of
from quiver.sql.errors import ArithmeticException, PySparkTypeError, PySparkValueError
from quiver.sql.row import Row
from quiver.sql.rows import rows_of

UNACCEPTABLE = "[FIELD_DATA_TYPE_UNACCEPTABLE_WITH_NAME] "
NO_DECIMAL = "[NUMERIC_VALUE_OUT_OF_RANGE.WITHOUT_SUGGESTION] "


def made(data: Any, schema: Any = None, zone: str = "UTC", verify: bool = True) -> tuple[str, list[Row]]:
    table, kinds = table_of(data, schema, verify, zone)
    return kinds.simpleString(), rows_of(table, kinds, zone)


@pytest.mark.parametrize(
    ("data", "schema", "kind", "rows"),
    [
        ([(1, "a"), (None, "b")], None, "struct<_1:bigint,_2:string>", [(1, "a"), (None, "b")]),
        ([("a", 1)], ["x"], "struct<x:string,_2:bigint>", [("a", 1)]),
        ([{"b": 1, "a": {"k": 1.5}}], None, "struct<a:map<string,double>,b:bigint>", [({"k": 1.5}, 1)]),
        ([{"a": 1}, {"b": "x"}], None, "struct<a:bigint,b:string>", [(1, None), (None, "x")]),
        ([{"b": 1, "a": 2}], ["x", "y"], "struct<x:bigint,y:bigint>", [(2, 1)]),
        ([Row(p=Row(q=[1, None]))], None, "struct<p:struct<q:array<bigint>>>", [(Row(q=[1, None]),)]),
        ([1, None], "int", "struct<value:int>", [(1,), (None,)]),
        ([(1,), ("x",)], None, "struct<_1:string>", [("1",), ("x",)]),
        ([(True, 1)], "a string, b string", "struct<a:string,b:string>", [("true", "1")]),
        ([(Decimal("1.5"),)], None, "struct<_1:decimal(38,18)>", [(Decimal("1.500000000000000000"),)]),
        ([(Decimal("1.255"),)], "a decimal(4,2)", "struct<a:decimal(4,2)>", [(Decimal("1.26"),)]),
        ([(b"ab", datetime.timedelta(hours=1))], None, "struct<_1:binary,_2:interval day to second>",
         [(bytearray(b"ab"), datetime.timedelta(hours=1))]),
        ([], "a int", "struct<a:int>", []),
    ],
)  # fmt: skip
def test_values_and_types(data: Any, schema: Any, kind: str, rows: list[Any]) -> None:
    assert made(data, schema) == (kind, rows)


def test_objects_are_rows_of_their_attributes() -> None:
    class Person:
        def __init__(self, name: str, age: int) -> None:
            self.name, self.age = name, age

    assert made([Person("Bob", 5)]) == ("struct<age:bigint,name:string>", [(5, "Bob")])


def test_aware_datetimes_are_instants() -> None:
    there = datetime.timezone(datetime.timedelta(hours=2))
    table, _ = table_of([(datetime.datetime(2026, 7, 1, 12, tzinfo=there),)], None, True, "Asia/Tokyo")
    assert table.column(0)[0].as_py() == datetime.datetime(2026, 7, 1, 10, tzinfo=datetime.UTC)


@pytest.mark.parametrize(
    ("data", "schema", "error", "text"),
    [
        ([], None,
         PySparkValueError, "[CANNOT_INFER_EMPTY_SCHEMA] Can not infer schema from an empty dataset."),
        ([(None,)], None,
         PySparkValueError, "[CANNOT_DETERMINE_TYPE] Some of types cannot be determined after inferring."),
        ([(1,), (1.5,)], None,
         PySparkTypeError, "[CANNOT_MERGE_TYPE] Can not merge type `LongType` and `DoubleType`."),
        ([1], None,
         PySparkTypeError, "[CANNOT_INFER_SCHEMA_FOR_TYPE] Can not infer schema for type: `int`."),
        ([(1j,)], None,
         PySparkTypeError, "[CANNOT_INFER_TYPE_FOR_FIELD] Unable to infer the type of the field `_1`."),
        ([("x",)], "a int",
         PySparkTypeError, UNACCEPTABLE + "field a: IntegerType() can not accept object 'x' in type <class 'str'>."),
        ([(1,)], "a double",
         PySparkTypeError, UNACCEPTABLE + "field a: DoubleType() can not accept object 1 in type <class 'int'>."),
        ([(300,)], "a tinyint",
         PySparkValueError, "[VALUE_OUT_OF_BOUNDS] Value for `obj` must be between -128 and 127 (inclusive), got 300"),
        ([(2**63,)], None,
         PySparkValueError, f"[VALUE_OUT_OF_BOUNDS] Value for `obj` must be between {-(2**63)} and {2**63 - 1} (inclusive), got {2**63}"),
        ([(1, 2)], "a int",
         PySparkValueError, "[FIELD_STRUCT_LENGTH_MISMATCH] Length of object (2) does not match with length of fields (1)."),
        ([(None,)], t.StructType([t.StructField("a", t.LongType(), False)]),
         PySparkValueError, "[FIELD_NOT_NULLABLE_WITH_NAME] field a: This field is not nullable, but got None."),
        ([(["x"],)], "a array<int>",
         PySparkTypeError, UNACCEPTABLE + "element in array field a: IntegerType() can not accept object 'x' in type <class 'str'>."),
        ([(Decimal("999.995"),)], "a decimal(5,2)", ArithmeticException, NO_DECIMAL + "The 1000.00 rounded half up from 999.995 "),
        ([{"a": [Decimal("1e90")]}], "a array<decimal(38,18)>", ArithmeticException, NO_DECIMAL + "The 1E+90 rounded half up from 1E+90 "),
        ([1], 5,
         PySparkTypeError, "[NOT_EXPECTED_TYPE] Argument `schema` should be list, None or StructType, got int."),
        (5, None,
         PySparkTypeError, "[NOT_ITERABLE]"),
    ],
)  # fmt: skip
def test_what_does_not_fit_is_told(data: Any, schema: Any, error: type[Exception], text: str) -> None:
    with pytest.raises(error) as caught:
        table_of(data, schema)
    assert str(caught.value).startswith(text)


def test_pandas_polars_numpy_and_arrow() -> None:
    import numpy
    import pandas
    import pyarrow as pa

    frame = pandas.DataFrame({"n": [1, 2], "s": ["a", None], "at": pandas.to_datetime(["2026-01-01", None])})
    kind, rows = made(frame, zone="America/New_York")
    assert kind == "struct<n:bigint,s:string,at:timestamp>"
    assert rows == [(1, "a", datetime.datetime(2026, 1, 1)), (2, None, None)]
    assert made(frame[["n"]], ["m"])[0] == "struct<m:bigint>"
    assert made(frame[["n"]], "n string")[1] == [("1",), ("2",)]
    with pytest.raises(PySparkValueError, match="AXIS_LENGTH_MISMATCH"):
        made(frame, ["one"])
    assert made(numpy.array([[1, 2], [3, 4]])) == ("struct<_1:bigint,_2:bigint>", [(1, 2), (3, 4)])
    table = pa.table({"a": pa.array([1, 2], pa.uint8()), "d": pa.array(["x", "x"]).dictionary_encode()})
    expected = ("struct<a:smallint,d:string>", [(1, "x"), (2, "x")])
    assert made(table) == made(table.to_batches()[0]) == made(table.to_reader()) == expected
    polars = pytest.importorskip("polars")
    words = ["x", None]
    columns = {"c": polars.Series(words, dtype=polars.Categorical), "e": polars.Series(words, dtype=polars.Enum(["x"]))}
    lists = polars.Series([words, None], dtype=polars.List(polars.Categorical))
    expected = ("struct<c:string,e:string,l:array<string>>", [("x", "x", words), (None, None, None)])
    assert made(polars.DataFrame({**columns, "l": lists})) == expected
    with pytest.raises(PySparkTypeError, match="UNSUPPORTED_DATATYPE"):
        made(polars.DataFrame({"n": polars.Series([1], dtype=polars.Int128)}))


def test_rdds(spark: Any) -> None:
    rdd = spark.context.parallelize([(1, "a"), (2, "b")], 2)
    assert spark.createDataFrame(rdd, ["n", "s"]).collect() == [Row(n=1, s="a"), Row(n=2, s="b")]
    decimals = rdd.map(lambda row: (Decimal("999.994" if row[0] == 1 else "NaN"),))
    assert spark.createDataFrame(decimals, "a decimal(5,2)").collect() == [Row(a=Decimal("999.99")), Row(a=None)]
    with pytest.raises(ArithmeticException, match=r"1000\.00 rounded half up from 999\.995 cannot be represented as Decimal\(5, 2\)"):
        spark.createDataFrame(rdd.map(lambda _: (Decimal("999.995"),)), "a decimal(5,2)").collect()
    first = spark.context.parallelize([{"a": 1}, {"a": 2, "b": "x"}], 1)  # The first row tells the columns, unless a type is unknown.
    assert first.toDF().collect() == [Row(a=1), Row(a=2)]
    assert spark.createDataFrame(spark.context.parallelize([(None,), (2, "x"), (3, 1.5, 4)], 1)).schema.simpleString() == (
        "struct<_1:bigint,_2:string>"
    )
    told = F.udf(lambda _: Decimal("999.995"), "decimal(5,2)")
    with pytest.raises(ArithmeticException, match=r"1000\.00 rounded half up from 999\.995"):
        spark.range(1).select(told("id")).collect()
