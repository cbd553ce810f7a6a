"""The node daemon's decisions, without a daemon."""

from __future__ import annotations

from typing import Any, TypeVar

from quiver_executor import node as n
from quiver_executor import node_model as m
from quiver_proto.cluster import (
    ExecutorEnvironment,
    ExecutorExited,
    ExecutorReady,
    LaunchExecutor,
    NodeRegistered,
    RemoveApplication,
    StopExecutor,
)
from quiver_proto.ids import ApplicationId, ExecutorId, NodeId

A = TypeVar("A")
APP = ApplicationId("app-1")
E0 = ExecutorId("app-1/0")
GIB = 1 << 30


def identity(**changes: Any) -> m.NodeIdentity:
    given: dict[str, Any] = {"launch_limit_s": 60.0, "drain_limit_s": 30.0}
    return m.NodeIdentity(NodeId("node-a-1"), "a", "a:1", "a:2", 4, 8 * GIB, **{**given, **changes})


def launch(executor_id: ExecutorId = E0, manager_epoch: int = 1, **changes: Any) -> LaunchExecutor:
    given: dict[str, Any] = {"cores": 2, "memory_bytes": GIB}
    return LaunchExecutor(APP, executor_id, 1, manager_epoch, token="t", environment=ExecutorEnvironment(), **{**given, **changes})


def stop(executor_id: ExecutorId = E0, now: bool = False, manager_epoch: int = 1) -> StopExecutor:
    return StopExecutor(APP, executor_id, manager_epoch, "not needed", now)


def registered(**changes: Any) -> m.NodeState:
    state = m.NodeState(identity(**changes))
    n.step(state, m.Tick(), 0.0)
    n.step(state, m.Registered(1, NodeRegistered(1, 1.0)), 0.0)
    return state


def only(actions: list[m.NodeAction], kind: type[A]) -> list[A]:
    return [action for action in actions if isinstance(action, kind)]


def ack(actions: list[m.NodeAction]) -> tuple[bool, str]:
    (answer,) = only(actions, m.Answer)
    return answer.ack.done, answer.ack.reason


def running(state: m.NodeState, executor_id: ExecutorId = E0) -> list[m.NodeAction]:
    n.step(state, launch(executor_id), 0.0)
    n.step(state, m.ExecutorStarted(executor_id, 42), 0.0)
    return n.step(state, m.ExecutorUp(executor_id, "a:9"), 0.0)


def reports(actions: list[m.NodeAction]) -> list[ExecutorReady | ExecutorExited]:
    return [action.message for action in only(actions, m.Report)]


def test_registers_at_once_and_beats_at_the_managers_interval() -> None:
    state = m.NodeState(identity())
    (register,) = only(n.step(state, m.Tick(), 0.0), m.Register)
    assert (register.message.epoch, register.message.cores) == (1, 4)
    assert n.step(state, m.Tick(), 0.1) == []
    n.step(state, m.Registered(1, NodeRegistered(7, 2.0)), 0.2)
    assert n.wake_at(state) == 2.2
    assert only(n.step(state, m.Tick(), 2.1), m.Beat) == []
    assert len(only(n.step(state, m.Tick(), 2.2), m.Beat)) == 1
    assert only(n.step(state, m.Tick(), 9.9), m.Beat) == [], "one heartbeat at a time"
    n.step(state, m.HeartbeatAnswered(1, True), 10.0)
    assert n.wake_at(state) == 12.0


def test_a_manager_that_is_away_is_tried_again_ever_more_slowly_and_executors_stay() -> None:
    state = registered()
    running(state)
    n.step(state, m.ReportAnswered(), 0.0)
    n.step(state, m.Tick(), 1.0)
    actions = n.step(state, m.HeartbeatFailed(1, "connection refused"), 1.0)
    assert only(actions, m.Kill) == only(actions, m.AskToDrain) == []
    pauses = []
    now = 1.0
    for _ in range(8):
        due = n.wake_at(state)
        assert due is not None
        pauses.append(round(due - now, 3))
        now = due
        assert len(only(n.step(state, m.Tick(), now), m.Beat)) == 1
        n.step(state, m.HeartbeatFailed(1, "connection refused"), now)
    assert pauses == sorted(pauses)
    assert pauses[0] == 0.2
    assert pauses[-1] == 5.0
    assert E0 in state.executors


