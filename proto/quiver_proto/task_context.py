"""What a running task can ask about itself: TaskContext, and BarrierTaskContext, which tasks of a barrier stage use to meet.

Whoever runs tasks sets `current` before each one: a plain tuple, from which the object is made when it is first asked for.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Final, Self

from quiver_proto.errors import CalledBeforeInitialized, NotInBarrierStage
from quiver_proto.resource import ResourceInformation

if TYPE_CHECKING:
    from decimal import Decimal

BARRIER: Final = b"b"
ALL_GATHER: Final = b"g"
"""First byte of what a task brings to a meeting: the kind of call; behind it, for allGather, the message in UTF-8."""

Meet = Callable[[int, int, bytes], Sequence[bytes]]
"""(task id, round, what it brings) -> what all brought, by partition. Blocks. Raises BarrierFailed."""


class StageFacts:
    """What all tasks of a stage attempt have in common. `resources` has the addresses of those tasks that were given any, by task id."""

    __slots__ = ("cores", "meet", "properties", "resources", "stage_attempt", "stage_id")

    def __init__(
        self,
        stage_id: int,
        stage_attempt: int,
        properties: Mapping[str, str],
        cores: int,
        resources: Mapping[int, Mapping[str, Sequence[str]]] | None = None,
        meet: Meet | None = None,
    ) -> None:
        self.stage_id = stage_id
        self.stage_attempt = stage_attempt
        self.properties = properties
        self.cores = cores
        self.resources = resources
        self.meet = meet
        """None in a stage that is not a barrier stage."""


current: tuple[StageFacts, int, int, int] | TaskContext | None = None
"""(facts, task id, partition, attempt) of the task that runs in this process, or the object made of it; None between tasks."""


class TaskContext:
    """The task that runs in this process, as its own code sees it.

    `TaskContext.get()` gives it inside a function that runs in a task, and None on the driver. It can be pickled and looked at
    elsewhere.

    >>> from quiver import TaskContext
    >>> TaskContext.get() is None
    True
    >>> sc.parallelize(range(4), 2).map(lambda _: TaskContext.get().partitionId()).collect()
    [0, 0, 1, 1]
    """

    _stageId: int | None = None
    _stageAttempt: int | None = None
    _partitionId: int | None = None
    _attemptNumber: int | None = None
    _taskAttemptId: int | None = None
    _cpus: int | None = None
    _localProperties: Mapping[str, str] = MappingProxyType({})
    _resources: dict[str, ResourceInformation] | None = None

    def __new__(cls) -> Self:
        """The running task's own, wherever there is one of this kind."""
        running = TaskContext.get()
        return running if isinstance(running, cls) else object.__new__(cls)

    @classmethod
    def get(cls) -> TaskContext | None:
        """The running task's; None on the driver.

        >>> sc.parallelize([1]).map(lambda _: TaskContext.get() is TaskContext.get()).first()
        True
        """
        global current
        if type(current) is tuple:
            current = _made(*current)
        return current  # type: ignore[return-value]

    def stageId(self) -> int:
        """The id of the stage that the task belongs to.

        >>> isinstance(sc.parallelize([1]).map(lambda _: TaskContext.get().stageId()).first(), int)
        True
        """
        return self._stageId  # type: ignore[return-value]

    def partitionId(self) -> int:
        """The partition that the task computes, from 0.

        >>> sc.parallelize(range(3), 3).map(lambda _: TaskContext.get().partitionId()).collect()
        [0, 1, 2]
        """
        return self._partitionId  # type: ignore[return-value]

    def attemptNumber(self) -> int:
        """How often this partition was tried before: 0 for the first attempt.

        >>> sc.parallelize([1]).map(lambda _: TaskContext.get().attemptNumber()).first()
        0
        """
        return self._attemptNumber  # type: ignore[return-value]

    def taskAttemptId(self) -> int:
        """Unique to this attempt among all of the application.

        >>> len(set(sc.parallelize(range(4), 4).map(lambda _: TaskContext.get().taskAttemptId()).collect()))
        4
        """
        return self._taskAttemptId  # type: ignore[return-value]

    def getLocalProperty(self, key: str) -> str | None:
        """A local property of the job's thread as it was when the job started; None when it was not set.

        >>> sc.setLocalProperty("team", "search")
        >>> sc.parallelize([1]).map(lambda _: TaskContext.get().getLocalProperty("team")).first()
        'search'
        """
        return self._localProperties.get(key)

    def cpus(self) -> int:
        """How many cores the task claims: `spark.task.cpus`, or what its resource profile says.

        >>> sc.parallelize([1]).map(lambda _: TaskContext.get().cpus()).first()
        1
        """
        return self._cpus  # type: ignore[return-value]

    def cpuAmount(self) -> Decimal:
        """The same as cpus(), as a decimal: cores are not shared between tasks here.

        >>> sc.parallelize([1]).map(lambda _: TaskContext.get().cpuAmount()).first()
        Decimal('1')
        """
        from decimal import Decimal

        return Decimal(self._cpus or 0)

    def resources(self) -> dict[str, ResourceInformation]:
        """The resources that were given to the task, by name: which addresses of each it may use.

        >>> sc.parallelize([1]).map(lambda _: TaskContext.get().resources()).first()
        {}
        """
        return self._resources or {}

    def _fill(self, facts: StageFacts, task_id: int, partition: int, attempt: int) -> None:
        self._stageId, self._stageAttempt = facts.stage_id, facts.stage_attempt
        self._partitionId, self._attemptNumber, self._taskAttemptId = partition, attempt, task_id
        self._cpus, self._localProperties = facts.cores, facts.properties
        given = (facts.resources or {}).get(task_id, {})
        self._resources = {name: ResourceInformation(name, list(addresses)) for name, addresses in given.items()}

    def __reduce__(self) -> tuple[Any, ...]:
        state = {name: value for name, value in vars(self).items() if name != "_meet"}
        return _unpickled, (type(self), {**state, "_localProperties": dict(self._localProperties)})


