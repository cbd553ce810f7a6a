"""What columns files have that tell their types: Parquet, Arrow, ORC, Avro."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from quiver.sql import types as t
from quiver.sql.arrow_types import spark_type
from quiver.sql.errors import AnalysisException, check_names_differ
from quiver.sql.type_json import type_from_json
from quiver_proto.errors import FileUnreadable
from quiver_proto.filesystems import filesystem_of
from quiver_proto.sources.columnar_files import avro_schema, orc_schema
from quiver_proto.store_options import NO_STORE, StoreOptions

if TYPE_CHECKING:
    import pyarrow as pa


def called(kind: str) -> str:
    """A format as messages write it."""
    return kind.upper() if kind in ("csv", "json", "orc", "xml") else kind.capitalize()


def failed_to_read(path: str, problem: object, condition: str = "FAILED_READ_FILE.NO_HINT") -> AnalysisException:
    """With the name of the file, and what is wrong with it."""
    return AnalysisException(f"Encountered error while reading file {path}. {problem}", condition)


class Stored(NamedTuple):
    """`columns` of files; `verified`: those that were seen to have them; `alike`: they all write the columns' names so."""

    columns: t.StructType
    verified: frozenset[str]
    alike: bool


def schema_of_files(kind: str, files: Sequence[str], options: Mapping[str, str], store: StoreOptions = NO_STORE) -> Stored:
    """What such files hold (there is at least one): the first that can be read, or (mergeSchema) all of them.

    Raises AnalysisException FAILED_READ_FILE, UNABLE_TO_INFER_SCHEMA, CANNOT_MERGE_SCHEMAS, COLUMN_ALREADY_EXISTS.
    """
    schemas: dict[str, pa.Schema] = {}
    merging = options.get("mergeschema", "").lower() == "true"
    for path in files:
        try:
            schemas[path] = stored_schema(kind, path, store)
        except FileUnreadable as problem:
            if options.get("ignorecorruptfiles", "").lower() != "true":
                raise failed_to_read(path, problem.problem, "FAILED_READ_FILE.CANNOT_READ_FILE_FOOTER") from problem
        if schemas and not merging:
            break
    if not schemas:
        raise AnalysisException(f"Unable to infer schema for {called(kind)}. It must be specified manually.", "UNABLE_TO_INFER_SCHEMA")
    columns = _merged(schemas)
    written = {field.name for field in columns}
    return Stored(columns, frozenset(schemas), all(name in written for schema in schemas.values() for name in schema.names))


def stored_schema(kind: str, path: str, store: StoreOptions = NO_STORE) -> pa.Schema:
    """The Arrow schema that a file tells. Raises FileUnreadable, PackageMissing."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    if kind == "orc":
        return orc_schema(path, store)
    if kind == "avro":
        return avro_schema(path, store)
    system, inner = filesystem_of(path, store)
    try:
        with system.open_input(inner) as file:
            if kind == "parquet":
                stored = pq.ParquetFile(file).schema
                return _with_spark_metadata(_with_moments(stored), frozenset(_VARIANT.findall(str(stored))))
            return pa.ipc.open_file(pa.PythonFile(file)).schema.remove_metadata()
    except (pa.ArrowException, OSError) as problem:
        raise FileUnreadable(path, str(problem).partition("\n")[0]) from problem


def _with_moments(stored: Any) -> pa.Schema:
    """A Parquet file's Arrow schema where INT96, which is how Spark, Hive and Impala write instants, is one: Arrow takes it for a time
    without a zone."""
    schema = stored.to_arrow_schema()
    physical = iter([stored.column(number).physical_type for number in range(len(stored))])
    for place, field in enumerate(schema):
        kind = _instants(field.type, physical)
        if kind != field.type:
            schema = schema.set(place, field.with_type(kind))
    return schema


def _instants(kind: pa.DataType, physical: Iterator[str]) -> pa.DataType:
    """The type with instants for INT96. `physical`: of its leaves and those after them, in order."""
    import pyarrow as pa

    if pa.types.is_struct(kind):
        return pa.struct([field.with_type(_instants(field.type, physical)) for field in kind])
    if pa.types.is_map(kind):
        key = _instants(kind.key_type, physical)
        return pa.map_(key, kind.item_field.with_type(_instants(kind.item_type, physical)))
    if pa.types.is_list(kind):
        return pa.list_(kind.value_field.with_type(_instants(kind.value_type, physical)))
    if kind.num_fields:
        for field in kind:
            _instants(field.type, physical)
        return kind
    return pa.timestamp("us", "UTC") if next(physical, "") == "INT96" else kind


_ROW = b"org.apache.spark.sql.parquet.row.metadata"
"""Under it Spark, and we, write the columns' schema into Parquet files, as JSON."""
_FIELD, _TYPE = b"spark.metadata", b"spark.type"
_VARIANT = re.compile(r"^  \w+ group field_id=-?\d+ (.*) \(Variant\(\d+\)\) \{$", re.MULTILINE)
"""In the text of a Parquet schema: columns that are variants."""


def _with_spark_metadata(schema: pa.Schema, variants: frozenset[str]) -> pa.Schema:
    """The schema, with what Spark's own, which the file tells beside it, says of the columns: on each of them. `variants`: columns that
    Parquet itself calls so."""
    plain = schema.remove_metadata()
    of = _told((schema.metadata or {}).get(_ROW))
    for place, field in enumerate(plain if of or variants else ()):
        metadata, kind = of.get(field.name, ({}, t.NullType()))
        said = {_FIELD: json.dumps(metadata)} if metadata else {}
        meant = _with_variants(t.VariantType() if field.name in variants else kind, field.type)
        if meant is not None:
            said[_TYPE] = meant.json()
        if said:
            plain = plain.set(place, field.with_metadata(said))
    return plain


