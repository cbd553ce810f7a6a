"""Sessions and their jobs over one driver. The driver is scripted; everything else is what `driver serve` runs."""

from __future__ import annotations

import pickle
import zlib
from array import array
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from scripted_driver import SITE, Scripted, job

from quiver.plan.model import PlannedJob, PlannedStage
from quiver.runner.failures import JobFailure
from quiver.scheduler.model import Preference, StageSpec
from quiver.serve import host as host_module
from quiver.serve.host import SessionHost
from quiver.serve.outcome import PIECE_BYTES, failed, pieces, to_exception
from quiver.serve.plans import from_message, to_message
from quiver.serve.sessions import ID_RANGE, SessionLost, SessionTable
from quiver_proto import codec
from quiver_proto.broadcast_file import PIECE_BYTES as PIECE_BYTES_SENT
from quiver_proto.errors import JobCancelled, MalformedMessage, PathNotFound, QuiverError, TaskFailed
from quiver_proto.events import ApplicationEnded, QueryStarted, encode
from quiver_proto.ids import ExecutorId, JobId, NodeId, ShuffleId, StageId, TaskId
from quiver_proto.messages import FailureKind, TaskFailure
from quiver_proto.sessions import (
    AskStatus,
    CancelJobs,
    CloseSession,
    ExecutePlan,
    OpenSession,
    PlanEvent,
    PlanFailed,
    PlanProgress,
    PlanResults,
    PlanSucceeded,
    PlanWaiting,
    ReleaseBroadcast,
    ReleaseShuffle,
    ReportQuery,
    SendBroadcast,
    SessionHeartbeat,
)


class World:
    """A host on a scripted driver and a clock that the test moves."""

    def __init__(self) -> None:
        self.driver = Scripted()
        self.now = 100.0
        self.seen: tuple[Sequence[PlanProgress], str] = ((), "")
        self.host = SessionHost(self.driver, lambda job: self.seen, lambda: self.now, {"a": "b"}, 120.0, 5.0)

    def open(self, name: str = "s1") -> int:
        return self.host.open(OpenSession(name, "app", "me", "here", 1)).id_base

    def events(self, session: str, number: int, **changes: Any) -> Iterator[PlanEvent]:
        return self.host.execute(to_message(session, job(number, **changes)))

    def bodies(self, session: str, number: int, **changes: Any) -> list[object]:
        return [message.event for message in self.events(session, number, **changes)]


@pytest.fixture
def world() -> World:
    return World()


@pytest.fixture(autouse=True)
def quick_looks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(host_module, "LOOK_INTERVAL_S", 0.001)


def test_plans_survive_the_wire() -> None:
    preferred = {1: (Preference(NodeId("n"), ExecutorId("e"), 0), Preference(NodeId("m")))}
    some = StageSpec(
        StageId(4), "some", 3, (StageId(3),), (ShuffleId(9),), partitions=(2, 0), cores_per_task=2, preferred=preferred
    )  # fmt: skip
    planned = PlannedJob(
        JobId(7), (*job(3, shuffle=9).stages[:1], PlannedStage(some, b"b", lambda i: b"s%d" % i, (SITE,))), SITE, {"p": "q"}
    )
    back = from_message(codec.decode(ExecutePlan, codec.encode(to_message("s", planned))))
    assert (back.job_id, back.call_site, dict(back.properties)) == (7, SITE, {"p": "q"})
    assert [stage.spec for stage in back.stages] == [stage.spec for stage in planned.stages]
    assert [stage.body for stage in back.stages] == [b"map", b"b"]
    assert [back.stages[0].split(i) for i in range(2)] == [b"m0", b"m1"]
    # Only the partitions that the job wants have a split.
    assert [back.stages[1].split(i) for i in range(3)] == [b"s0", b"", b"s2"]
    assert back.stages[1].operators == (SITE,)


def test_id_ranges_never_meet() -> None:
    table = SessionTable(10.0)
    first = table.open("a", "", "", 0.0)
    assert table.open("a", "", "", 1.0) is first
    table.close("a")
    second = table.open("a", "", "", 2.0)
    assert second.id_base == first.id_base + ID_RANGE
    assert table.owns(second, second.id_base)
    assert not table.owns(second, first.id_base + ID_RANGE - 1)
    assert not table.owns(second, second.id_base + ID_RANGE)


