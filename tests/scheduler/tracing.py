"""Golden traces: a story as text, events in, actions out.

A line that begins with a number is an event at that second; `#` lines are comments; indented lines that begin with `stage` belong to the
event above; other indented lines are what the scheduler answered. Task ids are written #0, #1, …

    policy max_task_failures=2 locality_wait_s=0
    0 executor a node=n1 cores=2          0 submit 1                        1 done a #0 #1 [run_s=0.01]
    1 drain a                               stage 0 width=2 shuffle=0       1 fail a #2 user ValueError: bad record
    1 gone a [asked] killed by signal 9     stage 1 width=2 parents=0       1 nofetch a #3 shuffle=0 map=1 task=#1 node=n1
    1 lost n1 no heartbeat                1 cancel 1 user said so           1 release 0
    1 cancel-stage 0 user said so         1 kill #3 user said so            1 cluster [final] no node has 8 cores
    1 tick                                1 why 1   (a job)                 1 why-stage 0       1 outputs 0       1 deadline
"""

from __future__ import annotations

from dataclasses import replace

from quiver.scheduler import model as m
from quiver.scheduler.core import Scheduler
from quiver_proto.ids import ExecutorId, JobId, NodeId, ShuffleId, StageId, TaskId
from quiver_proto.messages import FailureKind, MapOutput, TaskDone, TaskFailure, TaskMetrics