def _told(row: bytes | None) -> dict[str, tuple[dict[str, Any], t.DataType]]:
    """What Spark's schema in a file says of each column: metadata and type. What others have written there says nothing."""
    try:
        fields = json.loads(row)["fields"] if row else []
        found = {field["name"]: (field.get("metadata") or {}, field["type"]) for field in fields}
        return {
            name: (metadata, type_from_json(kind) if "variant" in json.dumps(kind) else t.NullType())
            for name, (metadata, kind) in found.items()
            if isinstance(metadata, dict)
        }
    except (ValueError, KeyError, TypeError, AttributeError):
        return {}


def _with_variants(told: t.DataType, stored: pa.DataType) -> t.DataType | None:
    """The type of a column, where variants are in it: by what is told of it; None where there are none."""
    import pyarrow as pa

    match told:
        case t.VariantType():
            return told if pa.types.is_struct(stored) and stored.get_field_index("metadata") >= 0 else None
        case t.ArrayType() if pa.types.is_list(stored):
            item = _with_variants(told.elementType, stored.value_type)
            return None if item is None else t.ArrayType(item)
        case t.MapType() if pa.types.is_map(stored):
            item = _with_variants(told.valueType, stored.item_type)
            return None if item is None else t.MapType(spark_type(stored.key_type), item)
        case t.StructType() if pa.types.is_struct(stored) and [field.name for field in stored] == told.names:
            members = [_with_variants(field.dataType, stored.field(place).type) for place, field in enumerate(told)]
            if not any(members):
                return None
            kinds = (kind or spark_type(stored.field(place).type) for place, kind in enumerate(members))
            return t.StructType([t.StructField(name, kind) for name, kind in zip(told.names, kinds, strict=True)])
        case _:
            return None


def _metadata(field: pa.Field) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((field.metadata or {}).get(_FIELD, b"{}"))
    return found


def _type(field: pa.Field) -> t.DataType:
    told = (field.metadata or {}).get(_TYPE)
    return spark_type(field.type) if told is None else type_from_json(json.loads(told))


def stored_names(wanted: t.StructType, path: str) -> t.StructType:
    """Columns that were asked for, as a Parquet file writes their names: they are the same in upper and lower case."""
    try:
        names = stored_schema("parquet", path).names
    except FileUnreadable:
        return wanted  # Tasks tell.
    folded = {name.lower(): name for name in names}
    spelt = ((field.name if field.name in names else folded.get(field.name.lower(), field.name)) for field in wanted)
    return t.StructType([t.StructField(name, field.dataType) for name, field in zip(spelt, wanted)])


def _merged(schemas: Mapping[str, pa.Schema]) -> t.StructType:
    """One column per name, written as first seen: upper and lower case are the same.

    Types of one column in several files must be the same, or widen to one of them.
    """
    fields: dict[str, t.StructField] = {}
    origins: dict[str, str] = {}
    for path, schema in schemas.items():
        check_names_differ(schema.names, path)
        for arrow in schema:
            try:
                field = t.StructField(arrow.name, _type(arrow), metadata=_metadata(arrow))
            except TypeError as problem:
                raise failed_to_read(path, f"Column [{arrow.name}]: {problem}.") from problem
            key = field.name.lower()
            known = fields.setdefault(key, field)
            if origins.setdefault(key, path) is path:
                continue
            kind = merged_type(known.dataType, field.dataType)
            if kind is None:
                raise AnalysisException(
                    f"Failed merging schema of the file {path}: column `{field.name}` is {field.dataType.simpleString().upper()} there, "
                    f"and {known.dataType.simpleString().upper()} in {origins[key]}.",
                    "CANNOT_MERGE_SCHEMAS",
                )
            fields[key] = t.StructField(known.name, kind, metadata=known.metadata)
    return t.StructType(list(fields.values()))


_WIDER: tuple[tuple[type[t.DataType], ...], ...] = (
    (t.ByteType, t.ShortType, t.IntegerType, t.LongType),
    (t.FloatType, t.DoubleType),
    (t.ByteType, t.ShortType, t.IntegerType, t.DoubleType),
)


def merged_type(one: t.DataType, other: t.DataType) -> t.DataType | None:
    """The type that holds the values of both without loss; None when there is none."""
    if one == other or isinstance(other, t.NullType):
        return one
    if isinstance(one, t.NullType):
        return other
    if isinstance(one, t.DecimalType) and isinstance(other, t.DecimalType):
        scale = max(one.scale, other.scale)
        precision = max(one.precision - one.scale, other.precision - other.scale) + scale
        return t.DecimalType(precision, scale) if precision <= 38 else None
    if isinstance(one, t.ArrayType) and isinstance(other, t.ArrayType):
        element = merged_type(one.elementType, other.elementType)
        return None if element is None else t.ArrayType(element)
    if isinstance(one, t.MapType) and isinstance(other, t.MapType):
        key, value = merged_type(one.keyType, other.keyType), merged_type(one.valueType, other.valueType)
        return None if key is None or value is None else t.MapType(key, value)
    if isinstance(one, t.StructType) and isinstance(other, t.StructType):
        members = {field.name: field.dataType for field in one}
        for field in other:
            kind = merged_type(members.get(field.name, t.NullType()), field.dataType)
            if kind is None:
                return None
            members[field.name] = kind
        return t.StructType([t.StructField(name, kind) for name, kind in members.items()])
    for chain in _WIDER:
        if type(one) in chain and type(other) in chain:
            return max(one, other, key=lambda kind: chain.index(type(kind)))
    return None
