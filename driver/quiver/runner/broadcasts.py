"""An application's broadcasts as its engine knows them: where their bytes are, and which executors may have copies."""

from __future__ import annotations

import contextlib
import os
import threading
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace

from quiver.runner.links import ExecutorLink
from quiver_proto.errors import BroadcastDestroyed
from quiver_proto.host import this_machine
from quiver_proto.ids import ExecutorId
from quiver_proto.messages import BroadcastTable, RemoveBroadcast


class Removal:
    """A removal that goes on: `done` is called once, when everyone that it waits for has answered."""

    def __init__(self, done: Callable[[], None]) -> None:
        self._done: Callable[[], None] | None = done
        self.waiting: set[object] = set()

    def answered(self, who: object) -> None:
        self.waiting.discard(who)
        if not self.waiting and self._done is not None:
            done, self._done = self._done, None
            done()


class Broadcasts:
    """For the engine's thread; only `add` may be called by any.

    `post(callback)` runs it in the engine's thread. `origin()` is where the driver serves the files ("": nowhere); a server is started when
    first asked for.
    """

    def __init__(self) -> None:
        self.post: Callable[[Callable[[], None]], None] = lambda callback: callback()
        self.origin: Callable[[], str] = lambda: ""
        self._tables: dict[int, BroadcastTable] = {}
        self._holders: dict[int, set[ExecutorId]] = {}
        self._removals: dict[int, list[Removal]] = {}

    def add(self, table: BroadcastTable) -> None:
        self._tables[table.broadcast_id] = table

    def tables(self, ids: Iterable[int], links: Iterable[ExecutorLink]) -> Mapping[int, BroadcastTable]:
        """How executors get these. Raises BroadcastDestroyed for one that is not there (any more)."""
        found = {}
        for broadcast_id in ids:
            table = self._tables.get(broadcast_id)
            if table is None:
                raise BroadcastDestroyed(broadcast_id)
            found[broadcast_id] = table
        here = this_machine()
        if any(link.machine != here for link in links) and (address := self.origin()):
            return {broadcast_id: replace(table, origin=address) for broadcast_id, table in found.items()}
        return found

    def sent(self, ids: Iterable[int], executor_id: ExecutorId) -> None:
        """The executor was told how to get these."""
        for broadcast_id in ids:
            self._holders.setdefault(broadcast_id, set()).add(executor_id)

    def remove(self, broadcast_id: int, destroy: bool, links: Mapping[ExecutorId, ExecutorLink], done: Callable[[], None]) -> None:
        """Let executors drop their copies, and with `destroy` delete the driver's file. `done` is called when that has happened.

        An executor that is to run a stage with the broadcast is told anew how to get it, with the stage.
        """
        removal = Removal(done)
        holders = self._holders.pop(broadcast_id, set()) & links.keys()
        removal.waiting |= holders
        table = self._tables.pop(broadcast_id, None) if destroy else None
        if table is not None:
            removal.waiting.add(table.path)
        if holders:
            self._removals.setdefault(broadcast_id, []).append(removal)
        for executor_id in holders:
            links[executor_id].send(RemoveBroadcast(broadcast_id))
        if table is not None:
            # Gigabytes take a while to delete: not in the engine's thread.
            threading.Thread(target=self._unlink, args=(table.path, removal), name="quiver-remove-broadcast", daemon=True).start()
        removal.answered(None)

    def removed(self, executor_id: ExecutorId, broadcast_id: int) -> None:
        """The executor has dropped its copies."""
        for removal in self._removals.get(broadcast_id, ()):
            removal.answered(executor_id)
        self._forget_ended()

    def executor_gone(self, executor_id: ExecutorId) -> None:
        for holders in self._holders.values():
            holders.discard(executor_id)
        for removals in self._removals.values():
            for removal in removals:
                removal.answered(executor_id)
        self._forget_ended()

    def _forget_ended(self) -> None:
        for broadcast_id in list(self._removals):
            left = [removal for removal in self._removals[broadcast_id] if removal.waiting]
            if left:
                self._removals[broadcast_id] = left
            else:
                del self._removals[broadcast_id]

    def _unlink(self, path: str, removal: Removal) -> None:
        with contextlib.suppress(OSError):
            os.unlink(path)
        self.post(lambda: removal.answered(path))
