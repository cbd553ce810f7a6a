"""What an executor keeps: which cached blocks there are, where, and how many bytes of memory they and those being stored take.

One SQLite file beside the blocks, shared by the executor's slots and its supervisor. Every change is one transaction under a lock that
ends with its holder, so a process may be killed at any point: then either all of a change is there or nothing. A file gets its final
name, or loses it, within the transaction that says so; what a killed slot had claimed is given back by `recover`.

    blocks     one row a block: in memory or, when `memory_bytes` is 0, on disk
    claims     bytes given to blocks that are being stored, and to live objects, by owner (a slot process's serial number)
    used       the sum over both, kept by triggers
    changes    what was evicted or moved and has not been told to the driver
"""

from __future__ import annotations

import errno
import fcntl
import os
import sqlite3
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, Final, NamedTuple

from quiver_executor.disk import remove_quietly
from quiver_executor.eviction import Candidate, Policy, used_again, victims

FILE: Final = "ledger"
_LOCK = "ledger.lock"
_SUFFIX = ".block"
_UNFINISHED = ".tmp"
_BUSY_S = 60.0

_SCHEMA = """
CREATE TABLE IF NOT EXISTS blocks(
    dataset INTEGER, partition INTEGER, name TEXT, memory_bytes INTEGER, disk_bytes INTEGER, records INTEGER, slot INTEGER,
    may_move INTEGER, mover INTEGER, last_used REAL, uses REAL, compute_s REAL, PRIMARY KEY(dataset, partition));
CREATE INDEX IF NOT EXISTS by_use ON blocks(last_used);
CREATE TABLE IF NOT EXISTS claims(id INTEGER PRIMARY KEY AUTOINCREMENT, owner INTEGER, bytes INTEGER);
CREATE TABLE IF NOT EXISTS changes(
    id INTEGER PRIMARY KEY AUTOINCREMENT, dataset INTEGER, partition INTEGER, name TEXT, memory_bytes INTEGER, disk_bytes INTEGER,
    records INTEGER, slot INTEGER);
CREATE TABLE IF NOT EXISTS used(one INTEGER PRIMARY KEY, bytes INTEGER);
INSERT OR IGNORE INTO used VALUES(1, 0);
CREATE TRIGGER IF NOT EXISTS b1 AFTER INSERT ON blocks BEGIN UPDATE used SET bytes = bytes + NEW.memory_bytes; END;
CREATE TRIGGER IF NOT EXISTS b2 AFTER DELETE ON blocks BEGIN UPDATE used SET bytes = bytes - OLD.memory_bytes; END;
CREATE TRIGGER IF NOT EXISTS b3 AFTER UPDATE OF memory_bytes ON blocks
    BEGIN UPDATE used SET bytes = bytes + NEW.memory_bytes - OLD.memory_bytes; END;
CREATE TRIGGER IF NOT EXISTS c1 AFTER INSERT ON claims BEGIN UPDATE used SET bytes = bytes + NEW.bytes; END;
CREATE TRIGGER IF NOT EXISTS c2 AFTER DELETE ON claims BEGIN UPDATE used SET bytes = bytes - OLD.bytes; END;
CREATE TRIGGER IF NOT EXISTS c3 AFTER UPDATE OF bytes ON claims BEGIN UPDATE used SET bytes = bytes + NEW.bytes - OLD.bytes; END;
"""


class LedgerUnusable(OSError):
    """The ledger can't be read or written: no room, or something has damaged it. Nothing is kept then; records flow all the same."""


class Held(NamedTuple):
    """One block as the ledger has it. `slot` has its live objects too (-1: none). Both sizes 0: it is gone."""

    dataset: int
    partition: int
    name: str
    memory_bytes: int
    disk_bytes: int
    records: int
    slot: int


_HELD = ", ".join(Held._fields)


class Room(NamedTuple):
    """An answer to `grow`: the claim's id, 0 when it was refused or has to wait until the blocks in `moves` are on disk."""

    claim: int
    moves: list[Held]


