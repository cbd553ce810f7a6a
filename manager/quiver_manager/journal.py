"""What the manager remembers across `kill -9`: nodes, applications, executors and the cluster events that drivers may ask for again.

SQLite in write-ahead mode, one transaction a step, committed before anything of the step is seen outside. `synchronous=NORMAL`:
a killed process loses nothing; a power cut may lose the last moments, which nodes' registrations then put right. Tokens and the
secret are not in it (tokens are made from the secret), but applications' environments are: the file has mode 0600.
"""

from __future__ import annotations

import fcntl
import json
import os
import sqlite3
from pathlib import Path

from quiver_manager.model import (
    NOT_WAITING,
    Application,
    Executor,
    ExecutorState,
    Key,
    Node,
    NodeState,
    Policy,
    State,
)
from quiver_proto import cluster as c
from quiver_proto.codec import decode, encode
from quiver_proto.errors import BadSetting
from quiver_proto.ids import ApplicationId, ExecutorId, NodeId

_FORMAT = 1
_SCHEMA = """
CREATE TABLE IF NOT EXISTS meta (name TEXT PRIMARY KEY, value INTEGER NOT NULL);
CREATE TABLE IF NOT EXISTS node (node_id TEXT PRIMARY KEY, registration BLOB NOT NULL, draining INTEGER NOT NULL, removals TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS application (
    application_id TEXT PRIMARY KEY, registration BLOB NOT NULL, place INTEGER NOT NULL, target INTEGER, request_number INTEGER NOT NULL,
    next_executor INTEGER NOT NULL, sequence INTEGER NOT NULL, launch_failures INTEGER NOT NULL, last_failure TEXT NOT NULL,
    waiting BLOB NOT NULL);
CREATE TABLE IF NOT EXISTS executor (
    executor_id TEXT PRIMARY KEY, application_id TEXT NOT NULL, node_id TEXT NOT NULL, attempt INTEGER NOT NULL, cores INTEGER NOT NULL,
    memory_bytes INTEGER NOT NULL, address TEXT NOT NULL, state TEXT NOT NULL, told INTEGER NOT NULL);
CREATE TABLE IF NOT EXISTS event (
    application_id TEXT NOT NULL, sequence INTEGER NOT NULL, body BLOB NOT NULL, PRIMARY KEY (application_id, sequence)) WITHOUT ROWID;
"""


