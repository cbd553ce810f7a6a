"""An application on a cluster: `quiver://host:port`, and `local-cluster[...]`, which first starts a cluster of its own."""

from __future__ import annotations

import os
import threading
from typing import TYPE_CHECKING

from quiver.runner import launch
from quiver.runner.cluster import Callbacks, Cluster
from quiver.runner.grpc_link import GrpcLink
from quiver.runner.inprocess import InProcessDriver
from quiver.runner.masters import LocalCluster, Standalone
from quiver.runner.origin import Origin
from quiver_proto.auth import TlsFiles, find_secret
from quiver_proto.cluster import ExecutorRequest
from quiver_proto.errors import QuiverError
from quiver_proto.ids import ApplicationId, ExecutorId, NodeId
from quiver_proto.messages import (
    BarrierArrived,
    BlocksChanged,
    BroadcastRemoved,
    Drained,
    ExecutorHeartbeat,
    ExecutorHello,
    FromExecutor,
    TasksEnded,
)
from quiver_proto.secret_texts import names_a_secret

if TYPE_CHECKING:
    from quiver.runner.launch import Settings
    from quiver.runner.local_cluster import RunningCluster

FIRST_EXECUTOR_WAIT_S = 2.0
"""How long `connect` waits for a first executor, so that default partition counts know the cluster's cores."""

BROKEN_GRACE_S = 10.0
"""How long the manager has to say what became of an executor whose stream broke, before the executor is given back."""


def start_standalone(where: LocalCluster | Standalone, master: str, app_name: str, conf: Settings) -> InProcessDriver:
    """See quiver.runner.launch.connect."""
    request = _request(conf)
    app = launch.application(master, app_name, conf, _expected_cores(where, request), None)
    local: RunningCluster | None = None
    if isinstance(where, LocalCluster):
        from quiver.runner.local_cluster import RunningCluster

        local = RunningCluster(where.nodes, where.cores, where.memory_bytes, launch.work_dir_root(conf))
        url, secret = local.url, local.secret
    else:
        url, secret = f"quiver://{where.address}", find_secret(conf.get("quiver.secret.file") or "")
    driver = InProcessDriver(app, launch.event_log_dir(conf), launch.console_progress(conf))
    if local is not None:
        driver.on_stop(local.stop)
    origin = Origin(app.application_id, url.removeprefix("quiver://"), lambda: driver.application.token, conf)
    driver.on_stop(origin.stop)
    driver.make_broadcast_dir, driver.engine.broadcasts.origin = origin.directory, origin.address
    cores = _Cores(driver, fixed=conf.get("spark.default.parallelism") is not None)

    def on_executor(link: GrpcLink) -> None:
        cores.add(link)
        driver.engine.executor_added(link)

    def on_executor_gone(executor_id: ExecutorId, reason: str, asked: bool) -> None:
        cores.remove(executor_id)
        driver.engine.executor_gone(executor_id, reason, asked)

    def on_node_lost(node_id: NodeId, reason: str) -> None:
        driver.engine.node_lost(node_id, reason)

    def on_waiting(reason: str, error: QuiverError | None) -> None:
        driver.engine.cluster_waiting(reason, error)
        if error is not None:
            cores.ready.set()

    def on_broken(executor_id: ExecutorId, reason: str) -> None:
        # Its tasks are not waited for: they run elsewhere, and what it might still report is refused.
        cores.remove(executor_id)
        driver.engine.executor_gone(executor_id, reason)
        driver.loop.call_later(BROKEN_GRACE_S, lambda: cluster.release(executor_id, f"its stream to the driver broke: {reason}"))

    def on_message(message: FromExecutor) -> None:
        match message:
            case TasksEnded():
                driver.post(lambda: driver.engine.tasks_ended(message))
            case BarrierArrived():
                driver.post(lambda: driver.engine.barrier_arrived(message))
            case BlocksChanged():
                driver.post(lambda: driver.engine.blocks_changed(message))
            case BroadcastRemoved():
                driver.post(lambda: driver.engine.broadcasts.removed(message.executor_id, message.broadcast_id))
            case ExecutorHeartbeat():
                driver.post(lambda: driver.engine.heartbeat(message))
            case ExecutorHello() | Drained():
                pass

    try:
        launch.announce(driver, conf)
        driver.start()
        cluster = Cluster(
            url,
            ApplicationId(app.application_id),
            app_name,
            request,
            secret,
            # Keys hash alike in every process of an application.
            launch.hash_seed(conf),
            launch.python_path(conf),
            Callbacks(driver.post, on_executor, on_executor_gone, on_node_lost, on_waiting, on_message, on_broken),
            tls=TlsFiles("", "", ca) if (ca := conf.get("quiver.tls.ca") or os.environ.get("QUIVER_TLS_CA", "")) else None,
            env=launch.executor_environment(conf),
            conf={key: value for key, value in conf.getAll() if not names_a_secret(key)},
            ui_url=driver.ui_url.partition("?")[0] if driver.ui_url else "",
        )
    except BaseException:
        driver.stop()
        raise
    driver.on_stop(cluster.stop)
    driver.engine.observe(cluster)
    driver.authenticate(cluster.token)
    if isinstance(where, Standalone):
        cores.ready.wait(FIRST_EXECUTOR_WAIT_S)
    return driver


class _Cores:
    """Keeps `default_parallelism` at the cores there are (at least 2), as Spark does, unless the user has fixed it."""

    def __init__(self, driver: InProcessDriver, fixed: bool) -> None:
        self._driver, self._fixed = driver, fixed
        self._cores: dict[ExecutorId, int] = {}
        self.ready = threading.Event()

    def add(self, link: GrpcLink) -> None:
        self._cores[link.executor_id] = link.cores
        if not self._fixed:
            self._driver.default_parallelism = max(self._driver.default_parallelism, 2, sum(self._cores.values()))
        self.ready.set()

    def remove(self, executor_id: ExecutorId) -> None:
        self._cores.pop(executor_id, None)


def _request(conf: Settings) -> ExecutorRequest:
    return ExecutorRequest(
        instances=launch.integer(conf, "spark.executor.instances", 0),
        cores=launch.integer(conf, "spark.executor.cores", 0),
        memory_bytes=launch.executor_memory(conf, 0),
        cores_max=launch.integer(conf, "spark.cores.max", 0),
    )


def _expected_cores(where: LocalCluster | Standalone, request: ExecutorRequest) -> int:
    if isinstance(where, LocalCluster):
        return where.nodes * where.cores
    return max(2, request.instances * request.cores)
