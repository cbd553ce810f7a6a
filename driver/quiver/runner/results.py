"""Result blocks: results too large for a message."""

from __future__ import annotations

import contextlib
import os

from quiver_proto.messages import ResultBlock


def read_result(block: ResultBlock, block_server: str, token: str, tls_ca: str) -> bytes:
    """The block's frame; the file is deleted when it is on this machine's disk. OSError when it can't be had.

    A block on this file system is read directly, any other from its node's block server (`host:port`).
    """
    if os.path.isfile(block.path):
        with open(block.path, "rb") as file:
            data = file.read()
        with contextlib.suppress(OSError):
            os.unlink(block.path)
        if len(data) != block.size:
            raise OSError(f"{block.path} has {len(data)} bytes instead of {block.size}")
        return data
    if not block_server:
        raise FileNotFoundError(f"{block.path} is gone")
    from quiver_proto.block_client import fetch_result

    return fetch_result(block, block_server, token, tls_ca)
