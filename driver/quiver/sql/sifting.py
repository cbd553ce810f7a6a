"""Rows that no join will need: a stage leaves them out before it deals its rows, once the few keys that they have to meet are there.

    SELECT … FROM orders JOIN lineitem ON o_orderkey = l_orderkey WHERE o_orderkey IN (SELECT … HAVING …)

When the subquery's shuffle has come out small, only orders and lines with these keys have to be shuffled: the keys of one side of a join
are followed down the other side, through joins and stages, to where its rows come from. Pure.

It is the semi-join reduction of Bernstein and Chiu ("Using Semi-Joins to Solve Relational Queries", 1981), decided while the query runs.
"""

from __future__ import annotations

import functools
from collections import Counter
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from quiver.sql.cutting import NEEDS_LEFT, NEEDS_RIGHT, CutPlan, CutStage
from quiver.sql.regrouping import Reading, regrouped
from quiver_proto.fragments import COLLECT_LEFT, SCANS, JoinType, body_of, children, copied, exchange_of, kind_of
from quiver_proto.v1.kernel_pb2 import ColumnExpression, Opaque, Plan

_T = JoinType
_ONLY_LEFT = frozenset({_T.LEFT_SEMI, _T.LEFT_ANTI})
_ONLY_RIGHT = frozenset({_T.RIGHT_SEMI, _T.RIGHT_ANTI})
"""Joins that give columns of that side only."""
_KEEPS_LEFT = _ONLY_LEFT | {_T.INNER, _T.LEFT}
_KEEPS_RIGHT = _ONLY_RIGHT | {_T.INNER, _T.RIGHT}
"""Joins whose columns of that side are as they were in it, each row by itself."""
_UNCHANGED = frozenset({"coalesce_batches", "cooperative", "buffer"})
_SELECTIVE = frozenset({"filter", "global_limit"})
_PARTIAL = 0
_WHOLE_GROUPS = frozenset({2, 4})
"""Modes of aggregates that are partitioned by their keys."""


@dataclass(frozen=True, slots=True)
class Sifting:
    """Of `stage`, only rows are needed whose `columns` are equal to the `keys` of a row of `source`, which `scan` reads.

    Columns by their places; `null_equality` as in the join that asks for it.
    """

    source: CutStage
    scan: Plan
    keys: tuple[int, ...]
    stage: CutStage
    columns: tuple[int, ...]
    null_equality: int

    def applied(self) -> Plan:
        """The stage's plan without the other rows: they are left out before it groups its own."""
        result = copied(self.stage.plan)
        names = _names(self.stage.schema)
        place, columns = _below_groups(result, [_expression(names[column], column) for column in self.columns])
        sifted = Plan()
        join = sifted.hash_join
        groups = body_of(self.scan).base_conf.file_groups
        join.left.CopyFrom(regrouped(self.scan, [Reading(0, len(groups))]))
        join.right.CopyFrom(place)
        given = _names(self.source.schema)
        for key, column in zip(self.keys, columns, strict=True):
            pair = join.on.add()
            pair.left.CopyFrom(_expression(given[key], key))
            pair.right.CopyFrom(column)
        join.join_type, join.partition_mode, join.null_equality = _T.RIGHT_SEMI, COLLECT_LEFT, self.null_equality
        place.CopyFrom(sifted)
        return result


class _Place(NamedTuple):
    """A column of what an exchange reads."""

    scan: Plan
    shuffle: int
    column: int


