"""Plans for less memory give the same rows: sets of DISTINCT aggregates as group-bys, whole windows as joins."""

from __future__ import annotations

import random
from collections.abc import Iterator

import pytest

from quiver import Conf, Context
from quiver.sql import Session
from quiver.sql.lowering.gathering import gathering
from quiver.sql.lowering.sparing import spared


@pytest.fixture(scope="module")
def table(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Session]:
    chosen = random.Random(3)
    rows = [
        (k, chosen.choice([None, 1, 2, 3]), chosen.choice(["x", "y", None]), chosen.choice([None, *range(20)]), chosen.random())
        for k in range(300)
    ]
    conf = Conf(loadDefaults=False).set("quiver.eventLog.dir", str(tmp_path_factory.mktemp("events"))).set("spark.ui.enabled", "false")
    with Session(Context("inline", "sparing", conf=conf)) as session:
        session.createDataFrame(rows, "k int, g int, s string, a int, d double").createOrReplaceTempView("t")
        yield session


@pytest.mark.parametrize(
    "query",
    [
        "SELECT count(DISTINCT a), count(DISTINCT s), sum(DISTINCT a), sum(a), count(*) FROM t",
        "SELECT g, count(DISTINCT a), count(DISTINCT s), sum(a) + count(*) FROM t GROUP BY g ORDER BY g",
        "SELECT g + 1 h, s, count(DISTINCT a) FILTER (WHERE k > 100), count(DISTINCT a, k % 3), min(DISTINCT a), g + 1 + count(DISTINCT s) "
        "FROM t GROUP BY g + 1, s ORDER BY 1, 2",
        "SELECT count(DISTINCT a), count(DISTINCT g) FROM t WHERE k < 0",
        "SELECT g, count(DISTINCT a), max(s) FROM t GROUP BY g HAVING count(DISTINCT a) > 2 ORDER BY g",
        "SELECT g, s, sum(count(*)) OVER (PARTITION BY g), count(DISTINCT a) FROM t GROUP BY g, s ORDER BY 1, 2",
        "SELECT k, sum(a) OVER (), count(*) OVER (PARTITION BY g), a - max(a) OVER (PARTITION BY s, g) FROM t ORDER BY k",
        "SELECT k, sum(a) OVER (PARTITION BY g ORDER BY k ROWS BETWEEN UNBOUNDED PRECEDING AND UNBOUNDED FOLLOWING), "
        "sum(a) OVER (PARTITION BY g ORDER BY k), count(*) FILTER (WHERE a > 5) OVER (PARTITION BY g) FROM t ORDER BY k",
        "SELECT g, array_sort(collect_list(a)), percentile(d, 0.3), string_agg(s, '') WITHIN GROUP (ORDER BY s), count(*) FROM t "
        "GROUP BY g ORDER BY g",
        "SELECT g % 2 + count(*), array_sort(collect_list(k)), sum(d) FROM t WHERE k < 200 GROUP BY g % 2, s ORDER BY 1, 3",
        "SELECT g, s, array_sort(collect_set(a)), array_sort(collect_list(DISTINCT k % 5)), median(k) FROM t GROUP BY g, s ORDER BY g, s",
        "SELECT k, sum(a) OVER (PARTITION BY g ORDER BY k ROWS BETWEEN CURRENT ROW AND UNBOUNDED FOLLOWING), count(a) OVER (PARTITION BY g "
        "ORDER BY k NULLS LAST ROWS BETWEEN 2 PRECEDING AND UNBOUNDED FOLLOWING) FROM t ORDER BY k",
        "SELECT k, max(d) OVER (ORDER BY a DESC RANGE BETWEEN 3 FOLLOWING AND UNBOUNDED FOLLOWING), min(k) OVER (ORDER BY a NULLS LAST "
        "RANGE BETWEEN CURRENT ROW AND UNBOUNDED FOLLOWING), row_number() OVER (ORDER BY k) FROM t ORDER BY k",
        "SELECT k, ntile(7) OVER (PARTITION BY g ORDER BY k), ntile(500) OVER (ORDER BY k), "
        "percent_rank() OVER (PARTITION BY g ORDER BY a), cume_dist() OVER (PARTITION BY s ORDER BY a DESC) FROM t ORDER BY k",
        "SELECT k, sum(a) OVER (PARTITION BY 1), max(a) OVER (PARTITION BY upper('x'), g, 2 + 3), count(*) OVER (ORDER BY 'x'), "
        "min(a) OVER (PARTITION BY CAST(NULL AS INT) ORDER BY 1 DESC), rank() OVER (PARTITION BY 'y' ORDER BY a) FROM t ORDER BY k",
    ],
)
def test_the_same_rows(table: Session, query: str) -> None:
    frame = table.sql(query)
    sparing = spared(frame._relation)
    assert sparing is not frame._relation
    assert spared(sparing) is sparing
    other = table._dataframe(sparing)
    assert other.schema == frame.schema
    for row, expected in zip(other.collect(), frame.collect(), strict=True):
        assert [pytest.approx(value) if isinstance(value, float) else value for value in row] == list(expected)


@pytest.mark.parametrize(
    "query",
    [
        "SELECT k, sum(x) OVER () FROM (SELECT k, rand() x FROM t)",
        "SELECT k, count(*) OVER () FROM (SELECT * FROM t LIMIT 10)",
        "SELECT d, count(DISTINCT a), count(DISTINCT s) FROM t GROUP BY d",  # Numbers that are equal and not the same.
        "SELECT g, count(DISTINCT a) FROM t GROUP BY ROLLUP (g)",
        "SELECT k, sum(a) OVER (ORDER BY k), row_number() OVER (ORDER BY k) FROM t",
        "SELECT k, sum(a) OVER (PARTITION BY rand(1) > 0.5), sum(a) OVER (ORDER BY 1 RANGE BETWEEN 1 PRECEDING AND CURRENT ROW) FROM t",
        "SELECT g, count(a) FROM t GROUP BY g",
        "SELECT sum(a) OVER (ORDER BY k ROWS BETWEEN 1 PRECEDING AND UNBOUNDED FOLLOWING), row_number() OVER (ORDER BY k) FROM t",
        "SELECT collect_list(a), median(a), max_by(a, k) FROM t",
        "SELECT d, collect_list(a) FROM t GROUP BY d",
    ],
)
def test_what_stays(table: Session, query: str) -> None:
    relation = table.sql(query)._relation
    assert spared(relation) is relation


def test_sets_and_extremes_of_structs_are_sorted_for_where_groups_are_many(table: Session) -> None:
    for query, few in (("collect_set(a)", False), ("max(struct(a, s))", False), ("collect_list(a)", True), ("max(a), sum(a)", None)):
        relation = table.sql(f"SELECT g, {query} FROM t GROUP BY g")._relation
        assert (gathering(relation, lambda node: 100.0) is not relation) is (few is True)
        assert (gathering(relation, lambda node: None) is not relation) is (few is True)
        assert (gathering(relation, lambda node: 1e6) is not relation) is (few is not None)