def test_results_come_in_order_and_in_pieces(world: World) -> None:
    base = world.open()
    frames = [b"a" * 10, b"b" * PIECE_BYTES, b"", b"c"]
    world.driver.end(base, lambda: frames)
    bodies = world.bodies("s1", base)
    results = [body for body in bodies if isinstance(body, PlanResults)]
    assert [frame for piece in results for frame in piece.frames] == frames
    assert [piece.first for piece in results] == [0, 1, 3]
    assert bodies[-1] == PlanSucceeded(4)


def test_pieces_of_nothing_and_of_empty_frames() -> None:
    assert list(pieces([])) == []
    assert [piece.frames for piece in pieces([b"", b""])] == [(b"", b"")]


def test_a_job_asked_for_twice_runs_once_and_both_see_its_end(world: World) -> None:
    base = world.open()
    world.seen = ((PlanProgress(StageId(base), "result", 3, 1, 1, 0, "running"),), "")
    first, second = world.events("s1", base), world.events("s1", base)
    assert isinstance(next(first).event, PlanProgress)
    assert isinstance(next(second).event, PlanProgress)
    world.driver.end(base, lambda: [b"x"])
    for stream in (first, second):
        assert [message.event for message in stream] == [PlanResults(0, (b"x",)), PlanSucceeded(1)]
    assert world.bodies("s1", base)[-1] == PlanSucceeded(1)
    assert world.driver.started == [base]


def test_waiting_is_told_once_and_taken_back(world: World) -> None:
    base = world.open()
    world.seen = ((), "no executor yet")
    stream = world.events("s1", base)
    assert next(stream).event == PlanWaiting("no executor yet")
    world.seen = ((), "")
    assert next(stream).event == PlanWaiting("")
    world.driver.end(base, list)
    assert [message.event for message in stream] == [PlanSucceeded(0)]


def test_a_users_exception_keeps_its_type_and_is_opened_by_the_client_only(world: World) -> None:
    base = world.open()
    failure = TaskFailure(
        TaskId(1), FailureKind.USER, "ZeroDivisionError", "no", "trace", pickle.dumps(ZeroDivisionError("no")), operator="map at app.py:3"
    )

    def fail() -> Sequence[bytes]:
        raise JobFailure(failure=failure, partition=5, attempts=4)

    world.driver.end(base, fail)
    (end,) = world.bodies("s1", base)
    assert isinstance(end, PlanFailed)
    assert end.exception == failure.exception
    exception = to_exception(codec.decode(PlanFailed, codec.encode(end)))
    assert type(exception) is ZeroDivisionError
    assert "map at app.py:3, partition 5" in exception.__notes__[0]


def test_exceptions_that_can_not_be_opened_tell_their_type_and_text() -> None:
    failure = TaskFailure(TaskId(1), FailureKind.USER, "mylib.Odd", "text", "trace", b"not a pickle")
    exception = to_exception(failed(JobFailure(failure=failure)))
    assert isinstance(exception, TaskFailed)
    assert "mylib.Odd: text" in str(exception)


def test_errors_of_ours_keep_their_type() -> None:
    task = TaskFailure(TaskId(1), FailureKind.FATAL, "PathNotFound", "", error=("PathNotFound", ("/x", "/x")))
    assert isinstance(to_exception(failed(JobFailure(failure=task))), PathNotFound)
    assert isinstance(to_exception(failed(JobFailure(error=JobCancelled(3, "why")))), JobCancelled)
    strange = to_exception(failed(RuntimeError("engine")))
    assert type(strange) is QuiverError
    assert "RuntimeError: engine" in str(strange)


def test_cancelling_concerns_only_the_session_s_own_jobs(world: World) -> None:
    one, two = world.open("s1"), world.open("s2")
    world.seen = ((), "waits")
    streams = [world.events("s1", one, group="g"), world.events("s1", one + 10), world.events("s2", two, group="g")]
    for stream in streams:
        next(stream)
    assert world.host.cancel(CancelJobs("s1", group="g", reason="why")).done
    assert world.driver.cancelled == [(one, "why")]
    assert not world.host.cancel(CancelJobs("s1", JobId(two))).done
    assert world.host.cancel(CancelJobs("s1")).done
    asked = {number for number, _ in world.driver.cancelled[1:]}
    assert one + 10 in asked
    assert two not in asked
    world.driver.end(two, list)
    ends = [[message.event for message in stream][-1] for stream in streams]
    assert [type(end) for end in ends] == [PlanFailed, PlanFailed, PlanSucceeded]


