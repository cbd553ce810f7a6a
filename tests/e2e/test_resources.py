"""Resources besides cores, on real processes: tasks get addresses of their own."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from harness import MakeContext

from quiver import BarrierTaskContext, TaskContext
from quiver.resource import (
    ExecutorResourceRequests,
    ResourceInformation,
    ResourceProfile,
    ResourceProfileBuilder,
    TaskResourceRequests,
)
from quiver_proto.errors import BadSetting, ResourcesUnavailable


def profile(tasks: TaskResourceRequests | None = None, executors: ExecutorResourceRequests | None = None) -> ResourceProfile:
    builder = ResourceProfileBuilder()
    if tasks is not None:
        builder.require(tasks)
    if executors is not None:
        builder.require(executors)
    return builder.build


def script(directory: Path, *addresses: str) -> str:
    path = directory / "gpus.sh"
    listed = ", ".join(f'"{address}"' for address in addresses)
    path.write_text(f"""#!/bin/sh\necho '{{"name": "gpu", "addresses": [{listed}]}}'\n""")
    path.chmod(0o755)
    return str(path)


def claim(directory: Path) -> Callable[[int], tuple[list[str], int]]:
    """A task that holds its addresses for a moment, and sees nobody else hold them."""

    def hold(_: int) -> tuple[list[str], int]:
        context = TaskContext.get()
        assert context is not None
        gpus = context.resources()["gpu"].addresses
        for gpu in gpus:
            (directory / f"gpu-{gpu}").mkdir()  # Fails when someone has it.
        time.sleep(0.005)
        for gpu in gpus:
            (directory / f"gpu-{gpu}").rmdir()
        return gpus, context.cpus()

    return hold


@pytest.mark.parametrize("master", ["local[4]", "local-cluster[1,4,1024]"])
def test_every_task_has_addresses_of_its_own(make_context: MakeContext, tmp_path: Path, master: str) -> None:
    found = script(tmp_path, "a", "b", "c")
    context = make_context(
        master,
        **{
            "spark.executor.resource.gpu.amount": "2",
            "spark.executor.resource.gpu.discoveryScript": found,
            "spark.task.resource.gpu.amount": "1",
        },
    )
    rows = context.parallelize(range(40), 40).map(claim(tmp_path)).collect()
    # The third that was found is more than was asked for.
    assert {tuple(gpus) for gpus, _ in rows} == {("a",), ("b",)}
    both = profile(TaskResourceRequests().cpus(2).resource("gpu", 2))
    rows = context.parallelize(range(5), 5).withResources(both).map(claim(tmp_path)).collect()
    assert [(sorted(gpus), cpus) for gpus, cpus in rows] == [(["a", "b"], 2)] * 5


def test_an_address_can_be_shared(make_context: MakeContext) -> None:
    context = make_context("local[4]", **{"spark.executor.resource.gpu.amount": "1", "spark.task.resource.gpu.amount": "0.5"})

    def meet(_: Any) -> list[Any]:
        task = BarrierTaskContext.get()
        task.barrier()
        return [task.resources()]

    rows = context.parallelize(range(2), 2).barrier().mapPartitions(meet).collect()
    assert rows == [{"gpu": ResourceInformation("gpu", ["0"])}] * 2
    with pytest.raises(Exception, match="3 tasks, and there are 2 slots"):
        context.parallelize(range(3), 3).barrier().mapPartitions(meet).collect()


def test_stages_have_their_own_profiles(make_context: MakeContext) -> None:
    context = make_context("local[2]", **{"spark.executor.resource.gpu.amount": "1"})

    def resources(_: int) -> tuple[int, tuple[str, ...]]:
        task = TaskContext.get()
        assert task is not None
        return task.cpus(), tuple(task.resources())

    wide = profile(TaskResourceRequests().cpus(2))
    with_gpu = profile(TaskResourceRequests().resource("gpu", 1))
    first = context.parallelize(range(4), 2).map(lambda x: (x % 2, resources(x))).withResources(wide)
    second = first.groupByKey(2).map(lambda kv: (sorted(set(kv[1])), resources(0))).withResources(with_gpu)
    assert second.collect() == [([(2, ())], (1, ("gpu",)))] * 2
    assert context.parallelize([1], 1).map(resources).collect() == [(1, ())]


