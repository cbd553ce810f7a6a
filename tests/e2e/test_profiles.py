"""Profiles of tasks: what was measured in slots comes to the driver, once per partition."""

from __future__ import annotations

import os
import pstats
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from harness import MakeContext

from quiver import BasicProfiler, Conf, Context, Profiler
from quiver_proto.errors import ProfilingOff


def slow_step(x: int) -> int:
    return x + 1


def calls(stats: pstats.Stats | None, function: str) -> int:
    assert stats is not None
    return sum(row[0] for (_, _, name), row in stats.stats.items() if name == function)


@pytest.mark.parametrize("master", ["inline", "local[2]", "local-cluster[1,1,512]"])
def test_profiles_are_merged_over_tasks_and_jobs(
    make_context: MakeContext, tmp_path: Path, capsys: pytest.CaptureFixture[str], master: str
) -> None:
    context = make_context(master, spark_python_profile="true")
    rdd = context.parallelize(range(10), 2).map(slow_step)
    assert rdd.count() == 10
    assert rdd.collect()[:2] == [1, 2]
    pairs = rdd.map(lambda x: (x % 2, x)).reduceByKey(lambda a, b: a + b, 1)
    assert sorted(pairs.collect()) == [(0, 30), (1, 25)]
    context.show_profiles()
    shown = capsys.readouterr().out
    assert f"Profile of RDD<id={rdd.id()}>" in shown
    assert f"Profile of RDD<id={pairs.id()}>" in shown
    assert "slow_step" in shown
    context.show_profiles()
    assert capsys.readouterr().out == ""
    context.dump_profiles(str(tmp_path / "dump"))
    names = sorted(path.name for path in (tmp_path / "dump").iterdir())
    assert len(names) == 3, "the RDD's own, the map side's, and the reduce side's"
    assert calls(pstats.Stats(str(tmp_path / "dump" / f"rdd_{rdd.id()}.pstats")), "slow_step") == 20
    # Started anew.
    assert rdd.count() == 10
    context.dump_profiles(str(tmp_path / "again"))
    assert calls(pstats.Stats(str(tmp_path / "again" / f"rdd_{rdd.id()}.pstats")), "slow_step") == 10


def test_a_retried_task_counts_once(make_context: MakeContext, tmp_path: Path) -> None:
    context = make_context("local[1,3]", spark_python_profile="true")

    def fails_once(x: int) -> int:
        if x == 4 and not (tmp_path / "failed").exists():
            (tmp_path / "failed").touch()
            raise ValueError("once")
        return slow_step(x)

    rdd = context.parallelize(range(5), 1).map(fails_once)
    assert rdd.count() == 5
    context.dump_profiles(str(tmp_path))
    assert calls(pstats.Stats(str(tmp_path / f"rdd_{rdd.id()}.pstats")), "slow_step") == 5


class Named(BasicProfiler):
    def show(self, id: int) -> None:
        print(f"My custom profiles for RDD:{id} {calls(self.stats(), 'slow_step')}")


class Forgetful(BasicProfiler):
    def profile(self, func: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
        func(*args, **kwargs)


class Unfinished(Profiler):
    pass


def make(tmp_path: Path, profiler_cls: type[Profiler]) -> Context:
    conf = Conf(loadDefaults=False).set("spark.python.profile", "true").set("spark.ui.enabled", False)
    conf.set("quiver.local.dir", str(tmp_path)).set("quiver.eventLog.dir", str(tmp_path))
    return Context("local[1,1]", "test", conf=conf, profiler_cls=profiler_cls)


def test_a_profiler_of_ones_own(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with make(tmp_path, Named) as context:
        rdd = context.parallelize(range(4), 2).map(slow_step)
        assert rdd.count() == 4
        context.show_profiles()
        assert capsys.readouterr().out == f"My custom profiles for RDD:{rdd.id()} 4\n"


def test_a_profiler_that_keeps_the_result(tmp_path: Path) -> None:
    with make(tmp_path, Forgetful) as context:
        with pytest.raises(TypeError, match="must return what func returns"):
            context.parallelize([1]).count()
        context.dump_profiles(str(tmp_path / "none"))


def test_a_profiler_that_is_none(tmp_path: Path) -> None:
    with make(tmp_path, Unfinished) as context:
        with pytest.raises(NotImplementedError, match=r"Unfinished must define profile\(func"):
            context.parallelize([1]).count()
        with pytest.raises(NotImplementedError, match=r"Unfinished must define dump\(id, path\)"):
            context.dump_profiles(str(tmp_path))
        with pytest.raises(NotImplementedError, match=r"Unfinished must define show\(id\)"):
            context.show_profiles()


def test_nothing_is_profiled_unless_asked_for(make_context: MakeContext) -> None:
    context = make_context("inline")
    with pytest.raises(ProfilingOff, match="INCORRECT_CONF_FOR_PROFILE"):
        context.show_profiles()
    with pytest.raises(RuntimeError):
        context.dump_profiles("nowhere")


PROGRAM = """
from quiver import Conf, Context
conf = Conf().setAll([("spark.python.profile", "true"), ("spark.ui.enabled", "false"), *DUMP])
with Context("local[1]", conf=conf) as sc:
    sc.parallelize(range(3)).map(lambda x: x).count()
"""


def test_what_was_not_shown_is_shown_at_the_end(tmp_path: Path) -> None:
    environment = {**os.environ, "QUIVER_CONF_QUIVER_LOCAL_DIR": str(tmp_path), "QUIVER_CONF_QUIVER_EVENTLOG_DIR": str(tmp_path)}

    def run(dump: str) -> str:
        return subprocess.run(
            [sys.executable, "-c", PROGRAM.replace("DUMP", dump)], env=environment, capture_output=True, text=True, check=True, timeout=120
        ).stdout

    assert "Profile of RDD<id=1>" in run("[]")
    assert run(repr([("spark.python.profile.dump", str(tmp_path / "dump"))])) == ""
    assert (tmp_path / "dump" / "rdd_1.pstats").exists()