def test_registers_again_with_its_executors_when_the_manager_does_not_know_it() -> None:
    state = registered()
    running(state)
    n.step(state, m.Tick(), 1.0)
    (register,) = only(n.step(state, m.HeartbeatAnswered(1, False), 1.0), m.Register)
    assert register.message.epoch == 2
    (executor,) = register.message.executors
    assert (executor.executor_id, executor.address, executor.pid) == (E0, "a:9", 42)
    late = n.step(state, m.Registered(1, NodeRegistered(1, 1.0)), 1.0)
    assert state.link is m.Link.REGISTERING
    assert late == [], "an answer to an older registration"


def test_stops_what_the_manager_does_not_own() -> None:
    state = registered()
    running(state)
    n.step(state, m.Tick(), 1.0)
    n.step(state, m.HeartbeatAnswered(1, False), 1.0)
    actions = n.step(state, m.Registered(2, NodeRegistered(2, 1.0, (E0, ExecutorId("app-1/77")))), 1.0)
    assert only(actions, m.Kill) == [m.Kill(E0)]


def test_launches_an_executor_once() -> None:
    state = registered()
    actions = n.step(state, launch(), 0.0)
    assert only(actions, m.Spawn) == [m.Spawn(launch())]
    again = n.step(state, launch(), 0.0)
    assert only(again, m.Spawn) == []
    assert ack(again)[0]
    n.step(state, m.ExecutorEnded(E0, 0, 9, ""), 1.0)
    assert only(n.step(state, launch(), 2.0), m.Spawn) == [], "not even after its end"


def test_a_stop_that_overtakes_its_launch_wins() -> None:
    state = registered()
    assert ack(n.step(state, stop(), 0.0))[0]
    assert only(n.step(state, launch(), 0.0), m.Spawn) == []


def test_an_older_managers_requests_do_nothing() -> None:
    state = registered()
    n.step(state, launch(manager_epoch=3), 0.0)
    for request in (launch(ExecutorId("app-1/1"), manager_epoch=2), stop(manager_epoch=2), RemoveApplication(APP, 2, "over")):
        actions = n.step(state, request, 0.0)
        assert len(actions) == 1
        assert ack(actions) == (False, "manager epoch 2 is over: 3 has been seen")
    assert E0 in state.executors


def test_ready_and_exit_are_reported_in_order_and_until_answered() -> None:
    state = registered()
    (ready,) = reports(running(state))
    assert isinstance(ready, ExecutorReady)
    assert (ready.epoch, ready.address, ready.pid) == (1, "a:9", 42)
    assert reports(n.step(state, m.ExecutorEnded(E0, 0, 11, "tail"), 1.0)) == [], "one report at a time"
    assert reports(n.step(state, m.ReportFailed("timeout"), 1.0)) == []
    assert reports(n.step(state, m.Tick(), 1.1)) == []
    assert reports(n.step(state, m.Tick(), 1.2)) == [ready]
    (exited,) = reports(n.step(state, m.ReportAnswered(), 1.3))
    assert isinstance(exited, ExecutorExited)
    assert (exited.signal, exited.log_tail, exited.asked, exited.failed_to_launch) == (11, "tail", False, False)
    assert "signal 11" in exited.reason
    assert reports(n.step(state, m.ReportAnswered(), 1.4)) == []
    assert not state.reports


def test_reports_wait_for_a_manager_that_is_away_and_carry_the_new_epoch() -> None:
    state = registered()
    running(state)
    n.step(state, m.ReportAnswered(), 0.0)
    n.step(state, m.Tick(), 1.0)
    n.step(state, m.HeartbeatAnswered(1, False), 1.0)
    assert reports(n.step(state, m.ExecutorEnded(E0, 1, 0, ""), 1.1)) == []
    (exited,) = reports(n.step(state, m.Registered(2, NodeRegistered(2, 1.0)), 1.2))
    assert exited.epoch == 2


def test_one_that_ends_before_it_is_up_failed_to_launch() -> None:
    state = registered()
    n.step(state, launch(), 0.0)
    (exited,) = reports(n.step(state, m.ExecutorEnded(E0, 1, 0, "ModuleNotFoundError"), 0.5))
    assert isinstance(exited, ExecutorExited)
    assert (exited.failed_to_launch, exited.exit_code, exited.log_tail) == (True, 1, "ModuleNotFoundError")
    assert exited.reason == "it exited with code 1 before it was up"


