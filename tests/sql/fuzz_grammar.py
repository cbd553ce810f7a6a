"""Random tables and random queries about them, which every SQL engine must answer alike.

Only what means the same everywhere is generated: numbers are multiples of a quarter and small, so that sums are exact; orders are total
and say where nulls go; nothing overflows or divides by zero. A seed makes one set of tables and any number of queries.
"""

from __future__ import annotations

import datetime
import decimal
import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import pyarrow as pa

TYPES = {
    "int": pa.int32(),
    "bigint": pa.int64(),
    "double": pa.float64(),
    "decimal": pa.decimal128(10, 2),
    "string": pa.string(),
    "boolean": pa.bool_(),
    "date": pa.date32(),
}
NUMBERS = ("int", "bigint", "double", "decimal")
WORDS = ("", "a", "b", "ab", "Ab", "ba", "a b", "%", "äöü", "zebra", "100", "-7", "a longer text of more than twelve bytes")


@dataclass(frozen=True)
class Table:
    """`columns`: (name, type) of each."""

    name: str
    columns: tuple[tuple[str, str], ...]


@dataclass(frozen=True)
class Source:
    """What may follow FROM, and the columns that expressions may name then."""

    text: str
    columns: tuple[tuple[str, str], ...]


def value(rng: random.Random, kind: str) -> object:
    """A value of a column; the range is small, so that values meet."""
    match kind:
        case "int" | "bigint":
            return rng.randint(-5, 12)
        case "double":
            return rng.randint(-20, 20) / 4
        case "decimal":
            return decimal.Decimal(rng.randint(-800, 800) * 25).scaleb(-2)
        case "string":
            return rng.choice(WORDS)
        case "boolean":
            return rng.random() < 0.5
        case _:
            return datetime.date(2024, 1, 1) + datetime.timedelta(days=rng.randint(0, 500))


def tables(rng: random.Random) -> dict[Table, pa.Table]:
    """Three tables; the first column of each is an int, so that there is always something to join by."""
    made = {}
    for number in range(3):
        kinds = ["int", *(rng.choice(list(TYPES)) for _ in range(rng.randint(2, 5)))]
        columns = tuple((f"t{number}_c{place}", kind) for place, kind in enumerate(kinds))
        count = rng.choice((0, 1, 40, 120)) if number else 150
        nulls = rng.choice((0.0, 0.1, 0.5, 0.5, 1.0))
        data = [pa.array([None if rng.random() < nulls else value(rng, kind) for _ in range(count)], TYPES[kind]) for kind in kinds]
        names = [name for name, _ in columns]
        if rng.random() < 0.4:  # Fields of a struct are columns as well.
            fields = [pa.array([value(rng, kind) for _ in range(count)], TYPES[kind]) for kind in ("int", "string")]
            missing = pa.array([rng.random() < 0.2 for _ in range(count)], pa.bool_())
            data.append(pa.StructArray.from_arrays(fields, ["x", "y"], mask=missing))
            names.append(f"t{number}_s")
            columns = (*columns, (f"t{number}_s.x", "int"), (f"t{number}_s.y", "string"))
        made[Table(f"t{number}", columns)] = pa.table(data, names=names)
    return made


