"""Which machine this is, for processes that ask whether they share a file system."""

from __future__ import annotations

import os
import socket

VARIABLE = "QUIVER_LOCAL_HOSTNAME"
"""Environment variable that says what this machine is called, where its own name would mislead (two machines of one name)."""


def this_machine() -> str:
    """This machine's name."""
    return os.environ.get(VARIABLE) or socket.gethostname()
