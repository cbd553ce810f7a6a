"""`driver serve` as a daemon: the gRPC service, and its place in the daemon shell."""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Iterator, Mapping, Sequence

import grpc

from quiver.cli.submission import import_roots, parse_conf_flag, split_paths
from quiver.conf import Conf
from quiver.plan.model import PlannedJob
from quiver.runner.inprocess import InProcessDriver
from quiver.runner.launch import connect
from quiver.runner.masters import Inline, RemoteDriver, parse_master
from quiver.serve.host import Look, SessionHost
from quiver.serve.settings import DriverSettings
from quiver_proto import versions
from quiver_proto.auth import find_secret
from quiver_proto.cluster import Ack, HeartbeatReply, Hello, HelloReply
from quiver_proto.errors import BadMasterUrl
from quiver_proto.ids import StageId
from quiver_proto.services import DriverService
from quiver_proto.serving import serve
from quiver_proto.sessions import (
    AskSizes,
    AskStatus,
    AskStored,
    CancelJobs,
    CloseSession,
    ExecutePlan,
    MapSizes,
    OpenSession,
    PlanEvent,
    PlanProgress,
    ReleaseBroadcast,
    ReleaseShuffle,
    ReportAccumulators,
    ReportQuery,
    SendBroadcast,
    SessionHeartbeat,
    SessionOpened,
    StatusReport,
    Stored,
    Unpersist,
)

LOOK_TIMEOUT_S = 5.0


def run(settings: DriverSettings) -> int:
    """Serve until told to end; the exit code. Raises BadMasterUrl, BadSetting, PathNotFound, PortInUse and what `connect` raises."""
    where = parse_master(settings.master)
    if isinstance(where, Inline | RemoteDriver):
        raise BadMasterUrl(settings.master, "a shared driver runs jobs on local[N], local-cluster[...] or quiver://host:port")
    conf = Conf(loadDefaults=False).set("spark.ui.showConsoleProgress", False).setAll(map(parse_conf_flag, settings.conf))
    modules = split_paths(settings.py_files)
    if modules:
        conf.set("spark.submit.pyFiles", ",".join(modules))
    sys.path[:0] = [root for root in import_roots(modules) if root not in sys.path]
    secret = find_secret(settings.secret_file, create=True)
    driver = connect(settings.master, settings.name, conf)
    assert isinstance(driver, InProcessDriver)
    try:
        return _serve(settings, secret, driver, dict(conf.getAll()))
    finally:
        driver.stop()


def _serve(settings: DriverSettings, secret: str, driver: InProcessDriver, values: Mapping[str, str]) -> int:
    host = SessionHost(driver, _look_into(driver), time.monotonic, values, settings.session_timeout_s, settings.heartbeat_interval_s)
    return serve(settings, secret, [(DriverService, Service(host, settings.name))], ServeDaemon(host, driver))


class ServeDaemon:
    """Implements quiver_proto.serving.Daemon."""

    def __init__(self, host: SessionHost, driver: InProcessDriver) -> None:
        self._host = host
        self._driver = driver

    def started(self, address: str) -> None:
        self._host.address = address
        print(f"clients connect with master quiver-driver://{address}", flush=True)
        if self._driver.ui_url:
            print(f"UI at {self._driver.ui_url}", flush=True)

    def tick(self, now: float) -> None:
        self._host.sweep()

    def drain(self) -> bool:
        return self._host.drain()

    def stop(self) -> None:
        self._driver.stop()


class Service:
    """The methods of quiver_proto.services.DriverService."""

    def __init__(self, host: SessionHost, name: str) -> None:
        self._host = host
        self._name = name

    def handshake(self, request: Hello, context: grpc.ServicerContext) -> HelloReply:
        # The client judges, so that the table it shows has its own side first; open_session judges once more.
        return HelloReply(self._name, versions.local_versions())

    def open_session(self, request: OpenSession, context: grpc.ServicerContext) -> SessionOpened:
        versions.check(f"client {request.name}", versions.local_versions(), request.versions)
        return self._host.open(request)

    def close_session(self, request: CloseSession, context: grpc.ServicerContext) -> Ack:
        return self._host.close(request)

    def session_heartbeat(self, request: SessionHeartbeat, context: grpc.ServicerContext) -> HeartbeatReply:
        return self._host.beat(request)

    def execute_plan(self, request: ExecutePlan, context: grpc.ServicerContext) -> Iterator[PlanEvent]:
        return self._host.execute(request)

    def cancel_jobs(self, request: CancelJobs, context: grpc.ServicerContext) -> Ack:
        return self._host.cancel(request)

    def send_broadcast(self, request: SendBroadcast, context: grpc.ServicerContext) -> Ack:
        return self._host.send_broadcast(request)

    def release_broadcast(self, request: ReleaseBroadcast, context: grpc.ServicerContext) -> Ack:
        return self._host.release_broadcast(request)

    def report_accumulators(self, request: ReportAccumulators, context: grpc.ServicerContext) -> Ack:
        return self._host.report_accumulators(request)

    def report_query(self, request: ReportQuery, context: grpc.ServicerContext) -> Ack:
        return self._host.report_query(request)

    def release_shuffle(self, request: ReleaseShuffle, context: grpc.ServicerContext) -> Ack:
        return self._host.release(request)

    def get_jobs_status(self, request: AskStatus, context: grpc.ServicerContext) -> StatusReport:
        return self._host.status(request)

    def unpersist(self, request: Unpersist, context: grpc.ServicerContext) -> Ack:
        return self._host.unpersist(request)

    def ask_stored(self, request: AskStored, context: grpc.ServicerContext) -> Stored:
        return self._host.stored(request)

    def ask_sizes(self, request: AskSizes, context: grpc.ServicerContext) -> MapSizes:
        return self._host.map_sizes(request)


def _look_into(driver: InProcessDriver) -> Look:
    """What a running job does, to look at from any thread. The engine belongs to its own thread: it looks, the caller waits."""

    def look(job: PlannedJob) -> tuple[Sequence[PlanProgress], str]:
        seen: list[tuple[Sequence[PlanProgress], str]] = []
        ready = threading.Event()
        numbers = {stage.spec.stage_id for stage in job.stages}

        def see() -> None:
            engine = driver.engine
            stages = [
                PlanProgress(StageId(each.stage_id), each.name, each.width, each.done, each.running, each.failed, "running")
                for each in engine.progress()
                if each.stage_id in numbers
            ]
            seen.append((stages, engine.waiting_reason(job.job_id) if engine.has_job(job.job_id) else ""))
            ready.set()

        driver.post(see)
        ready.wait(LOOK_TIMEOUT_S)
        return seen[0] if seen else ((), "")

    return look
