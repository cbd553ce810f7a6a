"""An executor: the process in which one application's slots are supervised on one node.

    python -m quiver_executor.executor_process          (standard input: a socket to the node daemon, see launch_config)

The main thread runs the supervisor's loop; gRPC's threads serve the driver's stream. Users' code runs in slots, never here. It ends
when its node daemon or its driver is gone, when it is told to, or when it has drained, and takes its slots along.
"""

from __future__ import annotations

import contextlib
import logging
import os
import signal
import socket
import sys

from quiver_executor.driver_edge import DriverEdge
from quiver_executor.executor_config import ExecutorConfig
from quiver_executor.launch_config import DRAIN, LaunchConfig, read_line, up_line
from quiver_executor.supervisor import Supervisor
from quiver_proto import logs
from quiver_proto.discovery import discover
from quiver_proto.host import this_machine
from quiver_proto.ids import ExecutorId, NodeId
from quiver_proto.lifeline import die_with_parent
from quiver_proto.loop import Loop, Timer
from quiver_proto.messages import Drain, Drained, ExecutorHello, FromExecutor, Shutdown, ToExecutor
from quiver_proto.versions import local_versions

log = logging.getLogger("quiver.executor")

FLUSH_S = 2.0
"""How long the driver is given to take the last reports when the executor ends."""


class ExecutorProcess:
    """Wires supervisor, driver's stream and control socket to one loop. All methods but `_deliver` and `_attach` run in its thread."""

    def __init__(self, config: LaunchConfig, control: socket.socket) -> None:
        self._config = config
        self._control = control
        self._loop = Loop()
        self._heard = b""
        self._draining = False
        self._exit_code = 0
        self._gone_timer: Timer | None = None
        hello = ExecutorHello(
            ExecutorId(config.executor_id),
            NodeId(config.node_id),
            config.cores,
            config.memory_bytes,
            config.block_server,
            config.host,
            os.getpid(),
            local_versions(),
            config.log_dir,
            this_machine(),
            discover(config.resource_conf, "executor"),
        )
        self._edge = DriverEdge(hello, self._deliver, self._attach)
        self._supervisor = Supervisor(supervisor_config(config), self._loop, self._report)
        # The template warms up while this process imports gRPC, which must not happen before.
        self._supervisor.start()

    def run(self) -> int:
        """Until the executor is to end; the exit code."""
        from quiver_executor.executor_server import serve_executor

        server, address = serve_executor(self._config, self._edge)
        self._control.sendall(up_line(address))
        self._loop.add_reader(self._control.fileno(), self._hear)
        self._driver_attached(False)
        log.info("executor %s listens at %s, %d cores", self._config.executor_id, address, self._config.cores)
        self._loop.run()
        self._edge.close(FLUSH_S)
        server.stop(FLUSH_S).wait()
        return self._exit_code

    def _report(self, message: FromExecutor) -> None:
        self._edge.report(message)
        if isinstance(message, Drained) and self._draining:
            # Not in the middle of the supervisor's own work.
            self._loop.call_soon(lambda: self._end("drained", 0))

    def _deliver(self, message: ToExecutor) -> None:
        if isinstance(message, Shutdown):
            self._loop.call_soon(lambda: self._end(message.reason, 0))
        else:
            self._loop.call_soon(lambda: self._supervisor.handle(message))

    def _attach(self, attached: bool) -> None:
        self._loop.call_soon(lambda: self._driver_attached(attached))

    def _driver_attached(self, attached: bool) -> None:
        if self._gone_timer is not None:
            self._gone_timer.cancel()
            self._gone_timer = None
        if not attached:
            limit = self._config.driver_gone_limit_s
            self._gone_timer = self._loop.call_later(limit, lambda: self._end(f"no driver for {limit:g} s", 0))

    def _hear(self) -> None:
        try:
            data = self._control.recv(4096)
        except OSError:
            data = b""
        if not data:
            self._loop.remove_reader(self._control.fileno())
            self._end("the node daemon is gone", 1)
            return
        self._heard += data
        if DRAIN in self._heard:
            self._heard = b""
            self._draining = True
            self._supervisor.handle(Drain())

    def _end(self, reason: str, exit_code: int) -> None:
        log.info("executor %s ends: %s", self._config.executor_id, reason)
        self._exit_code = exit_code
        self._supervisor.close()
        self._loop.stop()


def supervisor_config(config: LaunchConfig) -> ExecutorConfig:
    """What the supervisor needs of it."""
    return ExecutorConfig(
        application_id=config.application_id,
        executor_id=config.executor_id,
        node_id=config.node_id,
        cores=config.cores,
        memory_bytes=config.memory_bytes,
        blocks_dir=config.blocks_dir,
        log_dir=config.log_dir,
        python_path=config.python_path,
        working_dir=config.working_dir or None,
        hash_seed=config.hash_seed,
        block_server=config.block_server,
        token=config.token,
        echo_output=False,
        tls_ca=config.tls_ca,
        quota_bytes=config.quota_bytes,
        memory_dir=config.memory_dir,
        storage_fraction=config.storage_fraction,
        eviction=config.eviction,
        reads_neighbours=config.reads_neighbours,
    )


def main() -> None:
    control = socket.socket(fileno=os.dup(0))
    # Children inherit standard input; the control socket is nobody else's.
    null = os.open(os.devnull, os.O_RDONLY)
    os.dup2(null, 0)
    os.close(null)
    try:
        config = LaunchConfig.from_line(read_line(control))
    except (EOFError, ValueError, TypeError) as error:
        sys.exit(f"this is started by a node daemon, not by hand: {error}")
    die_with_parent(config.node_pid)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    logs.configure(config.log_level, config.log_format)
    logs.keep_secret(config.token)
    exit_code = 1
    try:
        exit_code = ExecutorProcess(config, control).run()
    except BaseException:
        log.exception("executor %s failed", config.executor_id)
    finally:
        logging.shutdown()
        with contextlib.suppress(OSError, ValueError):
            sys.stdout.flush()
            sys.stderr.flush()
        # gRPC's threads may still hold locks that an orderly interpreter exit would wait for.
        os._exit(exit_code)


if __name__ == "__main__":
    main()
