"""Rows into files, once: checked and staged by tasks, put in place by the driver. Every writer of files ends here.

    errors first      unknown columns, a path that is there or is being read: before anything is made
    tasks             write below the job's own place in the directory (quiver_executor.fragment_save)
    commit            moves one attempt's files per partition into place, and takes away what they replace (quiver_proto.committing)

A job that fails or is cancelled leaves nothing.
"""

from __future__ import annotations

import uuid
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, NamedTuple

from quiver.sql import types as t
from quiver.sql.discovery import as_known
from quiver.sql.errors import AnalysisException, IllegalArgumentException, check_names_differ, column_already_exists
from quiver.sql.file_outputs import file_format, format_named
from quiver.sql.kernel_errors import spark_errors
from quiver.sql.metastore import Buckets
from quiver.sql.spreading import spread_of
from quiver.sql.store_access import store_access
from quiver.sql.tree import expressions as e
from quiver.sql.tree import relations as r
from quiver_proto import frames, ops
from quiver_proto.committing import OutputJob
from quiver_proto.errors import OutputExists
from quiver_proto.filesystems import filesystem_of
from quiver_proto.partition_paths import directory
from quiver_proto.store_options import StoreOptions
from quiver_proto.units import parse_memory

if TYPE_CHECKING:
    from quiver.sql.session import Session

MODES = {
    "append": "append", "overwrite": "overwrite", "ignore": "ignore", "error": "error", "errorifexists": "error", "default": "error",
}  # fmt: skip
_OVERWRITE_MODE = "spark.sql.sources.partitionOverwriteMode"


@dataclass(frozen=True, slots=True)
class Output:
    """Where rows go, and how. `mode` is one of MODES' values; `options` by lower-case names."""

    path: str
    format: str
    mode: str
    options: Mapping[str, str] = field(default_factory=dict)
    partition_by: tuple[str, ...] = ()
    buckets: Buckets | None = None
    static: tuple[str, ...] = ()
    """What the rows have in these partition columns, in order, is the same for all, and only that is overwritten (as texts)."""


class Saved(NamedTuple):
    """What a write has left. `partitions`: directories below the path that got files, "" for itself."""

    files: int
    rows: int
    bytes: int
    partitions: tuple[str, ...]


NOTHING = Saved(0, 0, 0, ())


def save_mode(mode: str) -> str:
    """One of MODES' values. Raises AnalysisException INVALID_SAVE_MODE."""
    found = MODES.get(mode.lower()) if isinstance(mode, str) else None
    if found is None:
        listed = ", ".join(f'"{name}"' for name in MODES)
        raise AnalysisException(f'The specified save mode "{mode}" is invalid. Valid save modes include {listed}.', "INVALID_SAVE_MODE")
    return found


def save(session: Session, relation: r.Relation, output: Output, call_site: ops.CallSite) -> Saved:
    """Compute the relation into files below `output.path`.

    Raises AnalysisException (PATH_ALREADY_EXISTS, UNSUPPORTED_OVERWRITE.PATH, COLUMN_ALREADY_EXISTS, columns that a format can't
    hold), PathUnwritable, DiskFull, and what the query raises; there is nothing new at the path then.
    """
    kind = format_named(output.format)
    store = store_access(session, output.options)
    output = replace(output, path=as_known(output.path))
    system, path = filesystem_of(output.path, store)
    path = path.rstrip("/") or "/"
    if kind != "csv":  # Which finds columns by place.
        check_names_differ(column.name for column in relation.output)
    dealt = Dealt(session, relation, output)
    form = file_format(kind, dealt.data, _with_defaults(session, kind, output.options), session.conf.zone())
    dynamic = bool(output.partition_by) and is_dynamic(session, output.options)
    if output.mode == "overwrite" and not dynamic:
        check_not_read(relation, path)
    if output.mode == "ignore" and system.stat(path) is not None:
        return NOTHING
    session.context._check(call_site.operator)
    job = OutputJob(path, store)
    try:
        with spark_errors():
            job.prepare(new=output.mode in ("error", "ignore"))
    except OutputExists:
        if output.mode == "ignore":
            return NOTHING
        raise AnalysisException(
            f'Path {_as_url(path)} already exists. Set mode as "overwrite" to overwrite the existing path.', "PATH_ALREADY_EXISTS"
        ) from None
    try:
        written = staged(session, dealt, output, job, form, store, call_site)
        places = tuple(dict.fromkeys(final.rpartition("/")[0] for _, final, _, _ in written))
        replaces: Sequence[str] = ()
        if output.mode == "overwrite":
            static = "/".join(directory(column, value) for column, value in zip(output.partition_by, output.static))
            replaces = places if dynamic else (static,)
        with spark_errors():
            job.commit([(file, final) for file, final, _, _ in written], replaces)
        session._state.runtime.kept.refreshed(path)
    except BaseException:
        job.abort()
        raise
    return Saved(len(written), sum(rows for _, _, rows, _ in written), sum(size for *_, size in written), places)


