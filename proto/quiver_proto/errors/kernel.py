"""The relational kernel can't run a plan, or not within its memory."""

from __future__ import annotations

from quiver_proto.errors.base import QuiverError


class UnsupportedPlan(QuiverError):
    """A query's physical plan has something that can't be carried between processes or cut into stages."""

    def __init__(self, what: str) -> None:
        super().__init__(f"the query needs {what}", what)


class KernelDiffers(QuiverError, ImportError):
    """The DataFusion that is installed makes other plans than those that this version of Quiver reads. Nothing was computed."""

    def __init__(self, installed: str, wanted: str, problem: str) -> None:
        super().__init__(
            f"DataFusion {installed} is installed, and this version of Quiver works with {wanted} only: {problem}. "
            f"Install it everywhere: pip install datafusion=={wanted}",
            installed,
            wanted,
            problem,
        )


class KernelOutOfMemory(QuiverError, MemoryError):
    """An operator that can't spill needs more memory than its task has. The driver then plans the query for smaller partitions.

    `row_bytes`: of the largest row of a batch that was too large, 0 when that is not known.
    """

    def __init__(self, operator: str, asked: str, pool: str, row_bytes: int = 0) -> None:
        super().__init__(
            f"{operator} asked for {asked} more than is left of the {pool} that a task's operators have. Give executors more memory "
            "(spark.executor.memory) or fewer cores, cut the query into more partitions (quiver.sql.partitions), or let less of what "
            "it reads come to that operator.",
            operator,
            asked,
            pool,
            row_bytes,
        )
        self.operator = operator
        self.pool = pool
        self.row_bytes = row_bytes


class SlotOutOfMemory(KernelOutOfMemory):
    """A slot's process outgrew the memory it has, by what nothing counts or spills, and its task was ended for it.

    `operator` is where most of it is likely to be, "" when that is not known; `held` and `limit` in bytes. Of a query's task: the driver
    then plans the query for smaller partitions.
    """

    def __init__(self, operator: str, held: int, limit: int, row_bytes: int = 0) -> None:
        where = f", most of it probably in {operator}" if operator else ""
        QuiverError.__init__(
            self,
            f"a task's process grew to {held >> 20} MiB{where}; of its executor's memory it has {limit >> 20} MiB. Give executors more "
            "memory (spark.executor.memory) or fewer cores, cut the work into more partitions, or let less of what is read come to one key "
            "or one task: a window or a list of all rows is held by one.",
            operator,
            held,
            limit,
            row_bytes,
        )
        self.operator = operator
        self.row_bytes = row_bytes
        self.pool = f"{limit >> 20} MiB"


class GroupOutOfMemory(KernelOutOfMemory):
    """One group's rows, which a function of Python gets all at once, need more memory than its task has: no other plan makes them fewer.

    `held` of its rows, which go on, and `limit` of the task, in bytes.
    """

    def __init__(self, function: str, key: str, held: int, limit: int) -> None:
        QuiverError.__init__(
            self,
            f"{function} gets all rows of a group at once, and those of key {key} are {held >> 20} MiB and more, which do not fit twice, "
            f"as they come and put together, into the {limit >> 20} MiB of its task. Give executors more memory (spark.executor.memory) or "
            "fewer cores, group by more columns, select fewer before, or aggregate with functions of SQL.",
            function,
            key,
            held,
            limit,
        )
        self.operator = function
        self.pool = f"{limit >> 20} MiB"
        self.row_bytes = 0
