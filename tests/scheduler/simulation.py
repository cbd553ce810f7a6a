"""Random stories told to the scheduler by a simulated cluster, and the properties that must hold in all of them.

The cluster has its own truth: which executors live, what they run, which map files exist. It fails at random (tasks, slots, executors,
nodes, files), reports late and twice, and is slow now and then, until a moment after which nothing new goes wrong. One seed, one story.
"""

from __future__ import annotations

import heapq
import random
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field

from quiver.scheduler import model as m
from quiver.scheduler.core import Scheduler
from quiver_proto.ids import ExecutorId, JobId, NodeId, ShuffleId, StageId, TaskId
from quiver_proto.messages import FailureKind, MapOutput, TaskDone, TaskFailure, TaskMetrics

FAULTS_END = 30.0
EVERYTHING_ENDS = 4_000.0
NEEDS = [
    m.Needs((("gpu", 1.0),)),
    m.Needs((("gpu", 0.5),)),
    m.Needs((("gpu", 0.25), ("nic", 0.34))),
    m.Needs((("gpu", 2.0),)),
    m.Needs(executor=(("cores", 2), ("memory", 1 << 29))),
    m.Needs((("gpu", 1.0),), (("gpu", 2),)),
    m.Needs((("tpu", 1.0),)),
]


class Violation(AssertionError):
    """A property does not hold. The message names it and the seed."""


@dataclass
class Task:
    task_id: TaskId
    stage_id: StageId
    attempt: int
    partition: int
    cores: int
    gang: int = 0
    gives: dict[tuple[str, str], float] = field(default_factory=dict)
    """What it has of each (resource, address)."""
    """How many tasks of its (barrier stage's) attempt must have started before it can end; 0 for others."""


@dataclass
class SimExecutor:
    executor_id: ExecutorId
    node_id: NodeId
    cores: int
    queue: deque[Task] = field(default_factory=deque)
    running: dict[TaskId, Task] = field(default_factory=dict)
    alive: bool = True
    told_at: float = 0.0
    draining: bool = False
    seen: set[TaskId] = field(default_factory=set)
    resources: dict[str, list[str]] = field(default_factory=dict)

    def used(self) -> int:
        return sum(task.cores for task in self.running.values())


