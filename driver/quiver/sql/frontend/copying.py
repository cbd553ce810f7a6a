"""COPY … TO: a query's rows as files, as DataFusion's SQL says it; written as `df.write` does. What is there already stays."""

from __future__ import annotations

from pathlib import PurePosixPath
from typing import TYPE_CHECKING, cast

from sqlglot import expressions as g
from sqlglot.expressions.core import Expression as Node

from quiver.sql.errors import ParseException
from quiver.sql.frontend.nodes import CopyTo
from quiver.sql.frontend.results import nothing
from quiver.sql.tree import relations as r

if TYPE_CHECKING:
    from quiver.sql.frontend.queries import Query
    from quiver.sql.session import Session

_FORMATS = ("parquet", "csv", "json", "arrow", "avro")
_OPTIONS = {"has_header": "header", "delimiter": "sep", "null_value": "nullValue"}
"""Options that DataFusion names otherwise."""


def copy_to(session: Session, query: Query, node: CopyTo, text: str) -> r.Relation:
    """Raises ParseException for a format or option that is not known, AnalysisException PATH_ALREADY_EXISTS."""
    source = cast(Node, node.this if isinstance(node.this, g.Query) else g.Subquery(this=node.this))
    relation = query.read(source)
    path = str(node.args["to"])
    told = str(node.args.get("stored") or PurePosixPath(path).suffix.removeprefix(".")).lower()
    if told not in _FORMATS:
        raise ParseException(f"COPY writes {', '.join(_FORMATS)}, not '{told}': say STORED AS one of them.", "UNSUPPORTED_FEATURE")
    writer = session._dataframe(relation).write.format(told)
    for key, value in node.args.get("options") or []:
        name = key.lower().removeprefix("format.")
        if "." in name or "::" in name:
            raise ParseException(f"The option '{key}' of COPY has no counterpart: use those of `df.write`.", "UNSUPPORTED_FEATURE")
        writer.option(_OPTIONS.get(name) or name, value)
    columns = node.args.get("partition") or []
    (writer.partitionBy(*columns) if columns else writer).save(path)
    return nothing()
