"""In which order a chain of inner joins is done: so that few rows are expected between them. Pure.

The kernel joins tables in the order in which they are listed (the first that has a key with those before), whatever their sizes. Here the
chain is listed anew when another order is expected to leave far fewer rows on the way. All orders are of one kind, since the kernel makes
nothing else of a list: one table after another is joined to those before.

    inputs     what the chain joins, each with what is expected of it (cardinality.py), filters on it counted
    classes    columns that are equal in the result, over all inputs: `a = b AND b = c` joins a to c, too
    cost       the rows after each join, added up
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, TypeGuard

from quiver.sql.analysis.cardinality import Estimate, Estimates, OfFiles, bare, filtered, share
from quiver.sql.analysis.rewriting import changed, outer_references
from quiver.sql.analysis.volatile import is_volatile
from quiver.sql.tree import expressions as e
from quiver.sql.tree import relations as r
from quiver.sql.tree.walking import all_of, attributes_in, conjuncts, walk

_FEWER = 2.0
"""So many times fewer rows are worth another order: estimates are rough, and the program's may have its reasons."""
_ROWS = 100_000
"""Up to so many rows on the way any order will do."""
_MOST = 40
"""Inputs of a chain that are ordered."""


@dataclass(frozen=True, slots=True)
class Side:
    """One input of a chain. `rows`: after its own filters; `all_rows`: before them. `keys`: distinct values by class."""

    rows: float
    all_rows: float
    keys: Mapping[int, float]


@dataclass(frozen=True, slots=True)
class _Reached:
    """The inputs `done` are joined; `keys`: distinct values of the classes among them; `cost`: rows after each join so far."""

    done: tuple[int, ...]
    rows: float
    keys: Mapping[int, float]
    cost: float = 0.0


def with_ordered_joins(relation: r.Relation, of_files: OfFiles) -> r.Relation:
    """The relation with its chains of inner joins in a better order, where there is one; the same object where there is none."""
    result: r.Relation = _Orderer(of_files).everywhere(relation)
    return result


