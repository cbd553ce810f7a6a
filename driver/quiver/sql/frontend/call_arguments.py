"""Of a function's call in SQL: arguments by name, and what is said of nulls."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from sqlglot import expressions as g
from sqlglot.expressions.core import Expression as Node

from quiver.sql.errors import AnalysisException
from quiver.sql.registry.model import WITH_NULLS
from quiver.sql.tree import expressions as e

_COLLECTING = {"collect_list": "collect_list", "collect_set": "collect_set", "array_agg": "collect_list"}
_NAMED_AS = {"first_value": "first", "last_value": "last"}
"""Spark calls them so where nulls are spoken of."""
_OF_NULLS = frozenset({"first", "last", "any_value", "first_value", "last_value", "nth_value", "lag", "lead", "counter_diff"}) | frozenset(
    _COLLECTING
)


def named(function: str, args: Sequence[Node]) -> tuple[list[Node], tuple[str | None, ...]]:
    """(the values, their names): `f(1, x => 2)`. Raises AnalysisException for a name twice, or a place after a name."""
    values: list[Node] = []
    names: list[str | None] = []
    for argument in args:
        name = argument.this.name if isinstance(argument, g.Kwarg) else None
        if name is None and names and names[-1] is not None:
            raise AnalysisException(
                f"Cannot invoke routine `{function}` because it contains positional argument(s) following the named argument assigned to "
                f"`{names[-1]}`; please rearrange them so the positional arguments come first and then retry the query again.",
                "UNEXPECTED_POSITIONAL_ARGUMENT",
            )
        if name is not None and name in names:
            raise AnalysisException(
                f"Call to routine `{function}` is invalid because it includes multiple argument assignments to the same parameter name "
                f"`{name}`.",
                "DUPLICATE_ROUTINE_PARAMETER_ASSIGNMENT.DOUBLE_NAMED_ARGUMENT_REFERENCE",
            )
        values.append(argument.expression if isinstance(argument, g.Kwarg) else argument)
        names.append(name)
    return values, tuple(names)


def placed(
    function: str, args: Sequence[e.Expression], names: Sequence[str | None], parameters: Sequence[str]
) -> list[e.Expression | None]:
    """One for each of the parameters, None for those that are not given. Raises AnalysisException for names that are none of them."""
    first = next((place for place, name in enumerate(names) if name is not None), len(args))
    result: list[e.Expression | None] = [*args[:first], *[None] * (len(parameters) - first)]
    for name, value in zip(names[first:], args[first:], strict=True):
        if name is None or name.lower() not in parameters:
            raise AnalysisException(
                f"Cannot invoke routine `{function}` because the routine call included a named argument reference for the argument named "
                f"`{name}`, but this routine does not include any signature containing an argument with this name.",
                "UNRECOGNIZED_PARAMETER_NAME",
            )
        place = parameters.index(name.lower())
        if result[place] is not None:
            raise AnalysisException(
                f"Call to routine `{function}` is invalid because it includes multiple argument assignments to the same parameter name "
                f"`{name}`.",
                "DUPLICATE_ROUTINE_PARAMETER_ASSIGNMENT.BOTH_POSITIONAL_AND_NAMED",
            )
        result[place] = value
    return result


def check_unnamed(function: str, names: Sequence[str | None]) -> None:
    """Raises AnalysisException NAMED_PARAMETERS_NOT_SUPPORTED."""
    if any(names):
        raise AnalysisException(
            f"Named parameters are not supported for function `{function}`; please retry the query with positional arguments to the "
            "function call instead.",
            "NAMED_PARAMETERS_NOT_SUPPORTED",
        )


def speaks_of_nulls(node: Node) -> bool:
    """Is it a call that IGNORE NULLS behind it belongs to, and not the argument of the one around it."""
    return isinstance(node, g.Anonymous) and node.name.lower() in _OF_NULLS


def of_nulls(call: e.Expression, node: Node) -> e.Expression:
    """`f(…) IGNORE NULLS` or RESPECT NULLS, which `node` tells. Raises AnalysisException where the function has no such thing."""
    ignoring = isinstance(node, g.IgnoreNulls)
    if not isinstance(call, e.Call) or (ignoring and call.name not in _OF_NULLS):
        name = call.name if isinstance(call, e.Call) else node.this.name
        raise AnalysisException(
            f"Invalid SQL syntax: The function `{name}` does not support {'IGNORE' if ignoring else 'RESPECT'} NULLS.",
            "INVALID_SQL_SYNTAX.FUNCTION_WITH_UNSUPPORTED_SYNTAX",
        )
    if call.name in _COLLECTING:  # They ignore nulls anyway.
        return call if ignoring else replace(call, name=f"{_COLLECTING[call.name]}{WITH_NULLS}")
    return replace(call, name=_NAMED_AS.get(call.name, call.name), ignore_nulls=ignoring)
