"""Every error Quiver raises on purpose.

    QuiverError
    ├── ConfigurationError (ValueError)
    │   ├── BadMasterUrl
    │   ├── BadMemoryString
    │   └── BadSetting
    ├── ConnectionFailed (ConnectionError)
    │   ├── ManagerUnreachable
    │   ├── DriverUnreachable
    │   ├── AuthenticationFailed
    │   └── IncompatibleVersions
    ├── MalformedMessage
    ├── UnsupportedPlan
    ├── KernelDiffers (ImportError)
    ├── PortInUse (OSError)
    ├── KernelOutOfMemory (MemoryError)
    │   └── SlotOutOfMemory
    ├── ResourcesUnavailable
    │   └── ExecutorLaunchFailed
    ├── DataError
    │   ├── PathNotFound (FileNotFoundError)
    │   ├── PathUnreadable (PermissionError)
    │   │   └── PathUnwritable
    │   ├── FileUnreadable
    │   ├── DatabaseFailed
    │   ├── ValueRefused
    │   ├── UndecodableLine (ValueError)
    │   ├── NotAPair (TypeError, ValueError)
    │   ├── UnhashableKey (TypeError)
    │   ├── UnorderableKeys (TypeError)
    │   ├── BadPartitionNumber (TypeError)
    │   ├── UnpicklableOutput (pickle.PicklingError)
    │   ├── PipeFailed (RuntimeError)
    │   ├── UntrustedPickle (PermissionError)
    │   ├── BadRecordLength (ValueError)
    │   ├── OutputExists (FileExistsError)
    │   ├── SharedFileDiffers (FileExistsError)
    │   ├── BadFileName (ValueError)
    │   ├── BadArchive (ValueError)
    │   ├── UnsafeArchive (ValueError)
    │   ├── BatchMismatch (TypeError)
    │   ├── UnpicklableRecord (pickle.PicklingError)
    │   └── UnpicklableBroadcast (pickle.PicklingError)
    ├── UnpicklableClosure (pickle.PicklingError)
    │   └── DriverObjectInClosure (RuntimeError)
    ├── UnstableKey (TypeError)
    ├── NotAnRDD (TypeError, AttributeError)
    ├── NegativeFraction (ValueError, AssertionError)
    ├── PackageMissing (ImportError)
    ├── NeedsJVM (RuntimeError)
    ├── NotOffered (RuntimeError)
    ├── SharedVariableError (RuntimeError)
    │   ├── ValueNotAccessible
    │   ├── UpdatesTooLarge
    │   ├── InvalidBroadcastOperation
    │   ├── BroadcastNotLoaded
    │   └── BroadcastDestroyed
    ├── StorageError
    │   ├── CheckpointLost
    │   ├── CheckpointUnreadable
    │   ├── FetchFailed
    │   ├── CacheMiss
    │   ├── BroadcastUnavailable
    │   ├── BlockCorrupt
    │   ├── QuotaExceeded
    │   ├── DiskFull
    │   └── ResultTooLarge
    ├── JobFailed
    │   ├── TaskFailed
    │   ├── SlotDied
    │   ├── ExecutorLost
    │   ├── JobCancelled
    │   ├── NoProgress
    │   ├── BarrierTooWide
    │   ├── BarrierChainUnsupported
    │   └── BarrierFailed
    ├── NoSharedFiles (RuntimeError)
    ├── NotInBarrierStage (RuntimeError)
    ├── CalledBeforeInitialized (RuntimeError)
    ├── ProfilingOff (RuntimeError)
    ├── CannotChangeStorageLevel (RuntimeError)
    ├── CheckpointDirectoryNotSet (RuntimeError)
    └── ContextStopped (RuntimeError)

An error is built from named fields and says what happened, where, and what to try. The fields are plain values, so that any of
these errors crosses the wire as `(code, fields)` (see `to_wire` and `from_wire`) and keeps its type on the other side.
A user's own exception is not wrapped: it is raised with its own type and a note that names the operator, partition and record.
"""

from __future__ import annotations

import pickle
from typing import Any, ClassVar