class Sifter:
    """Of a query that is cut so; `missing` are the shuffles that are still to be made."""

    def __init__(self, plan: CutPlan, missing: Collection[int]) -> None:
        self._stages = {stage.shuffle_id: stage for stage in plan.stages}
        self._missing = missing
        self._readers = Counter(shuffle for reads in (plan.reads, *(stage.reads for stage in plan.stages)) for shuffle in reads)
        self._reduced: dict[int, bool] = {}

    def siftings(self, node: Plan) -> Iterator[Sifting]:
        """What this join makes possible; whether the source is there, and small, is not asked."""
        if kind_of(node) != "hash_join" or node.hash_join.null_aware:
            return
        join = node.hash_join
        sides = ((join.left, join.right, NEEDS_LEFT, False), (join.right, join.left, NEEDS_RIGHT, True))
        for source, target, types, turned in sides:
            if join.join_type not in types:
                continue
            pairs: dict[tuple[int, int], list[tuple[_Place, _Place]]] = {}
            for on in join.on:
                given, asked = (_column(on.right), _column(on.left)) if turned else (_column(on.left), _column(on.right))
                if given is None or asked is None:
                    continue
                for known in self._sources(source, given):
                    for place in self._targets(target, asked):
                        pairs.setdefault((known.shuffle, place.shuffle), []).append((known, place))
            for (shuffle, stage), found in pairs.items():
                if self._may(shuffle, stage):
                    keys, columns = tuple(each.column for each, _ in found), tuple(each.column for _, each in found)
                    yield Sifting(self._stages[shuffle], found[0][0].scan, keys, self._stages[stage], columns, join.null_equality)

    def _may(self, source: int, stage: int) -> bool:
        return source not in self._stages[stage].reads and stage not in self._below(source) and self._is_reduced(source)

    def _sources(self, plan: Plan, column: int) -> list[_Place]:
        """Exchanges that have every value which the column has."""
        return [place for place in self._places(plan, column, partners=False) if place.shuffle in self._stages]

    def _targets(self, plan: Plan, column: int) -> list[_Place]:
        """Stages that have not run, whose rows are not needed where their column has a value that is not asked for in this one: as far
        below as they are."""
        found: list[_Place] = []
        for place in self._places(plan, column, partners=True):
            if place.shuffle in self._missing and self._readers[place.shuffle] == 1:
                found += self._targets(self._stages[place.shuffle].plan, place.column) or [place]
        return found

    def _places(self, plan: Plan, column: int, partners: bool) -> list[_Place]:
        """Where a column comes from as it is. `partners`: also the columns that joins on the way make it equal to."""
        kind, body = kind_of(plan), body_of(plan)
        if kind in SCANS:
            exchanges = [exchange_of(group) for group in body.base_conf.file_groups]
            whole = exchanges and all(each is not None and not each.by_map and each.maps is None for each in exchanges)
            return [_Place(plan, exchanges[0].shuffle_id, column)] if whole and exchanges[0] is not None else []
        if kind in _UNCHANGED:
            return self._places(body.input, column, partners)
        if kind == "projection" or (kind == "aggregate" and _deals_by_key(plan)):
            below = _passed(plan, column)
            return [] if below is None else self._places(body.input, below, partners)
        if kind != "hash_join":
            return []
        width = self._width(body.left)
        if width is None or body.null_aware:
            return []
        column = body.projection[column] if body.projection else column
        from_left = body.join_type in _ONLY_LEFT or (body.join_type not in _ONLY_RIGHT and column < width)
        if from_left:
            keeps, own, other = body.join_type in _KEEPS_LEFT, body.left, body.right
        else:
            keeps, own, other = body.join_type in _KEEPS_RIGHT, body.right, body.left
            column -= 0 if body.join_type in _ONLY_RIGHT else width
        if not keeps:
            return []
        found = self._places(own, column, partners)
        for on in body.on if partners else ():
            mine, its = (on.left, on.right) if from_left else (on.right, on.left)
            equal = _column(its)
            if equal is not None and _column(mine) == column:
                found += self._places(other, equal, partners)
        return found

    def _width(self, plan: Plan) -> int | None:
        """How many columns a plan gives; None where that is not told."""
        kind, body = kind_of(plan), body_of(plan)
        if kind in SCANS:
            exchange = exchange_of(body.base_conf.file_groups[0]) if body.base_conf.file_groups else None
            stage = None if exchange is None else self._stages.get(exchange.shuffle_id)
            return None if stage is None else len(_names(stage.schema))
        if kind in _UNCHANGED:
            return self._width(body.input)
        if kind == "projection":
            return len(body.expressions)
        if kind != "hash_join":
            return None
        if body.projection:
            return len(body.projection)
        left, right = self._width(body.left), self._width(body.right)
        if body.join_type in _ONLY_LEFT:
            return left
        if body.join_type in _ONLY_RIGHT:
            return right
        return None if left is None or right is None or body.join_type in (_T.LEFT_MARK, _T.RIGHT_MARK) else left + right

    def _below(self, shuffle: int) -> set[int]:
        """The shuffles that it is made of."""
        found: set[int] = set()
        pending = [shuffle]
        while pending:
            stage = self._stages.get(pending.pop())
            new = set(stage.reads) - found if stage is not None else set[int]()
            found |= new
            pending += new
        return found

    def _is_reduced(self, shuffle: int) -> bool:
        """Whether something leaves rows out on its way: all keys of a table would not leave out any."""
        if shuffle not in self._reduced:
            stage = self._stages[shuffle]
            below = (each for each in stage.reads if each in self._stages)
            self._reduced[shuffle] = _is_selective(stage.plan) or any(map(self._is_reduced, below))
        return self._reduced[shuffle]