class _Orderer:
    def __init__(self, of_files: OfFiles) -> None:
        self._expected = Estimates(of_files)

    def everywhere(self, value: Any) -> Any:
        """In a relation, an expression with its subqueries, or a tuple of them."""
        return changed(value, of_relation=self._rewritten)

    def _rewritten(self, node: r.Relation) -> r.Relation | None:
        made = node
        match node:
            case r.Filter():
                given = factored(node.condition)
                below, given = self._with_memberships(node.child, given)
                child, rest = self._below(below, given)
                kept = self.everywhere(tuple(rest))
                if child is not node.child or len(kept) < len(given):
                    made = r.Filter(child, all_of(kept)) if kept else child
                elif not _alike(kept, conjuncts(node.condition)):
                    made = r.Filter(child, all_of(kept))
            case r.Join():
                made, _ = self._below(node, [])
            case _:
                return None
        in_place = [column.id for column in made.output] == [column.id for column in node.output]
        return made if in_place else r.Project(made, node.output)

    def _with_memberships(self, node: r.Relation, conditions: list[e.Expression]) -> tuple[r.Relation, list[e.Expression]]:
        """(joins, with each `column IN (subquery)` around the input that has the column; the other conditions).

        The kernel makes a join of such a condition where it stands: above all others, which come to many more rows. It stays there where
        the joins have fewer rows than the input."""
        sinking = [each for each in conditions if _is_membership(each)] if isinstance(_chosen(node), r.Join) else []
        if not sinking:
            return node, conditions
        rest = [each for each in conditions if not _among(each, sinking)]
        joined = self._expected.of(node)
        if joined is None:
            return node, conditions
        most = filtered(joined, rest).rows
        for each in sinking:
            sunk = self._sunk(node, each, most)
            if sunk is None:
                rest.append(each)
            else:
                node = sunk
        return node, rest

    def _sunk(self, node: r.Relation, condition: e.InSubquery, most: float) -> r.Relation | None:
        """None: it can't be, or the input has more rows than that."""
        if isinstance(node, r.Project) and all(isinstance(item, e.Attribute) for item in node.expressions):
            child = self._sunk(node.child, condition, most)
            return None if child is None else replace(node, child=child)
        if isinstance(node, r.Join):
            is_left, is_right = (attributes_in(condition.child)[0].id in {each.id for each in side.output} for side in node.inputs)
            if node.kind not in ("inner", "cross", "left") or not (is_left or (is_right and node.kind != "left")):
                return None
            side = self._sunk(node.left if is_left else node.right, condition, most)
            return None if side is None else replace(node, left=side) if is_left else replace(node, right=side)
        own = self._expected.of(node)
        return r.Filter(node, condition) if own is not None and own.rows <= most else None

    def _below(self, node: r.Relation, conditions: list[e.Expression]) -> tuple[r.Relation, list[e.Expression]]:
        """(the relation below such conditions, its columns maybe in another order; the conditions that are still to be met)."""
        if not isinstance(node, r.Join):
            return self.everywhere(node), conditions
        if _is_linked(node):
            return self._chain(node, conditions)
        own = conditions if node.kind in ("left", "semi", "anti") else []
        columns = {column.id for column in node.left.output}
        own = [each for each in own if {column.id for column in attributes_in(each)} <= columns]
        left, rest = self._below(node.left, own)
        right, _ = self._below(node.right, [])
        condition = None if node.condition is None else self.everywhere(node.condition)
        if left is not node.left or right is not node.right or condition is not node.condition:
            node = replace(node, left=left, right=right, condition=condition)
        return node, [each for each in conditions if not _among(each, own) or _among(each, rest)]

    def _chain(self, join: r.Join, conditions: list[e.Expression]) -> tuple[r.Relation, list[e.Expression]]:
        given: list[r.Relation] = []
        links: list[e.Expression] = []
        _flatten(join, given, links)
        inputs = [self.everywhere(each) for each in given]
        order = self._order(inputs, links, conditions) if 2 < len(inputs) <= _MOST and not any(map(_is_own, links)) else None
        if order is None:
            return _rejoined(join, iter(inputs), self.everywhere), conditions
        owners = {column.id: number for number, each in enumerate(inputs) for column in each.output}
        taken = [each for each in conditions if len(_ends(each, owners)) > 1]
        pending = [*links, *taken]
        made, done = inputs[order[0]], {order[0]}
        for number in order[1:]:
            done.add(number)
            met = [each for each in pending if {owners[column.id] for column in attributes_in(each)} <= done]
            pending = [each for each in pending if not _among(each, met)]
            made = r.Join(made, inputs[number], "inner", all_of(met)) if met else r.Join(made, inputs[number], "cross", None)
        return made, [each for each in conditions if not _among(each, taken)]

    def _order(
        self, inputs: Sequence[r.Relation], links: Sequence[e.Expression], conditions: Sequence[e.Expression]
    ) -> tuple[int, ...] | None:
        known = [self._expected.of(each) for each in inputs]
        estimates = [each for each in known if each is not None]
        if len(estimates) < len(inputs):
            return None
        owners = {column.id: number for number, each in enumerate(inputs) for column in each.output}
        both = Estimate(1.0, {column: values for each in estimates for column, values in each.columns.items()})
        classes: dict[int, int] = {}
        own: dict[int, list[e.Expression]] = {}
        parts: list[tuple[frozenset[int], float]] = []
        for each in (*links, *conditions):
            used = {column.id for column in attributes_in(each)}
            if _is_own(each) or not used <= owners.keys():
                continue
            if len(ends := _ends(each, owners)) > 1:
                one, other = (classes.setdefault(column, column) for column in ends)
                classes.update({column: one for column, found in classes.items() if found == other})
            elif len(needed := frozenset(owners[column] for column in used)) > 1:
                parts.append((needed, share(each, both)))
            else:
                own.setdefault(owners[min(used)] if used else 0, []).append(each)
        keys: list[dict[int, float]] = [{} for _ in inputs]
        for column, found in classes.items():
            mine = keys[owners[column]]
            mine[found] = max(mine.get(found, 1.0), estimates[owners[column]].distinct(column))
        rows = [filtered(each, own.get(number, ())).rows for number, each in enumerate(estimates)]
        sides = [Side(after, before.rows, distinct) for after, before, distinct in zip(rows, estimates, keys, strict=True)]
        return ordered(sides, parts)


def _is_membership(condition: e.Expression) -> TypeGuard[e.InSubquery]:
    """Whether it says the same of a column's value wherever it stands."""
    return isinstance(condition, e.InSubquery) and isinstance(condition.child, e.Attribute) and not outer_references(condition)


def _is_linked(node: r.Relation) -> bool:
    return isinstance(node, r.Join) and node.kind in ("inner", "cross") and node.hint is None


def _chosen(node: r.Relation) -> r.Relation:
    """Below selections of columns, which a chain doesn't mind."""
    while isinstance(node, r.Project) and all(isinstance(item, e.Attribute) for item in node.expressions):
        node = node.child
    return node


def _flatten(join: r.Relation, inputs: list[r.Relation], links: list[e.Expression]) -> None:
    below = _chosen(join)
    if not isinstance(below, r.Join) or not _is_linked(below):
        inputs.append(join)
        return
    _flatten(below.left, inputs, links)
    _flatten(below.right, inputs, links)
    if below.condition is not None:
        links += factored(below.condition)


def _rejoined(node: r.Relation, inputs: Iterator[r.Relation], everywhere: Callable[[Any], Any]) -> r.Relation:
    """The chain as it is written, of such inputs."""
    below = _chosen(node)
    if not isinstance(below, r.Join) or not _is_linked(below):
        return next(inputs)
    left, right = _rejoined(below.left, inputs, everywhere), _rejoined(below.right, inputs, everywhere)
    condition = None if below.condition is None else everywhere(below.condition)
    if left is below.left and right is below.right and condition is below.condition:
        return node
    made = replace(below, left=left, right=right, condition=condition)
    return made if below is node else r.Project(made, node.output)


