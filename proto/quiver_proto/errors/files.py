"""Files, directories and databases: what is read, what is written, what tasks are given."""

from __future__ import annotations

from quiver_proto.errors.base import QuiverError
from quiver_proto.errors.data import DataError
from quiver_proto.secret_texts import urls_without_secrets


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


class PathUnwritable(PathUnreadable):
    """An output that can't be made, or can't be put in place. Nothing of it is there."""

    def __init__(self, path: str, problem: str) -> None:
        DataError.__init__(self, f"output path {path!r} can't be written: {problem}.", path, problem)


class OutputExists(DataError, FileExistsError):
    def __init__(self, path: str) -> None:
        super().__init__(f"output directory {path!r} already exists; nothing was written. Remove it or choose another.", path)


class FileUnreadable(DataError):
    """A data file whose content is not what was promised. `condition` is Spark's, such as FAILED_READ_FILE.NO_HINT."""

    def __init__(self, path: str, problem: str, condition: str = "FAILED_READ_FILE.NO_HINT") -> None:
        path, problem = urls_without_secrets(path), urls_without_secrets(problem)
        super().__init__(f"[{condition}] Encountered error while reading file {path}. {problem}", path, problem, condition)
        self.path = path
        self.problem = problem
        self.condition = condition


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


class BadRecordLength(DataError, ValueError):
    def __init__(self, path: str, size: int, length: int) -> None:
        super().__init__(
            f"{path} has {size:,} bytes, which is not a whole number of records of {length:,} bytes: {size % length:,} are left over.",
            path,
            size,
            length,
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


class DatabaseFailed(DataError):
    """A database refused. `where` has no password in it."""

    def __init__(self, where: str, problem: str) -> None:
        super().__init__(f"[FAILED_JDBC] The database {where} refused: {problem}", where, problem)


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
