"""Broadcasts on the driver: the value is written to a file once, and closures that refer to it carry its id."""

from __future__ import annotations

import itertools
import os
import threading
import weakref
from collections.abc import Callable, Sequence
from typing import Any, TypeVar

from quiver.plan.model import Driver
from quiver_proto import broadcast_file
from quiver_proto.broadcast import Broadcast, from_id
from quiver_proto.errors import BroadcastDestroyed, UnpicklableBroadcast
from quiver_proto.host import this_machine
from quiver_proto.messages import BroadcastTable
from quiver_proto.ops import CallSite

__all__ = ["Broadcast", "DriverBroadcast", "broadcast", "referred", "take_referred"]

T = TypeVar("T")

_numbers = itertools.count()

referred: dict[int, list[DriverBroadcast[Any]]] = {}
"""What was pickled by each thread since it last took it: one look at whether this is empty is all that other closures pay."""


def take_referred() -> tuple[DriverBroadcast[Any], ...]:
    """The broadcasts that this thread has pickled since the last call, each once."""
    return tuple({id(each): each for each in referred.pop(threading.get_ident(), ())}.values())


def note_referred(broadcasts: Sequence[DriverBroadcast[Any]]) -> None:
    """What this thread pickles refers to these, in bytes that were pickled before."""
    if broadcasts:
        referred.setdefault(threading.get_ident(), []).extend(broadcasts)


class DriverBroadcast(Broadcast[T]):
    """A Broadcast in the program that made it. When it is collected its copies go, here and on nodes."""

    def __init__(self, table: BroadcastTable, driver: Driver) -> None:
        super().__init__(table.broadcast_id, None)
        self._table = table
        self._driver = driver
        self._lock = threading.Lock()
        self._opened: list[T] = []
        self._destroyed = False
        # Runs in the collector: no locks, and it must not keep the driver.
        self._finalizer = weakref.finalize(self, _collected, weakref.ref(driver), table.broadcast_id)
        self._finalizer.atexit = False

    @property
    def value(self) -> T:
        self._check()
        with self._lock:
            if not self._opened:
                try:
                    descriptor = os.open(self._table.path, os.O_RDONLY | os.O_CLOEXEC)
                except FileNotFoundError:  # Gone with its Context.
                    raise BroadcastDestroyed(self.id) from None
                try:
                    self._opened.append(broadcast_file.load(descriptor, self._table.size, self._table.path))
                finally:
                    os.close(descriptor)
            return self._opened[0]

    def unpersist(self, blocking: bool = False) -> None:
        self._check()
        self._driver.remove_broadcast(self.id, destroy=False, blocking=blocking)

    def destroy(self, blocking: bool = False) -> None:
        self._check()
        self._destroyed = True
        self._finalizer.detach()
        self._opened.clear()
        self._driver.remove_broadcast(self.id, destroy=True, blocking=blocking)

    def _check(self) -> None:
        if self._destroyed:
            raise BroadcastDestroyed(self.id)

    def __reduce__(self) -> tuple[Callable[[int], Broadcast[Any]], tuple[int]]:
        referred.setdefault(threading.get_ident(), []).append(self)
        return from_id, (self.id,)


def broadcast(value: T, driver: Driver, call_site: CallSite) -> DriverBroadcast[T]:
    """See Context.broadcast. Ids differ between all broadcasts of a process, and between the clients of a driver."""
    broadcast_id = driver.id_base + next(_numbers)
    path = broadcast_file.file_path(driver.broadcast_dir(), broadcast_id)
    os.makedirs(os.path.dirname(path), mode=0o700, exist_ok=True)
    try:
        size, checksums = broadcast_file.write(path, value)
    except OSError:
        raise
    except Exception as error:
        raise _unpicklable(value, call_site, error) from None
    table = BroadcastTable(broadcast_id, path, this_machine(), size, broadcast_file.PIECE_BYTES, checksums)
    try:
        driver.add_broadcast(table)
    except BaseException:
        os.unlink(path)
        raise
    return DriverBroadcast(table, driver)


def _unpicklable(value: Any, call_site: CallSite, error: Exception) -> UnpicklableBroadcast:
    from quiver.closures import blamed

    culprit, problem = blamed(value, "value", error)
    return UnpicklableBroadcast(str(call_site), culprit, problem)


def _collected(driver: weakref.ref[Driver], broadcast_id: int) -> None:
    living = driver()
    if living is not None:
        living.remove_broadcast(broadcast_id, destroy=True, blocking=False)
