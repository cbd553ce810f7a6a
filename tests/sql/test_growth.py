"""Functions whose results may be far larger than what they are made of: refused before memory is asked for, which would end the process."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager

import pyarrow as pa
import pytest

from quiver.sql import Session
from quiver.sql.errors import SparkRuntimeException
from quiver.sql.lowering.relations import lower
from quiver_executor.kernel_refusals import refusing
from quiver_proto.errors import KernelOutOfMemory
from quiver_proto.kernel_faults import PANICKED, panics_told, taken_back
from quiver_proto.spark_functions import growth, lists, sequences
from quiver_proto.spark_functions.rows import ByRow


@pytest.fixture(scope="module")
def spark(shared: Callable[[str], AbstractContextManager[Session]]) -> Iterator[Session]:
    with shared("inline") as session:
        yield session


@pytest.mark.parametrize(
    ("call", "told"),
    [
        ("repeat('a', 2147483647)", "2147483647 bytes in the function `repeat`"),
        ("repeat('ab', n)", "4294967264 bytes in the function `repeat`"),
        ("space(2147483647)", "2147483647 bytes in the function `space`"),
        ("lpad('a', n + 1, 'x')", "2147483633 bytes in the function `lpad`"),
        ("rpad('é', n + 2, 'ß')", "2147483634 bytes in the function `rpad`"),
        ("replace(repeat('a', 100000), 'a', repeat('b', 100000))", "10000100000 bytes in the function `replace`"),
        ("regexp_replace(repeat('a1', 50000), '[0-9]', repeat('b', 100000))", "5000000000 bytes in the function `regexp_replace`"),
    ],
)
def test_strings_that_are_too_long(spark: Session, call: str, told: str) -> None:
    with pytest.raises(SparkRuntimeException, match=told) as raised:
        spark.sql(f"SELECT length({call}) FROM VALUES (2147483632) AS t(n)").collect()
    assert raised.value.getCondition() == "STRING_SIZE_LIMIT_EXCEEDED"


@pytest.mark.parametrize(
    ("call", "told"),
    [
        ("sequence(0, 10000000000)", "10000000001 elements .* `sequence`"),
        ("explode(sequence(CAST(0 AS BIGINT), n * CAST(5 AS BIGINT)))", "10737418161 elements .* `sequence`"),
        ("sequence(TIMESTAMP '2000-01-01', TIMESTAMP '9000-01-01', INTERVAL 1 SECOND)", "220898707201 elements .* `sequence`"),
        ("array_repeat(1, 2147483647)", "2147483647 elements .* `array_repeat`"),
    ],
)
def test_arrays_that_are_too_long(spark: Session, call: str, told: str) -> None:
    with pytest.raises(SparkRuntimeException, match=told) as raised:
        spark.sql(f"SELECT {call} FROM VALUES (2147483632) AS t(n)").collect()
    assert raised.value.getCondition() == "COLLECTION_SIZE_LIMIT_EXCEEDED.FUNCTION"


@pytest.mark.parametrize(
    ("query", "expected", "is_late"),
    [
        ("SELECT size(filter(sequence(1, 200000), x -> x % 2 = 0)), 5 FROM range(2)", [(100_000, 5)] * 2, True),
        ("SELECT size(transform(sequence(1, 1000), x -> size(filter(sequence(1, 500), y -> y > x)))) AS n", [(1000,)], True),
        ("SELECT length(array_join(transform(array(3, 2), x -> repeat('a', x)), '')) FROM range(3) WHERE id > 1", [(5,)], True),
        ("SELECT transform(array(rand()), x -> x >= 0) FROM range(3) WHERE id > 1", [([True],)], False),
        ("SELECT transform(array(1, 2), x -> x + 1) AS a", [([2, 3],)], False),
    ],
)
def test_functions_of_elements_of_constants(spark: Session, query: str, expected: object, is_late: bool) -> None:
    """What costs much is not computed while it is planned; rows of which no column is wanted keep one for the kernel."""
    df = spark.sql(query)
    assert ("(CASE WHEN random() >= 0 THEN" in lower(df._relation).text) is is_late
    assert df.collect() == expected


def test_batches_that_are_too_large(spark: Session) -> None:
    """Each value can be made, all of a batch together can't: they are planned anew with fewer rows in each. One value can't be divided."""
    query = "SELECT sum(length(repeat('a', CAST(1000000 + id AS INT)))) FROM range(2500)"
    assert spark.sql(query).collect() == [(2500 * 1_000_000 + sum(range(2500)),)]
    with pytest.raises(KernelOutOfMemory):
        spark.sql("SELECT size(flatten(array_repeat(array_repeat(id, 100000), 100000))) FROM range(1)").collect()
    with pytest.raises(KernelOutOfMemory), refusing():
        raise RuntimeError(f"{PANICKED}: byte array offset overflow.")
    with pytest.raises(KernelOutOfMemory, match="panicked"), refusing(), panics_told():
        raise type("RustPanic", (Exception,), {})("rust future panicked: unknown error")


def test_what_python_makes_is_counted() -> None:
    kind = pa.schema([pa.field("r", pa.list_(pa.int64()))]).serialize().to_pybytes()
    sequence = ByRow(sequences.numbers, kind)
    growth.allow(100_000)
    try:
        assert len(sequence(pa.array([0, 1]), pa.array([100, 100]))) == 2
        with pytest.raises(KernelOutOfMemory, match="numbers asked for"), taken_back():
            sequence(pa.array(range(100)), pa.array([200] * 100))
        with pytest.raises(KernelOutOfMemory, match=r"repeat asked for 117\.2 KiB") as raised, taken_back():
            growth.Room("repeat")(pa.array([4, 4, None]), pa.array([60_000.0, 60_000.0, None]))
        assert raised.value.row_bytes == 60_000
        texts = ByRow(lists.array_repeat, pa.schema([pa.field("r", pa.list_(pa.string()))]).serialize().to_pybytes(), nulls=True)
        text = "x" * 1000
        assert len(texts(pa.array([text]), pa.array([90]))) == 1
        with pytest.raises(KernelOutOfMemory) as raised, taken_back():
            texts(pa.array([text, text, text]), pa.array([10, 11, 12]))
        assert raised.value.row_bytes == growth.weight([text] * 12)
        with pytest.raises(KernelOutOfMemory, match="array_repeat asked for"), taken_back():
            texts(pa.array([text]), pa.array([10_000]))
    finally:
        growth.allow(1 << 40)
    assert growth.Room("repeat")(pa.array([4, None]), pa.array([60_000.0, None])).to_pylist() == [4, None]


def test_what_is_short_is_not_looked_at(spark: Session) -> None:
    short = spark.sql("SELECT repeat('-', 80), space(9), lpad(s, 20), rpad(s, 20, '.'), replace(s, 'a', 'bc') FROM VALUES ('xa') AS t(s)")
    assert "quiver_room" not in lower(short._relation).text
    assert short.collect()[0][2:] == (" " * 18 + "xa", "xa" + "." * 18, "xbc")
    long = (
        "SELECT length(repeat(s, n)), replace(s, 'a', repeat('b', n)), lpad(s, n), space(n), repeat(s, -n) FROM VALUES ('xa', 3), (NULL, 1)"
    )
    assert spark.sql(f"{long} AS t(s, n)").collect() == [(6, "xbbb", " xa", "   ", ""), (None, None, None, " ", None)]
