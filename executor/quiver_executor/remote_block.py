"""A cached block of another executor: read from its file on this node, from the other node's block server else."""

from __future__ import annotations

import os

from quiver_executor.cached_block import Block, block_in_file, block_in_memory, open_file
from quiver_executor.disk import claim, explained
from quiver_executor.environment import SlotEnvironment
from quiver_executor.neighbours import lies_here
from quiver_executor.task import Task
from quiver_proto.block_client import DATA, PROBLEM, Piece, client_for
from quiver_proto.errors import BlockCorrupt, ConnectionFailed

IN_MEMORY = 16 << 20
"""A block up to this size is held in memory while it is read; a larger one lies in the slot's scratch directory."""


def open_remote(task: Task, node_id: str, path: str) -> Block:
    """Raises OSError, BlockCorrupt, ConnectionFailed, AuthenticationFailed, QuotaExceeded, DiskFull."""
    if lies_here(task.env, node_id, path):
        # Not mapped: its executor, which may end at any time, is not ours.
        return open_file(path)
    address = task.servers.get(node_id, "")
    if not address:
        raise ConnectionFailed(f"the address of {node_id}'s block server is not known")
    held = bytearray()
    spool: int | None = None
    size = 0
    try:
        for _, kind, data in client_for(address, task.env.token, task.env.tls_ca).read([Piece(path)]):
            if kind == PROBLEM:
                raise BlockCorrupt(path, data.decode(errors="replace"))
            if kind != DATA:
                continue
            if spool is None:
                held += data
                if len(held) > IN_MEMORY:
                    spool = _scratch_file(task.env, task.scratch_directory())
                    size = _append(task.env, spool, held, 0)
                    held = bytearray()
            else:
                size = _append(task.env, spool, data, size)
        if spool is None:
            return block_in_memory(held, path)
        descriptor, spool = spool, None
        return block_in_file(descriptor, path)
    finally:
        if spool is not None:
            os.close(spool)


def _scratch_file(env: SlotEnvironment, directory: str) -> int:
    """Without a name: it ends with whoever has it open."""
    path = os.path.join(directory, f"cached-{os.getpid()}-{os.urandom(4).hex()}")
    with explained(env, path):
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    os.unlink(path)
    return descriptor


def _append(env: SlotEnvironment, descriptor: int, data: bytes | bytearray, at: int) -> int:
    """Where it ends."""
    claim(env, len(data))
    with explained(env, env.scratch_dir):
        view = memoryview(data)
        while view:
            written = os.pwrite(descriptor, view, at)
            at += written
            view = view[written:]
    return at
