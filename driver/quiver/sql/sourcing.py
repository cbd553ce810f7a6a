"""Sources that Python reads in tasks: from a leaf and what a query asks of it to an RDD of Arrow batches."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from quiver.sql.analysis.demand import Demand
from quiver.sql.arrow_types import arrow_schema
from quiver.sql.errors import AnalysisException
from quiver.sql.tree import relations as r
from quiver.sql.tree.walking import attributes_in
from quiver.sql.types import StructField, StructType
from quiver_proto.sources.reading import Reading
from quiver_proto.text_formats.text_input import Piece

if TYPE_CHECKING:
    import pyarrow as pa

    from quiver.context import Context
    from quiver.rdd import RDD


def sourced(context: Context, leaf: r.Sourced, demand: Demand | None) -> tuple[RDD[pa.RecordBatch], int | None]:
    """The rows that the query can use of the leaf, with nulls in columns that it doesn't; about how many bytes will be read."""
    reader, parts, size = leaf.reader, leaf.parts, leaf.size
    wanted = frozenset(c.name for c in leaf.columns if demand is None or c.id in demand.columns)
    if leaf.format in ("csv", "json"):
        _check_records(leaf, wanted)
    conditions = () if demand is None else demand.conditions
    if leaf.push is not None:
        reader, parts = leaf.push(wanted, conditions)
    if demand is not None and conditions and leaf.partition_columns:
        parts, size = _pruned(leaf, demand)
    options = {key: value.lower() for key, value in leaf.options}
    schema = arrow_schema(StructType([StructField(c.name, c.type) for c in leaf.columns]))
    reading = Reading(
        reader,
        schema.serialize().to_pybytes(),
        wanted,
        leaf.partition_columns,
        leaf.zone,
        options.get("ignoremissingfiles") == "true",
        options.get("ignorecorruptfiles") == "true",
        leaf.hidden,
    )
    return context.parallelize(parts, max(1, len(parts))).mapPartitions(reading), size


def _check_records(leaf: r.Sourced, wanted: frozenset[str]) -> None:
    """Raises AnalysisException where the column of corrupt records alone is asked for: which they are depends on the columns read."""
    corrupt = dict(leaf.options).get("columnnameofcorruptrecord", "_corrupt_record")
    if wanted - {*leaf.partition_columns, *leaf.hidden} == {corrupt}:
        raise AnalysisException(
            f"The feature is not supported: queries of CSV or JSON files that refer to the column of corrupt records `{corrupt}` only. "
            "Cache the DataFrame, or save its rows, and query those.",
            "UNSUPPORTED_FEATURE.QUERY_ONLY_CORRUPT_RECORD_COLUMN",
        )


def _pruned(leaf: r.Sourced, demand: Demand) -> tuple[tuple[Any, ...], int | None]:
    """Without the files whose partition columns don't meet the query's conditions, which the kernel is asked about."""
    import pyarrow as pa

    from quiver.sql.kernel import session
    from quiver.sql.lowering.relations import lower
    from quiver.sql.registry.python import prepare
    from quiver_proto.text_formats.conversion import Formats, converted

    columns = tuple(c for c in leaf.columns if c.name in leaf.partition_columns)
    ids = {c.id for c in columns}
    conditions = [each for each in demand.conditions if all(a.id in ids for a in attributes_in(each))]
    values = sorted({piece.partitions for part in leaf.parts for piece in part}, key=str)
    if not conditions or not values:
        return leaf.parts, leaf.size
    kinds = arrow_schema(StructType([StructField(f"{c.name}#{c.id}", c.type) for c in columns]))
    arrays = []
    for field, column in zip(kinds, columns, strict=True):
        place = leaf.partition_columns.index(column.name)
        arrays.append(converted(pa.array([each[place] for each in values], pa.string()), field.type, Formats(leaf.zone))[0])
    relation: r.Relation = r.Local(pa.Table.from_arrays([*arrays], schema=kinds), columns)
    for condition in conditions:
        relation = r.Filter(relation, condition)
    query = lower(relation)
    context = session(1)
    numbered = pa.record_batch([*arrays, pa.array(range(len(values)), pa.int64())], names=[*kinds.names, "#place"])
    for name in query.leaves:
        context.register_record_batches(name, [[numbered]])
    prepare(context, query.text)
    kept = {values[row["#place"]] for row in context.sql(query.text).select('"#place"').to_pylist()}
    parts = []
    for part in leaf.parts:
        pieces: list[Piece] = [piece for piece in part if piece.partitions in kept]
        if pieces:
            parts.append(pieces)
    size = sum(piece.size if piece.length < 0 else piece.length for part in parts for piece in part)
    return tuple(parts), size
