"""What supervisor, template and slot say to each other: marshalled tuples of exact built-in types.

Both ends are the same interpreter on the same machine and the sockets are private pairs, so marshal is safe here. On a slot's stream
each tuple follows its length (4 bytes, little endian); on the template's socket (SOCK_SEQPACKET) one packet is one tuple.

Supervisor to slot:
    (ADD_STAGE, stage number, pickled AddStage)
    (RUN, stage number, [(task id, partition, attempt, split), ...])
    (FORGET, stage number)
Slot to supervisor:
    (READY, 0.0, None) once; then for each task in the order sent
    (DONE, seconds it took, done row), (FAILED, seconds, pickled TaskFailure) or (RETURNED, 0.0, task id): recalled before it began
Supervisor to template:
    first the settings, a dict; then (FORK, serial, slot) with four descriptors: socket, page, stdout, stderr; (KILL, serial)
Template to supervisor:
    (UP, pid), (FORKED, serial, pid), (FORK_FAILED, serial, text), (EXITED, serial, wait status, peak RSS in bytes)
"""

from __future__ import annotations

import marshal
from typing import Any, Final

from quiver_proto.messages import MapOutput, ResultBlock, TaskDone, TaskMetrics

ADD_STAGE: Final = 0
RUN: Final = 1
FORGET: Final = 2

READY: Final = 30
DONE: Final = 31
FAILED: Final = 32
RETURNED: Final = 33

FORK: Final = 10
KILL: Final = 11

UP: Final = 20
FORKED: Final = 21
FORK_FAILED: Final = 22
EXITED: Final = 23

PACKET_LIMIT: Final = 1 << 20
HEADER: Final = 4


def pack(envelope: tuple[Any, ...]) -> bytes:
    """One envelope for a stream, length first. ValueError when it holds anything but built-in types."""
    body = marshal.dumps(envelope)
    return len(body).to_bytes(HEADER, "little") + body


class Unpacker:
    """Takes a stream's bytes in whatever pieces they come, gives whole envelopes."""

    __slots__ = ("_buffer",)

    def __init__(self) -> None:
        self._buffer = bytearray()

    def feed(self, data: bytes) -> list[tuple[Any, ...]]:
        """The envelopes that are complete with `data`, in order."""
        buffer = self._buffer
        if not buffer and int.from_bytes(data[:HEADER], "little") + HEADER == len(data):
            return [marshal.loads(memoryview(data)[HEADER:])]
        buffer += data
        envelopes = []
        at = 0
        size = len(buffer)
        with memoryview(buffer) as view:
            while size - at >= HEADER:
                end = at + HEADER + int.from_bytes(buffer[at : at + HEADER], "little")
                if end > size:
                    break
                envelopes.append(marshal.loads(view[at + HEADER : end]))
                at = end
        if at:
            del buffer[:at]
        return envelopes


def done_row(done: TaskDone) -> tuple[Any, ...]:
    """A TaskDone as exact tuples."""
    task_id, slot, started_at, metrics, result, block, output = done
    return (
        task_id,
        slot,
        started_at,
        tuple(metrics),
        result,
        None if block is None else tuple(block),
        None if output is None else tuple(output),
    )


def done_from_row(row: tuple[Any, ...]) -> TaskDone:
    """The TaskDone that `done_row` took apart."""
    task_id, slot, started_at, metrics, result, block, output = row
    return TaskDone(
        task_id,
        slot,
        started_at,
        TaskMetrics._make(metrics),
        result,
        None if block is None else ResultBlock._make(block),
        None if output is None else MapOutput._make(output),
    )
