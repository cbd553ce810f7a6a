"""Ways through an expression: its operands, all that is below it, and the same with other operands."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import fields, is_dataclass, replace
from typing import Any, cast

from quiver.sql.tree import expressions as e


def children_of(expression: e.Expression) -> tuple[e.Expression, ...]:
    """Direct operands."""
    try:
        return expression._children
    except AttributeError:
        found = tuple(_expressions_in(getattr(expression, name) for name in fields_of(type(expression))))
        object.__setattr__(expression, "_children", found)
        return found


_names_of: dict[type, tuple[str, ...]] = {}


def fields_of(kind: type) -> tuple[str, ...]:
    """The names of a dataclass's fields, none of any other class. `dataclasses.fields` asks each field anew whether it is one."""
    found = _names_of.get(kind)
    if found is None:
        found = _names_of[kind] = tuple(item.name for item in fields(kind)) if is_dataclass(kind) else ()
    return found


def _expressions_in(values: Iterable[Any]) -> Iterator[e.Expression]:
    for value in values:
        if isinstance(value, e.Expression):
            yield value
        elif isinstance(value, tuple):
            yield from _expressions_in(value)
        elif isinstance(value, e.Frame):
            yield from _expressions_in((value.start, value.end))


def rebuilt(expression: e.Expression, visit: Callable[[e.Expression], e.Expression]) -> e.Expression:
    """The expression with `visit` applied to its direct operands; the same object when nothing changed."""
    changes: dict[str, Any] = {}
    if not children_of(expression):
        return expression
    for name in fields_of(type(expression)):
        value = getattr(expression, name)
        new = _mapped(value, visit)
        if new is not value:
            changes[name] = new
    return replace(cast("Any", expression), **changes) if changes else expression


def _mapped(value: Any, visit: Callable[[e.Expression], e.Expression]) -> Any:
    if isinstance(value, e.Expression):
        return visit(value)
    if isinstance(value, tuple) and value:
        new = tuple(_mapped(item, visit) for item in value)
        return value if all(a is b for a, b in zip(value, new, strict=True)) else new
    return value


def walk(expression: e.Expression) -> Iterator[e.Expression]:
    """The expression and all below it."""
    pending = [expression]
    while pending:
        top = pending.pop()
        yield top
        pending.extend(children_of(top))


def attributes_in(expression: e.Expression) -> list[e.Attribute]:
    return [node for node in walk(expression) if isinstance(node, e.Attribute)]


def strip_alias(expression: e.Expression) -> e.Expression:
    return expression.child if isinstance(expression, e.Alias) else expression


def all_of(conditions: Sequence[e.Expression]) -> e.Expression:
    """Their conjunction."""
    result = conditions[0]
    for condition in conditions[1:]:
        result = e.Call("and", (result, condition))
    return result


def conjuncts(condition: e.Expression) -> list[e.Expression]:
    """The conditions that all have to hold for this one."""
    if isinstance(condition, e.Call) and condition.name == "and":
        return [each for argument in condition.args for each in conjuncts(argument)]
    return [condition]
