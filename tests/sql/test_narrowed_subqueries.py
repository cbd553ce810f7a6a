"""Subqueries that depend on the row around them read rows of few keys only where few are wanted, and give the same answers; rows that are
only looked for are there once for each key."""

from __future__ import annotations

from collections.abc import Iterator

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from quiver import Conf, Context
from quiver.sql import Session
from quiver.sql.analysis.narrowed_subqueries import with_narrowed_subqueries
from quiver.sql.analysis.rewriting import parts
from quiver.sql.file_statistics import of_parquet
from quiver.sql.lowering import keys_once
from quiver.sql.tree import expressions as e
from quiver.sql.tree import relations as r

LINES, PARTS = 2000, 100


@pytest.fixture(scope="module")
def spark(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Session]:
    folder = tmp_path_factory.mktemp("tables")
    numbers = range(LINES)
    lines = {"part": [n % 97 if n % 50 else None for n in numbers], "quantity": [n * 7 % 41 for n in numbers]}
    made = {
        "key": [n if n % 30 else None for n in range(PARTS)],
        "brand": [n % 20 for n in range(PARTS)],
        "size": [n % 3 for n in range(PARTS)],
    }
    pq.write_table(pa.table(lines), folder / "lines.parquet")
    pq.write_table(pa.table(made), folder / "parts.parquet")
    conf = Conf(loadDefaults=False).set("quiver.eventLog.dir", str(tmp_path_factory.mktemp("events"))).set("spark.ui.enabled", "false")
    with Session(Context("inline", "test", conf=conf)) as session:
        for name in ("lines", "parts"):
            session.read.parquet(str(folder / f"{name}.parquet")).createOrReplaceTempView(name)
        yield session


OF_LINES = "FROM lines WHERE part = key"
QUERIES = [
    (f"FROM lines, parts WHERE part = key AND brand = 9 AND quantity < (SELECT avg(quantity) {OF_LINES})", True),
    (f"FROM parts WHERE brand = 9 AND 5 < (SELECT count(*) {OF_LINES} AND quantity > 3)", True),
    (f"FROM parts WHERE brand = 9 AND 0 = (SELECT count(*) {OF_LINES} AND quantity > 300)", True),
    (f"FROM parts WHERE key IN (SELECT key FROM parts WHERE brand = 9) AND size < (SELECT max(quantity) {OF_LINES})", True),
    (f"FROM parts WHERE brand = 9 AND (size = 1 OR 30 < (SELECT max(quantity) {OF_LINES}))", True),
    (f"FROM parts WHERE size = 1 AND 30 < (SELECT max(quantity) {OF_LINES})", False),  # Many.
    (f"FROM parts WHERE 30 < (SELECT max(quantity) {OF_LINES})", False),
    ("FROM parts WHERE brand = 9 AND -1 < (SELECT max(size) FROM parts p WHERE p.key = parts.key)", False),  # Of as few.
    (f"FROM (SELECT * FROM parts LIMIT 100) WHERE brand = 9 AND 30 < (SELECT max(quantity) {OF_LINES})", False),
    (f"FROM lines LEFT JOIN parts ON part = key WHERE brand = 9 AND 30 < (SELECT max(quantity) {OF_LINES})", False),
]


