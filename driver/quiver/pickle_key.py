"""The user's own key, with which saveAsPickleFile signs and by which pickleFile knows what it may open."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Protocol

from quiver_proto.errors import BadSetting

_SETTING = "quiver.pickle.key.file"
_SHORTEST = 16


class Settings(Protocol):
    def get(self, key: str, defaultValue: str) -> str: ...


def pickle_key(conf: Settings) -> bytes:
    """The key; its file is made, mode 0600, where there is none. Raises BadSetting when it can't be made, read, or others may read it."""
    from quiver_proto.private_files import create_private, read_private, state_dir

    given = conf.get(_SETTING, "")
    path = Path(given).expanduser() if given else state_dir() / "pickle.key"
    try:
        create_private(path, _new)
        text = read_private(path, _SETTING)
    except OSError as error:
        raise BadSetting(_SETTING, str(path), f"the file can't be made: {error.strerror or error}. Name another one") from None
    if len(text) < _SHORTEST:
        raise BadSetting(_SETTING, str(path), f"a key has at least {_SHORTEST} characters; this one has {len(text)}")
    return hashlib.sha256(b"quiver pickle files\n" + text.encode()).digest()


def _new() -> str:
    import secrets

    return secrets.token_urlsafe(32)
