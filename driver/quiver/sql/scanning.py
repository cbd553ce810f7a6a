"""Gives files to the kernel as tables, so that it can prune, push down and cut them.

The kernel's tables are directories, whose listing it takes for the truth. So a leaf's files are laid out as links in a directory of their
own (a *mirror*), one directory `column=value` below another for partition columns; in the finished plan their real paths are put in.
A value that is too long for a directory's name is cut into several, one below another, which the view of the files puts together again.
"""

from __future__ import annotations

import os
import re
import shutil
import weakref
from collections.abc import Mapping
from decimal import Decimal, InvalidOperation
from itertools import zip_longest
from typing import TYPE_CHECKING, Final
from urllib.parse import quote

from quiver.sql import types as t
from quiver.sql.arrow_types import arrow_type
from quiver.sql.discovery import NULL_PARTITION
from quiver.sql.file_schemas import stored_schema
from quiver.sql.lowering.names import column, kernel_type, quoted, text
from quiver.sql.lowering.wide import Chosen
from quiver.sql.passing import passing_folder
from quiver.sql.tree import relations as r
from quiver_proto.errors import FileUnreadable
from quiver_proto.fragments import MISSING_IS_EMPTY, SCHEMA_UNKNOWN, UNREADABLE_IS_EMPTY, scans
from quiver_proto.sources.reading import about
from quiver_proto.text_formats.conversion import Formats, converted
from quiver_proto.text_formats.text_input import Piece
from quiver_proto.v1.kernel_pb2 import Plan

if TYPE_CHECKING:
    import pyarrow as pa
    from datafusion import SessionContext

NATIVE: Final = frozenset({"parquet", "arrow"})
"""Formats that the kernel scans in the tasks of a query."""
_MARK = "quiver-mirror-"
_WORD = re.compile(r"[^\s,\[\]]+")
_LINK = re.compile(rf"({_MARK}[^/]+)/(?:[^/]*/)*(\d+)\.data")
_KEY = "__quiver_partition_"
_FILE = "__quiver_file"
_LONGEST: Final = 192
"""Bytes of a partition value in a directory's name, of which file systems take 255 with the column's name."""
_CUT: Final = _LONGEST // 12
"""Characters of a value's parts: each is at most four bytes, written with three letters."""


