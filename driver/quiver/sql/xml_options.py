"""Options of XML, by Spark's names, as readers take them."""

from __future__ import annotations

from collections.abc import Mapping

from quiver.sql.errors import AnalysisException, IllegalArgumentException, UnsupportedOperationException
from quiver.sql.text_options import flag, formats_of, line_of, mode_of
from quiver_proto.xml_records.options import XmlOptions


def xml_options(options: Mapping[str, str], zone: str) -> XmlOptions:
    """Of options by names in small letters. Raises IllegalArgumentException, UnsupportedOperationException."""
    for name in ("rowValidationXSDPath", "wildcardColName"):
        if name.lower() in options:
            raise UnsupportedOperationException(
                f"Option {name} of XML: elements are not compared with a schema in XSD, and those without a column are left out.",
                "UNSUPPORTED_FEATURE.OPTION",
            )
    usual = XmlOptions()
    return XmlOptions(
        options.get("rowtag", usual.row_tag),
        options.get("attributeprefix", usual.attribute_prefix),
        options.get("valuetag", usual.value_tag),
        options.get("nullvalue"),
        mode_of(options),
        options.get("columnnameofcorruptrecord", usual.corrupt),
        flag(options, "excludeAttribute", False),
        flag(options, "ignoreSurroundingSpaces", True),
        flag(options, "ignoreNamespace", False),
        flag(options, "inferSchema", True),
        flag(options, "preferDate", True),
        flag(options, "prefersDecimal", False),
        line_of(options, "XML"),
        formats_of(options, zone),
        options.get("singlevariantcolumn"),
    )


def row_tag(options: Mapping[str, str]) -> str:
    """The element that is a row. Raises AnalysisException XML_ROW_TAG_MISSING, IllegalArgumentException."""
    tag = options.get("rowtag")
    if tag is None:
        raise AnalysisException("`rowTag` option is required for reading/writing files in XML format.", "XML_ROW_TAG_MISSING")
    if not tag.strip("<> "):
        raise IllegalArgumentException("'rowTag' option should not be an empty string.")
    return tag.strip("<> ")


def file_options(options: Mapping[str, str], zone: str) -> XmlOptions:
    """As xml_options, of files. Raises AnalysisException too, without the option rowTag."""
    return xml_options({**options, "rowtag": row_tag(options)}, zone)
