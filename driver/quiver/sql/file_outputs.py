"""What a writer's format and options mean for files: their suffix, their schema, and what tasks are told. Pure."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from quiver.sql import types as t
from quiver.sql.arrow_types import arrow_schema
from quiver.sql.errors import AnalysisException, IllegalArgumentException
from quiver.sql.text_options import check_encoding, zone_of_option
from quiver.sql.types.holding import holds
from quiver.sql.xml_options import row_tag
from quiver_proto.ops import FileFormat
from quiver_proto.units import parse_memory

if TYPE_CHECKING:
    import pyarrow as pa

FORMATS = ("parquet", "csv", "json", "text", "orc", "arrow", "avro", "xml")
"""What can be written."""
_NAMES = {"csv": "CSV", "json": "JSON", "text": "Text", "orc": "ORC", "parquet": "Parquet", "arrow": "Arrow", "avro": "Avro", "xml": "XML"}
_ALIASES = {"feather": "arrow", "ipc": "arrow", "txt": "text"}
_CODECS: Mapping[str, Mapping[str, tuple[str, str]]] = {
    "parquet": {
        "none": ("none", ""), "uncompressed": ("none", ""), "snappy": ("snappy", ".snappy"), "gzip": ("gzip", ".gz"),
        "brotli": ("brotli", ".br"), "lz4_raw": ("lz4", ".lz4raw"), "lz4raw": ("lz4", ".lz4raw"), "lz4": ("lz4", ".lz4raw"),
        "zstd": ("zstd", ".zstd"),
    },
    "orc": {
        "none": ("uncompressed", ""), "uncompressed": ("uncompressed", ""), "snappy": ("snappy", ".snappy"), "zlib": ("zlib", ".zlib"),
        "lz4": ("lz4", ".lz4"), "zstd": ("zstd", ".zstd"),
    },
    "arrow": {"none": ("none", ""), "uncompressed": ("none", ""), "lz4": ("lz4", ""), "zstd": ("zstd", "")},
    "avro": {
        "none": ("null", ""), "uncompressed": ("null", ""), "deflate": ("deflate", ""), "snappy": ("snappy", ""), "bzip2": ("bzip2", ""),
        "xz": ("xz", ""), "zstandard": ("zstandard", ""),
    },
    "lines": {
        "none": ("", ""), "uncompressed": ("", ""), "gzip": ("gzip", ".gz"), "bzip2": ("bzip2", ".bz2"), "deflate": ("deflate", ".deflate"),
        "snappy": ("snappy", ".snappy"), "lz4": ("lz4", ".lz4"), "zstd": ("zstd", ".zst"),
    },
}  # fmt: skip
"""Of each kind, by Spark's names: (what the writer is told, what the file's name shows)."""
_DEFAULT_CODECS = {"parquet": "snappy", "orc": "zstd", "avro": "deflate"}
_LINES = frozenset({"csv", "json", "text", "xml"})
_PASSED = {
    "parquet": {"parquet.page.size": "pagesize", "parquet.enable.dictionary": "dictionary", "compressionlevel": "compressionlevel"},
    "orc": {"orc.stripe.size": "stripe"},
}
_LINE_OPTIONS = ("encoding", "linesep", "dateformat", "timestampformat", "timestampntzformat", "ignorenullfields", "header")
_CSV_OPTIONS = (
    "quote", "escape", "chartoescapequoteescaping", "escapequotes", "quoteall", "nullvalue", "emptyvalue", "comment",
    "ignoreleadingwhitespace", "ignoretrailingwhitespace",
)  # fmt: skip
_XML_OPTIONS = ("attributeprefix", "valuetag", "roottag", "declaration", "arrayelementname", "nullvalue", "indent", "validatename")


def format_named(name: str) -> str:
    """One of FORMATS. Raises AnalysisException DATA_SOURCE_NOT_FOUND."""
    kind = _ALIASES.get(name.lower(), name.lower())
    if kind not in FORMATS:
        raise AnalysisException(
            f"Failed to find the data source: {name}. Formats that can be written are {', '.join(FORMATS)}.", "DATA_SOURCE_NOT_FOUND"
        )
    return kind


def file_format(kind: str, schema: t.StructType, options: Mapping[str, str], zone: str) -> FileFormat:
    """How rows with these columns become files. `options` by lower-case names. Raises AnalysisException for columns that the format has no
    room for, IllegalArgumentException for unknown codecs and separators that are none."""
    _check_columns(kind, schema)
    codec, shown = _codec(kind, options)
    told = {"compression": codec}
    told.update((ours, options[theirs]) for theirs, ours in _PASSED.get(kind, {}).items() if theirs in options)
    if kind in _LINES:
        told["zone"] = zone_of_option(options, zone)
        check_encoding(options, _NAMES[kind])
        told.update((name, options[name]) for name in _LINE_OPTIONS if name in options)
        if "encoding" not in options and "charset" in options:
            told["encoding"] = options["charset"]
    match kind:
        case "csv":
            told.update((name, options[name]) for name in _CSV_OPTIONS if name in options)
            told["sep"] = options.get("sep", options.get("delimiter", ","))
            _check_csv(told)
            suffix = f".{_extension(options)}{shown}"
        case "json":
            if holds(schema, t.VariantType):
                told["variants"] = "true"
            suffix = f".json{shown}"
        case "xml":
            told.update((name, options[name]) for name in _XML_OPTIONS if name in options)
            told.update(rowtag=row_tag(options), kind=schema.json())
            if not told.get("roottag", "ROWS").strip("<> "):
                raise IllegalArgumentException("'rootTag' option should not be an empty string.")
            suffix = f".xml{shown}"
        case "text":
            suffix = f".txt{shown}"
        case "avro":
            told["avroschema"] = options.get("avroschema") or json.dumps(_avro_record("topLevelRecord", schema))
            suffix = ".avro"
        case _:
            suffix = f"{shown}.{kind}"
    if kind == "parquet":
        told["spark"] = schema.json()
        if "parquet.block.size" in options:
            told["block"] = str(parse_memory(options["parquet.block.size"], "parquet.block.size"))
    return FileFormat(kind, suffix, _loose_schema(schema).serialize().to_pybytes(), tuple(told.items()))


def _codec(kind: str, options: Mapping[str, str]) -> tuple[str, str]:
    known = _CODECS["lines" if kind in _LINES else kind]
    name = options.get("compression", options.get("codec", _DEFAULT_CODECS.get(kind, "none"))).lower()
    # Hadoop's class names end like this too.
    found = known.get(name) or known.get(name.rpartition(".")[2].removesuffix("codec"))
    if found is None:
        raise IllegalArgumentException(
            f"The codec {name} is not available. Available codecs are {', '.join(known)}.",
            "CODEC_NOT_AVAILABLE",
        )
    return found


def _extension(options: Mapping[str, str]) -> str:
    given = options.get("extension", "csv")
    if not given.isalpha():
        raise IllegalArgumentException(f"Option extension of CSV is some letters, not {given!r}.")
    return given


def _check_csv(told: Mapping[str, str]) -> None:
    if not told["sep"]:
        raise IllegalArgumentException("Delimiter cannot be empty string.", "INVALID_DELIMITER_VALUE.EMPTY_STRING")
    for name in ("quote", "escape", "comment", "chartoescapequoteescaping"):
        if len(told.get(name, "")) > 1:
            raise IllegalArgumentException(f"{name} cannot be more than one character.", "INVALID_PARAMETER_VALUE")


def _check_columns(kind: str, schema: t.StructType) -> None:
    if kind == "text" and len(schema) != 1:
        raise AnalysisException(f"Text data source supports only a single column, and you have {len(schema)} columns.")
    if not len(schema):
        raise AnalysisException(
            f"The {_NAMES[kind]} datasource does not support writing empty or nested empty schemas. Please make sure the data schema has "
            "at least one or more column(s).",
            "EMPTY_SCHEMA_NOT_SUPPORTED_FOR_DATASOURCE",
        )
    for field in schema:
        if not _takes(kind, field.dataType):
            raise AnalysisException(
                f"The {_NAMES[kind]} datasource doesn't support the column `{field.name}` of the type "
                f'"{field.dataType.simpleString().upper()}".',
                "UNSUPPORTED_DATA_TYPE_FOR_DATASOURCE",
            )


def _takes(kind: str, of: t.DataType) -> bool:
    if isinstance(of, t.ArrayType):
        return kind not in ("csv", "text") and _takes(kind, of.elementType)
    if isinstance(of, t.MapType):
        if kind == "avro" and not isinstance(of.keyType, t.StringType):
            return False
        return kind not in ("csv", "text") and _takes(kind, of.keyType) and _takes(kind, of.valueType)
    if isinstance(of, t.StructType):
        return kind not in ("csv", "text") and len(of) > 0 and all(_takes(kind, field.dataType) for field in of)
    match kind:
        case "text":
            return isinstance(of, t.StringType)
        case "csv":
            return isinstance(of, t.AtomicType) and not isinstance(of, t.VariantType)
        case "json":
            return True
        case "xml":
            return not isinstance(of, t.YearMonthIntervalType | t.DayTimeIntervalType | t.VariantType)
        case "parquet":
            return not isinstance(of, t.YearMonthIntervalType)
        case "orc" | "avro":
            return not isinstance(of, t.NullType | t.YearMonthIntervalType | t.DayTimeIntervalType | t.TimeType | t.VariantType)
        case _:
            return True


def _loose_schema(schema: t.StructType) -> pa.Schema:
    """With nulls allowed everywhere but in keys: readers take it so, and the kernel does not keep track of it everywhere."""
    import pyarrow as pa

    return pa.schema([pa.field(field.name, loose(field.type)) for field in arrow_schema(schema)])


def loose(kind: pa.DataType) -> pa.DataType:
    """The type with nulls allowed everywhere but in keys."""
    import pyarrow as pa

    if pa.types.is_list(kind):
        return pa.list_(pa.field("element", loose(kind.value_type)))
    if pa.types.is_map(kind):
        return pa.map_(loose(kind.key_type), pa.field("value", loose(kind.item_type)))
    if pa.types.is_struct(kind):
        return pa.struct([pa.field(field.name, loose(field.type)) for field in kind])
    return kind


# ---- Avro ----


def _avro_record(name: str, schema: t.StructType) -> dict[str, Any]:
    fields = [{"name": field.name, "type": [_avro(field.dataType, f"{name}.{field.name}"), "null"]} for field in schema]
    simple, _, last = name.rpartition(".")
    record: dict[str, Any] = {"type": "record", "name": last, "fields": fields}
    if simple:
        record["namespace"] = simple
    return record


def _avro(kind: t.DataType, name: str) -> Any:
    match kind:
        case t.BooleanType():
            return "boolean"
        case t.ByteType() | t.ShortType() | t.IntegerType():
            return "int"
        case t.LongType():
            return "long"
        case t.FloatType():
            return "float"
        case t.DoubleType():
            return "double"
        case t.BinaryType():
            return "bytes"
        case t.DateType():
            return {"type": "int", "logicalType": "date"}
        case t.TimestampType():
            return {"type": "long", "logicalType": "timestamp-micros"}
        case t.TimestampNTZType():
            return {"type": "long", "logicalType": "local-timestamp-micros"}
        case t.DecimalType():
            return {"type": "bytes", "logicalType": "decimal", "precision": kind.precision, "scale": kind.scale}
        case t.ArrayType():
            return {"type": "array", "items": [_avro(kind.elementType, name), "null"]}
        case t.MapType():
            return {"type": "map", "values": [_avro(kind.valueType, name), "null"]}
        case t.StructType():
            return _avro_record(name, kind)
        case _:
            return "string"
