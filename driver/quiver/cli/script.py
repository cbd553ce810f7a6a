"""Run a user's program in this interpreter as `python program.py` would."""

from __future__ import annotations

import io
import os
import signal
import sys
import traceback
import types
from collections.abc import Sequence

from quiver_proto.errors import ConfigurationError, PathUnreadable, QuiverError

INTERRUPTED = 130


def run_script(path: str, arguments: Sequence[str], python_path: Sequence[str] = ()) -> int:
    """Execute the file as `__main__` and return its exit code.

    `sys.argv` is [path, *arguments]; `sys.path` begins with the program's folder, then `python_path`. The module stays
    `__main__` until the process ends, so that threads and exit handlers find their globals. Errors go to stderr: the program's
    with its own traceback, Quiver's as a message and the program's line.
    Raises PathUnreadable, ConfigurationError (before anything of the program has run).
    """
    code = _compile(path)
    module = types.ModuleType("__main__")
    module.__dict__.update(__file__=path, __builtins__=__builtins__, __cached__=None)
    sys.modules["__main__"] = module
    sys.argv = [path, *arguments]
    _set_path(os.path.dirname(os.path.realpath(path)), python_path)
    # An orderly end: the Context is stopped, and its folder and processes go with it.
    signal.signal(signal.SIGTERM, lambda number, frame: sys.exit(128 + number))
    try:
        exec(code, module.__dict__)
    except SystemExit as end:
        return _exit_code(end)
    except KeyboardInterrupt:
        print("Interrupted.", file=sys.stderr)
        return INTERRUPTED
    except BrokenPipeError:
        raise
    except QuiverError as error:
        _report_ours(error, path)
        return 1
    except BaseException as error:
        _report_theirs(error)
        return 1
    return 0


def _compile(path: str) -> types.CodeType:
    try:
        with open(path, "rb") as file:
            source = file.read()
    except OSError as error:
        raise PathUnreadable(path, error.strerror or str(error)) from None
    if source[:2] == b"PK" or b"\0" in source[:512]:
        raise ConfigurationError(f"{path!r} is not Python source. Give a .py file; archives of modules go with --py-files.")
    try:
        return compile(source, path, "exec", dont_inherit=True)
    except (SyntaxError, ValueError) as error:
        text = "".join(traceback.format_exception_only(error)).rstrip()
        raise ConfigurationError(f"{path} can't be compiled:\n{text}") from None


def _set_path(script_folder: str, python_path: Sequence[str]) -> None:
    # Entry 0 is the folder of the console script (or the current one under `python -m`), which the program must not see.
    rest = sys.path[1:] if not sys.flags.safe_path else sys.path
    first = [script_folder, *python_path]
    sys.path[:] = first + [entry for entry in rest if entry not in first]


def _exit_code(end: SystemExit) -> int:
    if end.code is None:
        return 0
    if isinstance(end.code, int):
        return end.code & 0xFF
    print(end.code, file=sys.stderr)
    return 1


def _report_theirs(error: BaseException) -> None:
    # The first frame is `exec` above, which says nothing to the user.
    mine = error.__traceback__
    trimmed = error.with_traceback(mine.tb_next if mine is not None else None)
    sys.excepthook(type(trimmed), trimmed, trimmed.__traceback__)


def _report_ours(error: QuiverError, path: str) -> None:
    """The message, and where in the user's own files it was raised; frames of installed packages say nothing to them."""
    out = io.StringIO()
    print(f"{type(error).__name__}: {error}", file=out)
    for note in getattr(error, "__notes__", ()):
        print(note, file=out)
    folder = os.path.dirname(os.path.abspath(path))
    frames = [f for f in traceback.extract_tb(error.__traceback__) if os.path.abspath(f.filename).startswith(folder + os.sep)]
    for frame in frames:
        print(f"  at {frame.filename}:{frame.lineno}" + (f"  {frame.line}" if frame.line else ""), file=out)
    sys.stderr.write(out.getvalue())
