"""Files that an application gives to its tasks (Context.addFile and its like): where they are in this process, and how a job names them.

A job carries a manifest in its property SHARED_FILES (quiver_proto.messages): which files there are, and which broadcast has the bytes
of each. The bytes are those of the file, of the archive, or of a tar that stands for a directory.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from dataclasses import dataclass

from quiver_proto.errors import BadFileName, MalformedMessage, NoSharedFiles

FILE, TREE, ARCHIVE = "file", "tree", "archive"
NO_BROADCAST = -1


stage_root: Callable[[], str] | None = None
"""The root directory that the running stage has in this process."""
driver_root: Callable[[], str] | None = None
"""Else: that of the active Context. Raises NoSharedFiles when there is none."""


class Files:
    """Where files are that Context.addFile, addPyFile and addArchive gave to the application: in tasks and on the driver.

    `SparkFiles` is another name for it. There are no instances.
    """

    def __init__(self) -> None:
        raise NotImplementedError("Files has class methods only: call Files.get(name)")

    @classmethod
    def get(cls, filename: str) -> str:
        """The absolute path of the file, directory or unpacked archive that has this name among them. It need not exist.

        Raises NoSharedFiles where there can be none.

        >>> import os, tempfile
        >>> from quiver import SparkFiles
        >>> path = os.path.join(tempfile.mkdtemp(), "factor.txt")
        >>> with open(path, "w") as file: _ = file.write("100")
        >>> sc.addFile(path)
        >>> def scaled(part):
        ...     with open(SparkFiles.get("factor.txt")) as file: factor = int(file.read())
        ...     return [x * factor for x in part]
        >>> sc.parallelize([1, 2, 3], 2).mapPartitions(scaled).collect()
        [100, 200, 300]
        """
        return os.path.abspath(os.path.join(cls.getRootDirectory(), filename))

    @classmethod
    def getRootDirectory(cls) -> str:
        """The directory that has them all. On a node its path differs from the driver's.

        >>> from quiver import Files
        >>> Files.get("a.txt") == os.path.join(Files.getRootDirectory(), "a.txt")
        True
        """
        asked = stage_root or driver_root
        if asked is None:
            raise NoSharedFiles
        return asked()


@dataclass(frozen=True, slots=True)
class SharedFile:
    """`name` is one path component; `suffix` of an archive; `broadcast_id` NO_BROADCAST where every task sees the driver's own."""

    name: str
    kind: str
    sha256: str
    size: int
    suffix: str = ""
    broadcast_id: int = NO_BROADCAST


@dataclass(frozen=True, slots=True)
class Manifest:
    """`root` is the driver's own directory of them, on `machine`; `space` tells the clients of one driver apart.

    `import_from` are names in `root` that go on sys.path, as the root itself does; "" is the root.
    """

    space: int
    machine: str
    root: str
    files: tuple[SharedFile, ...]
    import_from: tuple[str, ...] = ()

    def encode(self) -> str:
        rows = [[one.name, one.kind, one.sha256, one.size, one.suffix, one.broadcast_id] for one in self.files]
        return json.dumps([self.space, self.machine, self.root, rows, self.import_from])

    @staticmethod
    def decode(text: str) -> Manifest:
        """Raises MalformedMessage, BadFileName."""
        try:
            space, machine, root, rows, import_from = json.loads(text)
            files = tuple(SharedFile(str(n), str(k), str(h), int(s), str(x), int(b)) for n, k, h, s, x, b in rows)
            manifest = Manifest(int(space), str(machine), str(root), files, tuple(map(str, import_from)))
        except (ValueError, TypeError) as error:
            raise MalformedMessage("manifest of shared files", str(error)) from None
        for name in (*(one.name for one in files), *import_from):
            check_name(name)
        return manifest


def check_name(name: str) -> str:
    """`name`, if it can be a file's in a directory. Raises BadFileName."""
    if name in ("", ".", "..") or "/" in name or "\0" in name or len(os.fsencode(name)) > 255:
        raise BadFileName(name)
    return name