def staged(
    session: Session, dealt: Dealt, output: Output, job: OutputJob, form: ops.FileFormat, store: StoreOptions, call_site: ops.CallSite
) -> list[tuple[str, str, int, int]]:
    """Let tasks write the rows below the job's place: (path there, path below the directory, rows, bytes) of each file."""
    name = str(uuid.uuid4())
    limits = _limits(session, output.options)
    spread = spread_of(dealt.relation)

    def sink(plan: bytes, inputs: tuple[tuple[int, bytes], ...], settings: tuple[tuple[str, str], ...]) -> ops.Sink:
        return ops.FragmentSave(
            plan, inputs, settings, job.directory, job.name, name, form, dealt.partitions, output.buckets is not None, *limits,
            apart=spread is not None and spread.exact, single=spread is not None and spread.single, store=store,
        )  # fmt: skip

    results = session._state.runtime.save(dealt.relation, call_site, sink, spread)
    return [file for result in results for file in frames.load(result)]


def run_only(session: Session, relation: r.Relation, call_site: ops.CallSite) -> None:
    """Compute the relation, and drop its rows where they were made. Raises what the query raises."""
    session.context._check(call_site.operator)
    session._state.runtime.save(relation, call_site, ops.FragmentDrop)


def check_not_read(relation: r.Relation, path: str, table: str = "") -> None:
    """Raises AnalysisException UNSUPPORTED_OVERWRITE when the relation reads what is at `path`."""
    pending: list[r.Relation] = [relation]
    while pending:
        node = pending.pop()
        pending += node.inputs
        if isinstance(node, r.Files) and any(filesystem_of(root)[1].rstrip("/") == path for root in node.paths):
            what = f"The target table is {table}" if table else f'The target path is "{_as_url(path)}"'
            raise AnalysisException(
                f"Can't overwrite the target that is also being read from. {what}.", f"UNSUPPORTED_OVERWRITE.{'TABLE' if table else 'PATH'}"
            )


def column_named(columns: Sequence[e.Attribute], name: str, problem: Callable[[str], AnalysisException]) -> e.Attribute:
    """The column that a name means, in any case. Raises what `problem` makes of the name."""
    plain = name.strip("`") if name.startswith("`") else name
    found = [column for column in columns if column.name.lower() == plain.lower()]
    if not found:
        raise problem(plain)
    return next((column for column in found if column.name == plain), found[0])


