"""In which order joins are done: decided on relations without data, and the same answers in another order."""

from __future__ import annotations

import datetime
import itertools
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from conftest_tables import TABLES
from test_tpch import rows
from tpch_queries import QUERIES

from quiver import Conf, Context
from quiver.sql import Session
from quiver.sql import types as t
from quiver.sql.analysis import join_order
from quiver.sql.analysis.cardinality import Estimate, Values, estimated, share
from quiver.sql.analysis.join_order import Side, factored, ordered, with_ordered_joins
from quiver.sql.file_statistics import of_parquet
from quiver.sql.tree import expressions as e
from quiver.sql.tree import relations as r
from quiver.sql.tree.walking import all_of, conjuncts

_numbers = itertools.count(1)


class Table:
    """A leaf of so many rows, whose columns have so many distinct values."""

    def __init__(self, name: str, count: float, **distinct: float) -> None:
        self.name, self.count = name, count
        self.columns = {key: e.Attribute(next(_numbers), key, t.LongType(), True, (name,)) for key in distinct}
        self.leaf = r.Files("parquet", (name,), (), t.StructType([]), tuple(self.columns.values()))
        self.estimate = Estimate(count, {self.columns[key].id: Values(many, 0.0, many - 1) for key, many in distinct.items()})

    def __getattr__(self, name: str) -> e.Attribute:
        try:
            return self.columns[name]
        except KeyError:
            raise AttributeError(name) from None


def call(name: str, *args: e.Expression) -> e.Call:
    return e.Call(name, args)


def number(value: int) -> e.Literal:
    return e.Literal(value, t.LongType())


def listed(*tables: Table) -> r.Relation:
    made: r.Relation = tables[0].leaf
    for table in tables[1:]:
        made = r.Join(made, table.leaf, "cross", None)
    return made


def reordered(relation: r.Relation, *tables: Table) -> r.Relation:
    known = {id(table.leaf): table.estimate for table in tables}
    return with_ordered_joins(relation, lambda leaf: known.get(id(leaf)))


def order(relation: r.Relation, *tables: Table) -> list[str]:
    """Names of the leaves, as they are listed."""
    if not relation.inputs:
        return [table.name for table in tables if table.leaf is relation]
    return [name for child in relation.inputs for name in order(child, *tables)]


def conditions(relation: r.Relation) -> list[e.Expression]:
    own = getattr(relation, "condition", None)
    below = [each for child in relation.inputs for each in conditions(child)]
    return below + (conjuncts(own) if own is not None else [])


@pytest.fixture
def star() -> tuple[Table, Table, Table]:
    sales = Table("sales", 1_000_000, day=2000, item=50_000)
    items = Table("items", 50_000, item=50_000, kind=10)
    days = Table("days", 2000, day=2000, year=5, month=12)
    return sales, items, days


def test_what_leaves_few_rows_comes_first(star: tuple[Table, Table, Table]) -> None:
    sales, items, days = star
    where = [call("=", sales.item, items.item), call("=", sales.day, days.day), call("=", days.month, number(3))]
    written = r.Filter(listed(sales, items, days), all_of(where))
    made = reordered(written, *star)
    assert order(made, *star) == ["sales", "days", "items"]
    assert made.output == written.output
    assert sorted(map(repr, conditions(made))) == sorted(map(repr, where))
    assert isinstance(made, r.Project)
    assert isinstance(made.child, r.Filter)
    assert made.child.condition == where[2], "what concerns one table stays above, the keys are the joins' own"


def test_an_order_that_is_good_enough_stays(star: tuple[Table, Table, Table]) -> None:
    sales, items, days = star
    keys = [call("=", sales.item, items.item), call("=", sales.day, days.day)]
    for where in (keys, [*keys, call("<", days.month, number(9))]):
        written = r.Filter(listed(sales, items, days), all_of(where))
        assert reordered(written, *star) is written
    few = Table("sales", 1000, day=2000, item=50_000)
    where = [call("=", few.item, items.item), call("=", few.day, days.day), call("=", days.month, number(3))]
    written = r.Filter(listed(few, items, days), all_of(where))
    assert reordered(written, few, items, days) is written


