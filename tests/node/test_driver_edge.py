"""The executor's end of the driver's stream: order, joining, and what a broken stream leaves to the next."""

from __future__ import annotations

import queue
import threading
from collections.abc import Iterator

from quiver.runner.grpc_link import batches
from quiver_executor.driver_edge import BATCH_BYTES, DriverEdge, Outbox
from quiver_proto.ids import ExecutorId, NodeId, StageId, TaskId
from quiver_proto.messages import (
    NO_METRICS,
    Drain,
    Drained,
    ExecutorHeartbeat,
    ExecutorHello,
    FailureKind,
    KillTasks,
    LaunchTasks,
    TaskDone,
    TaskFailure,
    TasksEnded,
    ToExecutor,
)

E0 = ExecutorId("app-1/0")


def done(*task_ids: int, result: bytes = b"r") -> TasksEnded:
    return TasksEnded(E0, [TaskDone(TaskId(t), 0, 0.0, NO_METRICS, result) for t in task_ids])


def failed(task_id: int) -> TasksEnded:
    return TasksEnded(E0, (), [TaskFailure(TaskId(task_id), FailureKind.USER, "ValueError", "no")])


def beat(at: float) -> ExecutorHeartbeat:
    return ExecutorHeartbeat(E0, at, 0, 0, 0)


def ids(message: object) -> list[int]:
    assert isinstance(message, TasksEnded)
    return [task.task_id for task in message.done] + [task.task_id for task in message.failed]


def test_task_ends_that_wait_go_in_one_message_in_order() -> None:
    outbox = Outbox()
    stream = outbox.open()
    for message in (done(1), done(2, 3), failed(4), Drained(E0), done(5)):
        outbox.put(message)
    first = outbox.take(stream)
    assert ids(first) == [1, 2, 3, 4]
    assert outbox.take(stream) == Drained(E0)
    assert ids(outbox.take(stream)) == [5]


def test_large_results_are_not_joined_without_bound() -> None:
    outbox = Outbox()
    stream = outbox.open()
    for task_id in range(3):
        outbox.put(done(task_id, result=b"x" * BATCH_BYTES))
    assert [ids(outbox.take(stream)) for _ in range(3)] == [[0], [1], [2]]


def test_of_heartbeats_only_the_last_waits() -> None:
    outbox = Outbox()
    stream = outbox.open()
    for at in (1.0, 2.0, 3.0):
        outbox.put(beat(at))
    outbox.put(done(1))
    assert outbox.take(stream) == beat(3.0)
    assert ids(outbox.take(stream)) == [1]


def test_the_next_stream_gets_what_the_broken_one_did_not_get_through() -> None:
    outbox = Outbox()
    first = outbox.open()
    outbox.put(done(1))
    assert ids(outbox.take(first)) == [1]
    outbox.put(done(2))
    assert outbox.abandon(first), "nobody knows whether task 1's end arrived"
    outbox.put(done(3))
    second = outbox.open()
    assert outbox.take(first) is None
    assert ids(outbox.take(second)) == [1, 2, 3]
    assert not outbox.abandon(first)


def test_what_was_followed_by_another_request_is_not_sent_again() -> None:
    outbox = Outbox()
    first = outbox.open()
    outbox.put(done(1))
    outbox.take(first)
    outbox.put(done(2))
    outbox.take(first)
    second = outbox.open()
    assert ids(outbox.take(second)) == [2]


def test_a_newer_stream_ends_the_older_ones_wait() -> None:
    outbox = Outbox()
    first = outbox.open()
    taken: list[object] = []
    waiter = threading.Thread(target=lambda: taken.append(outbox.take(first)))
    waiter.start()
    outbox.open()
    waiter.join(120)
    assert taken == [None]


def test_closing_flushes_first() -> None:
    outbox = Outbox()
    stream = outbox.open()
    outbox.put(done(1))
    closer = threading.Thread(target=outbox.close, args=(60.0,))
    closer.start()
    assert ids(outbox.take(stream)) == [1]
    assert outbox.take(stream) is None
    closer.join(120)
    assert not closer.is_alive()


class Context:
    def __init__(self) -> None:
        self.callbacks: list[object] = []

    def add_callback(self, callback: object) -> None:
        self.callbacks.append(callback)


def test_says_hello_first_and_delivers_only_the_current_streams_messages() -> None:
    delivered: queue.SimpleQueue[ToExecutor] = queue.SimpleQueue()
    attached: queue.SimpleQueue[bool] = queue.SimpleQueue()
    hello = ExecutorHello(E0, NodeId("n"), 1, 1, "", "h", 1)
    edge = DriverEdge(hello, delivered.put, attached.put)
    go = threading.Event()

    def old_requests() -> Iterator[ToExecutor]:
        yield Drain()
        go.wait(120)
        yield KillTasks([TaskId(1)], "late")

    old = edge.connect(old_requests(), Context())
    assert next(old) == hello
    assert attached.get(timeout=120) is True
    assert delivered.get(timeout=120) == Drain()
    new = edge.connect(iter([KillTasks([TaskId(2)], "current")]), Context())
    assert next(new) == hello
    go.set()
    assert delivered.get(timeout=120) == KillTasks([TaskId(2)], "current")
    assert next(old, None) is None
    assert attached.get(timeout=120) is True
    assert attached.get(timeout=120) is False, "the new stream's requests have ended"
    assert delivered.empty()


def launch(*task_ids: int, stage_id: int = 1) -> LaunchTasks:
    tasks = [TaskId(t) for t in task_ids]
    return LaunchTasks(StageId(stage_id), 0, tasks, list(task_ids), [0] * len(tasks), [b"%d" % t for t in task_ids])


def test_a_link_joins_launches_of_one_stage_and_keeps_the_order() -> None:
    waiting: queue.SimpleQueue[ToExecutor | None] = queue.SimpleQueue()
    for message in (launch(1), launch(2, 3), KillTasks([TaskId(1)], "k"), launch(4), launch(5, stage_id=2), launch(6, stage_id=2), None):
        waiting.put(message)
    sent = list(batches(waiting))
    assert sent == [launch(1, 2, 3), KillTasks([TaskId(1)], "k"), launch(4), launch(5, 6, stage_id=2)]
