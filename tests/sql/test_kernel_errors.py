"""Values that can't be computed: Spark's exceptions, conditions, states and parameters, with the expression and the user's line."""

from __future__ import annotations

import json
import pickle

import pyspark_errors_list as peer
import pytest

import quiver.errors
from quiver.sql import Session, errors
from quiver.sql import functions as F
from quiver.sql.kernel_errors import translated
from quiver_proto.errors import ValueRefused, from_wire, to_wire

KINDS = "a int, b int, i int, l long, m int, d double, s string, arr array<int>"


def of(spark: Session) -> Session:
    spark.createDataFrame([(7, 0, 2147483647, 2**63 - 1, -(2**31), 1e10, "abc", [1, 2])], KINDS).createOrReplaceTempView("v")
    return spark


TRY_ADD = " Use 'try_add' to tolerate overflow and return NULL instead."
DECIMAL = {"value": "10000000000", "precision": "5", "scale": "2"}
CASES = [
    ("a / b", "ArithmeticException", "DIVIDE_BY_ZERO", "22012", {}),
    ("a div b", "ArithmeticException", "DIVIDE_BY_ZERO", "22012", {}),
    ("a % b", "ArithmeticException", "REMAINDER_BY_ZERO", "22012", {}),
    ("i + 1", "ArithmeticException", "ARITHMETIC_OVERFLOW", "22003", {"alternative": TRY_ADD}),
    ("l * 2", "ArithmeticException", "ARITHMETIC_OVERFLOW", "22003", {"message": "overflow"}),
    ("-m", "ArithmeticException", "ARITHMETIC_OVERFLOW", "22003", {}),
    ("abs(m)", "ArithmeticException", "ARITHMETIC_OVERFLOW", "22003", {}),
]  # fmt: skip
CASTS = [
    ("i", "tinyint", "ArithmeticException", "CAST_OVERFLOW", {"value": "2147483647", "sourceType": '"INT"', "targetType": '"TINYINT"'}),
    ("l", "int", "ArithmeticException", "CAST_OVERFLOW", {"value": "9223372036854775807L", "sourceType": '"BIGINT"'}),
    ("d", "int", "ArithmeticException", "CAST_OVERFLOW", {"value": "1.0E10D", "sourceType": '"DOUBLE"', "targetType": '"INT"'}),
    ("d", "decimal(5,2)", "ArithmeticException", "NUMERIC_VALUE_OUT_OF_RANGE.WITH_SUGGESTION", DECIMAL),
    ("s", "int", "NumberFormatException", "CAST_INVALID_INPUT", {"expression": "'abc'", "sourceType": '"STRING"', "targetType": '"INT"'}),
    ("s", "double", "NumberFormatException", "CAST_INVALID_INPUT", {"targetType": '"DOUBLE"'}),
    ("s", "decimal(10,2)", "NumberFormatException", "CAST_INVALID_INPUT", {"targetType": '"DECIMAL(10,2)"'}),
    ("s", "date", "DateTimeException", "CAST_INVALID_INPUT", {"targetType": '"DATE"'}),
    ("s", "timestamp", "DateTimeException", "CAST_INVALID_INPUT", {"targetType": '"TIMESTAMP"'}),
    ("s", "boolean", "SparkRuntimeException", "CAST_INVALID_INPUT", {"targetType": '"BOOLEAN"'}),
]  # fmt: skip


@pytest.mark.parametrize(("expression", "kind", "condition", "state", "parameters"), CASES)
def test_arithmetic(spark: Session, expression: str, kind: str, condition: str, state: str, parameters: dict[str, str]) -> None:
    with pytest.raises(errors.PySparkException) as caught:
        of(spark).sql(f"SELECT {expression} FROM v").collect()
    error = caught.value
    assert (type(error).__name__, error.getCondition(), error.getSqlState()) == (kind, condition, state)
    assert parameters.items() <= error.getMessageParameters().items()
    (context,) = error.getQueryContext()
    assert context.fragment() == next(iter(of(spark).sql(f"SELECT {expression} FROM v").columns)) or not context.fragment()
    assert "collect at " in context.callSite()
    assert "test_kernel_errors.py:" in str(error)