def test_nothing_is_done_about_rows_of_which_nothing_is_known(star: tuple[Table, Table, Table]) -> None:
    sales, items, days = star
    where = [call("=", sales.item, items.item), call("=", sales.day, days.day), call("=", days.month, number(3))]
    written = r.Filter(listed(sales, items, days), all_of(where))
    assert reordered(written, sales, days) is written


def test_conditions_go_to_a_chain_below_outer_joins(star: tuple[Table, Table, Table]) -> None:
    sales, items, days = star
    returns = Table("returns", 10_000, item=5000, reason=10)
    chain = r.Join(r.Join(sales.leaf, items.leaf, "inner", call("=", sales.item, items.item)), days.leaf, "cross", None)
    outer = r.Join(chain, returns.leaf, "left", call("=", sales.item, returns.item))
    where = [call("=", sales.day, days.day), call("=", days.month, number(3)), call("isnull", returns.reason)]
    made = reordered(r.Filter(outer, all_of(where)), *star, returns)
    assert order(made, *star, returns) == ["sales", "days", "items", "returns"]
    assert isinstance(made, r.Project)
    assert isinstance(made.child, r.Filter)
    assert conjuncts(made.child.condition) == where[1:]
    assert made.output == outer.output
    right = r.Join(returns.leaf, chain, "left", call("=", sales.item, returns.item))
    untouched = r.Filter(right, all_of(where))
    assert order(reordered(untouched, *star, returns), *star, returns) == ["returns", "sales", "items", "days"]


def test_joins_of_selected_columns_are_one_chain(star: tuple[Table, Table, Table]) -> None:
    """As `df.join(other, "key")` makes them."""
    sales, items, days = star
    first = r.Join(sales.leaf, items.leaf, "inner", call("=", sales.item, items.item))
    chosen = r.Project(first, (sales.item, sales.day, items.kind))
    month = r.Filter(days.leaf, call("=", days.month, number(3)))
    made = reordered(r.Join(chosen, month, "inner", call("=", sales.day, days.day)), *star)
    assert order(made, *star) == ["sales", "days", "items"]
    assert made.output == (sales.item, sales.day, items.kind, *days.columns.values())


@pytest.mark.parametrize("kind", ["subquery", "random", "hint"])
def test_what_must_stay_stays(star: tuple[Table, Table, Table], kind: str) -> None:
    sales, items, days = star
    own: dict[str, e.Expression] = {"subquery": e.Exists(days.leaf), "random": call("<", call("rand"), number(1)), "hint": number(1)}
    on = all_of([call("=", sales.item, items.item), own[kind]]) if kind != "hint" else call("=", sales.item, items.item)
    first = r.Join(sales.leaf, items.leaf, "inner", on, "right" if kind == "hint" else None)
    where = all_of([call("=", sales.day, days.day), call("=", days.month, number(3))])
    assert order(reordered(r.Filter(r.Join(first, days.leaf, "cross", None), where), *star), *star) == ["sales", "items", "days"]


def test_chains_in_subqueries_are_ordered(star: tuple[Table, Table, Table]) -> None:
    sales, items, days = star
    where = [call("=", sales.item, items.item), call("=", sales.day, days.day), call("=", days.month, number(3))]
    asked = e.Exists(r.Filter(listed(sales, items, days), all_of(where)))
    made = reordered(r.Filter(items.leaf, asked), *star)
    assert isinstance(made, r.Filter)
    assert isinstance(made.condition, e.Exists)
    assert order(made.condition.relation, *star) == ["sales", "days", "items"]


