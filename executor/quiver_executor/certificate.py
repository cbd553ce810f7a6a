"""The death certificate of a slot: what is known about why it ended in the middle of a task, for a person to read."""

from __future__ import annotations

import os
import re
import signal
import sysconfig
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache

from quiver_proto.units import format_bytes

_FRAME = re.compile(r'^  File "(?P<file>.*)", line (?P<line>\d+|\?+) in (?P<function>.*)$', re.MULTILINE)
_STACK_LINES = 40


@dataclass(frozen=True, slots=True)
class Death:
    """The facts. `status` is a wait status, None when not known (the template was gone too); `oom_kills` how many processes the kernel
    killed for memory around that time: in our cgroup, or on the whole machine (`oom_scope` says which). `peak_rss` and `memory` in bytes.
    `garbage`: what its connection carried that no slot sends; `stopped`: killed because a signal had stopped it; `template_silent`: killed
    because its template process had not answered.
    """

    executor_id: str
    slot: int
    pid: int
    task_id: int
    partition: int
    attempt: int
    stage_id: int
    status: int | None
    peak_rss: int
    memory: int
    oom_kills: int
    oom_scope: str
    stack: str
    log: Sequence[str]
    closed_connection: bool = False
    garbage: str = ""
    stopped: bool = False
    template_silent: bool = False


def certificate(death: Death) -> str:
    """Several lines: what happened to which task, where in the user's code, memory, stack, the last lines of the log, what to try."""
    lines = [
        f"slot {death.slot} of executor {death.executor_id} (process {death.pid}) {cause(death)} while it ran task {death.task_id} "
        f"(stage {death.stage_id}, partition {death.partition}, attempt {death.attempt})"
    ]
    where = users_frame(death.stack)
    if where:
        lines.append(f"in your code: {where}")
    memory = f"peak memory of the process: {format_bytes(death.peak_rss)}" if death.peak_rss else "peak memory of the process: not known"
    if death.memory:
        memory += f" (a slot's share is {format_bytes(death.memory)})"
    lines.append(memory)
    if death.oom_kills:
        lines.append(f"the kernel killed {death.oom_kills} process(es) for lack of memory {death.oom_scope} just then")
    lines.append(f"try: {advice(death)}")
    stack = users_stack(death.stack)
    if stack:
        lines.append("stack when it died:")
        lines += ["  " + line for line in stack[:_STACK_LINES]]
    if death.log:
        lines.append("last lines of its output:")
        lines += ["  | " + line for line in death.log]
    return "\n".join(lines)


def cause(death: Death) -> str:
    """`was killed by SIGSEGV (Segmentation fault)`, `ended itself with exit code 3`, ..."""
    if death.stopped:
        return "was stopped by a signal (SIGSTOP or alike), did not go on, and so was killed"
    if death.garbage:
        return f"was killed because its connection to the executor carried garbage ({death.garbage})"
    if death.template_silent:
        return "was killed because its template process did not answer any more"
    if death.closed_connection:
        return "lost its connection to the executor"
    if death.status is None:
        return "was lost together with its template process"
    if os.WIFSIGNALED(death.status):
        number = os.WTERMSIG(death.status)
        return f"was killed by {_signal_name(number)} ({signal.strsignal(number)})"
    return f"ended itself with exit code {os.waitstatus_to_exitcode(death.status)}"


def advice(death: Death) -> str:
    """What to try, from the facts alone."""
    if death.stopped:
        return "find out who sends SIGSTOP, SIGTSTP, SIGTTIN or SIGTTOU to the task's process; often its own code does."
    if death.garbage:
        return "a task's code wrote to file descriptors that are not its own; write only to those that it has opened."
    if death.template_silent:
        return "look for code that sends signals to its parent process or to whole sessions: a task must not stop its parent."
    if death.closed_connection:
        return "the task's code closed file descriptors that it had not opened (os.closerange?); close only your own."
    if death.status is None:
        return "see the executor's log for what ended the template process."
    if not os.WIFSIGNALED(death.status):
        return "look for os._exit or a library that calls exit() in the task's code; raise an exception instead."
    number = os.WTERMSIG(death.status)
    if number == signal.SIGKILL:
        over = bool(death.memory) and death.peak_rss > death.memory
        if death.oom_kills or over:
            return (
                "the task probably needed too much memory: use more, smaller partitions, give executors more memory "
                "(spark.executor.memory) or fewer cores."
            )
        return "someone or something outside sent SIGKILL; if it was the kernel for lack of memory, `dmesg` tells."
    if number in (signal.SIGSEGV, signal.SIGBUS, signal.SIGILL, signal.SIGFPE):
        return (
            "a native library (or ctypes) that the task uses crashed: the stack names the call; check its version, or call it differently."
        )
    if number == signal.SIGABRT:
        return "a native library called abort(); its message is usually in the output below."
    return f"find out who sends {_signal_name(number)} to the task's process."


def users_frame(stack: str) -> str:
    """`f at /home/me/app.py:12`: the innermost frame of a faulthandler stack that is neither Python's, an installed library's nor ours."""
    for frame in _FRAME.finditer(stack):
        file = frame["file"]
        if not file.startswith("<") and not file.startswith(_not_users()):
            return f"{frame['function']} at {file}:{frame['line']}"
    return ""


def users_stack(stack: str) -> list[str]:
    """The lines of a faulthandler stack without our own frames and without what is below them."""
    lines = []
    for line in stack.splitlines():
        frame = _FRAME.match(line)
        if line.strip() and not (frame and frame["file"].startswith((*_ours(), "<frozen runpy>"))):
            lines.append(line)
    return lines


@cache
def _ours() -> tuple[str, ...]:
    import quiver_proto

    return tuple(os.path.join(os.path.dirname(os.path.abspath(file)), "") for file in (__file__, quiver_proto.__file__))


@cache
def _not_users() -> tuple[str, ...]:
    paths = [sysconfig.get_path(name) for name in ("stdlib", "platstdlib", "purelib", "platlib")]
    return (*_ours(), *(os.path.join(path, "") for path in {*filter(None, paths)}))


def _signal_name(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"
