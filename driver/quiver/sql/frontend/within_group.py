"""`WITHIN GROUP (ORDER BY …)`: what it means for each of the aggregates that have it. Pure."""

from __future__ import annotations

from dataclasses import replace

from quiver.sql import types as t
from quiver.sql.analysis.pretty import pretty
from quiver.sql.errors import AnalysisException
from quiver.sql.registry.model import DESCENDING
from quiver.sql.tree import expressions as e


def within_group(call: e.Expression, keys: tuple[e.SortKey, ...]) -> e.Expression:
    """The aggregate over rows in this order. Raises AnalysisException."""
    if not isinstance(call, e.Call):
        raise AnalysisException("WITHIN GROUP belongs to an aggregate.", "INVALID_WITHIN_GROUP_EXPRESSION")
    name = call.name
    if call.order:
        raise _invalid(name, "WRONG_NUM_ORDERINGS", "it has an order already")
    match name:
        case "percentile_cont" | "percentile_disc" | "mode":
            wanted = 0 if name == "mode" else 1
            if len(call.args) != wanted:
                raise AnalysisException(
                    f"The `{name}` requires {wanted} parameters but the actual number is {len(call.args)}.",
                    "WRONG_NUM_ARGS.WITHOUT_SUGGESTION",
                )
            if len(keys) != 1:
                raise _invalid(name, "WRONG_NUM_ORDERINGS", f"it requires 1 ordering in WITHIN GROUP but got {len(keys)}")
            if call.distinct:
                raise _invalid(name, "DISTINCT_UNSUPPORTED", "it takes no DISTINCT")
            (key,) = keys
            suffix = "" if key.ascending else DESCENDING
            if name == "mode":
                return replace(call, name=f"mode within group{suffix}", args=(key.child,))
            return replace(call, name=f"{name}{suffix}", args=(key.child, *call.args))
        case "listagg" | "string_agg":
            if call.distinct and (len(keys) != 1 or _bare(keys[0].child) != _bare(call.args[0])):
                raise _invalid(
                    name, "MISMATCH_WITH_DISTINCT_INPUT",
                    f'it has DISTINCT, and the expressions "{pretty(call.args[0])}" and "{", ".join(pretty(key.child) for key in keys)}" '
                    "do not match",
                )  # fmt: skip
            call = replace(call, name="listagg")
            if len(call.args) == 1:
                call = replace(call, args=(*call.args, e.Literal(None, t.StringType())))
            if call.distinct:
                suffix = "" if keys[0].ascending else DESCENDING
                return replace(call, name=f"listagg distinct{suffix}", args=(_bare(keys[0].child), call.args[1]))
            return replace(call, order=keys)
        case _:
            raise AnalysisException(
                f"Invalid SQL syntax: The function `{name}` does not support WITHIN GROUP (ORDER BY ...).",
                "INVALID_SQL_SYNTAX.FUNCTION_WITH_UNSUPPORTED_SYNTAX",
            )


def _bare(expression: e.Expression) -> e.Expression:
    while isinstance(expression, e.Cast) and isinstance(expression.type, t.StringType):
        expression = expression.child
    return expression


def _invalid(name: str, why: str, text: str) -> AnalysisException:
    return AnalysisException(f"Invalid function `{name}` with WITHIN GROUP: {text}.", f"INVALID_WITHIN_GROUP_EXPRESSION.{why}")
