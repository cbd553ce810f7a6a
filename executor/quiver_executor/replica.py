"""A copy of a cached block that another executor has."""

from __future__ import annotations

import os
from collections.abc import Iterator

from quiver_executor.block_store import BlockStore
from quiver_executor.block_writer import BlockWriter
from quiver_executor.cached_block import Block, open_file
from quiver_executor.shuffle_files import open_regular
from quiver_proto.block_client import DATA, PROBLEM, BlockClient, Piece
from quiver_proto.errors import BlockCorrupt, ConnectionFailed
from quiver_proto.messages import CachedBlock, ReplicateBlock

_WINDOW = 1 << 20


def fetch_replica(store: BlockStore, message: ReplicateBlock) -> CachedBlock | None:
    """Keep a copy of the block in `store`, checked: the copy, or what the store had already; None when there is no room.

    Raises OSError, BlockCorrupt, ConnectionFailed, AuthenticationFailed.
    """
    wanted = message.block
    there = store.ledger.look(wanted.dataset_id, wanted.partition)
    if there is not None:
        return store.as_block(there)
    writer = BlockWriter(store, wanted.dataset_id, wanted.partition, message.use_memory, message.use_disk)
    try:
        for piece in _content(store, message):
            writer.append_raw(piece)
        return writer.finish_raw(_checked)
    finally:
        writer.close()


def _checked(path: str) -> Block:
    block = open_file(path)
    try:
        block.verify()
    finally:
        block.close()
    return block


def _content(store: BlockStore, message: ReplicateBlock) -> Iterator[bytes]:
    block, env = message.block, store.env
    if block.node_id == env.node_id:
        descriptor = open_regular(block.path)
        try:
            while piece := os.read(descriptor, _WINDOW):
                yield piece
        finally:
            os.close(descriptor)
        return
    if not message.block_server:
        raise ConnectionFailed(f"the address of {block.node_id}'s block server is not known")
    client = BlockClient(message.block_server, env.token, env.tls_ca)
    try:
        for _, kind, data in client.read([Piece(block.path)]):
            if kind == PROBLEM:
                raise BlockCorrupt(block.path, data.decode(errors="replace"))
            if kind == DATA:
                yield data
    finally:
        client.close()