def test_memberships_go_to_the_input_that_has_the_column(star: tuple[Table, Table, Table]) -> None:
    sales, items, days = star
    keys = [call("=", sales.item, items.item), call("=", sales.day, days.day)]
    few = Table("few", 50, item=50)
    for column, input_rows, stays in ((items.item, 50_000, False), (sales.item, 1_000_000, False), (few.item, 50, True)):
        asked = e.InSubquery(column, few.leaf)
        made = reordered(r.Filter(listed(sales, items, days), all_of([*keys, asked])), *star, few)
        found = [each for each in filters(made) if asked in conjuncts(each.condition)]
        assert len(found) == 1
        assert isinstance(found[0].child, r.Files) != stays
        if not stays:
            assert column in found[0].child.output
            assert estimated(found[0].child, lambda leaf: next(t.estimate for t in star if t.leaf is leaf)).rows == input_rows
    # Joins that leave fewer rows than the input has are done first; a side that may get nulls has other rows above.
    rare = [*keys, call("=", days.day, number(3)), call("=", days.month, number(3)), call("=", days.year, number(3))]
    made = reordered(r.Filter(listed(sales, items, days), all_of([*rare, e.InSubquery(sales.item, few.leaf)])), *star, few)
    assert not any(isinstance(each.child, r.Files) for each in filters(made))
    outer = r.Join(items.leaf, sales.leaf, "left", keys[0])
    made = reordered(r.Filter(outer, e.InSubquery(sales.item, few.leaf)), *star, few)
    assert isinstance(made, r.Filter)
    assert made.child is outer
    made = reordered(r.Filter(outer, e.InSubquery(items.item, few.leaf)), *star, few)
    assert isinstance(made, r.Join)
    assert isinstance(made.left, r.Filter)


def filters(relation: r.Relation) -> list[r.Filter]:
    return [*([relation] if isinstance(relation, r.Filter) else []), *(found for child in relation.inputs for found in filters(child))]


def test_keys_of_several_columns_come_in_pairs() -> None:
    """Each row of a table meets one of those that it refers to, by however many columns."""
    lines, stock = Side(6e6, 6e6, {1: 2e5, 2: 1e4}), Side(8e5, 8e5, {1: 2e5, 2: 1e4})
    assert join_order._greedy(0, [lines, stock], ()).rows == pytest.approx(6e6)
    customers, nation_too = Side(1.5e5, 1.5e5, {1: 25}), Side(1e4, 1e4, {1: 25, 2: 1e4})
    reached = join_order._greedy(0, [customers, Side(6e6, 6e6, {3: 1.5e5, 2: 1e4}), nation_too], ())
    assert reached.rows == pytest.approx(1.5e5 * 6e6 * 1e4 / 25 / 1e4)


def test_a_table_without_a_key_waits() -> None:
    many, few, apart = Side(1e6, 1e6, {1: 1e3}), Side(1e3, 1e3, {1: 1e3}), Side(10, 10, {})
    assert join_order._greedy(0, [many, apart, few], ()).done == (0, 2, 1)
    assert ordered([many, apart, few], ()) is None


def test_what_all_alternatives_share_is_taken_out() -> None:
    a, b, c = (call("=", number(value), number(value)) for value in (1, 2, 3))
    assert factored(call("or", call("and", a, b), call("and", a, c))) == [a, call("or", b, c)]
    assert factored(call("and", call("or", call("and", a, b), a), c)) == [a, c]
    assert factored(call("or", a, b)) == [call("or", a, b)]


def test_shares() -> None:
    day = e.Attribute(next(_numbers), "day", t.DateType())
    name = e.Attribute(next(_numbers), "name", t.StringType())
    first, last = (float(datetime.date(year, 1, 1).toordinal()) for year in (2000, 2010))
    of = Estimate(1000, {day.id: Values(3650, first, last), name.id: Values(20)})
    middle = e.Cast(e.Literal("2005-01-01", t.StringType()), t.DateType())
    assert share(call("<", day, middle), of) == pytest.approx(0.5, abs=0.01)
    assert share(call(">", middle, day), of) == pytest.approx(0.5, abs=0.01)
    assert share(call("=", e.Cast(name, t.StringType()), e.Literal("x", t.StringType())), of) == pytest.approx(0.05)
    assert share(e.In(name, (e.Literal("x", t.StringType()), e.Literal("y", t.StringType()))), of) == pytest.approx(0.1)
    month = call("between", day, middle, call("+", middle, e.Literal(datetime.timedelta(days=365), t.DayTimeIntervalType())))
    assert share(month, of) == pytest.approx(0.1, abs=0.01)
    assert share(call("or", call("=", name, name), call("not", call("=", name, name))), of) == 1.0


