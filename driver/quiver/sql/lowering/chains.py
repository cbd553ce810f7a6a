"""Chains of operators as one call, or as a balanced tree. Pure.

Programs write sums, conditions and concatenations of thousands of terms, each of which stands in the one before: parsers recurse, and the
kernel's messages nest no more than a hundred deep.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Final

from quiver.sql import types as t
from quiver.sql.analysis.typing import type_of
from quiver.sql.lowering.depths import depth
from quiver.sql.registry.guarding import CHECKED
from quiver.sql.tree import expressions as e
from quiver_proto.spark_functions.checked import REVERSED

LONG: Final = 8
"""Operators in a chain of arithmetic, above which it is one call though nothing need be checked."""
FLAT: Final = frozenset({"concat", "coalesce"})
"""Functions of which f(f(a, b), c) is f(a, b, c)."""
_MANY: Final = 32
"""Conditions, above which they are put into groups that the kernel takes for one each: it makes a chain of all that it sees."""
_ALIKE: Final = 8
"""Comparisons of one value with constants, above which they are a list."""


def branches(case: e.Case) -> tuple[list[tuple[e.Expression, e.Expression]], e.Expression | None]:
    """Of a CASE, and of the CASE that is its ELSE, and so on; and the last ELSE."""
    found = list(case.branches)
    last = case.otherwise
    while isinstance(last, e.Case):
        found += last.branches
        last = last.otherwise
    return found, last


def operands(expression: e.Expression, operator: str) -> Iterator[e.Expression]:
    """What a tree of one operator is made of, from left to right."""
    pending = [expression]
    while pending:
        top = pending.pop()
        if isinstance(top, e.Call) and top.name == operator:
            pending.extend(reversed(top.args))
        else:
            yield top


def joined(parts: Sequence[str], join: Callable[[Sequence[str]], str], fenced: bool = False) -> str:
    """In pairs, and pairs of pairs. `fenced`: conditions, of which the kernel would make a chain."""
    result = list(parts)
    fenced = fenced and len(result) > _MANY
    rounds = 0
    while len(result) > 1:
        result = [result[i] if i + 1 == len(result) else join(result[i : i + 2]) for i in range(0, len(result), 2)]
        rounds += 1
        if fenced and rounds % 2 == 0 and len(result) > 1:
            result = [f"nullif({each}, NULL)" for each in result]  # Which it is.
    return result[0]


def arithmetic(call: e.Call) -> tuple[list[str], list[e.Expression]]:
    """Of sums and products of one type, of which each has the next for an operand: operations for checked.Checked, and operands, from the
    innermost on."""
    kind = type_of(call)
    operations: list[str] = []
    found: list[e.Expression] = []
    first: e.Expression = call
    while isinstance(first, e.Call) and first.name in CHECKED and all(type_of(argument) == kind for argument in first.args):
        left, right = first.args
        after = _is_link(right, kind) and (not _is_link(left, kind) or depth(right) > depth(left))
        operations.append(CHECKED[first.name] + (REVERSED if after else ""))
        found.append(left if after else right)
        first = right if after else left
    return operations[::-1], [first, *found[::-1]]


def _is_link(expression: e.Expression, kind: t.DataType) -> bool:
    return isinstance(expression, e.Call) and expression.name in CHECKED and type_of(expression) == kind


def with_memberships(conditions: list[e.Expression], operator: str) -> list[e.Expression]:
    """Where many compare one column with constants, `x = 1 or x = 2` as x IN (1, 2), and `x <> 1 and x <> 2` as NOT x IN (1, 2)."""
    if len(conditions) <= _ALIKE:
        return conditions
    pairs = [_compared(condition, operator) for condition in conditions]
    constants: dict[int, list[e.Expression]] = {}
    for pair in pairs:
        if pair is not None:
            constants.setdefault(pair[0].id, []).append(pair[1])
    result: list[e.Expression] = []
    put: set[int] = set()
    for condition, pair in zip(conditions, pairs, strict=True):
        if pair is None or len(constants[pair[0].id]) <= _ALIKE:
            result.append(condition)
        elif pair[0].id not in put:
            put.add(pair[0].id)
            member = e.In(pair[0], tuple(constants[pair[0].id]))
            result.append(member if operator == "or" else e.Call("not", (member,)))
    return result


def _compared(condition: e.Expression, operator: str) -> tuple[e.Attribute, e.Expression] | None:
    """The column and the constant that are compared."""
    wanted = "="
    if operator == "and":
        wanted = "<>"
        if isinstance(condition, e.Call) and condition.name == "not":
            (condition,), wanted = condition.args, "="
    if not isinstance(condition, e.Call) or condition.name != wanted:
        return None
    value, constant = condition.args
    bare = constant.child if isinstance(constant, e.Cast) else constant
    return (value, constant) if isinstance(value, e.Attribute) and isinstance(bare, e.Literal) and bare.value is not None else None
