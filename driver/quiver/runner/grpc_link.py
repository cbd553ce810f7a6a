"""A link to an executor on a node: one gRPC stream, messages put together on the way down."""

from __future__ import annotations

import logging
import queue
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace

from quiver_proto.auth import TlsFiles
from quiver_proto.cluster import ExecutorLaunched
from quiver_proto.errors import AuthenticationFailed, IncompatibleVersions, QuiverError
from quiver_proto.messages import ExecutorHello, FromExecutor, LaunchTasks, ToExecutor
from quiver_proto.rpc import Client, Stream
from quiver_proto.services import Executor
from quiver_proto.versions import check, local_versions

log = logging.getLogger("quiver.driver")

BATCH_TASKS = 4096
"""Tasks put into one message at most."""

_RETRY_S = 0.2


class GrpcLink:
    """An ExecutorLink (see quiver.runner.links). Its facts are what the executor's hello said.

    `on_up(link)` is called once the executor has said hello, `on_message(message)` for everything after it, in order, and
    `on_broken(link, reason)` once when the stream then ends without `close`; all three in the stream's own thread. Until the hello
    the link keeps trying, since the manager tells when an executor is gone; `on_trouble(link, reason)` says why it has to.
    """

    def __init__(
        self,
        launched: ExecutorLaunched,
        token: str,
        on_up: Callable[[GrpcLink], None],
        on_message: Callable[[FromExecutor], None],
        on_broken: Callable[[GrpcLink, str], None],
        on_trouble: Callable[[GrpcLink, str], None],
        tls: TlsFiles | None = None,
    ) -> None:
        self.executor_id = launched.executor_id
        self.node_id = launched.node_id
        self.host = launched.host
        self.cores = launched.cores
        self.memory_bytes = launched.memory_bytes
        self.block_server = launched.block_server
        self.pid = 0
        self.log_dir = ""
        self.machine = ""
        self.resources: Mapping[str, Sequence[str]] = {}
        self.up = False
        self._address = launched.address
        self._on_up = on_up
        self._on_message = on_message
        self._on_broken = on_broken
        self._on_trouble = on_trouble
        self._queue: queue.SimpleQueue[ToExecutor | None] = queue.SimpleQueue()
        self._closed = threading.Event()
        self._stream: Stream[FromExecutor] | None = None
        self._client = Client(launched.address, "executor", token, tls)
        self._thread = threading.Thread(target=self._run, name=f"link-{launched.executor_id}", daemon=True)
        self._thread.start()

    def send(self, message: ToExecutor) -> None:
        """Never blocks; messages arrive in order. After `close`, or once the stream is broken, nothing is sent."""
        self._queue.put(message)

    def close(self) -> None:
        """Send what was given to `send`, then end the stream; the executor itself is ended by the manager. Twice does nothing."""
        if not self._closed.is_set():
            self._closed.set()
            self._queue.put(None)
            if not self.up and self._stream is not None:
                self._stream.cancel()

    def join(self, timeout_s: float) -> None:
        """Wait until the stream is over, at most that long, then cut it."""
        if threading.current_thread() is self._thread:
            return
        self._thread.join(timeout_s)
        if self._thread.is_alive():
            self._client.close()
            self._thread.join(timeout_s)

    def _run(self) -> None:
        reason = ""
        try:
            while not self._closed.is_set():
                reason = self._converse()
                if self.up or self._closed.is_set():
                    break
                self._on_trouble(self, reason)
                self._closed.wait(_RETRY_S)
        finally:
            self._client.close()
        if self.up and not self._closed.is_set():
            self._closed.set()
            self._on_broken(self, reason)

    def _converse(self) -> str:
        """One stream from its start to its end; why it ended."""
        self._stream = self._client.connect(Executor.CONNECT, batches(self._queue))
        try:
            for message in self._stream:
                if isinstance(message, ExecutorHello):
                    self._greeted(message)
                else:
                    self._on_message(message)
        except (AuthenticationFailed, IncompatibleVersions) as error:
            log.error("executor %s: %s", self.executor_id, error)
            return error.message
        except QuiverError as error:
            return error.message
        finally:
            if not self.up:
                # gRPC's thread may still wait in this stream's iterator: it must not take what is meant for the next stream.
                self._stream.cancel()
                abandoned, self._queue = self._queue, queue.SimpleQueue()
                abandoned.put(None)
        return "the executor ended the stream"

    def _greeted(self, hello: ExecutorHello) -> None:
        if self.up:
            return
        check(f"executor {hello.executor_id}", local_versions(), hello.versions)
        self.pid = hello.pid
        self.log_dir = hello.log_dir
        self.machine = hello.machine
        self.resources = hello.resources
        self.host = hello.host or self.host
        self.block_server = hello.block_server or self.block_server
        self.up = True
        self._on_up(self)


def batches(source: queue.SimpleQueue[ToExecutor | None]) -> Iterator[ToExecutor]:
    """What waits in `source`, in order, tasks of one stage attempt that wait side by side in one message; ends at None."""
    held: ToExecutor | None = None
    while True:
        message = held if held is not None else source.get()
        held = None
        if message is None:
            return
        if isinstance(message, LaunchTasks):
            message, held, ended = _joined(message, source)
            yield message
            if ended:
                return
        else:
            yield message


def _joined(first: LaunchTasks, source: queue.SimpleQueue[ToExecutor | None]) -> tuple[LaunchTasks, ToExecutor | None, bool]:
    """(first and what can go with it, the message after that if one was taken, whether None was taken)."""
    parts = [first]
    count = len(first.task_ids)
    while count < BATCH_TASKS:
        try:
            following = source.get_nowait()
        except queue.Empty:
            return _merged(parts), None, False
        if following is None:
            return _merged(parts), None, True
        if not isinstance(following, LaunchTasks) or _stage_of(following) != _stage_of(first):
            return _merged(parts), following, False
        parts.append(following)
        count += len(following.task_ids)
    return _merged(parts), None, False


def _stage_of(message: LaunchTasks) -> tuple[int, int, int]:
    return message.stage_id, message.stage_attempt, message.cores_per_task


def _merged(parts: list[LaunchTasks]) -> LaunchTasks:
    if len(parts) == 1:
        return parts[0]
    return replace(
        parts[0],
        task_ids=[task_id for part in parts for task_id in part.task_ids],
        partitions=[partition for part in parts for partition in part.partitions],
        attempts=[attempt for part in parts for attempt in part.attempts],
        splits=[split for part in parts for split in part.splits],
        resources={task_id: given for part in parts for task_id, given in part.resources.items()},
    )
