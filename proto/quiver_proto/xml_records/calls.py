"""The function `schema_of_xml`, as the kernel calls it."""

from __future__ import annotations

import functools
from typing import Any

from quiver_proto.spark_functions.java import SparkValueError
from quiver_proto.text_formats.malformed import FAIL
from quiver_proto.xml_records.elements import element_of
from quiver_proto.xml_records.inferring import ddl, record_kind
from quiver_proto.xml_records.reading import XmlOptions


class SchemaOfXml:
    """The type of a text in XML, as DDL; of other texts that of a malformed record."""

    def __init__(self, options: XmlOptions) -> None:
        self._options = options
        self.__module__, self.__qualname__, self.__name__ = __name__, f"schema {options}", "schema_of_xml"

    def __reduce__(self) -> Any:
        return schema_of_xml, (self._options,)

    def __call__(self, text: str) -> str:
        try:
            return ddl(record_kind(element_of(text), self._options))
        except ValueError as error:
            if self._options.mode == FAIL:
                raise SparkValueError(
                    "MALFORMED_RECORD_IN_PARSING.WITHOUT_SUGGESTION", f"Malformed records are detected in schema inference: {error}."
                ) from None
            return ddl(("struct", {self._options.corrupt: "string"}))


@functools.lru_cache(256)
def schema_of_xml(options: XmlOptions) -> SchemaOfXml:
    return SchemaOfXml(options)
