"""What supervisor, template and slot say to each other: marshalled tuples of exact built-in types.

Both ends are the same interpreter on the same machine and the sockets are private pairs, so marshal is safe here. On a slot's stream
each tuple follows its length (4 bytes, little endian); on the template's socket (SOCK_SEQPACKET) one packet is one tuple.

Supervisor to slot:
    (ADD_STAGE, stage number, pickled AddStage)
    (RUN, stage number, [(task id, partition, attempt, split), ...])
    (FORGET, stage number)
    (FORGET_DATASET, dataset id)
    (DROP_BROADCAST, broadcast id)
    (GIVEN, stage number, {task id: {resource: [address, ...]}}): in front of the RUN of tasks that were given any
    (RELEASED, task id, round, [what each brought], error): the answer to ARRIVED, while the task runs
Slot to supervisor:
    (READY, 0.0, None) once; then for each task in the order sent
    (DONE, seconds it took, done row), (FAILED, seconds, pickled TaskFailure) or (RETURNED, 0.0, task id): recalled before it began
    (ARRIVED, 0.0, (task id, round, what it brings)): the running task of a barrier stage waits for the others
Supervisor to template:
    first the settings, a dict; then (FORK, serial, slot) with four descriptors: socket, page, stdout, stderr; (KILL, serial)
Template to supervisor:
    (UP, pid), (EXITED, serial, wait status, peak RSS in bytes); and to each request in order one answer:
    (FORKED, serial, pid) or (FORK_FAILED, serial, text) to FORK, (SIGNALLED, serial) to KILL

A slot runs users' code, which may write to any descriptor: what comes from a slot is checked, and Malformed is raised for garbage.
"""

from __future__ import annotations

import marshal
import pickle
from typing import Any, Final

from quiver_proto.messages import (
    CachedBlock,
    HeavyKey,
    MapOutput,
    OperatorMetrics,
    ResultBlock,
    TaskDone,
    TaskExtras,
    TaskFailure,
    TaskMetrics,
)

ADD_STAGE: Final = 0
RUN: Final = 1
FORGET: Final = 2
FORGET_DATASET: Final = 3
DROP_BROADCAST: Final = 4
RELEASED: Final = 9
GIVEN: Final = 8

READY: Final = 30
DONE: Final = 31
FAILED: Final = 32
RETURNED: Final = 33
ARRIVED: Final = 34

FORK: Final = 10
KILL: Final = 11

UP: Final = 20
FORKED: Final = 21
FORK_FAILED: Final = 22
EXITED: Final = 23
SIGNALLED: Final = 24

PACKET_LIMIT: Final = 1 << 20
HEADER: Final = 4
REPORT_LIMIT: Final = 16 << 20
"""Bytes of one report of a slot. Inline results take up to 256 KiB, failures about 2 MiB, the sizes of a map output 8 a partition."""
_TRIPLE: Final = (b")\x03", b"\xa9\x03")
"""How marshal begins a tuple of three, without and with its mark for objects that are referred to again."""


class Malformed(Exception):
    """A slot's stream holds what no slot says. `before` are the envelopes in front of it."""

    def __init__(self, what: str, before: list[tuple[Any, ...]] | None = None) -> None:
        super().__init__(what)
        self.before = before or []


def pack(envelope: tuple[Any, ...]) -> bytes:
    """One envelope for a stream, length first. ValueError when it holds anything but built-in types."""
    body = marshal.dumps(envelope)
    return len(body).to_bytes(HEADER, "little") + body


