"""Scans of rows that stages leave: what a fragment's schema is as the kernel's messages.

Only the kernel knows how it writes types, and asking it costs a file, a listing and a plan, more than all else that is done for a stage.
So it is asked once for each type, and scans are put together of its answers.
"""

from __future__ import annotations

import functools
import tempfile
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from quiver.sql.cutting import Described
from quiver_proto.errors import UnsupportedPlan
from quiver_proto.fragments import copied, parse
from quiver_proto.v1.kernel_pb2 import FileScanConf, Plan, ScanColumns

if TYPE_CHECKING:
    from datafusion import SessionContext


def described(schema: Any, session: Callable[[], SessionContext]) -> Described:
    """Rows of this Arrow schema, with a scan of no files. Raises UnsupportedPlan."""
    serialised = schema.serialize().to_pybytes()
    columns = [(field.type, field.nullable) for field in schema]
    if not columns or not all(map(_is_plain, schema)) or schema.metadata:
        return Described(serialised, scan_by_kernel(schema, session))
    scan = copied(_of_type(columns[0], session))
    conf = scan.arrow_scan.base_conf
    made = ScanColumns()
    for place, (field, column) in enumerate(zip(schema, columns, strict=True)):
        given = ScanColumns.FromString(_of_type(column, session).arrow_scan.base_conf.SerializeToString())
        given.schema.columns[0].name = field.name
        (projected,) = given.projection_exprs.projections
        projected.alias = projected.expr.column.name = field.name
        projected.expr.column.index = place
        made.schema.columns.extend(given.schema.columns)
        made.statistics.column_stats.extend(given.statistics.column_stats)
        made.projection_exprs.projections.extend(given.projection_exprs.projections)
    # What is said once is that of the first column's scan.
    whole = ScanColumns.FromString(conf.SerializeToString())
    whole.schema.columns.clear()
    whole.statistics.column_stats.clear()
    whole.projection_exprs.projections.clear()
    whole.MergeFrom(made)
    conf.CopyFrom(FileScanConf.FromString(whole.SerializeToString()))
    return Described(serialised, scan)


def _is_plain(field: Any) -> bool:
    """Whether its type says all: parts of a type have names and metadata that comparisons of types pass over."""
    return not field.metadata and field.type.num_fields == 0


@functools.lru_cache(maxsize=256)
def _of_type(column: tuple[Any, bool], session: Callable[[], SessionContext]) -> Plan:
    import pyarrow as pa

    kind, nullable = column
    return scan_by_kernel(pa.schema([pa.field("column", kind, nullable)]), session)


def scan_by_kernel(schema: Any, session: Callable[[], SessionContext]) -> Plan:
    """As the kernel plans it over a file of no rows. Raises UnsupportedPlan."""
    import pyarrow as pa

    with tempfile.NamedTemporaryFile(prefix="quiver-schema-", suffix=".arrow") as file:
        with pa.ipc.new_file(file.name, schema):
            pass
        scan = parse(session().read_arrow(file.name).execution_plan().to_bytes())
    if scan.WhichOneof("node") != "arrow_scan":
        raise UnsupportedPlan(f"a scan of Arrow files, which the kernel calls {scan.WhichOneof('node')}")
    del scan.arrow_scan.base_conf.file_groups[:]
    return scan
