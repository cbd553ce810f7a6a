"""Names of arguments, for those of Spark's functions that take them by name: `mask(str => x, otherChar => '*')`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from quiver.sql import types as t
from quiver.sql.errors import AnalysisException
from quiver.sql.frontend.call_arguments import check_unnamed, placed
from quiver.sql.tree import expressions as e

_REQUIRED: Final = e.Literal(None, t.NullType())
"""Stands for the default of what has none."""


def _texts(*defaults: str | None) -> tuple[e.Expression, ...]:
    return tuple(e.Literal(default, t.NullType() if default is None else t.StringType()) for default in defaults)


_COLLECTION = (("collection",), (_REQUIRED,))
_ENTRIES, _SUMMED = e.Literal(12, t.IntegerType()), e.Literal("sum", t.StringType())
_SIGNATURES: dict[str, tuple[tuple[str, ...], tuple[e.Expression, ...]]] = {
    "mask": (("str", "upperChar", "lowerChar", "digitChar", "otherChar"), (_REQUIRED, *_texts("X", "x", "n", None))),
    **dict.fromkeys(("explode", "explode_outer", "posexplode", "posexplode_outer"), _COLLECTION),
    **dict.fromkeys(("inline", "inline_outer", "variant_explode", "variant_explode_outer"), (("input",), (_REQUIRED,))),
    "count_min_sketch": (("column", "epsilon", "confidence", "seed"), (_REQUIRED,) * 4),
    "counter_diff": (("value", "start_time"), (_REQUIRED,) * 2),
}
for _kind in ("double", "integer"):
    _SIGNATURES |= {
        f"tuple_sketch_agg_{_kind}": (("key", "summary", "lgNomEntries", "mode"), (_REQUIRED, _REQUIRED, _ENTRIES, _SUMMED)),
        f"tuple_union_agg_{_kind}": (("child", "lgNomEntries", "mode"), (_REQUIRED, _ENTRIES, _SUMMED)),
        f"tuple_union_{_kind}": (("first", "second", "lgNomEntries", "mode"), (_REQUIRED, _REQUIRED, _ENTRIES, _SUMMED)),
        f"tuple_union_theta_{_kind}": (("first", "second", "lgNomEntries", "mode"), (_REQUIRED, _REQUIRED, _ENTRIES, _SUMMED)),
    }


def by_place(function: str, args: Sequence[e.Expression], names: Sequence[str | None]) -> list[e.Expression]:
    """The arguments of one of Spark's functions in their order; what is left out before the last is its default.

    Raises AnalysisException where names are not known, given twice, or missing.
    """
    if not any(names):
        return list(args)
    known = _SIGNATURES.get(function.lower())
    if known is None:
        check_unnamed(function, names)
        return list(args)
    parameters, defaults = known
    given = placed(function, args, names, [name.lower() for name in parameters])
    while given[-1] is None:
        given.pop()
    result = []
    for name, value, default in zip(parameters, given, defaults, strict=False):
        found = default if value is None else value
        if found is _REQUIRED:
            raise AnalysisException(
                f"Cannot invoke routine `{function}` because the parameter named `{name}` is required, but the routine call did not "
                "supply a value. Please update the routine call to supply an argument value and retry the query again.",
                "REQUIRED_PARAMETER_NOT_FOUND",
            )
        result.append(found)
    return result
