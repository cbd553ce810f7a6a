"""What columns CSV, JSON and XML files have: tasks look at all records, or some (`samplingRatio`)."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import reduce
from typing import TYPE_CHECKING, Any

from quiver.sql import types as t
from quiver.sql.ddl import type_ddl
from quiver.sql.errors import AnalysisException, column_already_exists
from quiver_proto.text_formats import csv_batches, csv_types, json_types
from quiver_proto.text_formats.csv_lines import CsvOptions
from quiver_proto.text_formats.csv_variants import column_names
from quiver_proto.text_formats.json_batches import JsonOptions
from quiver_proto.text_formats.text_input import Piece
from quiver_proto.xml_records import files as xml_files
from quiver_proto.xml_records import inferring as xml_types
from quiver_proto.xml_records.options import XmlOptions

if TYPE_CHECKING:
    from quiver.rdd import RDD

Parts = Sequence[Sequence[Piece]]
_NAMED: dict[str, t.DataType] = {
    "int": t.IntegerType(), "bigint": t.LongType(), "double": t.DoubleType(), "date": t.DateType(), "timestamp": t.TimestampType(),
    "boolean": t.BooleanType(), "string": t.StringType(), "null": t.StringType(),
}  # fmt: skip


def single_variant(name: str | None, wanted: t.StructType | None, corrupt: str) -> t.StructType | None:
    """The columns of files that are read as one variant a record, called `name`; `wanted` where they are not.

    Raises AnalysisException INVALID_SINGLE_VARIANT_COLUMN.
    """
    if name is None:
        return wanted
    if wanted is None:
        return t.StructType([t.StructField(name, t.VariantType())])
    kinds = {field.name: field.dataType for field in wanted}
    if kinds.pop(name, None) != t.VariantType() or kinds not in ({}, {corrupt: t.StringType()}):
        raise AnalysisException(
            f'User specified schema "{type_ddl(wanted)}" is invalid when the `singleVariantColumn` option is enabled. The schema must '
            "either be a variant field, or a variant field plus a corrupt column field.",
            "INVALID_SINGLE_VARIANT_COLUMN",
        )
    return wanted


def first_record(parts: Parts, options: CsvOptions) -> Sequence[str | None]:
    """Of the first file that has one. Raises FileUnreadable."""
    pieces = (piece for part in parts for piece in part if not piece.start)
    return next((first for piece in pieces if (first := csv_batches.header(piece, options)) is not None), [])


def csv_schema(rdd: RDD[Any], first: Sequence[str | None], options: CsvOptions, infers: bool, keep: float) -> t.StructType:
    """Names from a first record when it is a header, else `_c0`, …; with `infers`, types that all values have, else strings.

    `rdd`: of lists of Pieces, or of lines.
    """
    names = column_names(first, options.header)
    if not infers or not names:
        return t.StructType([t.StructField(name, t.StringType()) for name in names])
    width = len(names)

    def types_of(pieces: Any) -> list[list[str]]:
        return [csv_types.types_of(piece, width, options, keep) for piece in _each(pieces)]

    kinds = csv_types.all_merged(rdd.mapPartitions(types_of).collect(), width)
    return t.StructType([t.StructField(name, _type(kind)) for name, kind in zip(names, kinds)])


def _each(parts: Iterator[Any]) -> Iterator[Piece | Sequence[str]]:
    """The pieces of parts; or all lines as one."""
    lines: list[str] = []
    for part in parts:
        if isinstance(part, list):
            yield from part
        else:
            lines.append(part)
    if lines:
        yield lines


def json_schema(rdd: RDD[Any], options: JsonOptions, keep: float) -> t.StructType:
    """Columns by name; with one for malformed records where there are some. `rdd`: of lists of Pieces, or of texts.

    Raises AnalysisException COLUMN_ALREADY_EXISTS.
    """

    def types_of(pieces: Any) -> list[tuple[Any, bool]]:
        return [json_types.types_of(piece, options, keep) for piece in _each(pieces)]

    found = rdd.mapPartitions(types_of).collect()
    return _by_name(found, json_types.merged, options.corrupt, options.drop_null_fields)


def xml_schema(rdd: RDD[Any], options: XmlOptions, keep: float) -> t.StructType:
    """As json_schema."""

    def types_of(pieces: Any) -> list[tuple[Any, bool]]:
        return [xml_files.types_of(piece, options, keep) for piece in _each(pieces)]

    def merged(one: Any, other: Any) -> Any:
        return xml_types.merged(one, other, options)

    return _by_name(rdd.mapPartitions(types_of).collect(), merged, options.corrupt)


def _by_name(found: Sequence[tuple[Any, bool]], merged: Callable[[Any, Any], Any], corrupt: str, drops_null: bool = False) -> t.StructType:
    """Of (type, whether a record was malformed) of each part."""
    kind = _type(reduce(merged, (kind for kind, _ in found), ("struct", {})), drops_null)
    assert isinstance(kind, t.StructType)
    fields = list(kind)
    if any(bad for _, bad in found) and corrupt not in kind.names:
        fields.append(t.StructField(corrupt, t.StringType()))
    return t.StructType(sorted(fields, key=lambda field: field.name))


def _type(kind: Any, drops_null: bool = False) -> t.DataType:
    if isinstance(kind, str):
        if kind.startswith("decimal"):
            precision, scale = map(int, kind[8:-1].split(","))
            return t.DecimalType(precision, scale)
        return _NAMED[kind]
    if kind[0] == "array":
        return t.ArrayType(_type("null" if kind[1] == ("struct", {}) else kind[1], drops_null))
    members = {name: inner for name, inner in kind[1].items() if not _is_nothing(inner, drops_null)}
    folded: set[str] = set()
    for name in members:
        if name.lower() in folded or kind[1].get("") == "repeated":
            raise column_already_exists(name.lower())
        folded.add(name.lower())
    return t.StructType([t.StructField(name, _type(inner, drops_null)) for name, inner in sorted(members.items())])


def _is_nothing(kind: Any, drops_null: bool) -> bool:
    """Empty objects have no type; with dropFieldIfAllNull, neither have null and empty lists."""
    if isinstance(kind, tuple) and kind[0] == "struct":
        return all(_is_nothing(inner, drops_null) for inner in kind[1].values())
    if not drops_null:
        return False
    return kind == "null" or (isinstance(kind, tuple) and kind[0] == "array" and _is_nothing(kind[1], True))
