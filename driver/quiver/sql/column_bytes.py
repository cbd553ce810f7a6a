"""How much of its files a physical plan needs: what the columns that its scans give take there."""

from __future__ import annotations

from quiver.sql.file_statistics import stored_bytes
from quiver_proto.fragments import body_of, kind_of, read_bytes, scan_nodes
from quiver_proto.v1.kernel_pb2 import Plan, ScanColumns

_MOST_FILES = 64
"""Opening more is worth spreading, whatever they hold."""


def column_bytes(plan: Plan) -> int | None:
    """Bytes, at most; None where that is not known: of other files than Parquet, of many, of columns that a scan computes."""
    total = files = 0
    for scan in scan_nodes(plan):
        if kind_of(scan) != "parquet_scan":
            return None
        conf = body_of(scan).base_conf
        columns = ScanColumns.FromString(conf.SerializeToString())
        if not columns.HasField("projection_exprs") or any(
            not each.expr.HasField("column") for each in columns.projection_exprs.projections
        ):
            return None
        names = {each.expr.column.name for each in columns.projection_exprs.projections}
        for file in (file for group in conf.file_groups for file in group.files):
            files += 1
            stored = stored_bytes(f"/{file.path}") if files <= _MOST_FILES else None
            if stored is None:
                return None
            needed = sum(stored[name] for name in names) if names <= stored.keys() else file.size
            total += needed * read_bytes(file) // max(1, file.size)
    return total
