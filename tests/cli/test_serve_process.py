"""`driver serve` as a process, with real clients."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

SECRET = "the-secret-of-these-tests"


def environment() -> dict[str, str]:
    return {**{key: value for key, value in os.environ.items() if not key.startswith("QUIVER_")}, "QUIVER_SECRET": SECRET}


def serve(folder: Path, *flags: str) -> subprocess.Popen[str]:
    settings = ["--conf", "spark.ui.port=0", "--conf", f"quiver.eventLog.dir={folder / 'events'}", "--conf", f"quiver.local.dir={folder}"]
    return subprocess.Popen(
        [sys.executable, "-m", "quiver.cli", "driver", "serve", "--master", "local[2]", *settings, *flags],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment(), cwd=folder,
    )  # fmt: skip


def client(master: str, program: str, folder: Path) -> subprocess.CompletedProcess[str]:
    path = folder / f"client-{threading.get_ident()}.py"
    path.write_text(program)
    return subprocess.run(
        [sys.executable, "-m", "quiver.cli", "submit", "--master", master, str(path)],
        capture_output=True, text=True, timeout=120, env=environment(),
    )  # fmt: skip


class Served:
    def __init__(self, process: subprocess.Popen[str]) -> None:
        self.process = process
        assert process.stdout is not None
        self.said: list[str] = []
        for line in process.stdout:
            self.said.append(line.rstrip())
            if line.startswith("UI at"):
                break
        self.master = next(line.split()[-1] for line in self.said if "quiver-driver://" in line)


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    process = serve(tmp_path_factory.mktemp("serve"), "--port", "0")
    with process:
        try:
            yield Served(process)
        finally:
            process.terminate()
            process.communicate(timeout=120)
    assert process.returncode == 0


def test_a_program_runs_there_as_it_does_locally(served: Served, tmp_path: Path) -> None:
    result = client(
        served.master,
        "from operator import add\nfrom quiver import Context\n"
        "with Context(appName='one') as sc:\n"
        "    rdd = sc.parallelize(range(1000), 7).map(lambda x: (x % 3, x)).reduceByKey(add)\n"
        "    print(sorted(rdd.collect()))\n"
        "    print(rdd.count(), sc.parallelize([3, 1, 2]).sortBy(lambda x: x).take(2))\n"
        "    print(sc.uiWebUrl)\n",
        tmp_path,
    )
    assert result.stderr == ""
    lines = result.stdout.splitlines()
    assert lines[0] == str([(k, sum(range(k, 1000, 3))) for k in range(3)])
    assert lines[1] == "3 [1, 2]"
    assert lines[2] == next(line for line in served.said if line.startswith("UI at")).removeprefix("UI at ")


def test_queries_are_measured_told_refused_and_cancelled_there(served: Served, tmp_path: Path) -> None:
    result = client(
        served.master,
        "import threading, time\nfrom quiver import Context\nfrom quiver.errors import ArithmeticException, JobCancelled\n"
        "from quiver.sql import Session\n"
        "with Session(Context(appName='queries')) as spark:\n"
        "    frame = spark.sql('SELECT id % 2 AS k, count(*) AS n FROM range(10) GROUP BY k ORDER BY k')\n"
        "    print([tuple(row) for row in frame.collect()])\n"
        "    print(frame.executionInfo.metrics.operators[0].metrics[0])\n"
        "    try:\n"
        "        spark.sql('SELECT id / id FROM range(1)').collect()\n"
        "    except ArithmeticException as error:\n"
        "        print(error.getCondition(), error.getQueryContext()[0].fragment())\n"
        "    def stop():\n"
        "        while not spark.interruptAll():\n            time.sleep(0.01)\n"
        "    thread = threading.Thread(target=stop)\n"
        "    thread.start()\n"
        "    try:\n"
        "        spark.sql('SELECT count(*) FROM range(1000000000000) WHERE id * 7 % 13 = 5').collect()\n"
        "    except JobCancelled as error:\n"
        "        print('interrupted' in str(error))\n"
        "    thread.join()\n"
        "    print(spark.range(5).count())\n",
        tmp_path,
    )
    assert result.stdout.splitlines() == [
        "[(0, 5), (1, 5)]",
        "<numOutputRows=2 (sum)>",
        "DIVIDE_BY_ZERO (id / id)",
        "True",
        "5",
    ], result.stderr


def test_an_approximate_answer_comes_before_the_job_is_done(served: Served, tmp_path: Path) -> None:
    gate = tmp_path / "gate"
    result = client(
        served.master,
        "import os, time\nfrom quiver import Context\n"
        "def wait(index, part):\n"
        f"    while index and not os.path.exists({str(gate)!r}):\n        time.sleep(0.01)\n"
        "    return part\n"
        "with Context(appName='about') as sc:\n"
        "    rdd = sc.parallelize(range(100), 10).mapPartitionsWithIndex(wait)\n"
        "    for limit in (500, 4000, 30000):\n"
        "        about = rdd.sumApprox(limit, 0.9)\n"
        "        if about.confidence: break\n"
        f"    open({str(gate)!r}, 'w').close()\n"
        "    print(float(about), about.confidence, rdd.countApprox(600000))\n",
        tmp_path,
    )
    assert result.stdout == "450.0 0.9 100\n", result.stderr


def test_two_clients_at_once_do_not_mix(served: Served, tmp_path: Path) -> None:
    program = (
        "from quiver import Context\n"
        "with Context(appName='many') as sc:\n"
        "    for i in range(5):\n"
        "        assert sorted(sc.parallelize(range(50), 4).map(lambda x: (x % 5, {mine})).groupByKey().mapValues(list).collect()) == "
        "[(k, [{mine}] * 10) for k in range(5)]\n"
        "    print('same', {mine})\n"
    )
    results: list[subprocess.CompletedProcess[str]] = []
    threads = [
        threading.Thread(target=lambda mine=mine: results.append(client(served.master, program.format(mine=mine), tmp_path)))
        for mine in (1, 2)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(result.stdout for result in results) == ["same 1\n", "same 2\n"], [result.stderr for result in results]


def test_a_user_s_exception_of_the_program_s_own_type_arrives(served: Served, tmp_path: Path) -> None:
    result = client(
        served.master,
        "from quiver import Context\n"
        "class Odd(Exception):\n    pass\n"
        "def check(x):\n    if x == 5: raise Odd(f'not {x}')\n    return x\n"
        "with Context(appName='fails') as sc:\n"
        "    try:\n        sc.parallelize(range(8), 2).map(check).collect()\n"
        "    except Odd as odd:\n        print(type(odd) is Odd, odd, odd.__notes__[0].splitlines()[0])\n"
        "    print(sc.parallelize([1]).collect())\n",
        tmp_path,
    )
    lines = result.stdout.splitlines()
    assert lines[0].startswith("True not 5 Raised in a task: map at client-"), result.stderr
    assert "partition 1, record 1" in lines[0]
    assert lines[1] == "[1]"


def test_ctrl_c_cancels_and_the_driver_goes_on(served: Served, tmp_path: Path) -> None:
    program = tmp_path / "slow.py"
    running = tmp_path / "running"
    program.write_text(
        "import time\nfrom pathlib import Path\nfrom quiver import Context\n"
        f"def slow(x):\n    Path({str(running)!r}).touch()\n    time.sleep(300)\n"
        "with Context(appName='slow') as sc:\n"
        "    try:\n        sc.parallelize(range(2), 2).map(slow).collect()\n"
        "    except KeyboardInterrupt:\n        print('interrupted', sc.parallelize([7]).collect(), flush=True)\n"
    )
    process = subprocess.Popen(
        [sys.executable, "-m", "quiver.cli", "submit", "--master", served.master, str(program)],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment(),
    )  # fmt: skip
    with process:
        deadline = time.monotonic() + 120
        while not running.exists():
            assert process.poll() is None
            assert time.monotonic() < deadline
            time.sleep(0.02)
        process.send_signal(signal.SIGINT)
        out, errors = process.communicate(timeout=120)
    assert out == "interrupted [7]\n", errors


def test_a_port_in_use_is_said_at_once(served: Served, tmp_path: Path) -> None:
    with serve(tmp_path, "--port", served.master.rpartition(":")[2]) as process:
        _, errors = process.communicate(timeout=120)
    assert process.returncode == 1
    assert "is in use" in errors
    assert "Traceback" not in errors


@pytest.mark.parametrize(
    ("flags", "says"), [(["--master", "inline"], "shared driver"), (["--conf", "nonsense"], "key=value"), (["--port", "x"], "--port")]
)
def test_bad_settings(flags: list[str], says: str, tmp_path: Path) -> None:
    with serve(tmp_path, *flags) as process:
        _, errors = process.communicate(timeout=120)
    assert process.returncode in (1, 2)
    assert says in errors
    assert "Traceback" not in errors


def test_accumulators_of_a_client(served: Served, tmp_path: Path) -> None:
    result = client(
        served.master,
        "from operator import add\nfrom quiver import Context\n"
        "with Context() as sc:\n"
        "    total = sc.accumulator(0)\n"
        "    pairs = sc.parallelize(range(100), 4).map(lambda x: (x % 3, total.add(1))).groupByKey()\n"
        "    pairs.count(), pairs.count()\n"
        "    print(total.value)\n"
        "    try: sc.parallelize(range(4), 4).map(lambda x: total.add(1) or 1 // (3 - x)).coalesce(1).collect()\n"
        "    except ZeroDivisionError: print(total.value)\n",
        tmp_path,
    )
    assert (result.returncode, result.stdout) == (0, "100\n100\n"), result.stderr


def test_broadcasts_of_a_client(served: Served, tmp_path: Path) -> None:
    result = client(
        served.master,
        "import numpy as np\nfrom quiver import Context\n"
        "with Context() as sc:\n"
        "    shared = sc.broadcast({'a': np.arange(1200000)})\n"
        "    rdd = sc.parallelize(range(4), 4).map(lambda x: int(shared.value['a'][x]) + int(shared.value['a'][-1]))\n"
        "    print(rdd.sum())\n"
        "    shared.unpersist(True)\n"
        "    print(rdd.sum(), shared.value['a'].sum())\n"
        "    shared.destroy(True)\n"
        "    try: rdd.sum()\n"
        "    except RuntimeError as error: print(type(error).__name__)\n",
        tmp_path,
    )
    assert (result.returncode, result.stdout) == (0, "4800002\n4800002 719999400000\nBroadcastDestroyed\n"), result.stderr


def test_clients_on_other_machines_give_their_own_files(served: Served, tmp_path: Path) -> None:
    program = tmp_path / "client.py"
    program.write_text(
        "from pathlib import Path\nfrom quiver import Context, Files\n"
        "with Context() as sc:\n"
        "    read = lambda _: (Path(Files.get('who.txt')).read_text(), Files.getRootDirectory() == root)\n"
        "    root = Files.getRootDirectory()\n"
        "    print(*set(sc.parallelize(range(4), 4).map(read).collect()))\n"
    )
    running = []
    for who in ("ada", "bob"):
        (tmp_path / who).mkdir()
        (tmp_path / who / "who.txt").write_text(who)
        command = [sys.executable, "-m", "quiver.cli", "submit", "--master", served.master, "--files", str(tmp_path / who / "who.txt")]
        running.append(
            subprocess.Popen(
                [*command, str(program)], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
                env={**environment(), "QUIVER_LOCAL_HOSTNAME": f"machine-of-{who}"},
            )
        )  # fmt: skip
    ends = [process.communicate(timeout=120) for process in running]
    assert [out for out, _ in ends] == ["('ada', False)\n", "('bob', False)\n"], ends


def test_cached_and_checkpointed_rdds_of_a_client(served: Served, tmp_path: Path) -> None:
    calls = tmp_path / "calls"
    calls.mkdir()
    result = client(
        served.master,
        "import os\nfrom quiver import Context, StorageLevel\n"
        "def mark(index, part):\n"
        f"    open({str(calls)!r} + f'/{{index}}-{{os.urandom(5).hex()}}', 'w').close()\n"
        "    return part\n"
        "with Context(appName='cached') as sc:\n"
        "    rdd = sc.parallelize(range(100), 4).mapPartitionsWithIndex(mark).persist(StorageLevel.MEMORY_AND_DISK)\n"
        "    print(rdd.sum(), rdd.count(), sorted(rdd.map(lambda x: (x % 2, 1)).reduceByKey(int.__add__).collect()))\n"
        f"    sc.setCheckpointDir({str(tmp_path)!r})\n"
        "    rdd.checkpoint()\n"
        "    print(rdd.max(), rdd.isCheckpointed())\n"
        "    rdd.unpersist(blocking=True)\n"
        "    print(rdd.min())\n"
        "    local = rdd.map(str)\n"
        "    local.localCheckpoint()\n"
        "    print(local.count(), local.isCheckpointed(), local.count())\n",
        tmp_path,
    )
    assert result.stdout.splitlines() == ["4950 100 [(0, 50), (1, 50)]", "99 True", "0", "100 True 100"], result.stderr
    assert len(list(calls.iterdir())) == 4


BARRIER_PROGRAM = """
import os
from quiver import BarrierTaskContext, Context, TaskContext
from quiver.resource import ResourceProfileBuilder, TaskResourceRequests
from quiver_proto.errors import BarrierTooWide

with Context(appName="gang") as sc:
    gang = sc.parallelize(range(4), 2).barrier().mapPartitions(lambda part: BarrierTaskContext.get().allGather(str(sum(part))))
    print(gang.collect())
    try:
        sc.parallelize(range(3), 3).barrier().mapPartitions(lambda part: part).collect()
    except BarrierTooWide as error:
        print("3 tasks, and there are 2 slots" in str(error))
    wide = ResourceProfileBuilder().require(TaskResourceRequests().cpus(2)).build
    sc.setLocalProperty("team", "search")
    asked = sc.parallelize([1], 1).map(lambda _: (TaskContext.get().cpus(), TaskContext.get().getLocalProperty("team")))
    print(asked.withResources(wide).collect())
"""


def test_barriers_and_profiles_of_a_client(served: Served, tmp_path: Path) -> None:
    result = client(served.master, BARRIER_PROGRAM, tmp_path)
    assert result.returncode == 0, result.stderr
    assert result.stdout.splitlines() == ["['1', '5', '1', '5']", "True", "[(2, 'search')]"]
