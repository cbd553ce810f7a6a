"""Files that only their owner may read: secrets and keys. And the folder where they are by default."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from pathlib import Path

from quiver_proto.errors import BadSetting


def state_dir(environ: Mapping[str, str] = os.environ) -> Path:
    """Where this user's Quiver keeps what must outlive a process: $QUIVER_HOME, else $XDG_STATE_HOME/quiver, else ~/.quiver."""
    if environ.get("QUIVER_HOME"):
        return Path(environ["QUIVER_HOME"])
    if environ.get("XDG_STATE_HOME"):
        return Path(environ["XDG_STATE_HOME"]) / "quiver"
    return Path.home() / ".quiver"


def create_private(path: Path, text: Callable[[], str]) -> None:
    """A file with a line of `text()` and mode 0600; nothing when there is one. Of two processes at once one wins."""
    if path.exists():
        return
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    draft = path.with_name(f".{path.name}.{os.getpid()}")
    with open(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
        file.write(text() + "\n")
    try:
        os.link(draft, path)
    except FileExistsError:
        pass
    finally:
        draft.unlink()


def read_private(path: Path, source: str) -> str:
    """Its text, stripped. Raises BadSetting when it can't be read, or when others may read it; FileNotFoundError."""
    try:
        mode = path.stat()
        text = path.read_text().strip()
    except FileNotFoundError:
        raise
    except (OSError, UnicodeDecodeError) as problem:
        raise BadSetting(source, str(path), f"can't be read: {problem}") from None
    if mode.st_uid == os.geteuid() and mode.st_mode & 0o077:
        raise BadSetting(source, str(path), f"others may read it (mode {mode.st_mode & 0o777:04o}). Run: chmod 600 {path}")
    return text