@pytest.mark.parametrize(("column", "target", "kind", "condition", "parameters"), CASTS)
def test_casts(spark: Session, column: str, target: str, kind: str, condition: str, parameters: dict[str, str]) -> None:
    with pytest.raises(errors.PySparkException) as caught:
        of(spark).table("v").select(F.col(column).cast(target)).collect()
    error = caught.value
    assert (type(error).__name__, error.getCondition()) == (kind, condition)
    assert parameters.items() <= error.getMessageParameters().items()
    assert "try_cast" in str(error)


NINES = f"cast('{'9' * 38}' AS decimal(38,0))"
ONE = "cast(1 AS decimal(38,0))"


@pytest.mark.parametrize(
    ("expression", "value", "scale"),
    [
        (f"sum({NINES})", "1" + "9" * 37 + "80", "0"),
        (f"sum({NINES}) OVER ()", "1" + "9" * 37 + "80", "0"),
        (f"avg({NINES})", "9" * 38, "4"),
        (f"avg({NINES}) OVER ()", "9" * 38, "4"),
        (f"{NINES} + {ONE}", "1" + "0" * 38, "0"),
        (f"-{NINES} - {ONE}", "-1" + "0" * 38, "0"),
        ("cast(1e30 AS decimal(38,10))", "1" + "0" * 30, "10"),
    ],
)
def test_decimals_with_too_many_digits(spark: Session, expression: str, value: str, scale: str) -> None:
    with pytest.raises(errors.ArithmeticException, match=r"NUMERIC_VALUE_OUT_OF_RANGE") as caught:
        spark.sql(f"SELECT {expression} FROM range(20)").collect()
    assert {"value": value, "precision": "38", "scale": scale}.items() <= caught.value.getMessageParameters().items()


def test_decimals_that_may_have_too_many_digits(spark: Session) -> None:
    tolerant = f"try_sum({NINES}), try_avg({NINES}), max(try_add({NINES}, {ONE})), max(try_subtract(-{NINES}, {ONE}))"
    assert set(spark.sql(f"SELECT {tolerant} FROM range(20)").first() or ()) == {None}
    spark.range(7).selectExpr("id", "cast(id AS decimal(38,3)) d").createOrReplaceTempView("wide")
    grouped = spark.sql(
        "SELECT id % 2, sum(d), sum(DISTINCT d), avg(d), avg(DISTINCT d), sum(d) FILTER (WHERE id > 3), avg(d) FILTER (WHERE id > 3) "
        "FROM wide GROUP BY 1 ORDER BY 1"
    )
    assert [tuple(map(float, row)) for row in grouped.collect()] == [(0, 12, 12, 3, 3, 10, 5), (1, 9, 9, 3, 3, 5, 5)]
    moving = "OVER (ORDER BY d ROWS BETWEEN 1 PRECEDING AND CURRENT ROW)"
    rows = spark.sql(f"SELECT sum(d) {moving}, avg(d) {moving} FROM wide WHERE d < 3").collect()
    assert [tuple(map(str, row)) for row in rows] == [("0.000", "0E-7"), ("1.000", "0.5000000"), ("3.000", "1.5000000")]


DISTANT = [
    ("date'9999-12-31' + 1", "+10000-01-01"),
    ("date_from_unix_date(-2147483647)", "-5877641-06-24"),
    ("date'0001-01-01' - 1", "0000-12-31"),
    ("CAST(timestamp_micros(9223372036854775807) AS timestamp_ntz)", "+294247-01-10 04:00:54.775807"),
]


@pytest.mark.parametrize(("expression", "text"), DISTANT)
def test_days_that_pythons_years_do_not_have(spark: Session, expression: str, text: str, caplog: pytest.LogCaptureFixture) -> None:
    frame = spark.sql(f"SELECT {expression} AS d")
    actions = [frame.collect, frame.rdd.collect, lambda: frame.tail(1), lambda: list(frame.toLocalIterator())]
    if "date" in expression:
        actions += [frame.toPandas, lambda: frame.select(F.udf(str)("d")).collect()]
    for action in actions:
        with pytest.raises(errors.ArithmeticException, match=r"DATETIME_OVERFLOW.*9999"):
            action()
    assert not [record for record in caplog.records if "it will be tried again" in record.getMessage()]
    assert f"|{text}" in frame._table(20, 0, False)


