"""What explain() prints: our tree, then the kernel's plan, and in how many tasks or stages it runs."""

from __future__ import annotations

from dataclasses import fields
from typing import Any

from quiver.sql.analysis.pretty import pretty
from quiver.sql.runtime import Runtime
from quiver.sql.tree import expressions as e
from quiver.sql.tree import relations as r

MODES = ("simple", "extended", "formatted", "codegen", "cost")


def explained(relation: r.Relation, runtime: Runtime, mode: str) -> str:
    """The text for one of MODES. Raises ValueError for another."""
    if mode not in MODES:
        raise ValueError(f"Unknown explain mode: {mode}. Accepted explain modes are {', '.join(map(repr, MODES))}.")
    parts = []
    if mode != "simple":
        parts.append(f"== Analyzed Logical Plan ==\n{tree(relation)}")
    how = runtime.explain(relation)
    if mode in ("extended", "cost"):
        parts.append(f"== Optimized Logical Plan ==\n{how.logical}")
    parts.append(f"== Physical Plan ==\n{how.physical}")
    parts.append(f"Runs {how.where}.")
    return "\n".join(parts) + "\n"


def tree(relation: r.Relation, depth: int = 0) -> str:
    """Our own tree, inputs below what reads them."""
    lead = "" if depth == 0 else f"{'   ' * (depth - 1)}+- "
    lines = [lead + _line(relation)]
    lines += [tree(child, depth + 1).rstrip("\n") for child in relation.inputs]
    return "\n".join(lines) + "\n"


def _line(relation: r.Relation) -> str:
    if isinstance(relation, r.Local):
        return f"Local [{', '.join(map(_shown, relation.columns))}] {relation.table.num_rows} rows"
    if isinstance(relation, r.Files | r.Sourced):  # Of options and readers, some hold passwords.
        more = len(relation.files) - 3
        listed = ", ".join(file.path for file in relation.files[:3]) + (f" and {more} more" if more > 0 else "")
        return f"{type(relation).__name__} {relation.format} [{', '.join(map(_shown, relation.columns))}] {listed}".rstrip()
    details = []
    for item in fields(relation):  # type: ignore[arg-type]
        value = getattr(relation, item.name)
        if (
            item.name == "schema"
            or isinstance(value, r.Relation | bytes)
            or (isinstance(value, tuple) and value and isinstance(value[0], r.Relation))
        ):
            continue
        if value is None or value is False or value == ():
            continue
        details.append(item.name if value is True else _shown(value))
    return f"{type(relation).__name__} {', '.join(details)}".rstrip()


def _shown(value: Any) -> str:
    match value:
        case e.Attribute():
            return f"{value.name}#{value.id}"
        case e.Alias():
            return f"{pretty(value.child)} AS {value.name}#{value.id}"
        case e.Expression():
            return pretty(value)
        case tuple():
            return f"[{', '.join(map(_shown, value))}]"
        case _:
            return str(value)
