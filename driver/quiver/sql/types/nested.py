"""Types that are made of others: arrays, maps, structs."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, overload

from quiver.sql.types.atomic import CharType, DayTimeIntervalType, DecimalType, TimeType, VarcharType, YearMonthIntervalType
from quiver.sql.types.base import DataType


def _nullable_inside(kind: DataType) -> DataType:
    return kind.toNullable() if isinstance(kind, ArrayType | MapType | StructType) else kind


class ArrayType(DataType):
    """Lists of `elementType`."""

    def __init__(self, elementType: DataType, containsNull: bool = True) -> None:
        _expect_type(elementType, "elementType")
        self.elementType = elementType
        self.containsNull = containsNull

    def simpleString(self) -> str:
        return f"array<{self.elementType.simpleString()}>"

    def jsonValue(self) -> dict[str, Any]:
        return {"type": "array", "elementType": self.elementType.jsonValue(), "containsNull": self.containsNull}

    @classmethod
    def fromJson(cls, json: Mapping[str, Any]) -> ArrayType:
        """The inverse of `jsonValue`."""
        from quiver.sql.type_json import type_from_json

        kind = type_from_json(json)
        assert isinstance(kind, ArrayType)
        return kind

    def toNullable(self) -> ArrayType:
        """With nulls allowed, at all depths.

        >>> from quiver.sql.types import IntegerType
        >>> ArrayType(IntegerType(), False).toNullable()
        ArrayType(IntegerType(), True)
        """
        return ArrayType(_nullable_inside(self.elementType), True)

    def _key(self) -> tuple[Any, ...]:
        return (self.elementType, self.containsNull)


class MapType(DataType):
    """Dictionaries from `keyType` to `valueType`."""

    def __init__(self, keyType: DataType, valueType: DataType, valueContainsNull: bool = True) -> None:
        _expect_type(keyType, "keyType")
        _expect_type(valueType, "valueType")
        self.keyType = keyType
        self.valueType = valueType
        self.valueContainsNull = valueContainsNull

    def simpleString(self) -> str:
        return f"map<{self.keyType.simpleString()},{self.valueType.simpleString()}>"

    def jsonValue(self) -> dict[str, Any]:
        return {
            "type": "map", "keyType": self.keyType.jsonValue(), "valueType": self.valueType.jsonValue(),
            "valueContainsNull": self.valueContainsNull,
        }  # fmt: skip

    @classmethod
    def fromJson(cls, json: Mapping[str, Any]) -> MapType:
        """The inverse of `jsonValue`."""
        from quiver.sql.type_json import type_from_json

        kind = type_from_json(json)
        assert isinstance(kind, MapType)
        return kind

    def toNullable(self) -> MapType:
        """With nulls allowed in values, at all depths.

        >>> from quiver.sql.types import IntegerType, StringType
        >>> MapType(StringType(), IntegerType(), False).toNullable()
        MapType(StringType(), IntegerType(), True)
        """
        return MapType(_nullable_inside(self.keyType), _nullable_inside(self.valueType), True)

    def _key(self) -> tuple[Any, ...]:
        return (self.keyType, self.valueType, self.valueContainsNull)


class StructField(DataType):
    """A column or a member of a struct: `name`, `dataType`, whether it may be null, and metadata of the user's own."""

    def __init__(self, name: str, dataType: DataType, nullable: bool = True, metadata: Mapping[str, Any] | None = None) -> None:
        _expect_type(dataType, "dataType")
        if not isinstance(name, str):
            raise TypeError(f"field name {name!r} should be a string")
        self.name = name
        self.dataType = dataType
        self.nullable = nullable
        self.metadata = dict(metadata or {})

    def simpleString(self) -> str:
        return f"{self.name}:{self.dataType.simpleString()}"

    def jsonValue(self) -> dict[str, Any]:
        return {"name": self.name, "type": self.dataType.jsonValue(), "nullable": self.nullable, "metadata": self.metadata}

    @classmethod
    def fromJson(cls, json: Mapping[str, Any]) -> StructField:
        """The inverse of `jsonValue`."""
        from quiver.sql.type_json import type_from_json

        return StructField(json["name"], type_from_json(json["type"]), json.get("nullable", True), json.get("metadata"))

    def _key(self) -> tuple[Any, ...]:
        return (self.name, self.dataType, self.nullable, json.dumps(self.metadata, sort_keys=True, default=str))

    def __repr__(self) -> str:
        return f"StructField('{self.name}', {self.dataType!r}, {self.nullable})"


