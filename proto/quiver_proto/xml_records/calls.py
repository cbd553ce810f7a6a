"""The function `schema_of_xml`, as the kernel calls it."""

from __future__ import annotations

from collections.abc import Callable

from quiver_proto.spark_functions.java import SparkValueError
from quiver_proto.spark_functions.prepared import Prepared, prepared
from quiver_proto.text_formats.malformed import FAIL
from quiver_proto.xml_records.elements import element_of
from quiver_proto.xml_records.inferring import ddl, record_kind
from quiver_proto.xml_records.options import XmlOptions


def schema_of_xml(options: XmlOptions) -> Prepared:
    """Gives the type of a text in XML, as DDL; of other texts that of a malformed record."""
    return prepared("schema_of_xml", _schema_of, options)


def _schema_of(options: XmlOptions) -> Callable[[str], str]:
    def schema(text: str) -> str:
        try:
            return ddl(record_kind(element_of(text), options))
        except ValueError as error:
            if options.mode == FAIL:
                raise SparkValueError(
                    "MALFORMED_RECORD_IN_PARSING.WITHOUT_SUGGESTION", f"Malformed records are detected in schema inference: {error}."
                ) from None
            return ddl(("struct", {options.corrupt: "string"}))

    return schema