from quiver_proto.secret_texts import urls_without_secrets


class QuiverError(Exception):
    """Base of all of them. `code` is the stable name on the wire; `fields` the constructor's arguments in order."""

    code: ClassVar[str] = "QuiverError"
    _registry: ClassVar[dict[str, type[QuiverError]]] = {}

    def __init_subclass__(cls, registered: bool = True, **kwargs: Any) -> None:
        """`registered`: this is the class of its name when an error comes from the wire."""
        super().__init_subclass__(**kwargs)
        if registered:
            cls.code = cls.__name__
            QuiverError._registry[cls.__name__] = cls

    def __init__(self, message: str, *fields: Any) -> None:
        super().__init__(message)
        self.message = message
        self.fields = fields

    def __str__(self) -> str:
        return self.message

    def __reduce__(self) -> tuple[Any, ...]:
        return from_wire, (self.code, self.fields or (self.message,))


def to_wire(error: QuiverError) -> tuple[str, tuple[Any, ...]]:
    """`(code, fields)`; fields are strings, numbers, or lists and dicts of them."""
    return error.code, error.fields or (error.message,)


def from_wire(code: str, fields: tuple[Any, ...]) -> QuiverError:
    """The error that `to_wire` took apart. A code this version does not know becomes a plain QuiverError that keeps the text."""
    kind = QuiverError._registry.get(code)
    if kind is None:
        return QuiverError(f"{code}: {', '.join(map(str, fields))}")
    try:
        return kind(*fields)
    except TypeError:
        return QuiverError(f"{code}: {', '.join(map(str, fields))}")


class ConfigurationError(QuiverError, ValueError):
    """A setting can't be used; the message names it, its value and a value that would do."""

    def __init__(self, message: str) -> None:
        super().__init__(message, message)


class BadMasterUrl(ConfigurationError):
    def __init__(self, url: str, problem: str = "unknown form") -> None:
        QuiverError.__init__(
            self,
            f"master URL {url!r}: {problem}. Use one of: inline, local, local[N], local[*], local-cluster[nodes,cores,memory], "
            "quiver://host:port, quiver-driver://host:port.",
            url,
            problem,
        )


class BadMemoryString(ConfigurationError):
    def __init__(self, text: str, where: str) -> None:
        QuiverError.__init__(
            self, f"{where}: {text!r} is not an amount of memory. Write a positive number with a unit, such as 512m or 4g.", text, where
        )


class BadSetting(ConfigurationError):
    def __init__(self, name: str, value: str, problem: str) -> None:
        QuiverError.__init__(self, f"setting {name}={value!r}: {problem}", name, value, problem)


class ConnectionFailed(QuiverError, ConnectionError):
    """The other side could not be reached, or refused us."""

    def __init__(self, message: str) -> None:
        super().__init__(message, message)


class ManagerUnreachable(ConnectionFailed):
    def __init__(self, address: str, problem: str) -> None:
        QuiverError.__init__(
            self,
            f"no manager answers at {address} ({problem}). Is `manager` running there? Start one with `manager --host HOST --port PORT`, "
            "or check the address with `quiver status --manager URL`.",
            address,
            problem,
        )


class DriverUnreachable(ConnectionFailed):
    def __init__(self, address: str, problem: str) -> None:
        QuiverError.__init__(
            self, f"no driver answers at {address} ({problem}). Start one there with `driver serve --port PORT`.", address, problem
        )


class AuthenticationFailed(ConnectionFailed):
    def __init__(self, address: str, problem: str) -> None:
        QuiverError.__init__(
            self,
            f"{address} refused the secret ({problem}). Give the cluster's secret with QUIVER_SECRET, or the file that holds it with "
            "--secret-file or QUIVER_SECRET_FILE.",
            address,
            problem,
        )