def test_a_job_that_is_cancelled_before_it_comes_does_not_begin(world: World) -> None:
    base = world.open()
    assert not world.host.cancel(CancelJobs("s1", JobId(base + 1), "", "not wanted")).done
    with pytest.raises(JobCancelled, match="not wanted"):
        world.bodies("s1", base + 1)
    assert world.driver.started == []


def test_a_session_sees_the_status_of_its_own_jobs_only(world: World) -> None:
    one, two = world.open("s1"), world.open("s2")
    for number in (one, two):
        world.driver.end(number, list)
    world.bodies("s1", one)
    world.bodies("s2", two)
    assert [row.job_id for row in world.host.status(AskStatus("s1", "jobs")).jobs] == [one]
    assert [row.stage_id for row in world.host.status(AskStatus("s2", "stages")).stages] == [two]
    assert len(world.host.status(AskStatus("s2", "executors")).executors) == 1
    with pytest.raises(SessionLost):
        world.host.status(AskStatus("gone", "jobs"))


def test_queries_are_told_by_their_own_session_only(world: World) -> None:
    base = world.open()
    other = world.open("s2")
    started = QueryStarted(1.0, base + 3, "collect", "collect at a.py:1", ["SELECT 1"], tags=[])
    assert world.host.report_query(ReportQuery("s1", encode(started))).done
    assert world.driver.events == [started]
    for line in (encode(replace(started, query_id=other)), encode(ApplicationEnded(1.0)), "no JSON", "{}", '{"event":"QueryEnded"}'):
        assert not world.host.report_query(ReportQuery("s1", line)).done
    assert world.driver.events == [started]


def test_a_group_is_refused_in_its_session_only(world: World) -> None:
    one, two = world.open("s1"), world.open("s2")
    world.host.cancel(CancelJobs("s1", group="g", reason="no more", future=True))
    with pytest.raises(JobCancelled, match="no more"):
        world.bodies("s1", one, group="g")
    for number in (one + 1, two):
        world.driver.end(number, list)
    assert isinstance(world.bodies("s1", one + 1)[-1], PlanSucceeded)
    assert isinstance(world.bodies("s2", two, group="g")[-1], PlanSucceeded)


def test_a_closed_session_leaves_nothing(world: World) -> None:
    base = world.open()
    world.seen = ((), "waits")
    stream = world.events("s1", base, shuffle=base + 5)
    next(stream)
    assert world.host.close(CloseSession("s1")).done
    assert [number for number, _ in world.driver.cancelled] == [base]
    assert world.driver.released == [base + 5]
    assert world.host.sessions == 0
    assert not world.host.close(CloseSession("s1")).done
    assert not world.host.beat(SessionHeartbeat("s1")).known
    with pytest.raises(SessionLost):
        world.bodies("s1", base + 1)


def test_a_silent_session_expires_and_its_work_with_it(world: World) -> None:
    base = world.open("s1")
    world.open("s2")
    world.seen = ((), "waits")
    next(world.events("s1", base, shuffle=base + 5))
    world.now += 119
    assert world.host.beat(SessionHeartbeat("s2")).known
    world.host.sweep()
    assert world.host.sessions == 2
    world.now += 2
    world.host.sweep()
    assert world.host.sessions == 1
    assert world.driver.released == [base + 5]
    assert world.driver.cancelled[-1][0] == base


def test_a_job_without_listener_is_cancelled_after_a_while_but_not_at_once(world: World) -> None:
    base = world.open()
    world.seen = ((), "waits")
    stream = world.events("s1", base)
    next(stream)
    stream.close()
    world.now += 20
    world.host.sweep()
    assert world.driver.cancelled == []
    world.now += 20
    world.host.sweep()
    assert [number for number, _ in world.driver.cancelled] == [base]