class BarrierTaskInfo:
    """One task of a barrier stage. `address` is `host:port` of the executor that it runs on; port 0 where there is none (local mode).

    >>> from quiver import BarrierTaskInfo
    >>> BarrierTaskInfo("10.0.0.7:41000").address
    '10.0.0.7:41000'
    """

    def __init__(self, address: str) -> None:
        self.address = address

    def __repr__(self) -> str:
        return f"BarrierTaskInfo({self.address!r})"


class BarrierTaskContext(TaskContext):
    """The running task of a barrier stage (see `RDD.barrier`), whose tasks all run at the same time and can wait for one another.

    Every task has to make the same calls of barrier() and allGather() in the same order. Where they differ, or where a task ends
    without arriving, the others are told: BarrierFailed.

    >>> from quiver import BarrierTaskContext
    >>> def meet(records):
    ...     context = BarrierTaskContext.get()
    ...     context.barrier()
    ...     return records
    >>> sc.parallelize([1], 1).barrier().mapPartitions(meet).collect()
    [1]
    """

    _meet: Meet | None = None
    _round = 0

    @classmethod
    def get(cls) -> BarrierTaskContext:
        """The running task's. Raises NotInBarrierStage (a RuntimeError) on the driver and in tasks of other stages.

        >>> BarrierTaskContext.get()
        Traceback (most recent call last):
        quiver_proto.errors.NotInBarrierStage: [NOT_IN_BARRIER_STAGE] It is not in a barrier stage.
        """
        running = TaskContext.get()
        if not isinstance(running, BarrierTaskContext):
            raise NotInBarrierStage
        return running

    def barrier(self) -> None:
        """Wait until every task of the stage has called this as often. Raises BarrierFailed when that can't happen any more, or did
        not within `spark.barrier.sync.timeout`.

        To be called in the thread that runs the task.

        >>> def wait(records):
        ...     BarrierTaskContext.get().barrier()
        ...     yield "all are here"
        >>> sc.parallelize([1], 1).barrier().mapPartitions(wait).collect()
        ['all are here']
        """
        self._come("barrier", BARRIER)

    def allGather(self, message: str = "") -> list[str]:
        """As barrier(); returns what every task passed in, by partition.

        >>> def tell(records):
        ...     return BarrierTaskContext.get().allGather(f"I have {sum(records)}")
        >>> sc.parallelize([1, 2], 1).barrier().mapPartitions(tell).collect()
        ['I have 3']
        """
        if not isinstance(message, str):
            raise TypeError("Argument `message` must be of type `str`")
        return [brought[1:].decode() for brought in self._come("allGather", ALL_GATHER + message.encode())]

    def getTaskInfos(self) -> list[BarrierTaskInfo]:
        """Where the tasks of the stage run, by partition.

        >>> infos = sc.parallelize([1], 1).barrier().mapPartitions(lambda _: BarrierTaskContext.get().getTaskInfos()).collect()
        >>> len(infos), infos[0].address.count(":")
        (1, 1)
        """
        if self._stageId is None:
            raise CalledBeforeInitialized("getTaskInfos")
        return [BarrierTaskInfo(address) for address in self._localProperties.get("addresses", "").split(",")]

    def _come(self, method: str, brings: bytes) -> Sequence[bytes]:
        if self._meet is None:
            raise CalledBeforeInitialized(method)
        assert self._taskAttemptId is not None
        number, self._round = self._round, self._round + 1
        return self._meet(self._taskAttemptId, number, brings)


def _made(facts: StageFacts, task_id: int, partition: int, attempt: int) -> TaskContext:
    if facts.meet is None:
        made: TaskContext = object.__new__(TaskContext)
    else:
        made = barrier = object.__new__(BarrierTaskContext)
        barrier._meet = facts.meet
    made._fill(facts, task_id, partition, attempt)
    return made


def _unpickled(kind: type[TaskContext], state: dict[str, Any]) -> TaskContext:
    made = object.__new__(kind)
    vars(made).update(state)
    return made