class IncompatibleVersions(ConnectionFailed):
    """`rows` are (component, ours, theirs, "ok" or "differs"), as shown in the message."""

    def __init__(self, peer: str, rows: list[list[str]]) -> None:
        widths = [max(len(str(row[i])) for row in [["component", "here", "there", ""], *rows]) for i in range(4)]
        lines = [
            "  " + "  ".join(str(cell).ljust(w) for cell, w in zip(row, widths)).rstrip()
            for row in [["component", "here", "there", ""], *rows]
        ]
        QuiverError.__init__(
            self,
            f"{peer} runs versions that can't work with ours:\n" + "\n".join(lines) + "\nInstall the same versions on both sides.",
            peer,
            rows,
        )


class MalformedMessage(QuiverError):
    """The bytes are not what a peer should have sent: another protocol version, or not Quiver at all."""

    def __init__(self, kind: str, problem: str) -> None:
        super().__init__(f"a {kind} can't be decoded: {problem}. Do both sides run the same version of Quiver?", kind, problem)


class UnsupportedPlan(QuiverError):
    """A query's physical plan has something that can't be carried between processes or cut into stages."""

    def __init__(self, what: str) -> None:
        super().__init__(f"the query needs {what}", what)


class KernelDiffers(QuiverError, ImportError):
    """The DataFusion that is installed makes other plans than those that this version of Quiver reads. Nothing was computed."""

    def __init__(self, installed: str, wanted: str, problem: str) -> None:
        super().__init__(
            f"DataFusion {installed} is installed, and this version of Quiver works with {wanted} only: {problem}. "
            f"Install it everywhere: pip install datafusion=={wanted}",
            installed,
            wanted,
            problem,
        )


class KernelOutOfMemory(QuiverError, MemoryError):
    """An operator that can't spill needs more memory than its task has. The driver then plans the query for smaller partitions."""

    def __init__(self, operator: str, asked: str, pool: str) -> None:
        super().__init__(
            f"{operator} asked for {asked} more than is left of the {pool} that a task's operators have. Give executors more memory "
            "(spark.executor.memory) or fewer cores, cut the query into more partitions (quiver.sql.partitions), or let less of what "
            "it reads come to that operator.",
            operator,
            asked,
            pool,
        )
        self.operator = operator
        self.pool = pool


class SlotOutOfMemory(KernelOutOfMemory):
    """A slot's process outgrew the memory it has, by what nothing counts or spills, and its task was ended for it.

    `operator` is where most of it is likely to be, "" when that is not known; `held` and `limit` in bytes. Of a query's task: the driver
    then plans the query for smaller partitions.
    """

    def __init__(self, operator: str, held: int, limit: int) -> None:
        where = f", most of it probably in {operator}" if operator else ""
        QuiverError.__init__(
            self,
            f"a task's process grew to {held >> 20} MiB{where}; of its executor's memory it has {limit >> 20} MiB. Give executors more "
            "memory (spark.executor.memory) or fewer cores, cut the work into more partitions, or let less of what is read come to one key "
            "or one task: a window or a list of all rows is held by one.",
            operator,
            held,
            limit,
        )
        self.operator = operator
        self.pool = f"{limit >> 20} MiB"


class PortInUse(QuiverError, OSError):
    def __init__(self, host: str, port: int) -> None:
        super().__init__(
            f"port {port} on {host} is in use. Stop what listens there, or choose another with --port (0 takes any free one).", host, port
        )


class ResourcesUnavailable(QuiverError):
    """No node can ever give what was asked for, or none did within the limit."""

    def __init__(self, wanted: str, available: str, advice: str) -> None:
        super().__init__(f"{wanted} can't be had: {available}. {advice}", wanted, available, advice)


class ExecutorLaunchFailed(ResourcesUnavailable):
    def __init__(self, node: str, reason: str, log: str) -> None:
        QuiverError.__init__(
            self, f"an executor could not be launched on {node}: {reason}." + (f" Its log ends:\n{log}" if log else ""), node, reason, log
        )


class DataError(QuiverError):
    """Something is wrong with the data, not with the program."""


class PathNotFound(DataError, FileNotFoundError):
    def __init__(self, path: str, given: str) -> None:
        path, given = urls_without_secrets(path), urls_without_secrets(given)
        of = "" if path == given else f" (from {given!r})"
        super().__init__(
            f"input path does not exist: {path!r}{of}. Check the spelling, and that every node sees the same file system.", path, given
        )


