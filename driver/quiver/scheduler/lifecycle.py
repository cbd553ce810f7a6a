"""How jobs and stages begin and end. Stages are demanded lazily, from the result stage up, so what is there already is skipped."""

from __future__ import annotations

from collections.abc import Iterable

from quiver.scheduler.caching import absent_parents, preferred
from quiver.scheduler.executors import Executor
from quiver.scheduler.jobs import Job, check
from quiver.scheduler.model import (
    JobEndedBadly,
    JobSpec,
    JobSucceeded,
    Kill,
    ShuffleForgotten,
    StageBegan,
    StageFinished,
    StageSpec,
    StageWasSkipped,
    TaskDiscarded,
)
from quiver.scheduler.outputs import ShuffleOutputs
from quiver.scheduler.placement import queue_depth
from quiver.scheduler.stages import IllegalTransition, Stage, StageRun, StageState
from quiver.scheduler.state import State
from quiver_proto.errors import QuiverError, to_wire
from quiver_proto.ids import ShuffleId, TaskId
from quiver_proto.messages import TaskFailure

TRUSTED_QUEUE = 4
"""Tasks that may wait per slot when a stage is only known by the durations of an earlier one from the same line."""


def submit(state: State, spec: JobSpec, now: float) -> None:
    """Raises ValueError for an impossible job, IllegalTransition for an id in use; neither changes anything."""
    check(spec)
    if spec.job_id in state.jobs:
        raise IllegalTransition(f"job {spec.job_id}", "from running to submitted", [])
    for stage_spec in spec.stages:
        _check_reuse(state, stage_spec)
    job = Job(spec, now)
    state.jobs[job.id] = job
    job.stages = [_stage(state, stage_spec, job) for stage_spec in spec.stages]
    result = job.result
    if result.missing() or (result.spec.makes_parents and absent_parents(state, result)):
        demand(state, [result], {job}, now)
    for stage in job.stages:
        if stage is not result and job not in stage.jobs:
            state.actions.append(StageWasSkipped(job.id, stage.spec.stage_id))
    if not result.jobs:
        _succeed(state, job)
    state.check_by(now if state.cluster_final else now + min(state.policy.waiting_notice_s, state.policy.no_progress_limit_s))


def _check_reuse(state: State, spec: StageSpec) -> None:
    known = state.stages.get(spec.stage_id)
    if known is not None and (known.outputs is None or known.spec.shuffle_id != spec.shuffle_id or known.spec.width != spec.width):
        raise ValueError(f"stage {spec.stage_id} ({spec.name}) is not the {known!r} that has this id")
    if spec.shuffle_id is not None and state.shuffles.get(spec.shuffle_id, known) is not known:
        raise ValueError(f"shuffle {spec.shuffle_id} is written by {state.shuffles[spec.shuffle_id]!r}, not by stage {spec.stage_id}")


def _stage(state: State, spec: StageSpec, job: Job) -> Stage:
    stage = state.stages.get(spec.stage_id)
    if stage is None:
        outputs = None if spec.shuffle_id is None else ShuffleOutputs(spec.shuffle_id, spec.width)
        stage = state.stages[spec.stage_id] = Stage(spec, outputs, job if outputs is None else None)
        if spec.shuffle_id is not None:
            state.shuffles[spec.shuffle_id] = stage
    elif stage.state is StageState.IDLE:
        stage.spec = spec
    stage.users += 1
    if spec.caching is not None:
        state.blocks.datasets.update((dataset.dataset_id, dataset) for dataset in spec.caching.datasets)
    stage.parents = [state.stages[parent] for parent in spec.parents]
    for parent in stage.parents:
        parent.children.add(stage)
    return stage


def demand(state: State, stages: Iterable[Stage], jobs: set[Job], now: float) -> None:
    """Have these incomplete stages computed for these jobs, and what they need before. Needs no recursion, however long the lineage."""
    todo = list(stages)
    while todo:
        stage = todo.pop()
        if stage.state is not StageState.IDLE and jobs <= stage.jobs:
            continue
        stage.jobs |= jobs
        if stage.state is StageState.IDLE:
            stage.become(StageState.WAITING, f"needed by {', '.join(f'job {job.id}' for job in _in_order(jobs))}")
        if stage.state is StageState.WAITING:
            absent = absent_parents(state, stage)
            if absent:
                todo += reversed(absent)
            else:
                _activate(state, stage, now)


