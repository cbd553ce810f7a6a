"""Tasks that stop processes which they should leave alone, or write to descriptors that are not theirs: no hang, no dead executor."""

from __future__ import annotations

import marshal
import os
import pickle
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from supervised import Executor, alive, eventually, result
from test_slot_deaths import WAIT, died

from quiver_executor.envelopes import DONE, FAILED, REPORT_LIMIT, RETURNED, Malformed, Unpacker, done_from_row, done_row, pack
from quiver_executor.process_tree import stopped
from quiver_executor.supervisor import Supervisor
from quiver_proto.ids import TaskId
from quiver_proto.messages import KillTasks, TaskDone, TaskFailure, TaskMetrics

WRITE = """
import os
for fd in map(int, os.listdir("/proc/self/fd")):
    try:
        if os.readlink(f"/proc/self/fd/{{fd}}").startswith("socket:"): os.write(fd, {garbage!r})
    except FileNotFoundError: pass
"""
FOREVER = "import time\nwhile True: time.sleep(0.01)"
ROW = done_row(TaskDone(TaskId(100), 0, 1.0, TaskMetrics(), b""))


def test_a_task_that_stops_the_template_and_exits(start: Callable[..., Executor]) -> None:
    executor = start(answer_within_s=1.0)
    slots = executor.all_slots_ready()
    template = executor.template_pid()
    text = died(executor.failure("import os, signal\nos.kill(os.getppid(), signal.SIGSTOP)\nos._exit(1)"))
    assert "its template process did not answer any more" in text
    assert executor.results("return partition", 20) == list(range(20))
    assert executor.template_pid() != template
    for pid in (template, *slots.values()):
        eventually(lambda pid=pid: not alive(pid), "the old processes are ended")


def test_a_stopped_template_that_is_asked_to_kill_a_task(start: Callable[..., Executor], tmp_path: Path) -> None:
    executor = start(answer_within_s=1.0)
    executor.all_slots_ready()
    source = f"""
import subprocess, os, signal
child = subprocess.Popen(["sleep", "1000"], start_new_session=True)
open({str(tmp_path / "new")!r}, "w").write(str(child.pid))
os.kill(os.getppid(), signal.SIGSTOP)
os.rename({str(tmp_path / "new")!r}, {str(tmp_path / "pid")!r})
{FOREVER}
"""
    (task,) = executor.launch(executor.stage(source))
    eventually((tmp_path / "pid").exists, "the task runs")
    executor.handle(KillTasks([task], "enough"))
    (end,) = executor.ends([task])
    assert isinstance(end, TaskFailure)
    assert end.message == "enough"
    assert executor.results("return partition", 4) == [0, 1, 2, 3]
    pid = int((tmp_path / "pid").read_text())
    eventually(lambda: not alive(pid), "what the task started is ended")


def test_every_request_to_a_template_is_answered(executor: Executor) -> None:
    executor.all_slots_ready()
    template = executor.template_pid()
    stage = executor.stage(WAIT)
    for _ in range(3):
        ids = executor.launch(stage, 2)
        executor.handle(KillTasks(ids, "enough"))
        executor.ends(ids)
    died(executor.failure("import os\nos._exit(1)"))
    executor.all_slots_ready()

    def unanswered(supervisor: Supervisor) -> int:
        assert supervisor._pool._template is not None
        return len(supervisor._pool._template._unanswered)

    eventually(lambda: not executor.ask(unanswered), "all is answered")
    assert executor.template_pid() == template


def test_close_ends_a_stopped_template_and_its_slots(executor: Executor) -> None:
    slots = executor.all_slots_ready()
    executor.launch(executor.stage(WAIT))
    template = executor.template_pid()
    os.kill(template, signal.SIGSTOP)
    eventually(lambda: stopped(template), "it is stopped")
    os.kill(slots[1], signal.SIGSTOP)
    executor.close()
    assert not alive(template)
    for pid in slots.values():
        eventually(lambda pid=pid: not alive(pid), "slots end")