class PathUnreadable(DataError, PermissionError):
    def __init__(self, path: str, problem: str) -> None:
        path, problem = urls_without_secrets(path), urls_without_secrets(problem)
        super().__init__(f"input path {path!r} can't be read: {problem}.", path, problem)


class FileUnreadable(DataError):
    """A data file whose content is not what was promised. `condition` is Spark's, such as FAILED_READ_FILE.NO_HINT."""

    def __init__(self, path: str, problem: str, condition: str = "FAILED_READ_FILE.NO_HINT") -> None:
        path, problem = urls_without_secrets(path), urls_without_secrets(problem)
        super().__init__(f"[{condition}] Encountered error while reading file {path}. {problem}", path, problem, condition)
        self.path = path
        self.problem = problem
        self.condition = condition


class ValueRefused(DataError):
    """The kernel can't compute something of a value: it would fail again in the same way. `problem` is what it says."""

    def __init__(self, problem: str) -> None:
        super().__init__(problem, problem)
        self.problem = problem


class DatabaseFailed(DataError):
    """A database refused. `where` has no password in it."""

    def __init__(self, where: str, problem: str) -> None:
        super().__init__(f"[FAILED_JDBC] The database {where} refused: {problem}", where, problem)


class PathUnwritable(PathUnreadable):
    """An output that can't be made, or can't be put in place. Nothing of it is there."""

    def __init__(self, path: str, problem: str) -> None:
        DataError.__init__(self, f"output path {path!r} can't be written: {problem}.", path, problem)


class SharedFileDiffers(DataError, FileExistsError):
    """Two files of one name and different content were given to an application."""

    def __init__(self, name: str, path: str) -> None:
        super().__init__(
            f"{path!r} is not what was added as {name!r} before, and tasks that run may use that. Give it another name, or set "
            "spark.files.overwrite to true.",
            name,
            path,
        )


class BadFileName(DataError, ValueError):
    def __init__(self, name: str) -> None:
        super().__init__(f"{name!r} can't be the name of a file for tasks: it must be one part of a path, not empty, `.` or `..`.", name)


class BadArchive(DataError, ValueError):
    def __init__(self, path: str, problem: str) -> None:
        super().__init__(f"archive {path!r} can't be unpacked: {problem}.", path, problem)


class UnsafeArchive(DataError, ValueError):
    """An archive's member would be written, or would lead, to a place outside; nothing of it is used."""

    def __init__(self, path: str, member: str, problem: str) -> None:
        super().__init__(f"archive {path!r} is refused because of its member {member!r}: {problem}.", path, member, problem)


class NoSharedFiles(QuiverError, RuntimeError):
    def __init__(self, where: str = "here") -> None:
        super().__init__(
            f"there is no directory of added files {where}: no Context is active in this process, or nothing was added "
            "(Context.addFile) before the job that this task belongs to was started.",
            where,
        )


class UndecodableLine(DataError, ValueError):
    def __init__(self, path: str, line: int, offset: int, problem: str) -> None:
        at = f"line {line}" if line else f"byte {offset}"
        super().__init__(
            f"{path}, {at}: not valid UTF-8 ({problem}). Read with use_unicode=False to get bytes, or convert the file.",
            path,
            line,
            offset,
            problem,
        )


class NotAPair(DataError, TypeError, ValueError):
    """An operator on keys met a record that has none. (Taking a number apart is a TypeError, taking a triple apart a ValueError.)"""

    def __init__(self, operator: str, record: str, kind: str) -> None:
        super().__init__(
            f"{operator} needs (key, value) pairs, but a record is {record} of type {kind}. "
            "Make pairs of the records first, with map or keyBy.",
            operator,
            record,
            kind,
        )


class UnhashableKey(DataError, TypeError):
    def __init__(self, operator: str, kind: str, record: str) -> None:
        super().__init__(
            f"{operator}: a key of type {kind} can't be hashed, in the record {record}. Use a tuple instead of a list, "
            "a frozenset instead of a set, or sorted items instead of a dict.",
            operator,
            kind,
            record,
        )


