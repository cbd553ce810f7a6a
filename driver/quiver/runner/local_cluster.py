"""`local-cluster[nodes,cores,memory]`: a manager and node daemons as real processes on loopback, for this driver alone."""

from __future__ import annotations

import os
import select
import signal
import subprocess
import time
from pathlib import Path

from quiver.runner.workdir import WorkDir, default_root
from quiver_proto.auth import new_secret
from quiver_proto.errors import ConnectionFailed
from quiver_proto.ids import new_application_id
from quiver_proto.lifeline import command_line

START_LIMIT_S = 60.0
_DRAIN_S = 5.0
_LOG_TAIL = 2000


class RunningCluster:
    """`url` and `secret` connect to it. `stop()` ends every process and removes the directory. When the driver is killed, all of them
    end by themselves, and the next local cluster removes the directory.

    The constructor returns when the manager listens: the nodes are starting then, which a driver that registers now can wait for.
    `root` is where its directory is made (by default a private one below the temp directory). Raises ConnectionFailed, with the end
    of its log, when the manager does not come up.
    """

    def __init__(self, nodes: int, cores: int, memory_bytes: int, root: str | None = None) -> None:
        self.secret = new_secret()
        self._work_dir = WorkDir(root or default_root(), new_application_id())
        self.directory = Path(self._work_dir.path)
        self._processes: dict[str, subprocess.Popen[bytes]] = {}
        self._stopped = False
        self._secret_file = self.directory / "secret"
        with open(os.open(self._secret_file, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as file:
            file.write(self.secret + "\n")
        try:
            # All at once: the nodes read the manager's address from its port file when it is there.
            port_file = self.directory / "manager.port"
            self._start("manager", "quiver_manager", "--port-file", str(port_file), "--journal", str(self.directory / "journal.db"))
            for number in range(nodes):
                self._start(
                    f"node-{number}", "quiver_executor", "--manager", f"@{port_file}", "--cores", str(cores), "--memory", str(memory_bytes),
                    "--local-dir", str(self.directory / "nodes"),
                )  # fmt: skip
            self._work_dir.sweep()
            self.address = self._address_in(port_file, "manager")
            self.url = f"quiver://{self.address}"
        except BaseException:
            self.stop()
            raise

    @property
    def pids(self) -> dict[str, int]:
        """Process ids by name: manager, node-0, node-1, ..."""
        return {name: process.pid for name, process in self._processes.items()}

    def log_tail(self, name: str) -> str:
        """The end of a daemon's log."""
        try:
            return (self.directory / f"{name}.log").read_text(errors="replace")[-_LOG_TAIL:].strip()
        except OSError:
            return ""

    def stop(self) -> None:
        """Nodes first, so that the manager hears of their end. Twice does nothing."""
        nodes = [process for name, process in self._processes.items() if name != "manager"]
        managers = [process for name, process in self._processes.items() if name == "manager"]
        for group in (nodes, managers):
            _end(group)
        self._processes.clear()
        if not self._stopped:
            self._stopped = True
            self._work_dir.close()

    def _start(self, name: str, module: str, *arguments: str) -> None:
        with open(self.directory / f"{name}.log", "ab") as log:
            self._processes[name] = subprocess.Popen(
                [*command_line(os.getpid(), module), *arguments, "--host", "127.0.0.1", "--port", "0", "--secret-file", self._secret_file],
                env=_environment(),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                # Ctrl-C is for the driver: it cancels a job, and the cluster goes on.
                start_new_session=True,
            )

    def _address_in(self, port_file: Path, name: str) -> str:
        """What the daemon wrote there once it listened."""
        process = self._processes[name]
        deadline = time.monotonic() + START_LIMIT_S
        ended = os.pidfd_open(process.pid)
        try:
            while not port_file.exists():
                # Woken at once when it dies; a file that appears wakes nobody, so it is looked for.
                if select.select([ended], [], [], 0.005)[0]:
                    raise ConnectionFailed(
                        f"the local cluster's {name} ended with code {process.wait()}. Its log ends:\n{self.log_tail(name)}"
                    )
                if time.monotonic() > deadline:
                    raise ConnectionFailed(
                        f"the local cluster's {name} does not listen after {START_LIMIT_S:.0f} s. Its log ends:\n{self.log_tail(name)}"
                    )
        finally:
            os.close(ended)
        return port_file.read_text().strip()


def _environment() -> dict[str, str]:
    """Ours, without what is meant for other daemons than these."""
    own = ("QUIVER_MANAGER_", "QUIVER_EXECUTOR_", "QUIVER_SECRET")
    return {name: value for name, value in os.environ.items() if not name.startswith(own)}


def _end(processes: list[subprocess.Popen[bytes]]) -> None:
    for process in processes:
        process.terminate()
    deadline = time.monotonic() + _DRAIN_S
    for process in processes:
        try:
            process.wait(max(0.0, deadline - time.monotonic()))
        except subprocess.TimeoutExpired:
            process.send_signal(signal.SIGKILL)
            process.wait()
