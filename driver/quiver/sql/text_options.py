"""Options of CSV, JSON and text, by Spark's names, as readers take them."""

from __future__ import annotations

import codecs
import re
from collections.abc import Mapping
from typing import Final

from quiver.sql.errors import AnalysisException, IllegalArgumentException, UnsupportedOperationException
from quiver.sql.local_zone import kernel_zone
from quiver_proto.text_formats.conversion import Formats
from quiver_proto.text_formats.csv_lines import CsvOptions
from quiver_proto.text_formats.json_batches import JsonOptions
from quiver_proto.text_formats.json_parsing import Laxity
from quiver_proto.text_formats.text_input import Line

Options = Mapping[str, str]
_ESCAPES: Final = {"\\t": "\t", "\\n": "\n", "\\r": "\r", "\\b": "\b", "\\f": "\f", "\\\\": "\\", "\\0": "\0", "\\u0000": "\0"}
_UNESCAPED: Final = ("STOP_AT_DELIMITER", "STOP_AT_CLOSING_QUOTE", "SKIP_VALUE")
_BOUNDS: Final = {"maxNestingDepth": 1000, "maxNumLen": 1000, "maxStringLen": 100_000_000}
"""What Spark refuses beyond, unless told otherwise."""
_MODES: Final = ("PERMISSIVE", "DROPMALFORMED", "FAILFAST")


def flag(options: Options, name: str, otherwise: bool) -> bool:
    """Raises IllegalArgumentException for what is neither true nor false."""
    value = options.get(name.lower(), str(otherwise)).lower()
    if value not in ("true", "false"):
        raise IllegalArgumentException(f"{name} flag can be true or false, not {value!r}.")
    return value == "true"


def check_encoding(options: Options, source: str) -> str:
    """How texts are encoded. Raises IllegalArgumentException INVALID_PARAMETER_VALUE.CHARSET."""
    encoding = options.get("encoding", options.get("charset", "utf-8"))
    try:
        codecs.lookup(encoding)
    except LookupError:
        raise IllegalArgumentException(
            f"The value of parameter(s) `charset` in `{source}Options` is invalid: expects one of the iso-8859-1, us-ascii, utf-16, "
            f"utf-16be, utf-16le, utf-32, utf-8, or another name that Python knows, but got {encoding}.",
            "INVALID_PARAMETER_VALUE.CHARSET",
        ) from None
    return encoding


def zone_of_option(options: Options, zone: str) -> str:
    """The option timeZone, or else the session's `zone`. Raises IllegalArgumentException."""
    given = options.get("timezone")
    if given is None:
        return zone
    try:
        return kernel_zone(given)
    except ValueError:
        raise IllegalArgumentException(f"Cannot resolve the given timezone {given!r}.", "INVALID_TIMEZONE") from None


def line_of(options: Options, source: str) -> Line:
    """How lines end, and the encoding. Raises IllegalArgumentException."""
    encoding = check_encoding(options, source)
    separator = options.get("linesep")
    if separator == "":
        raise IllegalArgumentException("The 'lineSep' option cannot be an empty string.", "INVALID_LINE_SEPARATOR.EMPTY")
    if separator is not None and len(separator) > 2 and source == "CSV":
        raise IllegalArgumentException(
            f"The 'lineSep' option can contain at most 2 characters, but got {len(separator)} characters.",
            "INVALID_LINE_SEPARATOR.TOO_LONG",
        )
    _check_meaning(options, source)
    return Line(separator, encoding)


def _check_meaning(options: Options, source: str) -> None:
    """Raises UnsupportedOperationException for options that would change what is read, and don't here."""
    locale = options.get("locale", "en-US").replace("_", "-")
    if not re.fullmatch(r"en(-US)?|und|root", locale, re.IGNORECASE):
        raise UnsupportedOperationException(
            f"Option locale of {source} is en-US here, not {locale}: read such numbers and names of months as texts, and convert them.",
            "UNSUPPORTED_FEATURE.LOCALE",
        )
    if flag(options, "enableDateTimeParsingFallback", False):
        raise UnsupportedOperationException(
            "Option enableDateTimeParsingFallback: dates and times are read by their pattern, or without one as ISO 8601 has them.",
            "UNSUPPORTED_FEATURE.OPTION",
        )


def formats_of(options: Options, zone: str) -> Formats:
    """Patterns of dates and times, and texts of numbers that are none."""
    return Formats(
        zone_of_option(options, zone),
        options.get("dateformat"),
        options.get("timestampformat"),
        options.get("timestampntzformat"),
        options.get("nanvalue", "NaN"),
        options.get("positiveinf", "Inf"),
        options.get("negativeinf", "-Inf"),
    )