def test_delivered_outcomes_are_forgotten_and_never_run_again(world: World) -> None:
    base = world.open()
    world.driver.end(base, lambda: [b"x"])
    world.driver.end(base + 1, lambda: [b"y" * (host_module.SMALL_OUTCOME_BYTES + 1)])
    world.bodies("s1", base)
    world.bodies("s1", base + 1)
    world.host.sweep()
    assert world.bodies("s1", base)[-1] == PlanSucceeded(1)
    with pytest.raises(QuiverError, match="delivered before"):
        world.bodies("s1", base + 1)
    world.now += host_module.KEEP_OUTCOME_S + 1
    world.host.beat(SessionHeartbeat("s1"))
    world.host.sweep()
    with pytest.raises(QuiverError, match="delivered before"):
        world.bodies("s1", base)
    assert world.driver.started == [base, base + 1]


def test_ids_of_another_session_are_refused(world: World) -> None:
    world.open("s1")
    other = world.open("s2")
    for changes in ({}, {"shuffle": other + 1}):
        with pytest.raises(QuiverError, match="outside the session's range"):
            world.bodies("s1", other, **changes)
    assert world.driver.started == []


def test_shuffles_are_released_once_and_only_by_their_owner(world: World) -> None:
    base = world.open("s1")
    world.open("s2")
    world.driver.end(base, list)
    world.bodies("s1", base, shuffle=base + 5)
    assert not world.host.release(ReleaseShuffle("s2", ShuffleId(base + 5))).done
    assert world.host.release(ReleaseShuffle("s1", ShuffleId(base + 5))).done
    assert not world.host.release(ReleaseShuffle("s1", ShuffleId(base + 5))).done
    assert world.driver.released == [base + 5]


def test_only_so_many_jobs_at_once(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(host_module, "MOST_JOBS", 1)
    base = world.open()
    world.seen = ((), "waits")
    stream = world.events("s1", base)
    next(stream)
    with pytest.raises(QuiverError, match="another job can't be had"):
        world.bodies("s1", base + 1)
    world.driver.end(base, list)
    list(stream)
    world.driver.end(base + 1, list)
    assert world.bodies("s1", base + 1)[-1] == PlanSucceeded(0)


def test_a_draining_driver_takes_nothing_new_and_ends_what_runs(world: World) -> None:
    base = world.open()
    world.seen = ((), "waits")
    stream = world.events("s1", base)
    next(stream)
    assert not world.host.drain()
    with pytest.raises(QuiverError, match="shutting down"):
        world.bodies("s1", base + 1)
    world.driver.end(base, list)
    list(stream)
    assert world.host.drain()


def pieces_of_broadcast(number: int, data: bytes) -> list[SendBroadcast]:
    cut = [data[at : at + PIECE_BYTES_SENT] for at in range(0, len(data), PIECE_BYTES_SENT)]
    sums = array("I", map(zlib.crc32, cut)).tobytes()
    return [SendBroadcast("s1", number, len(data), sums, i, piece) for i, piece in enumerate(cut)]


def test_a_broadcast_comes_in_pieces_and_goes_with_its_session(world: World, tmp_path: Path) -> None:
    world.driver.directory = str(tmp_path)
    number = world.open() + 3
    first, second = pieces_of_broadcast(number, bytes(range(256)) * (20 << 10))
    for _ in range(2):  # Sent again, a piece changes nothing.
        world.host.send_broadcast(second)
    assert not world.driver.broadcasts
    world.host.send_broadcast(first)
    table = world.driver.broadcasts[number]
    assert Path(table.path).read_bytes() == bytes(range(256)) * (20 << 10) + b"\1\1"
    assert world.host.release_broadcast(ReleaseBroadcast("s1", number, False, True)).done
    world.host.close(CloseSession("s1"))
    assert world.driver.removed == [(number, False, True), (number, True, False)]


def test_pieces_that_can_not_be_are_refused(world: World, tmp_path: Path) -> None:
    world.driver.directory = str(tmp_path)
    number = world.open() + 3
    first, second = pieces_of_broadcast(number, b"x" * (5 << 20))
    wrong = [
        replace(first, data=b"y" + first.data[1:]), replace(first, data=first.data[:-1]), replace(second, piece=2),
        replace(first, piece=-1), replace(first, size=0), replace(first, checksums=b"abc"),
    ]  # fmt: skip
    for piece in wrong:
        with pytest.raises(MalformedMessage, match="piece"):
            world.host.send_broadcast(piece)
    with pytest.raises(QuiverError, match="range"):
        world.host.send_broadcast(replace(first, broadcast_id=3))
    assert not list(tmp_path.rglob("*/*"))
    assert not world.host.release_broadcast(ReleaseBroadcast("s1", number + 1, True, False)).done