def resolve(state: State, stage: Stage, now: float) -> None:
    """A waiting stage looks at its parents again: it becomes active, or has the missing ones made."""
    if stage.state is not StageState.WAITING:
        return
    absent = absent_parents(state, stage)
    if absent:
        demand(state, absent, set(stage.jobs), now)
    else:
        _activate(state, stage, now)


def _succeed(state: State, job: Job) -> None:
    """End a job whose result has no partition that is still to be computed."""
    result = job.result.spec.stage_id
    state.actions += StageBegan(result, 0, ()), StageFinished(result, 0, "succeeded")
    _end(state, job)
    state.actions.append(JobSucceeded(job.id))


def _activate(state: State, stage: Stage, now: float) -> None:
    if stage.owner is not None and stage.spec.makes_parents:
        _succeed(state, stage.owner)
        return
    stage.become(StageState.ACTIVE, "its inputs are there")
    key = (min(job.id for job in stage.jobs), stage.spec.stage_id)
    expected = state.durations.get(stage.spec.name)
    queue = 0
    if stage.spec.barrier:
        if stage.outputs is not None:
            stage.outputs.lose_all()
        state.check_by(now + state.policy.barrier_slots_limit_s)
    elif expected is not None and stage.spec.cores_per_task == 1 and stage.spec.needs is None:
        queue = min(queue_depth(expected, state.policy), TRUSTED_QUEUE)
    missing = stage.missing()
    places = None if stage.spec.caching is None else preferred(state, stage, missing)
    run = StageRun(stage, stage.attempt + 1, missing, key, queue, now, places)
    if places is not None:
        run.skipped = frozenset(parent.spec.shuffle_id for parent in stage.absent_parents() if parent.spec.shuffle_id is not None)
    if stage.spec.needs is not None:
        state.check_by(now + state.policy.unsuitable_limit_s)
    stage.run = run
    state.active[run.stage_id] = run
    if run.nearby is not None:
        for partition in reversed(run.partitions):
            if run.preferred.get(partition):
                run.nearby.add(partition, state.executors, state.nodes)
        state.located[run] = None
    state.enqueue(run)
    if state.cluster_final:
        state.check_by(now)


def finish(state: State, run: StageRun, now: float) -> None:
    """Every partition of the attempt is done."""
    stage = run.stage
    _retire(state, run)
    if run.ended:
        state.remember_duration(stage.spec.name, run.seconds / run.ended)
    outputs = stage.outputs
    if outputs is not None and not outputs.complete:
        lost = outputs.absent
        state.actions.append(StageFinished(run.stage_id, run.attempt, "failed", f"{lost} of its outputs were lost while it ran"))
        stage.become(StageState.WAITING, f"{lost} outputs lost while attempt {run.attempt} ran")
        resolve(state, stage, now)
        return
    stage.failures_in_row = 0
    stage.distrusts_cache = False
    state.actions.append(StageFinished(run.stage_id, run.attempt, "succeeded"))
    stage.become(StageState.IDLE, f"attempt {run.attempt} finished")
    stage.jobs.clear()
    if stage.owner is not None:
        _end(state, stage.owner)
        state.actions.append(JobSucceeded(stage.owner.id))
        return
    for child in _by_id(stage.children):
        resolve(state, child, now)


def fail_attempt(state: State, run: StageRun, error: str, now: float) -> None:
    """The attempt can't go on, because an input was lost. Its results so far count; its running tasks are fenced and killed."""
    _stop(state, run, "failed", error)
    run.stage.become(StageState.WAITING, f"attempt {run.attempt} failed: {error}")
    resolve(state, run.stage, now)


