"""The node daemon's own thread: gives `node.step` its events and carries out what it decides.

    rpc threads       manager's requests ──▶ `ask` ──▶ answers
    this thread       the pure core, the executors' processes, their sockets and logs
    manager-* threads calls to the manager, answers as events

Executors get the parent-death signal of this thread, which lives until the daemon ends, however it ends.
"""

from __future__ import annotations

import os
import threading
import time
from collections import deque
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import replace
from typing import assert_never

from quiver_executor import node as n
from quiver_executor import node_model as m
from quiver_executor.executor_child import Ended, ExecutorChild
from quiver_executor.launch_config import LaunchConfig
from quiver_executor.machine import load_percent, resident_bytes
from quiver_executor.manager_calls import ManagerCalls
from quiver_executor.node_directory import NodeDirectory, disk_used
from quiver_executor.node_settings import NodeSettings
from quiver_proto.auth import application_token
from quiver_proto.cluster import Ack, LaunchExecutor, NodeHeartbeat, NodeStatus, RemoveApplication, RunningExecutor, StopExecutor
from quiver_proto.errors import QuiverError
from quiver_proto.ids import ApplicationId, ExecutorId
from quiver_proto.logs import Log, keep_secret
from quiver_proto.loop import Loop, Timer
from quiver_proto.units import format_bytes, parse_memory

log = Log("executor")

_ANSWER_LIMIT_S = 10.0
_DISK_INTERVAL_S = 10.0
_LAST_WORDS_S = 5.0