def factored(condition: e.Expression) -> list[e.Expression]:
    """What has to hold, each of it: `(a AND b) OR (a AND c)` is `a` and `b OR c`."""
    found: list[e.Expression] = []
    for part in conjuncts(condition):
        branches = [conjuncts(branch) for branch in _alternatives(part)]
        shared = [each for each in branches[0] if all(each in branch for branch in branches[1:])] if len(branches) > 1 else []
        rests = [[each for each in branch if each not in shared] for branch in branches]
        found += shared or [part]
        if shared and all(rests):
            found.append(functools.reduce(lambda one, other: e.Call("or", (one, other)), map(all_of, rests)))
    return found


def _alternatives(condition: e.Expression) -> list[e.Expression]:
    if isinstance(condition, e.Call) and condition.name == "or":
        return [each for argument in condition.args for each in _alternatives(argument)]
    return [condition]


def _alike(some: Sequence[e.Expression], others: Sequence[e.Expression]) -> bool:
    return len(some) == len(others) and all(one is other for one, other in zip(some, others, strict=True))


def _among(one: e.Expression, others: Iterable[e.Expression]) -> bool:
    return any(one is other for other in others)


def _is_own(condition: e.Expression) -> bool:
    """Whether it must stay where it is written: it refers to rows elsewhere, or gives something else each time."""
    return any(
        isinstance(node, e.ScalarSubquery | e.Exists | e.InSubquery | e.OuterReference | e.PythonCall) or is_volatile(node)
        for node in walk(condition)
    )


def _ends(condition: e.Expression, owners: Mapping[int, int]) -> list[int]:
    """The columns of two inputs that it says are equal; none if it says anything else."""
    if not isinstance(condition, e.Call) or condition.name != "=":
        return []
    sides = [bare(argument) for argument in condition.args]
    columns = [side.id for side in sides if isinstance(side, e.Attribute) and side.id in owners]
    return columns if len({owners[column] for column in columns}) == 2 else []


def ordered(sides: Sequence[Side], links: Sequence[tuple[frozenset[int], float]]) -> tuple[int, ...] | None:
    """The best order found for inputs, by number; None where it is not worth leaving the one that they have.

    `links`: conditions besides equal columns that need several inputs, and what share of rows they leave.
    """
    written = _as_written(sides, links)
    if written.cost < _ROWS:
        return None
    best = min((_greedy(first, sides, links) for first in range(len(sides))), key=lambda reached: reached.cost)
    return best.done if best.cost * _FEWER <= written.cost else None


def _start(first: int, sides: Sequence[Side]) -> _Reached:
    return _Reached((first,), sides[first].rows, sides[first].keys)


def _as_written(sides: Sequence[Side], links: Sequence[tuple[frozenset[int], float]]) -> _Reached:
    """As the kernel goes: the first that has a key with those before, or the first."""
    reached = _start(0, sides)
    left = list(range(1, len(sides)))
    while left:
        chosen = next((number for number in left if reached.keys.keys() & sides[number].keys.keys()), left[0])
        left.remove(chosen)
        reached = _with(reached, chosen, sides, links)
    return reached


def _greedy(first: int, sides: Sequence[Side], links: Sequence[tuple[frozenset[int], float]]) -> _Reached:
    """What leaves the fewest rows comes next, of those that have a key with those before."""
    reached = _start(first, sides)
    left = set(range(len(sides))) - {first}
    while left:
        linked = sorted(number for number in left if reached.keys.keys() & sides[number].keys.keys()) or sorted(left)
        reached = min((_with(reached, number, sides, links) for number in linked), key=lambda after: after.rows)
        left.remove(reached.done[-1])
    return reached


def _with(reached: _Reached, number: int, sides: Sequence[Side], links: Sequence[tuple[frozenset[int], float]]) -> _Reached:
    """After one more join."""
    side = sides[number]
    shared = reached.keys.keys() & side.keys.keys()
    done = frozenset((*reached.done, number))
    rows = reached.rows * side.rows / _matches(reached, side, shared, sides)
    for needed, part in links:
        if number in needed and needed <= done:
            rows *= part
    rows = max(1.0, rows)
    keys = {**reached.keys, **side.keys, **{key: min(reached.keys[key], side.keys[key]) for key in shared}}
    return _Reached((*reached.done, number), rows, keys, reached.cost + rows)


def _matches(reached: _Reached, side: Side, shared: Iterable[int], sides: Sequence[Side]) -> float:
    """Of how many pairs of rows one meets."""
    keys = list(shared)
    if len(keys) > 1:
        owners = [sides[number] for number in reached.done if all(key in sides[number].keys for key in keys)]
        if owners:  # Several columns of one table refer to several of another: their values come in pairs that exist.
            return min(min(math.prod(one.keys[key] for key in keys), one.all_rows) for one in (side, owners[0]))
    return math.prod(max(reached.keys[key], side.keys[key]) for key in keys)
