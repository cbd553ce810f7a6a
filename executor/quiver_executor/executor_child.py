"""An executor process as its node daemon holds it: started, watched to its end, killed with all that it forked."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from quiver_executor.launch_config import DRAIN, LaunchConfig, read_up_line
from quiver_executor.node_directory import log_tail
from quiver_proto.loop import Loop

LOG_NAME = "executor.log"

SWEEP_S = 2.0
"""How long an executor's template is given to clear away the slots and what they started, before its group is killed."""

_OWN_SECRETS = ("QUIVER_SECRET", "QUIVER_SECRET_FILE")


@dataclass(frozen=True, slots=True)
class Ended:
    """How the process ended: `exit_code` is -1 when `signal` did it; `log_tail` is the end of its log."""

    exit_code: int
    signal: int
    log_tail: str


class ExecutorChild:
    """A running process. Everything happens in the loop's thread, which must live as long as this process: the child's
    parent-death signal follows the thread that started it.

    `on_up(address)` is called once it listens, `on_end(Ended)` once, when it has ended; `bury()` may be called then, and is called
    in any case a little later. Raises OSError when the process can't be started.
    """

    def __init__(
        self,
        loop: Loop,
        config: LaunchConfig,
        environment: Mapping[str, str],
        on_up: Callable[[str], None],
        on_end: Callable[[Ended], None],
    ) -> None:
        self._loop = loop
        self._on_up = on_up
        self._on_end = on_end
        self.log_path = Path(config.log_dir) / LOG_NAME
        self._heard = b""
        self.buried = False
        self._control, theirs = socket.socketpair()
        try:
            with open(os.open(self.log_path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600), "ab") as output:
                self._process = subprocess.Popen(
                    [sys.executable, "-P", "-m", "quiver_executor.executor_process"],
                    stdin=theirs.fileno(),
                    stdout=output,
                    stderr=output,
                    cwd=config.blocks_dir,
                    env=child_environment(os.environ, environment, config.hash_seed),
                    process_group=0,
                )
        except BaseException:
            self._control.close()
            raise
        finally:
            theirs.close()
        self.pid = self._process.pid
        self._pidfd = os.pidfd_open(self.pid)
        loop.add_reader(self._pidfd, self._reap)
        loop.add_reader(self._control.fileno(), self._hear)
        self._write(config.to_line())

    def ask_to_drain(self) -> None:
        """Let it finish its tasks and end. Does nothing for one that has ended."""
        self._write(DRAIN)

    def kill(self) -> None:
        """End it at once; its template then ends the slots. Does nothing for one that has ended."""
        if not self.buried:
            os.kill(self.pid, signal.SIGKILL)

    def bury(self) -> None:
        """Kill what is left of its process group and let go of its pid. After its end; twice does nothing."""
        if self.buried:
            return
        self.buried = True
        # Before it is waited for: a zombie still holds its pid, so this group is certainly its own.
        try:
            os.killpg(self.pid, signal.SIGKILL)
        except (ProcessLookupError, PermissionError):
            pass
        self._process.wait()

    def _write(self, data: bytes) -> None:
        try:
            self._control.sendall(data)
        except OSError:
            # It is ending: its pidfd will tell.
            return

    def _hear(self) -> None:
        try:
            data = self._control.recv(4096)
        except OSError:
            data = b""
        if not data:
            self._loop.remove_reader(self._control.fileno())
            return
        self._heard += data
        while b"\n" in self._heard:
            line, self._heard = self._heard.split(b"\n", 1)
            self._on_up(read_up_line(line))

    def _reap(self) -> None:
        self._loop.remove_reader(self._pidfd)
        os.close(self._pidfd)
        self._loop.remove_reader(self._control.fileno())
        self._control.close()
        result = os.waitid(os.P_PID, self.pid, os.WEXITED | os.WNOWAIT)
        assert result is not None
        self._loop.call_later(SWEEP_S, self.bury)
        tail = log_tail(self.log_path)
        if result.si_code == os.CLD_EXITED:
            self._on_end(Ended(result.si_status, 0, tail))
        else:
            self._on_end(Ended(-1, result.si_status, tail))


def child_environment(ours: Mapping[str, str], given: Mapping[str, str], hash_seed: int) -> dict[str, str]:
    """The executor's environment: the daemon's without its secret (users' code runs below), what the application gives, its hash seed."""
    kept = {name: value for name, value in ours.items() if name not in _OWN_SECRETS}
    return {**kept, "PYTHONUNBUFFERED": "1", **given, "PYTHONHASHSEED": str(hash_seed)}
