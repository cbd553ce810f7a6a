"""Analysed relations as one SELECT of the kernel's SQL.

Every column is called `name#id`. Relations nest as subqueries; a deep chain is put into a WITH list, since parsers recurse.
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from quiver.sql.analysis.aggregation import has_aggregate
from quiver.sql.analysis.extents import OfLeaf, without_needless_checks
from quiver.sql.analysis.ranges import Extent
from quiver.sql.analysis.rewriting import outer_references
from quiver.sql.analysis.volatile import any_volatile, counted_below_filters
from quiver.sql.lowering.chains import operands
from quiver.sql.lowering.collapsing import collapsed
from quiver.sql.lowering.expressions import lowered
from quiver.sql.lowering.flat_joins import with_flat_joins
from quiver.sql.lowering.generators import generate
from quiver.sql.lowering.names import column, quoted
from quiver.sql.lowering.narrowing import Filtered, after, shielded
from quiver.sql.lowering.repeats import by_place, each_once, told_apart
from quiver.sql.lowering.sampling import HERE, fenced, sample
from quiver.sql.lowering.sort_keys import with_key_columns
from quiver.sql.lowering.sortedness import aggregated_in_order, firsts_in_order, order_of, sorted_by
from quiver.sql.lowering.wide import Chosen, Grouped, Limited, Sorted, Step, Where, Wide, chain_of_many, is_one_call
from quiver.sql.tree import expressions as e
from quiver.sql.tree import relations as r
from quiver.sql.tree.walking import attributes_in, walk

_DEEP = 12
"""Relations nested deeper than this are put into the WITH list."""
_BESIDE = 32
"""Branches of a union that are listed beside each other."""
_JOINS = {
    "inner": "INNER JOIN",
    "left": "LEFT JOIN",
    "right": "RIGHT JOIN",
    "full": "FULL JOIN",
    "semi": "LEFT SEMI JOIN",
    "anti": "LEFT ANTI JOIN",
}

Leaf = r.Files | r.Local | r.Produced | r.Sourced | r.PythonMap | r.GroupedMap | r.Recursive
_numbers = itertools.count(1)


@dataclass(slots=True)
class Query:
    """`text` is the SELECT; `leaves` are the tables that it names, which the kernel must be given, with their columns called `name#id`.

    `ordered`: rows that were sorted, or are stored in some order, are worked on further, in their order. `windowed`: functions over
    windows are in it. `pins`: files that it relies on being as they are, with digests of their footers, by path. `wide`: the same of many
    columns, which is the cheaper way.
    """

    text: str
    leaves: dict[str, r.Relation] = field(default_factory=dict)
    ordered: bool = False
    windowed: bool = False
    pins: Mapping[str, int] = field(default_factory=dict)
    wide: Wide | None = None


def _unknown(leaf: r.Relation) -> Extent:
    return Extent(leaf.table.num_rows) if isinstance(leaf, r.Local) else Extent()


def lower(relation: r.Relation, slices: int = 1, of_leaf: OfLeaf = _unknown, cores: int = 1) -> Query:
    """The query whose rows are the relation's, columns in the order of its output. Series of numbers are in at most so many partitions,
    long ones whose order is kept in at least `cores`.

    `of_leaf`: what is known of stored rows, so that less need be checked."""
    relation = without_needless_checks(by_place(with_key_columns(collapsed(with_flat_joins(relation)))), of_leaf)
    order = order_of(relation)
    writer = _Writer(max(slices, cores) if order.is_long_series else slices, *counted_below_filters(relation))
    text, _ = writer.select(relation)
    text = _with_names(writer.named, text)
    return Query(text, writer.leaves, order.is_kept, " OVER (" in text, wide=writer.wide(relation))


def _with_names(named: Sequence[tuple[str, str]], text: str) -> str:
    listed = ", ".join(f"{name} AS ({query})" for name, query in named)
    return f"WITH {listed} {text}" if listed else text


def leaf_name(relation: r.Relation) -> str:
    """Under which name a leaf is looked for."""
    return f"leaf_{id(relation):x}"


class _Writer:
    def __init__(self, slices: int, counting: frozenset[int], guarding: frozenset[int]) -> None:
        self._slices = slices
        self.leaves: dict[str, r.Relation] = {}
        self.named: list[tuple[str, str]] = []
        self._names: dict[int, str] = {}
        self._filtered: dict[int, tuple[r.Relation | None, Filtered | None]] = {}
        """By the relation's identity; it is kept, so that it keeps it."""
        self._fenced, self._guarding = counting, guarding
        """By identity: relations that count rows and are below filters, and such filters."""
        self._inside_subquery = 0
        self._filters = 0
        """How many relations that leave rows out are above, within the query or subquery that is being written."""

    def select(self, relation: r.Relation) -> tuple[str, int]:
        """(a SELECT, how deeply it nests)."""
        result = self._select(relation)
        self._note(relation)
        return result

    def wide(self, relation: r.Relation) -> Wide | None:
        """Of a relation that has been written: the same in steps, where they are cheaper and can be taken."""
        chain = chain_of_many(relation)
        steps = list(map(self._step, chain[1:]))
        taken = tuple(step for step in steps if step is not None)
        if not chain or len(taken) < len(steps):
            return None
        if isinstance(chain[0], r.Files | r.Local):
            return Wide(self._leaf(chain[0]), True, taken)
        self.named = []
        text, _ = self.select(chain[0])
        return Wide(_with_names(self.named, text), False, taken)

    def _step(self, node: r.Relation) -> Step | None:
        if id(node) in self._fenced or id(node) in self._guarding or (isinstance(node, r.Project) and _needs_a_column(node)):
            return None
        match node:
            case r.Project():
                shield = shielded(node, self._filtered.get(id(node.child), (None, None))[1])
                return Chosen(tuple(dict.fromkeys(self._item(item, shield) for item in node.expressions))) if node.expressions else None
            case r.Filter() if not _of_one_group(node.child):
                return Where(self._text(node.condition))
            case r.Sort():
                bare = ((self._text(key.child), key.ascending, key.nulls_first) for key in node.keys if isinstance(key, e.SortKey))
                return Sorted(tuple((text, up, up if first is None else first) for text, up, first in bare))
            case r.Limit():
                return Limited(node.count, node.offset)
            case r.Aggregate() if node.sets is None and aggregated_in_order(node) is node:
                keys = {key.id: column(key) for key in node.keys if isinstance(key, e.Attribute)}
                items = [item for item in node.outputs if not (isinstance(item, e.Attribute) and item.id in keys)]
                aggregates = tuple(dict.fromkeys(map(self._item, items)))
                if len(keys) < len(node.keys) or not all(map(has_aggregate, items)) or not all(map(is_one_call, aggregates)):
                    return None
                names = tuple(dict.fromkeys(map(column, node.output)))
                in_place = [each.id for each in node.output] == [*keys, *(item.id for item in items if isinstance(item, e.Alias))]
                return Grouped(tuple(keys.values()), aggregates, names, in_place)
        return None

    def _note(self, relation: r.Relation) -> None:
        child = getattr(relation, "child", None)
        below = self._filtered.get(id(child), (None, None))[1]
        attributes = frozenset(a.id for a in attributes_in(relation.condition)) if isinstance(relation, r.Filter) else frozenset()
        self._filtered[id(relation)] = (relation, after(relation, below, attributes))

    def _select(self, relation: r.Relation) -> tuple[str, int]:
        match relation:
            case r.Project():
                source, depth = self._source(relation.child)
                shield = shielded(relation, self._filtered.get(id(relation.child), (None, None))[1])
                if id(relation) in self._fenced:
                    return self._fence(relation, f"{self._items(relation.expressions)}, random() AS {HERE}", source), depth + 1
                items = self._items(relation.expressions, shield) if not _needs_a_column(relation) else self._items_of_a_column(relation)
                return f"SELECT {items} FROM {source}", depth
            case r.Filter():
                source, depth = self._source(relation.child, is_filter=True)
                condition = self._text(relation.condition)
                if self._is_volatile_over_union(relation.child) or id(relation) in self._guarding:
                    # The kernel takes filters below a union with whatever they need computed: functions would be called twice, and rows
                    # be chosen by other results than are seen; and below what counts rows. It leaves those that are not the same each time.
                    condition = _varying(condition)
                if id(relation) in self._fenced:
                    counted = self._fence(relation, f"*, CASE WHEN {condition} THEN 1 END AS {HERE}", source)
                    return f"{counted} WHERE {_varying(f'{HERE} >= 0')}", depth + 1
                if _totals(relation.child):  # Whose row of all rows is there even if there are none: no condition may go below.
                    listed = ", ".join(map(column, each_once(relation.output)))
                    drawn = f"(SELECT *, random() AS {HERE} FROM {source})"
                    return f"SELECT {listed} FROM {drawn} WHERE coalesce({condition}, FALSE) = ({HERE} >= 0)", depth + 1
                return f"SELECT * FROM {source} WHERE {condition}", depth
            case r.Aggregate():
                relation = aggregated_in_order(relation)
                source, depth = self._source(relation.child)
                # The kernel takes conditions without columns below aggregates, and one of all rows has its row all the same.
                one_row = " LIMIT 1" if self._filters and not relation.keys and relation.sets is None else ""
                return f"SELECT {self._items(relation.outputs)} FROM {source}{self._grouping(relation)}{one_row}", depth
            case r.Sort():
                source, depth = self._source(relation.child)
                return f"SELECT * FROM {source} ORDER BY {', '.join(map(self._text, relation.keys))}", depth
            case r.Limit():
                limit = "" if relation.count is None else f" LIMIT {relation.count}"
                offset = f" OFFSET {relation.offset}" if relation.offset else ""
                child = relation.child
                if isinstance(child, r.Project) and isinstance(child.child, r.Sort):
                    return self.select(r.Project(r.Limit(child.child, relation.count, relation.offset), child.expressions))
                if isinstance(child, r.Sort):  # In one SELECT, or the order would not bind.
                    text, depth = self.select(child)
                    return f"{text}{limit}{offset}", depth
                source, depth = self._source(relation.child)
                return f"SELECT * FROM {source}{limit}{offset}", depth
            case r.Deduplicate():
                if (firsts := firsts_in_order(relation)) is not None:
                    return self.select(firsts)
                source, depth = self._source(relation.child)
                on = "" if relation.keys is None else f" ON ({', '.join(map(column, each_once(relation.keys)))})"
                return f"SELECT DISTINCT{on} {', '.join(map(column, each_once(relation.output)))} FROM {source}", depth
            case r.Aliased():
                return self._renamed(relation.child, relation.columns)
            case r.Join():
                source, depth = self._joined(relation)
                return f"SELECT * FROM {source}", depth
            case r.Union():
                parts = [self._renamed(branch, relation.columns) for branch in relation.branches]
                return _all_of([f"({text})" for text, _ in parts]), max(depth for _, depth in parts) + 1
            case r.SetOperation():
                columns, wanted = told_apart(relation.output), each_once(relation.output)
                (left, left_depth), (right, right_depth) = (self._renamed(side, columns) for side in (relation.left, relation.right))
                depth = max(left_depth, right_depth) + 1
                chosen = ", ".join(map(column, wanted))
                if not relation.all:
                    both = f"({left}) {relation.kind.upper()} ({right})"
                    return (both, depth) if len(wanted) == len(columns) else (f"SELECT {chosen} FROM ({both})", depth + 1)
                # The kernel doesn't count how often a row is there, so equal rows are numbered, which makes each of them different.
                names = ", ".join(map(column, columns))
                numbered = (f'SELECT *, row_number() OVER (PARTITION BY {names}) AS "#copy" FROM ({side})' for side in (left, right))
                return f"SELECT {chosen} FROM ({f' {relation.kind.upper()} '.join(f'({side})' for side in numbered)})", depth + 2
            case r.Hint() | r.Repartition():  # Where rows are is not what they are.
                return self.select(relation.child)
            case r.Generate():
                below = sorted_by(relation.child)
                if below is None:
                    source, depth = self._source(relation.child)
                    return generate(relation, source, self._text), depth + 1
                source, depth = self._source(below[0])
                return generate(relation, source, self._text, below[1]), depth + 1
            case r.Sample():
                source, depth = self._source(relation.child)
                return sample(relation, source, id(relation) in self._fenced), depth + 3
            case r.Span():
                (only,) = relation.columns
                return _series(relation, column(only), self._slices), 1
            case r.Files() | r.Local() | r.Produced() | r.Sourced() | r.PythonMap() | r.GroupedMap() | r.Recursive():
                return f"SELECT * FROM {self._leaf(relation)}", 1
            case _:
                raise AssertionError(type(relation))

    def _is_volatile_over_union(self, relation: r.Relation) -> bool:
        pending = [(relation, False)]
        while pending:
            top, is_volatile = pending.pop()
            if is_volatile and (isinstance(top, r.Union) or (isinstance(top, r.Span) and self._slices > 1)):
                return True
            if not isinstance(top, Leaf):
                volatile = is_volatile or (isinstance(top, r.Project) and any_volatile(top.expressions))
                pending += ((child, volatile) for child in top.inputs)
        return False

    def _fence(self, relation: r.Relation, items: str, source: str) -> str:
        """A relation that counts rows, of these items over `source`. Whatever a filter above looks at comes from a column that is not the
        same each time, so that the kernel leaves the filter above."""
        return f"SELECT {fenced(each_once(relation.output))} FROM (SELECT {items} FROM {source})"

    def _leaf(self, relation: r.Relation) -> str:
        name = self._names.get(id(relation))
        if name is None:
            is_stored = isinstance(relation, r.Files | r.Local)
            # What is produced is so anew for each query.
            name = self._names[id(relation)] = leaf_name(relation) if is_stored else f"produced_{next(_numbers)}"
            self.leaves[name] = relation
        return name

    def _source(self, relation: r.Relation, is_filter: bool = False) -> tuple[str, int]:
        """(what may follow FROM, how deeply the whole nests). `is_filter`: what it is a source of leaves rows out."""
        match relation:
            case r.Files() | r.Local() | r.Produced() | r.Sourced() | r.PythonMap() | r.GroupedMap() | r.Recursive():
                return self._leaf(relation), 1
            case r.Join():
                return self._joined(relation, is_filter)
        return self._nested(relation, is_filter)

    def _nested(self, relation: r.Relation, is_filter: bool = False) -> tuple[str, int]:
        self._filters += is_filter
        text, depth = self.select(relation)
        self._filters -= is_filter
        if depth < _DEEP or (self._inside_subquery and outer_references(relation)):
            return f"({text})", depth + 1
        name = f"step_{len(self.named)}"
        self.named.append((name, text))
        return name, 1

    def _renamed(self, relation: r.Relation, columns: Sequence[e.Attribute]) -> tuple[str, int]:
        source, depth = self._source(relation)
        items = {new.id: f"{column(old)} AS {column(new)}" for old, new in zip(relation.output, columns, strict=True)}
        return f"SELECT {', '.join(items.values())} FROM {source}", depth

    def _items(self, expressions: Sequence[e.Expression], shield: int | None = None) -> str:
        if not expressions:
            return "1 AS " + quoted("#none")
        # Who groups by a column twice has it once: the kernel wants every name once, and whoever is above asks by name.
        return ", ".join(dict.fromkeys(self._item(expression, shield) for expression in expressions))

    def _items_of_a_column(self, relation: r.Project) -> str:
        """The items of a projection that names no column, of which the first now names one."""
        first, *rest = relation.expressions
        assert isinstance(first, e.Alias)
        some = f"named_struct('c', {column(relation.child.output[0])}) IS NOT NULL"
        item = f"CASE WHEN {some} THEN {self._text(first.child)} END AS {quoted(f'{first.name}#{first.id}')}"
        return ", ".join((item, *([self._items(rest)] if rest else [])))

    def _item(self, expression: e.Expression, shield: int | None = None) -> str:
        bare = expression.child if isinstance(expression, e.Alias) else expression
        if isinstance(bare, e.Attribute) and bare.id == shield:
            name = quoted(f"{expression.name}#{expression.id}") if isinstance(expression, e.Alias) else column(bare)
            return f"greatest({column(bare)}) AS {name}"
        if isinstance(expression, e.Alias):
            return f"{self._text(expression.child)} AS {quoted(f'{expression.name}#{expression.id}')}"
        return self._text(expression)

    def _grouping(self, relation: r.Aggregate) -> str:
        if relation.sets is not None:
            sets = ", ".join(f"({', '.join(self._text(relation.keys[position]) for position in chosen)})" for chosen in relation.sets)
            return f" GROUP BY GROUPING SETS ({sets})"
        return f" GROUP BY {', '.join(map(self._text, relation.keys))}" if relation.keys else ""

    def _joined(self, relation: r.Join, is_filter: bool = False) -> tuple[str, int]:
        """A chain of joins as one list after FROM: the kernel finds the best order of those that it sees together."""
        is_filter = is_filter or relation.condition is not None
        left, left_depth = self._source(relation.left, is_filter)
        right, right_depth = (
            self._source(relation.right, is_filter) if not isinstance(relation.right, r.Join) else self._nested(relation.right, is_filter)
        )
        depth = max(left_depth, right_depth)
        if relation.kind == "cross" or (relation.kind == "inner" and relation.condition is None):
            return f"{left} CROSS JOIN {right}", depth
        condition = "TRUE" if relation.condition is None else self._text(relation.condition)
        guards = id(relation) in self._guarding or any(map(self._is_volatile_over_union, relation.inputs))
        if relation.condition is not None and guards:
            condition = " AND ".join(self._guarded(part, relation) for part in operands(relation.condition, "and"))
        return f"{left} {_JOINS[relation.kind]} {right} ON {condition}", depth

    def _guarded(self, part: e.Expression, join: r.Join) -> str:
        """Of a join above what draws, counts or calls users' functions: a condition on one side alone would be taken below it."""
        text, used = self._text(part), {attribute.id for attribute in attributes_in(part)}
        sides = (side for side in (join.left, join.right) if used & {attribute.id for attribute in side.output})
        return text if len(list(sides)) > 1 else f"({_varying(text)})"

    def _text(self, expression: e.Expression) -> str:
        return lowered(expression, self._subquery)

    def _subquery(self, relation: r.Relation) -> str:
        # What refers to the query around must stay inside it.
        self._inside_subquery += 1
        above, self._filters = self._filters, 0
        try:
            return self.select(relation)[0]
        finally:
            self._inside_subquery -= 1
            self._filters = above