def test_one_that_does_not_come_up_is_killed_at_the_limit() -> None:
    state = registered()
    n.step(state, launch(), 0.0)
    assert only(n.step(state, m.Tick(), 59.9), m.Kill) == []
    assert only(n.step(state, m.Tick(), 60.0), m.Kill) == [m.Kill(E0)]
    assert only(n.step(state, m.Tick(), 61.0), m.Kill) == []
    (exited,) = reports(n.step(state, m.ExecutorEnded(E0, 0, 9, ""), 61.0))
    assert isinstance(exited, ExecutorExited)
    assert exited.failed_to_launch
    assert exited.reason == "it was not up within 1 min 0 s"


def test_what_the_node_can_never_run_is_refused_with_the_reason() -> None:
    for changes, text in (
        ({"memory_bytes": 1 << 20}, "less than the 32.0 MiB"),
        ({"memory_bytes": 9 * GIB}, "more than the node's 8.0 GiB"),
        ({"cores": 5}, "5 cores can't be had on a node with 4"),
    ):
        state = registered()
        actions = n.step(state, launch(**changes), 0.0)
        assert only(actions, m.Spawn) == []
        (exited,) = reports(actions)
        assert isinstance(exited, ExecutorExited)
        assert exited.failed_to_launch
        assert text in exited.reason


def test_stopping_lets_tasks_end_but_not_for_ever() -> None:
    state = registered()
    running(state)
    assert only(n.step(state, stop(), 10.0), m.AskToDrain) == [m.AskToDrain(E0)]
    again = n.step(state, stop(), 20.0)
    assert only(again, m.AskToDrain) == only(again, m.Kill) == []
    assert only(n.step(state, m.Tick(), 39.9), m.Kill) == []
    assert only(n.step(state, m.Tick(), 40.0), m.Kill) == [m.Kill(E0)]
    n.step(state, m.ReportAnswered(), 40.0)
    actions = n.step(state, m.ExecutorEnded(E0, 0, 9, ""), 40.1)
    (exited,) = reports(actions)
    assert isinstance(exited, ExecutorExited)
    assert (exited.asked, exited.reason) == (True, "not needed")


def test_stopping_now_kills_once_even_what_was_draining() -> None:
    state = registered()
    running(state)
    n.step(state, stop(), 10.0)
    assert only(n.step(state, stop(now=True), 10.1), m.Kill) == [m.Kill(E0)]
    assert only(n.step(state, stop(now=True), 10.2), m.Kill) == []


def test_blocks_go_only_after_the_last_executor() -> None:
    state = registered()
    running(state)
    running(state, ExecutorId("app-1/1"))
    actions = n.step(state, RemoveApplication(APP, 1, "it ended"), 1.0)
    assert len(only(actions, m.Kill)) == 2
    assert only(actions, m.DropApplication) == []
    assert only(n.step(state, m.ExecutorEnded(E0, 0, 9, ""), 1.1), m.DropApplication) == []
    assert only(n.step(state, m.ExecutorEnded(ExecutorId("app-1/1"), 0, 9, ""), 1.2), m.DropApplication) == [m.DropApplication(APP)]
    assert ack(n.step(state, launch(ExecutorId("app-1/2")), 2.0)) == (False, "application app-1 was removed")


def test_removing_an_application_again_drops_again_and_harms_nobody() -> None:
    state = registered()
    assert only(n.step(state, RemoveApplication(APP, 1, "it ended"), 1.0), m.DropApplication) == [m.DropApplication(APP)]
    assert ack(n.step(state, RemoveApplication(APP, 1, "it ended"), 1.0))[0]


def test_draining_ends_when_the_executors_have() -> None:
    state = registered()
    running(state)
    actions = n.step(state, m.DrainAsked("SIGTERM"), 1.0)
    assert only(actions, m.AskToDrain) == [m.AskToDrain(E0)]
    assert only(actions, m.Finish) == []
    assert not ack(n.step(state, launch(ExecutorId("app-1/1")), 1.5))[0]
    (finish,) = only(n.step(state, m.ExecutorEnded(E0, 0, 0, ""), 2.0), m.Finish)
    assert finish.message.epoch == 1
    assert only(n.step(state, m.Tick(), 3.0), m.Finish) == []
    assert n.wake_at(state) is None


def test_a_second_signal_kills() -> None:
    state = registered()
    running(state)
    n.step(state, m.DrainAsked("SIGTERM"), 1.0)
    assert only(n.step(state, m.DrainAsked("SIGTERM", now=True), 1.1), m.Kill) == [m.Kill(E0)]


def test_an_idle_node_finishes_at_once() -> None:
    assert len(only(n.step(registered(), m.DrainAsked("SIGTERM"), 1.0), m.Finish)) == 1
