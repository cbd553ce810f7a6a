"""Which constant calls the kernel must not compute while it plans a query on the driver. Pure.

Its optimiser computes every call of constants, from the innermost on: without a job, so that nothing cancels it and no budget holds it.
Calls that may take far longer, or become far larger, than their text tells are written as what is not the same each time. They run in a
task, as a call of a column does. What is above them is then no constant either.
"""

from __future__ import annotations

import math
from typing import Final

from quiver.sql.analysis.volatile import any_volatile
from quiver.sql.tree import expressions as e
from quiver.sql.tree.walking import children_of, walk

_GROWING: Final = {
    "sequence": (0, 1, 2),
    "repeat": (1,),
    "array_repeat": (1,),
    "space": (0,),
    "lpad": (1,),
    "rpad": (1,),
    "array_insert": (1,),
}
"""Functions whose results may be far larger than their arguments, and of which arguments: these numbers tell how large."""
_SEARCHING: Final = {
    "rlike": 1, "regexp_extract": 1, "regexp_extract_all": 1, "regexp_replace": 1, "regexp_count": 1, "regexp_instr": 1, "regexp_substr": 1,
    "split": 1, "str_to_map": 1,
}  # fmt: skip
"""Functions that look for patterns, and which argument is the first pattern: with repetitions in repetitions the time is exponential."""
_FORMATTING: Final = frozenset({"format_string", "printf", "str_to_map"})
"""Whose size or time other texts tell: seldom of constants, and never computed early."""
COSTLY: Final = frozenset({*_GROWING, *_SEARCHING, *_FORMATTING})
_SMALL: Final = 1000
"""Characters, of which a pattern with one repetition takes no time."""
_FEW: Final = 100_000
"""Elements or bytes that the driver may make while it plans."""
_FOLDING: Final = frozenset({"aggregate", "array_sort"})
"""Python runs their functions, an element at a time."""
_NOT_CONSTANT = (e.Attribute, e.OuterReference, e.PythonCall, e.ScalarSubquery, e.Exists, e.InSubquery, e.Windowed)


def is_late(call: e.Call, name: str) -> bool:
    """Whether a call of the function `name` is one of constants that is too costly for the driver."""
    if any(isinstance(argument, e.Lambda) for argument in call.args):
        return (name in _FOLDING or _steps(call) > _FEW) and _is_constant(call)
    return name in COSTLY and not _is_small(call, name) and _is_constant(call)


def late(value: str) -> str:
    """The value, as what the kernel takes for no constant."""
    return f"(CASE WHEN random() >= 0 THEN {value} END)"


def _is_constant(call: e.Call) -> bool:
    own = {name for node in walk(call) if isinstance(node, e.Lambda) for name in node.parameters}
    if any_volatile((call,)):
        return False
    return not any(isinstance(node, _NOT_CONSTANT) or (isinstance(node, e.Variable) and node.name not in own) for node in walk(call))


def _steps(node: e.Expression) -> float:
    """About how many elements functions of elements are called for, with all that is in each other."""
    if isinstance(node, e.Call) and node.name in COSTLY and not _is_small(node, node.name):
        return math.inf
    below = sum(map(_steps, children_of(node)))
    if not isinstance(node, e.Call) or not any(isinstance(argument, e.Lambda) for argument in node.args):
        return below
    bodies = sum(_steps(argument) for argument in node.args if isinstance(argument, e.Lambda))
    return below + max(map(_elements, node.args)) * (1 + bodies)


def _elements(node: e.Expression) -> int:
    """About how many elements an array of constants has."""
    if isinstance(node, e.Call) and node.name in _GROWING:
        return max((abs(value) for value in map(_literal, node.args) if isinstance(value, int)), default=1)
    if isinstance(node, e.Lambda):
        return 1
    return max(1, sum(map(_elements, children_of(node))))


def _is_small(call: e.Call, name: str) -> bool:
    if name in _FORMATTING:
        return False
    if name in _SEARCHING:
        pattern, subject = (_literal(call.args[at]) if at < len(call.args) else None for at in (_SEARCHING[name], 0))
        if not isinstance(pattern, str) or not isinstance(subject, str):
            return False
        return sum(map(pattern.count, "*+{")) < 2 and len(pattern) <= _SMALL and len(subject) <= _SMALL
    given = [_literal(argument) for argument in call.args]
    if not all(isinstance(value, int | str) for value in given):
        return False
    sizes = [abs(value) for at, value in enumerate(given) if at in _GROWING[name] and isinstance(value, int)]
    return max(sizes, default=1) * max((len(value) for value in given if isinstance(value, str)), default=1) <= _FEW


def _literal(argument: e.Expression) -> object:
    while isinstance(argument, e.Cast | e.Alias):
        argument = argument.child
    return argument.value if isinstance(argument, e.Literal) else None
