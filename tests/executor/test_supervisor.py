"""Tasks through a supervisor and its slots: real processes."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from supervised import Executor, alive, children, eventually, result

from quiver_proto import blocks
from quiver_proto.errors import ResourcesUnavailable, from_wire
from quiver_proto.ids import ShuffleId, StageId, TaskId
from quiver_proto.messages import (
    AddStage,
    Drain,
    Drained,
    ExecutorHeartbeat,
    FailureKind,
    ForgetStage,
    KillTasks,
    LaunchTasks,
    RemoveShuffle,
    Shutdown,
    TaskDone,
    TaskFailure,
    TasksEnded,
)


def descriptors_of_this_process() -> set[tuple[str, str]]:
    """Each with what it stands for. Of those that earlier tests left to the collector, some may close at any time."""
    found = set()
    for fd in os.listdir("/proc/self/fd"):
        try:
            found.add((fd, os.readlink(f"/proc/self/fd/{fd}")))
        except FileNotFoundError:
            pass  # The one that listed the others.
    return found


SPIN = "import time\nwhile True: time.sleep(0.01)"


def test_a_task_gives_its_result_and_says_where_it_ran(executor: Executor) -> None:
    ends = executor.run("return partition * 10, attempt, split, env.slot", 2, splits=[b"a", b"b"])
    for partition, end in enumerate(ends):
        value = result(end)
        assert value == (partition * 10, 0, b"ab"[partition : partition + 1], end.slot)


def test_a_slot_knows_its_surroundings(executor: Executor) -> None:
    (seen,) = executor.results("import os; return env, os.environ['PYTHONHASHSEED'], __import__('sys').argv[0], os.getcwd()")
    env, seed, name, directory = seen
    assert (env.application_id, env.executor_id, env.node_id) == ("app-test", "app-test/0", "node-test")
    assert env.memory_bytes == (1 << 30) // 2
    assert env.scratch_dir.startswith(env.blocks_dir)
    assert seed == "7"
    assert name == f"slot {env.slot}"
    assert directory == os.getcwd()


def test_a_raised_exception_fails_its_task_only(executor: Executor) -> None:
    good, bad = executor.run("if partition: raise KeyError('x')\nreturn 1", 2)
    assert isinstance(good, TaskDone)
    assert isinstance(bad, TaskFailure)
    assert (bad.kind, bad.exception_type) == (FailureKind.USER, "KeyError")


def test_sys_exit_is_a_failure_of_the_task_not_of_the_slot(executor: Executor) -> None:
    before = executor.all_slots_ready()
    failure = executor.failure("import sys; sys.exit('enough')")
    assert (failure.kind, failure.exception_type, failure.message) == (FailureKind.USER, "SystemExit", "enough")
    assert executor.slot_pids() == before


def test_a_body_that_does_not_open_is_fatal(executor: Executor) -> None:
    failure = executor.failure("this is no Python")
    assert (failure.kind, failure.exception_type) == (FailureKind.FATAL, "SyntaxError")


def test_tasks_of_an_unknown_stage_are_fatal(executor: Executor) -> None:
    (failure,) = executor.ends(executor.launch(99))
    assert isinstance(failure, TaskFailure)
    assert failure.kind is FailureKind.FATAL
    assert "stage 99" in failure.message


def test_more_cores_than_there_are_is_fatal_with_advice(executor: Executor) -> None:
    (failure,) = executor.ends(executor.launch(executor.stage("return 1"), cores=3))
    assert isinstance(failure, TaskFailure)
    assert failure.kind is FailureKind.FATAL
    assert failure.error is not None
    error = from_wire(*failure.error)
    assert isinstance(error, ResourcesUnavailable)
    assert "spark.task.cpus" in str(error)


def test_ten_thousand_tasks_end_once_each(executor: Executor) -> None:
    ids = executor.launch(executor.stage("return partition"), 10_000)
    ends = executor.ends(ids)
    assert [result(end) for end in ends] == list(range(10_000))
    assert {len(executor.ended[i]) for i in ids} == {1}
    assert executor.ask(lambda supervisor: (supervisor.running_tasks, supervisor.queued_tasks)) == (0, 0)


def test_a_task_id_seen_before_is_ignored(executor: Executor) -> None:
    stage = executor.stage("print('ran', flush=True)\nreturn 1")
    (task,) = executor.launch(stage)
    executor.handle(LaunchTasks(StageId(stage), 0, [task], [0], [0], [b""]))
    executor.ends([task])
    executor.handle(LaunchTasks(StageId(stage), 0, [task], [0], [0], [b""]))
    executor.ends(executor.launch(stage))
    assert executor.log() == "ran\nran\n"
    assert len(executor.ended[task]) == 1


def test_output_is_in_the_log_when_the_end_is_reported(start: Callable[..., Executor]) -> None:
    executor = start(1)
    seen: list[str] = []
    told = executor.supervisor._report

    def report(message: object) -> None:
        if isinstance(message, TasksEnded):
            seen.append(executor.log())
        told(message)

    executor.supervisor._report = report
    stage = executor.stage("import sys, os\nprint('line', partition)\nos.write(1, b'raw\\n')\nsys.stdout.write('no end')")
    executor.ends(executor.launch(stage))
    assert seen == ["line 0\nraw\nno end\n"]


def test_output_is_echoed_when_wanted(start: Callable[..., Executor], capsys: pytest.CaptureFixture[str]) -> None:
    executor = start(1, echo_output=True)
    executor.run("import sys\nprint('out ü')\nprint('err', file=sys.stderr)")
    out, err = capsys.readouterr()
    assert (out, sorted(err.splitlines())) == ("", ["err", "out ü"])
    assert executor.log("stderr") == "err\n"


def test_a_flood_of_output_is_neither_lost_nor_blocks_others(executor: Executor) -> None:
    executor.run("if partition == 0:\n for i in range(50_000): print('x' * 20, i)", 2)
    lines = executor.log().splitlines()
    assert len(lines) == 50_000
    assert lines[-1].endswith(" 49999")


def test_large_splits_and_results_pass(executor: Executor) -> None:
    splits = [os.urandom(1 << 20) for _ in range(12)]
    assert executor.results("return split", 12, splits=splits) == splits


def test_tasks_with_two_cores_leave_room_for_half_as_many(start: Callable[..., Executor], tmp_path: Path) -> None:
    executor = start(5)
    executor.all_slots_ready()
    # Each of the first two waits until the other has begun too: two run at once, whatever the machine's speed.
    source = f"""