@pytest.mark.parametrize(("query", "narrowed"), QUERIES)
def test_answers_are_the_same(spark: Session, query: str, narrowed: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    frame = spark.sql(f"SELECT key, size {query}")

    def memberships(relation: object) -> int:
        return sum(isinstance(part, e.InSubquery) for part in parts(relation))

    more = memberships(with_narrowed_subqueries(frame._relation, of_parquet)) - memberships(frame._relation)
    assert (more > 0) == narrowed
    found = sorted(map(str, frame.collect()))
    monkeypatch.setattr("quiver.sql.planning.with_narrowed_subqueries", lambda relation, of_files: relation)
    assert found == sorted(map(str, frame.collect()))
    assert found


OTHER = "(SELECT part AS p, quantity AS q FROM lines) o"
LOOKED_FOR = [
    (f"lines LEFT SEMI JOIN {OTHER} ON part = p", 1),
    (f"lines LEFT ANTI JOIN {OTHER} ON part = p", 1),
    (f"lines LEFT SEMI JOIN (SELECT p, q FROM {OTHER} WHERE q > 20) o ON quantity = q AND q < 30", 1),
    ("lines LEFT ANTI JOIN (SELECT part % 7 AS p FROM lines) o ON part <=> p", 1),
    ("lines WHERE quantity IN (SELECT part FROM lines WHERE part > 3)", 1),
    ("lines WHERE quantity NOT IN (SELECT part FROM lines WHERE part > 3)", 1),
    ("lines WHERE quantity NOT IN (SELECT part FROM lines)", 1),  # Nothing: there are nulls.
    (f"lines WHERE EXISTS (SELECT * FROM {OTHER} WHERE p = part AND q > 3)", 1),
    (f"lines WHERE NOT EXISTS (SELECT 1 FROM {OTHER} WHERE q > 3 AND p = part)", 1),
    (f"lines WHERE quantity = 3 OR EXISTS (SELECT 1 FROM {OTHER} WHERE q > 3 AND p = part)", 1),
    (f"lines WHERE EXISTS (SELECT 1 FROM {OTHER} WHERE p = part AND p IN (SELECT quantity FROM lines))", 1),  # The inner one.
    (f"lines WHERE EXISTS (SELECT 1 FROM {OTHER} WHERE p = part AND q <> quantity)", 0),  # As many pairs of values as rows.
    ("lines LEFT SEMI JOIN parts ON part = key", 0),  # One of each.
    (f"lines LEFT JOIN {OTHER} ON part = p AND quantity = q", 0),
    (f"(SELECT * FROM lines LIMIT 20) LEFT SEMI JOIN {OTHER} ON part = p", 0),  # Few pairs.
]


@pytest.mark.parametrize(("query", "more"), LOOKED_FOR)
def test_keys_that_are_looked_for_are_there_once(spark: Session, query: str, more: int, monkeypatch: pytest.MonkeyPatch) -> None:
    frame = spark.sql(f"SELECT part, quantity FROM {query}")
    monkeypatch.setattr(keys_once, "_PAIRS", 1.0)
    monkeypatch.setattr(keys_once, "_PAIRS_A_ROW", 4.0)
    made = keys_once.with_keys_once(frame._relation, of_parquet)
    assert sum(isinstance(part, r.Deduplicate) for part in parts(made)) == more
    assert (made is frame._relation) == (more == 0)
    found = sorted(map(str, frame.collect()))
    monkeypatch.setattr("quiver.sql.planning.with_keys_once", lambda relation, of_files: relation)
    assert found == sorted(map(str, frame.collect()))


@pytest.mark.parametrize(
    ("other", "condition", "more"),
    [
        ("lines", "a.t = b.t", 1),
        ("(SELECT DISTINCT t FROM lines)", "a.t = b.t", 0),  # There once.
        ("(SELECT t AS k, count(*) FROM lines GROUP BY t)", "a.t = k", 0),
        ("(SELECT t, part FROM lines GROUP BY t, part)", "a.t = b.t", 1),
        ("lines", "a.t = b.t AND a.quantity > b.quantity", 0),  # Maybe as many kinds as rows.
    ],
)
def test_unknown_keys_are_there_once_too(spark: Session, other: str, condition: str, more: int, monkeypatch: pytest.MonkeyPatch) -> None:
    text = "(SELECT *, CAST(part % 7 AS STRING) AS t FROM lines)"  # Nothing is known of texts.
    frame = spark.sql(f"SELECT a.t FROM {text} a LEFT SEMI JOIN {other.replace('lines', text)} b ON {condition}")
    monkeypatch.setattr(keys_once, "_MANY", 1.0)
    made = keys_once.with_keys_once(frame._relation, of_parquet)
    extra = sum(isinstance(part, r.Deduplicate) for part in parts(made)) - sum(
        isinstance(part, r.Deduplicate) for part in parts(frame._relation)
    )
    assert extra == more
    found = sorted(map(str, frame.collect()))
    monkeypatch.setattr("quiver.sql.planning.with_keys_once", lambda relation, of_files: relation)
    assert found == sorted(map(str, frame.collect()))
    assert found
    monkeypatch.setattr(keys_once, "_MANY", 1e9)
    assert keys_once.with_keys_once(frame._relation, of_parquet) is frame._relation
