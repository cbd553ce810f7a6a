"""Random stories with named properties. QUIVER_SIMULATION_SEEDS sets how many, QUIVER_SIMULATION_FIRST_SEED where they begin."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Callable

import pytest
from simulation import Simulation, Violation

from quiver.scheduler import barriers, lifecycle, placement, reports
from quiver.scheduler.executors import Executor
from quiver.scheduler.outputs import ShuffleOutputs
from quiver.scheduler.resources import Addresses
from quiver.scheduler.retries import Verdict
from quiver.scheduler.stages import StageRun
from quiver.scheduler.state import State

SEEDS = int(os.environ.get("QUIVER_SIMULATION_SEEDS", "1000"))
FIRST = int(os.environ.get("QUIVER_SIMULATION_FIRST_SEED", "0"))
MUST_SHOW = (
    "TaskDiscarded", "TaskAttemptFailed", "StageWasSkipped", "ShuffleForgotten", "WaitingBecause", "Kill", "succeeded", "failed",
    "cancelled", "stuck",
)  # fmt: skip


@pytest.mark.timeout(0)
def test_all_properties_hold_in_all_stories() -> None:
    seen: Counter[str] = Counter()
    for seed in range(FIRST, FIRST + SEEDS):
        story = Simulation(seed)
        seen.update(line.split("(")[0].strip() for line in story.run() if line.startswith(" "))
        seen.update(story.ended.values())
    for what in MUST_SHOW:
        assert SEEDS < 500 or seen[what], f"no story shows {what}: the simulation no longer reaches it"


def test_one_seed_is_one_story() -> None:
    for seed in range(20):
        assert Simulation(seed).run() == Simulation(seed).run()


def _broken(monkeypatch: pytest.MonkeyPatch, how: str) -> None:
    if how == "fenced tasks are not told apart":
        retire = lifecycle._retire
        monkeypatch.setattr(lifecycle, "_retire", lambda state, run: (retire(state, run), setattr(run, "over", False)))
    elif how == "a lost output is forgotten":
        monkeypatch.setattr(ShuffleOutputs, "lose", lambda *_: False)
    elif how == "a killed task is not run again":
        put_back = reports._put_back
        monkeypatch.setattr(reports, "_put_back", lambda state, run, p: put_back(state, run, p) if p else None)
    elif how == "failures are not counted":
        monkeypatch.setattr(reports, "verdict", lambda *_: Verdict.AGAIN)
    elif how == "room is misjudged":
        monkeypatch.setattr(Executor, "room_for", lambda self, cores, queue: self.cores + 1)
    elif how == "tasks of a barrier stage run again one by one":
        monkeypatch.setattr(reports, "barrier_verdict", lambda alone, *_: alone)
    elif how == "a barrier stage is launched as others are":
        monkeypatch.setattr(barriers, "place", _one_by_one)
    elif how == "what a lost executor did for a barrier stage counts":
        monkeypatch.setattr(lifecycle, "fail_attempt", _unless_lost(lifecycle.fail_attempt))
    elif how == "addresses are never given back":
        monkeypatch.setattr(Addresses, "give_back", lambda self, task_id: None)
    elif how == "addresses are given twice":
        take = Addresses.take
        monkeypatch.setattr(Addresses, "take", lambda self, task_id, needs: (take(self, task_id, needs), self.give_back(task_id))[0])


def _one_by_one(state: State, run: StageRun, now: float) -> None:
    if run.left and state.rooms.top >= run.cores:
        run.barrier = False
        placement._place(state, run, now)


def _unless_lost(fail: Callable[..., None]) -> Callable[..., None]:
    return lambda state, run, error, now: None if run.kept and error.startswith("executor") else fail(state, run, error, now)


@pytest.mark.parametrize(
    "how",
    [
        "fenced tasks are not told apart",
        "a lost output is forgotten",
        "a killed task is not run again",
        "failures are not counted",
        "room is misjudged",
        "tasks of a barrier stage run again one by one",
        "a barrier stage is launched as others are",
        "what a lost executor did for a barrier stage counts",
        "addresses are never given back",
        "addresses are given twice",
    ],
)
def test_a_broken_scheduler_is_noticed(monkeypatch: pytest.MonkeyPatch, how: str) -> None:
    _broken(monkeypatch, how)

    def tell() -> None:
        for seed in range(300):
            Simulation(seed).run()

    with pytest.raises((Violation, AssertionError, KeyError)):
        tell()
