"""The node daemon's shell: carries out what `node.step` decides.

    rpc threads      manager's requests ──▶ node loop ──▶ answers
    node loop        a thread of its own: the pure core, the executors' processes, sockets and logs
    manager-* threads calls to the manager, answers as events to the node loop
    main thread      signals and shutdown (quiver_proto.serving)

Executors get the parent-death signal of the node loop's thread, which lives until the daemon ends, however it ends.
"""

from __future__ import annotations

import os
import threading
import time
from collections import deque
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import assert_never

import grpc

from quiver_executor import node as n
from quiver_executor.block_server import BlockServer
from quiver_executor.executor_child import Ended, ExecutorChild
from quiver_executor.launch_config import LaunchConfig
from quiver_executor.machine import resident_bytes
from quiver_executor.manager_calls import ManagerCalls
from quiver_executor.node_directory import NodeDirectory, disk_used
from quiver_executor.node_settings import NodeSettings
from quiver_executor.shuffle_files import remove_shuffle
from quiver_proto.cluster import (
    Ack,
    GetNodeStatus,
    Hello,
    HelloReply,
    LaunchExecutor,
    NodeHeartbeat,
    NodeStatus,
    RemoveApplication,
    RemoveNodeShuffle,
    RunningExecutor,
    StopExecutor,
)
from quiver_proto.errors import AuthenticationFailed, IncompatibleVersions, QuiverError
from quiver_proto.ids import ApplicationId, ExecutorId, NodeId
from quiver_proto.logs import Log
from quiver_proto.loop import Loop, Timer
from quiver_proto.units import format_bytes, parse_memory
from quiver_proto.versions import check, local_versions

log = Log("executor")

_ANSWER_LIMIT_S = 10.0
_DISK_INTERVAL_S = 10.0
_LAST_WORDS_S = 5.0


