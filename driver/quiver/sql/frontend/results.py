"""What commands tell: small relations of rows that the driver has."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

from quiver.sql import types as t
from quiver.sql.tree import relations as r

if TYPE_CHECKING:
    from quiver.sql.session import Session


def nothing() -> r.Relation:
    """No row, no column."""
    import pyarrow as pa

    return r.Local(pa.table({"#none": pa.array([], pa.null())}), ())


def rows(session: Session, columns: Sequence[str], values: Iterable[Sequence[Any]], flags: Sequence[str] = ()) -> r.Relation:
    """Rows of strings; the columns named in `flags` are booleans."""
    schema = t.StructType([t.StructField(name, t.BooleanType() if name in flags else t.StringType()) for name in columns])
    return session.createDataFrame([tuple(value) for value in values], schema)._relation