class Mirror:
    """Links to a leaf's files, in a directory that goes with it. It doesn't keep the leaf. `views`: strings are read as such."""

    def __init__(self, leaf: r.Files, views: bool = True) -> None:
        import pyarrow as pa

        partitions = set(leaf.partition_columns)
        options = {name: value.lower() for name, value in leaf.options}
        self._flags = (MISSING_IS_EMPTY if options.get("ignoremissingfiles") == "true" else 0) | (
            UNREADABLE_IS_EMPTY if options.get("ignorecorruptfiles") == "true" else 0
        )
        self.format = leaf.format
        self.files = leaf.files
        self._verified = leaf.verified
        held = [field for field in leaf.schema if field.name not in partitions]
        if leaf.format == "arrow":  # Read as it is, cast above the scan.
            self.schema = stored_schema("arrow", leaf.files[0].path) if leaf.files else pa.schema([])
        else:
            self.schema = pa.schema([(field.name, _read_as(field.dataType) if views else arrow_type(field.dataType)) for field in held])
        self.root = passing_folder(_MARK)
        self.remove = weakref.finalize(self, shutil.rmtree, self.root, ignore_errors=True)
        kinds = {field.name: field.dataType for field in leaf.schema}
        key_kinds = [kinds[name] for name in leaf.partition_columns]
        named = {
            values: [_directories(_written(value, kind, leaf.zone)) for value, kind in zip(values, key_kinds)]
            for values in {file.values for file in leaf.files}
        }
        self.levels = [max(map(len, parts)) for parts in zip(*named.values())] or [1] * len(leaf.partition_columns)
        made: dict[tuple[str | None, ...], str] = {}
        for number, file in enumerate(leaf.files):
            if self._flags and self._is_to_skip(file.path):
                continue
            folder = made.get(file.values)
            if folder is None or leaf.hidden:
                parts = [
                    f"{key}={value}"
                    for keys, values in zip(self.partition_keys(), named[file.values], strict=True)
                    for key, value in zip_longest(keys, values, fillvalue=NULL_PARTITION)
                ]
                if leaf.hidden:
                    parts.append(f"{_FILE}={number}")
                folder = made[file.values] = os.path.join(self.root, *parts)
                os.makedirs(folder, exist_ok=True)
            os.symlink(file.path, os.path.join(folder, f"{number}.data"))

    def partition_keys(self) -> list[list[str]]:
        """Of each partition column the names of the columns that hold its value, or the value's parts one after another."""
        return [[f"{_KEY}{place}" + (f"_{level}" if level else "") for level in range(count)] for place, count in enumerate(self.levels)]

    def _is_to_skip(self, path: str) -> bool:
        try:
            stored_schema(self.format, path)
        except FileUnreadable as problem:
            return bool(self._flags & (MISSING_IS_EMPTY if isinstance(problem.__cause__, FileNotFoundError) else UNREADABLE_IS_EMPTY))
        return False

    def check_present(self) -> None:
        """Raises FileUnreadable FILE_NOT_EXIST: the kernel takes a link to nothing for nothing."""
        if not self._flags & MISSING_IS_EMPTY:
            for file in self.files:
                if not os.path.exists(file.path):
                    raise FileUnreadable(
                        file.path,
                        "File does not exist. It is possible the underlying files have been updated: read them again, or set the option "
                        "ignoreMissingFiles.",
                        "FAILED_READ_FILE.FILE_NOT_EXIST",
                    )

    def blame(self) -> None:
        """The kernel could not plan: raises FileUnreadable when one of the files is to blame."""
        for file in self.files:
            stored_schema(self.format, file.path)

    def checks(self, path: str) -> int:
        """PartitionedFile.checks of a file."""
        return self._flags | (0 if path in self._verified else SCHEMA_UNKNOWN)


def register(context: SessionContext, name: str, leaf: r.Files, views: bool = True) -> Mirror:
    """Make a view `name` of the leaf's files, with its columns as lowered queries call them. Lasts as long as the mirror, which it is
    given `views`."""
    import pyarrow as pa

    mirror = Mirror(leaf, views)
    raw = f"{name}_files"
    kinds: list[tuple[str, str | pa.DataType]] = [(key, pa.string()) for keys in mirror.partition_keys() for key in keys]
    if leaf.hidden:
        kinds.append((_FILE, pa.string()))
    if leaf.format == "parquet":
        context.register_parquet(raw, mirror.root, table_partition_cols=kinds, file_extension=".data", schema=mirror.schema)
    else:
        context.register_arrow(raw, mirror.root, mirror.schema, ".data", kinds)
    try:
        _view(context, name, raw, leaf, mirror)
    finally:
        context.deregister_table(raw)  # The view holds it.
    return mirror


def _view(context: SessionContext, name: str, raw: str, leaf: r.Files, mirror: Mirror) -> None:
    places = dict(zip(leaf.partition_columns, mirror.partition_keys()))
    listed = [f"{_item(f.name, c.type, places, mirror)} AS {column(c)}" for c, f in zip(leaf.columns, leaf.schema)] or ["1"]
    if not leaf.hidden:
        # Of a SELECT the kernel would look up each column among all.
        context.register_view(name, Chosen(tuple(listed)).over(context.table(raw)))
        return
    items = ", ".join(listed)
    about = f"{name}_about"
    context.register_record_batches(about, [[_about(leaf)]])
    items += "".join(f", {column(c)}" for c in leaf.columns[-len(leaf.hidden) :])
    try:
        context.register_view(name, context.sql(f"SELECT {items} FROM {raw} JOIN {about} ON {quoted(_FILE)} = {quoted('#file')}"))
    finally:
        context.deregister_table(about)