class StoreLedger:
    """`memory_dir` and `disk_dir` hold this executor's blocks; both are made when the ledger is first written. `budget` is bytes.

    Usable from any thread. A forked child must make its own. `now` is a monotonic clock that all processes share. All methods but `close`
    raise OSError when files or the ledger (LedgerUnusable) can't be had.
    """

    def __init__(
        self, memory_dir: str, disk_dir: str, budget: int, policy: Policy = "lru", now: Callable[[], float] = time.monotonic
    ) -> None:
        self.memory_dir = memory_dir
        self.disk_dir = disk_dir
        self.budget = budget
        self._policy: Policy = policy
        self._now = now
        self._db: sqlite3.Connection | None = None
        self._mutex = threading.RLock()

    def exists(self) -> bool:
        """Has anything ever been stored?"""
        return self._db is not None or os.path.exists(os.path.join(self.memory_dir, FILE))

    def memory_path(self, name: str) -> str:
        return os.path.join(self.memory_dir, name)

    def disk_path(self, name: str) -> str:
        return os.path.join(self.disk_dir, name)

    def path(self, held: Held) -> str:
        return self.memory_path(held.name) if held.memory_bytes else self.disk_path(held.name)

    # ---- blocks ----

    def find(self, dataset: int, partition: int) -> Held | None:
        """The block, which is hereby used once more."""
        if not self.exists():
            return None
        with self._changing() as db:
            row = db.execute(
                f"SELECT {_HELD}, uses, last_used FROM blocks WHERE dataset = ? AND partition = ?", (dataset, partition)
            ).fetchone()
            if row is None:
                return None
            now = self._now()
            db.execute(
                "UPDATE blocks SET last_used = ?, uses = ? WHERE dataset = ? AND partition = ?",
                (now, used_again(row[-2], row[-1], now), dataset, partition),
            )
            return Held._make(row[:-2])

    def look(self, dataset: int, partition: int) -> Held | None:
        """The block, without using it."""
        row = self._read(f"SELECT {_HELD} FROM blocks WHERE dataset = ? AND partition = ?", dataset, partition)
        return None if row is None else Held._make(row)

    def blocks(self) -> list[Held]:
        """All blocks, least recently used first."""
        if not self.exists():
            return []
        with self._changing() as db:
            return [Held._make(row) for row in db.execute(f"SELECT {_HELD} FROM blocks ORDER BY last_used")]

    def used(self) -> int:
        """Bytes of memory that blocks and claims take."""
        row = self._read("SELECT bytes FROM used")
        return 0 if row is None else int(row[0])

    def commit(self, held: Held, unfinished: str, claim: int, may_move: bool, compute_s: float) -> Held:
        """Make the finished file at `unfinished` the block `held`; its claim ends. Another that is there already is kept instead."""
        with self._changing() as db:
            there = db.execute(f"SELECT {_HELD} FROM blocks WHERE dataset = ? AND partition = ?", (held.dataset, held.partition)).fetchone()
            if there is None:
                os.rename(unfinished, self.path(held))
                db.execute("INSERT INTO blocks VALUES(?, ?, ?, ?, ?, ?, ?, ?, NULL, ?, 1, ?)", (*held, may_move, self._now(), compute_s))
            db.execute("DELETE FROM claims WHERE id = ?", (claim,))
        if there is None:
            return held
        remove_quietly(unfinished)
        return Held._make(there)

    def drop(self, dataset: int, partition: int, name: str) -> None:
        """Forget a block that can't be read, unless another has taken its place. It is told as a change."""
        with self._changing() as db:
            row = db.execute(
                f"DELETE FROM blocks WHERE dataset = ? AND partition = ? AND name = ? RETURNING {_HELD}", (dataset, partition, name)
            ).fetchone()
            if row is not None:
                self._gone(db, Held._make(row))

    def remove_dataset(self, dataset: int) -> list[str]:
        """Forget the dataset's blocks; the files to be deleted, whose names are never used again. Not told as changes."""
        if not self.exists():
            return []
        with self._changing() as db:
            rows = db.execute(f"DELETE FROM blocks WHERE dataset = ? RETURNING {_HELD}", (dataset,)).fetchall()
            db.execute("DELETE FROM changes WHERE dataset = ?", (dataset,))
        # Both: it may be on its way from one to the other.
        return [path for row in rows for path in (self.memory_path(row[2]), self.disk_path(row[2]))]

    # ---- room in memory ----

    def claim_free(self, claim: int, owner: int, size: int) -> int:
        """Make a claim (0: a new one) `size` bytes large out of what is free; its id, 0 when that is not enough."""
        with self._changing() as db:
            return self._claim(db, claim, owner, size) if self._missing(db, claim, size) <= 0 else 0

    def grow(self, claim: int, owner: int, size: int, dataset: int, value: float) -> Room:
        """Make a claim (0: a new one) for a block of `dataset` `size` bytes large; `value` is its worth (see eviction).

        Blocks may be evicted for it. Those that are to move to disk are returned: they are the caller's to move (`moved`), then it asks
        again.
        """
        with self._changing() as db:
            missing = self._missing(db, claim, size)
            if missing <= 0:
                return Room(self._claim(db, claim, owner, size), [])
            if size > self.budget:
                return Room(0, [])
            rows = db.execute(
                "SELECT dataset, partition, memory_bytes, last_used, uses, compute_s FROM blocks "
                "WHERE memory_bytes > 0 AND mover IS NULL ORDER BY last_used"
            )
            chosen = victims((Candidate(*row) for row in rows), missing, dataset, self._policy, value, self._now())
            if chosen is None:
                return Room(0, [])
            moves: list[Held] = []
            for one in chosen:
                key = (one.dataset, one.partition)
                *row, may_move = db.execute(f"SELECT {_HELD}, may_move FROM blocks WHERE dataset = ? AND partition = ?", key).fetchone()
                held = Held._make(row)
                if may_move:
                    db.execute("UPDATE blocks SET mover = ? WHERE dataset = ? AND partition = ?", (owner, *key))
                    moves.append(held)
                else:
                    db.execute("DELETE FROM blocks WHERE dataset = ? AND partition = ?", key)
                    self._gone(db, held)
            return Room(0, moves) if moves else Room(self._claim(db, claim, owner, size), [])

    def moved(self, held: Held, unfinished: str) -> None:
        """A block that `grow` gave to be moved is in a file on disk, at `unfinished`; "": it could not be written, and is evicted."""
        with self._changing() as db:
            row = db.execute(
                f"SELECT {_HELD} FROM blocks WHERE dataset = ? AND partition = ? AND name = ?", (held.dataset, held.partition, held.name)
            ).fetchone()
            if row is None:
                remove_quietly(unfinished)
            elif unfinished:
                os.rename(unfinished, self.disk_path(held.name))
                size = os.path.getsize(self.disk_path(held.name))
                remove_quietly(self.memory_path(held.name))
                db.execute(
                    "UPDATE blocks SET memory_bytes = 0, disk_bytes = ?, mover = NULL WHERE dataset = ? AND partition = ?",
                    (size, held.dataset, held.partition),
                )
                self._change(db, held._replace(memory_bytes=0, disk_bytes=size))
            else:
                db.execute("DELETE FROM blocks WHERE dataset = ? AND partition = ?", (held.dataset, held.partition))
                self._gone(db, held)

    def release(self, claim: int) -> None:
        if claim:
            with self._changing() as db:
                db.execute("DELETE FROM claims WHERE id = ?", (claim,))

    # ---- for the supervisor ----

    def recover(self, owner: int, slot: int) -> None:
        """Undo what a dead process of slot number `slot` left unfinished, and make rows and files agree."""
        if not self.exists():
            return
        with self._changing() as db:
            db.execute("DELETE FROM claims WHERE owner = ?", (owner,))
            db.execute("UPDATE blocks SET mover = NULL WHERE mover = ?", (owner,))
            db.execute("UPDATE blocks SET slot = -1 WHERE slot = ?", (slot,))
            there = [set(_names(directory)) for directory in (self.memory_dir, self.disk_dir)]
            known: set[str] = set()
            for row in db.execute(f"SELECT {_HELD} FROM blocks").fetchall():
                held = Held._make(row)
                if held.name in there[0 if held.memory_bytes else 1]:
                    known.add(self.path(held))
                else:
                    db.execute("DELETE FROM blocks WHERE dataset = ? AND partition = ?", (held.dataset, held.partition))
                    self._gone(db, held)
            for directory, names in zip((self.memory_dir, self.disk_dir), there):
                for name in names:
                    path = os.path.join(directory, name)
                    if name.startswith(f"{owner}-") if name.endswith(_UNFINISHED) else name.endswith(_SUFFIX) and path not in known:
                        remove_quietly(path)

    def take_changes(self) -> list[Held]:
        """What was moved or evicted since the last call, in order."""
        if self._read("SELECT 1 FROM changes LIMIT 1") is None:
            return []
        with self._changing() as db:
            rows = db.execute(f"SELECT {_HELD} FROM changes ORDER BY id").fetchall()
            db.execute("DELETE FROM changes")
        return [Held._make(row) for row in rows]

    def close(self) -> None:
        with self._mutex:
            db, self._db = self._db, None
            if db is not None:
                db.close()

    # ---- inside ----

    def _missing(self, db: sqlite3.Connection, claim: int, size: int) -> int:
        (used,) = db.execute("SELECT bytes FROM used").fetchone()
        before = db.execute("SELECT bytes FROM claims WHERE id = ?", (claim,)).fetchone()
        return int(used) + size - (before[0] if before else 0) - self.budget

    def _claim(self, db: sqlite3.Connection, claim: int, owner: int, size: int) -> int:
        if claim and db.execute("UPDATE claims SET bytes = ? WHERE id = ?", (size, claim)).rowcount:
            return claim
        return db.execute("INSERT INTO claims(owner, bytes) VALUES(?, ?)", (owner, size)).lastrowid or 0

    def _gone(self, db: sqlite3.Connection, held: Held) -> None:
        remove_quietly(self.memory_path(held.name))
        remove_quietly(self.disk_path(held.name))
        self._change(db, held._replace(memory_bytes=0, disk_bytes=0, slot=-1))

    def _change(self, db: sqlite3.Connection, held: Held) -> None:
        db.execute(f"INSERT INTO changes({_HELD}) VALUES(?, ?, ?, ?, ?, ?, ?)", held)

    def _read(self, statement: str, *parameters: int) -> tuple[Any, ...] | None:
        """The first row, as it was after some change: no lock is waited for."""
        if not self.exists():
            return None
        with self._mutex, _explained():
            row: tuple[Any, ...] | None = (self._db or self._open()).execute(statement, parameters).fetchone()
            return row

    @contextmanager
    def _changing(self) -> Iterator[sqlite3.Connection]:
        with self._mutex, _explained():
            db = self._db or self._open()
            lock = self._locked()
            try:
                db.execute("BEGIN IMMEDIATE")
                try:
                    yield db
                except BaseException:
                    if db.in_transaction:
                        db.execute("ROLLBACK")
                    raise
                db.execute("COMMIT")
            finally:
                os.close(lock)

    def _locked(self) -> int:
        # SQLite's own lock is waited for with sleeps; this one is handed on at once.
        lock = os.open(os.path.join(self.memory_dir, _LOCK), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
        fcntl.flock(lock, fcntl.LOCK_EX)
        return lock

    def make_directories(self) -> None:
        for directory in (self.memory_dir, self.disk_dir):
            os.makedirs(directory, mode=0o700, exist_ok=True)

    def _open(self) -> sqlite3.Connection:
        self.make_directories()
        lock = self._locked()
        try:
            path = os.path.join(self.memory_dir, FILE)
            os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600))
            db = sqlite3.connect(path, timeout=_BUSY_S, isolation_level=None, check_same_thread=False)
            try:
                # A killed process loses nothing without fsync; after a crash of the machine nothing of this is needed.
                db.execute("PRAGMA journal_mode = WAL")
                db.execute("PRAGMA synchronous = OFF")
                db.executescript(_SCHEMA)
            except BaseException:
                db.close()
                raise
        finally:
            os.close(lock)
        self._db = db
        return db


