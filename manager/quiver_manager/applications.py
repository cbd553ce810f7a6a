"""Applications register, say what they need, and end."""

from __future__ import annotations

from typing import TypeVar

from quiver_manager.executors import stop
from quiver_manager.feed import launched, tell
from quiver_manager.model import Application, ExecutorState, Outcome, RemoveBlocks, Stage, State, WatchClosed, WatchOpened
from quiver_proto import cluster as c
from quiver_proto.ids import ApplicationId, JobId

Id = TypeVar("Id", ApplicationId, JobId)

_ENDED_KEPT = 1000


def register_application(state: State, event: c.RegisterApplication, now: float, out: Outcome) -> None:
    """The Ack only says that it was done: the shell makes the reply (it holds the secret that tokens are made from)."""
    if event.application_id in state.unregistered:
        out.reply = c.Ack(False, f"application {event.application_id} has ended")
        return
    out.reply = c.Ack()
    state.ended.pop(event.application_id, None)
    application = state.applications.get(event.application_id)
    if application is not None:
        application.last_seen_at, application.recovering = now, False
        return
    application = Application(
        event.application_id, event.name, event.user, event.driver_host, event.driver_pid, event.request, event.environment,
        event.started_at, event.ui_url, state.next_order,
    )  # fmt: skip
    state.next_order += 1
    application.last_seen_at = application.unmet_since = now
    state.applications[application.application_id] = application
    out.changed.add(("application", application.application_id))
    out.log.append(("application registered", {"application": event.application_id, "name": event.name, "user": event.user}))
    for executor in state.executors_of(application.application_id):
        number = int(executor.executor_id.rsplit("/", 1)[-1]) if executor.executor_id.rsplit("/", 1)[-1].isdigit() else -1
        application.next_executor = max(application.next_executor, number + 1)
        if executor.state is ExecutorState.RUNNING and not executor.told:
            executor.told = True
            tell(application, launched(state, executor), out)
    for node in state.nodes.values():
        node.removals.discard(application.application_id)


def application_says(
    state: State,
    event: c.ApplicationHeartbeat | c.SubmitJob | c.JobEnded | c.RequestExecutors | c.ReleaseExecutor | WatchOpened | WatchClosed,
    now: float,
    out: Outcome,
) -> None:
    application = state.applications.get(event.application_id)
    if isinstance(event, c.ApplicationHeartbeat):
        out.reply = c.HeartbeatReply(known=application is not None)
    elif not isinstance(event, (WatchOpened, WatchClosed)):
        out.reply = c.Ack() if application is not None else c.Ack(False, f"no application {event.application_id}")
    if application is None:
        return
    application.last_seen_at = now
    if not isinstance(event, WatchClosed):
        application.recovering = False
    match event:
        case c.ApplicationHeartbeat():
            application.progress |= {row.stage_id: row for row in event.progress}
        case c.SubmitJob() if event.job_id in application.ended_jobs:
            out.reply = c.Ack(False, f"job {event.job_id} has ended")
        case c.SubmitJob():
            application.jobs[event.job_id] = {s.stage_id: Stage(s.width, s.parents, s.cores_per_task) for s in event.stages}
        case c.JobEnded():
            ended = application.jobs.pop(event.job_id, {})
            _keep(application.ended_jobs, event.job_id)
            left = {stage_id for job in application.jobs.values() for stage_id in job}
            for stage_id in ended.keys() - left:
                application.progress.pop(stage_id, None)
        case c.RequestExecutors():
            if event.request > application.request_number:
                application.request_number, application.target = event.request, max(0, event.executors)
                application.launch_failures, application.deaths = 0, []
                out.changed.add(("application", application.application_id))
        case c.ReleaseExecutor():
            _release(state, application, event, now, out)
        case WatchOpened():
            application.watchers += 1
        case WatchClosed():
            application.watchers = max(0, application.watchers - 1)


def _release(state: State, application: Application, event: c.ReleaseExecutor, now: float, out: Outcome) -> None:
    executor = state.executors.get(event.executor_id)
    if executor is None or executor.application_id != application.application_id:
        out.reply = c.Ack(False, f"no executor {event.executor_id}")
        return
    if executor.state is ExecutorState.STOPPING:
        return
    stop(state, executor, event.reason, now, out, at_once=False)
    if event.replace:
        return
    application.target = sum(e.state is not ExecutorState.STOPPING for e in state.executors_of(application.application_id))
    out.changed.add(("application", application.application_id))


def unregister_application(state: State, event: c.UnregisterApplication, now: float, out: Outcome) -> None:
    """The application's own word that it is over: it can't come back under this id."""
    out.reply = c.Ack()
    _keep(state.unregistered, event.application_id)
    application = state.applications.get(event.application_id)
    if application is not None:
        end_application(state, application, event.reason or "it has ended", now, out)


def _keep(ended: dict[Id, None], one: Id) -> None:
    ended[one] = None
    if len(ended) > _ENDED_KEPT:
        del ended[next(iter(ended))]


def end_application(state: State, application: Application, reason: str, now: float, out: Outcome) -> None:
    del state.applications[application.application_id]
    state.ended[application.application_id] = reason
    if len(state.ended) > _ENDED_KEPT:
        del state.ended[next(iter(state.ended))]
    out.changed.add(("application", application.application_id))
    out.notify.add(application.application_id)
    out.log.append(("application over", {"application": application.application_id, "reason": reason}))
    for executor in state.executors_of(application.application_id):
        stop(state, executor, f"application over: {reason}", now, out, at_once=True)
    for node in state.nodes.values():
        node.removals.add(application.application_id)
        node.last_removal_at = now
        out.changed.add(("node", node.node_id))
        out.actions.append(RemoveBlocks(node.node_id, application.application_id))
