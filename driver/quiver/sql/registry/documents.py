"""Functions of text in JSON, CSV and XML. The type that is read travels as the type of a null, the options as JSON."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from quiver.sql import types as t
from quiver.sql.arrow_types import arrow_type
from quiver.sql.errors import AnalysisException
from quiver.sql.lowering.names import constant_text
from quiver.sql.registry.define import define, mismatch, result
from quiver.sql.registry.model import Function, Types, register
from quiver.sql.registry.python import python
from quiver.sql.text_options import csv_options, json_options
from quiver.sql.xml_options import xml_options
from quiver_proto.spark_functions import csv_text, json_parts, json_text, xml_paths
from quiver_proto.xml_records.calls import schema_of_xml

S = result("s")
Make = Callable[[str, json_text.Options, str], Any]


def reading_options(name: str, given: Mapping[str, str], zone: str) -> Any:
    """JsonOptions, CsvOptions or XmlOptions of what `from_json`, `from_csv` or `from_xml` is given. Raises as the readers of files do."""
    options = {key.lower(): value for key, value in given.items()}
    return {"from_csv": csv_options, "from_json": json_options, "from_xml": xml_options}[name](options, zone)


def _reading(name: str) -> None:
    def lower(args: Sequence[str], kinds: Types) -> str:
        kind = kinds[1]
        options = reading_options(name, dict(_options(args[2]) if len(args) > 3 else ()), constant_text(args[-1]) or "")
        body = json_text.json_reader(kind.json(), options) if name == "from_json" else csv_text.csv_reader(arrow_type(kind), options)
        return python(body, lambda kinds: kind)(args[:1], kinds[:1])

    def coerce(kinds: Types) -> Sequence[t.DataType | None]:
        if not isinstance(kinds[0], t.StringType | t.NullType):
            raise mismatch(name, 1, '"STRING"', kinds[0])
        if name == "from_csv" and not isinstance(kinds[1], t.StructType):
            raise mismatch(name, 2, '"STRUCT"', kinds[1])
        return [t.StringType(), None, None][: len(kinds)]

    register(Function(name, lower, lambda kinds: kinds[1], coerce, nullable=True, arity=(2, 3), zoned=True))


def _writing(name: str, make: Make) -> None:
    def lower(args: Sequence[str], kinds: Types) -> str:
        body = make(kinds[0].json(), _options(args[1]) if len(args) > 2 else (), constant_text(args[-1]) or "")
        return python(body, S)(args[:1], kinds[:1])

    def coerce(kinds: Types) -> Sequence[t.DataType | None]:
        wanted = (t.StructType,) if name == "to_csv" else (t.StructType, t.ArrayType, t.MapType, t.VariantType)
        if not isinstance(kinds[0], wanted):
            raise mismatch(name, 1, '"STRUCT"' if name == "to_csv" else '"STRUCT", "ARRAY" or "MAP"', kinds[0])
        return [None] * len(kinds)

    register(Function(name, lower, S, coerce, arity=(1, 2), zoned=True))


def _options(lowered: str) -> json_text.Options:
    given = json.loads(constant_text(lowered) or "{}")
    return tuple(sorted((str(key).lower(), str(value)) for key, value in given.items()))


_reading("from_json")
_reading("from_csv")
_writing("to_json", json_text.json_writer)
_writing("to_csv", csv_text.csv_writer)
define("get_json_object", "ss", "s", python(json_parts.get_json_object, S), nullable=True)
define("json_array_length", "s", "i", python(json_parts.json_array_length, result("i")), nullable=True)
define("json_object_keys", "s", "[s]", python(json_parts.json_object_keys, lambda kinds: t.ArrayType(t.StringType())), nullable=True)
define("schema_of_json", "s?s", "s", python(json_parts.schema_of_json, S), nullable=False)
define("schema_of_csv", "s?s", "s", python(csv_text.schema_of_csv, S), nullable=False)


def _of_paths(name: str, function: Callable[..., Any], kind: t.DataType, *aliases: str) -> None:
    def coerce(kinds: Types) -> Sequence[t.DataType | None]:
        for number, each in enumerate(kinds, 1):
            if not isinstance(each, t.StringType | t.NullType):
                raise mismatch(name, number, '"STRING"', each)
        return [t.StringType()] * 2

    register(Function(name, python(function, lambda kinds: kind), lambda kinds: kind, coerce, nullable=True, arity=(2, 2)), *aliases)


_of_paths("xpath", xml_paths.xpath, t.ArrayType(t.StringType()))
_of_paths("xpath_string", xml_paths.xpath_string, t.StringType())
_of_paths("xpath_boolean", xml_paths.xpath_boolean, t.BooleanType())
_of_paths("xpath_double", xml_paths.xpath_double, t.DoubleType(), "xpath_number")
_of_paths("xpath_float", xml_paths.xpath_double, t.FloatType())
_of_paths("xpath_int", xml_paths.xpath_int, t.IntegerType())
_of_paths("xpath_long", xml_paths.xpath_long, t.LongType())
_of_paths("xpath_short", xml_paths.xpath_short, t.ShortType())


def _tuple_type(kinds: Types) -> t.StructType:
    return t.StructType([t.StructField(f"c{at}", t.StringType()) for at in range(len(kinds) - 1)])


def _tuple(args: Sequence[str], kinds: Types) -> str:
    return f"make_array({python(json_parts.json_tuple, _tuple_type, nulls=True)(args, kinds)})"


register(Function("json_tuple", _tuple, _tuple_type, lambda kinds: [t.StringType()] * len(kinds), kind="generator", arity=(2, None)))


def schema_of(name: str, value: str, options: str = "{}") -> t.DataType:
    """The type that one of `schema_of_json`, `_csv` and `_xml` of a constant tells (`options`: in JSON). Raises AnalysisException."""
    try:
        if name == "schema_of_xml":
            given = {str(key).lower(): str(each) for key, each in json.loads(options).items()}
            return t.DataType.fromDDL(schema_of_xml(xml_options(given, "UTC"))(value))
        return t.DataType.fromDDL(json_parts.schema_of_json(value) if name == "schema_of_json" else csv_text.schema_of_csv(value))
    except ValueError as error:
        raise AnalysisException(str(error), "INVALID_SCHEMA") from None
