"""What would fail is an error only when a row needs it, also where the kernel sees it coming."""

from __future__ import annotations

import pytest

from quiver.sql import Session
from quiver.sql.errors import ArithmeticException


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("nullif(cast(5 AS bigint), cast(5 AS bigint)) - 3", None),
        ("cast(NULL AS bigint) * 2", None),
        ("coalesce(NULL, cast(5 AS bigint)) - 3", 2),
        ("CASE WHEN false THEN cast(9223372036854775807 AS bigint) + 1 ELSE 1 END", 1),
        ("CASE WHEN false THEN 1 / 0 ELSE 2 END", 2.0),
        ("CASE WHEN false THEN cast('abc' AS int) ELSE 3 END", 3),
    ],
)
def test_no_row_fails(spark: Session, text: str, value: object) -> None:
    assert spark.sql(f"SELECT {text}").collect() == [(value,)]


@pytest.mark.parametrize("text", ["cast(9223372036854775807 AS bigint) + 1", "cast(2147483647 AS int) + 1", "-cast(-128 AS tinyint)"])
def test_a_row_fails(spark: Session, text: str) -> None:
    with pytest.raises(ArithmeticException, match="ARITHMETIC_OVERFLOW"):
        spark.sql(f"SELECT {text}").collect()


def test_a_column_grouped_by_twice(spark: Session) -> None:
    found = spark.sql("SELECT x, x AS y, count(*) FROM VALUES (1), (1), (2) AS t(x) GROUP BY x, x ORDER BY x").collect()
    assert found == [(1, 1, 2), (2, 2, 1)]