def _deals_by_key(plan: Plan) -> bool:
    """Whether an aggregate gives a row for each key, whichever other keys there are."""
    body = plan.aggregate
    return body.mode in _WHOLE_GROUPS and not body.has_grouping_set and not body.HasField("limit")


def _passed(plan: Plan, column: int) -> int | None:
    """Which column of its input a projection or an aggregate gives as this one; None if it is computed."""
    given = body_of(plan).expressions if kind_of(plan) == "projection" else body_of(plan).keys
    return _column(given[column]) if column < len(given) else None


def _below_groups(plan: Plan, columns: Sequence[Opaque]) -> tuple[Plan, Sequence[Opaque]]:
    """The input of the first steps of aggregates at the top of `plan`, and what these columns are there; `plan` itself where none has them
    as keys."""
    found, top, asked = (plan, columns), plan, columns
    while (kind := kind_of(top)) == "projection" or (kind == "aggregate" and top.aggregate.mode == _PARTIAL):
        given = top.projection.expressions if kind == "projection" else top.aggregate.keys
        places = [_column(each) for each in asked]
        if any(place is None or place >= len(given) or _column(given[place]) is None for place in places):
            break
        if kind == "aggregate" and (top.aggregate.has_grouping_set or top.aggregate.HasField("limit")):
            break
        asked = [given[place] for place in places if place is not None]
        top = body_of(top).input
        if kind == "aggregate":
            found = top, asked
    return found


def _is_selective(plan: Plan) -> bool:
    pending = [plan]
    while pending:
        top = pending.pop()
        if kind_of(top) in _SELECTIVE or (kind_of(top) == "hash_join" and top.hash_join.join_type in _ONLY_LEFT | _ONLY_RIGHT):
            return True
        pending += children(top)
    return False


@functools.lru_cache(maxsize=256)
def _names(schema: bytes) -> tuple[str, ...]:
    """Of the columns of a serialised Arrow schema."""
    import pyarrow as pa

    return tuple(pa.ipc.read_schema(pa.py_buffer(schema)).names)


def _column(expression: Opaque) -> int | None:
    """The place of a column; None for any other expression."""
    data = expression.SerializeToString()
    found = ColumnExpression.FromString(data)
    return int(found.column.index) if found.HasField("column") else None


def _expression(name: str, place: int) -> Opaque:
    made = ColumnExpression()
    made.column.name, made.column.index = name, place
    return Opaque.FromString(made.SerializeToString())