class Grammar:
    """Makes queries about tables."""

    def __init__(self, rng: random.Random, known: list[Table]) -> None:
        self._rng = rng
        self._tables = known
        self._names = 0

    def query(self) -> str:
        """One SELECT. With a LIMIT its order is total."""
        source, text = self._select(2)
        return self._first(source, text) if self._rng.random() < 0.2 else text

    def _order(self, columns: Sequence[tuple[str, str]]) -> str:
        rng = self._rng
        return ", ".join(f"{name} {rng.choice(('ASC', 'DESC'))} NULLS {rng.choice(('FIRST', 'LAST'))}" for name, _ in columns)

    def _first(self, columns: Sequence[tuple[str, str]], text: str) -> str:
        offset = f" OFFSET {self._rng.choice((1, 5, 100))}" if self._rng.random() < 0.3 else ""
        limit = self._rng.choice((0, 1, 7, 50))
        return f"SELECT * FROM ({text}) AS {self._name('q')} ORDER BY {self._order(columns)} LIMIT {limit}{offset}"

    def _name(self, prefix: str) -> str:
        self._names += 1
        return f"{prefix}{self._names}"

    def _select(self, depth: int) -> tuple[tuple[tuple[str, str], ...], str]:
        kinds: list[Callable[[int], tuple[tuple[tuple[str, str], ...], str]]] = [self._plain, self._plain, self._grouped, self._windowed]
        if depth:
            kinds += [self._set_operation, self._grouped, self._with, self._labelled, self._limited]
        return self._rng.choice(kinds)(depth)

    def _limited(self, depth: int) -> tuple[tuple[tuple[str, str], ...], str]:
        columns, text = self._select(depth - 1)
        return columns, self._first(columns, text)

    def _labelled(self, depth: int) -> tuple[tuple[tuple[str, str], ...], str]:
        """A union whose branches are told apart by a constant."""
        rng, kind, label, made = self._rng, self._rng.choice(list(TYPES)), self._name("u"), self._name("u")
        sides = []
        for number in rng.sample(range(4), 2):
            source = self._source(depth - 1)
            sides.append(
                f"SELECT {number} AS {label}, {self._of_kind(source, kind, 1)} AS {made} FROM {source.text}{self._where(source, 0)}"
            )
        columns = ((label, "int"), (made, kind))
        text = " UNION ALL ".join(f"({side})" for side in sides)
        return columns, self._first(columns, text) if rng.random() < 0.5 else text

    def _plain(self, depth: int) -> tuple[tuple[tuple[str, str], ...], str]:
        rng, source = self._rng, self._source(depth)
        items = [self._expression(source, 2) for _ in range(self._rng.randint(1, 4))]
        if depth and rng.random() < 0.15:
            items.append(self._looked_up(source))
        named = [(self._name("e"), kind, text) for kind, text in items]
        distinct = "DISTINCT " if self._rng.random() < 0.15 else ""
        listed = ", ".join(f"{text} AS {name}" for name, _, text in named)
        return tuple((name, kind) for name, kind, _ in named), f"SELECT {distinct}{listed} FROM {source.text}{self._where(source, depth)}"

    def _looked_up(self, source: Source) -> tuple[str, str]:
        """A subquery as a value."""
        rng, table, inner = self._rng, self._rng.choice(self._tables), self._name("x")
        key, given = f"{inner}.{table.columns[0][0]}", rng.choice([name for name, kind in source.columns if kind == "int"] or ["1"])
        rows = f"FROM {table.name} AS {inner}"
        return rng.choice(
            (
                ("bigint", f"(SELECT count(*) {rows} WHERE {key} = {given})"),
                ("int", f"(SELECT max({key}) {rows} WHERE {key} = {given})"),
                ("int", f"(SELECT min({key}) {rows})"),
                # As a value Spark's IN knows no third truth.
                ("boolean", f"coalesce({given} IN (SELECT {key} {rows}), FALSE)"),
                ("boolean", f"coalesce({given} NOT IN (SELECT {key} {rows} WHERE {key} > 3), FALSE)"),
                ("boolean", f"EXISTS (SELECT 1 {rows} WHERE {key} = {given})"),
            )
        )

    def _grouped(self, depth: int) -> tuple[tuple[tuple[str, str], ...], str]:
        rng, source = self._rng, self._source(depth)
        rolled = rng.random() < 0.15
        count = min(rng.randint(0, 2), len(source.columns))
        # Of constants in ROLLUP engines think differently, and some refuse what is there twice.
        found = [(kind, name) for name, kind in rng.sample(source.columns, count)]
        keys = [(self._name("g"), *(key if rolled else self._expression(source, 1))) for key in found]
        sums = [(self._name("a"), *self._aggregate(source)) for _ in range(rng.randint(1, 3))]
        listed = ", ".join(f"{text} AS {name}" for name, _, text in keys + sums)
        text = f"SELECT {listed} FROM {source.text}{self._where(source, depth)}"
        if keys:
            inner = ", ".join(text for _, _, text in keys)
            every = f"GROUPING SETS (({inner}), ({keys[0][2]}), ())"
            text += f" GROUP BY {rng.choice((f'ROLLUP ({inner})', f'CUBE ({inner})', every)) if rolled else inner}"
        if rng.random() < 0.3:
            table, inner = rng.choice(self._tables), self._name("x")
            least = f"{rng.randint(-2, 6)} > (SELECT max({inner}.{table.columns[0][0]}) FROM {table.name} AS {inner})"
            text += f" HAVING {rng.choice((f'count(*) > {rng.randint(0, 4)}', f'count(*) <= {rng.randint(0, 40)}', least))}"
        return tuple((name, kind) for name, kind, _ in keys + sums), text

    def _windowed(self, depth: int) -> tuple[tuple[tuple[str, str], ...], str]:
        rng, source = self._rng, self._source(depth)
        order = self._order(source.columns)
        part = f"PARTITION BY {', '.join(name for name, _ in rng.sample(source.columns, min(len(source.columns), rng.randint(1, 2))))} "
        part = part if rng.random() < 0.8 else ""
        name, kind = rng.choice(source.columns)
        offset = rng.randint(1, 3)
        kind, call = rng.choice(
            [
                ("bigint", f"row_number() OVER ({part}ORDER BY {order})"),
                ("bigint", f"rank() OVER ({part}ORDER BY {name} NULLS FIRST)"),
                ("bigint", f"dense_rank() OVER ({part}ORDER BY {name} DESC NULLS LAST)"),
                (kind, f"{rng.choice(('lag', 'lead'))}({name}, {offset}) OVER ({part}ORDER BY {order})"),
                ("bigint", f"count({name}) OVER ({part}ORDER BY {order} ROWS BETWEEN {offset} PRECEDING AND CURRENT ROW)"),
                (kind, f"{rng.choice(('min', 'max'))}({name}) OVER ({part.rstrip()})"),
                (kind, f"first_value({name}) OVER ({part}ORDER BY {order})"),
                (kind, f"last_value({name}) OVER ({part}ORDER BY {order} ROWS BETWEEN {offset} PRECEDING AND {offset} FOLLOWING)"),
                (kind, f"max({name}) OVER ({part}ORDER BY {order} ROWS BETWEEN UNBOUNDED PRECEDING AND {offset} PRECEDING)"),
                ("bigint", f"ntile({offset}) OVER ({part}ORDER BY {order})"),
                ("double", f"percent_rank() OVER ({part}ORDER BY {name} NULLS FIRST)"),
                ("double", f"cume_dist() OVER ({part}ORDER BY {name} NULLS LAST)"),
                *self._ranged(source, part),
            ]
        )
        shown = [(self._name("k"), of, column) for column, of in source.columns]
        made = self._name("w")
        listed = ", ".join(f"{column} AS {new}" for new, _, column in shown)
        names = (*((new, of) for new, of, _ in shown), (made, kind))
        return names, f"SELECT {listed}, {call} AS {made} FROM {source.text}{self._where(source, 0)}"

    def _ranged(self, source: Source, part: str) -> list[tuple[str, str]]:
        """Sums over rows whose key is near."""
        keys, values = ([name for name, kind in source.columns if kind in kinds] for kinds in (("int", "bigint"), NUMBERS))
        if not keys:
            return []
        order = f"ORDER BY {self._rng.choice(keys)} {self._rng.choice(('ASC', 'DESC'))} NULLS {self._rng.choice(('FIRST', 'LAST'))}"
        frame = self._rng.choice(
            ("BETWEEN 2 PRECEDING AND 1 FOLLOWING", "BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW", "BETWEEN 1 FOLLOWING AND 3 FOLLOWING")
        )
        return [("double", f"sum(CAST({self._rng.choice(values)} AS DOUBLE)) OVER ({part}{order} RANGE {frame})")]

    def _set_operation(self, depth: int) -> tuple[tuple[tuple[str, str], ...], str]:
        rng = self._rng
        word = rng.choice(("UNION ALL", "UNION", "INTERSECT", "EXCEPT", "INTERSECT ALL", "EXCEPT ALL"))
        width = rng.randint(1, 2)
        kinds = [rng.choice(list(TYPES)) for _ in range(width)]
        names = [(self._name("u"), kind) for kind in kinds]
        sides = []
        for _ in range(2):
            source = self._source(depth - 1)
            listed = ", ".join(f"{self._of_kind(source, kind, 1)} AS {name}" for name, kind in names)
            sides.append(f"SELECT {listed} FROM {source.text}{self._where(source, 0)}")
        return tuple(names), f"({sides[0]}) {word} ({sides[1]})"

    def _with(self, depth: int) -> tuple[tuple[tuple[str, str], ...], str]:
        columns, text = self._select(depth - 1)
        name, left, right = self._name("c"), self._name("l"), self._name("r")
        (key, _), made = self._rng.choice(columns), self._name("e")
        return (
            (("n", "bigint"), (made, "bigint")),
            f"WITH {name} AS ({text}) SELECT count(*) AS n, count({left}.{key}) AS {made} FROM {name} AS {left} "
            f"JOIN {name} AS {right} ON {left}.{key} = {right}.{key}",
        )

    def _source(self, depth: int) -> Source:
        rng = self._rng
        if depth and rng.random() < 0.35:
            columns, text = self._select(depth - 1)
            alias = self._name("s")
            return Source(f"({text}) AS {alias}", columns)
        left = self._leaf()
        if rng.random() < 0.55:
            return left
        right = self._leaf()
        kind = rng.choice(("JOIN", "JOIN", "LEFT JOIN", "RIGHT JOIN", "FULL JOIN"))
        both = Source(f"{left.text}, {right.text}", left.columns + right.columns)
        on = f"{left.columns[0][0]} = {right.columns[0][0]}"
        if rng.random() < 0.3:
            on += f" AND {self._predicate(both, 1)}"
        if rng.random() < 0.15:
            return Source(f"{left.text} {rng.choice(('LEFT SEMI', 'LEFT ANTI'))} JOIN {right.text} ON {on}", left.columns)
        joined = Source(f"{left.text} {kind} {right.text} ON {on}", both.columns)
        if rng.random() < 0.3:
            third = self._leaf()
            on = f"{rng.choice(both.columns[:1] + right.columns[:1])[0]} = {third.columns[0][0]}"
            joined = Source(
                f"{joined.text} {rng.choice(('JOIN', 'LEFT JOIN', 'FULL JOIN'))} {third.text} ON {on}", both.columns + third.columns
            )
        return joined

    def _leaf(self) -> Source:
        table = self._rng.choice(self._tables)
        alias = self._name("t")
        return Source(f"{table.name} AS {alias}", tuple((f"{alias}.{name}", kind) for name, kind in table.columns))

    def _where(self, source: Source, depth: int) -> str:
        rng = self._rng
        if rng.random() < 0.4:
            return ""
        text = self._predicate(source, 2)
        if depth and rng.random() < 0.3:
            table = rng.choice(self._tables)
            outer = rng.choice([name for name, kind in source.columns if kind == "int"] or [""])
            inner = self._name("x")
            key = f"{inner}.{table.columns[0][0]}"
            if outer:
                text += rng.choice(
                    (
                        f" AND {outer} IN (SELECT {key} FROM {table.name} AS {inner})",
                        f" AND EXISTS (SELECT 1 FROM {table.name} AS {inner} WHERE {key} = {outer})",
                        f" AND NOT EXISTS (SELECT 1 FROM {table.name} AS {inner} WHERE {key} = {outer})",
                        f" AND {outer} NOT IN (SELECT {key} FROM {table.name} AS {inner} WHERE {key} IS NOT NULL)",
                        f" AND {outer} >= (SELECT min({key}) FROM {table.name} AS {inner})",
                        f" OR {outer} <> (SELECT max({inner}.{table.columns[-1][0]}) FROM {table.name} AS {inner} WHERE {key} = {outer})"
                        if table.columns[-1][1] in NUMBERS
                        else f" OR {outer} > (SELECT avg({key}) FROM {table.name} AS {inner})",
                    )
                )
        return f" WHERE {text}"

    def _aggregate(self, source: Source) -> tuple[str, str]:
        rng = self._rng
        name, kind = rng.choice(source.columns)
        choices = [
            ("bigint", "count(*)"),
            ("bigint", f"count({name})"),
            ("bigint", f"count(DISTINCT {name})"),
            (kind, f"min({name})" if kind != "boolean" else f"bool_and({name})"),
            (kind, f"max({name})" if kind != "boolean" else f"bool_or({name})"),
            ("bigint", f"count(*) FILTER (WHERE {self._predicate(source, 1)})"),
        ]
        if kind in NUMBERS:
            total = "bigint" if kind in ("int", "bigint") else kind
            choices += [(total, f"sum({name})"), (total, f"sum(DISTINCT {name})"), ("double", f"avg(CAST({name} AS DOUBLE))")]
        return rng.choice(choices)

    def _expression(self, source: Source, depth: int) -> tuple[str, str]:
        kind = self._rng.choice([kind for _, kind in source.columns])
        return kind, self._of_kind(source, kind, depth)

    def _of_kind(self, source: Source, kind: str, depth: int) -> str:
        rng = self._rng
        columns = [name for name, of in source.columns if of == kind]
        if depth <= 0 or rng.random() < 0.3:
            return rng.choice(columns) if columns and rng.random() < 0.85 else literal(value(rng, kind), kind)
        own = self._of_kind(source, kind, depth - 1)
        other = self._of_kind(source, kind, depth - 1)
        choices = [
            f"coalesce({own}, {other})",
            f"nullif({own}, {other})",
            f"CASE WHEN {self._predicate(source, depth - 1)} THEN {own} ELSE {other} END",
            f"CASE WHEN {self._predicate(source, depth - 1)} THEN {own} END",
        ]
        match kind:
            case "int":
                choices += [f"abs({own})", f"CAST(length({self._of_kind(source, 'string', depth - 1)}) AS INT)"]
                choices += [f"CAST({own} % 3 AS INT)", f"CAST(extract(year FROM {self._of_kind(source, 'date', depth - 1)}) AS INT)"]
            case "bigint":
                choices += [f"CAST({self._of_kind(source, 'int', depth - 1)} AS BIGINT) * 2", f"({own} - 3)"]
            case "double":
                choices += [f"CAST({self._of_kind(source, 'int', depth - 1)} AS DOUBLE) / 4", f"floor({own}) * CAST(1 AS DOUBLE)"]
            case "decimal":
                choices += [f"abs({own})", f"CAST({own} + {other} AS DECIMAL(10, 2))", f"(-{own})"]
                choices.append(f"CAST({self._of_kind(source, 'int', depth - 1)} AS DECIMAL(10, 2))")
            case "date":
                choices += [f"CAST(date_trunc('{rng.choice(('month', 'year'))}', {own}) AS DATE)", f"least({own}, {other})"]
            case "string":
                choices += [f"upper({own})", f"lower({own})", f"substring({own}, {rng.randint(1, 3)}, {rng.randint(0, 4)})"]
                choices += [f"({own} || {other})", f"trim({own})", f"CAST({self._of_kind(source, 'int', depth - 1)} AS STRING)"]
                choices.append(f"replace({own}, 'a', 'xy')")
            case "boolean":
                choices.append(f"({self._predicate(source, depth - 1)})")
        return rng.choice(choices)

    def _predicate(self, source: Source, depth: int) -> str:
        rng = self._rng
        if depth > 0 and rng.random() < 0.4:
            left, right = self._predicate(source, depth - 1), self._predicate(source, depth - 1)
            return rng.choice((f"({left} AND {right})", f"({left} OR {right})", f"(NOT {left})"))
        kind, own = self._expression(source, depth - 1)
        other = self._of_kind(source, kind, depth - 1)
        constants = ", ".join(literal(value(rng, kind), kind) for _ in range(3))
        choices = [
            f"{own} {rng.choice(('=', '<>', '<', '>='))} {other}",
            f"{own} IS NULL",
            f"{own} IS NOT NULL",
            f"{own} IN ({constants})",
            f"{own} NOT IN ({constants})",
            f"{own} IS NOT DISTINCT FROM {other}",
            f"{own} BETWEEN {literal(value(rng, kind), kind)} AND {other}",
        ]
        if kind == "string":
            choices.append(f"{own} LIKE '{rng.choice(('a%', '%b', '%a%', '_', ''))}'")
        return f"({rng.choice(choices)})"


def literal(given: object, kind: str) -> str:
    """As SQL that every engine reads as exactly this type."""
    match kind:
        case "string":
            return f"'{given}'"
        case "boolean":
            return str(given).lower()
        case "date":
            return f"DATE '{given}'"
        case "decimal":
            return f"CAST('{given}' AS DECIMAL(10, 2))"
        case "double":
            return f"CAST('{given}' AS DOUBLE)"
        case _:
            return f"CAST({given} AS {kind.upper()})"


def for_duckdb(query: str) -> str:
    """As DuckDB words it."""
    return query.replace("LEFT SEMI JOIN", "SEMI JOIN").replace("LEFT ANTI JOIN", "ANTI JOIN")
