"""The processes of one executor: its template and its slots, which it replaces when they end.

A slot that dies again and again before it has begun a task, or a template that dies before any of its slots was ready, is a crash
loop: after STRIKES in a row the pool gives up, says why, and tries once more when `revive` asks for it.
"""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable, Iterable
from typing import Any, Final

from quiver_executor import slot_memory
from quiver_executor.dispatch import respawn_delay
from quiver_executor.envelopes import EXITED, FORK_FAILED, FORKED
from quiver_executor.executor_config import ExecutorConfig
from quiver_executor.kernel import own_bytes, rss_bytes
from quiver_executor.output import LogFile
from quiver_executor.process_tree import stopped
from quiver_executor.slot_process import SlotProcess
from quiver_executor.template_process import TemplateProcess
from quiver_executor.timers import Timers
from quiver_proto.loop import Loop

STRIKES: Final = 3
START_LIMIT_S: Final = 60.0
"""A template or slot that is not ready by then is killed, which counts as a strike."""
ANSWER_WITHIN_S: Final = 10.0
"""A template that has not answered a request by then is replaced, with its slots."""
STOPPED_LIMIT_S: Final = 10.0
"""A slot that holds tasks and is stopped by a signal, or has sent half a message, for so long is killed."""
_EXIT_GRACE_S: Final = 0.2
_SECRET = ("SECRET", "TOKEN", "PASSWORD", "CREDENTIAL")

OnReports = Callable[[SlotProcess, list[tuple[Any, ...]]], None]
OnDeath = Callable[[SlotProcess, int | None, int], bool]
OnGivingUp = Callable[[str, Iterable[str]], None]


