"""The application's room on a node's disk: never more than the quota, whoever writes, and the numbers told are true."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from body_bench import Bench, items, site

from quiver_executor import disk, shuffle_files
from quiver_executor.disk import claim, remove_quietly, used_bytes
from quiver_proto import ops
from quiver_proto.errors import QuotaExceeded
from quiver_proto.messages import TaskDone, TaskFailure

MB = 1_000_000
SINK = ops.ShuffleWrite(ops.Items(), 7, ops.HashPartitioner(2), None, site("partitionBy"))


def told(failure: TaskFailure) -> int:
    """The "used" of a QuotaExceeded."""
    assert failure.error is not None
    assert failure.error[0] == "QuotaExceeded"
    used = failure.error[1][1]
    assert isinstance(used, int)
    return used


@pytest.mark.parametrize("in_memory", [16 << 20, 0])
def test_the_number_told_is_what_is_there_and_what_was_asked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, in_memory: int) -> None:
    monkeypatch.setattr(shuffle_files, "IN_MEMORY", in_memory)
    bench = Bench(tmp_path, quota=5 * MB)
    failure = bench.failed(SINK, items([(n, os.urandom(1000)) for n in range(6000)]))
    assert 5 * MB < told(failure) < 6.3 * MB
    assert used_bytes(str(bench.blocks)) == 0
    assert bench.leftovers() == []
    assert isinstance(bench.attempt(SINK, items([(n, os.urandom(1000)) for n in range(4000)])), TaskDone)


@pytest.mark.parametrize("in_memory", [16 << 20, 0])
def test_never_more_on_disk_than_allowed_while_writing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, in_memory: int) -> None:
    monkeypatch.setattr(shuffle_files, "IN_MEMORY", in_memory)
    bench = Bench(tmp_path, quota=2 * MB)
    seen: list[int] = []

    def look(path: str) -> None:
        seen.append(used_bytes(str(bench.blocks)))
        remove_quietly(path)

    monkeypatch.setattr(disk, "remove_quietly", look)
    bench.failed(SINK, items([(n, os.urandom(1000)) for n in range(6000)]))
    assert seen
    assert max(seen) <= 2 * MB


def test_results_and_shuffles_share_the_quota(tmp_path: Path) -> None:
    bench = Bench(tmp_path, quota=2 * MB)
    collect, record = ops.Collect(ops.Items()), items([os.urandom(800_000)])
    assert isinstance(bench.attempt(collect, record), TaskDone)
    assert isinstance(bench.attempt(SINK, items([(1, os.urandom(800_000))])), TaskDone)
    there = used_bytes(str(bench.blocks))
    assert there + 800_000 < told(bench.failed(collect, record)) < there + 801_000


def test_what_another_process_wrote_counts_at_once(tmp_path: Path) -> None:
    bench = Bench(tmp_path, quota=2 * MB)
    claim(bench.env, 10)
    program = """
import sys
from quiver_executor.disk import claim
from quiver_executor.environment import SlotEnvironment
blocks = sys.argv[1]
env = SlotEnvironment("app-1", "app-1/0", "node-a", 1, blocks, blocks, 1 << 30, quota_bytes=2_000_000)
with open(blocks + "/theirs", "wb", buffering=0) as file:
    claim(env, 1_500_000, file.fileno())
"""
    # What is claimed but not yet written counts, too: the file is as long as it will be.
    subprocess.run([sys.executable, "-c", program, str(bench.blocks)], check=True)
    with pytest.raises(QuotaExceeded, match=re.escape("use 2,100,000 of 2,000,000")):
        claim(bench.env, 600_000)
    claim(bench.env, 400_000)


def test_room_that_became_free_is_seen_at_once(tmp_path: Path) -> None:
    bench = Bench(tmp_path, quota=2 * MB)
    path = bench.blocks / "file"
    with path.open("wb") as file:
        claim(bench.env, 1_500_000, file.fileno())
    path.unlink()
    claim(bench.env, 1_900_000)


def test_files_without_a_name_count(tmp_path: Path) -> None:
    bench = Bench(tmp_path, quota=2 * MB)
    path = bench.blocks / "spill"
    with path.open("wb", buffering=0) as file:
        path.unlink()
        file.write(bytes(1_500_000))
        with pytest.raises(QuotaExceeded, match="use 2,100,000"):
            claim(bench.env, 600_000)
    claim(bench.env, 600_000)


@pytest.mark.parametrize("how", ["garbage", "a pipe", "a directory"])
def test_a_damaged_ledger_does_no_harm(tmp_path: Path, how: str) -> None:
    bench = Bench(tmp_path, quota=2 * MB)
    ledger = bench.blocks / ".usage"
    if how == "garbage":
        ledger.write_bytes(b"x")
    elif how == "a pipe":
        os.mkfifo(ledger)
    else:
        ledger.mkdir()
    claim(bench.env, MB)
    (bench.blocks / "file").write_bytes(bytes(MB))
    with pytest.raises(QuotaExceeded):
        claim(bench.env, MB + 1)