class NodeLoop:
    """`start`, then `ask` and `drain` from any thread, then `stop`. `finished` is set when a drain is done, `crash` when the loop fails."""

    def __init__(self, settings: NodeSettings, secret: str, identity: m.NodeIdentity, directory: NodeDirectory, manager: str) -> None:
        self._settings = settings
        self._secret = secret
        self._directory = directory
        self._quota = parse_memory(settings.quota, "--quota") if settings.quota else 0
        self._state = m.NodeState(identity)
        self._loop = Loop()
        self._children: dict[ExecutorId, ExecutorChild] = {}
        self._ended: list[ExecutorChild] = []
        self._old_logs: deque[ApplicationId] = deque()
        self._timer: Timer | None = None
        self._disk_used = 0
        self._disk_at = 0.0
        self.finished = threading.Event()
        self.crash: Exception | None = None
        self._sweeper = ThreadPoolExecutor(1, "blocks")
        self.manager = ManagerCalls(manager, identity.node_id, secret, settings.tls, self._post)
        self._thread = threading.Thread(target=self._run, name="node", daemon=True)

    def start(self) -> None:
        self._thread.start()
        self._post(m.Tick())

    def drain(self, reason: str, now: bool = False) -> None:
        """Stop the executors, then tell the manager and set `finished`."""
        self._post(m.DrainAsked(reason, now))

    def ask(self, request: LaunchExecutor | StopExecutor | RemoveApplication) -> Ack:
        """Give the core the manager's request; its answer."""
        answer: Future[Ack] = Future()
        self._loop.call_soon(lambda: self._feed(request, answer))
        return answer.result(_ANSWER_LIMIT_S)

    def status(self) -> NodeStatus:
        answer: Future[NodeStatus] = Future()
        self._loop.call_soon(lambda: answer.set_result(self._status()))
        return answer.result(_ANSWER_LIMIT_S)

    def stop(self) -> None:
        """End what still runs at once, tell the manager, and join the thread."""
        if self._thread.is_alive():
            if not self.finished.is_set():
                self.drain("the node daemon ends", now=True)
                self.finished.wait(_LAST_WORDS_S)
            self._loop.stop()
            self._thread.join(_LAST_WORDS_S)
        for child in [*self._children.values(), *self._ended]:
            child.kill()
            child.bury()
        self.manager.close()
        self._sweeper.shutdown(wait=True, cancel_futures=True)

    def _run(self) -> None:
        try:
            self._loop.run()
        except Exception as error:
            log.exception("the node daemon failed")
            self.crash = error

    def _post(self, event: m.NodeEvent) -> None:
        self._loop.call_soon(lambda: self._feed(event))

    def _feed(self, event: m.NodeEvent, answer: Future[Ack] | None = None) -> None:
        for action in n.step(self._state, event, time.monotonic()):
            self._carry_out(action, answer)
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        due = n.wake_at(self._state)
        if due is not None:
            self._timer = self._loop.call_later(max(0.0, due - time.monotonic()), lambda: self._feed(m.Tick()))

    def _carry_out(self, action: m.NodeAction, answer: Future[Ack] | None) -> None:
        match action:
            case m.Answer():
                if answer is not None:
                    answer.set_result(action.ack)
            case m.Register():
                self.manager.register(action.message)
            case m.Beat():
                self.manager.beat(self._measured(action.message))
            case m.Report():
                self.manager.report(action.message)
            case m.Spawn():
                self._spawn(action.launch)
            case m.AskToDrain():
                if (child := self._children.get(action.executor_id)) is not None:
                    child.ask_to_drain()
            case m.Kill():
                if (child := self._children.get(action.executor_id)) is not None:
                    child.kill()
            case m.DropApplication():
                self._drop(action.application_id)
            case m.Say():
                getattr(log, action.level)(action.text)
            case m.Finish():
                if problem := self.manager.farewell(action.message):
                    log.warning("the manager could not be told that this node ends", problem=problem)
                self.finished.set()
            case _:
                assert_never(action)

    # ---- executors ----

    def _spawn(self, launch: LaunchExecutor) -> None:
        executor_id = launch.executor_id
        try:
            child = ExecutorChild(
                self._loop,
                self._config_of(launch),
                launch.environment.env,
                lambda address: self._feed(m.ExecutorUp(executor_id, address)),
                lambda ended: self._child_ended(executor_id, ended),
            )
        except (OSError, ValueError, QuiverError) as error:
            # ValueError: an environment that no process can have (a NUL, a "=" in a name).
            self._post(m.ExecutorEnded(executor_id, -1, 0, "", f"its process could not be started: {error}"))
            return
        self._children[executor_id] = child
        log.info("executor started", executor=executor_id, pid=child.pid, cores=launch.cores, memory=format_bytes(launch.memory_bytes))
        self._post(m.ExecutorStarted(executor_id, child.pid))

    def _child_ended(self, executor_id: ExecutorId, ended: Ended) -> None:
        child = self._children.pop(executor_id)
        self._sweeper.submit(self._directory.remove_cached, executor_id)
        self._ended = [other for other in self._ended if not other.buried]
        self._ended.append(child)
        self._feed(m.ExecutorEnded(executor_id, ended.exit_code, ended.signal, ended.log_tail))

    def _config_of(self, launch: LaunchExecutor) -> LaunchConfig:
        settings, environment, application_id = self._settings, launch.environment, launch.application_id
        identity = self._state.identity
        token = launch.token or application_token(self._secret, application_id)
        keep_secret(token)
        tls = settings.tls_paths
        return LaunchConfig(
            application_id=application_id,
            executor_id=launch.executor_id,
            node_id=identity.node_id,
            node_pid=os.getpid(),
            host=identity.host,
            bind_host=settings.host,
            cores=launch.cores,
            memory_bytes=launch.memory_bytes,
            blocks_dir=str(self._directory.blocks(application_id)),
            log_dir=str(self._directory.executor_logs(application_id, launch.executor_id)),
            log_level=settings.log_level,
            log_format=settings.log_format,
            python_path=environment.python_path,
            # A driver on another machine may be in a directory that is not here.
            working_dir=environment.working_dir if os.path.isdir(environment.working_dir) else "",
            hash_seed=environment.hash_seed,
            block_server=identity.block_server,
            token=token,
            quota_bytes=self._quota_of(launch),
            driver_gone_limit_s=settings.driver_gone_limit_s,
            memory_dir=self._directory.memory.blocks(application_id),
            storage_fraction=float(launch.environment.conf.get("quiver.storage.memoryFraction", "0.5")),
            eviction=launch.environment.conf.get("quiver.storage.eviction", "lru"),
            reads_neighbours=launch.environment.conf.get("spark.shuffle.readHostLocalDisk", "true").lower() == "true",
            resource_conf={key: value for key, value in environment.conf.items() if key.startswith("spark.executor.resource.")},
            tls_cert=tls.cert,
            tls_key=tls.key,
            tls_ca=tls.ca,
        )

    def _quota_of(self, launch: LaunchExecutor) -> int:
        """The smaller of what the node allows and what the application asks for; 0: neither says."""
        wanted = launch.environment.conf.get("quiver.local.quota", "")
        quotas = (self._quota, parse_memory(wanted, "quiver.local.quota") if wanted else 0)
        return min((quota for quota in quotas if quota), default=0)

    # ---- disk and measurements ----

    def _drop(self, application_id: ApplicationId) -> None:
        self._old_logs.append(application_id)
        old = self._old_logs.popleft() if len(self._old_logs) > self._settings.keep_logs else None

        def drop() -> None:
            freed = self._directory.remove_blocks(application_id)
            log.info("application removed", application=application_id, freed=format_bytes(freed))
            if old is not None:
                self._directory.remove_logs(old)

        # Unlinking gigabytes takes a while.
        self._sweeper.submit(drop)

    def _measured(self, beat: NodeHeartbeat) -> NodeHeartbeat:
        if time.monotonic() >= self._disk_at:
            self._disk_at = time.monotonic() + _DISK_INTERVAL_S
            self._sweeper.submit(self._measure_disk)
        executors = tuple(map(_with_rss, beat.executors))
        rss = sum(executor.rss_bytes for executor in executors)
        return replace(beat, executors=executors, rss_bytes=rss, cpu_percent=load_percent(), disk_used_bytes=self._disk_used)

    def _measure_disk(self) -> None:
        self._disk_used = disk_used(self._directory.path)

    def _status(self) -> NodeStatus:
        identity = self._state.identity
        return NodeStatus(
            identity.node_id, self._state.epoch, identity.host, identity.cores, identity.memory_bytes, identity.block_server,
            tuple(map(_with_rss, n.running_executors(self._state))), self._disk_used, identity.versions,
        )  # fmt: skip


def _with_rss(executor: RunningExecutor) -> RunningExecutor:
    return replace(executor, rss_bytes=resident_bytes(executor.pid) if executor.pid else 0)
