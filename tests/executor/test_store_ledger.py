"""The ledger says what is there, whoever was killed when."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from quiver_executor.store_ledger import Held, StoreLedger, block_name, unfinished_name

BUDGET = 1000


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[StoreLedger]:
    made = StoreLedger(str(tmp_path / "memory"), str(tmp_path / "disk"), BUDGET)
    yield made
    made.close()


def store(
    ledger: StoreLedger, dataset: int, partition: int, size: int, owner: int = 0, may_move: bool = False, on_disk: bool = False
) -> bool:
    """As a slot would; False when there is no room."""
    claim = 0
    if not on_disk:
        room = ledger.grow(0, owner, size, dataset, 1.0)
        for held in room.moves:
            ledger.moved(held, copied(ledger, held, owner))
        claim = room.claim or (ledger.grow(0, owner, size, dataset, 1.0).claim if room.moves else 0)
        if not claim:
            return False
    ledger.make_directories()
    name = unfinished_name(owner, dataset, partition)
    unfinished = ledger.disk_path(name) if on_disk else ledger.memory_path(name)
    Path(unfinished).write_bytes(b"x" * size)
    sizes = (0, size) if on_disk else (size, 0)
    ledger.commit(Held(dataset, partition, block_name(dataset, partition), *sizes, 1, -1), unfinished, claim, may_move, 1.0)
    return True


def copied(ledger: StoreLedger, held: Held, owner: int) -> str:
    path = ledger.disk_path(unfinished_name(owner, held.dataset, held.partition))
    shutil.copyfile(ledger.memory_path(held.name), path)
    return path


def files(directory: str) -> dict[str, int]:
    return {name: os.path.getsize(os.path.join(directory, name)) for name in os.listdir(directory) if name.endswith((".block", ".tmp"))}


def test_nothing_is_there_before_the_first_block(tmp_path: Path) -> None:
    ledger = StoreLedger(str(tmp_path / "memory"), str(tmp_path / "disk"), BUDGET)
    assert ledger.find(1, 0) is None
    assert ledger.blocks() == ledger.take_changes() == ledger.remove_dataset(1) == []
    ledger.recover(0, 0)
    assert not (tmp_path / "memory").exists()


def test_two_processes_see_one_ledger(ledger: StoreLedger) -> None:
    other = StoreLedger(ledger.memory_dir, ledger.disk_dir, BUDGET)
    assert store(ledger, 1, 0, 400)
    assert other.used() == 400
    assert store(other, 2, 0, 500)
    assert not ledger.claim_free(0, 0, 200)
    assert ledger.find(2, 0) == other.look(2, 0)
    other.close()


def test_the_second_to_store_a_partition_keeps_the_first(ledger: StoreLedger) -> None:
    assert store(ledger, 1, 0, 300)
    first = ledger.look(1, 0)
    assert store(ledger, 1, 0, 300)
    assert ledger.look(1, 0) == first
    assert ledger.used() == 300
    assert len(files(ledger.memory_dir)) == 1


def test_what_is_moved_frees_memory_only_when_it_is_on_disk(ledger: StoreLedger) -> None:
    assert store(ledger, 1, 0, 600, may_move=True)
    room = ledger.grow(0, 0, 600, 2, 1.0)
    assert room.claim == 0
    (held,) = room.moves
    assert ledger.used() == 600
    assert ledger.grow(0, 1, 600, 3, 1.0) == (0, [])  # It is being moved by somebody: not to be moved twice.
    ledger.moved(held, copied(ledger, held, 0))
    assert ledger.used() == 0
    assert ledger.look(1, 0) == held._replace(memory_bytes=0, disk_bytes=600)
    assert ledger.take_changes() == [held._replace(memory_bytes=0, disk_bytes=600)]
    assert ledger.take_changes() == []


def test_a_dataset_that_is_removed_while_it_moves(ledger: StoreLedger) -> None:
    assert store(ledger, 1, 0, 600, may_move=True)
    (held,) = ledger.grow(0, 0, 600, 2, 1.0).moves
    unfinished = copied(ledger, held, 0)
    paths = ledger.remove_dataset(1)
    assert ledger.memory_path(held.name) in paths
    for path in paths:
        Path(path).unlink(missing_ok=True)
    ledger.moved(held, unfinished)
    assert ledger.blocks() == []
    assert files(ledger.disk_dir) == files(ledger.memory_dir) == {}


def test_a_claim_of_a_dead_slot_is_given_back_and_its_files_go(ledger: StoreLedger) -> None:
    assert ledger.claim_free(0, 3, 500)
    assert ledger.claim_free(0, 4, 100)
    mine, others = ledger.memory_path(unfinished_name(3, 1, 0)), ledger.memory_path(unfinished_name(4, 1, 0))
    orphan = ledger.memory_path(block_name(1, 0))
    for path in (mine, others, orphan):
        Path(path).write_bytes(b"x")
    ledger.recover(3, 3)
    assert ledger.used() == 100
    assert list(files(ledger.memory_dir)) == [os.path.basename(others)]


def test_a_block_whose_file_is_gone_is_told(ledger: StoreLedger) -> None:
    assert store(ledger, 1, 0, 100)
    held = ledger.look(1, 0)
    assert held is not None
    os.unlink(ledger.path(held))
    ledger.recover(0, 0)
    assert ledger.blocks() == []
    assert [(change.dataset, change.memory_bytes) for change in ledger.take_changes()] == [(1, 0)]


KILLED = """
import os, signal, sys
sys.path.insert(0, sys.argv[1])
from test_store_ledger import BUDGET, StoreLedger, store
ledger = StoreLedger(sys.argv[2], sys.argv[3], BUDGET)
ledger.used()
ledger._db.set_trace_callback(lambda text: os.kill(os.getpid(), signal.SIGKILL) if sys.argv[4] in text else None)
store(ledger, 2, 0, 300, owner=7)
"""


@pytest.mark.parametrize("at", ["INSERT INTO claims", "INSERT INTO blocks", "DELETE FROM claims", "COMMIT"])
def test_killed_within_a_change(ledger: StoreLedger, at: str) -> None:
    assert store(ledger, 1, 0, 200)
    arguments = [str(Path(__file__).parent), ledger.memory_dir, ledger.disk_dir, at]
    assert subprocess.run([sys.executable, "-c", KILLED, *arguments], check=False).returncode == -signal.SIGKILL
    ledger.recover(7, 7)
    there = ledger.blocks()
    assert [held.dataset for held in there] in ([1], [1, 2])
    assert ledger.used() == sum(held.memory_bytes for held in there)
    assert files(ledger.memory_dir) == {held.name: held.memory_bytes for held in there}


class AnyOrder(RuleBasedStateMachine):
    """Whatever slots do in whatever order, memory is what the rows say and never more than the budget."""

    def __init__(self) -> None:
        super().__init__()
        self.root = tempfile.mkdtemp()
        self.claims: dict[int, tuple[int, int]] = {}
        self.moving: list[tuple[int, Held]] = []
        self.now = 0.0

    @initialize(policy=st.sampled_from(["lru", "cost"]))
    def begin(self, policy: str) -> None:
        self.ledger = StoreLedger(f"{self.root}/m", f"{self.root}/d", BUDGET, "cost" if policy == "cost" else "lru", now=lambda: self.now)
        self.ledger.make_directories()

    owners = st.integers(0, 2)
    datasets = st.integers(1, 3)
    partitions = st.integers(0, 3)

    @rule(owner=owners, dataset=datasets, partition=partitions, size=st.integers(1, 600), may_move=st.booleans(), on_disk=st.booleans())
    def stores(self, owner: int, dataset: int, partition: int, size: int, may_move: bool, on_disk: bool) -> None:
        self.now += 1
        there = self.ledger.look(dataset, partition)
        if store(self.ledger, dataset, partition, size, owner, may_move, on_disk) and there is not None:
            assert self.ledger.look(dataset, partition) in (there, None, there._replace(memory_bytes=0, disk_bytes=there.memory_bytes))

    @rule(owner=owners, size=st.integers(1, 600))
    def claims_room(self, owner: int, size: int) -> None:
        claim = self.ledger.claim_free(0, owner, size)
        if claim:
            self.claims[claim] = owner, size

    @precondition(lambda self: self.claims)
    @rule(size=st.integers(1, 600), dataset=datasets)
    def grows(self, size: int, dataset: int) -> None:
        claim, (owner, _) = next(iter(self.claims.items()))
        room = self.ledger.grow(claim, owner, size, dataset, 1.0)
        if room.claim:
            assert room.claim == claim
            self.claims[claim] = owner, size
        self.moving += [(owner, held) for held in room.moves]

    @precondition(lambda self: self.moving)
    @rule(works=st.booleans())
    def finishes_a_move(self, works: bool) -> None:
        owner, held = self.moving.pop()
        path = self.ledger.memory_path(held.name)
        self.ledger.moved(held, copied(self.ledger, held, owner) if works and os.path.exists(path) else "")

    @precondition(lambda self: self.claims)
    @rule()
    def releases(self) -> None:
        self.ledger.release(self.claims.popitem()[0])

    @rule(dataset=datasets, partition=partitions)
    def finds(self, dataset: int, partition: int) -> None:
        self.now += 1
        held = self.ledger.find(dataset, partition)
        assert held is None or os.path.getsize(self.ledger.path(held)) == held.memory_bytes + held.disk_bytes

    @rule(dataset=datasets)
    def is_removed(self, dataset: int) -> None:
        for path in self.ledger.remove_dataset(dataset):
            Path(path).unlink(missing_ok=True)

    @rule(owner=owners)
    def dies(self, owner: int) -> None:
        self.ledger.recover(owner, owner)
        self.claims = {claim: row for claim, row in self.claims.items() if row[0] != owner}
        self.moving = [(mover, held) for mover, held in self.moving if mover != owner]

    @invariant()
    def memory_is_what_the_rows_say(self) -> None:
        there = self.ledger.blocks()
        used = sum(held.memory_bytes for held in there) + sum(size for _, size in self.claims.values())
        assert self.ledger.used() == used <= BUDGET
        assert files(self.ledger.memory_dir) == {held.name: held.memory_bytes for held in there if held.memory_bytes}
        assert files(self.ledger.disk_dir) == {held.name: held.disk_bytes for held in there if held.disk_bytes}

    def teardown(self) -> None:
        self.ledger.close()
        shutil.rmtree(self.root)


AnyOrder.TestCase.settings = settings(max_examples=40, stateful_step_count=25, deadline=None)
TestAnyOrder = AnyOrder.TestCase
