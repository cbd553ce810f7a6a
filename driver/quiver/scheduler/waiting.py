"""Why something waits, in the user's words; telling it; and ending what can't go on."""

from __future__ import annotations

from quiver.scheduler.barriers import free_slots, slots
from quiver.scheduler.jobs import Job
from quiver.scheduler.lifecycle import end_badly
from quiver.scheduler.locality import ANY
from quiver.scheduler.model import WaitingBecause
from quiver.scheduler.resources import best, described
from quiver.scheduler.stages import Stage, StageRun, StageState
from quiver.scheduler.state import State
from quiver_proto.errors import BarrierTooWide, QuiverError, ResourcesUnavailable
from quiver_proto.ids import StageId
from quiver_proto.units import format_seconds

SHORTEST_INTERVAL_S = 0.1
"""Between two looks at one job."""


def job_reason(state: State, job: Job) -> str:
    """ "" while any of its tasks runs."""
    if job.running():
        return ""
    return _attempt_reason(state, _blocked(job))[0]


def stage_reason(state: State, stage: Stage) -> str:
    """ "" for a stage that runs or is not needed."""
    match stage.state:
        case StageState.IDLE:
            return ""
        case StageState.WAITING:
            waits = [f"{parent!r}: {_tasks_left(parent)}" for parent in stage.absent_parents()]
            return f"{stage!r} waits for {'; '.join(waits)}"
        case StageState.ACTIVE:
            assert stage.run is not None
            return "" if stage.run.running else _attempt_reason(state, stage.run)[0]


def check(state: State, now: float) -> None:
    """Tell jobs that have waited long enough why; end those that can't go on."""
    policy = state.policy
    state.check_at = None
    interval = max(policy.waiting_notice_s, SHORTEST_INTERVAL_S)
    for job in list(state.jobs.values()):
        if job.id not in state.jobs:
            continue
        if job.running():
            if job.told:
                _tell(state, job, None, "")
            state.check_by(now + interval)
            continue
        since = job.idle_since()
        run = _blocked(job)
        reason, hopeless = _attempt_reason(state, run)
        # Executors are there, and all too small: more of the same will not help, so that is told soon.
        too_small = hopeless and any(not executor.draining for executor in state.executors.values())
        limit = min(policy.unsuitable_limit_s, policy.no_progress_limit_s) if too_small else policy.no_progress_limit_s
        gives_up_at = max(since, state.lost_at) + limit
        error: QuiverError | None = _too_wide(state, run)
        if error is None and too_small and run.needs is not None:
            error = _none_has(state, run)
        elif error is not None:
            gives_up_at = max(since, state.lost_at, state.registered_at) + min(policy.barrier_slots_limit_s, policy.no_progress_limit_s)
        if hopeless and (state.cluster_final or now >= gives_up_at):
            end_badly(state, job, "stuck", reason, stage=run.stage, error=error)
            continue
        if now < since + policy.waiting_notice_s:
            state.check_by(since + policy.waiting_notice_s)
        else:
            if reason != job.told:
                _tell(state, job, run.stage_id, reason)
            state.check_by(now + interval)
        if hopeless:
            state.check_by(gives_up_at)


def _too_wide(state: State, run: StageRun) -> BarrierTooWide | None:
    """A barrier stage with more tasks than all executors that are there can run at once."""
    if not run.barrier or not state.total_cores:
        return None
    there = slots(state, run)
    return BarrierTooWide(repr(run.stage), run.left, there) if 0 < there < run.left else None


def _tell(state: State, job: Job, stage_id: StageId | None, reason: str) -> None:
    state.told += bool(reason) - bool(job.told)
    job.told = reason
    state.actions.append(WaitingBecause(job.id, stage_id, reason))


def _blocked(job: Job) -> StageRun:
    """What a job with nothing running waits to launch. There is always one: whoever waits for a parent has an active ancestor."""
    for stage in job.stages:
        if stage.run is not None and job in stage.jobs:
            return stage.run
    raise AssertionError(f"job {job.id} has no active stage: {[(stage, stage.state.value, list(stage.history)) for stage in job.stages]}")


def _tasks_left(stage: Stage) -> str:
    return f"{len(stage.missing())} of {stage.spec.width} tasks left"


def _attempt_reason(state: State, run: StageRun) -> tuple[str, bool]:
    """Why nothing of the attempt runs, and whether no executor that is there could ever run it."""
    usable = [executor.cores for executor in state.executors.values() if not executor.draining]
    cluster = f": {state.cluster_reason}" if state.cluster_reason else ""
    if not usable:
        if state.executors:
            return (
                f"{run.stage!r} waits for an executor: {_executors(len(state.executors))} there, draining: nothing new goes there{cluster}",
                True,
            )
        return f"no executor{cluster or ': none has registered yet'}", True
    largest = max(usable)
    if largest < run.cores:
        return f"{run.stage!r} needs {run.cores} cores per task; the largest executor has {largest}{cluster}", True
    if run.barrier:
        error = _too_wide(state, run)
        if error is not None:
            return f"{error.message}{cluster}", True
        if not slots(state, run) and run.needs is not None:
            return _nobody_has(state, run)
        free = f"{free_slots(state, run)} of {slots(state, run)} are free{_by(state)}"
        return f"{run.stage!r} needs {run.left} slots at the same time; {free}", False
    if run.needs is not None:
        if not slots(state, run):
            return _nobody_has(state, run)
        return f"{run.stage!r} waits for a free slot with {described(run)}: {slots(state, run)} such slots are busy{_by(state)}", False
    top = state.rooms.top
    if 0 < top < run.cores:
        return f"{run.stage!r} needs {run.cores} free cores on one executor; the most free ones are {top}", False
    near = run.nearby
    if top > 0 and (run.avoid or (near is not None and near.left and near.level < ANY)):
        what = "another executor than where its task failed" if run.avoid else "an executor near its data"
        return f"{run.stage!r} waits up to {format_seconds(state.policy.locality_wait_s)} for {what}", False
    return f"{run.stage!r} waits for a free slot: all {state.total_cores} cores of {_executors(len(usable))} are busy{_by(state)}", False


def _nobody_has(state: State, run: StageRun) -> tuple[str, bool]:
    return _none_has(state, run).message, True


def _none_has(state: State, run: StageRun) -> ResourcesUnavailable:
    there = [executor for executor in state.executors.values() if not executor.draining]
    return ResourcesUnavailable(
        f"{described(run)}, which {run.stage!r} needs,",
        f"the most that an executor has: {best(there, run)}",
        "Set spark.executor.resource.NAME.amount, spark.executor.cores or spark.executor.memory for the application: no executors are "
        "launched for a profile.",
    )


def _executors(count: int) -> str:
    return f"{count} executor{'' if count == 1 else 's'}"


def _by(state: State) -> str:
    """Names the first stages that run something."""
    names = [repr(run.stage) for run in sorted(state.active.values(), key=lambda run: run.key) if run.running]
    if not names:
        return ""
    return f" with {', '.join(names[:3])}" + (f" and {len(names) - 3} more stages" if len(names) > 3 else "")