class UnorderableKeys(DataError, TypeError):
    """`operator` may be "": the failure's note then names it. `problem` is what Python said when it compared two of them."""

    def __init__(self, operator: str, problem: str) -> None:
        super().__init__(
            f"{operator + ': ' if operator else ''}not all of these can be compared with one another ({problem}). Give a "
            "function that makes comparable keys of them, for instance `lambda x: (x is None, str(x))`, or filter first.",
            operator,
            problem,
        )


class BadPartitionNumber(DataError, TypeError):
    """A partitionFunc gave no integer."""

    def __init__(self, key: str, number: str) -> None:
        super().__init__(
            f"the partitionFunc gave {number} for the key {key}: it must return an int, of which the remainder is the partition",
            key,
            number,
        )


class NotAnRDD(QuiverError, TypeError, AttributeError):
    def __init__(self, operator: str, what: str) -> None:
        super().__init__(f"{operator} takes an RDD, not {what}. sc.parallelize(...) makes one of a list.", operator, what)


class UnpicklableOutput(DataError, pickle.PicklingError):
    """What a task made can't leave its process."""

    def __init__(self, operator: str, what: str, problem: str) -> None:
        super().__init__(
            f"{operator}: {what} can't be pickled ({problem}), so it can't leave the slot that made it. Return plain values.",
            operator,
            what,
            problem,
        )


class BatchMismatch(DataError, TypeError):
    """Arrow batches that are not of the schema that was told."""

    def __init__(self, operator: str, problem: str) -> None:
        super().__init__(f"{operator}: a batch does not fit the schema that was given: {problem}.", operator, problem)


class PipeFailed(DataError, RuntimeError):
    def __init__(self, command: str, code: int) -> None:
        said = f"exited with error code {code}" if code >= 0 else f"was ended by signal {-code}"
        super().__init__(
            f"Pipe function `{command}` {said}. What it wrote to its standard error is in the executor's log; "
            "without checkCode=True its exit code is not looked at.",
            command,
            code,
        )


class UntrustedPickle(DataError, PermissionError):
    """A file of pickles that can't be shown to be ours: opening it could run anybody's code."""

    def __init__(self, path: str, problem: str) -> None:
        super().__init__(
            f"{path}: {problem}. Opening a pickle runs whatever code it holds, so only files that were signed with your own key are opened "
            "(quiver.pickle.key.file, by default pickle.key in Quiver's own folder). If you know who wrote this one, read it with "
            "pickleFile(path, trusted=True); for data of others use text, JSON or Parquet.",
            path,
            problem,
        )


class BadRecordLength(DataError, ValueError):
    def __init__(self, path: str, size: int, length: int) -> None:
        super().__init__(
            f"{path} has {size:,} bytes, which is not a whole number of records of {length:,} bytes: {size % length:,} are left over.",
            path,
            size,
            length,
        )


class OutputExists(DataError, FileExistsError):
    def __init__(self, path: str) -> None:
        super().__init__(f"output directory {path!r} already exists; nothing was written. Remove it or choose another.", path)


class UnpicklableClosure(QuiverError, pickle.PicklingError):
    """Found on the driver, before anything is sent. `culprit` is the path to the value, e.g. `f.closure.self.client._lock`."""

    def __init__(self, operator: str, call_site: str, culprit: str, problem: str) -> None:
        super().__init__(
            f"the function given to {operator} ({call_site}) can't be sent to executors: {culprit} {problem}. "
            "Create it inside the function, or pass only the plain values that it needs.",
            operator,
            call_site,
            culprit,
            problem,
        )


class DriverObjectInClosure(UnpicklableClosure, RuntimeError):
    """A function that runs on executors refers to an RDD or a Context. `kind` says to which."""

    def __init__(self, operator: str, call_site: str, culprit: str, kind: str) -> None:
        article = "an" if kind[:1] in "AEIOR" else "a"
        advice = (
            "Join or cogroup the two datasets, or collect() the small one first and refer to the list."
            if kind == "RDD"
            else "Refer to plain values; start jobs only from the driver."
        )
        QuiverError.__init__(
            self,
            f"the function given to {operator} ({call_site}) can't be sent to executors: {culprit} is {article} {kind}. "
            f"It appears that you are attempting to reference {article} {kind} from a function that runs on executors; "
            f"{article} {kind} can only be used on the driver. {advice}",
            operator,
            call_site,
            culprit,
            kind,
        )