def test_what_nobody_has_is_refused(make_context: MakeContext) -> None:
    context = make_context("local[2]", **{"spark.executor.resource.gpu.amount": "1"})
    rdd = context.parallelize(range(2), 2)
    for wanted, reason in (
        (profile(TaskResourceRequests().resource("gpu", 2)), "1 core and 2 gpu per task.*the most that an executor has: 2 cores, 1 gpu"),
        (profile(TaskResourceRequests().resource("tpu", 1)), "1 tpu per task.*the most that an executor has: 2 cores, 0 tpu"),
        (profile(executors=ExecutorResourceRequests().cores(8)), "at least 8 cores.*no executors are launched for a profile"),
    ):
        with pytest.raises(ResourcesUnavailable, match=reason):
            rdd.map(lambda x: x).withResources(wanted).collect()
    enough = profile(executors=ExecutorResourceRequests().cores(2).memory("1m").resource("gpu", 1))
    assert rdd.map(lambda x: x + 1).withResources(enough).collect() == [1, 2]


def test_profiles_that_meet_in_one_stage(make_context: MakeContext) -> None:
    one, two = profile(TaskResourceRequests().cpus(1)), profile(TaskResourceRequests().cpus(2))

    def build(context: Any) -> Any:
        cpus = lambda x: TaskContext.get().cpus()  # noqa: E731
        return context.parallelize(range(2), 2).withResources(one).map(cpus).withResources(two)

    with pytest.raises(ValueError, match="Multiple ResourceProfiles"):
        build(make_context("local[2]")).collect()


def test_merged_profiles(make_context: MakeContext) -> None:
    context = make_context("local[2]", spark_scheduler_resource_profileMergeConflicts="true")
    one, two = profile(TaskResourceRequests().cpus(1)), profile(TaskResourceRequests().cpus(2))
    cpus = context.parallelize(range(2), 2).withResources(two).map(lambda x: TaskContext.get().cpus()).withResources(one)
    assert cpus.collect() == [2, 2]


@pytest.mark.parametrize(
    ("settings", "problem"),
    [
        ({"spark.task.resource.gpu.amount": "1"}, "no executor would have any"),
        ({"spark.executor.resource.gpu.amount": "1", "spark.task.resource.gpu.amount": "0.7"}, "either <= 0.5, or a whole number"),
        ({"spark.executor.resource.gpu.amount": "half"}, "must be a whole number"),
    ],
)
def test_settings_that_can_not_be_meant(make_context: MakeContext, settings: dict[str, str], problem: str) -> None:
    with pytest.raises(BadSetting, match=problem):
        make_context("local[1]", **settings)
    # Nothing is left of the attempt.
    assert make_context("local[1]").parallelize([1]).count() == 1


def test_a_script_that_finds_too_few(make_context: MakeContext, tmp_path: Path) -> None:
    settings = {"spark.executor.resource.gpu.amount": "2", "spark.executor.resource.gpu.discoveryScript": script(tmp_path, "a")}
    with pytest.raises(ResourcesUnavailable, match=r"gpus\.sh found 1 here"):
        make_context("local[1]", **settings)
    with pytest.raises(ResourcesUnavailable, match="can't be run"):
        make_context("local[1]", **(settings | {"spark.executor.resource.gpu.discoveryScript": str(tmp_path / "none")}))


def test_the_drivers_own(make_context: MakeContext, tmp_path: Path) -> None:
    found = {"spark.driver.resource.gpu.amount": "1", "spark.driver.resource.gpu.discoveryScript": script(tmp_path, "7")}
    assert make_context("inline", **found).resources == {"gpu": ResourceInformation("gpu", ["7"])}


def test_inline_gives_addresses_too(make_context: MakeContext) -> None:
    context = make_context("inline", **{"spark.executor.resource.gpu.amount": "1", "spark.task.resource.gpu.amount": "1"})
    assert context.parallelize(range(2), 2).map(lambda _: list(TaskContext.get().resources())).collect() == [["gpu"]] * 2
