"""A query that is cancelled in the middle: its processors come to rest, nothing of it is left, and the next one runs at once."""

from __future__ import annotations

import functools
import os
import signal
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from quiver import Conf, Context
from quiver.errors import JobCancelled
from quiver.sql import Session
from quiver_proto.ops import CallSite

_SITE = CallSite("collect", "a.py", 1)
BURNS = "SELECT count(*) FROM many a JOIN many b ON a.id * 3 < b.id + 1"
"""Ninety thousand million pairs in one operator, which does not yield for minutes: only the end of its process ends it."""
BURNS_INLINE = "SELECT count(*) FROM numbers WHERE id * 7 % 13 = 5"
"""Yields often, as most do: there is no process that could be ended."""


@pytest.fixture(scope="module", params=["inline", "local[2]", "local-cluster[1,1,1024]"])
def work_dir(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> tuple[str, Path]:
    return request.param, tmp_path_factory.mktemp("work")


@pytest.fixture(scope="module")
def spark(work_dir: tuple[str, Path], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Session]:
    master, folder = work_dir
    conf = Conf(loadDefaults=False).set("quiver.eventLog.dir", str(tmp_path_factory.mktemp("events"))).set("spark.ui.enabled", "false")
    conf.set("spark.local.dir", str(folder))
    with Session(Context(master, "test", conf=conf)) as session:
        session.range(300_000).createOrReplaceTempView("many")
        session.range(10**12).createOrReplaceTempView("numbers")
        yield session


def kernel_threads() -> dict[str, int]:
    """Ticks of processor time that each of the kernel's threads has had, in this process and those below it."""
    below: dict[str, list[str]] = {}
    for name in filter(str.isdigit, os.listdir("/proc")):
        try:
            below.setdefault(Path("/proc", name, "stat").read_text().rpartition(")")[2].split()[1], []).append(name)
        except OSError:
            continue
    pids = [str(os.getpid())]
    for pid in pids:
        pids += below.get(pid, [])
    found = {}
    for pid in pids:
        try:
            threads = os.listdir(f"/proc/{pid}/task")
            for thread in threads:
                text = Path("/proc", pid, "task", thread, "stat").read_text()
                if "(tokio" in text:
                    fields = text.rpartition(")")[2].split()
                    found[thread] = int(fields[11]) + int(fields[12])
        except OSError:
            continue
    return found


def until(condition: Callable[[], bool], what: str, limit_s: float = 120.0) -> None:
    deadline = time.monotonic() + limit_s
    while not condition():
        assert time.monotonic() < deadline, f"not within {limit_s} s: {what}"
        time.sleep(0.02)


def at_rest() -> None:
    """None of the kernel's threads gets processor time any more: the same in twenty looks, one after the other."""
    same: list[dict[str, int]] = []

    def still() -> bool:
        now = kernel_threads()
        if same and same[-1] != now:
            same.clear()
        same.append(now)
        return len(same) >= 20

    until(still, "the kernel's threads come to rest")


def burns(spark: Session) -> str:
    return BURNS_INLINE if spark.context.master == "inline" else BURNS


class Burning:
    """The query in a thread of its own, until its processors are busy."""

    def __init__(self, spark: Session, prepare: Callable[[], Any] = lambda: None, action: Callable[[], Any] | None = None) -> None:
        self.problem: BaseException | None = None
        before = sum(kernel_threads().values())

        def work() -> None:
            try:
                prepare()
                action() if action else spark.sql(burns(spark)).collect()
            except BaseException as error:
                self.problem = error

        self._thread = threading.Thread(target=work)
        self._thread.start()
        until(lambda: sum(kernel_threads().values()) >= before + 20 or self.problem is not None, "the query is at work")

    def cancelled(self, reason: str) -> None:
        self._thread.join(120)
        assert not self._thread.is_alive()
        assert isinstance(self.problem, JobCancelled), self.problem
        assert reason in str(self.problem)
        at_rest()


def leftovers(work_dir: Path) -> list[str]:
    """Files of tasks: shuffle outputs, results, what was spilled."""
    found = []
    for folder, _, names in os.walk(work_dir):
        if ".scratch" in folder or "shuffle" in folder:
            found += [os.path.join(folder, name) for name in names]
    return found


CANCELS: dict[str, tuple[Callable[[Session], Any], Callable[[Session], Any], str]] = {
    "group": (
        lambda spark: spark.context.setJobGroup("reports", "a report"),
        lambda spark: spark.context.cancelJobGroup("reports", "not wanted"),
        "not wanted",
    ),
    "all": (lambda spark: None, lambda spark: spark.context.cancelAllJobs(), "all jobs were cancelled"),
    "tag": (lambda spark: spark.addTag("blue"), lambda spark: spark.interruptTag("blue"), "with tag blue"),
    "operation": (lambda spark: None, lambda spark: spark.interruptOperation(spark.interruptAll()[0]), "interrupted"),
}


HOWS = {"inline": list(CANCELS), "local[2]": ["group", "tag"], "local-cluster[1,1,1024]": ["operation"]}


def test_a_cancelled_query_stops(spark: Session, work_dir: tuple[str, Path]) -> None:
    for how in HOWS[work_dir[0]]:
        prepare, cancel, reason = CANCELS[how]
        burning = Burning(spark, functools.partial(prepare, spark))
        cancel(spark)
        burning.cancelled(reason)
        # Its slot takes the next query at once.
        assert spark.sql("SELECT count(*) AS n FROM many").collect()[0].n == 300_000
        until(lambda: not leftovers(work_dir[1]), "nothing of it is left")


OTHERS: dict[str, Callable[[Session, str], Any]] = {
    "groups": lambda spark, _: spark.sql("SELECT max(n) FROM (SELECT count(*) AS n FROM numbers GROUP BY id * 7919 % 100000007)").collect(),
    "constants": lambda spark, _: spark.sql(rf"SELECT '{'a' * 60}b' RLIKE '^((a+)+)\\2c$'").collect(),
    "files": lambda spark, path: spark.table("numbers").write.parquet(path),
}


@pytest.mark.parametrize("what", OTHERS)
def test_whatever_is_at_work_stops(spark: Session, work_dir: tuple[str, Path], tmp_path: Path, what: str) -> None:
    if work_dir[0] == "inline":
        return  # There they yield as all do: see above.
    burning = Burning(spark, action=lambda: OTHERS[what](spark, str(tmp_path / "out")))
    spark.context.cancelAllJobs()
    burning.cancelled("all jobs were cancelled")
    until(lambda: not leftovers(work_dir[1]), "nothing of it is left")
    assert not list(tmp_path.glob("out/**/part-*"))


def test_what_is_costly_is_not_computed_by_the_planner(spark: Session) -> None:
    """It could not be cancelled there, and nothing would limit its memory."""
    if spark.context.master != "inline":
        return
    runtime = spark._state.runtime
    for call, is_late in {
        "aggregate(sequence(1, 3), 0, (a, x) -> a + x)": True,
        "size(sequence(1, 300000000))": True,
        "size(sequence(1, 3))": False,
        "repeat(repeat('a', 9), 9)": True,
        "repeat('a', 9)": False,
        "'aab' RLIKE '^(a+)+$'": True,
        "'aab' RLIKE 'a+b'": False,
    }.items():
        plan = runtime.explain(spark.sql(f"SELECT {call} AS x")._relation).logical
        assert ("random()" in plan) == is_late, plan
    assert spark.sql("SELECT aggregate(sequence(1, 3), 0, (a, x) -> a + x) AS x, 'aab' RLIKE '^(a+)+b$' AS y").collect() == [(6, True)]


def test_ctrl_c_stops_it(spark: Session, work_dir: tuple[str, Path]) -> None:
    before, over = sum(kernel_threads().values()), threading.Event()

    def press() -> None:
        until(lambda: sum(kernel_threads().values()) >= before + 20 or over.is_set(), "the query is at work")
        if not over.is_set():
            os.kill(os.getpid(), signal.SIGINT)

    thread = threading.Thread(target=press)
    thread.start()
    try:
        with pytest.raises(KeyboardInterrupt):
            spark.sql(burns(spark)).collect()
    finally:
        over.set()
        thread.join()
    at_rest()
    assert spark.sql("SELECT count(*) AS n FROM many").collect()[0].n == 300_000


def test_what_it_had_spilled_goes_with_its_process(spark: Session, work_dir: tuple[str, Path]) -> None:
    if work_dir[0] == "inline":
        return  # The kernel removes its files itself when its streams are dropped.
    burning = Burning(spark)
    spilled = [folder / "spilled" for folder in work_dir[1].glob("**/.scratch/*/*") if folder.is_dir()]
    for path in spilled:
        path.write_text("rows")
    spark.context.cancelAllJobs()
    burning.cancelled("all jobs were cancelled")
    until(lambda: len(leftovers(work_dir[1])) < len(spilled), "the dead process's files are gone")
    for path in spilled:
        path.unlink(missing_ok=True)


def test_others_go_on(spark: Session) -> None:
    burning = Burning(spark, lambda: spark.addTag("red"))
    assert spark.interruptTag("blue") == []
    assert spark.newSession().interruptAll() == []
    spark.context.cancelJobGroup("nobody's")
    (running,) = spark.interruptTag("red")
    assert running.isdigit()
    burning.cancelled("with tag red")


def test_what_is_about_to_begin_is_cancelled(monkeypatch: pytest.MonkeyPatch, spark: Session) -> None:
    """After the driver has looked for requests, before the kernel has begun."""
    if spark.context.master != "inline":
        pytest.skip("processes are killed, whatever they have begun")
    link = spark._state.context._driver._link
    run_next = link.run_next

    def interrupted_first() -> Any:
        other = threading.Thread(target=spark.interruptAll)
        other.start()
        other.join()
        return run_next()

    monkeypatch.setattr(link, "run_next", interrupted_first)
    with pytest.raises(JobCancelled, match="interrupted"):
        spark.sql(BURNS_INLINE).collect()
    monkeypatch.undo()
    assert spark.range(3).count() == 3


def test_no_job_of_a_cancelled_query_begins(spark: Session) -> None:
    """Also when it was cancelled between two of its jobs."""
    executions = spark._state.runtime.executions
    frame = spark.range(3)
    with executions.begin(frame._relation, _SITE) as execution:
        executions.interrupt(lambda each: True, "too late")
        with pytest.raises(JobCancelled, match="too late"):
            spark._state.runtime._run(frame._relation, _SITE, execution)


def test_tags_belong_to_a_thread(spark: Session) -> None:
    spark.addTag("mine")
    seen: list[set[str]] = []
    thread = threading.Thread(target=lambda: seen.append(spark.getTags()))
    thread.start()
    thread.join()
    assert (seen, spark.getTags(), spark.newSession().getTags()) == ([set()], {"mine"}, set())
    spark.removeTag("mine")
    for wrong in ("", "a,b"):
        with pytest.raises(ValueError, match="without commas"):
            spark.addTag(wrong)