class UnstableKey(QuiverError, TypeError):
    def __init__(self, key: str, kind: str) -> None:
        super().__init__(
            f"key {key} of type {kind} hashes by its address, so equal keys would land in different partitions. "
            "Give the type __hash__ and __eq__ that depend on its values, or use a str, number or tuple as key.",
            key,
            kind,
        )


class UnpicklableRecord(DataError, pickle.PicklingError):
    """A record given to parallelize can't be sent. `culprit` is the path to the value, e.g. `records[3].lock`."""

    def __init__(self, call_site: str, culprit: str, problem: str) -> None:
        super().__init__(
            f"{call_site}: {culprit} {problem}, so the records can't be sent to executors. Parallelize plain values and create it there.",
            call_site,
            culprit,
            problem,
        )


class UnpicklableBroadcast(DataError, pickle.PicklingError):
    """A value given to broadcast can't be sent. `culprit` is the path to what is to blame, e.g. `value['lock']`."""

    def __init__(self, call_site: str, culprit: str, problem: str) -> None:
        super().__init__(
            f"Could not serialize broadcast ({call_site}): {culprit} {problem}. Broadcast plain values; collect() a dataset first.",
            call_site,
            culprit,
            problem,
        )


class SharedVariableError(QuiverError, RuntimeError):
    """A broadcast or an accumulator was used where, or when, it can't be."""


class ValueNotAccessible(SharedVariableError):
    def __init__(self, value: str) -> None:
        super().__init__(
            f"Value {value!r} cannot be accessed inside tasks. A task can only add to an accumulator; read it on the driver, "
            "after the action.",
            value,
        )


class UpdatesTooLarge(SharedVariableError):
    def __init__(self, size: int, limit: int) -> None:
        super().__init__(
            f"a task added {size:,} bytes to accumulators, more than the {limit:,} that its end can carry. Collect or aggregate "
            "large results; accumulators are for counts and small sums.",
            size,
            limit,
        )


class InvalidBroadcastOperation(SharedVariableError):
    def __init__(self, operation: str) -> None:
        super().__init__(f"Broadcast can only be {operation} in driver. In a task, only its value can be read.", operation)


class BroadcastNotLoaded(SharedVariableError):
    def __init__(self, broadcast_id: int) -> None:
        super().__init__(
            f"Broadcast variable {broadcast_id} not loaded: no function of this stage refers to it. Refer to the broadcast in the function "
            "given to the operator, not in records.",
            broadcast_id,
        )


class BroadcastDestroyed(SharedVariableError):
    def __init__(self, broadcast_id: int) -> None:
        super().__init__(
            f"Attempted to use Broadcast({broadcast_id}) after it was destroyed, or of another Context. Call broadcast() again.",
            broadcast_id,
        )


class StorageError(QuiverError):
    """A block could not be written or read."""


class CheckpointLost(StorageError):
    """A block of a local checkpoint is gone, and with it the only way to have its records."""

    def __init__(self, dataset_id: int, name: str, partition: int) -> None:
        super().__init__(
            f"partition {partition} of RDD {dataset_id} ({name}) is lost: localCheckpoint() gave up its lineage, and no executor has its "
            "block any more (the executor that had it ended, or unpersist() was called). Run the program again; use checkpoint(), which "
            "writes to a directory, or a replicated storage level, where executors may be lost.",
            dataset_id,
            name,
            partition,
        )


class CheckpointUnreadable(StorageError):
    """A checkpoint's file is not there, or is not what this application's tasks wrote."""

    def __init__(self, path: str, problem: str) -> None:
        super().__init__(f"checkpoint file {path} can't be used: {problem}. Run the program again to write it anew.", path, problem)