class Dealt:
    """`relation`: the relation as tasks need it: the files' columns, then texts of the partition columns, then the bucket's number."""

    def __init__(self, session: Session, relation: r.Relation, output: Output) -> None:
        columns = relation.output
        listed = ", ".join(f"{column.name}:{column.type.simpleString()}" for column in columns)
        keys = [
            column_named(columns, name, lambda name: AnalysisException(f"Partition column `{name}` not found in schema struct<{listed}>."))
            for name in output.partition_by
        ]
        _check_keys(keys, output.partition_by, columns)
        rest = [column for column in columns if column.id not in {key.id for key in keys}]
        # Here, as tasks don't know of which fields an interval is.
        of_lines = format_named(output.format) in ("csv", "json")
        texts = {column.id for column in rest if of_lines and isinstance(column.type, t.AnsiIntervalType)}
        kinds = [t.StringType() if column.id in texts else column.type for column in rest]
        self.data = t.StructType([t.StructField(c.name, kind, True, dict(c.metadata)) for c, kind in zip(rest, kinds)])
        self.partitions = output.partition_by
        if output.buckets is not None and output.buckets.sort:
            unknown = _unknown_bucket_column
            sort = [e.SortKey(column_named(columns, name, unknown)) for name in output.buckets.sort]
            relation = session._state.analyser.sort(relation, sort)
        items: list[e.Expression] = [e.Alias(e.Cast(c, t.StringType()), c.name) if c.id in texts else c for c in rest]
        items += (e.Alias(e.Cast(key, t.StringType()), f"#partition{number}") for number, key in enumerate(keys))
        if output.buckets is not None:
            hashed = e.Call("hash", tuple(column_named(columns, name, _unknown_bucket_column) for name in output.buckets.columns))
            items.append(e.Alias(e.Call("pmod", (hashed, e.Literal(output.buckets.number, t.IntegerType()))), "#bucket"))
        # By position: duplicate names are allowed where a format takes them.
        self.relation = session._state.analyser.project(relation, items) if keys or output.buckets or texts else relation


def _unknown_bucket_column(name: str) -> AnalysisException:
    return AnalysisException(f"bucket column `{name}` is not defined in the table.", "COLUMN_NOT_DEFINED_IN_TABLE")


def _check_keys(keys: Sequence[e.Attribute], names: Sequence[str], columns: Sequence[e.Attribute]) -> None:
    for number, key in enumerate(keys):
        if key.id in {other.id for other in keys[:number]}:
            raise column_already_exists(names[number].lower())
        if not isinstance(key.type, t.AtomicType) or isinstance(key.type, t.VariantType):
            raise AnalysisException(
                f'Cannot use "{key.type.simpleString().upper()}" for partition column.', "INVALID_PARTITION_COLUMN_DATA_TYPE"
            )
    if keys and len(keys) == len(columns):
        raise AnalysisException("Cannot use all columns for partition columns.", "ALL_PARTITION_COLUMNS_NOT_ALLOWED")


def is_dynamic(session: Session, options: Mapping[str, str]) -> bool:
    """Whether an overwrite replaces only partitions that get rows. Raises IllegalArgumentException INVALID_CONF_VALUE."""
    chosen: str = options.get("partitionoverwritemode", session.conf.get(_OVERWRITE_MODE, "static"))
    if chosen.lower() not in ("static", "dynamic"):
        raise IllegalArgumentException(f"{_OVERWRITE_MODE} should be static or dynamic, but was {chosen}.", "INVALID_CONF_VALUE")
    return chosen.lower() == "dynamic"


def _with_defaults(session: Session, kind: str, options: Mapping[str, str]) -> Mapping[str, str]:
    """With what the session says where the writer says nothing."""
    result = dict(options)
    codec = session.conf.get(f"spark.sql.{kind}.compression.codec", None)
    if codec and "compression" not in result:
        result["compression"] = codec
    ignores = session.conf.get("spark.sql.jsonGenerator.ignoreNullFields", None)
    if ignores and "ignorenullfields" not in result:
        result["ignorenullfields"] = ignores.lower()
    return result


def _limits(session: Session, options: Mapping[str, str]) -> tuple[int, int]:
    """(most rows, most bytes) of one file; 0: no limit."""
    rows = options.get("maxrecordsperfile") or session.conf.get("spark.sql.files.maxRecordsPerFile", "0")
    size = options.get("maxfilebytes") or session.conf.get("quiver.sql.write.fileBytes", "1g")
    try:
        most = int(rows)
    except ValueError:
        raise IllegalArgumentException(f"maxRecordsPerFile should be a whole number, but was {rows!r}.", "INVALID_CONF_VALUE") from None
    return max(0, most), parse_memory(size, "maxFileBytes") if size not in ("0", "") else 0


def _as_url(path: str) -> str:
    return path if "://" in path else f"file:{path}"
