"""Names of a SELECT list: aliases that later items, GROUP BY, HAVING and ORDER BY may use. Pure."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from quiver.sql import types as t
from quiver.sql.analysis.aggregation import has_aggregate, is_aggregate
from quiver.sql.analysis.generators import is_generator
from quiver.sql.analysis.pretty import pretty
from quiver.sql.analysis.volatile import any_volatile
from quiver.sql.errors import AnalysisException
from quiver.sql.tree import expressions as e
from quiver.sql.tree.walking import rebuilt, walk

if TYPE_CHECKING:
    from quiver.sql.analysis.analyser import Analyser
    from quiver.sql.analysis.resolver import Resolver
    from quiver.sql.tree import relations as r


def with_earlier_aliases(analyser: Resolver, items: Sequence[e.Expression], columns: Sequence[e.Attribute]) -> list[e.Expression]:
    """The items, in which names that no column has stand for what was called so further left."""
    seen: dict[str, list[e.Expression]] = {}

    def meaning(name: e.Name) -> e.Expression | None:
        found = [] if is_column(analyser, name, columns) else seen.get(analyser.fold(name.parts[0]), [])
        if len(found) > 1:
            raise AnalysisException(
                f"Lateral column alias `{name.parts[0]}` is ambiguous and has {len(found)} matches.", "AMBIGUOUS_LATERAL_COLUMN_ALIAS"
            )
        return found[0] if found else None

    result = []
    for item in items:
        new = substituted(item, meaning)
        if new is not item and not isinstance(item, e.Alias | e.Name | e.MultiAlias) and not is_generator(new):
            new = e.Alias(new, pretty(substituted(item, lambda name: _reference(name) if meaning(name) else None)))
        result.append(new)
        if isinstance(new, e.Alias) and not is_generator(new):  # What a generator gives is a column by then.
            seen.setdefault(analyser.fold(new.name), []).append(new.child)
    return result


def _reference(name: e.Name) -> e.Expression:
    return e.Call("lateralAliasReference", (name,))


def drawn_once(analyser: Analyser, source: r.Relation, items: Sequence[e.Expression]) -> tuple[r.Relation, list[e.Expression]]:
    """The items, and what they are taken from: aliases of what gives something else each time, which later items use, are columns of it."""
    found = list(items)
    for place, item in enumerate(items):
        if not isinstance(item, e.Alias) or not any_volatile((item,)) or has_aggregate(item) or is_generator(item):
            continue
        name = analyser.fold(item.name)
        if is_column(analyser, e.Name((item.name,)), source.output) or not any(
            isinstance(node, e.Name) and analyser.fold(node.parts[0]) == name for later in items[place + 1 :] for node in walk(later)
        ):
            continue
        meant = with_earlier_aliases(analyser, found[: place + 1], source.output)[-1]
        source = analyser.project(source, [*source.output, meant])
        found[place] = source.output[-1]
    return source, found


def substituted(expression: e.Expression, meaning: Callable[[e.Name], e.Expression | None], inside_aggregates: bool = True) -> e.Expression:
    """With names replaced by what they mean; `inside_aggregates`: also in the arguments of aggregates."""

    def visit(node: e.Expression) -> e.Expression:
        if isinstance(node, e.Name):
            found = meaning(node)
            if found is None:
                return node
            for member in node.parts[1:]:
                found = e.Call("getfield", (found, e.Literal(member, t.StringType())))
            return found
        if not inside_aggregates and is_aggregate(node):
            return node
        return rebuilt(node, visit)

    return visit(expression)


def is_column(analyser: Resolver, name: e.Name, columns: Sequence[e.Attribute]) -> bool:
    """Whether it is a column's name, maybe of several."""
    try:
        return analyser.lookup(name.parts, columns) is not None
    except AnalysisException:
        return True


def position(value: e.Expression, clause: str, count: int) -> int | None:
    """The index that an ordinal in GROUP BY or ORDER BY means; None for another expression. Raises AnalysisException."""
    if (
        not isinstance(value, e.Literal)
        or isinstance(value.value, bool)
        or not isinstance(value.type, t.IntegerType)
        or value.value is None
    ):
        return None
    if not 1 <= value.value <= count:
        raise AnalysisException(
            f"{clause} position {value.value} is not in select list (valid range is [1, {count}]).",
            f"{clause.replace(' ', '_')}_POS_OUT_OF_RANGE",
        )
    return int(value.value) - 1