@pytest.mark.parametrize(
    "garbage",
    [
        b"\x04\0\0\0\xff\xff\xff\xff",
        b"hello, world",
        b"\0\0\0\0",
        b"\xff\xff\xff\xff",
        (REPORT_LIMIT // 2).to_bytes(4, "little") + b"zz",
        pack((99, 0.0, None)),
        pack((DONE, "long", None)),
        pack((DONE, 0.0, None)),
        pack((DONE, 0.0, ([], *ROW[1:]))),
        pack((DONE, 0.0, (*ROW[:3], ("a",), *ROW[4:]))),
        pack((DONE, 0.0, (*ROW[:5], (1, 2, 3), None))),
        pack((RETURNED, 0.0, [])),
        pack((FAILED, 0.0, b"no pickle")),
        pack((FAILED, 0.0, pickle.dumps("no failure"))),
    ],
)
def test_garbage_on_the_slots_connection_ends_only_that_slot(executor: Executor, garbage: bytes) -> None:
    text = died(executor.failure(WRITE.format(garbage=garbage) + FOREVER))
    assert "was killed because its connection to the executor carried garbage" in text
    assert "descriptors that are not its own" in text
    assert executor.results("return partition", 20) == list(range(20))


def test_a_task_that_writes_garbage_and_ends_is_not_run_for_ever(start: Callable[..., Executor], tmp_path: Path) -> None:
    executor = start(1)
    runs = tmp_path / "runs"
    (end,) = executor.run(f"open({str(runs)!r}, 'a').write('x')\n" + WRITE.format(garbage=b"abc"))
    assert isinstance(end, TaskDone) or died(end)  # Done: the slot was killed between sending the report and taking note of it.
    assert runs.read_text() == "x"


def test_half_a_message(start: Callable[..., Executor]) -> None:
    executor = start(stopped_limit_s=0.0)
    text = died(executor.failure(WRITE.format(garbage=b"\x10") + FOREVER))
    assert "whose rest does not come" in text


def test_a_slot_that_is_stopped(start: Callable[..., Executor]) -> None:
    executor = start(stopped_limit_s=0.0)
    text = died(executor.failure("import os, signal\nos.kill(os.getpid(), signal.SIGSTOP)\n" + FOREVER))
    assert "was stopped by a signal" in text
    assert "SIGSTOP" in text
    assert executor.results("return partition", 20) == list(range(20))


def test_slots_do_not_get_the_clusters_secrets(start: Callable[..., Executor], monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("QUIVER_SECRET", "QUIVER_SECRET_FILE", "QUIVER_AUTH_TOKEN", "QUIVER_HOME", "MY_SECRET"):
        monkeypatch.setenv(name, "x")
    source = "import os\nreturn sorted(open('/proc/self/environ').read().split(chr(0))), dict(os.environ)"
    ((given, seen),) = start(1).results(source)
    for names in ({line.split("=")[0] for line in given}, set(seen)):
        assert not {name for name in names if name.startswith("QUIVER_") and ("SECRET" in name or "TOKEN" in name)}
        assert {"QUIVER_HOME", "MY_SECRET"} <= names


def test_a_report_that_is_too_long_to_be_told_fails_the_task_alone(start: Callable[..., Executor]) -> None:
    executor = start(1, body="long_body")
    before = executor.all_slots_ready()
    done, failed = executor.ends(executor.launch(executor.stage(""), 2))
    assert isinstance(done, TaskFailure)
    assert "can be told" in done.message
    assert isinstance(failed, TaskFailure)
    assert failed.message.startswith("mmm")
    assert executor.slot_pids() == before


@pytest.mark.parametrize("cut", [1, 3, 4, 5, 6, 7, 40])
def test_envelopes_in_front_of_garbage_are_kept(cut: int) -> None:
    good = pack((DONE, 0.5, ROW))
    stream = good + good + marshal.dumps("garbage" * 10)
    unpacker = Unpacker(reports=True)
    envelopes: list[tuple[Any, ...]] = []
    garbage = ""
    for at in range(0, len(stream), cut):
        try:
            envelopes += unpacker.feed(stream[at : at + cut])
        except Malformed as error:
            envelopes += error.before
            garbage = str(error)
            break
    assert garbage
    assert envelopes == [(DONE, 0.5, ROW)] * 2
    assert result(done_from_row(envelopes[0][2])._replace(result=pickle.dumps(1))) == 1