class Unpacker:
    """Takes a stream's bytes in whatever pieces they come, gives whole envelopes.

    With `reports` it is a slot's stream: its envelopes have three members and are not longer than REPORT_LIMIT.
    """

    __slots__ = ("_buffer", "_reports")

    def __init__(self, reports: bool = False) -> None:
        self._buffer = bytearray()
        self._reports = reports

    @property
    def pending(self) -> int:
        """Bytes of an envelope that has not come whole."""
        return len(self._buffer)

    def feed(self, data: bytes) -> list[tuple[Any, ...]]:
        """The envelopes that are complete with `data`, in order. Malformed when it can't be envelopes; then feed no more."""
        buffer = self._buffer
        reports = self._reports
        loads = marshal.loads
        envelopes: list[tuple[Any, ...]] = []
        at = 0
        try:
            if not buffer and int.from_bytes(data[:HEADER], "little") + HEADER == len(data):
                if reports and (not data.startswith(_TRIPLE, HEADER) or len(data) > REPORT_LIMIT):
                    _check(len(data) - HEADER, data[HEADER : HEADER + 2])
                return [loads(memoryview(data)[HEADER:])]
            buffer += data
            size = len(buffer)
            with memoryview(buffer) as view:
                while size - at >= HEADER:
                    end = at + HEADER + int.from_bytes(buffer[at : at + HEADER], "little")
                    if reports and (end - at > REPORT_LIMIT or not buffer.startswith(_TRIPLE, at + HEADER)):
                        _check(end - at - HEADER, bytes(buffer[at + HEADER : at + HEADER + 2]))
                    if end > size:
                        break
                    envelopes.append(loads(view[at + HEADER : end]))
                    at = end
        except Malformed as error:
            error.before = envelopes
            raise
        except (ValueError, TypeError, EOFError, MemoryError) as error:
            raise Malformed(f"bytes that are no message ({error})", envelopes) from error
        if at:
            del buffer[:at]
        return envelopes


def _check(length: int, begin: bytes) -> None:
    """Malformed unless a report can have this length and, as far as it has come, this beginning."""
    if length > REPORT_LIMIT:
        raise Malformed(f"a message that would have {length} bytes")
    if length < 2 or not any(triple.startswith(begin) for triple in _TRIPLE):
        raise Malformed(f"{length} bytes that are no message (they begin with {begin!r})")


def done_row(done: TaskDone) -> tuple[Any, ...]:
    """A TaskDone as exact tuples."""
    task_id, slot, started_at, metrics, result, block, output, extras = done
    return (
        task_id,
        slot,
        started_at,
        tuple(metrics),
        result,
        None if block is None else tuple(block),
        None if output is None else tuple(output),
        None if extras is None else _extras_row(extras),
    )


def done_from_row(row: tuple[Any, ...]) -> TaskDone:
    """The TaskDone that `done_row` took apart; Malformed when it can't have."""
    try:
        task_id, slot, started_at, metrics, result, block, output, extras = row
        sum(metrics, started_at + slot)  # The cheapest look at whether all are numbers.
        if type(row[0]) is not int or (result is not None and type(result) is not bytes):
            raise TypeError("members of other types")
        return TaskDone(
            task_id,
            slot,
            started_at,
            TaskMetrics._make(metrics),
            result,
            None if block is None else ResultBlock._make(_typed(block, _BLOCK)),
            None if output is None else MapOutput._make(_typed(output, _OUTPUT)),
            None if extras is None else _extras_from_row(extras),
        )
    except (TypeError, ValueError) as error:
        raise Malformed(f"a task's end that is none ({error})") from error


_BLOCK: Final = (str, str, int)
_OUTPUT: Final = (int, int, str, str, str, bytes, int)
_CACHED: Final = (int, int, str, str, int, str, int, int, int)
_HEAVY: Final = (str, int, int)
_OPERATOR: Final = (int, str, str, int, int, float, int, int, int)


def _extras_row(extras: TaskExtras) -> tuple[Any, ...]:
    cached, updates, heavy, operators = extras
    return tuple(map(tuple, cached)), updates, tuple(map(tuple, heavy)), tuple(map(tuple, operators))


def _extras_from_row(row: tuple[Any, ...]) -> TaskExtras:
    cached, updates, heavy, operators = row
    if type(updates) is not bytes:
        raise TypeError("members of other types")
    return TaskExtras(
        tuple(CachedBlock._make(_typed(block, _CACHED)) for block in cached),
        updates,
        tuple(HeavyKey._make(_typed(key, _HEAVY)) for key in heavy),
        tuple(OperatorMetrics._make(_typed(operator, _OPERATOR)) for operator in operators),
    )


def _typed(row: tuple[Any, ...], types: tuple[type, ...]) -> tuple[Any, ...]:
    if tuple(map(type, row)) != types:
        raise TypeError("members of other types")
    return row


def failure_from_pickle(payload: bytes) -> TaskFailure:
    """The TaskFailure that a slot pickled; Malformed when it did not."""
    try:
        failure = pickle.loads(payload)
    except Exception as error:  # Garbage may raise anything.
        raise Malformed(f"a task's failure that does not unpickle ({error!r})") from error
    if type(failure) is not TaskFailure or type(failure.task_id) is not int:
        raise Malformed(f"a task's failure that is a {type(failure).__name__}")
    return failure
