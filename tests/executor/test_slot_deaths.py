"""What happens when slots, templates and whole executors die: real signals to real processes."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import pytest
from supervised import HERE, Executor, alive, children, eventually, result

from quiver_proto.errors import ExecutorLaunchFailed, SlotDied, from_wire
from quiver_proto.messages import FailureKind, TaskDone, TaskFailure

WAIT = "import time\nprint('waiting', flush=True)\nwhile True: time.sleep(0.01)"


def died(end: object) -> str:
    """The certificate of a task whose slot died."""
    assert isinstance(end, TaskFailure), end
    assert end.kind is FailureKind.SLOT_DIED
    assert end.exception_type == "SlotDied"
    assert end.error is not None
    assert isinstance(from_wire(*end.error), SlotDied)
    assert end.started_at > 0
    return end.message


def test_os_exit(executor: Executor) -> None:
    text = died(executor.failure("import os\nprint('last words')\nos._exit(3)"))
    assert "ended itself with exit code 3 while it ran task 100 (stage 1, partition 0, attempt 0)" in text
    assert "os._exit" in text
    assert "  | last words" in text
    assert executor.results("return partition", 4) == [0, 1, 2, 3]


def test_segmentation_fault_names_the_users_line(executor: Executor) -> None:
    text = died(executor.failure("import ctypes\n\nctypes.string_at(0)"))
    assert "was killed by SIGSEGV" in text
    assert "in your code: body at user.py:4" in text
    assert "in string_at" in text
    assert "template.py" not in text
    assert "native library" in text


def test_sigkill_from_outside(executor: Executor) -> None:
    (task,) = executor.launch(executor.stage(WAIT))
    eventually(lambda: executor.log() if Path(executor.config.log_dir, "stdout").exists() else "", "the task runs")
    slot = executor.ask(lambda supervisor: supervisor._tasks[task].slot)
    before = executor.all_slots_ready()
    running = slot.pid
    assert running in before.values()
    os.kill(running, signal.SIGKILL)
    text = died(executor.ends([task])[0])
    assert "was killed by SIGKILL" in text
    after = executor.all_slots_ready()
    assert len(set(before.values()) & set(after.values())) == 1


def test_an_idle_slot_that_is_killed_is_replaced_and_costs_no_task(executor: Executor) -> None:
    before = executor.all_slots_ready()
    os.kill(before[0], signal.SIGKILL)
    eventually(lambda: executor.slot_pids().get(0, before[0]) != before[0], "slot 0 is replaced")
    assert executor.results("return partition", 50) == list(range(50))


def test_tasks_behind_the_one_that_dies_run_elsewhere_and_finished_ones_are_not_run_again(
    start: Callable[..., Executor], tmp_path: Path
) -> None:
    executor = start(1)
    runs = tmp_path / "runs"
    runs.write_text("")
    stage = executor.stage(f"""
import os
if split == b"die": os._exit(1)
if split: open({str(runs)!r}, "a").write(f"{{partition}} ")
return partition
""")
    executor.ends(executor.launch(stage, 500))  # Short ones: many are sent at a time.
    splits = [b"x"] * 32
    splits[10] = b"die"
    ends = executor.ends(executor.launch(stage, 32, splits=splits))
    died(ends[10])
    assert [result(end) for i, end in enumerate(ends) if i != 10] == [i for i in range(32) if i != 10]
    assert sorted(map(int, runs.read_text().split())) == [i for i in range(32) if i != 10]


def test_many_slots_die_at_once_and_all_other_tasks_end(executor: Executor) -> None:
    ends = executor.run("import os\nif partition % 50 == 7: os.kill(os.getpid(), 9)\nreturn partition", 500)
    dead = [i for i, end in enumerate(ends) if isinstance(end, TaskFailure)]
    assert dead == list(range(7, 500, 50))
    assert all(isinstance(end, TaskDone) for i, end in enumerate(ends) if i not in dead)


def test_a_task_that_closes_all_descriptors(executor: Executor) -> None:
    text = died(executor.failure("import os, time\nos.closerange(3, 1000)\nwhile True: time.sleep(0.01)"))
    assert "lost its connection" in text
    assert executor.results("return partition", 4) == [0, 1, 2, 3]


def test_descendants_of_a_slot_that_dies_by_itself_are_ended(executor: Executor, tmp_path: Path) -> None:
    source = f"""
import subprocess, os
child = subprocess.Popen(["sleep", "1000"], start_new_session=True)
open({str(tmp_path / "pid")!r}, "w").write(str(child.pid))
os._exit(1)
"""
    died(executor.failure(source))
    pid = int((tmp_path / "pid").read_text())
    eventually(lambda: not alive(pid), "the child is ended")


def test_a_daemon_ends_with_the_slot_whose_task_started_it_and_not_with_another(executor: Executor) -> None:
    before = executor.all_slots_ready()
    source = """