import glob, time
begun = time.monotonic()
open({str(tmp_path)!r} + f"/begun-{{partition}}", "w").close()
while len(glob.glob({str(tmp_path)!r} + "/begun-*")) < 2: time.sleep(0.001)
return begun, time.monotonic()
"""
    spans = executor.results(source, 8, cores=2)
    most = max(sum(begun <= at < end for begun, end in spans) for at, _ in spans)
    assert most == 2


def test_a_long_task_does_not_hold_up_short_ones_sent_with_it(start: Callable[..., Executor], tmp_path: Path) -> None:
    executor = start(2)
    executor.all_slots_ready()
    gate = tmp_path / "gate"
    source = f"import os, time\nif split:\n while not os.path.exists({str(gate)!r}): time.sleep(0.001)\nreturn partition"
    stage = executor.stage(source)
    executor.ends(executor.launch(stage, 1000))  # Now the supervisor knows that they are short, and sends many at a time.
    ids = executor.launch(stage, 64, splits=[b"wait", *[b""] * 63])
    executor.ends(ids[1:])
    assert ids[0] not in executor.ended
    gate.touch()
    assert result(executor.ends(ids)[0]) == 0
    assert {len(executor.ended[i]) for i in ids} == {1}


def test_a_queued_task_is_killed_without_ever_running(start: Callable[..., Executor], tmp_path: Path) -> None:
    executor = start(1)
    gate = tmp_path / "gate"
    blocker = executor.launch(executor.stage(f"import os, time\nwhile not os.path.exists({str(gate)!r}): time.sleep(0.001)"))
    queued = executor.launch(executor.stage("print('ran')"), 3)
    executor.handle(KillTasks(queued[:2], "not wanted"))
    for end in executor.ends(queued[:2]):
        assert isinstance(end, TaskFailure)
        assert (end.kind, end.message, end.slot) == (FailureKind.KILLED, "not wanted", -1)
    gate.touch()
    executor.ends([*blocker, queued[2]])
    assert executor.log() == "ran\n"


def test_killing_a_running_task_ends_its_slot_and_all_its_descendants(executor: Executor, tmp_path: Path) -> None:
    pids = tmp_path / "pids"
    source = f"""