class SlotPool:
    """`slots` are the living slots by number. All callbacks come in the loop's thread.

    `on_reports(slot, envelopes)`: what a slot reports. `on_death(slot, wait status or None, peak RSS in bytes)`: all its reports have
    come; the tasks it holds are to be taken from it; returns whether a task of it was lost (then it was no failure to start).
    `on_giving_up(reason, log lines)`: there is no slot, and none is coming.
    """

    def __init__(
        self,
        config: ExecutorConfig,
        loop: Loop,
        body: str,
        on_reports: OnReports,
        on_death: OnDeath,
        on_giving_up: OnGivingUp,
        answer_within_s: float = ANSWER_WITHIN_S,
        stopped_limit_s: float = STOPPED_LIMIT_S,
    ) -> None:
        self._config = config
        self._loop = loop
        self._body = body
        self._on_reports = on_reports
        self._on_death = on_death
        self._on_giving_up = on_giving_up
        self._answer_within_s = answer_within_s
        self._stopped_limit_s = stopped_limit_s
        self._logs = (
            # Not to our stdout: that is for what the user's program itself prints, as in PySpark.
            LogFile(config.log_dir, "stdout", "stderr" if config.echo_output else ""),
            LogFile(config.log_dir, "stderr", "stderr" if config.echo_output else ""),
        )
        self._scratch_root = os.path.join(config.blocks_dir, ".scratch", config.executor_id.replace("/", "-"))
        self._timers = Timers(loop)
        self._template: TemplateProcess | None = None
        self._template_strikes = 0
        self._serial = 0
        self._by_serial: dict[int, SlotProcess] = {}
        self._awaited: set[int] = set()
        self._closed = False
        self._watches = False
        self.slots: dict[int, SlotProcess] = {}

    def start(self) -> None:
        """Start the template and ask it for slots. Returns at once."""
        if self._closed or self._template is not None:
            return
        try:
            self._template = TemplateProcess(
                self._loop,
                self._logs[1],
                self._body,
                self._environment(),
                self._settings(),
                self._on_template_message,
                self._on_template_silence,
                self._answer_within_s,
            )
        except OSError as error:
            self._template_failed(f"their template's interpreter can't be started ({error})", [])
            return
        for number in range(self._config.cores):
            self._fork(number, 0)
        template = self._template
        self._timers.later(START_LIMIT_S, lambda: None if template.up else template.kill_itself())

    def revive(self) -> None:
        """Try again, once, if the pool had given up."""
        if self._template is None:
            if self._template_strikes >= STRIKES:
                self._template_strikes = STRIKES - 1
                self.start()
        elif not self.slots and not self._awaited:
            for number in range(self._config.cores):
                self._fork(number, STRIKES - 1)

    def kill(self, slot: SlotProcess) -> bool:
        """End a slot and its descendants; False when its template is gone (then it ends anyway)."""
        if self._template is None:
            return False
        slot.killed = True
        self._template.kill(slot.serial)
        return True

    def end_garbled(self, slot: SlotProcess) -> None:
        """A slot whose `garbage` is set: what comes from it can't be understood any more."""
        if slot.connected:
            slot.disconnect()
            if self._template is not None:
                self._template.kill(slot.serial)

    def look(self) -> None:
        """End slots that hold tasks and will not report: stopped by a signal, or their stream ends in half a message."""
        now = time.monotonic()
        for slot in list(self._by_serial.values()):
            if not slot.held or slot.closed or self._template is None:
                continue
            if slot.stopped_for(now, stopped(slot.pid)) >= self._stopped_limit_s and stopped(slot.pid):
                slot.stopped = True
                self._template.kill(slot.serial)
            elif slot.connected and slot.cut_for(now) > self._stopped_limit_s:
                slot.garbage = "the beginning of a message whose rest does not come"
                self.end_garbled(slot)

    def watch_memory(self) -> None:
        """From now on, as long as slots hold tasks: end the one that is most above its share when all hold more than the executor has."""
        if not self._watches:
            self._watches = True
            self._timers.later(slot_memory.LOOK_S, self._look_at_memory)

    def _look_at_memory(self) -> None:
        slots = {slot.serial: slot for slot in self._by_serial.values() if slot.pid and not slot.closed}
        busy = {serial: slot.cores for serial, slot in slots.items() if slot.held}
        self._watches = bool(busy) and self._template is not None
        if not self._watches or self._template is None:
            return
        own = {serial: own_bytes(slot.pid) for serial, slot in slots.items()}
        shared = own_bytes(self._template.pid)
        serial = slot_memory.outgrown(own, shared, busy, self._config.memory_bytes, self._config.cores)
        if serial is not None and not slots[serial].outgrown:
            slots[serial].outgrown = own[serial]
            self._template.kill(serial)
        limit = slot_memory.hard_limit(self._config.memory_bytes, self._config.cores)
        self._timers.later(slot_memory.pause_s(slot_memory.together(own, shared), limit, slot_memory.LOOK_S), self._look_at_memory)

    def any_ready(self) -> bool:
        return any(slot.ready for slot in self.slots.values())

    def rss_bytes(self) -> int:
        """Resident memory of all slots and the template; shared pages count in each."""
        pids = [slot.pid for slot in self.slots.values() if slot.pid]
        if self._template is not None:
            pids.append(self._template.pid)
        return sum(map(rss_bytes, pids))

    def close(self) -> None:
        """End every process and free every descriptor and file. Twice does nothing."""
        if self._closed:
            return
        self._closed = True
        self._timers.cancel()
        template, self._template = self._template, None
        if template is not None:
            template.close()
        for slot in self._by_serial.values():
            if slot.pid and rss_bytes(slot.pid):
                _kill_group(slot.pid)  # The template was gone, or had to be killed itself.
            slot.finish_output()
            slot.close()
        self._by_serial.clear()
        self.slots.clear()
        for log in self._logs:
            log.close()
        if os.path.isdir(self._scratch_root):
            import shutil

            shutil.rmtree(self._scratch_root, ignore_errors=True)
            try:
                os.rmdir(os.path.dirname(self._scratch_root))
            except OSError:
                pass  # Another executor's spills are there.

    # ---- slots ----

    def _fork(self, number: int, strikes: int) -> None:
        self._awaited.discard(number)
        if self._closed or self._template is None or number in self.slots:
            return
        self._serial += 1
        try:
            slot = SlotProcess(self._loop, self._serial, number, self._logs, strikes)
        except OSError as error:  # No descriptors left in this process.
            self._replace(number, strikes + 1, f"the system refuses descriptors ({error})", [])
            return
        self.slots[number] = self._by_serial[slot.serial] = slot
        slot.watch(self._on_slot_reports)
        self._template.fork(slot.serial, number, slot.descriptors())
        slot.release_descriptors()
        self._timers.later(START_LIMIT_S, lambda: self._not_ready(slot))

    def _not_ready(self, slot: SlotProcess) -> None:
        if not slot.ready and not slot.closed and self._template is not None and self._template.up:
            slot.last_lines.append(f"(killed: not ready after {START_LIMIT_S:.0f} s)")
            self._template.kill(slot.serial)

    def _on_slot_reports(self, slot: SlotProcess, envelopes: list[tuple[Any, ...]] | None) -> None:
        if envelopes is None:
            slot.disconnect()
            # A slot that ended is told by the template in a moment; one that lives on has had its socket closed by the user's code.
            self._timers.later(_EXIT_GRACE_S, lambda: self._cut_off(slot))
        elif slot.garbage and not slot.ready and not envelopes:
            self.end_garbled(slot)
        else:
            self._hear(slot, envelopes)

    def _hear(self, slot: SlotProcess, envelopes: list[tuple[Any, ...]]) -> None:
        slot.strikes = 0
        self._template_strikes = 0
        self._on_reports(slot, envelopes)

    def _cut_off(self, slot: SlotProcess) -> None:
        if not slot.closed and self._template is not None:
            slot.closed_connection = True
            self._template.kill(slot.serial)

    def _ended(self, slot: SlotProcess, status: int | None, peak_rss: int, reason: str) -> None:
        envelopes = slot.last_reports()
        strikes = slot.strikes
        slot.disconnect()
        if envelopes:
            self._on_reports(slot, envelopes)
        slot.finish_output()
        lost_task = self._on_death(slot, status, peak_rss)
        log = list(slot.last_lines)
        if slot.tasks_ended or lost_task or slot.killed:
            strikes = 0
        elif reason:
            strikes += 1
        slot.close()
        del self._by_serial[slot.serial]
        if self.slots.get(slot.slot) is slot:
            del self.slots[slot.slot]
        self._replace(slot.slot, strikes, reason, log)

    def _replace(self, number: int, strikes: int, reason: str, log: Iterable[str]) -> None:
        if self._closed or self._template is None:
            return
        if strikes >= STRIKES and not self.any_ready():
            self._on_giving_up(reason, log)
            return
        delay = respawn_delay(strikes)
        if delay:
            self._awaited.add(number)
            self._timers.later(delay, lambda: self._fork(number, strikes))
        else:
            self._fork(number, strikes)

    # ---- template ----

    def _on_template_message(self, message: tuple[Any, ...] | None) -> None:
        if message is None:
            self._template_ended()
            return
        slot = self._by_serial.get(message[1])
        if slot is None:
            return
        if message[0] == FORKED:
            slot.pid = message[2]
        elif message[0] == FORK_FAILED:
            self._ended(slot, None, 0, f"the system refuses another process ({message[2]})")
        elif message[0] == EXITED:
            self._ended(slot, message[2], message[3], "they end before they take a task")

    def _on_template_silence(self) -> None:
        if self._template is not None:
            for slot in self._by_serial.values():
                slot.template_silent = True
            self._template.last_lines.append(f"(killed: did not answer for {self._answer_within_s:g} s)")
            self._template.kill_itself()

    def _template_ended(self) -> None:
        template, self._template = self._template, None
        if template is None:
            return
        had_slots = self.any_ready()
        for slot in self._by_serial.values():
            if slot.pid:
                _kill_group(slot.pid)  # They die with the template; their descendants would not.
        status = template.close()
        for slot in list(self._by_serial.values()):
            self._ended(slot, None, 0, "")
        if had_slots:
            self._template_strikes = 0
        code = "" if status is None else f" ({_exit_text(status)})"
        self._template_failed(f"their template process ended{code}", template.last_lines)

    def _template_failed(self, reason: str, log: Iterable[str]) -> None:
        self._template_strikes += 1
        if self._template_strikes >= STRIKES:
            self._on_giving_up(reason, log)
        else:
            self._timers.later(respawn_delay(self._template_strikes), self.start)

    def _environment(self) -> dict[str, str]:
        threads = str(self._config.threads_per_slot)
        tight = self._config.memory_bytes // self._config.cores < _TIGHT
        return {
            # Milliseconds until the kernel's freed memory goes back. At once where there is little: a third more CPU in a query that
            # allocates a lot, a quarter less memory. Else later than its 10 ms: a tenth less CPU over joins and sorts.
            "MIMALLOC_PURGE_DELAY": "0" if tight else "200",
            "OMP_NUM_THREADS": threads,
            "OPENBLAS_NUM_THREADS": threads,
            "MKL_NUM_THREADS": threads,
            **{name: value for name, value in os.environ.items() if not _is_our_secret(name)},
            **self._config.environment,
            "PYTHONHASHSEED": str(self._config.hash_seed),
            # Else jemalloc starts a thread on `import pyarrow`, and the template could not fork safely.
            "JE_ARROW_MALLOC_CONF": "background_thread:false",
        }

    def _settings(self) -> dict[str, Any]:
        config = self._config
        return {
            "body": self._body,
            "working_dir": config.working_dir or "",
            "python_path": list(config.python_path),
            "scratch_root": self._scratch_root,
            "environment": {
                "application_id": config.application_id,
                "executor_id": config.executor_id,
                "node_id": config.node_id,
                "blocks_dir": config.blocks_dir,
                "memory_bytes": config.memory_bytes // config.cores,
                "token": config.token,
                "tls_ca": config.tls_ca,
                "quota_bytes": config.quota_bytes,
                "memory_dir": config.memory_dir,
                "storage_bytes": config.storage_bytes,
                "live_bytes": config.live_bytes,
                "eviction": config.eviction,
                "reads_neighbours": config.reads_neighbours,
            },
        }


_TIGHT = 1 << 30
"""A slot with less memory than this can't afford what allocators keep."""


def _is_our_secret(name: str) -> bool:
    """Whether an environment variable lets its reader act as this cluster: users' code runs in the slots."""
    return name.startswith("QUIVER_") and any(word in name for word in _SECRET)


def _exit_text(status: int) -> str:
    if os.WIFSIGNALED(status):
        return f"killed by {signal.strsignal(os.WTERMSIG(status))}"
    return f"exit code {os.waitstatus_to_exitcode(status)}"


def _kill_group(pid: int) -> None:
    try:
        os.killpg(pid, signal.SIGKILL)
    except (ProcessLookupError, PermissionError):
        pass
