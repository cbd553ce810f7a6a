"""Stories with cached datasets: blocks are stored, replicated, evicted, dropped and lost with executors, and reports about them come late.

The truth is which executor has which block. A task finds those that its own executor has, and those that its attempt's table named and that
are still there.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import replace

from simulation import FAULTS_END, SimExecutor, Simulation, Task

from quiver.scheduler import model as m
from quiver.scheduler.blocks import Block, StoredDataset
from quiver.scheduler.caching import Caching, Variant
from quiver_proto.ids import ExecutorId, JobId, NodeId, ShuffleId, StageId, TaskId
from quiver_proto.messages import CachedBlock, FailureKind, TaskDone, TaskExtras
from quiver_proto.storage import StorageLevel


class CachedSimulation(Simulation):
    def __init__(self, seed: int) -> None:
        super().__init__(seed)
        self.datasets: dict[int, m.StageSpec] = {}
        """Persisted datasets, each with the stage that it was made for: others that read it have its width, parents and reads."""
        self.copies: dict[Block, set[ExecutorId]] = defaultdict(set)
        self.told: set[tuple[Block, ExecutorId]] = set()
        """Copies that the scheduler has been told of, and not that they are gone."""
        self.variants: dict[TaskId, Variant] = {}
        self.tables: dict[tuple[StageId, int], dict[Block, set[ExecutorId]]] = {}
        self.skipped: dict[tuple[StageId, int], frozenset[ShuffleId]] = {}
        self.missed: set[tuple[StageId, int, int]] = set()
        self.released: set[int] = set()

    def run(self) -> list[str]:
        r = self.random
        for _ in range(r.randint(0, 20) if self.chaos else 2):
            self.at(r.uniform(0, FAULTS_END), r.choice([self.evict, self.evict, self.unpersist, self.lose_and_read, self.lose_and_read]))
        trace = super().run()
        known = self.scheduler._state.blocks
        for block, holders in self.copies.items():
            for executor_id in holders:
                if self.executors[executor_id].alive:
                    self.check(block[0] in known.datasets, f"no block of a dropped dataset stays anywhere: {block} on {executor_id}")
        # A report may cross with the order to drop what it tells of: such a belief ends with the first task that relies on it.
        for dataset_id in known.datasets.keys() - self.released:
            table = known.table(dataset_id)
            for partition, executor_id in zip(table.partitions, table.executor_ids):
                self.check(executor_id in self.copies[dataset_id, partition], "in the end every copy that is believed in is there")
        return trace

    # ---- stages ----

    def _stage(self, stage_id: StageId, shuffle_id: ShuffleId | None, before: list[m.StageSpec]) -> m.StageSpec:
        spec = super()._stage(stage_id, shuffle_id, before)
        r = self.random
        usable = [i for i, made in self.datasets.items() if all(parent in self.specs for parent in made.parents)]
        if usable and r.random() < 0.6:
            dataset_id = r.choice(usable)
            made = self.datasets[dataset_id]
            for parent in made.parents:
                self._with_ancestors(self.specs[parent], before)
            spec = replace(spec, width=made.width, parents=made.parents, reads=made.reads, partitions=None, preferred={}, barrier=False)
            return self._as_local_checkpoint(replace(spec, caching=made.caching))
        if r.random() < 0.7:
            dataset_id = len(self.datasets)
            dataset = StoredDataset(dataset_id, f"dataset {dataset_id}", spec.width, r.choice(LEVELS))
            covered = [shuffle for shuffle in spec.reads if r.random() < 0.8]
            rest = tuple(shuffle for shuffle in spec.reads if shuffle not in covered)
            below = r.choice(usable) if usable and r.random() < 0.3 else None
            if below is not None and self.datasets[below].width == spec.width and self.datasets[below].reads == spec.reads:
                inner = self.datasets[below].caching
                assert inner is not None
                caching = Caching((dataset, *inner.datasets), lambda p: [Variant(((dataset_id, p),), rest), *inner.variants(p)])
            else:
                caching = Caching((dataset,), lambda p: [Variant(((dataset_id, p),), rest), Variant((), spec.reads)])
            spec = replace(spec, caching=caching)
            self.datasets[dataset_id] = spec
        return spec

    def _as_local_checkpoint(self, spec: m.StageSpec) -> m.StageSpec:
        """Now and then, when all blocks are there, the lineage is given up."""
        assert spec.caching is not None
        dataset = spec.caching.datasets[0]
        everywhere = all(self._holders((dataset.dataset_id, partition)) for partition in range(spec.width))
        if not everywhere or self.random.random() < 0.7:
            return spec
        first = next(iter(spec.caching.variants(0))) if spec.width else Variant((), ())
        only = replace(dataset, is_only_copy=True)
        parents = tuple(parent for parent in spec.parents if self.specs[parent].shuffle_id in first.reads)
        return replace(
            spec,
            parents=parents,
            reads=first.reads,
            caching=Caching((only,), lambda p: [Variant(((dataset.dataset_id, p),), first.reads)]),
        )

    def lose_and_read(self) -> None:
        """A node goes with its map outputs, and a job at once wants a dataset whose blocks may be left elsewhere; then more goes wrong."""
        usable = [i for i, made in self.datasets.items() if made.reads and all(parent in self.specs for parent in made.parents)]
        chances = [(dataset_id, node) for dataset_id in usable for node in NODES if self._covered_without(dataset_id, node)]
        if not usable:
            return
        dataset_id, node = self.random.choice(chances) if chances else (self.random.choice(usable), self.random.choice(NODES))
        self.lose_node(node)
        made = self.datasets[dataset_id]
        job_id = JobId(len(self.jobs) + 100)
        stages: list[m.StageSpec] = []
        for parent in made.parents:
            self._with_ancestors(self.specs[parent], stages)
        result = replace(
            made, stage_id=StageId(1000 * (int(job_id) + 1) + 99), shuffle_id=None, partitions=None, preferred={}, barrier=False
        )
        spec = m.JobSpec(job_id, (*stages, result))
        self.specs[result.stage_id] = result
        self.jobs[job_id], self.results[job_id] = spec, set()
        self.step(m.JobSubmitted(spec))
        then = self.random.choice([self.evict, self.lose_executor, lambda: self.step(m.DatasetReleased(dataset_id))])
        self.at(self.now + self.random.uniform(0, 0.3), then)

    def _covered_without(self, dataset_id: int, node: NodeId) -> bool:
        """Whether map outputs that the dataset was made from are on the node, while all of its blocks are elsewhere too."""
        made = self.datasets[dataset_id]
        return any(int(shuffle) == key[0] and where == node for shuffle in made.reads for key, where in self.files.items()) and all(
            any(self.executors[holder].node_id != node for holder in self._holders((dataset_id, partition)))
            for partition in range(made.width)
        )

    # ---- what happens to blocks ----

    def _holders(self, block: Block) -> list[ExecutorId]:
        return [executor_id for executor_id in sorted(self.copies[block]) if self.executors[executor_id].alive]

    def evict(self) -> None:
        blocks = [(block, executor_id) for block in sorted(self.copies) for executor_id in self._holders(block)]
        for block, executor_id in self.random.sample(blocks, min(len(blocks), self.random.choice([1, 1, 5]))):
            self.copies[block].discard(executor_id)
            self._tell(self.executors[executor_id], block, 0)

    def unpersist(self) -> None:
        if self.datasets:
            self.step(m.DatasetReleased(self.random.choice(list(self.datasets))))

    def _tell(self, executor: SimExecutor, block: Block, size: int) -> None:
        executor.told_at = max(executor.told_at, self.now + self.random.choice([0.0, 0.001, 0.5]))
        event = m.BlocksReported(executor.executor_id, [_copy(block, executor, size)])
        self.at(executor.told_at, lambda: self.step(event))

    def _drop(self, dataset_id: int, executor_ids: tuple[ExecutorId, ...]) -> None:
        for block, holders in self.copies.items():
            if block[0] == dataset_id:
                holders.difference_update(executor_ids)

    def _replicate(self, action: m.Replicate) -> None:
        executor = self.executors[action.executor_id]
        block = action.block.dataset_id, action.block.partition
        if executor.alive:
            there = bool(self._holders(block)) and not self.faulty and block[0] in self.scheduler._state.blocks.datasets
            if there:
                self.copies[block].add(action.executor_id)
            self._tell(executor, block, 10 if there else 0)

    # ---- tasks ----

    def _launch(self, action: m.Launch) -> None:
        key = action.stage_id, action.stage_attempt
        caching = self.known[action.stage_id].caching
        if caching is not None:
            self.check(len(action.variants) == len(action.task_ids), "a stage with caches says which variant is meant")
            for task_id, partition, number in zip(action.task_ids, action.partitions, action.variants):
                self.variants[task_id] = list(caching.variants(partition))[number]
                lacking = self.skipped[key].intersection(self.variants[task_id].reads)
                self.check(not lacking, "a task reads only inputs that its attempt has")
        super()._launch(action)

    def _finds(self, executor: SimExecutor, task: Task, block: Block) -> bool:
        known = self.tables[task.stage_id, task.attempt].get(block, set()) | {executor.executor_id}
        return not known.isdisjoint(self._holders(block))

    def _missed_block(self, executor: SimExecutor, task: Task) -> Block | None:
        variant = self.variants.get(task.task_id)
        if variant is None:
            return None
        missing = next((block for block in variant.needs if not self._finds(executor, task, block)), None)
        if missing is not None:
            attempt = task.stage_id, task.attempt, task.partition
            self.check(attempt not in self.missed, "a partition misses a block once an attempt at most")
            self.missed.add(attempt)
        return missing

    def _lost_input(self, task: Task) -> tuple[int, int, int, str] | None:
        variant = self.variants.get(task.task_id)
        lost = super()._lost_input(task)
        if lost is not None and variant is not None and lost[0] not in variant.reads:
            # What it does not read it does not miss; others are found out by those who read them.
            return None
        return lost

    def _done(self, executor: SimExecutor, task: Task, seconds: float) -> TaskDone:
        done = super()._done(executor, task, seconds)
        caching = self.known[task.stage_id].caching
        if caching is None:
            return done
        block = caching.datasets[0].dataset_id, task.partition
        if self._finds(executor, task, block) or self.random.random() < 0.1:
            return done
        self.copies[block].add(executor.executor_id)
        return done._replace(extras=TaskExtras((_copy(block, executor, 10),)))

    # ---- properties ----

    def step(self, event: m.SchedulerEvent) -> None:
        reported: list[CachedBlock] = []
        match event:
            case m.DatasetReleased(dataset_id):
                self.released.add(dataset_id)
            case m.BlocksReported(_, blocks):
                reported = list(blocks)
            case m.TasksReported(executor_id, done, _):
                held = self.scheduler.tasks_on(executor_id)
                reported = [block for report in done if report.extras and report.task_id in held for block in report.extras.cached]
        for copy in reported:
            key = (copy.dataset_id, copy.partition), copy.executor_id
            (self.told.add if copy.memory_bytes else self.told.discard)(key)
        super().step(event)

    def carry_out(self, action: m.SchedulerAction) -> None:
        match action:
            case m.StageBegan(stage_id, attempt, _, _, skipped):
                caching = self.known[stage_id].caching
                table: dict[Block, set[ExecutorId]] = defaultdict(set)
                for dataset in () if caching is None else caching.datasets:
                    rows = self.scheduler.cache_table(dataset.dataset_id)
                    for partition, executor_id in zip(rows.partitions, rows.executor_ids):
                        table[dataset.dataset_id, partition].add(ExecutorId(executor_id))
                self.tables[stage_id, attempt] = table
                self.skipped[stage_id, attempt] = skipped
            case m.DropDataset(dataset_id, executor_ids):
                self.told = {entry for entry in self.told if entry[0][0] != dataset_id or entry[1] not in executor_ids}
                self.at(self.now + 0.0005, lambda: self._drop(dataset_id, tuple(executor_ids)))
            case m.Replicate():
                self.check(self.executors[action.executor_id].alive, "replicas are asked of the living")
                self.at(self.now + self.random.uniform(0, 2), lambda: self._replicate(action))
            case m.TaskAttemptFailed() if action.failure.exception_type == "CheckpointLost":
                assert action.failure.cache is not None
                self.check(action.failure.kind is FailureKind.FATAL, "what is lost for good ends the job")
                block = action.failure.cache
                left = [executor_id for executor_id in self._holders(block) if (block, executor_id) in self.told]
                known = self.tables[action.stage_id, action.stage_attempt].get(block, set())
                self.check(not set(left) - known, "nothing is lost for good while a copy is known")
            case _:
                pass
        super().carry_out(action)


NODES = [NodeId(f"n{i}") for i in range(4)]
LEVELS = (
    StorageLevel.MEMORY_ONLY,
    StorageLevel.MEMORY_ONLY_2,
    StorageLevel.DISK_ONLY,
    StorageLevel.MEMORY_ONLY_2,
    StorageLevel.DISK_ONLY_3,
)


def _copy(block: Block, executor: SimExecutor, size: int) -> CachedBlock:
    return CachedBlock(*block, executor.node_id, executor.executor_id, 0, f"/{block}", size, 0, 1)
