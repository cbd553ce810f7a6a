"""Fetching a broadcast's pieces from other nodes and from the driver.

Every node that uses a broadcast asks for its pieces in a random order of its own, each first from a node that has it, else from the
driver: so different nodes soon have different pieces, and give them to one another, as in Spark's TorrentBroadcast and BitTorrent
(Cohen, "Incentives Build Robustness in BitTorrent", 2003). The driver sends about one copy, however many nodes there are.

A piece counts when its CRC-32 is right. A node that fails or sends something else is not asked again for this value.
"""

from __future__ import annotations

import os
import random
import time
import zlib
from array import array
from collections.abc import Callable, Iterable, Mapping

from quiver_executor.disk import explained
from quiver_executor.environment import SlotEnvironment
from quiver_proto.block_client import DATA, PROBLEM, BlockClient, Piece
from quiver_proto.broadcast_file import file_path, pieces_of
from quiver_proto.errors import BlockCorrupt, BroadcastUnavailable, ConnectionFailed
from quiver_proto.messages import BroadcastTable

LOOK_AGAIN_S = 0.05
"""How old what is known of another node's pieces may be before it is asked again."""


def complete(descriptor: int, table: BroadcastTable, env: SlotEnvironment, servers: Mapping[str, str]) -> None:
    """Get what the node's copy lacks. To be called with its lock held; what it has got stays when this raises.

    Raises BroadcastUnavailable, QuotaExceeded, DiskFull.
    """
    count = pieces_of(table.size, table.piece_bytes)
    have = os.pread(descriptor, count, table.size)
    wanted = [i for i in range(count) if have[i : i + 1] != b"\1"]
    if not wanted:
        return
    random.shuffle(wanted)
    peers = [Peer(address, table, env) for node, address in servers.items() if node != env.node_id and address]
    origin = Peer(table.origin, table, env, patient=True) if table.origin else None
    try:
        for piece in wanted:
            data = fetch(piece, table, peers, origin, time.monotonic)
            with explained(env, env.blocks_dir):
                _write(descriptor, data, piece * table.piece_bytes)
                # After the data: who sees this, sees the piece.
                _write(descriptor, b"\1", table.size + piece)
    finally:
        for peer in (*peers, origin):
            if peer is not None:
                peer.close()


class Peer:
    """A block server that may have pieces: another node's, or (`patient`: tried for longer, and has all) the driver's."""

    def __init__(self, address: str, table: BroadcastTable, env: SlotEnvironment, patient: bool = False) -> None:
        self.address = address
        self.problem = ""
        self._table = table
        self._path = file_path(env.application_id, table.broadcast_id)
        self._client = BlockClient(address, env.token, env.tls_ca) if patient else BlockClient(address, env.token, env.tls_ca, attempts=1)
        self._present = b""
        self._looked_at = float("-inf")

    def has(self, piece: int, now: float) -> bool:
        """Whether it has the piece, as far as is known; what is old is looked at again."""
        if self.problem:
            return False
        if self._present[piece : piece + 1] != b"\1" and now - self._looked_at >= LOOK_AGAIN_S:
            self._looked_at = now
            try:
                self._present = self._read(self._table.size, pieces_of(self._table.size, self._table.piece_bytes))
            except BlockCorrupt:
                self._present = b""  # It has not begun.
            except ConnectionFailed as error:
                self.problem = error.message
        return self._present[piece : piece + 1] == b"\1"

    def get(self, piece: int) -> bytes:
        """The piece, checked. Raises BlockCorrupt, ConnectionFailed."""
        table = self._table
        offset = piece * table.piece_bytes
        data = self._read(offset, min(table.piece_bytes, table.size - offset))
        if zlib.crc32(data) != array("I", table.checksums)[piece]:
            raise BlockCorrupt(f"broadcast {table.broadcast_id}", f"piece {piece} from {self.address} has a wrong checksum")
        return data

    def close(self) -> None:
        self._client.close()

    def _read(self, offset: int, length: int) -> bytes:
        parts = []
        for _, kind, data in self._client.read([Piece(self._path, offset=offset, length=length)]):
            if kind == DATA:
                parts.append(data)
            elif kind == PROBLEM:
                raise BlockCorrupt(f"broadcast {self._table.broadcast_id}", data.decode(errors="replace"))
        return b"".join(parts)


def fetch(piece: int, table: BroadcastTable, peers: Iterable[Peer], origin: Peer | None, clock: Callable[[], float]) -> bytes:
    """One piece from whoever has it; from the driver only where no node does. Raises BroadcastUnavailable."""
    order = list(peers)
    random.shuffle(order)
    now = clock()
    for peer in order:
        if peer.has(piece, now):
            try:
                return peer.get(piece)
            except (BlockCorrupt, ConnectionFailed) as error:
                peer.problem = error.message
    if origin is None:
        problem = f"the driver's file {table.path} is not on this machine (destroyed while its job ran?), and the driver serves none"
        raise BroadcastUnavailable(table.broadcast_id, problem)
    try:
        return origin.get(piece)
    except (BlockCorrupt, ConnectionFailed) as error:
        raise BroadcastUnavailable(table.broadcast_id, error.message) from None


def _write(descriptor: int, data: bytes, offset: int) -> None:
    view = memoryview(data)
    while view:
        written = os.pwrite(descriptor, view, offset)
        view = view[written:]
        offset += written