@contextmanager
def _explained() -> Iterator[None]:
    try:
        yield
    except sqlite3.Error as error:
        raise LedgerUnusable(errno.EIO, f"the ledger of cached blocks can't be used: {error}") from None


class ChangesPeek:
    """Tells whether a ledger has changes without waiting for anybody, not even for a process that was stopped in the middle of one."""

    def __init__(self, memory_dir: str) -> None:
        self._path = os.path.join(memory_dir, FILE)
        self._db: sqlite3.Connection | None = None

    def __bool__(self) -> bool:
        """True also when that can't be told: then whoever may wait finds out."""
        if self._db is None and not os.path.exists(self._path):
            return False
        try:
            if self._db is None:
                self._db = sqlite3.connect(self._path, timeout=0.0, isolation_level=None, check_same_thread=False)
            return self._db.execute("SELECT 1 FROM changes LIMIT 1").fetchone() is not None
        except sqlite3.Error:
            return True

    def close(self) -> None:
        db, self._db = self._db, None
        if db is not None:
            db.close()


def unfinished_name(owner: int, dataset: int, partition: int) -> str:
    """A name for a file that is being written by `owner`; never the same twice."""
    return f"{owner}-{dataset}-{partition}-{_unique()}{_UNFINISHED}"


def block_name(dataset: int, partition: int) -> str:
    """A name for a new block; never the same twice."""
    return f"{dataset}-{partition}-{_unique()}{_SUFFIX}"


def _unique() -> str:
    return os.urandom(8).hex()


def _names(directory: str) -> list[str]:
    try:
        return os.listdir(directory)
    except OSError:
        return []