class FetchFailed(StorageError):
    """A map output could not be read: the driver makes exactly that output again. Never shown to a user unless it repeats."""

    def __init__(self, shuffle_id: int, map_index: int, task_id: int, node_id: str, problem: str) -> None:
        super().__init__(
            f"map output {map_index} of shuffle {shuffle_id} can't be read from {node_id}: {problem}",
            shuffle_id,
            map_index,
            task_id,
            node_id,
            problem,
        )
        self.shuffle_id, self.map_index, self.task_id, self.node_id, self.problem = shuffle_id, map_index, task_id, node_id, problem


class CacheMiss(StorageError):
    """A cached partition that the driver believed to be there is not: the task runs again from the parents. Never shown to a user."""

    def __init__(self, dataset_id: int, partition: int, problem: str) -> None:
        super().__init__(f"cached partition {partition} of dataset {dataset_id} is not there: {problem}", dataset_id, partition, problem)
        self.dataset_id, self.partition, self.problem = dataset_id, partition, problem


class BroadcastUnavailable(StorageError):
    """A broadcast value's bytes can't be had on this node now: its task is tried again."""

    def __init__(self, broadcast_id: int, problem: str) -> None:
        super().__init__(
            f"the value of Broadcast({broadcast_id}) can't be fetched: {problem}. Can this node reach the driver (spark.driver.host)?",
            broadcast_id,
            problem,
        )


class BlockCorrupt(StorageError):
    def __init__(self, path: str, problem: str) -> None:
        super().__init__(f"block {path} is corrupt: {problem}", path, problem)


class QuotaExceeded(StorageError):
    def __init__(self, path: str, used: int, quota: int) -> None:
        super().__init__(
            f"the application's blocks in {path} use {used:,} of {quota:,} bytes allowed. Raise quiver.local.quota, "
            "put quiver.local.dir on a larger disk, or use more, smaller jobs.",
            path,
            used,
            quota,
        )


class DiskFull(StorageError):
    """`used`: bytes of the application's blocks. `output`: the disk is that of the files that a job writes, and not quiver.local.dir's."""

    def __init__(self, path: str, used: int, problem: str, output: bool = False) -> None:
        advice = (
            "Free some there, or write to a larger disk."
            if output
            else f"The application's blocks there use {used:,} bytes. Free some, or put quiver.local.dir on a larger disk."
        )
        super().__init__(f"no room left on the disk of {path} ({problem}). {advice}", path, used, problem, output)


class ResultTooLarge(StorageError):
    def __init__(self, size: int, limit: int) -> None:
        super().__init__(
            f"the job's results have {size:,} bytes, more than quiver.driver.maxResultSize ({limit:,}). "
            "Write them with saveAsTextFile, take fewer records, or raise the limit.",
            size,
            limit,
        )


class JobFailed(QuiverError):
    """The job ended without a result."""


class TaskFailed(JobFailed):
    """A task raised something that could not be brought here as itself (it does not unpickle); `kind` and `traceback` tell it."""

    def __init__(self, kind: str, text: str, traceback: str) -> None:
        super().__init__(f"{kind}: {text}\n{traceback}".rstrip(), kind, text, traceback)


class SlotDied(JobFailed):
    """A slot process ended in the middle of a task. `certificate` is the death certificate, as text for people."""

    def __init__(self, certificate: str) -> None:
        super().__init__(certificate, certificate)


class ExecutorLost(JobFailed):
    def __init__(self, executor_id: str, reason: str) -> None:
        super().__init__(f"executor {executor_id} was lost: {reason}", executor_id, reason)


class JobCancelled(JobFailed):
    def __init__(self, job_id: int, reason: str) -> None:
        super().__init__(f"job {job_id} was cancelled: {reason}", job_id, reason)


class NoProgress(JobFailed):
    def __init__(self, job_id: int, reason: str, waited_s: float) -> None:
        super().__init__(f"job {job_id} made no progress for {waited_s:.0f} s: {reason}", job_id, reason, waited_s)


