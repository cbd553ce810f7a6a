"""The executor's gRPC edge: one stream with the application's driver.

    driver ──DriverMessage──▶ reader thread ──▶ deliver (the supervisor's loop)
    driver ◀─ExecutorMessage─ response iterator ◀── outbox ◀── report (the supervisor's loop)

A newer stream replaces an older one. What the older one had not got through stays in the outbox for the newer, the last message
written included, since nobody knows whether it arrived: reports may come twice, and task ids tell.
"""

from __future__ import annotations

import logging
import threading
from collections import deque
from collections.abc import Callable, Iterator
from typing import Any

from quiver_proto.messages import ExecutorHeartbeat, ExecutorHello, FromExecutor, TaskDone, TaskFailure, TasksEnded, ToExecutor

log = logging.getLogger("quiver.executor")

BATCH_BYTES = 1 << 20
"""Results are put into one message up to about this many bytes, so that a large answer does not delay what follows for long."""


class Outbox:
    """Reports that wait for the stream, in order. `put` by one thread, `take` by the current stream's."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._waiting: deque[FromExecutor] = deque()
        self._unconfirmed: FromExecutor | None = None
        self._stream = 0
        self._closed = False

    def put(self, message: FromExecutor) -> None:
        with self._changed:
            if isinstance(message, ExecutorHeartbeat) and self._waiting and isinstance(self._waiting[-1], ExecutorHeartbeat):
                self._waiting[-1] = message
            else:
                self._waiting.append(message)
            self._changed.notify_all()

    def open(self) -> int:
        """A new stream, which from now on is the only one that `take` serves."""
        with self._changed:
            self._stream += 1
            if self._unconfirmed is not None:
                self._waiting.appendleft(self._unconfirmed)
                self._unconfirmed = None
            self._changed.notify_all()
            return self._stream

    def abandon(self, stream: int) -> bool:
        """This stream's connection broke: keep what it did not get through. False when it was not the current one any more."""
        with self._changed:
            if stream != self._stream:
                return False
            self.open()
            return True

    def take(self, stream: int) -> FromExecutor | None:
        """The next message for this stream, task ends that wait side by side in one; blocks. None when the stream is to end.

        Asking for the next one confirms that the last was written.
        """
        with self._changed:
            if stream == self._stream:
                self._unconfirmed = None
                self._changed.notify_all()
            while stream == self._stream and not self._waiting and not self._closed:
                self._changed.wait()
            if stream != self._stream or not self._waiting:
                return None
            message = self._waiting.popleft()
            if isinstance(message, TasksEnded):
                message = self._joined(message)
            self._unconfirmed = message
            return message

    def is_current(self, stream: int) -> bool:
        return stream == self._stream

    def close(self, flush_s: float) -> None:
        """Let the stream end once everything is written, or after `flush_s` seconds."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()
            self._changed.wait_for(lambda: not self._waiting and self._unconfirmed is None, flush_s)

    def _joined(self, first: TasksEnded) -> TasksEnded:
        if not self._waiting or not isinstance(self._waiting[0], TasksEnded):
            return first
        done: list[TaskDone] = list(first.done)
        failed: list[TaskFailure] = list(first.failed)
        size = _size(first)
        while self._waiting and size < BATCH_BYTES:
            following = self._waiting[0]
            if not isinstance(following, TasksEnded):
                break
            self._waiting.popleft()
            done += following.done
            failed += following.failed
            size += _size(following)
        return TasksEnded(first.executor_id, done, failed)


class DriverEdge:
    """Serves `Connect`.

    `deliver(message)` is called from a stream's reader thread, in order. `attached(bool)` tells, from any thread, when the driver's
    stream opens and when the last one is gone.
    """

    def __init__(self, hello: ExecutorHello, deliver: Callable[[ToExecutor], None], attached: Callable[[bool], None]) -> None:
        self._hello = hello
        self._deliver = deliver
        self._attached = attached
        self._outbox = Outbox()
        self.report = self._outbox.put

    def connect(self, requests: Iterator[ToExecutor], context: Any) -> Iterator[FromExecutor]:
        """Serves quiver_proto.services.Executor.CONNECT, already authenticated."""
        stream = self._outbox.open()
        self._attached(True)
        context.add_callback(lambda: self._gone(stream))
        threading.Thread(target=self._read, args=(stream, requests), name=f"driver-stream-{stream}", daemon=True).start()
        yield self._hello
        while (message := self._outbox.take(stream)) is not None:
            yield message

    def close(self, flush_s: float) -> None:
        self._outbox.close(flush_s)

    def _read(self, stream: int, requests: Iterator[ToExecutor]) -> None:
        try:
            for message in requests:
                if not self._outbox.is_current(stream):
                    return
                self._deliver(message)
        except Exception as error:
            # This is how gRPC's request iterator says that the stream is over.
            log.debug("stream %d ended: %r", stream, error)
        self._gone(stream)

    def _gone(self, stream: int) -> None:
        if self._outbox.abandon(stream):
            self._attached(False)


def _size(ended: TasksEnded) -> int:
    return sum(len(task.result) for task in ended.done if task.result is not None) + 100 * len(ended.done) + 1000 * len(ended.failed)
