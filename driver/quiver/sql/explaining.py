"""What explain() prints: our tree, then the kernel's plan, and in how many tasks or stages it runs."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from quiver.sql.analysis.pretty import pretty
from quiver.sql.errors import IllegalArgumentException, UnsupportedOperationException
from quiver.sql.executions import sql_of
from quiver.sql.plan_drawing import detailed, drawn
from quiver.sql.tree import expressions as e
from quiver.sql.tree import relations as r
from quiver.sql.tree.walking import fields_of
from quiver_proto.secret_texts import urls_without_secrets

if TYPE_CHECKING:
    from quiver.sql.runtime import Runtime

MODES = ("simple", "extended", "codegen", "cost", "formatted")


def explained(relation: r.Relation, runtime: Runtime, mode: str) -> str:
    """The text for one of MODES. Raises IllegalArgumentException for another, UnsupportedOperationException for "codegen"."""
    mode = mode.strip().lower()
    if mode not in MODES:
        raise IllegalArgumentException(
            f"Unknown explain mode: {mode}. Accepted explain modes are {', '.join(map(repr, MODES))}.", "INVALID_PARAMETER_VALUE"
        )
    if mode == "codegen":
        raise UnsupportedOperationException(
            "No code is generated for a query: the kernel's operators are compiled. Use mode='formatted' for their details.",
            "UNSUPPORTED_FEATURE.EXPLAIN_CODEGEN",
        )
    how = runtime.explain(relation, statistics=mode == "cost")
    parts = []
    if mode == "extended":
        parts += ["== Parsed Logical Plan ==", _parsed(relation), "", "== Analyzed Logical Plan =="]
        parts += [", ".join(f"{column.name}: {column.type.simpleString()}" for column in relation.output), tree(relation)]
    if mode in ("extended", "cost"):
        parts += ["== Optimized Logical Plan ==", how.logical.rstrip(), ""]
    parts.append("== Physical Plan ==")
    if mode == "formatted":
        parts.append(detailed(how.root))
    elif mode == "cost":
        parts.append(_with_rows(how.statistics))
    else:
        parts.append(drawn(how.root))
    return urls_without_secrets("\n".join([*parts, "", *how.notes]) + "\n")


def _parsed(relation: r.Relation) -> str:
    """What the user wrote, where it was SQL; else the tree, whose columns were resolved when it was made."""
    return "\n".join(sql_of(relation)) or re.sub(r"#\d+", "", tree(relation)).rstrip()


def _with_rows(physical: str) -> str:
    """Of the kernel's statistics the rows and bytes: what it knows of columns is long."""
    lines = []
    for line in physical.rstrip().splitlines():
        operator, _, statistics = line.partition(", statistics=[")
        told = [
            f"{name}={'' if how == 'Exact' else '~'}{int(number):,}"
            for name, how, number in re.findall(r"(Rows|Bytes)=(Exact|Inexact)\((\d+)\)", statistics.partition("[")[0])
        ]
        lines.append(operator + (f", Statistics({', '.join(told)})" if told else ""))
    return "\n".join(lines)


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
    for name in fields_of(type(relation)):
        value = getattr(relation, name)
        if (
            name == "schema"
            or isinstance(value, r.Relation | bytes)
            or (isinstance(value, tuple) and value and isinstance(value[0], r.Relation))
        ):
            continue
        if value is None or value is False or value == ():
            continue
        details.append(name if value is True else _shown(value))
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
