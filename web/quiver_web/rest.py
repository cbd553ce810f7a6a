"""The REST API's objects in the shape of Spark's monitoring API. Pure: from the state to plain dicts, `now` in Unix seconds.

Units are Spark's: run times, garbage collection and fetch waits in milliseconds, CPU and write times in nanoseconds, sizes in bytes.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Any

from quiver_proto.events import SkewDetected, StageInfo
from quiver_proto.units import format_bytes, format_seconds
from quiver_web.fold import State
from quiver_web.metrics import Totals
from quiver_web.model import Executor, Job, Stage, StageAttempt
from quiver_web.operator_lines import Line, lines_of
from quiver_web.queries import Query
from quiver_web.redact import redacted
from quiver_web.storage import StoredDataset, Usage
from quiver_web.summary import Distribution
from quiver_web.tasks import TaskStatus, TaskView

Json = dict[str, Any]

_NOT_YET = "1969-12-31T23:59:59.999GMT"
_JOB_STATUS = {"running": "RUNNING", "succeeded": "SUCCEEDED", "failed": "FAILED", "cancelled": "FAILED"}
_QUERY_STATUS = {"running": "RUNNING", "succeeded": "COMPLETED", "failed": "FAILED", "cancelled": "FAILED"}
_STAGE_STATUS = {"active": "ACTIVE", "succeeded": "COMPLETE", "failed": "FAILED", "cancelled": "FAILED"}
_TASK_STATUS = {TaskStatus.RUNNING: "RUNNING", TaskStatus.SUCCEEDED: "SUCCESS", TaskStatus.FAILED: "FAILED", TaskStatus.KILLED: "KILLED"}


def instant(at: float) -> str:
    """`2026-11-21T06:35:45.123GMT`"""
    milliseconds = round(at * 1000)
    return time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(milliseconds // 1000)) + f".{milliseconds % 1000:03d}GMT"


def _ms(seconds: float) -> int:
    return round(seconds * 1e3)


def _ns(seconds: float) -> int:
    return round(seconds * 1e9)


def application(state: State, now: float) -> Json:
    app = state.application
    ended = app.ended_at
    updated = ended if ended is not None else state.last_event_at
    return {
        "id": app.application_id,
        "name": app.name,
        "attempts": [
            {
                "startTime": instant(app.started_at),
                "endTime": _NOT_YET if ended is None else instant(ended),
                "lastUpdated": instant(updated),
                "duration": _ms((ended if ended is not None else now) - app.started_at),
                "sparkUser": app.user,
                "completed": ended is not None,
                "appSparkVersion": app.version,
                "startTimeEpoch": _ms(app.started_at),
                "endTimeEpoch": -1 if ended is None else _ms(ended),
                "lastUpdatedEpoch": _ms(updated),
            }
        ],
    }


def job(of: Job) -> Json:
    found: Json = {"jobId": of.job_id, "name": of.title}
    if of.description:
        found["description"] = of.description
    found["submissionTime"] = instant(of.started_at)
    if of.ended_at is not None:
        found["completionTime"] = instant(of.ended_at)
    found["stageIds"] = list(of.stages)
    if of.group:
        found["jobGroup"] = of.group
    return found | {
        "jobTags": list(of.tags),
        "status": _JOB_STATUS.get(of.status, "UNKNOWN"),
        "numTasks": of.planned_tasks + of.skipped_tasks,
        "numActiveTasks": of.tasks.active,
        "numCompletedTasks": of.tasks.succeeded,
        "numSkippedTasks": of.skipped_tasks,
        "numFailedTasks": of.tasks.failed,
        "numKilledTasks": of.tasks.killed,
        "numCompletedIndices": of.done_tasks,
        "numActiveStages": of.count_stages("active"),
        "numCompletedStages": of.count_stages("succeeded"),
        "numSkippedStages": of.count_stages("skipped", "not run"),
        "numFailedStages": of.count_stages("failed", "cancelled"),
        "killedTasksSummary": {},
    }


def _metrics(totals: Totals) -> Json:
    return {
        "executorDeserializeTime": _ms(totals["deserialize_s"]),
        "executorRunTime": _ms(totals.run_s),
        "executorCpuTime": _ns(totals["cpu_s"]),
        "resultSize": int(totals["result_bytes"]),
        "jvmGcTime": _ms(totals.gc_s),
        "resultSerializationTime": _ms(totals["serialize_s"]),
        "memoryBytesSpilled": totals.spilled_bytes,
        "diskBytesSpilled": totals.spilled_bytes,
        "peakExecutionMemory": int(totals["peak_memory_bytes"]),
        "inputBytes": totals.input_bytes,
        "inputRecords": totals.input_records,
        "outputBytes": totals.output_bytes,
        "outputRecords": int(totals["output_records"]),
        "shuffleFetchWaitTime": _ms(totals["fetch_wait_s"]),
        "shuffleRemoteBytesRead": int(totals["shuffle_read_remote_bytes"]),
        "shuffleLocalBytesRead": int(totals["shuffle_read_local_bytes"]),
        "shuffleReadBytes": totals.shuffle_read_bytes,
        "shuffleReadRecords": totals.shuffle_read_records,
        "shuffleWriteBytes": totals.shuffle_write_bytes,
        "shuffleWriteTime": _ns(totals["shuffle_write_s"]),
        "shuffleWriteRecords": totals.shuffle_write_records,
    }


def stage_attempt(of: Stage, attempt: StageAttempt) -> Json:
    totals = attempt.totals
    found: Json = {
        "status": _STAGE_STATUS.get(attempt.status, "FAILED"),
        "stageId": attempt.stage_id,
        "attemptId": attempt.attempt,
        "numTasks": attempt.tasks_planned,
        "numActiveTasks": totals.active,
        "numCompleteTasks": totals.succeeded,
        "numFailedTasks": totals.failed,
        "numKilledTasks": totals.killed,
        "numCompletedIndices": attempt.partitions.done_count,
        "submissionTime": instant(attempt.started_at),
    }
    if attempt.first_launch_at is not None:
        found["firstTaskLaunchedTime"] = instant(attempt.first_launch_at)
    if attempt.ended_at is not None:
        found["completionTime"] = instant(attempt.ended_at)
    if attempt.error:
        found["failureReason"] = attempt.error
    if of.skew is not None:
        found["skew"] = _skew(of.skew)
    updates = [{"id": aid, "name": kind, "value": value} for aid, (kind, value) in of.accumulators.items()]
    return found | _metrics(totals) | _naming(of.info) | {"accumulatorUpdates": updates}


def _skew(of: SkewDetected) -> Json:
    return {
        "operator": of.operator,
        "partition": of.partition,
        "partitions": of.partitions,
        "sizeBytes": of.size_bytes,
        "medianBytes": of.median_bytes,
        "totalBytes": of.total_bytes,
        "keys": [{"key": key, "records": records, "share": share} for key, records, share in of.keys],
        "remedy": of.remedy,
        "text": of.text,
    }


def unstarted_stage(info: StageInfo, status: str) -> Json:
    """A PENDING or SKIPPED stage: it has no attempt, and shows attempt 0 as Spark does."""
    counts = dict.fromkeys(("numActiveTasks", "numCompleteTasks", "numFailedTasks", "numKilledTasks", "numCompletedIndices"), 0)
    return (
        {"status": status, "stageId": info.stage_id, "attemptId": 0, "numTasks": info.width, **counts}
        | _metrics(Totals())
        | _naming(info)
        | {"accumulatorUpdates": []}
    )


def _naming(info: StageInfo) -> Json:
    details = "\n".join(" ".join(map(str, operator)) for operator in info.operators)
    return {"name": info.name, "details": details, "schedulingPool": "default", "rddIds": [], "parentIds": list(info.parents)}


def stages(state: State, statuses: Sequence[str]) -> list[Json]:
    """Newest first. `statuses` empty: all."""
    pending = {stage.info.stage_id for stage in state.pending_stages()}
    found: list[Json] = []
    for stage in state.stages.values():
        found += [stage_attempt(stage, attempt) for attempt in stage.attempts.values()]
        if stage.info.stage_id in pending:
            found.append(unstarted_stage(stage.info, "PENDING"))
        elif not stage.attempts:
            found.append(unstarted_stage(stage.info, "SKIPPED"))
    found.sort(key=lambda entry: (entry["stageId"], entry["attemptId"]), reverse=True)
    return [entry for entry in found if not statuses or entry["status"] in statuses]


def task(view: TaskView, index: int, executors: dict[str, Executor]) -> Json:
    values = view.metrics
    executor = executors.get(view.executor_id)
    found: Json = {
        "taskId": view.task_id,
        "index": index,
        "attempt": view.attempt,
        "partitionId": view.partition,
        "launchTime": instant(view.launched_at),
        "duration": _ms(view.duration_s),
        "executorId": view.executor_id,
        "host": executor.host if executor is not None else "",
        "status": _TASK_STATUS[view.status],
        "taskLocality": "",
        "speculative": False,
        "accumulatorUpdates": [],
    }
    if view.error is not None:
        found["errorMessage"] = view.error.text or view.error.message
    if view.status is not TaskStatus.RUNNING:
        found["taskMetrics"] = {
            "executorDeserializeTime": _ms(values["deserialize_s"]),
            "executorRunTime": _ms(values["run_s"]),
            "executorCpuTime": _ns(values["cpu_s"]),
            "resultSize": int(values["result_bytes"]),
            "jvmGcTime": _ms(values["gc_s"]),
            "resultSerializationTime": _ms(values["serialize_s"]),
            "memoryBytesSpilled": int(values["spilled_bytes"]),
            "diskBytesSpilled": int(values["spilled_bytes"]),
            "peakExecutionMemory": int(values["peak_memory_bytes"]),
            "inputMetrics": {"bytesRead": int(values["input_bytes"]), "recordsRead": int(values["input_records"])},
            "outputMetrics": {"bytesWritten": int(values["output_bytes"]), "recordsWritten": int(values["output_records"])},
            "shuffleReadMetrics": {
                "fetchWaitTime": _ms(values["fetch_wait_s"]),
                "remoteBytesRead": int(values["shuffle_read_remote_bytes"]),
                "localBytesRead": int(values["shuffle_read_local_bytes"]),
                "recordsRead": int(values["shuffle_read_records"]),
            },
            "shuffleWriteMetrics": {
                "bytesWritten": int(values["shuffle_write_bytes"]),
                "writeTime": _ns(values["shuffle_write_s"]),
                "recordsWritten": int(values["shuffle_write_records"]),
            },
        }
    return found


def task_summary(attempt: StageAttempt, quantiles: Sequence[float]) -> Json:
    """Over the successful tasks kept in detail."""
    distribution = Distribution(attempt.tasks)

    def of(*names: str, scale: float = 1.0) -> list[float]:
        return [float(round(value * scale)) for value in distribution.of(quantiles, *names)]

    return {
        "quantiles": list(quantiles),
        "duration": of("run_s", scale=1e3),
        "executorDeserializeTime": of("deserialize_s", scale=1e3),
        "executorRunTime": of("run_s", scale=1e3),
        "executorCpuTime": of("cpu_s", scale=1e9),
        "resultSize": of("result_bytes"),
        "jvmGcTime": of("gc_s", scale=1e3),
        "resultSerializationTime": of("serialize_s", scale=1e3),
        "peakExecutionMemory": of("peak_memory_bytes"),
        "memoryBytesSpilled": of("spilled_bytes"),
        "diskBytesSpilled": of("spilled_bytes"),
        "inputMetrics": {"bytesRead": of("input_bytes"), "recordsRead": of("input_records")},
        "outputMetrics": {"bytesWritten": of("output_bytes"), "recordsWritten": of("output_records")},
        "shuffleReadMetrics": {
            "readBytes": of("shuffle_read_local_bytes", "shuffle_read_remote_bytes"),
            "readRecords": of("shuffle_read_records"),
            "remoteBytesRead": of("shuffle_read_remote_bytes"),
            "fetchWaitTime": of("fetch_wait_s", scale=1e3),
        },
        "shuffleWriteMetrics": {
            "writeBytes": of("shuffle_write_bytes"),
            "writeRecords": of("shuffle_write_records"),
            "writeTime": of("shuffle_write_s", scale=1e9),
        },
    }


def query(of: Query, state: State, now: float, details: bool, plans: bool) -> Json:
    """A query, with `details` also its operators and what each did, with `plans` also its plans as text."""
    jobs = [job for job_id in of.job_ids if (job := state.jobs.get(job_id)) is not None]
    found: Json = {
        "id": of.query_id,
        "status": _QUERY_STATUS[of.status],
        "description": of.title,
        "planDescription": _plans(of) if plans else "",
        "submissionTime": instant(of.started_at),
        "duration": _ms((now if of.ended_at is None else of.ended_at) - of.started_at),
        "runningJobIds": [job.job_id for job in jobs if job.status == "running"],
        "successJobIds": [job.job_id for job in jobs if job.status == "succeeded"],
        "failedJobIds": [job.job_id for job in jobs if job.status in ("failed", "cancelled")],
        "nodes": [],
        "edges": [],
    }
    if of.rows >= 0:
        found["numOutputRows"] = of.rows
    if of.error:
        found["errorMessage"] = of.error
    if details:
        lines = lines_of(jobs, state.stages)
        found["nodes"] = [_operator(line) for line in lines]
        found["edges"] = [{"fromId": line.number, "toId": line.parent} for line in lines if line.parent >= 0]
    return found


def _plans(of: Query) -> str:
    parts = (
        ("SQL", "\n".join(of.sql)),
        ("Analyzed Logical Plan", of.analysed),
        ("Logical Plan of the Kernel", of.logical),
        ("Physical Plan", of.physical),
    )
    texts = [f"== {title} ==\n{text}" for title, text in parts if text]
    return "\n".join([*texts, f"Runs {of.where}."] if of.where else texts)


def _operator(line: Line) -> Json:
    totals = line.totals
    found: Json = {"nodeId": line.number, "nodeName": line.name, "description": line.detail, "stageId": line.stage_id, "metrics": []}
    if totals is not None:
        metrics = [
            ("number of output rows", f"{totals.rows:,}"),
            ("tasks", f"{totals.tasks:,}"),
            ("compute time", format_seconds(totals.compute_s)),
            ("longest compute time of a task", format_seconds(totals.longest_s)),
        ]
        if totals.spills:
            metrics += [("spills", f"{totals.spills:,}"), ("spill size", format_bytes(totals.spilled_bytes))]
        if totals.scanned_bytes:
            metrics.append(("size of files read", format_bytes(totals.scanned_bytes)))
        found["metrics"] = [{"name": name, "value": value} for name, value in metrics]
    return found


def dataset(of: StoredDataset, state: State, details: bool) -> Json:
    """A persisted RDD; with `details` also where its blocks are."""
    found: Json = {
        "id": of.dataset_id,
        "name": of.name,
        "numPartitions": of.width,
        "numCachedPartitions": len(of.partitions),
        "storageLevel": of.level,
        "memoryUsed": of.usage.memory_bytes,
        "diskUsed": of.usage.disk_bytes,
    }
    if details:
        found["dataDistribution"] = [_distribution(executor_id, usage, state) for executor_id, usage in sorted(of.by_executor.items())]
        found["partitions"] = [
            {
                "blockName": f"rdd_{of.dataset_id}_{partition}",
                "storageLevel": of.level,
                "memoryUsed": sum(held.memory_bytes for held in copies.values()),
                "diskUsed": sum(held.disk_bytes for held in copies.values()),
                "executors": sorted(copies),
            }
            for partition, copies in sorted(of.partitions.items())
        ]
    return found


def _distribution(executor_id: str, usage: Usage, state: State) -> Json:
    executor = state.executors.get(executor_id)
    limit = 0 if executor is None else executor.memory_bytes
    return {
        "address": executor_id,
        "memoryUsed": usage.memory_bytes,
        "memoryRemaining": max(0, limit - state.storage.on(executor_id).memory_bytes),
        "diskUsed": usage.disk_bytes,
    }


def executor(of: Executor, cached: Usage) -> Json:
    """`cached` is what it holds of persisted RDDs: in shared memory, which is outside every process's heap."""
    totals = of.tasks
    found: Json = {
        "id": of.executor_id,
        "hostPort": of.host,
        "isActive": of.alive,
        "rddBlocks": cached.blocks,
        "memoryUsed": of.rss_bytes,
        "diskUsed": cached.disk_bytes,
        "totalCores": of.cores,
        "maxTasks": of.cores,
        "activeTasks": totals.active,
        "failedTasks": totals.failed,
        "completedTasks": totals.succeeded,
        "totalTasks": totals.active + totals.ended,
        "totalDuration": _ms(totals.run_s),
        "totalGCTime": _ms(totals.gc_s),
        "totalInputBytes": totals.input_bytes,
        "totalShuffleRead": totals.shuffle_read_bytes,
        "totalShuffleWrite": totals.shuffle_write_bytes,
        "isBlacklisted": False,
        "maxMemory": of.memory_bytes,
        "addTime": instant(of.added_at),
        "executorLogs": {"directory": of.log_dir} if of.log_dir else {},
        "memoryMetrics": {"usedOnHeapStorageMemory": 0, "usedOffHeapStorageMemory": cached.memory_bytes},
        "peakMemoryMetrics": {"ProcessTreePythonRSSMemory": of.peak_rss_bytes},
        "nodeId": of.node_id,
        "pid": of.pid,
    }
    if of.removed_at is not None:
        found["removeTime"] = instant(of.removed_at)
        found["removeReason"] = of.reason
    return found


def environment(state: State) -> Json:
    app = state.application
    return {
        "runtime": {"quiverVersion": app.version} | dict(app.runtime),
        "sparkProperties": [list(pair) for pair in redacted(app.properties)],
        "systemProperties": [],
        "classpathEntries": [],
    }
