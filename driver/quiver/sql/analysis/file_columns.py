"""Columns that rows of files have beside their own: `_metadata`, and what `input_file_name()` gives. Leaves get them when they are asked
for."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Final

from quiver.sql import types as t
from quiver.sql.errors import AnalysisException
from quiver.sql.tree import expressions as e
from quiver.sql.tree import relations as r

METADATA: Final = "_metadata"
FILE_NAME: Final = "input_file_name()"
_TYPES: Final[dict[str, t.DataType]] = {
    METADATA: t.StructType(
        [
            t.StructField("file_path", t.StringType(), False),
            t.StructField("file_name", t.StringType(), False),
            t.StructField("file_size", t.LongType(), False),
            t.StructField("file_block_start", t.LongType(), False),
            t.StructField("file_block_length", t.LongType(), False),
            t.StructField("file_modification_time", t.TimestampType(), False),
        ]
    ),
    FILE_NAME: t.StringType(),
}


def asked(nodes: Sequence[e.Expression], columns: Sequence[e.Attribute], fold: Callable[[str], str]) -> list[str]:
    """Which of the hidden columns unresolved expressions (all nodes of them) mean: a column of the relation's own comes first."""
    own = {fold(column.name) for column in columns}
    found: dict[str, None] = {}
    for node in nodes:
        if isinstance(node, e.Name) and METADATA not in own and fold(node.parts[0]) == METADATA:
            found[METADATA] = None
        elif isinstance(node, e.Call) and node.name == "input_file_name" and not node.args:
            found[FILE_NAME] = None
    return list(found)


def exposed(relation: r.Relation, name: str, new_id: Callable[[], int]) -> tuple[r.Relation, e.Attribute] | None:
    """The relation with the hidden column of its files as one more, the last. None where it has no files, or none of one row's own."""
    match relation:
        case r.Files() | r.Sourced() if relation.files or isinstance(relation, r.Files):
            known = next((column for column in relation.columns if column.name == name and name in relation.hidden), None)
            if known is not None:
                return relation, known
            column = e.Attribute(new_id(), name, _TYPES[name], False)
            return replace(relation, columns=(*relation.columns, column), hidden=(*relation.hidden, name)), column
        case r.Project():
            below = exposed(relation.child, name, new_id)
            return None if below is None else (r.Project(below[0], (*relation.expressions, below[1])), below[1])
        case r.Filter() | r.Sort() | r.Limit() | r.Hint() | r.Repartition():
            below = exposed(relation.child, name, new_id)
            return None if below is None else (replace(relation, child=below[0]), below[1])
        case r.Aliased():
            below = exposed(relation.child, name, new_id)
            if below is None:
                return None
            column = replace(below[1], id=new_id(), qualifier=(relation.name,) if relation.name else ())
            # The column must be the child's last, next to nothing else that is new.
            child = r.Project(below[0], (*relation.child.output, below[1]))
            return r.Aliased(child, relation.name, (*relation.columns, column)), column
        case r.Join():
            if name == FILE_NAME:
                raise AnalysisException(
                    "The expression `input_file_name` does not support more than one source.", "MULTI_SOURCES_UNSUPPORTED_FOR_EXPRESSION"
                )
            return None
        case _:
            return None
