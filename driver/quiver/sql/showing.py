"""The table that show() prints."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from quiver.sql import types as t
from quiver.sql.analysis.pretty import number_text


def cell(value: Any, kind: t.DataType) -> str:
    """A value as show() prints it."""
    if value is None:
        return "NULL"
    match kind:
        case t.BooleanType():
            return str(value).lower()
        case t.StructType():
            return (
                "{"
                + ", ".join(
                    cell(member, field.dataType) for member, field in zip(value.values() if isinstance(value, dict) else value, kind.fields)
                )
                + "}"
            )
        case t.ArrayType():
            return "[" + ", ".join(cell(item, kind.elementType) for item in value) + "]"
        case t.MapType():
            pairs = value.items() if isinstance(value, dict) else value
            return "{" + ", ".join(f"{cell(key, kind.keyType)} -> {cell(item, kind.valueType)}" for key, item in pairs) + "}"
        case t.BinaryType():
            return "[" + " ".join(f"{byte:02X}" for byte in value) + "]"
        case t.DoubleType() | t.FloatType():
            return number_text(float(value))
        case _:
            return str(value)


def table_text(names: Sequence[str], rows: Sequence[Sequence[Any]], n: int, width: int, vertical: bool, kinds: Sequence[t.DataType]) -> str:
    """`rows` may hold one more than `n`, which is then told of. `width`: longest cell (0: any)."""
    more = len(rows) > n
    cells = [[_cut(cell(value, kind), width) for value, kind in zip(tuple(row), kinds)] for row in rows[:n]]
    if vertical:
        text = _vertical(names, cells)
    else:
        widths = [max([3, len(name), *(len(row[i]) for row in cells)]) for i, name in enumerate(names)]
        line = f"+{'+'.join('-' * size for size in widths)}+"

        def aligned(values: Sequence[str]) -> str:
            return f"|{'|'.join(value.rjust(size) if width else value.ljust(size) for value, size in zip(values, widths))}|"

        text = "\n".join([line, aligned(names), line, *map(aligned, cells), line]) + "\n"
    if more:
        text += f"only showing top {n} row{'s' if n != 1 else ''}"
    return text


def table_html(names: Sequence[str], rows: Sequence[Sequence[Any]], n: int, width: int, kinds: Sequence[t.DataType]) -> str:
    """As table_text, as a table of HTML."""
    from html import escape

    def line(tag: str, values: Sequence[str]) -> str:
        return f"<tr>{''.join(f'<{tag}>{escape(value)}</{tag}>' for value in values)}</tr>\n"

    cells = [[_cut(cell(value, kind), width) for value, kind in zip(tuple(row), kinds)] for row in rows[:n]]
    more = f"only showing top {n} row{'s' if n != 1 else ''}\n" if len(rows) > n else ""
    return f"<table border='1'>\n{line('th', names)}{''.join(line('td', values) for values in cells)}</table>\n{more}"


def _cut(text: str, width: int) -> str:
    text = text.replace("\n", "\\n").replace("\r", "\\r").replace("\t", "\\t")
    if not width or len(text) <= width:
        return text
    return text[:width] if width < 4 else f"{text[: width - 3]}..."


def _vertical(names: Sequence[str], cells: Sequence[Sequence[str]]) -> str:
    left = max([3, *map(len, names)])
    right = max([3, *(len(value) for row in cells for value in row)])
    lines: list[str] = []
    for number, row in enumerate(cells):
        lines.append(f"-RECORD {number}".ljust(left + right + 5, "-"))
        lines += [f" {name.ljust(left)} | {value.ljust(right)} " for name, value in zip(names, row)]
    return "\n".join(lines) + "\n" if lines else "(0 rows)"