def _all_of(branches: list[str]) -> str:
    """Their union. Many are put together in groups: the kernel takes a row of them for as many levels."""
    while len(branches) > _BESIDE:
        groups = (branches[first : first + _BESIDE] for first in range(0, len(branches), _BESIDE))
        branches = [f"({' UNION ALL '.join(group)})" if len(group) > 1 else group[0] for group in groups]
    return " UNION ALL ".join(branches)


def _needs_a_column(relation: r.Project) -> bool:
    """Whether it has functions of elements and no column: the kernel drops columns that nobody names too late to know where it puts the
    functions' arguments."""
    every = [node for expression in relation.expressions for node in walk(expression)]
    has_lambda = any(isinstance(node, e.Lambda) for node in every)
    return has_lambda and bool(relation.child.output) and not any(isinstance(node, e.Attribute) for node in every)


def _of_one_group(relation: r.Relation) -> bool:
    return isinstance(relation, r.Aggregate) and not relation.keys


def _totals(relation: r.Relation) -> bool:
    """Whether one of its grouping sets is of all rows."""
    while isinstance(relation, r.Project | r.Filter | r.Aliased | r.Hint):
        relation = relation.child
    return isinstance(relation, r.Aggregate) and relation.sets is not None and () in relation.sets


def _varying(condition: str) -> str:
    """It, as something that is not the same each time."""
    return f"coalesce({condition}, FALSE) = (random() >= 0)"


def _series(span: r.Span, name: str, slices: int) -> str:
    values = range(span.start, span.end, span.step)
    count = min(slices if span.partitions is None else span.partitions, len(values)) if slices > 1 else 1
    bounds = [len(values) * number // count for number in range(count + 1)] if count > 1 else [0, len(values)]
    parts = []
    for begin, stop in itertools.pairwise(bounds):
        start = span.start + begin * span.step
        last = span.start + stop * span.step - (1 if span.step > 0 else -1) if count > 1 else span.end - (1 if span.step > 0 else -1)
        # The condition always holds, and needs the column: a decoded series can't be read without any column. And through a function it
        # doesn't tell that it is sorted, of which a decoded series knows nothing: windows over it failed.
        always = f"value {'>=' if span.step > 0 else '<='} {start}"
        parts.append(f"SELECT greatest(CAST(value AS BIGINT)) AS {name} FROM generate_series({start}, {last}, {span.step}) WHERE {always}")
    return parts[0] if count <= 1 else " UNION ALL ".join(f"({part})" for part in parts)