def mode_of(options: Options) -> str:
    """PERMISSIVE unless another mode is named."""
    mode = options.get("mode", "PERMISSIVE").upper()
    return mode if mode in _MODES else "PERMISSIVE"


def csv_options(options: Options, zone: str) -> CsvOptions:
    """Raises IllegalArgumentException, AnalysisException for options that can't be understood."""
    separator = options.get("sep", options.get("delimiter", ","))
    if not separator:
        raise AnalysisException("Delimiter cannot be empty string.", "INVALID_DELIMITER_VALUE.EMPTY_STRING")
    for written, meant in _ESCAPES.items():
        separator = separator.replace(written, meant)
    if len(separator) > 1 and separator[0] == "\\" and separator not in _ESCAPES.values():
        raise IllegalArgumentException(
            f"Invalid value for delimiter. Unsupported special character for delimiter: {separator}.",
            "INVALID_DELIMITER_VALUE.UNSUPPORTED_SPECIAL_CHARACTER",
        )
    unescaped = options.get("unescapedquotehandling", "STOP_AT_DELIMITER").upper()
    if unescaped not in _UNESCAPED:
        raise IllegalArgumentException(f"unescapedQuoteHandling is one of {', '.join(_UNESCAPED)} here, not {unescaped}.")
    try:
        max_columns = int(options.get("maxcolumns", "20480"))
        max_characters = int(options.get("maxcharspercolumn", "-1"))
    except ValueError as problem:
        raise IllegalArgumentException(f"maxColumns and maxCharsPerColumn should be integers: {problem}.") from None
    null, empty = options.get("nullvalue", ""), options.get("emptyvalue", "")
    return CsvOptions(
        separator,
        _character(options, "quote", '"'),
        _character(options, "escape", "\\"),
        _character(options, "comment", ""),
        flag(options, "header", False),
        null,
        empty,
        flag(options, "ignoreLeadingWhiteSpace", False),
        flag(options, "ignoreTrailingWhiteSpace", False),
        flag(options, "multiLine", False),
        flag(options, "enforceSchema", True),
        mode_of(options),
        options.get("columnnameofcorruptrecord", "_corrupt_record"),
        max_columns,
        max_characters,
        unescaped,
        flag(options, "preferDate", True),
        line_of(options, "CSV"),
        formats_of(options, zone),
        options.get("singlevariantcolumn"),
        _character(options, "chartoescapequoteescaping", "") if "chartoescapequoteescaping" in options else None,
        flag(options, "columnPruning", True),
    )


def json_options(options: Options, zone: str) -> JsonOptions:
    """Raises IllegalArgumentException for options that can't be understood."""
    line, multi_line = line_of(options, "JSON"), flag(options, "multiLine", False)
    for name, usual in _BOUNDS.items():
        given = options.get(name.lower(), str(usual))
        if not given.isdecimal() or int(given) < usual:
            raise UnsupportedOperationException(
                f"Option {name} of JSON: texts, numbers and nesting have no bounds here that could be set to {given}.",
                "UNSUPPORTED_FEATURE.OPTION",
            )
    return JsonOptions(
        mode_of(options),
        options.get("columnnameofcorruptrecord", "_corrupt_record"),
        multi_line,
        flag(options, "primitivesAsString", False),
        flag(options, "prefersDecimal", False),
        flag(options, "dropFieldIfAllNull", False),
        flag(options, "inferTimestamp", False),
        Laxity(
            flag(options, "allowComments", False),
            flag(options, "allowUnquotedFieldNames", False),
            flag(options, "allowSingleQuotes", True),
            flag(options, "allowNumericLeadingZeros", False),
            flag(options, "allowBackslashEscapingAnyCharacter", False),
            flag(options, "allowUnquotedControlChars", False),
            flag(options, "allowNonNumericNumbers", True),
        ),
        line,
        formats_of(options, zone),
        options.get("singlevariantcolumn"),
    )


def _character(options: Options, name: str, otherwise: str) -> str:
    value = options.get(name, otherwise)
    value = _ESCAPES.get(value, value)
    if value == "\0":
        return ""
    if len(value) > 1:
        raise IllegalArgumentException(f"{name} cannot be more than one character.", "OPTION_VALUE_EXCEEDS_ONE_CHARACTER")
    return value


def sampling_ratio(options: Options) -> float:
    """Of the records that types are inferred from. Raises IllegalArgumentException."""
    try:
        ratio = float(options.get("samplingratio", "1.0"))
    except ValueError:
        ratio = 0.0
    if not 0 < ratio <= 1:
        raise IllegalArgumentException(f"samplingRatio ({options['samplingratio']}) should be greater than 0 and at most 1.")
    return ratio