def test_arrays(spark: Session) -> None:
    frame = of(spark).table("v")
    with pytest.raises(errors.ArrayIndexOutOfBoundsException, match=r"The index 5 is out of bounds. The array has 2") as caught:
        frame.select(F.element_at("arr", 5)).collect()
    assert caught.value.getMessageParameters() == {"indexValue": "5", "arraySize": "2"}
    with pytest.raises(errors.SparkRuntimeException, match=r"\[INVALID_INDEX_OF_ZERO\]"):
        frame.select(F.element_at("arr", 0)).collect()
    assert frame.select(F.get("arr", F.lit(9))).collect()[0][0] is None


def test_rows_of_an_rdd_are_no_other(spark: Session) -> None:
    frame = of(spark).sql("SELECT a / b FROM v")
    for action in (frame.rdd.collect, lambda: list(frame.toLocalIterator()), lambda: frame.foreach(print)):
        with pytest.raises(errors.ArithmeticException, match=r"\[DIVIDE_BY_ZERO\] Division by zero"):
            action()


def test_what_is_logged_is_what_is_wrong(spark: Session, caplog: pytest.LogCaptureFixture) -> None:
    with pytest.raises(errors.ArrayIndexOutOfBoundsException):
        spark.sql("SELECT element_at(array(1, 2), 3) FROM range(1)").collect()
    (told,) = (record.getMessage() for record in caplog.records if "failed on" in record.getMessage())
    assert "The index 3 is out of bounds." in told
    assert "PyErr" not in told


def test_such_a_task_is_not_tried_again_and_its_error_is_logged_as_raised(spark: Session, caplog: pytest.LogCaptureFixture) -> None:
    for expression in ("a / b", "s::date", "i * i"):
        caplog.clear()
        with pytest.raises(errors.PySparkException) as caught:
            of(spark).sql(f"SELECT {expression} FROM v").collect()
        (line,) = [record.getMessage() for record in caplog.records if "failed on" in record.getMessage()]
        assert f": {type(caught.value).__name__}: [{caught.value.getCondition()}] " in line
        assert line.endswith("no more tries")
        assert "Arrow" not in line


def test_ansi_mode_stays_on(spark: Session) -> None:
    with pytest.raises(errors.UnsupportedOperationException, match="try_divide"):
        spark.conf.set("spark.sql.ansi.enabled", False)
    spark.conf.set("spark.sql.ansi.enabled", True)
    spark.conf.unset("spark.sql.ansi.enabled")


def test_what_says_nothing_of_values_stays_what_it_is() -> None:
    assert translated(ValueError("DataFusion error: Execution error: the disk is on fire")) is None
    error = translated(ValueRefused("DataFusion error: Arrow error: Divide by zero error"))
    assert error is not None
    assert str(error).endswith("SQLSTATE: 22012")


def test_errors_cross_processes_whole() -> None:
    made = errors.ArithmeticException("no", "DIVIDE_BY_ZERO", {"config": "x"}, [("(a / b)", "collect at a.py:1")])
    code, fields = to_wire(made)
    for again in (pickle.loads(pickle.dumps(made)), from_wire(code, tuple(json.loads(json.dumps(fields))))):
        assert isinstance(again, errors.ArithmeticException)
        assert (str(again), again.getMessageParameters()) == (str(made), {"config": "x"})
        assert again.getQueryContext()[0].summary() == "(a / b) was called from collect at a.py:1"


@pytest.mark.parametrize("name", peer.NAMES)
def test_names_of_pyspark_are_there(name: str) -> None:
    """`from pyspark.errors import …` becomes `from quiver.errors import …`."""
    found = getattr(quiver.errors, name)
    assert found is getattr(errors, name)
    if name.endswith(("Exception", "Error")):
        assert issubclass(found, errors.PySparkException)
        made = found("words", "CONDITION")
        assert str(made) == "[CONDITION] words"
        assert type(pickle.loads(pickle.dumps(made))) is found


def test_other_names_are_not() -> None:
    with pytest.raises(AttributeError, match="Unheard"):
        _ = quiver.errors.Unheard