import subprocess
command = "sleep 1000 >/dev/null 2>&1 & echo $!"
out = subprocess.run(["sh", "-c", command], capture_output=True, start_new_session=True, check=True)
return int(out.stdout), os.getpid()
"""
    ((daemon, slot),) = executor.results("import os\n" + source)
    (other,) = set(before.values()) - {slot}
    os.kill(other, signal.SIGKILL)
    eventually(lambda: other not in executor.all_slots_ready().values(), "the other slot is replaced")
    assert alive(daemon)
    os.kill(slot, signal.SIGKILL)
    eventually(lambda: not alive(daemon), "the daemon ends")


def test_the_template_dies(executor: Executor) -> None:
    slots = executor.all_slots_ready()
    (task,) = executor.launch(executor.stage(WAIT))
    eventually(lambda: executor.log() if Path(executor.config.log_dir, "stdout").exists() else "", "the task runs")
    template = executor.template_pid()
    os.kill(template, signal.SIGKILL)
    assert "lost together with its template" in died(executor.ends([task])[0])
    assert executor.results("return partition", 20) == list(range(20))
    assert executor.template_pid() != template
    for pid in slots.values():
        eventually(lambda pid=pid: not alive(pid), "slots end with their template")


def test_the_template_dies_again_and_again(executor: Executor) -> None:
    for _ in range(5):
        executor.all_slots_ready()
        template = executor.template_pid()
        os.kill(template, signal.SIGKILL)
        eventually(lambda template=template: not alive(template), "it is gone")
    assert executor.results("return partition", 20) == list(range(20))


def test_slots_that_cannot_start_fail_the_tasks_with_the_reason(start: Callable[..., Executor]) -> None:
    executor = start(body="no_such_body")
    for _ in range(2):
        (failure,) = executor.ends(executor.launch(executor.stage("return 1")))
        assert isinstance(failure, TaskFailure)
        assert failure.kind is FailureKind.FATAL
        assert failure.error is not None
        assert isinstance(from_wire(*failure.error), ExecutorLaunchFailed)
        assert "No module named 'no_such_body'" in failure.message
        assert "no slots" in failure.message


def test_an_interpreter_that_cannot_start(start: Callable[..., Executor], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "executable", "/no/such/python")
    executor = start()
    (failure,) = executor.ends(executor.launch(executor.stage("return 1")))
    assert isinstance(failure, TaskFailure)
    assert failure.kind is FailureKind.FATAL
    assert "No such file" in failure.message
    monkeypatch.undo()
    assert executor.results("return 2") == [2]


def test_a_template_that_ends_at_once(start: Callable[..., Executor], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "executable", "/bin/false")
    executor = start()
    (failure,) = executor.ends(executor.launch(executor.stage("return 1")))
    assert isinstance(failure, TaskFailure)
    assert failure.kind is FailureKind.FATAL
    assert "template process ended (exit code 1)" in failure.message


def test_a_working_directory_that_is_not_there(start: Callable[..., Executor], tmp_path: Path) -> None:
    executor = start(working_dir=str(tmp_path / "gone"))
    (failure,) = executor.ends(executor.launch(executor.stage("return 1")))
    assert isinstance(failure, TaskFailure)
    assert "FileNotFoundError" in failure.message
    assert str(tmp_path / "gone") in failure.message


HOST = """
import sys
from pathlib import Path
sys.path.insert(0, {here!r})
from supervised import Executor, config
executor = Executor(config(Path({directory!r})))
executor.launch(executor.stage('''
import subprocess, os, time
child = subprocess.Popen(["sleep", "1000"])
detached = subprocess.Popen(["sleep", "1000"], start_new_session=True)
print(os.getpid(), os.getppid(), child.pid, detached.pid, flush=True)
while True: time.sleep(0.01)
'''), 2)
while True: executor.wait(lambda: False, "never")
"""


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGTERM])
def test_nobody_survives_the_hosting_process(tmp_path: Path, how: signal.Signals) -> None:
    log = tmp_path / "log" / "stdout"
    with subprocess.Popen([sys.executable, "-c", HOST.format(here=HERE, directory=str(tmp_path))]) as host:
        try:
            eventually(lambda: log.exists() and log.read_text().count("\n") == 2, "both tasks run")
            family = {int(pid) for pid in log.read_text().split()} | set(children(host.pid))
            assert len(family) == 7
            assert all(map(alive, family))
        finally:
            host.send_signal(how)
    for pid in family:
        eventually(lambda pid=pid: not alive(pid), f"process {pid} of {family} ends")


def test_slots_die_with_a_template_that_is_killed_together_with_its_host(tmp_path: Path) -> None:
    log = tmp_path / "log" / "stdout"
    with subprocess.Popen([sys.executable, "-c", HOST.format(here=HERE, directory=str(tmp_path))]) as host:
        eventually(lambda: log.exists() and log.read_text().count("\n") == 2, "both tasks run")
        rows = [list(map(int, line.split())) for line in log.read_text().splitlines()]
        host.send_signal(signal.SIGSTOP)
        os.kill(rows[0][1], signal.SIGKILL)
        for slot, *_ in rows:
            eventually(lambda slot=slot: not alive(slot), "slots end at once with the template")
        host.kill()
    for row in rows:
        for pid in row[2:]:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)  # Users' children, orphaned by the death of three levels above them.


def test_spills_of_a_dead_slot_are_removed(executor: Executor) -> None:
    text = "import os\nos.makedirs(env.scratch_dir)\nopen(env.scratch_dir + '/spill', 'w').close()\nos._exit(1)"
    died(executor.failure(text))
    scratch = Path(executor.config.blocks_dir) / ".scratch" / "app-test-0"
    assert scratch.is_dir()
    eventually(lambda: not list(scratch.iterdir()), "the spills go")
