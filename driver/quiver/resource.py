"""Resources besides cores and memory: what executors offer, and what the tasks of a stage ask for.

An application says what its executors have with `spark.executor.resource.<name>.amount` (and `.discoveryScript`, a program that prints
their addresses), and what a task takes with `spark.task.resource.<name>.amount`. A ResourceProfile says it for the stages of one RDD.
"""

from __future__ import annotations

import itertools
from typing import Any, Final

from quiver_proto.resource import ResourceInformation
from quiver_proto.units import parse_memory

__all__ = [
    "ExecutorResourceRequest",
    "ExecutorResourceRequests",
    "ResourceInformation",
    "ResourceProfile",
    "ResourceProfileBuilder",
    "TaskResourceRequest",
    "TaskResourceRequests",
]

_MIB: Final = 1 << 20


class ExecutorResourceRequest:
    """So much of one resource on each executor; cores as a count, memory in MiB.

    >>> from quiver.resource import ExecutorResourceRequest
    >>> request = ExecutorResourceRequest("gpu", 2, "/opt/gpus.sh", "nvidia.com")
    >>> request.resourceName, request.amount, request.discoveryScript, request.vendor
    ('gpu', 2, '/opt/gpus.sh', 'nvidia.com')
    """

    def __init__(self, resourceName: str, amount: int, discoveryScript: str = "", vendor: str = "") -> None:
        self._name = resourceName
        self._amount = amount
        self._discovery_script = discoveryScript
        self._vendor = vendor

    @property
    def resourceName(self) -> str:
        """What it is called."""
        return self._name

    @property
    def amount(self) -> int:
        """How much of it an executor needs."""
        return self._amount

    @property
    def discoveryScript(self) -> str:
        """The program that finds the addresses; "" for none."""
        return self._discovery_script

    @property
    def vendor(self) -> str:
        """Whose it is; has no meaning here."""
        return self._vendor


class ExecutorResourceRequests:
    """What an executor must have to run the tasks of a stage. Every method returns the object, so that calls can be chained.

    Executors are not launched for a profile: the stage runs on those of the application's that have at least this much, and is refused
    within seconds when none has.

    >>> from quiver.resource import ExecutorResourceRequests
    >>> requests = ExecutorResourceRequests().cores(2).memory("1g").resource("gpu", 1).requests
    >>> {name: request.amount for name, request in requests.items()}
    {'cores': 2, 'memory': 1024, 'gpu': 1}
    """

    _CORES = "cores"
    _MEMORY = "memory"
    _OVERHEAD_MEM = "memoryOverhead"
    _PYSPARK_MEM = "pyspark.memory"
    _OFFHEAP_MEM = "offHeap"

    def __init__(self, _jvm: Any = None, _requests: dict[str, ExecutorResourceRequest] | None = None) -> None:
        self._requests = dict(_requests or {})

    def _memory(self, name: str, amount: str) -> ExecutorResourceRequests:
        self._requests[name] = ExecutorResourceRequest(name, _mib(amount, name))
        return self

    def memory(self, amount: str) -> ExecutorResourceRequests:
        """Memory, such as `512m` or `2g`; without a unit in MiB. Raises BadMemoryString."""
        return self._memory(self._MEMORY, amount)

    def memoryOverhead(self, amount: str) -> ExecutorResourceRequests:
        """Kept in the profile; executors here have one kind of memory, which memory() asks for."""
        return self._memory(self._OVERHEAD_MEM, amount)

    def pysparkMemory(self, amount: str) -> ExecutorResourceRequests:
        """Kept in the profile; executors here have one kind of memory, which memory() asks for."""
        return self._memory(self._PYSPARK_MEM, amount)

    def offheapMemory(self, amount: str) -> ExecutorResourceRequests:
        """Kept in the profile; executors here have one kind of memory, which memory() asks for."""
        return self._memory(self._OFFHEAP_MEM, amount)

    def cores(self, amount: int) -> ExecutorResourceRequests:
        """Cores."""
        self._requests[self._CORES] = ExecutorResourceRequest(self._CORES, amount)
        return self

    def resource(self, resourceName: str, amount: int, discoveryScript: str = "", vendor: str = "") -> ExecutorResourceRequests:
        """Any other resource, by the name that `spark.executor.resource.<name>.amount` has for it."""
        self._requests[resourceName] = ExecutorResourceRequest(resourceName, amount, discoveryScript, vendor)
        return self

    @property
    def requests(self) -> dict[str, ExecutorResourceRequest]:
        """What was asked for, by name."""
        return self._requests


