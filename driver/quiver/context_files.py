"""The datasets that a Context makes of files."""

from __future__ import annotations

import functools
import os
from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING, Any

from quiver.callsite import capture
from quiver.pickle_key import pickle_key
from quiver.plan.lineage import Dataset, Files
from quiver_proto import ops

if TYPE_CHECKING:
    from quiver.conf import Conf
    from quiver.plan.stages import Planner
    from quiver.rdd import RDD

Listing = Callable[[], Sequence[Sequence[tuple[str, int, int]]]]
Paths = str | os.PathLike[str] | Sequence[str | os.PathLike[str]]


class FileSources:
    """Paths: a file, a folder (without what is in its folders), a glob, several separated by commas, or a list; any URL that pyarrow.fs
    or fsspec knows. Files whose names begin with `_` or `.` are left out. Paths are looked up when first needed, not before: then
    PathNotFound and PathUnreadable are raised.
    """

    _conf: Conf
    _planner: Planner

    if TYPE_CHECKING:

        @property
        def defaultMinPartitions(self) -> int: ...
        def _check(self, what: str) -> None: ...
        def _slices(self, wanted: int | None, what: str) -> int: ...
        def _rdd(self, dataset: Dataset) -> RDD[Any]: ...

    def textFile(self, name: Paths, minPartitions: int | None = None, use_unicode: bool = True) -> RDD[str]:
        """The lines of text files, without their line ends: a file, a folder, a glob, several separated by commas, or a list.

        Large plain files are split at line boundaries into at least about `minPartitions` partitions; `.gz`, `.bz2` and `.zst`
        files are read whole. Any URL that pyarrow.fs or fsspec knows will do. With `use_unicode=False` lines are bytes.
        Paths are looked up when first needed. Raises (then) PathNotFound, PathUnreadable, ValueError for an empty path; a job may raise
        UndecodableLine.

        >>> import os, tempfile
        >>> path = os.path.join(tempfile.mkdtemp(), "lines.txt")
        >>> with open(path, "w") as file: _ = file.write("to be\\nor not\\n")
        >>> sc.textFile(path).collect()
        ['to be', 'or not']
        """
        from_here = functools.partial(_list_text, _as_text(name), self._least(minPartitions))
        return self._files(from_here, ops.TextLines(bool(use_unicode)), name)

    def wholeTextFiles(self, path: Paths, minPartitions: int | None = None, use_unicode: bool = True) -> RDD[tuple[str, str]]:
        """(path, content) of each file. Paths as for textFile; a local path is given as `file:/…`. Contents must fit into memory.

        With `use_unicode=False` both are bytes.

        >>> import os, tempfile
        >>> folder = tempfile.mkdtemp()
        >>> for name in ("1.txt", "2.txt"):
        ...     with open(os.path.join(folder, name), "w") as file: _ = file.write(name[0])
        >>> [(os.path.basename(path), text) for path, text in sorted(sc.wholeTextFiles(folder).collect())]
        [('1.txt', '1'), ('2.txt', '2')]
        """
        listing = functools.partial(_list_whole, _as_text(path), self._least(minPartitions))
        return self._files(listing, ops.WholeFiles(bool(use_unicode)), path)

    def binaryFiles(self, path: Paths, minPartitions: int | None = None) -> RDD[tuple[str, bytes]]:
        """(path, content as bytes) of each file, compressed ones as they are. Paths as for textFile; a local path is given as `file:/…`.

        >>> import os, tempfile
        >>> folder = tempfile.mkdtemp()
        >>> with open(os.path.join(folder, "1.bin"), "wb") as file: _ = file.write(b"binary file I")
        >>> [(os.path.basename(path), data) for path, data in sc.binaryFiles(folder).collect()]
        [('1.bin', b'binary file I')]
        """
        listing = functools.partial(_list_whole, _as_text(path), self._least(minPartitions))
        return self._files(listing, ops.WholeFiles(raw=True), path)

    def binaryRecords(self, path: Paths, recordLength: int) -> RDD[bytes]:
        """The records of files in which every record has `recordLength` bytes. Paths as for textFile.

        Raises ValueError for a length below 1; BadRecordLength, when first needed, for a file that is no whole number of records.

        >>> import os, tempfile
        >>> path = os.path.join(tempfile.mkdtemp(), "a.bin")
        >>> with open(path, "wb") as file: _ = file.write(b"0123456789")
        >>> sc.binaryRecords(path, 5).collect()
        [b'01234', b'56789']
        """
        length = int(recordLength)
        if length < 1:
            raise ValueError(f"recordLength must be at least 1, not {recordLength}")
        return self._files(functools.partial(_list_fixed, _as_text(path), length), ops.FixedRecords(length))

    def pickleFile(self, name: Paths, minPartitions: int | None = None, trusted: bool | None = None) -> RDD[Any]:
        """What saveAsPickleFile wrote; one partition a file, whatever `minPartitions` says. Paths as for textFile.

        Opening a pickle can run any code, so a job opens only what was signed with your own key (`quiver.pickle.key.file`), and raises
        UntrustedPickle (a PermissionError) at anything else. `trusted=True`, or the setting `quiver.pickle.trustAll`, opens
        files of this format whoever wrote them: only do so where you would run their authors' programs.

        Differs from PySpark: opens only files that you wrote, unless told otherwise; Spark's own pickle files can't be read.

        >>> import os, tempfile
        >>> path = os.path.join(tempfile.mkdtemp(), "out")
        >>> sc.parallelize(range(10)).saveAsPickleFile(path, 3)
        >>> sorted(sc.pickleFile(path, 3).collect())
        [0, 1, 2, 3, 4, 5, 6, 7, 8, 9]
        """
        if trusted is None:
            trusted = self._conf.get("quiver.pickle.trustAll", "false").lower() == "true"
        source = ops.PickledRecords(pickle_key(self._conf), bool(trusted))
        self._least(minPartitions)
        return self._files(functools.partial(_list_single, _as_text(name)), source)

    def _files(self, listing: Listing, node: ops.FileSource, paths: Paths | None = None) -> RDD[Any]:
        """`paths` become its name, where PySpark gives it one."""
        call_site = capture()
        self._check(call_site.operator)
        given = None if paths is None else _as_text(paths)
        name = given if given is None or isinstance(given, str) else ",".join(given)
        return self._rdd(Files(id=self._planner.dataset_id(), call_site=call_site, listing=listing, node=node, name=name))

    def _least(self, wanted: int | None) -> int:
        return self._slices(wanted, "minPartitions") if wanted else self.defaultMinPartitions


def _as_text(paths: Paths) -> str | Sequence[str]:
    if isinstance(paths, str | os.PathLike):
        return os.fspath(paths)
    if not isinstance(paths, Iterable):
        raise TypeError(f"a path, or a list of paths, is needed, not {paths!r}")
    return [os.fspath(path) for path in paths]


# Looking files up imports what `import quiver` must not.


def _list_text(paths: str | Sequence[str], min_partitions: int) -> Sequence[Sequence[tuple[str, int, int]]]:
    from quiver_proto import files

    return files.text_chunks(paths, min_partitions)


def _list_whole(paths: str | Sequence[str], min_partitions: int) -> Sequence[Sequence[tuple[str, int, int]]]:
    from quiver_proto import files

    return files.whole_files(paths, min_partitions)


def _list_fixed(paths: str | Sequence[str], length: int) -> Sequence[Sequence[tuple[str, int, int]]]:
    from quiver_proto import files

    return files.fixed_chunks(paths, length)


def _list_single(paths: str | Sequence[str]) -> Sequence[Sequence[tuple[str, int, int]]]:
    from quiver_proto import files

    return files.single_files(paths)