class StructType(DataType):
    """Columns of a DataFrame, or members of a nested value, in order.

    >>> from quiver.sql.types import StringType
    >>> schema = StructType().add("a", StringType()).add("b", "int", False)
    >>> schema.names, schema["b"].nullable, len(schema)
    (['a', 'b'], False, 2)
    """

    def __init__(self, fields: Sequence[StructField] | None = None) -> None:
        self.fields: list[StructField] = list(fields or [])
        if not all(isinstance(field, StructField) for field in self.fields):
            raise TypeError("fields should be a list of StructField")

    def add(
        self,
        field: str | StructField,
        data_type: str | DataType | None = None,
        nullable: bool = True,
        metadata: Mapping[str, Any] | None = None,
    ) -> StructType:
        """Append a field; returns itself. Raises ValueError for a name without a type."""
        if isinstance(field, StructField):
            self.fields.append(field)
        elif data_type is None:
            raise ValueError("Must specify DataType if passing name of struct_field to create.")
        else:
            kind = DataType.fromDDL(data_type) if isinstance(data_type, str) else data_type
            self.fields.append(StructField(field, kind, nullable, metadata))
        return self

    @property
    def names(self) -> list[str]:
        """The fields' names."""
        return [field.name for field in self.fields]

    def fieldNames(self) -> list[str]:
        """The fields' names."""
        return self.names

    def simpleString(self) -> str:
        return f"struct<{','.join(field.simpleString() for field in self.fields)}>"

    def jsonValue(self) -> dict[str, Any]:
        return {"type": "struct", "fields": [field.jsonValue() for field in self.fields]}

    @classmethod
    def fromJson(cls, json: Mapping[str, Any]) -> StructType:
        """The inverse of `jsonValue`."""
        from quiver.sql.type_json import type_from_json

        kind = type_from_json(json)
        if not isinstance(kind, StructType):
            raise TypeError(f"not a struct: {json!r}")
        return kind

    def toDDL(self) -> str:
        """As DDL, which fromDDL reads.

        >>> StructType().add("a b", "int", False).add("c", "array<string>").toDDL()
        '`a b` INT NOT NULL,c ARRAY<STRING>'
        """
        from quiver.sql.ddl import column_ddl

        return ",".join(map(column_ddl, self.fields))

    def toNullable(self) -> StructType:
        """With nulls allowed everywhere.

        >>> StructType().add("a", "int", False).toNullable()
        StructType([StructField('a', IntegerType(), True)])
        """
        return StructType([StructField(f.name, _nullable_inside(f.dataType), True, f.metadata) for f in self.fields])

    def treeString(self, maxDepth: int | None = None) -> str:
        """As printSchema prints it, to that depth."""
        lines = ["root"]
        for field in self.fields:
            _tree(field.name, field.dataType, field.nullable, " |", lines)
        if maxDepth is not None and maxDepth > 0:
            lines = [line for line in lines if line == "root" or (line.index("--") - 2) // 5 < maxDepth]
        return "\n".join(lines) + "\n"

    def _key(self) -> tuple[Any, ...]:
        return tuple(self.fields)

    def __iter__(self) -> Iterator[StructField]:
        return iter(self.fields)

    def __len__(self) -> int:
        return len(self.fields)

    @overload
    def __getitem__(self, key: str | int) -> StructField: ...
    @overload
    def __getitem__(self, key: slice) -> StructType: ...
    def __getitem__(self, key: str | int | slice) -> StructField | StructType:
        if isinstance(key, str):
            for field in self.fields:
                if field.name == key:
                    return field
            raise KeyError(f"No StructField named {key}")
        if isinstance(key, slice):
            return StructType(self.fields[key])
        return self.fields[key]

    def __repr__(self) -> str:
        return f"StructType([{', '.join(map(repr, self.fields))}])"


def _expect_type(value: object, name: str) -> None:
    if not isinstance(value, DataType):
        raise TypeError(f"{name} {value!r} should be an instance of {DataType}")


def _tree(name: str, kind: DataType, nullable: bool, indent: str, lines: list[str]) -> None:
    lines.append(f"{indent}-- {name}: {_short(kind)} (nullable = {str(nullable).lower()})")
    _tree_below(kind, indent, lines)


def _tree_below(kind: DataType, indent: str, lines: list[str]) -> None:
    below = f"{indent}    |"
    match kind:
        case StructType():
            for field in kind.fields:
                _tree(field.name, field.dataType, field.nullable, below, lines)
        case ArrayType():
            lines.append(f"{below}-- element: {_short(kind.elementType)} (containsNull = {str(kind.containsNull).lower()})")
            _tree_below(kind.elementType, below, lines)
        case MapType():
            lines.append(f"{below}-- key: {_short(kind.keyType)}")
            _tree_below(kind.keyType, below, lines)
            lines.append(f"{below}-- value: {_short(kind.valueType)} (valueContainsNull = {str(kind.valueContainsNull).lower()})")
            _tree_below(kind.valueType, below, lines)
        case _:
            pass


_PRECISE = (DecimalType, CharType, VarcharType, DayTimeIntervalType, YearMonthIntervalType, TimeType)


def _short(kind: DataType) -> str:
    return kind.simpleString() if isinstance(kind, _PRECISE) else kind.typeName()
