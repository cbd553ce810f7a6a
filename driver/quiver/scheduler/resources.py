"""Resources besides cores: which addresses of an executor's are whose, and launching the tasks that need them.

An address is cut into ONE units. A task that takes whole addresses gets some that nobody uses, one that takes a share gets it of the
fullest address that still has it, so that whole ones stay whole. What a task has is its own until its end is reported.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING

from quiver_proto.ids import TaskId

if TYPE_CHECKING:
    from quiver.scheduler.executors import Executor
    from quiver.scheduler.model import Needs
    from quiver.scheduler.stages import StageRun

ONE = 1_000_000


class Addresses:
    """The addresses of one executor, and who has what of them."""

    __slots__ = ("_given", "free")

    def __init__(self, resources: Mapping[str, Sequence[str]]) -> None:
        self.free: dict[str, dict[str, int]] = {name: dict.fromkeys(addresses, ONE) for name, addresses in resources.items()}
        """Units that are left of each address."""
        self._given: dict[TaskId, list[tuple[str, str, int]]] = {}

    def fits(self, needs: Needs) -> int:
        """How many tasks could have what they need now; a large number when they need nothing."""
        return min((_count(self.free.get(name, {}).values(), amount) for name, amount in needs.per_task), default=1 << 30)

    def capacity(self, needs: Needs) -> int:
        """How many could if nobody had anything."""
        return min((_count([ONE] * len(self.free.get(name, ())), amount) for name, amount in needs.per_task), default=1 << 30)

    def take(self, task_id: TaskId, needs: Needs) -> dict[str, tuple[str, ...]]:
        """The addresses that the task may use, by name. There must be enough (`fits`)."""
        given = self._given[task_id] = []
        for name, amount in needs.per_task:
            free = self.free[name]
            if amount >= 1:
                addresses = [address for address, units in free.items() if units == ONE][: int(amount)]
                shares = [(name, address, ONE) for address in addresses]
            else:
                share = int(amount * ONE)
                shares = [(name, min((a for a in free if free[a] >= share), key=free.__getitem__), share)]
            for _, address, units in shares:
                free[address] -= units
            given += shares
        taken: dict[str, tuple[str, ...]] = {}
        for name, address, _ in given:
            taken[name] = (*taken.get(name, ()), address)
        return taken

    def give_back(self, task_id: TaskId) -> None:
        """The task has ended."""
        for name, address, units in self._given.pop(task_id, ()):
            self.free[name][address] += units


def _count(free: Iterable[int], amount: float) -> int:
    if amount >= 1:
        return sum(units == ONE for units in free) // int(amount)
    share = int(amount * ONE)
    return sum(units // share for units in free)


def room(executor: Executor, run: StageRun) -> int:
    """How many of the attempt's tasks could start there now, were it not draining or reserved."""
    count = max(0, executor.free) // run.cores
    if run.needs is None or not count:
        return count
    return min(count, executor.addresses.fits(run.needs)) if _is_enough(executor, run.needs) else 0


def capacity(executor: Executor, run: StageRun) -> int:
    """How many could if nothing else ran there."""
    count = executor.cores // run.cores
    if run.needs is None or not count:
        return count
    return min(count, executor.addresses.capacity(run.needs)) if _is_enough(executor, run.needs) else 0


def _is_enough(executor: Executor, needs: Needs) -> bool:
    """Has the executor what the stage's profile says that executors must have?"""
    for name, least in needs.executor:
        there = (
            executor.cores if name == "cores" else executor.memory_bytes if name == "memory" else len(executor.addresses.free.get(name, ()))
        )
        if there < least:
            return False
    return True


def _amount(executor: Executor, name: str) -> int:
    if name == "cores":
        return executor.cores
    return executor.memory_bytes if name == "memory" else len(executor.addresses.free.get(name, ()))


def described(run: StageRun) -> str:
    """What a task needs, in words."""
    assert run.needs is not None
    parts = [f"{run.cores} core{'s' if run.cores > 1 else ''}", *(f"{amount:g} {name}" for name, amount in run.needs.per_task)]
    text = f"{' and '.join(parts)} per task"
    if run.needs.executor:
        least = [f"{amount >> 20} MiB of memory" if name == "memory" else f"{amount} {name}" for name, amount in run.needs.executor]
        text += f", on an executor with at least {', '.join(least)}"
    return text


def best(executors: Sequence[Executor], run: StageRun) -> str:
    """What the executors there are have of it, in words: the most of each."""
    assert run.needs is not None
    names = dict.fromkeys([name for name, _ in run.needs.per_task] + [name for name, _ in run.needs.executor])
    most = [f"{max(e.cores for e in executors)} cores"]
    for name in names:
        if name != "cores":
            amount = max(_amount(executor, name) for executor in executors)
            most.append(f"{amount >> 20} MiB of memory" if name == "memory" else f"{amount} {name}")
    return ", ".join(most)