class Simulation:
    """One story. `run` returns the trace of (time, event, actions) as text and raises Violation."""

    def __init__(self, seed: int) -> None:
        self.seed = seed
        self.random = random.Random(seed)
        r = self.random
        self.policy = m.Policy(
            max_task_failures=r.choice([1, 4, 8, 8]),
            max_stage_attempts=r.choice([2, 4, 10]),
            locality_wait_s=r.choice([0.0, 0.5, 3.0]),
            waiting_notice_s=r.choice([0.0, 1.0, 3.0]),
            no_progress_limit_s=r.choice([5.0, 20.0, 120.0, 120.0]),
            target_queue_s=r.choice([0.0, 0.005, 0.5]),
            max_queue_per_slot=r.choice([0, 1, 4, 64]),
            barrier_slots_limit_s=r.choice([0.0, 5.0, 15.0]),
        )
        self.scheduler = Scheduler(self.policy)
        self.chaos = r.choice([0.0, 0.03, 0.1, 0.2])
        self.now = 0.0
        self.agenda: list[tuple[float, int, Callable[[], None]]] = []
        self.count = 0
        self.executors: dict[ExecutorId, SimExecutor] = {}
        self.next_executor = 0
        self.files: dict[tuple[int, int, int], NodeId] = {}
        self.specs: dict[StageId, m.StageSpec] = {}
        self.live_attempts: dict[tuple[StageId, int], list[list[MapOutput]]] = {}
        self.over_attempts: set[tuple[StageId, int]] = set()
        self.accepted: set[tuple[StageId, int, int]] = set()
        self.results: dict[JobId, set[int]] = {}
        self.jobs: dict[JobId, m.JobSpec] = {}
        self.ended: dict[JobId, str] = {}
        self.launched: dict[TaskId, tuple[StageId, int, int]] = {}
        self.inputs: dict[tuple[StageId, int], list[tuple[ShuffleId, MapOutput]]] = {}
        self.known: dict[StageId, m.StageSpec] = {}
        self.trace: list[str] = []
        self.started: dict[tuple[StageId, int], set[int]] = {}
        """Partitions of each barrier stage attempt that have started."""

    # ---- the story ----

    def run(self) -> list[str]:
        r = self.random
        for _ in range(r.choice([0, 1, 2, 3, 3, 4, 4])):
            self.at(r.uniform(0, 1), self.add_executor)
        for index in range(r.randint(1, 6)):
            self.at(r.uniform(0, FAULTS_END / 2), lambda index=index: self.submit(JobId(index)))
        if self.chaos:
            for _ in range(r.randint(0, 30)):
                self.at(
                    r.uniform(0, FAULTS_END),
                    r.choice([self.add_executor, self.add_executor, self.lose_executor, self.lose_node, self.lose_file, self.drain]),
                )
            for _ in range(r.randint(0, 6)):
                self.at(
                    r.uniform(0, FAULTS_END), r.choice([self.cancel_job, self.cancel_stage, self.kill_task, self.release, self.say_waiting])
                )
        self.at(FAULTS_END, self.heal)
        while self.now < EVERYTHING_ENDS:
            due, _, act = self.agenda[0] if self.agenda else (EVERYTHING_ENDS, 0, self.heal)
            deadline = self.scheduler.next_deadline()
            if deadline is None and not self.agenda:
                break
            if deadline is not None and deadline < due:
                self.now = max(self.now, deadline)
                self.step(m.Tick())
                after = self.scheduler.next_deadline()
                self.check(after is None or after > self.now, "a tick never asks for another one at once")
                continue
            if not self.agenda:
                break
            heapq.heappop(self.agenda)
            self.now = max(self.now, due)
            act()
        self.check(set(self.ended) == set(self.jobs), f"every job ends: {set(self.jobs) - set(self.ended)} did not")
        self.check(not self.scheduler.running_jobs() and not self.scheduler.running_stages(), "nothing stays active without a job")
        for executor in self.executors.values():
            if executor.alive:
                self.check(not self.scheduler.tasks_on(executor.executor_id), "no room is lost: an idle executor holds no tasks")
        return self.trace

    def at(self, when: float, act: Callable[[], None]) -> None:
        self.count += 1
        heapq.heappush(self.agenda, (when, self.count, act))

    @property
    def faulty(self) -> bool:
        return self.now < FAULTS_END and self.random.random() < self.chaos

    def living(self) -> list[SimExecutor]:
        return [executor for executor in self.executors.values() if executor.alive]

    # ---- things that happen ----

    def submit(self, job_id: JobId) -> None:
        r = self.random
        stages: list[m.StageSpec] = []
        shared = [s for s in self.specs.values() if s.shuffle_id is not None]
        for position in range(r.randint(0, 4)):
            if shared and r.random() < 0.5:
                self._with_ancestors(r.choice(shared), stages)
                continue
            stage_id = StageId(1000 * (int(job_id) + 1) + position)
            stages.append(self._stage(stage_id, ShuffleId(int(stage_id)), stages))
        stages.append(self._stage(StageId(1000 * (int(job_id) + 1) + 99), None, stages))
        for stage in stages:
            self.specs[stage.stage_id] = stage
        spec = m.JobSpec(job_id, tuple(stages))
        self.jobs[job_id] = spec
        self.results[job_id] = set()
        self.step(m.JobSubmitted(spec))

    def _with_ancestors(self, stage: m.StageSpec, stages: list[m.StageSpec]) -> None:
        for parent in stage.parents:
            self._with_ancestors(self.specs[parent], stages)
        if all(stage.stage_id != other.stage_id for other in stages):
            stages.append(stage)

    def _stage(self, stage_id: StageId, shuffle_id: ShuffleId | None, before: list[m.StageSpec]) -> m.StageSpec:
        r = self.random
        parents = tuple(r.sample(before, r.randint(1, len(before)))) if before else ()
        width = r.choice([0, 1, 2, 5, 12, 25])
        partitions = tuple(p for p in range(width) if r.random() < 0.5) if shuffle_id is None and r.random() < 0.2 else None
        preferred: dict[int, tuple[m.Preference, ...]] = {}
        if r.random() < 0.4:
            for partition in range(width):
                executor_id = ExecutorId(f"app/{r.randint(0, 6)}") if r.random() < 0.5 else None
                if r.random() < 0.8:
                    preferred[partition] = (m.Preference(NodeId(f"n{r.randint(0, 3)}"), executor_id),)
        return m.StageSpec(
            stage_id,
            f"stage at app.py:{int(stage_id) % 7}",
            width,
            tuple(p.stage_id for p in parents),
            tuple(p.shuffle_id for p in parents if p.shuffle_id is not None),
            shuffle_id,
            partitions,
            r.choice([1, 1, 1, 2]),
            preferred,
            barrier=partitions is None and 0 < width <= 12 and r.random() < 0.3,
            needs=r.choice(NEEDS) if r.random() < 0.3 else None,
        )

    def add_executor(self, cores: int = 0) -> None:
        executor_id = ExecutorId(f"app/{self.next_executor}")
        self.next_executor += 1
        node_id = NodeId(f"n{self.random.randint(0, 3)}")
        executor = SimExecutor(executor_id, node_id, cores or self.random.choice([1, 2, 4]))
        if cores or self.random.random() < 0.5:
            executor.resources = {"gpu": [str(index) for index in range(self.random.choice([1, 2, 4]))], "nic": ["eth0"]}
        self.executors[executor_id] = executor
        self.step(m.ExecutorRegistered(executor_id, node_id, executor.cores, 1 << 30, executor.resources))
        if self.faulty:
            self.step(m.ExecutorRegistered(executor_id, node_id, executor.cores))

    def lose_executor(self, executor: SimExecutor | None = None, asked: bool = False) -> None:
        living = self.living()
        if executor is None and living:
            executor = self.random.choice(living)
        if executor is None or not executor.alive:
            return
        executor.alive = False
        self.step(m.ExecutorGone(executor.executor_id, "killed by signal 9", asked))
        if self.random.random() < 0.3:
            self.step(m.ExecutorRegistered(executor.executor_id, executor.node_id, executor.cores))

    def lose_node(self, node_id: NodeId | None = None) -> None:
        if node_id is None:
            node_id = NodeId(f"n{self.random.randint(0, 3)}")
        self.files = {key: node for key, node in self.files.items() if node != node_id}
        for executor in self.living():
            if executor.node_id == node_id:
                executor.alive = False
        self.step(m.NodeLost(node_id, "no heartbeat for 30 s"))

    def lose_file(self) -> None:
        if self.files:
            del self.files[self.random.choice(sorted(self.files))]

    def drain(self) -> None:
        living = self.living()
        if living:
            executor = self.random.choice(living)
            executor.draining = True
            self.step(m.ExecutorDraining(executor.executor_id))
            self.at(self.now + 2, lambda: self.lose_executor(executor, asked=True))

    def cancel_job(self) -> None:
        if self.jobs:
            self.step(m.JobCancelRequested(self.random.choice(list(self.jobs)), "the user said so"))

    def cancel_stage(self) -> None:
        if self.specs:
            self.step(m.StageCancelRequested(self.random.choice(list(self.specs)), "the user said so"))

    def kill_task(self) -> None:
        if self.launched:
            self.step(m.TaskKillRequested(self.random.choice(list(self.launched)), "the user said so"))

    def release(self) -> None:
        shuffles = [spec for spec in self.specs.values() if spec.shuffle_id is not None]
        if shuffles:
            spec = self.random.choice(shuffles)
            del self.specs[spec.stage_id]
            while orphans := [o for o in self.specs.values() if any(parent not in self.specs for parent in o.parents)]:
                for orphan in orphans:
                    del self.specs[orphan.stage_id]
            assert spec.shuffle_id is not None
            self.step(m.ShuffleReleased(spec.shuffle_id))

    def say_waiting(self) -> None:
        self.step(m.ClusterWaiting("2 of 2 nodes are full"))
        self.at(self.now + 3, lambda: self.step(m.ClusterWaiting("")))

    def heal(self) -> None:
        self.add_executor(4)
        self.add_executor(4)

    # ---- executors ----

    def start_tasks(self, executor: SimExecutor) -> None:
        r = self.random
        while executor.queue and executor.used() + executor.queue[0].cores <= executor.cores:
            task = executor.queue.popleft()
            executor.running[task.task_id] = task
            if task.gang:
                self.started.setdefault((task.stage_id, task.attempt), set()).add(task.partition)
            seconds = r.choice([0.0001, 0.01, 0.3, 1.5]) * r.uniform(0.5, 2)
            if self.now < FAULTS_END and r.random() < 0.03:
                seconds += r.uniform(1, 20)
            self.at(self.now + seconds, lambda task=task, seconds=seconds: self.end_task(executor, task, seconds))

    def end_task(self, executor: SimExecutor, task: Task, seconds: float) -> None:
        if not executor.alive or task.task_id not in executor.running:
            return
        if len(self.started.get((task.stage_id, task.attempt), ())) < task.gang:
            self.at(self.now + 0.1, lambda: self.end_task(executor, task, seconds))  # It waits for the others.
            return
        del executor.running[task.task_id]
        self.start_tasks(executor)
        missed = self._missed_block(executor, task)
        lost = self._lost_input(task)
        if missed is not None:
            failure = TaskFailure(task.task_id, FailureKind.CACHE_MISS, "CacheMiss", "no such block", cache=missed)
            self.report(executor, (), (failure,))
        elif lost is not None:
            failure = TaskFailure(task.task_id, FailureKind.FETCH_FAILED, "FetchFailed", "no such file", fetch=lost)
            self.report(executor, (), (failure,))
        elif self.faulty:
            kind = self.random.choice([FailureKind.USER, FailureKind.USER, FailureKind.SLOT_DIED, FailureKind.FATAL])
            self.report(executor, (), (TaskFailure(task.task_id, kind, "ValueError", "bad record"),))
        else:
            self.report(executor, (self._done(executor, task, seconds),), ())

    def _missed_block(self, executor: SimExecutor, task: Task) -> tuple[int, int] | None:
        """The cached block that the task needs and can't find; see cached_simulation.py."""
        return None

    def _lost_input(self, task: Task) -> tuple[int, int, int, str] | None:
        spec_inputs = self.inputs.get((task.stage_id, task.attempt), [])
        for output in spec_inputs:
            shuffle_id, entry = output
            if (int(shuffle_id), entry.map_index, int(entry.task_id)) not in self.files:
                return int(shuffle_id), entry.map_index, int(entry.task_id), entry.node_id
        return None

    def _done(self, executor: SimExecutor, task: Task, seconds: float) -> TaskDone:
        spec = self.known[task.stage_id]
        metrics = TaskMetrics(run_s=seconds)
        if spec.shuffle_id is None:
            return TaskDone(task.task_id, 0, self.now, metrics, result=b"x")
        self.files[int(spec.shuffle_id), task.partition, int(task.task_id)] = executor.node_id
        output = MapOutput(task.partition, task.task_id, executor.node_id, executor.executor_id, f"/{task.task_id}", b"", 1)
        return TaskDone(task.task_id, 0, self.now, metrics, map_output=output)

    def report(self, executor: SimExecutor, done: tuple[TaskDone, ...], failed: tuple[TaskFailure, ...]) -> None:
        """In order per executor, after a while, sometimes twice; also when the executor is lost in between."""
        executor.told_at = max(executor.told_at, self.now + self.random.choice([0.0, 0.0005, 0.05]))
        event = m.TasksReported(executor.executor_id, done, failed)
        self.at(executor.told_at, lambda: self.step(event))
        if self.faulty or (self.chaos and self.random.random() < 0.05):
            self.at(executor.told_at + self.random.uniform(0, 5), lambda: self.step(event))

    def kill(self, executor: SimExecutor, task_ids: list[TaskId]) -> None:
        for task_id in task_ids:
            queued = next((task for task in executor.queue if task.task_id == task_id), None)
            if queued is not None:
                executor.queue.remove(queued)
            elif executor.running.pop(task_id, None) is None:
                continue
            self.report(executor, (), (TaskFailure(task_id, FailureKind.KILLED, "", "killed"),))
        self.start_tasks(executor)

    # ---- the scheduler's actions, and the properties ----

    def check(self, holds: bool, name: str) -> None:
        if not holds:
            story = "\n".join(self.trace[-60:])
            raise Violation(f"seed {self.seed}, at {self.now:.4f}: {name}\n{story}")

    def step(self, event: m.SchedulerEvent) -> None:
        if isinstance(event, m.JobSubmitted):
            for spec in event.job.stages:
                self.known.setdefault(spec.stage_id, spec)
        lost = []
        if isinstance(event, m.TasksReported):
            held = self.scheduler.tasks_on(event.executor_id)
            lost = [failure.fetch for failure in event.failed if failure.fetch is not None and failure.task_id in held]
        actions = self.scheduler.step(event, self.now)
        for shuffle_id, _, task_id, _ in lost:
            current = [output.task_id for output in self.scheduler.map_outputs(ShuffleId(shuffle_id))]
            self.check(TaskId(task_id) not in current, "an output that could not be read is made again")
        self.trace.append(f"{self.now:.4f} {event}")
        self.trace.extend(f"    {action}" for action in actions)
        for action in actions:
            self.carry_out(action)
        self._check_gangs(actions)
        self.check_state()

    def carry_out(self, action: m.SchedulerAction) -> None:
        match action:
            case m.StageBegan(stage_id, attempt, partitions, _, skipped):
                reads = [shuffle_id for shuffle_id in self.known[stage_id].reads if shuffle_id not in skipped]
                key = (stage_id, attempt)
                self.check(key not in self.live_attempts and key not in self.over_attempts, "a stage attempt begins once")
                tables = [self.scheduler.map_outputs(shuffle_id) for shuffle_id in reads] if partitions else []
                widths = [self.known[StageId(int(shuffle_id))].width for shuffle_id in reads] if partitions else []
                self.check([len(t) for t in tables] == widths, "inputs are complete when a stage begins")
                self.live_attempts[key] = tables
                self.inputs[key] = [(sid, entry) for sid, table in zip(reads, tables) for entry in table]
            case m.StageFinished(stage_id, attempt, _, _):
                self.check(self.live_attempts.pop((stage_id, attempt), None) is not None, "an attempt that began finishes once")
                self.over_attempts.add((stage_id, attempt))
            case m.Launch():
                self._launch(action)
            case m.Kill(executor_id, task_ids, _):
                executor = self.executors[executor_id]
                self.at(self.now + 0.0005, lambda: self.kill(executor, list(task_ids)) if executor.alive else None)
            case m.TasksAccepted(executor_id, stage_id, attempt, job_id, tasks):
                self.check((stage_id, attempt) in self.live_attempts, "no task of a fenced attempt changes state")
                self.check(self.executors[executor_id].alive, "nothing is accepted from a lost executor")
                for partition, _, done in tasks:
                    self.check(self.launched[done.task_id] == (stage_id, attempt, partition), "a report is taken for what was launched")
                    self.check((stage_id, attempt, partition) not in self.accepted, "a partition commits once per stage attempt")
                    self.accepted.add((stage_id, attempt, partition))
                    if job_id is not None:
                        self.check(partition not in self.results[job_id], "a result partition commits once")
                        self.results[job_id].add(partition)
            case m.TaskDiscarded(_, done):
                if done.map_output is not None:
                    shuffle_id = self.known[self.launched[done.task_id][0]].shuffle_id
                    assert shuffle_id is not None
                    current = {entry.task_id for entry in self.scheduler.map_outputs(shuffle_id)}
                    self.check(done.task_id not in current, "a discarded output is not in use")
                    self.files.pop((int(shuffle_id), done.map_output.map_index, int(done.task_id)), None)
            case m.JobSucceeded(job_id):
                spec = self.jobs[job_id].stages[-1]
                wanted = set(range(spec.width)) if spec.partitions is None else set(spec.partitions)
                self.check(self.results[job_id] == wanted, "a job succeeds with every result it wanted")
                self._end(job_id, "succeeded")
            case m.JobEndedBadly(job_id, status, reason, _, _, _):
                self.check(bool(reason), "a job that ends badly says why")
                self._end(job_id, status)
            case m.ShuffleForgotten(shuffle_id):
                self.files = {key: node for key, node in self.files.items() if key[0] != shuffle_id}
            case m.WaitingBecause(job_id, _, _):
                self.check(job_id not in self.ended, "a job that ended does not wait")
            case m.StageWasSkipped() | m.TaskAttemptFailed() | m.BlocksNoted() | m.DropDataset() | m.Replicate():
                pass

    def _check_gangs(self, actions: list[m.SchedulerAction]) -> None:
        for key, spec in [((a.stage_id, a.stage_attempt), self.known[a.stage_id]) for a in actions if isinstance(a, m.StageBegan)]:
            if spec.barrier:
                launched = [p for a in actions if isinstance(a, m.Launch) and (a.stage_id, a.stage_attempt) == key for p in a.partitions]
                self.check(sorted(launched) == list(range(spec.width)), "all tasks of a barrier stage are launched at once")
        for stage_id in {a.stage_id for a in actions if isinstance(a, m.TasksAccepted)}:
            if self.known[stage_id].barrier:
                accepted = [s.partition for a in actions if isinstance(a, m.TasksAccepted) and a.stage_id == stage_id for s in a.tasks]
                self.check(sorted(accepted) == list(range(self.known[stage_id].width)), "a barrier stage is accepted as a whole")
        for executor in self.living():
            had: dict[tuple[str, str], float] = {}
            for task in (*executor.running.values(), *executor.queue):
                for place, amount in task.gives.items():
                    had[place] = had.get(place, 0) + amount
            self.check(all(amount <= 1.02 for amount in had.values()), "no address is given to more than it can take")
            self.check(all(address in executor.resources[name] for name, address in had), "addresses are the executor's own")
            waiting = [task for task in executor.queue if task.gang]
            self.check(not waiting, "no task of a barrier stage waits in a queue")

    def _end(self, job_id: JobId, status: str) -> None:
        self.check(job_id not in self.ended, "a job ends exactly once")
        self.ended[job_id] = status
        own = self.jobs[job_id].stages[-1].stage_id
        self.check(all(stage_id != own for stage_id, _ in self.live_attempts), "a job ends after its stages")

    def _launch(self, action: m.Launch) -> None:
        executor = self.executors[action.executor_id]
        self.check(executor.alive and not executor.draining, "nothing is launched on a lost or draining executor")
        key = (action.stage_id, action.stage_attempt)
        self.check(key in self.live_attempts, "launches belong to an attempt that began")
        self.check(len(action.task_ids) == len(action.partitions) == len(action.attempts) > 0, "launch columns have one length")
        spec = self.known[action.stage_id]
        gang = spec.width if spec.barrier else 0
        for task_id, partition in zip(action.task_ids, action.partitions):
            self.check(task_id not in self.launched, "task ids are never used again")
            self.check((*key, partition) not in self.accepted, "what is done in an attempt is not launched again")
            self.launched[task_id] = (*key, partition)
            gives: dict[tuple[str, str], float] = {}
            for name, amount in spec.needs.per_task if spec.needs is not None else ():
                assert action.resources is not None
                addresses = action.resources[task_id][name]
                self.check(len(set(addresses)) == max(1, amount), "a task has the addresses it needs")
                gives.update({(name, address): min(1.0, amount) for address in addresses})
            executor.queue.append(Task(task_id, action.stage_id, action.stage_attempt, partition, action.cores_per_task, gang, gives))
        self.start_tasks(executor)

    def check_state(self) -> None:
        state = self.scheduler._state
        for executor in state.executors.values():
            held = sum(record[0].cores for record in executor.tasks.values())
            self.check(executor.free == executor.cores - held, "free cores are those not held")
            self.check(0 <= executor.held <= executor.cores, "cores held by long tasks are within the executor's")
            lowest = -executor.cores * self.policy.max_queue_per_slot
            self.check(lowest <= executor.free <= executor.cores, "slots are never negative or over-committed")
            sim = self.executors[executor.id]
            known = set(sim.running) | {task.task_id for task in sim.queue}
            self.check(known <= set(executor.tasks), "what an executor runs is accounted for")
        for job_id in self.scheduler.running_jobs():
            needed = {stage.spec.stage_id for stage in state.jobs[job_id].stages if state.jobs[job_id] in stage.jobs}
            runs = any(state.active[stage_id].running for stage_id in needed if stage_id in state.active)
            self.check(runs or bool(self.scheduler.waiting_reason(job_id)), "every pending job has a reason")
            for stage in state.jobs[job_id].stages:
                reason = self.scheduler.stage_waiting_reason(stage.spec.stage_id)
                active = stage.run is not None and bool(stage.run.running)
                self.check(active or not stage.jobs or bool(reason), "every pending stage has a reason")
