"""The part of Context that gives files to tasks."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

from quiver.callsite import capture
from quiver.closures import DriverOnly

if TYPE_CHECKING:
    from quiver.conf import Conf
    from quiver.plan.model import Driver, PlannedJob
    from quiver.shared_files import SharedFiles

_making = threading.Lock()


class FileSharing(DriverOnly):
    """Base of Context. Files that were added reach the tasks of every job that is started later, on every node.

    Paths are of this machine, or URLs that pyarrow.fs or fsspec knows. What is added is copied at once, so the original may go. An
    added file's name is the last part of its path. A second file of the same name must have the same content, unless
    `spark.files.overwrite` is true.
    """

    _conf: Conf
    _driver: Driver
    _shared: SharedFiles | None = None

    if TYPE_CHECKING:

        def _check(self, what: str) -> None: ...

    def addFile(self, path: str, recursive: bool = False) -> None:
        """Give tasks a file, or with `recursive` a directory and all below it. They find it with Files.get(name).

        Adding a path again changes nothing. Raises PathNotFound, PathUnreadable (also for a directory without `recursive`), BadFileName,
        SharedFileDiffers.

        >>> import tempfile
        >>> from pathlib import Path
        >>> from quiver import Files
        >>> path = Path(tempfile.mkdtemp(), "stop-words.txt")
        >>> _ = path.write_text("the")
        >>> sc.addFile(str(path))
        >>> sc.parallelize([0]).map(lambda _: Path(Files.get("stop-words.txt")).read_text()).collect()
        ['the']
        """
        call_site = capture()
        self._check(call_site.operator)
        self._sharing().add_file(path, recursive, call_site)

    def addPyFile(self, path: str) -> None:
        """Let tasks, and this process, import from a .py file, a .zip, .egg or .whl, or a folder (a package, or one of modules).

        Raises what addFile raises.

        >>> import os, tempfile
        >>> path = os.path.join(tempfile.mkdtemp(), "quiver_example_rates.py")
        >>> with open(path, "w") as file: _ = file.write("rate = 3")
        >>> sc.addPyFile(path)
        >>> def charged(x):
        ...     import quiver_example_rates
        ...     return x * quiver_example_rates.rate
        >>> sc.parallelize([1, 2]).map(charged).collect()
        [3, 6]
        """
        call_site = capture()
        self._check(call_site.operator)
        self._sharing().add_py_file(path, call_site)

    def addArchive(self, path: str) -> None:
        """Give tasks what a .zip, .jar, .tar, .tar.gz or .tgz archive has in it; Files.get(name) is the directory it was unpacked to.

        The name is the archive's own, or what follows a `#`. An archive that would write or lead outside of that directory is refused. A
        file of another kind is added as it is, with a warning. Raises what addFile raises, BadArchive, UnsafeArchive.

        >>> import os, tempfile, zipfile
        >>> from pathlib import Path
        >>> from quiver import Files
        >>> path = os.path.join(tempfile.mkdtemp(), "model.zip")
        >>> with zipfile.ZipFile(path, "w") as archive: archive.writestr("weights.txt", "0.5")
        >>> sc.addArchive(path + "#model")
        >>> sc.parallelize([0]).map(lambda _: Path(Files.get("model"), "weights.txt").read_text()).collect()
        ['0.5']
        """
        call_site = capture()
        self._check(call_site.operator)
        self._sharing().add_archive(path, call_site)

    @property
    def listFiles(self) -> list[str]:
        """The URLs of what addFile and addPyFile were given.

        >>> isinstance(sc.listFiles, list)
        True
        """
        return [] if self._shared is None else list(self._shared.added)

    @property
    def listArchives(self) -> list[str]:
        """The URLs of what addArchive was given, with their `#name`.

        >>> isinstance(sc.listArchives, list)
        True
        """
        return [] if self._shared is None else list(self._shared.archives)

    def _sharing(self) -> SharedFiles:
        with _making:
            if self._shared is None:
                from quiver.runner.launch import flag
                from quiver.runner.masters import Inline, Local, parse_master
                from quiver.shared_files import SharedFiles

                near = isinstance(parse_master(self._conf.get("spark.master", "")), Inline | Local)
                self._shared = SharedFiles(self._driver, near, flag(self._conf, "spark.files.overwrite", False))
            return self._shared

    def _add_configured(self) -> None:
        """What `spark.files`, `spark.archives` and `spark.submit.pyFiles` name. Local slots have the latter on their path anyway."""
        for path in _listed(self._conf.get("spark.files")):
            self._sharing().add_file(path, True, capture())
        for path in _listed(self._conf.get("spark.archives")):
            self._sharing().add_archive(path, capture())
        modules = _listed(self._conf.get("spark.submit.pyFiles"))
        if modules:
            sharing = self._sharing()
            for path in modules:
                if not sharing.near or "://" in path:
                    sharing.add_py_file(path, capture())

    def _with_files(self, job: PlannedJob) -> PlannedJob:
        return job if self._shared is None else self._shared.attach(job)

    def _forget_files(self) -> None:
        if self._shared is not None:
            self._shared.close()


def _listed(text: str | None) -> list[str]:
    return [part.strip() for part in (text or "").split(",") if part.strip()]