class Story:
    """Runs the events of a story and writes it anew, with the answers they get."""

    def __init__(self) -> None:
        self.scheduler = Scheduler(m.Policy())
        self.nodes: dict[str, str] = {}
        self.launched: dict[int, tuple[StageId, int]] = {}
        self.shuffles: dict[StageId, ShuffleId | None] = {}

    def retell(self, text: str) -> str:
        told: list[str] = []
        lines = text.splitlines()
        for number, line in enumerate(lines):
            if line.startswith(" "):
                if line.startswith("  stage "):
                    told.append(line)
                    if number + 1 == len(lines) or not lines[number + 1].startswith("  stage "):
                        told += self.submit(told)
                continue
            told.append(line)
            if not line or line.startswith("#"):
                continue
            if line.startswith("policy "):
                self.scheduler = Scheduler(
                    replace(m.Policy(), **{k: type(getattr(m.Policy(), k))(v) for k, v in named(line.split()[1:]).items()})
                )
            elif " submit " not in line:
                told += self.event(line)
        return "\n".join(told) + "\n"

    def submit(self, told: list[str]) -> list[str]:
        first = next(i for i in reversed(range(len(told))) if " submit " in told[i])
        at, _, job_id = told[first].split()
        stages: list[m.StageSpec] = []
        for line in told[first + 1 :]:
            words = line.split()
            given = named(words[2:])
            stage_id = StageId(int(words[1]))
            parents = tuple(StageId(int(p)) for p in given["parents"].split(",")) if "parents" in given else ()
            shuffle_id = ShuffleId(int(given["shuffle"])) if "shuffle" in given else None
            self.shuffles[stage_id] = shuffle_id
            reads = tuple(s for p in parents if (s := self.shuffles[p]) is not None)
            partitions = tuple(int(p) for p in given["partitions"].split(",")) if "partitions" in given else None
            preferred = {}
            for want in given["prefers"].split(",") if "prefers" in given else []:
                partition, place = want.split("@")
                node, _, executor = place.partition("/")
                preferred[int(partition)] = (m.Preference(NodeId(node), ExecutorId(executor) if executor else None),)
            name = given.get("name", "map" if "shuffle" in given else "collect") + f" at app.py:{stage_id}"
            cores, gang = int(given.get("cores", "1")), "barrier" in given
            width = int(given["width"])
            needs = m.Needs((("gpu", float(given["gpu"])),)) if "gpu" in given else None
            stages.append(m.StageSpec(stage_id, name, width, parents, reads, shuffle_id, partitions, cores, preferred, gang, needs=needs))
        return self.step(float(at), m.JobSubmitted(m.JobSpec(JobId(int(job_id)), tuple(stages))))

    def event(self, line: str) -> list[str]:
        at, what, *words = line.split()
        rest = " ".join(words[1:])
        given = named(words)
        event: m.SchedulerEvent
        match what:
            case "executor":
                self.nodes[words[0]] = given["node"]
                event = m.ExecutorRegistered(ExecutorId(words[0]), NodeId(given["node"]), int(given["cores"]), 0, gpus(given))
            case "drain":
                event = m.ExecutorDraining(ExecutorId(words[0]))
            case "gone":
                asked = words[1] == "asked"
                event = m.ExecutorGone(ExecutorId(words[0]), " ".join(words[2:] if asked else words[1:]), asked)
            case "lost":
                event = m.NodeLost(NodeId(words[0]), rest)
            case "done":
                ids = [int(word[1:]) for word in words[1:] if word.startswith("#")]
                run_s = float(given.get("run_s", "1"))
                event = m.TasksReported(ExecutorId(words[0]), done=[self.done(words[0], task_id, run_s) for task_id in ids])
            case "fail":
                kind, message = FailureKind(words[2].replace("-", " ")), " ".join(words[3:])
                exception_type, _, text = message.partition(": ")
                failure = TaskFailure(TaskId(int(words[1][1:])), kind, exception_type if text else "", text or message)
                event = m.TasksReported(ExecutorId(words[0]), failed=[failure])
            case "nofetch":
                fetch = (int(given["shuffle"]), int(given["map"]), int(given["task"][1:]), given["node"])
                failure = TaskFailure(TaskId(int(words[1][1:])), FailureKind.FETCH_FAILED, "FetchFailed", "no such file", fetch=fetch)
                event = m.TasksReported(ExecutorId(words[0]), failed=[failure])
            case "cancel":
                event = m.JobCancelRequested(JobId(int(words[0])), rest)
            case "cancel-stage":
                event = m.StageCancelRequested(StageId(int(words[0])), rest)
            case "kill":
                event = m.TaskKillRequested(TaskId(int(words[0][1:])), rest)
            case "release":
                event = m.ShuffleReleased(ShuffleId(int(words[0])))
            case "cluster":
                final = bool(words) and words[0] == "final"
                event = m.ClusterWaiting(" ".join(words[final:]), final)
            case "tick":
                event = m.Tick()
            case "why":
                return [f"    {self.scheduler.waiting_reason(JobId(int(words[0]))) or '(it runs)'}"]
            case "why-stage":
                return [f"    {self.scheduler.stage_waiting_reason(StageId(int(words[0]))) or '(it runs, or is not needed)'}"]
            case "outputs":
                outputs = self.scheduler.map_outputs(ShuffleId(int(words[0])))
                return [f"    {' '.join(f'{o.map_index}:#{o.task_id}@{o.node_id}' for o in outputs)}"]
            case "deadline":
                return [f"    {self.scheduler.next_deadline()}"]
            case _:
                raise ValueError(f"unknown event: {line}")
        return self.step(float(at), event)

    def done(self, executor: str, task_id: int, run_s: float) -> TaskDone:
        stage_id, partition = self.launched[task_id]
        output = None
        if self.shuffles[stage_id] is not None:
            output = MapOutput(partition, TaskId(task_id), NodeId(self.nodes[executor]), ExecutorId(executor), "", b"", 1)
        return TaskDone(TaskId(task_id), 0, 0.0, TaskMetrics(run_s=run_s), None if output else b"", None, output)

    def step(self, now: float, event: m.SchedulerEvent) -> list[str]:
        return [f"    {self.say(action)}" for action in self.scheduler.step(event, now)]

    def say(self, action: m.SchedulerAction) -> str:
        match action:
            case m.Launch():
                for task_id, partition in zip(action.task_ids, action.partitions):
                    self.launched[task_id] = (action.stage_id, partition)
                where = {1: "executor", 2: "node", 3: "any"}[action.locality]
                given = [spaced(addresses["gpu"], "gpu") for addresses in (action.resources or {}).values()]
                gave = f" with {spaced(given)}" if given else ""
                tries = f" try {spaced(action.attempts)}" if any(action.attempts) else ""
                return (
                    f"launch on {action.executor_id}: {stage(action)} partitions {spaced(action.partitions)} "
                    f"as {spaced(action.task_ids, '#')} ({where}){tries}{gave}"
                )
            case m.Kill():
                return f"kill on {action.executor_id}: {spaced(action.task_ids, '#')} because {action.reason}"
            case m.StageBegan():
                where = f" on {spaced(action.executors)}" if action.executors else ""
                return f"began {stage(action)}: partitions {spaced(action.partitions)}{where}"
            case m.StageFinished():
                return f"finished {stage(action)}: {action.status}" + (f": {action.error}" if action.error else "")
            case m.StageWasSkipped():
                return f"job {action.job_id} skipped stage {action.stage_id}"
            case m.TasksAccepted():
                tasks = " ".join(f"{s.partition}:#{s.done.task_id}" for s in action.tasks)
                job = "" if action.job_id is None else f" for job {action.job_id}"
                return f"accepted {stage(action)}{job}: {tasks}"
            case m.TaskAttemptFailed():
                then = "retry" if action.will_retry else "no retry"
                return (
                    f"failed {stage(action)} partition {action.partition} attempt {action.attempt} on {action.executor_id}: "
                    f"{action.failure.kind.value}, {then}"
                )
            case m.TaskDiscarded():
                return f"discarded #{action.done.task_id}"
            case m.ShuffleForgotten():
                return f"forgot shuffle {action.shuffle_id}"
            case m.JobSucceeded():
                return f"job {action.job_id} succeeded"
            case m.JobEndedBadly():
                at = "" if action.failed_stage is None else f" (stage {action.failed_stage}, partition {action.failed_partition})"
                return f"job {action.job_id} {action.status}{at}: {action.reason}"
            case m.WaitingBecause():
                return f"job {action.job_id} waits: {action.reason}" if action.reason else f"job {action.job_id} no longer waits"


def named(words: list[str]) -> dict[str, str]:
    return dict(word.split("=", 1) for word in words if "=" in word)


def gpus(given: dict[str, str]) -> dict[str, list[str]]:
    return {"gpu": [str(index) for index in range(int(given["gpu"]))]} if "gpu" in given else {}


def spaced(numbers: object, prefix: str = "") -> str:
    return " ".join(f"{prefix}{number}" for number in numbers)


def stage(action: m.StageBegan | m.StageFinished | m.Launch | m.TasksAccepted | m.TaskAttemptFailed) -> str:
    return f"{action.stage_id}.{action.stage_attempt}"
