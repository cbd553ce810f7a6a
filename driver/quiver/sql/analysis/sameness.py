"""A text of what a relation computes, in which columns are numbered by where they first come up: equal for equal computations. Pure."""

from __future__ import annotations

from dataclasses import fields, is_dataclass
from typing import Any

from quiver.sql.tree import expressions as e
from quiver.sql.tree import relations as r

_SEEDED = {"rand": 1, "random": 1, "randn": 1, "uuid": 1, "shuffle": 2, "randstr": 2, "uniform": 3}
"""Functions that draw numbers, and how many arguments one has whose numbers are told by a seed. Without one, each is its own."""


def shape(relation: r.Relation) -> str:
    """Names that users give don't come into it."""
    numbers: dict[int, int] = {}

    def text(value: Any) -> str:
        match value:
            case e.Attribute():
                return f"#{numbers.setdefault(value.id, len(numbers))}"
            case e.Alias():
                inner = text(value.child)
                return f"({inner} as #{numbers.setdefault(value.id, len(numbers))})"
            case tuple():
                return f"[{', '.join(map(text, value))}]"
            case e.Call() if len(value.args) < _SEEDED.get(value.name.lower(), 0):
                return f"{value.name}@{id(value):x}({text(value.args)})"
            case e.PythonCall() if not value.function.deterministic:
                return f"{value.name}@{id(value):x}({text(value.args)})"
            case r.Local() if not value.table.num_rows:
                return f"Nothing({[column.type for column in value.columns]!r}: {text(value.columns)})"
            case r.Local():
                return f"Local({id(value.table):x}: {text(value.columns)})"
            case r.Files():  # Whatever files there are now: what was kept of them is kept until it is refreshed.
                read = (value.format, value.paths, sorted(value.options), value.partition_columns, value.partition_columns and value.zone)
                return f"Files({read!r}, {text(value.columns)})"
            case r.Produced():
                return f"Produced({value.rdd.id()}: {text(value.columns)})"
            case r.Aliased():
                return f"Aliased({text(value.child)}, {text(value.columns)})"
            case r.Relation() | e.Expression() | e.Frame() if is_dataclass(value):
                parts = [text(getattr(value, item.name)) for item in fields(value)]
                return f"{type(value).__name__}({', '.join(parts)})"
            case _:
                return repr(value)

    return text(relation)
