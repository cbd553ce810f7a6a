"""How a task of a barrier stage waits for the others, in its slot: it asks on the slot's own socket and reads there until it is told."""

from __future__ import annotations

import os
import socket
import threading
from collections.abc import Callable, Sequence
from typing import Any, Final

from quiver_executor.envelopes import ARRIVED, RELEASED, REPORT_LIMIT, Unpacker, pack
from quiver_proto.errors import BarrierFailed

_RECEIVE: Final = 256 << 10
_ROOM: Final = 1024


class Meeting:
    """Called with (task id, round, what the task brings); returns what all brought, by partition. Raises BarrierFailed.

    What else comes in meanwhile is added to `later`. `flush` sends what the slot has not sent yet.
    """

    def __init__(self, connection: socket.socket, unpacker: Unpacker, later: list[tuple[Any, ...]], flush: Callable[[], None]) -> None:
        self._connection = connection
        self._unpacker = unpacker
        self._later = later
        self._flush = flush
        self._pid = os.getpid()

    def __call__(self, task_id: int, number: int, brings: bytes) -> Sequence[bytes]:
        if os.getpid() != self._pid or threading.current_thread() is not threading.main_thread():
            raise RuntimeError(
                "barrier() and allGather() must be called in the process and the thread that run the task, not in others that it started"
            )
        if len(brings) > REPORT_LIMIT - _ROOM:
            raise ValueError(f"allGather: a message of {len(brings):,} bytes; at most {REPORT_LIMIT - _ROOM:,} can be sent")
        self._flush()
        self._connection.sendall(pack((ARRIVED, 0.0, (task_id, number, brings))))
        while data := self._connection.recv(_RECEIVE):
            answer = None
            for envelope in self._unpacker.feed(data):
                if envelope[:3] == (RELEASED, task_id, number):
                    answer = envelope
                else:
                    self._later.append(envelope)
            if answer is not None:
                if answer[4]:
                    raise BarrierFailed(answer[4])
                payloads: list[bytes] = answer[3]
                return payloads
        os._exit(0)  # The supervisor is gone.