def outputs_lost(state: State, stage: Stage, error: str, now: float, fail_begun: bool) -> None:
    """Some outputs of `stage` are no more. Those who read them and are needed by a job make sure they are made again.

    `fail_begun`: attempts that began with the old outputs fail as well (else they find out, if they still need them).
    """
    for child in _by_id(stage.children):
        run = child.run
        if child.state is StageState.WAITING:
            resolve(state, child, now)
        elif run is not None and (fail_begun or not run.begun):
            fail_attempt(state, run, error, now)


def fail_jobs(state: State, stage: Stage, status: str, reason: str, failure: TaskFailure | None = None, partition: int = -1) -> None:
    """End every job that needs the stage."""
    jobs = _in_order(stage.jobs)
    if stage.run is not None:
        _stop(state, stage.run, status, reason)
    stage.jobs.clear()
    stage.become(StageState.IDLE, f"{status}: {reason}")
    for job in jobs:
        end_badly(state, job, status, reason, failure, partition, stage)


def end_badly(
    state: State,
    job: Job,
    status: str,
    reason: str,
    failure: TaskFailure | None = None,
    partition: int = -1,
    stage: Stage | None = None,
    error: QuiverError | None = None,
) -> None:
    _end(state, job)
    stage_id = None if stage is None else stage.spec.stage_id
    told = None if error is None else to_wire(error)
    state.actions.append(JobEndedBadly(job.id, status, reason, failure, partition, stage_id, told))


def release(state: State, shuffle_id: ShuffleId) -> None:
    """Forget the shuffle as soon as no running job has it in its graph. An unknown one has nothing to forget."""
    stage = state.shuffles.get(shuffle_id)
    if stage is None or stage.outputs is None or stage.outputs.released:
        return
    stage.outputs.released = True
    if stage.users == 0:
        _forget(state, stage)


def _end(state: State, job: Job) -> None:
    del state.jobs[job.id]
    if job.told:
        state.told -= 1
    for stage in job.stages:
        stage.users -= 1
        if job in stage.jobs:
            stage.jobs.discard(job)
            if not stage.jobs:
                if stage.run is not None:
                    _stop(state, stage.run, "cancelled", f"no job needs it after the end of job {job.id}")
                stage.become(StageState.IDLE, f"job {job.id}, the last that needed it, ended")
    _remove(state, job.result)
    for stage in reversed(job.stages):
        if stage.users == 0 and stage.outputs is not None and stage.outputs.released:
            _forget(state, stage)
    job.stages = []


def _forget(state: State, stage: Stage) -> None:
    assert stage.outputs is not None
    _remove(state, stage)
    del state.shuffles[stage.outputs.shuffle_id]
    state.actions.append(ShuffleForgotten(stage.outputs.shuffle_id))


def _remove(state: State, stage: Stage) -> None:
    del state.stages[stage.spec.stage_id]
    for parent in stage.parents:
        parent.children.discard(stage)


def _stop(state: State, run: StageRun, status: str, error: str) -> None:
    """After this nothing that the attempt's tasks report changes anything but the room at their executors."""
    _retire(state, run)
    state.actions += [TaskDiscarded(executor_id, succeeded.done) for executor_id, succeeded in run.kept]
    run.kept.clear()
    by_executor: dict[Executor, list[TaskId]] = {}
    for task_id, executor in run.running.items():
        by_executor.setdefault(executor, []).append(task_id)
    run.running.clear()
    for executor, task_ids in by_executor.items():
        if state.executors.get(executor.id) is executor:
            state.actions.append(Kill(executor.id, task_ids, error))
    if run.begun:
        state.actions.append(StageFinished(run.stage_id, run.attempt, status, error))


def _retire(state: State, run: StageRun) -> None:
    run.over = True
    run.stage.run = None
    del state.active[run.stage_id]
    state.located.pop(run, None)


def _in_order(jobs: Iterable[Job]) -> list[Job]:
    return sorted(jobs, key=lambda job: job.id)


def _by_id(stages: Iterable[Stage]) -> list[Stage]:
    return sorted(stages, key=lambda stage: stage.spec.stage_id)
