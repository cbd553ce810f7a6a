"""Functions: what PySpark has is accounted for; values that can't be computed are Spark's errors; Python functions decide rightly."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import pytest

from quiver.sql import Session, errors, functions
from quiver.sql import functions as F
from quiver.sql.functions.names import PYSPARK


def test_the_page_of_functions_is_current() -> None:
    spec = importlib.util.spec_from_file_location("parity_functions", Path(__file__).parents[2] / "driver" / "parity_functions.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    assert module.page() == module.PAGE.read_text(), "run `make docs`"


@pytest.mark.parametrize("name", sorted(PYSPARK))
def test_every_function_of_pyspark_is_there_or_says_why_not(name: str) -> None:
    if name in functions.__all__:
        assert callable(getattr(functions, name))
    else:
        with pytest.raises(errors.PySparkAttributeError, match="is not offered: "):
            getattr(functions, name)


def test_a_misspelt_function_gets_a_suggestion() -> None:
    with pytest.raises(AttributeError, match=r"Did you mean .*upper"):
        _ = functions.uper


@pytest.mark.parametrize(
    ("column", "kind", "condition"),
    [
        (F.col("id") / F.col("id"), errors.ArithmeticException, "DIVIDE_BY_ZERO"),
        (F.col("id") / 0, errors.ArithmeticException, "DIVIDE_BY_ZERO"),
        (F.col("id") % F.col("id"), errors.ArithmeticException, "REMAINDER_BY_ZERO"),
        (F.col("id") + 9223372036854775807 + 1, errors.ArithmeticException, "ARITHMETIC_OVERFLOW"),
        (F.concat(F.col("id"), F.lit("x")).cast("int"), errors.NumberFormatException, "CAST_INVALID_INPUT"),
        (F.element_at(F.array("id"), 3), errors.ArrayIndexOutOfBoundsException, "INVALID_ARRAY_INDEX_IN_ELEMENT_AT"),
        (F.to_timestamp(F.col("id").cast("string"), "yyyy-MM-dd"), errors.DateTimeException, "CANNOT_PARSE_TIMESTAMP"),
        (F.raise_error("so it is"), errors.SparkRuntimeException, "USER_RAISED_EXCEPTION"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_values_that_cannot_be_are_sparks_errors(spark: Session, column: F.Column, kind: type[Exception], condition: str) -> None:
    with pytest.raises(kind, match=rf"\[{condition}\]"):
        spark.range(1).select(column).collect()


@pytest.mark.parametrize(
    ("cast", "condition"),
    [
        ("CAST(DATE'2020-01-01' AS INT)", "CAST_WITH_FUNC_SUGGESTION] .*`UNIX_DATE`"),
        ("TRY_CAST(1 AS DATE)", "CAST_WITH_FUNC_SUGGESTION] .*`DATE_FROM_UNIX_DATE`"),
        ("CAST(1 AS BINARY)", "CAST_WITH_CONF_SUGGESTION"),
        ("CAST(1.5 AS BINARY)", "CAST_WITHOUT_SUGGESTION"),
        ("CAST(X'00' AS INT)", "CAST_WITHOUT_SUGGESTION"),
        ("CAST(TRUE AS DATE)", "CAST_WITHOUT_SUGGESTION"),
        ("CAST(TRUE AS TIMESTAMP)", "CAST_WITH_CONF_SUGGESTION"),
        ("CAST(TIMESTAMP'2020-01-01' AS BOOLEAN)", "CAST_WITH_CONF_SUGGESTION"),
        ("CAST(TIMESTAMP_NTZ'2020-01-01' AS INT)", "CAST_WITHOUT_SUGGESTION"),
        ("CAST('a' AS ARRAY<INT>)", "CAST_WITHOUT_SUGGESTION"),
        ("CAST(named_struct('a', 1) AS STRUCT<a: INT, b: INT>)", "CAST_WITHOUT_SUGGESTION"),
    ],
)
def test_casts_that_spark_refuses_are_refused(spark: Session, cast: str, condition: str) -> None:
    with pytest.raises(errors.AnalysisException, match=rf"\[DATATYPE_MISMATCH\.{condition}"):
        spark.sql(f"SELECT {cast}")


def test_a_subquery_without_a_row_is_null(spark: Session) -> None:
    found = spark.sql("SELECT (SELECT 1 WHERE false), (SELECT 1 WHERE false) IS NULL, (SELECT id FROM range(3) WHERE id = 2) + 1").collect()
    assert [tuple(row) for row in found] == [(None, True, 3)]
