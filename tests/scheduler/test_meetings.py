"""Who waits at a barrier for whom, and how long."""

from __future__ import annotations

import pytest

from quiver.scheduler.meetings import Meetings
from quiver_proto.ids import ExecutorId, StageId, TaskId
from quiver_proto.messages import BarrierArrived, BarrierReleased
from quiver_proto.task_context import ALL_GATHER, BARRIER

STAGE = StageId(7)


def meetings(width: int = 3) -> Meetings:
    made = Meetings(timeout_s=10.0)
    made.begin(STAGE, 0, width)
    made.launched(STAGE, 0, [TaskId(100 + i) for i in range(width)], range(width))
    return made


def arrive(held: Meetings, partition: int, number: int = 0, payload: bytes = BARRIER, now: float = 0.0) -> list[BarrierReleased]:
    return held.arrived(BarrierArrived(ExecutorId("a"), TaskId(100 + partition), STAGE, 0, partition, number, payload), now)


def test_all_are_released_by_the_last_with_what_each_brought() -> None:
    held = meetings()
    assert arrive(held, 2, payload=ALL_GATHER + b"c") == []
    assert arrive(held, 0, payload=ALL_GATHER + b"a") == []
    assert arrive(held, 1, payload=ALL_GATHER + b"b") == [
        BarrierReleased(STAGE, 0, 0, [ALL_GATHER + b"a", ALL_GATHER + b"b", ALL_GATHER + b"c"])
    ]


def test_rounds_follow_one_another() -> None:
    held = meetings(2)
    for number in range(3):
        assert arrive(held, 0, number) == []
        assert [release.round for release in arrive(held, 1, number)] == [number]


def test_a_message_that_comes_twice_counts_once() -> None:
    held = meetings(2)
    assert arrive(held, 0) == []
    assert arrive(held, 0) == []
    assert len(arrive(held, 1)) == 1
    assert arrive(held, 1) == []
    assert arrive(held, 0, 1) == []
    assert arrive(held, 0, 0) == []
    assert len(arrive(held, 1, 1)) == 1


def test_different_calls_can_not_meet() -> None:
    held = meetings()
    arrive(held, 0)
    (release,) = arrive(held, 1, payload=ALL_GATHER + b"x")
    assert "Different barrier sync types found for the sync Stage 7 (Attempt 0): allGather, barrier." in release.error
    # The third is told when it comes, whatever it calls.
    (late,) = arrive(held, 2)
    assert (late.round, late.error) == (0, release.error)


def test_who_ends_is_waited_for_no_more() -> None:
    held = meetings()
    arrive(held, 0)
    (release,) = held.ended([TaskId(102), TaskId(999)])
    assert "barrier epoch 0 from Stage 7 (Attempt 0) tasks have ended without it: partition 2." in release.error


def test_who_comes_when_another_has_ended_is_told() -> None:
    held = meetings(2)
    assert held.ended([TaskId(101)]) == []
    (release,) = arrive(held, 0)
    assert "ended without it: partition 1" in release.error


def test_ending_after_the_last_meeting_is_no_fault() -> None:
    held = meetings(2)
    arrive(held, 0)
    arrive(held, 1)
    assert held.ended([TaskId(100)]) == []
    assert held.ended([TaskId(101)]) == []


def test_time_runs_from_the_first_that_comes() -> None:
    held = meetings()
    assert held.next_deadline() is None
    arrive(held, 0, now=5.0)
    arrive(held, 2, now=9.0)
    assert held.next_deadline() == 15.0
    assert held.tick(14.9) == []
    (release,) = held.tick(15.0)
    assert release.error.endswith("from Stage 7 (Attempt 0) within 10 second(s); these have not come: partition 1.")
    assert held.next_deadline() is None
    assert held.tick(99.0) == []


def test_a_new_round_has_time_of_its_own() -> None:
    held = meetings(2)
    arrive(held, 0, now=0.0)
    arrive(held, 1, now=9.0)
    assert held.next_deadline() is None
    arrive(held, 1, 1, now=12.0)
    assert held.next_deadline() == 22.0


@pytest.mark.parametrize("end", [True, False])
def test_an_attempt_that_is_over_is_forgotten(end: bool) -> None:
    held = meetings()
    arrive(held, 0)
    held.over(STAGE, 0)
    held.over(STAGE, 1)
    assert not held
    assert arrive(held, 1) == []
    assert held.ended([TaskId(101)]) == []
    if end:
        held.begin(STAGE, 1, 1)
        held.launched(STAGE, 1, [TaskId(200)], [0])
        arrived = BarrierArrived(ExecutorId("a"), TaskId(200), STAGE, 1, 0, 0, BARRIER)
        assert held.arrived(arrived, 0.0) == [BarrierReleased(STAGE, 1, 0, [BARRIER])]


def test_other_stages_are_none_of_its_business() -> None:
    held = meetings()
    held.launched(StageId(8), 0, [TaskId(1)], [0])
    assert held.arrived(BarrierArrived(ExecutorId("a"), TaskId(1), StageId(8), 0, 0, 0, BARRIER), 0.0) == []
