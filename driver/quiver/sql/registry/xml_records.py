"""Functions of records in XML. Types and options travel as for JSON (`documents`)."""

from __future__ import annotations

import json
from collections.abc import Sequence

from quiver.sql import types as t
from quiver.sql.arrow_types import arrow_type
from quiver.sql.errors import AnalysisException
from quiver.sql.lowering.names import constant_text
from quiver.sql.registry.define import mismatch, result
from quiver.sql.registry.model import Function, Types, register
from quiver.sql.registry.python import python
from quiver.sql.types.holding import holds
from quiver.sql.xml_options import xml_options
from quiver_proto.xml_records.calls import schema_of_xml
from quiver_proto.xml_records.reading import xml_reader
from quiver_proto.xml_records.writing import xml_writer

S = result("s")


def _given(lowered: str) -> dict[str, str]:
    return {str(key).lower(): str(value) for key, value in json.loads(constant_text(lowered) or "{}").items()}


def _read(args: Sequence[str], kinds: Types) -> str:
    kind = kinds[1]
    options = xml_options(_given(args[2]) if len(args) > 3 else {}, constant_text(args[-1]) or "")
    return python(xml_reader(arrow_type(kind), options), lambda kinds: kind)(args[:1], kinds[:1])


def _read_kinds(kinds: Types) -> Sequence[t.DataType | None]:
    if not isinstance(kinds[0], t.StringType | t.NullType):
        raise mismatch("from_xml", 1, '"STRING"', kinds[0])
    if not isinstance(kinds[1], t.StructType | t.VariantType):
        raise AnalysisException(
            f'Cannot resolve "from_xml" due to data type mismatch: Input schema "{kinds[1].simpleString().upper()}" must be a struct.',
            "DATATYPE_MISMATCH.INVALID_XML_SCHEMA",
        )
    return [t.StringType(), None, None][: len(kinds)]


def _write(args: Sequence[str], kinds: Types) -> str:
    options = tuple(sorted(_given(args[1]).items())) if len(args) > 2 else ()
    return python(xml_writer(kinds[0].json(), options, constant_text(args[-1]) or ""), S)(args[:1], kinds[:1])


def _write_kinds(kinds: Types) -> Sequence[t.DataType | None]:
    _check(kinds[0], "to_xml")
    if not isinstance(kinds[0], t.StructType):
        raise mismatch("to_xml", 1, '"STRUCT"', kinds[0])
    if holds(kinds[0], t.AnsiIntervalType):
        raise AnalysisException(
            "The function `to_xml` takes no intervals: cast them to strings.", "DATATYPE_MISMATCH.UNEXPECTED_INPUT_TYPE"
        )
    return [None] * len(kinds)


def _check(kind: t.DataType, name: str) -> None:
    if holds(kind, t.VariantType):
        raise AnalysisException(
            f"The function `{name}` takes no variants here: name the members as a struct, or use JSON.",
            "DATATYPE_MISMATCH.INVALID_XML_SCHEMA",
        )


def _schema_kinds(kinds: Types) -> Sequence[t.DataType | None]:
    if isinstance(kinds[0], t.NullType):
        raise AnalysisException(
            'Cannot resolve "schema_of_xml(NULL)" due to data type mismatch: The xml must not be null.', "DATATYPE_MISMATCH.UNEXPECTED_NULL"
        )
    if not isinstance(kinds[0], t.StringType):
        raise mismatch("schema_of_xml", 1, '"STRING"', kinds[0])
    return [t.StringType()] * len(kinds)


def _schema(args: Sequence[str], kinds: Types) -> str:
    options = xml_options(_given(args[1]) if len(args) > 2 else {}, constant_text(args[-1]) or "")
    return python(schema_of_xml(options), S)(args[:1], kinds[:1])


register(Function("from_xml", _read, lambda kinds: kinds[1], _read_kinds, nullable=True, arity=(2, 3), zoned=True))
register(Function("to_xml", _write, S, _write_kinds, arity=(1, 2), zoned=True))
register(Function("schema_of_xml", _schema, S, _schema_kinds, nullable=False, arity=(1, 2), zoned=True))