class BarrierTooWide(JobFailed):
    """All tasks of a barrier stage run at once; there are not as many slots."""

    def __init__(self, stage: str, tasks: int, slots: int) -> None:
        super().__init__(
            "[SPARK-24819]: Barrier execution mode does not allow run a barrier stage that requires more slots than the total number of "
            f"slots in the cluster currently: {stage} has {tasks} tasks, and there are {slots} slots for them. "
            "Use more executors or cores, or repartition the input RDD into fewer partitions.",
            stage,
            tasks,
            slots,
        )


class BarrierChainUnsupported(JobFailed):
    """`problem` says which datasets of the barrier stage don't go together."""

    def __init__(self, problem: str) -> None:
        super().__init__(
            "[SPARK-24820][SPARK-24821]: Barrier execution mode does not allow the following pattern of RDD chain within a barrier stage: "
            f"{problem}. All RDDs of a barrier stage need the same number of partitions, and every one of them at most one barrier RDD "
            "that it is made from: union(), coalesce(), take() and first() on a barrier RDD, or zip() of two, don't fit. "
            "Instead of first() or take(), use collect()[0].",
            problem,
        )


class BarrierFailed(JobFailed):
    """Tasks of a barrier stage can't meet: one made another call, ended, or did not come in time. Raised in those that wait."""

    def __init__(self, message: str) -> None:
        super().__init__(message, message)


class NotInBarrierStage(QuiverError, RuntimeError):
    def __init__(self, where: str = "") -> None:
        super().__init__("[NOT_IN_BARRIER_STAGE] It is not in a barrier stage.", where)


class CalledBeforeInitialized(QuiverError, RuntimeError):
    def __init__(self, method: str) -> None:
        super().__init__(
            f"[CALL_BEFORE_INITIALIZE] Not supported to call `{method}` before initializing BarrierTaskContext. "
            "Use BarrierTaskContext.get() inside a task of a barrier stage.",
            method,
        )


class NegativeFraction(QuiverError, ValueError, AssertionError):
    def __init__(self, fraction: float) -> None:
        super().__init__(f"Negative fraction value: {fraction}. A fraction is 0 or more.", fraction)


class PackageMissing(QuiverError, ImportError):
    """What an optional part needs is not installed."""

    def __init__(self, purpose: str, package: str, extra: str) -> None:
        super().__init__(
            f"{purpose} needs the package {package}, which is not installed here. Try: pip install 'quiver-cluster[{extra}]'.",
            purpose,
            package,
            extra,
        )


class NeedsJVM(QuiverError, RuntimeError):
    """A name of PySpark's that can't be had without Java. `instead` says what to use."""

    def __init__(self, name: str, what: str, instead: str) -> None:
        super().__init__(f"{name} needs a JVM: {what}. {instead}", name, what, instead)


class NotOffered(QuiverError, RuntimeError):
    """A name of PySpark's that Quiver does not have. `instead` says what to use."""

    def __init__(self, name: str, why: str, instead: str) -> None:
        super().__init__(f"{name} is not offered: {why}. {instead}", name, why, instead)


class CannotChangeStorageLevel(QuiverError, RuntimeError):
    def __init__(self, rdd: str, now: str, wanted: str) -> None:
        super().__init__(
            f"Cannot change storage level of an RDD after it was already assigned a level: {rdd} has {now}, not {wanted}. "
            "Call unpersist() first.",
            rdd,
            now,
            wanted,
        )


class CheckpointDirectoryNotSet(QuiverError, RuntimeError):
    def __init__(self, rdd: str) -> None:
        super().__init__(
            f"Checkpoint directory has not been set in the SparkContext: call setCheckpointDir(path) before checkpoint() of {rdd}.", rdd
        )


class ProfilingOff(QuiverError, RuntimeError):
    def __init__(self, where: str = "") -> None:
        super().__init__(
            "[INCORRECT_CONF_FOR_PROFILE] `spark.python.profile` or `spark.python.profile.memory` configuration must be set to `true` "
            "to enable Python profile. Set it before the Context is made.",
            where,
        )


class ContextStopped(QuiverError, RuntimeError):
    def __init__(self, what: str) -> None:
        super().__init__(f"{what}: this Context was stopped. Create a new Context.", what)