def _about(leaf: r.Files) -> pa.RecordBatch:
    """The hidden columns' values of each file, by its number."""
    import pyarrow as pa

    pieces = [Piece(file.path, 0, -1, file.values, file.size, file.modified) for file in leaf.files]
    arrays = [pa.array(list(map(str, range(len(pieces)))))]
    names = ["#file"]
    for attribute in leaf.columns[-len(leaf.hidden) :]:
        arrays.append(pa.array([about(piece, attribute.name) for piece in pieces], arrow_type(attribute.type)))
        names.append(f"{attribute.name}#{attribute.id}")
    return pa.record_batch(arrays, names=names)


def resolve(plan: Plan, mirrors: Mapping[str, Mirror], pins: Mapping[str, int]) -> None:
    """Put the files themselves in place of a finished plan's links to them. `mirrors` by their directories' names; `pins`: digests of
    the footers on which the plan relies, by path."""
    for scan in scans(plan):
        mirror = None
        for group in scan.base_conf.file_groups:
            for file in group.files:
                if _MARK not in file.path:
                    continue
                below = file.path[file.path.index(_MARK) :].split("/")
                mirror = mirrors[below[0]]
                real = mirror.files[int(below[-1].removesuffix(".data"))]
                file.path = real.path.lstrip("/")
                file.checks = mirror.checks(real.path)
                file.footer_digest = pins.get(real.path, 0)
        if mirror is not None:
            scan.base_conf.expected = mirror.schema.serialize().to_pybytes()


def shown(text: str, mirrors: Mapping[str, Mirror]) -> str:
    """The kernel's display of a plan, with the files instead of the links. Takes time in proportion to the text."""
    if _MARK not in text:
        return text
    return _WORD.sub(lambda word: _real(word[0], mirrors), text)


def _real(word: str, mirrors: Mapping[str, Mirror]) -> str:
    found = _LINK.search(word)
    mirror = None if found is None else mirrors.get(found[1])
    if found is None or mirror is None:
        return word
    return f"{mirror.files[int(found[2])].path.lstrip('/')}{word[found.end() :]}"


def _read_as(of: t.DataType) -> pa.DataType:
    import pyarrow as pa

    if isinstance(of, t.StringType | t.BinaryType):
        return pa.string_view() if isinstance(of, t.StringType) else pa.binary_view()  # Which Parquet is read into soonest.
    return arrow_type(of)


def _written(value: str | None, kind: t.DataType, zone: str) -> str | None:
    """A partition's value as the kernel casts it: a timestamp, which is told in the zone, in UTC, a decimal without an exponent; as it is
    when it is none."""
    if isinstance(kind, t.DecimalType) and value is not None and "e" in value.lower():
        try:
            return format(Decimal(value), "f")
        except InvalidOperation:
            return value
    if not isinstance(kind, t.TimestampType):
        return value
    import pyarrow as pa

    moments, bad = converted(pa.array([value], pa.string()), pa.timestamp("us", "UTC"), Formats(zone))
    return value if value is None or bad else str(moments.cast(pa.string())[0].as_py())


def _directories(value: str | None) -> list[str]:
    """The value as names of directories: of more than one each is a part of it."""
    whole = quote(NULL_PARTITION if value is None else value, safe="")
    if value is None or len(whole) <= _LONGEST:
        return [whole]
    return [quote(value[start : start + _CUT], safe="") for start in range(0, len(value), _CUT)]


def _item(name: str, kind: t.DataType, partitions: Mapping[str, list[str]], mirror: Mirror) -> str:
    if name not in partitions:
        if mirror.format == "parquet":
            return quoted(name)
        return f"arrow_cast({quoted(name) if name in mirror.schema.names else 'NULL'}, {text(kernel_type(kind))})"
    first, *more = (f"nullif({quoted(key)}, {text(NULL_PARTITION)})" for key in partitions[name])
    value = first if not more else "(" + " || ".join([first, *(f"coalesce({part}, '')" for part in more)]) + ")"
    return value if isinstance(kind, t.StringType) else f"arrow_cast({value}, {text(kernel_type(kind))})"
