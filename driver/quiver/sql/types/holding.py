"""Whether types of some kind are in a type."""

from __future__ import annotations

from types import UnionType

from quiver.sql.types.base import DataType
from quiver.sql.types.nested import ArrayType, MapType, StructType


def holds(kind: DataType, wanted: type[DataType] | UnionType) -> bool:
    """Whether the type is one of those, or has one in it.

    >>> from quiver.sql.types import LongType, StringType
    >>> holds(ArrayType(StringType()), StringType), holds(ArrayType(StringType()), LongType | MapType)
    (True, False)
    """
    if isinstance(kind, wanted):
        return True
    match kind:
        case ArrayType():
            return holds(kind.elementType, wanted)
        case MapType():
            return holds(kind.keyType, wanted) or holds(kind.valueType, wanted)
        case StructType():
            return any(holds(field.dataType, wanted) for field in kind)
        case _:
            return False
