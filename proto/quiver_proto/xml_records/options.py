"""Options of XML as its readers and writers take them."""

from __future__ import annotations

from dataclasses import dataclass, field

from quiver_proto.text_formats.conversion import Formats
from quiver_proto.text_formats.text_input import Line
from quiver_proto.xml_records.elements import Element


@dataclass(frozen=True, slots=True)
class XmlOptions:
    """Spark's options of XML. `corrupt`: the column of malformed records; `single`: that of records as variants. `null`: the text that is a
    null."""

    row_tag: str = "ROW"
    attribute_prefix: str = "_"
    value_tag: str = "_VALUE"
    null: str | None = None
    mode: str = "PERMISSIVE"
    corrupt: str = "_corrupt_record"
    excludes_attributes: bool = False
    strips: bool = True
    ignores_prefixes: bool = False
    infers: bool = True
    prefers_date: bool = True
    prefers_decimal: bool = False
    line: Line = field(default_factory=Line)
    formats: Formats = field(default_factory=Formats)
    single: str | None = None

    def name_of(self, name: str) -> str:
        """Of an element or attribute, as columns have it."""
        return name.rpartition(":")[2] if self.ignores_prefixes else name

    def attributes_of(self, element: Element) -> dict[str, str]:
        """By the names of their columns."""
        if self.excludes_attributes:
            return {}
        return {
            self.attribute_prefix + self.name_of(name): value
            for name, value in element.attributes.items()
            if not (self.ignores_prefixes and name.partition(":")[0] == "xmlns")
        }

    def texts_of(self, element: Element) -> list[str]:
        """The texts between elements that are not blank."""
        return [each.strip() if self.strips else each for each in element.content if isinstance(each, str) and each.strip()]