def test_expected_rows(star: tuple[Table, Table, Table]) -> None:
    sales, items, _ = star

    def expected(relation: r.Relation) -> float:
        found = estimated(relation, lambda leaf: next((table.estimate for table in star if table.leaf is leaf), None))
        assert found is not None
        return found.rows

    equal = call("=", sales.item, items.item)
    assert expected(r.Join(sales.leaf, items.leaf, "inner", equal)) == pytest.approx(1e6)
    assert expected(r.Aggregate(items.leaf, (items.kind,), (items.kind,))) == 10
    assert expected(r.Limit(sales.leaf, 7)) == 7
    kind = e.Attribute(next(_numbers), "kind", t.LongType())
    alias = r.Project(items.leaf, (e.Alias(items.kind, "kind", kind.id),))
    assert expected(r.Filter(alias, call("=", kind, number(1)))) == 5000
    assert estimated(r.Project(Table("unknown", 1).leaf, ()), lambda leaf: None) is None


def test_footers(tmp_path: Path) -> None:
    texts = pa.array(["red", "green", "blue", "white"] * 25_000)
    table = pa.table({"n": pa.array(range(100_000)), "few": pa.array([7, 8] * 50_000), "text": texts, "deep": [{"n": 1}] * 100_000})
    for number in range(3):
        pq.write_table(table, tmp_path / f"{number}.parquet", row_group_size=30_000)
    columns = tuple(e.Attribute(next(_numbers), name, t.LongType()) for name in table.column_names)
    fields = [t.StructField(name, t.LongType()) for name in table.column_names]
    files = tuple(r.DataFile(str(path), path.stat().st_size) for path in sorted(tmp_path.glob("*.parquet")))
    leaf = r.Files("parquet", (str(tmp_path),), (), t.StructType(fields), columns, (), files)
    found = of_parquet(leaf)
    assert found is not None
    assert found.rows == pytest.approx(300_000)
    assert found.columns[columns[0].id] == Values(100_000, 0, 99_999)
    assert found.columns[columns[1].id] == Values(2, 7, 8)
    assert 3 <= found.columns[columns[2].id].distinct <= 20
    assert columns[3].id not in found.columns
    (tmp_path / "0.parquet").write_bytes(b"no Parquet")
    assert (
        of_parquet(r.Files("parquet", ("x",), (), t.StructType(fields), columns, (), (r.DataFile(str(tmp_path / "0.parquet"), 10),)))
        is None
    )


def test_answers_are_the_same_in_another_order(tpch: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(join_order, "_ROWS", 0)
    monkeypatch.setattr(join_order, "_FEWER", 1.01)
    conf = Conf(loadDefaults=False).set("quiver.eventLog.dir", str(tmp_path)).set("spark.ui.enabled", "false")
    with Session(Context("inline", "orders", conf=conf)) as session:
        for name in TABLES:
            session.read.parquet(f"{tpch}/{name}.parquet").createOrReplaceTempView(name)
        changes = 0
        for number in (2, 5, 7, 8, 9, 10, 11, 21):
            frame = session.sql(QUERIES[number])
            changes += with_ordered_joins(frame._relation, of_parquet) is not frame._relation
            found = rows(frame.toArrow())
            session.conf.set("spark.sql.cbo.joinReorder.enabled", "false")
            assert found == rows(session.sql(QUERIES[number]).toArrow()), number
            session.conf.unset("spark.sql.cbo.joinReorder.enabled")
        assert changes > 4