import subprocess, os, time
plain = subprocess.Popen(["sleep", "1000"])
detached = subprocess.Popen(["sh", "-c", "sleep 1000 & wait"], start_new_session=True)
while not (below := open(f"/proc/{{detached.pid}}/task/{{detached.pid}}/children").read().split()): time.sleep(0.001)
with open({str(pids) + "~"!r}, "w") as f: print(os.getpid(), plain.pid, detached.pid, below[0], file=f)
os.rename({str(pids) + "~"!r}, {str(pids)!r})
time.sleep(1000)
"""
    (task,) = executor.launch(executor.stage(source))
    eventually(pids.exists, "the task has started its children")
    family = [int(pid) for pid in pids.read_text().split()]
    assert all(map(alive, family))
    executor.handle(KillTasks([task], "cancelled"))
    (end,) = executor.ends([task])
    assert isinstance(end, TaskFailure)
    assert (end.kind, end.message) == (FailureKind.KILLED, "cancelled")
    for pid in family:
        eventually(lambda pid=pid: not alive(pid), f"process {pid} of {family} ends")
    assert executor.results("return partition", 4) == [0, 1, 2, 3]
    assert len(executor.all_slots_ready()) == 2


def test_killing_one_of_many_in_a_slot_spares_the_others(start: Callable[..., Executor]) -> None:
    executor = start(1)
    stage = executor.stage("import time\nwhile split: time.sleep(0.01)\nreturn partition")
    executor.ends(executor.launch(stage, 200))
    ids = executor.launch(stage, 32, splits=[*[b""] * 8, b"forever", *[b""] * 23])
    executor.ends(ids[:8])
    executor.handle(KillTasks([ids[8]], "too long"), KillTasks([ids[20]], "not wanted"))
    ends = executor.ends(ids)
    killed = {i for i, end in enumerate(ends) if isinstance(end, TaskFailure)}
    assert killed == {8, 20}
    assert all(end.kind is FailureKind.KILLED for end in ends if isinstance(end, TaskFailure))


def test_killing_what_has_ended_or_was_never_known_does_nothing(executor: Executor) -> None:
    ids = executor.launch(executor.stage("return 1"))
    executor.ends(ids)
    executor.handle(KillTasks([*ids, TaskId(12345)], "late"))
    assert executor.results("return 5") == [5]
    assert len(executor.ended[ids[0]]) == 1
    assert 12345 not in executor.ended


def test_drain_finishes_what_it_has_and_refuses_the_rest(executor: Executor, tmp_path: Path) -> None:
    gate = tmp_path / "gate"
    stage = executor.stage(f"import os, time\nwhile not os.path.exists({str(gate)!r}): time.sleep(0.001)\nreturn 1")
    ids = executor.launch(stage, 5)
    executor.handle(Drain())
    (late,) = executor.ends(executor.launch(stage))
    assert isinstance(late, TaskFailure)
    assert late.kind is FailureKind.KILLED
    assert not [report for report in executor.reports if isinstance(report, Drained)]
    gate.touch()
    assert all(isinstance(end, TaskDone) for end in executor.ends(ids))
    executor.wait(lambda: isinstance(executor.reports[-1], Drained), "Drained is the last word")


def test_drain_of_an_idle_executor_is_told_at_once(executor: Executor) -> None:
    executor.handle(Drain())
    executor.wait(lambda: any(isinstance(report, Drained) for report in executor.reports), "Drained")


def test_heartbeats_tell_memory_and_tasks(executor: Executor) -> None:
    executor.all_slots_ready()
    executor.launch(executor.stage(SPIN), 3)

    def busy() -> bool:
        beats = [report for report in executor.reports if isinstance(report, ExecutorHeartbeat)]
        return any((beat.running_tasks, beat.queued_tasks) == (2, 1) and beat.rss_bytes > 10 << 20 for beat in beats)

    executor.wait(busy, "a heartbeat with two running tasks, one queued, and memory")


def test_a_forgotten_stage_can_be_described_again_as_another_attempt(executor: Executor) -> None:
    stage = executor.stage("return 'first'")
    executor.ends(executor.launch(stage, 4))
    executor.handle(ForgetStage(StageId(stage), 0), AddStage(StageId(stage), 1, b"return 'second'", {}, {}, {}))
    executor.handle(LaunchTasks(StageId(stage), 1, [TaskId(1), TaskId(2)], [0, 1], [0, 0], [b"", b""]))
    assert [result(end) for end in executor.ends([1, 2])] == ["second", "second"]


def test_a_released_shuffle_is_removed_from_disk(executor: Executor) -> None:
    gone, kept = (Path(blocks.shuffle_directory(executor.config.blocks_dir, shuffle)) for shuffle in (3, 4))
    for directory in (gone, kept):
        directory.mkdir(parents=True)
        (directory / "file").write_text("x")
    executor.handle(RemoveShuffle(ShuffleId(3)))
    eventually(lambda: not gone.exists(), "the files go")
    assert (kept / "file").exists()


def test_nothing_is_left_after_close(start: Callable[..., Executor]) -> None:
    processes, descriptors = children(os.getpid()), descriptors_of_this_process()
    executor = start(2)
    pids = executor.all_slots_ready()
    template = executor.template_pid()
    executor.run("import os\nos.makedirs(env.scratch_dir)\nopen(env.scratch_dir + '/spill', 'w').close()")
    executor.launch(executor.stage(SPIN), 4)
    executor.close()
    assert not any(alive(pid) for pid in [template, *pids.values()])
    assert set(children(os.getpid())) <= set(processes)
    assert descriptors_of_this_process() <= descriptors
    blocks = Path(executor.config.blocks_dir)
    assert [path for path in blocks.rglob("*") if path.name != "blocks"] == []


def test_close_before_the_template_is_up(start: Callable[..., Executor]) -> None:
    processes, descriptors = children(os.getpid()), descriptors_of_this_process()
    executor = start(2)
    executor.handle(Shutdown("at once"))
    executor.close()
    assert set(children(os.getpid())) <= set(processes)
    assert descriptors_of_this_process() <= descriptors


def test_tasks_sent_after_shutdown_are_refused(executor: Executor) -> None:
    executor.handle(Shutdown("done"))
    (end,) = executor.ends(executor.launch(executor.stage("return 1")))
    assert isinstance(end, TaskFailure)
    assert end.kind is FailureKind.KILLED


def test_slots_do_not_inherit_descriptors_of_this_process(start: Callable[..., Executor], tmp_path: Path) -> None:
    with (tmp_path / "mine").open("w") as mine:
        os.set_inheritable(mine.fileno(), True)
        executor = start()
        executor.all_slots_ready()
        source = """
