"""What all types have."""

from __future__ import annotations

import json
from typing import Any, ClassVar


class DataType:
    """The base of all types."""

    _name: ClassVar[str] = ""

    @classmethod
    def typeName(cls) -> str:
        """The name in JSON schemas.

        >>> from quiver.sql.types import LongType
        >>> LongType.typeName()
        'long'
        """
        return cls._name or cls.__name__.removesuffix("Type").lower()

    def simpleString(self) -> str:
        """The name as in SQL: `bigint`, `array<string>`."""
        return self.typeName()

    def jsonValue(self) -> Any:
        """What `json` writes."""
        return self.typeName()

    def needConversion(self) -> bool:
        """Whether toInternal and fromInternal change values: never here, rows travel as Arrow columns."""
        return False

    def toInternal(self, obj: Any) -> Any:
        """The value itself."""
        return obj

    def fromInternal(self, obj: Any) -> Any:
        """The value itself."""
        return obj

    def json(self) -> str:
        """As JSON, in Spark's form."""
        return json.dumps(self.jsonValue(), separators=(",", ":"), sort_keys=True)

    @classmethod
    def fromDDL(cls, ddl: str) -> DataType:
        """The type that a DDL string describes: `a INT, b ARRAY<STRING>`, or one type. Raises ParseException."""
        from quiver.sql.ddl import parse_type

        return parse_type(ddl)

    def _key(self) -> tuple[Any, ...]:
        return ()

    def __eq__(self, other: object) -> bool:
        return isinstance(other, DataType) and type(self) is type(other) and self._key() == other._key()

    def __hash__(self) -> int:
        return hash((type(self), self._key()))

    def __repr__(self) -> str:
        return f"{type(self).__name__}({', '.join(map(repr, self._key()))})"
