"""GROUP BY: which keys and grouping sets are meant; and aggregates, taken out of the expressions around them."""

from __future__ import annotations

import itertools
from collections.abc import Sequence

from sqlglot import expressions as g
from sqlglot.expressions.core import Expression as Node

from quiver.sql.analysis.aggregation import has_aggregate
from quiver.sql.analysis.analyser import Analyser
from quiver.sql.analysis.over_groups import Set
from quiver.sql.analysis.pretty import output_name
from quiver.sql.analysis.scopes import is_column, position
from quiver.sql.errors import AnalysisException
from quiver.sql.frontend.expressions import Reader
from quiver.sql.tree import expressions as e
from quiver.sql.tree.walking import strip_alias


def grouping_of(
    node: g.Group, items: Sequence[e.Expression], columns: Sequence[e.Attribute], reader: Reader, analyser: Analyser
) -> tuple[list[e.Expression], list[Set] | None]:
    """(keys, grouping sets or None), unresolved."""
    if node.args.get("all"):
        return [strip_alias(item) for item in items if not has_aggregate(item)], None

    def key(part: Node) -> e.Expression:
        expression = reader.read(part)
        index = position(expression, "GROUP BY", len(items))
        if index is not None:
            if has_aggregate(items[index]):
                raise AnalysisException(
                    f"GROUP BY {index + 1} refers to an expression that contains an aggregate function. Aggregate functions are not "
                    "allowed in GROUP BY.",
                    "GROUP_BY_POS_AGGREGATE",
                )
            return strip_alias(items[index])
        if isinstance(expression, e.Name) and not is_column(analyser, expression, columns):
            name = analyser.fold(expression.parts[0])
            alias = next((item for item in items if isinstance(item, e.Alias) and analyser.fold(item.name) == name), None)
            if alias is not None and len(expression.parts) == 1:
                if has_aggregate(alias):
                    raise AnalysisException(
                        f'Aggregate functions are not allowed in GROUP BY, but found "{output_name(alias.child)}".', "GROUP_BY_AGGREGATE"
                    )
                return alias.child
        return expression

    def members(part: Node) -> Set:
        inner = part.expressions if isinstance(part, g.Tuple) else [part.this] if isinstance(part, g.Paren) else [part]
        return tuple(map(key, inner))

    def sets(part: Node) -> list[Set]:
        match part:
            case g.Rollup():
                parts = [members(item) for item in part.expressions]
                return [tuple(itertools.chain(*parts[:count])) for count in range(len(parts), -1, -1)]
            case g.Cube():
                parts = [members(item) for item in part.expressions]
                chosen = itertools.product((True, False), repeat=len(parts))
                return [tuple(itertools.chain(*itertools.compress(parts, taken))) for taken in chosen]
            case g.GroupingSets():
                return [found for item in part.expressions for found in sets(item)]
            case _:
                return [members(part)]

    plain = [item for item in node.expressions if not isinstance(item, g.Rollup | g.Cube | g.GroupingSets)]
    special = [item for item in node.expressions if isinstance(item, g.Rollup | g.Cube | g.GroupingSets)]
    keys = [key(item) for item in plain]
    for name, kind in (("rollup", g.Rollup), ("cube", g.Cube), ("grouping_sets", g.GroupingSets)):
        for found in node.args.get(name) or []:
            if found.expressions:
                special.append(found)
                if name == "grouping_sets":  # GROUP BY a, b GROUPING SETS (…): the sets are of the keys before.
                    return keys, sets(found)
            else:  # GROUP BY a, b WITH ROLLUP
                return keys, sets(kind(expressions=[item.copy() for item in plain]))
    if not special:
        return keys, None
    combined: list[Set] = [tuple(keys)]
    for item in special:
        combined = [(*left, *right) for left in combined for right in sets(item)]
    everything = list(dict.fromkeys(itertools.chain(keys, *combined)))
    return everything, combined
