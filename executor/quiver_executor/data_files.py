"""Data files that a fragment scans: looked at before the kernel reads them, and blamed by name when it can't."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from quiver_proto.errors import FileUnreadable, QuiverError
from quiver_proto.fragments import MISSING_IS_EMPTY, SCHEMA_UNKNOWN, UNREADABLE_IS_EMPTY, kind_of, scan_nodes
from quiver_proto.kernel_faults import PANICKED
from quiver_proto.parquet_footers import footer_digest
from quiver_proto.v1.kernel_pb2 import PartitionedFile, Plan
from quiver_proto.widening import widens

if TYPE_CHECKING:
    import pyarrow as pa


def look_at(fragment: Plan) -> None:
    """Do for each file what its `checks` ask for; files that count as empty are taken out. One that the plan relies on must be unchanged.

    Raises FileUnreadable: FAILED_READ_FILE.FILE_NOT_EXIST, .PARQUET_COLUMN_DATA_TYPE_MISMATCH with the column and both types, .NO_HINT.
    """
    for node in scan_nodes(fragment):
        conf = getattr(node, kind_of(node)).base_conf
        kind = kind_of(node)
        if not conf.expected:
            continue
        expected = None
        for group in conf.file_groups:
            unfit = []
            for number, file in enumerate(group.files):
                if file.footer_digest:
                    _check_unchanged(_path(file), file.footer_digest)
                if not file.checks:
                    continue
                if expected is None:
                    expected = _schema(conf.expected)
                if not _fits(file, kind, expected):
                    unfit.append(number)
            for number in reversed(unfit):
                del group.files[number]


def _schema(data: bytes) -> pa.Schema:
    import pyarrow as pa

    return pa.ipc.read_schema(pa.py_buffer(data))


def _path(file: PartitionedFile) -> str:
    return file.path if "://" in file.path else f"/{file.path}"


def _fits(file: PartitionedFile, kind: str, expected: pa.Schema) -> bool:
    """False: it is to be taken for empty."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    path = _path(file)
    try:
        if kind == "parquet_scan":
            actual = pq.read_schema(path)
        else:
            with pa.OSFile(path) as source:
                actual = pa.ipc.open_file(source).schema
    except FileNotFoundError:
        if file.checks & MISSING_IS_EMPTY:
            return False
        raise _gone(path) from None
    except (OSError, pa.ArrowException) as problem:
        if file.checks & UNREADABLE_IS_EMPTY:
            return False
        raise FileUnreadable(path, _first_line(problem)) from None
    if file.checks & SCHEMA_UNKNOWN:
        if kind == "parquet_scan":
            check_types(path, actual, expected)
        elif actual.remove_metadata() != expected:
            raise FileUnreadable(path, f"Its columns are not those of other files: {_line(actual)} instead of {_line(expected)}.")
    return not (file.checks & UNREADABLE_IS_EMPTY) or damage(path, kind) is None


def _check_unchanged(path: str, digest: int) -> None:
    try:
        now = footer_digest(path)
    except (OSError, ValueError):
        return  # The others tell.
    if now != digest:
        raise FileUnreadable(path, "It was changed after the query was planned, which relies on the bounds of its values: run it again.")


def _line(schema: pa.Schema) -> str:
    return ", ".join(f"{field.name} {field.type}" for field in schema)


def _gone(path: str) -> FileUnreadable:
    return FileUnreadable(
        path,
        "File does not exist. It is possible the underlying files have been updated: read them again, or set ignoreMissingFiles.",
        "FAILED_READ_FILE.FILE_NOT_EXIST",
    )


def check_types(path: str, actual: pa.Schema, expected: pa.Schema) -> None:
    """Raises FileUnreadable for a column that has another type than is expected, beyond what can be widened."""
    exact = set(actual.names)
    folded = {name.lower(): name for name in actual.names}
    for field in expected:
        if actual.names.count(field.name) > 1:
            raise FileUnreadable(path, f"Found duplicate field(s) [{field.name}] in it: which is meant, a schema can't tell.")
        if field.name in exact:
            found = actual.field(field.name).type
            if not widens(found, field.type):
                raise FileUnreadable(
                    path,
                    f"Data type mismatches when reading Parquet column [{field.name}]. Expected type: "
                    f"{str(field.type).removesuffix('_view')}, actual type in this file: {found}.",
                    "FAILED_READ_FILE.PARQUET_COLUMN_DATA_TYPE_MISMATCH",
                )
        elif field.name.lower() in folded:
            raise FileUnreadable(
                path, f"Its column [{folded[field.name.lower()]}] is written [{field.name}] in other files: set mergeSchema."
            )


@contextlib.contextmanager
def blaming(fragment: Plan) -> Iterator[None]:
    """Inside, an error of the kernel that a data file is to blame for is raised as FileUnreadable with the file's name."""
    try:
        yield
    except QuiverError:
        raise
    except Exception as error:
        text = str(error)
        if not any(word in text for word in _OF_FILES):
            raise
        for node in scan_nodes(fragment):
            kind = kind_of(node)
            conf = getattr(node, kind).base_conf
            if not conf.expected or kind not in ("parquet_scan", "arrow_scan"):
                continue  # Map outputs, among others.
            for group in conf.file_groups:
                for file in group.files:
                    path = _path(file)
                    if not os.path.exists(path):
                        raise _gone(path) from error
                    found = damage(path, kind)
                    if found is not None:
                        raise FileUnreadable(path, found) from error
        raise


_OF_FILES = (
    "Parquet error",
    "Arrow error",
    "ArrowError",
    "Object Store",
    "ParquetError",
    "IO error",
    "External error",
    "Ipc error",
    PANICKED,
)


def damage(path: str, kind: str) -> str | None:
    """What is wrong with a file, seen by reading all of it; None when nothing is."""
    import pyarrow as pa

    try:
        if kind == "arrow_scan":
            with pa.OSFile(path) as source:
                reader = pa.ipc.open_file(source)
                for number in range(reader.num_record_batches):
                    reader.get_batch(number).validate(full=True)
        else:
            _read_parquet(path)
    except (OSError, pa.ArrowException) as problem:
        return _first_line(problem)
    return None


def _read_parquet(path: str) -> None:
    import pyarrow.parquet as pq

    with pq.ParquetFile(path) as file:
        for number in range(file.num_row_groups):
            file.read_row_group(number, use_threads=False)


def _first_line(problem: Any) -> str:
    return str(problem).partition("\n")[0]