class NodeDaemon:
    """Implements quiver_proto.serving.Daemon and, for its gRPC service, the methods of quiver_proto.services.Node."""

    def __init__(self, settings: NodeSettings, secret: str, node_id: NodeId) -> None:
        self._settings = settings
        self._secret = secret
        self._node_id = node_id
        self._quota = parse_memory(settings.quota, "--quota") if settings.quota else 0
        self._versions = local_versions()
        self._loop = Loop()
        self._children: dict[ExecutorId, ExecutorChild] = {}
        self._ended: list[ExecutorChild] = []
        self._old_logs: deque[ApplicationId] = deque()
        self._timer: Timer | None = None
        self._disk_used = 0
        self._disk_at = 0.0
        self._finished = threading.Event()
        self._crash: BaseException | None = None
        self._drain_asked = False
        self._sweeper = ThreadPoolExecutor(1, "blocks")
        self._thread = threading.Thread(target=self._run_loop, name="node", daemon=True)
        self._manager = ManagerCalls(settings.manager, node_id, secret, settings.tls, self._post)
        self._state: n.NodeState | None = None
        self._blocks: BlockServer | None = None
        self._opened: NodeDirectory | None = None

    # ---- quiver_proto.serving.Daemon, in the main thread ----

    def started(self, address: str) -> None:
        settings = self._settings
        try:
            self._manager.handshake()
        except (AuthenticationFailed, IncompatibleVersions):
            raise
        except QuiverError as error:
            log.warning("the manager is not there yet", problem=error.message)
        host = settings.public_host
        self._opened = NodeDirectory.create(Path(settings.local_dir).expanduser().absolute(), self._node_id)
        for swept in self._opened.swept:
            log.info("removed what a dead node daemon had left", path=swept.path, freed=format_bytes(swept.bytes))
        self._blocks = self._start_block_server()
        self._state = n.NodeState(
            n.NodeIdentity(
                self._node_id,
                host,
                address,
                self._blocks.address,
                settings.cores,
                settings.memory,
                self._versions,
                settings.labels,
                launch_limit_s=settings.launch_limit_s,
                drain_limit_s=max(0.0, settings.drain_timeout_s - 1.0),
            )
        )
        log.info(
            "node", node=self._node_id, cores=settings.cores, memory=format_bytes(settings.memory), manager=settings.manager,
            blocks=self._blocks.address, directory=self._directory.path,
        )  # fmt: skip
        self._thread.start()
        self._post(n.Tick())

    def tick(self, now: float) -> None:
        if self._crash is not None:
            raise self._crash

    def drain(self) -> bool:
        if not self._drain_asked:
            self._drain_asked = True
            self._post(n.DrainAsked("the node daemon is draining"))
        return self._finished.is_set() or self._crash is not None

    def stop(self) -> None:
        if self._thread.is_alive():
            self._post(n.DrainAsked("the node daemon ends", now=True))
            self._finished.wait(_LAST_WORDS_S)
            self._loop.stop()
            self._thread.join(_LAST_WORDS_S)
        for child in [*self._children.values(), *self._ended]:
            child.kill()
            child.bury()
        if self._blocks is not None:
            self._blocks.stop()
        self._manager.close()
        self._sweeper.shutdown(wait=True, cancel_futures=True)
        if self._opened is not None:
            freed = self._opened.remove()
            log.info("removed the node's directory", path=self._opened.path, freed=format_bytes(freed))

    @property
    def _directory(self) -> NodeDirectory:
        if self._opened is None:
            raise RuntimeError("the node daemon has not started")
        return self._opened

    # ---- quiver_proto.services.Node, in gRPC's threads ----

    def handshake(self, hello: Hello, _: grpc.ServicerContext) -> HelloReply:
        check(f"{hello.role} {hello.name}", self._versions, hello.versions)
        return HelloReply(self._node_id, self._versions)

    def launch_executor(self, launch: LaunchExecutor, _: grpc.ServicerContext) -> Ack:
        return self._ask(launch)

    def stop_executor(self, stop: StopExecutor, _: grpc.ServicerContext) -> Ack:
        return self._ask(stop)

    def remove_application(self, remove: RemoveApplication, _: grpc.ServicerContext) -> Ack:
        return self._ask(remove)

    def remove_shuffle(self, remove: RemoveNodeShuffle, _: grpc.ServicerContext) -> Ack:
        remove_shuffle(str(self._directory.blocks_path(remove.application_id)), remove.shuffle_id)
        return Ack()

    def get_node_status(self, _: GetNodeStatus, __: grpc.ServicerContext) -> NodeStatus:
        answer: Future[NodeStatus] = Future()
        self._loop.call_soon(lambda: answer.set_result(self._status()))
        return answer.result(_ANSWER_LIMIT_S)

    def _ask(self, request: LaunchExecutor | StopExecutor | RemoveApplication) -> Ack:
        answer: Future[Ack] = Future()
        self._loop.call_soon(lambda: self._feed(request, answer))
        return answer.result(_ANSWER_LIMIT_S)

    # ---- the node loop ----

    def _run_loop(self) -> None:
        try:
            self._loop.run()
        except BaseException as error:
            log.exception("the node daemon failed")
            self._crash = error if isinstance(error, Exception) else RuntimeError(repr(error))

    def _post(self, event: n.NodeEvent) -> None:
        self._loop.call_soon(lambda: self._feed(event))

    def _feed(self, event: n.NodeEvent, answer: Future[Ack] | None = None) -> None:
        state = self._state
        assert state is not None
        for action in n.step(state, event, time.monotonic()):
            self._carry_out(action, answer)
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        due = n.wake_at(state)
        if due is not None:
            self._timer = self._loop.call_later(max(0.0, due - time.monotonic()), lambda: self._feed(n.Tick()))

    def _carry_out(self, action: n.NodeAction, answer: Future[Ack] | None) -> None:
        match action:
            case n.Answer():
                if answer is not None:
                    answer.set_result(action.ack)
            case n.Register():
                self._manager.register(action.message)
            case n.Beat():
                self._manager.beat(self._measured(action.message))
            case n.Report():
                self._manager.report(action.message)
            case n.Spawn():
                self._spawn(action.launch)
            case n.AskToDrain():
                self._children[action.executor_id].ask_to_drain()
            case n.Kill():
                if (child := self._children.get(action.executor_id)) is not None:
                    child.kill()
            case n.DropApplication():
                self._drop(action.application_id)
            case n.Say():
                getattr(log, action.level)(action.text)
            case n.Finish():
                if problem := self._manager.farewell(action.message):
                    log.warning("the manager could not be told that this node ends", problem=problem)
                self._finished.set()
            case _:
                assert_never(action)

    def _spawn(self, launch: LaunchExecutor) -> None:
        executor_id = launch.executor_id
        try:
            config = self._config_of(launch)
            child = ExecutorChild(
                self._loop,
                config,
                launch.environment.env,
                lambda address: self._feed(n.ExecutorUp(executor_id, address)),
                lambda ended: self._child_ended(executor_id, ended),
            )
        except (OSError, QuiverError) as error:
            self._post(n.ExecutorEnded(executor_id, -1, 0, "", f"its process could not be started: {error}"))
            return
        self._children[executor_id] = child
        log.info("executor started", executor=executor_id, pid=child.pid, cores=launch.cores, memory=format_bytes(launch.memory_bytes))
        self._post(n.ExecutorStarted(executor_id, child.pid))

    def _child_ended(self, executor_id: ExecutorId, ended: Ended) -> None:
        child = self._children.pop(executor_id)
        self._ended = [other for other in self._ended if not other.buried]
        self._ended.append(child)
        self._feed(n.ExecutorEnded(executor_id, ended.exit_code, ended.signal, ended.log_tail))

    def _config_of(self, launch: LaunchExecutor) -> LaunchConfig:
        settings, environment, application_id = self._settings, launch.environment, launch.application_id
        assert self._blocks is not None
        working_dir = environment.working_dir
        return LaunchConfig(
            application_id=application_id,
            executor_id=launch.executor_id,
            node_id=self._node_id,
            node_pid=os.getpid(),
            host=settings.public_host,
            bind_host=settings.host,
            cores=launch.cores,
            memory_bytes=launch.memory_bytes,
            blocks_dir=str(self._directory.blocks(application_id)),
            log_dir=str(self._directory.executor_logs(application_id, launch.executor_id)),
            log_level=settings.log_level,
            log_format=settings.log_format,
            python_path=environment.python_path,
            working_dir=working_dir if os.path.isdir(working_dir) else "",
            hash_seed=environment.hash_seed,
            block_server=self._blocks.address,
            token=launch.token,
            quota_bytes=self._quota_of(launch),
            driver_gone_limit_s=settings.driver_gone_limit_s,
            tls_cert=settings.tls_cert,
            tls_key=settings.tls_key,
            tls_ca=settings.tls_ca,
        )

    def _quota_of(self, launch: LaunchExecutor) -> int:
        wanted = launch.environment.conf.get("quiver.local.quota", "")
        quotas = [quota for quota in (self._quota, parse_memory(wanted, "quiver.local.quota") if wanted else 0) if quota]
        return min(quotas, default=0)

    def _drop(self, application_id: ApplicationId) -> None:
        self._old_logs.append(application_id)
        old = self._old_logs.popleft() if len(self._old_logs) > self._settings.keep_logs else None

        def drop() -> None:
            freed = self._directory.remove_blocks(application_id)
            log.info("application removed", application=application_id, freed=format_bytes(freed))
            if old is not None:
                self._directory.remove_logs(old)

        self._sweeper.submit(drop)

    def _measured(self, beat: NodeHeartbeat) -> NodeHeartbeat:
        if time.monotonic() >= self._disk_at:
            self._disk_at = time.monotonic() + _DISK_INTERVAL_S
            self._sweeper.submit(self._measure_disk)
        executors = tuple(_with_rss(executor) for executor in beat.executors)
        rss = sum(executor.rss_bytes for executor in executors)
        return NodeHeartbeat(beat.node_id, beat.epoch, executors, rss, _load_percent(), self._disk_used)

    def _measure_disk(self) -> None:
        self._disk_used = disk_used(self._directory.path)

    def _status(self) -> NodeStatus:
        assert self._state is not None
        assert self._blocks is not None
        return NodeStatus(
            self._node_id,
            self._state.epoch,
            self._settings.public_host,
            self._settings.cores,
            self._settings.memory,
            self._blocks.address,
            tuple(_with_rss(executor) for executor in n.running_executors(self._state)),
            self._disk_used,
            self._versions,
        )


def _with_rss(executor: RunningExecutor) -> RunningExecutor:
    return replace(executor, rss_bytes=resident_bytes(executor.pid) if executor.pid else 0)


def _load_percent() -> float:
    """Of all cores, over the last minute."""
    return round(100.0 * os.getloadavg()[0] / (os.cpu_count() or 1), 1)