class Journal:
    """One process at a time: a second one on the same path is refused. Not thread-safe; calls must not overlap."""

    def __init__(self, path: str) -> None:
        """Open or create. Raises BadSetting when the path can't be used, is in use, or holds something else."""
        self.path = str(Path(path).expanduser())
        try:
            Path(self.path).parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            self._lock = os.open(self.path + ".lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
            os.close(os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600))
        except OSError as problem:
            raise BadSetting("--journal", self.path, f"can't be written: {problem.strerror}") from None
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            os.close(self._lock)
            raise BadSetting("--journal", self.path, "another manager is using it; stop that one, or choose another path") from None
        try:
            self._open()
        except sqlite3.Error as problem:
            os.close(self._lock)
            raise BadSetting("--journal", self.path, f"is not a manager's journal ({problem}); move it away to start afresh") from None

    def _open(self) -> None:
        self._db = sqlite3.connect(self.path, isolation_level=None, check_same_thread=False)
        self._db.execute("PRAGMA journal_mode=WAL")
        self._db.execute("PRAGMA synchronous=NORMAL")
        self._db.executescript(_SCHEMA)
        held = self._meta("format")
        if held is not None and held != _FORMAT:
            raise sqlite3.DatabaseError(f"format {held}, this version reads {_FORMAT}")
        self._set_meta("format", _FORMAT)
        self._written: dict[str, int] = dict(self._db.execute("SELECT application_id, max(sequence) FROM event GROUP BY 1"))

    def recover(self, policy: Policy, started_at: float, now: float) -> State:
        """The state as it was, with everything in it recovering, and the manager's epoch raised by one."""
        epoch = (self._meta("manager_epoch") or 0) + 1
        self._set_meta("manager_epoch", epoch)
        state = State(policy, epoch, started_at, now)
        for row in self._db.execute("SELECT registration, draining, removals FROM node"):
            node = _node(*row)
            node.last_seen_at = now
            state.add_node(node)
        for row in self._db.execute("SELECT * FROM executor"):
            executor = _executor(*row)
            executor.launched_at = now
            state.add_executor(executor)
        for _, *columns in self._db.execute("SELECT * FROM application ORDER BY place"):
            application = _application(*columns)
            application.last_seen_at = application.unmet_since = now
            state.applications[application.application_id] = application
            state.next_order = application.order + 1
        for application_id, body in self._db.execute("SELECT application_id, body FROM event ORDER BY application_id, sequence"):
            if application_id in state.applications:
                state.applications[application_id].events.append(decode(c.ClusterEvent, body))
        return state

    def write(self, state: State, changed: set[Key]) -> None:
        """Make the journal hold what the state says about `changed`; one transaction."""
        if not changed:
            return
        self._db.execute("BEGIN")
        try:
            for table, key in changed:
                match table:
                    case "node":
                        self._write_node(state, NodeId(key))
                    case "executor":
                        self._write_executor(state, ExecutorId(key))
                    case "application":
                        self._write_application(state, ApplicationId(key))
                    case "event":
                        self._write_events(state, ApplicationId(key))
                    case _:
                        raise AssertionError(table)
        except BaseException:
            self._db.execute("ROLLBACK")
            raise
        self._db.execute("COMMIT")

    def close(self) -> None:
        """Folds the write-ahead log into the file. Twice does nothing."""
        if self._lock >= 0:
            self._db.close()
            os.close(self._lock)
            self._lock = -1

    def _meta(self, name: str) -> int | None:
        row = self._db.execute("SELECT value FROM meta WHERE name = ?", (name,)).fetchone()
        return None if row is None else int(row[0])

    def _set_meta(self, name: str, value: int) -> None:
        self._db.execute("INSERT OR REPLACE INTO meta VALUES (?, ?)", (name, value))

    def _write_node(self, state: State, node_id: NodeId) -> None:
        node = state.nodes.get(node_id)
        if node is None:
            self._db.execute("DELETE FROM node WHERE node_id = ?", (node_id,))
            return
        registration = c.RegisterNode(
            node.node_id, node.epoch, node.host, node.address, node.block_server, node.cores, node.memory_bytes, node.versions, node.labels
        )
        self._db.execute(
            "INSERT OR REPLACE INTO node VALUES (?, ?, ?, ?)",
            (node_id, encode(registration), node.state is NodeState.DRAINING or node.was_draining, json.dumps(sorted(node.removals))),
        )

    def _write_executor(self, state: State, executor_id: ExecutorId) -> None:
        e = state.executors.get(executor_id)
        if e is None:
            self._db.execute("DELETE FROM executor WHERE executor_id = ?", (executor_id,))
            return
        self._db.execute(
            "INSERT OR REPLACE INTO executor VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
            (e.executor_id, e.application_id, e.node_id, e.attempt, e.cores, e.memory_bytes, e.address, e.state.value, e.told),
        )

    def _write_application(self, state: State, application_id: ApplicationId) -> None:
        a = state.applications.get(application_id)
        if a is None:
            self._db.execute("DELETE FROM application WHERE application_id = ?", (application_id,))
            self._db.execute("DELETE FROM event WHERE application_id = ?", (application_id,))
            self._written.pop(application_id, None)
            return
        registration = c.RegisterApplication(
            a.application_id, a.name, a.user, a.driver_host, a.driver_pid, a.request, a.environment, {}, a.started_at, a.ui_url
        )
        self._db.execute(
            "INSERT OR REPLACE INTO application VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
            (
                application_id, encode(registration), a.order, a.target, a.request_number, a.next_executor, a.sequence, a.launch_failures,
                json.dumps(a.last_failure), encode(a.waiting),
            ),
        )  # fmt: skip

    def _write_events(self, state: State, application_id: ApplicationId) -> None:
        application = state.applications.get(application_id)
        if application is None:
            return
        written = self._written.get(application_id, 0)
        fresh = [event for event in application.events if event.sequence > written]
        self._db.executemany(
            "INSERT OR REPLACE INTO event VALUES (?, ?, ?)", [(application_id, event.sequence, encode(event)) for event in fresh]
        )
        if application.events:
            self._db.execute(
                "DELETE FROM event WHERE application_id = ? AND sequence < ?", (application_id, application.events[0].sequence)
            )
        self._written[application_id] = application.sequence


def _node(registration: bytes, draining: int, removals: str) -> Node:
    r = decode(c.RegisterNode, registration)
    node = Node(
        r.node_id, r.epoch, r.host, r.address, r.block_server, r.cores, r.memory_bytes, r.versions, r.labels,
        NodeState.RECOVERING, set(json.loads(removals)),
    )  # fmt: skip
    node.was_draining = bool(draining)
    return node


def _executor(
    executor_id: str, application_id: str, node_id: str, attempt: int, cores: int, memory: int, address: str, state: str, told: int
) -> Executor:
    return Executor(
        ExecutorId(executor_id), ApplicationId(application_id), NodeId(node_id), attempt, cores, memory, address,
        ExecutorState(state), bool(told),
    )  # fmt: skip


def _application(
    registration: bytes, place: int, target: int | None, request_number: int, next_executor: int, sequence: int,
    launch_failures: int, last_failure: str, waiting: bytes,
) -> Application:  # fmt: skip
    r = decode(c.RegisterApplication, registration)
    node, reason, log = json.loads(last_failure)
    return Application(
        r.application_id, r.name, r.user, r.driver_host, r.driver_pid, r.request, r.environment, r.started_at, r.ui_url, place,
        target, request_number, next_executor, sequence, decode(c.AllocationWaiting, waiting) if waiting else NOT_WAITING,
        recovering=True, launch_failures=launch_failures, last_failure=(node, reason, log),
    )  # fmt: skip