import os
fds = [f"/proc/self/fd/{fd}" for fd in os.listdir("/proc/self/fd")]
return {os.readlink(fd).split(":")[0] for fd in fds if os.path.exists(fd)}
"""
        (names,) = executor.results(source)
    assert names == {"/dev/null", "/memfd", "pipe", "socket"}


def test_slots_have_a_session_of_their_own(executor: Executor) -> None:
    pids = executor.results("import os\nreturn os.getpid(), os.getsid(0), os.getpgid(0)", 2)
    assert all(pid == session == group for pid, session, group in pids)
    assert os.getsid(0) not in {session for _, session, _ in pids}


def test_a_child_that_a_task_forked_and_that_returns_does_not_speak_for_the_slot(executor: Executor) -> None:
    ids = executor.launch(executor.stage("import os\nreturn os.fork() == 0"), 6)
    assert [result(end) for end in executor.ends(ids)] == [False] * 6
    assert executor.results("return partition", 50) == list(range(50))
    assert {len(executor.ended[i]) for i in ids} == {1}


def test_random_numbers_differ_between_slots(executor: Executor) -> None:
    executor.all_slots_ready()
    draws = executor.results("import random, numpy.random, time\ntime.sleep(0.02)\nreturn random.random(), numpy.random.random()", 2)
    assert len({draw for pair in draws for draw in pair}) == 4


def test_python_prints_no_warning_into_the_log(executor: Executor) -> None:
    executor.run("return 1", 10)
    executor.close()
    assert not (Path(executor.config.log_dir) / "stderr").exists()
    assert subprocess.run(["true"], check=True).returncode == 0