class TaskResourceRequest:
    """So much of one resource for each task. Raises ValueError unless `amount` is a whole number, or at most 0.5 (so that several tasks
    share an address); of cpus any positive amount will do, and is rounded up.

    >>> from quiver.resource import TaskResourceRequest
    >>> TaskResourceRequest("gpu", 0.25).amount
    0.25
    >>> TaskResourceRequest("gpu", 0.7)
    Traceback (most recent call last):
    ValueError: The resource amount 0.7 of gpu must be either <= 0.5, or a whole number.
    """

    def __init__(self, resourceName: str, amount: float) -> None:
        self._name = resourceName
        self._amount = float(amount)
        if self._amount <= 0:
            raise ValueError(f"The resource amount {amount} of {resourceName} must be positive.")
        if resourceName != TaskResourceRequests._CPUS and self._amount > 0.5 and self._amount % 1:
            raise ValueError(f"The resource amount {amount} of {resourceName} must be either <= 0.5, or a whole number.")

    @property
    def resourceName(self) -> str:
        """What it is called."""
        return self._name

    @property
    def amount(self) -> float:
        """How much of it a task takes."""
        return self._amount


class TaskResourceRequests:
    """What each task of a stage takes. Every method returns the object, so that calls can be chained.

    >>> from quiver.resource import TaskResourceRequests
    >>> requests = TaskResourceRequests().cpus(2).resource("gpu", 0.5).requests
    >>> {name: request.amount for name, request in requests.items()}
    {'cpus': 2.0, 'gpu': 0.5}
    """

    _CPUS = "cpus"

    def __init__(self, _jvm: Any = None, _requests: dict[str, TaskResourceRequest] | None = None) -> None:
        self._requests = dict(_requests or {})

    def cpus(self, amount: float) -> TaskResourceRequests:
        """Cores that a task claims, rounded up. Raises ValueError unless positive."""
        self._requests[self._CPUS] = TaskResourceRequest(self._CPUS, amount)
        return self

    def resource(self, resourceName: str, amount: float) -> TaskResourceRequests:
        """Any other resource. Raises ValueError as TaskResourceRequest."""
        self._requests[resourceName] = TaskResourceRequest(resourceName, amount)
        return self

    @property
    def requests(self) -> dict[str, TaskResourceRequest]:
        """What was asked for, by name."""
        return self._requests


class ResourceProfile:
    """What the tasks of a stage take, and what executors must have to run them. Made by ResourceProfileBuilder, given to
    `RDD.withResources`.

    >>> from quiver.resource import ResourceProfileBuilder, TaskResourceRequests
    >>> profile = ResourceProfileBuilder().require(TaskResourceRequests().cpus(1)).build
    >>> rdd = sc.parallelize(range(3)).withResources(profile)
    >>> rdd.getResourceProfile() is profile
    True
    >>> rdd.sum()
    3
    """

    _ids = itertools.count(1)

    def __init__(
        self,
        _java_resource_profile: Any = None,
        _exec_req: dict[str, ExecutorResourceRequest] | None = None,
        _task_req: dict[str, TaskResourceRequest] | None = None,
    ) -> None:
        self._id = next(ResourceProfile._ids)
        self._executors = dict(_exec_req or {})
        self._tasks = dict(_task_req or {})

    @property
    def id(self) -> int:
        """Unique in this process; from 1."""
        return self._id

    @property
    def taskResources(self) -> dict[str, TaskResourceRequest]:
        """What a task takes, by name."""
        return self._tasks

    @property
    def executorResources(self) -> dict[str, ExecutorResourceRequest]:
        """What an executor must have, by name."""
        return self._executors


class ResourceProfileBuilder:
    """Puts a ResourceProfile together.

    >>> from quiver.resource import ExecutorResourceRequests, ResourceProfileBuilder, TaskResourceRequests
    >>> builder = ResourceProfileBuilder().require(ExecutorResourceRequests().cores(2)).require(TaskResourceRequests().cpus(2))
    >>> sorted(builder.build.executorResources), sorted(builder.build.taskResources)
    (['cores'], ['cpus'])
    """

    def __init__(self) -> None:
        self._executors: dict[str, ExecutorResourceRequest] = {}
        self._tasks: dict[str, TaskResourceRequest] = {}

    def require(self, resourceRequest: ExecutorResourceRequests | TaskResourceRequests) -> ResourceProfileBuilder:
        """Add these; of the same name, the last counts."""
        if isinstance(resourceRequest, TaskResourceRequests):
            self._tasks.update(resourceRequest.requests)
        else:
            self._executors.update(resourceRequest.requests)
        return self

    def clearExecutorResourceRequests(self) -> None:
        """Forget what executors must have."""
        self._executors = {}

    def clearTaskResourceRequests(self) -> None:
        """Forget what tasks take."""
        self._tasks = {}

    @property
    def taskResources(self) -> dict[str, TaskResourceRequest]:
        """What a task takes, so far."""
        return dict(self._tasks)

    @property
    def executorResources(self) -> dict[str, ExecutorResourceRequest]:
        """What an executor must have, so far."""
        return dict(self._executors)

    @property
    def build(self) -> ResourceProfile:
        """The profile."""
        return ResourceProfile(None, self._executors, self._tasks)


def _mib(amount: str, name: str) -> int:
    text = str(amount).strip()
    return int(text) if text.isdigit() else -(-parse_memory(text, name) // _MIB)
