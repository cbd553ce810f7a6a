"""The gRPC edge of `driver serve`: binds, authenticates, and passes calls on to the host."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor

import grpc

from quiver.plan.model import PlannedJob
from quiver.runner.inprocess import InProcessDriver
from quiver.serve.host import MOST_JOBS, SessionHost
from quiver_proto import versions
from quiver_proto.auth import RequireToken, TlsFiles
from quiver_proto.cluster import Ack, HeartbeatReply, Hello, HelloReply
from quiver_proto.errors import PortInUse
from quiver_proto.rpc import CHANNEL_OPTIONS, add_service
from quiver_proto.services import DriverService
from quiver_proto.sessions import (
    CancelJobs,
    CloseSession,
    ExecutePlan,
    OpenSession,
    PlanEvent,
    PlanProgress,
    ReleaseShuffle,
    SessionHeartbeat,
    SessionOpened,
)

log = logging.getLogger("quiver.serve")

SWEEP_INTERVAL_S = 1.0
LOOK_TIMEOUT_S = 5.0
_SPARE_THREADS = 64


class DriverServer:
    """Serves one driver until `stop`. `port` is the one that is bound (0 in: any free one). Raises PortInUse, BadSetting."""

    def __init__(
        self,
        driver: InProcessDriver,
        host: str,
        port: int,
        secret: str,
        tls: TlsFiles | None,
        conf: Mapping[str, str],
        session_timeout_s: float,
        heartbeat_interval_s: float,
    ) -> None:
        self._driver = driver
        # Every running job holds a thread, and calls that end jobs must always find one.
        self._server = grpc.server(
            ThreadPoolExecutor(MOST_JOBS + _SPARE_THREADS, thread_name_prefix="serve"),
            interceptors=[RequireToken(secret)],
            options=(*CHANNEL_OPTIONS, ("grpc.so_reuseport", 0)),
        )
        self.port = _bind(self._server, host, port, tls)
        self.address = f"{host}:{self.port}"
        self.host = SessionHost(driver, self._look, time.monotonic, self.address, conf, session_timeout_s, heartbeat_interval_s)
        add_service(self._server, DriverService, _Service(self.host, driver.application.name))
        self._stopping = threading.Event()
        self._sweeper = threading.Thread(target=self._sweep, name="serve-sweep", daemon=True)

    def start(self) -> None:
        self._server.start()
        self._sweeper.start()

    def stop(self, grace_s: float) -> None:
        """Take no new calls; give those that run `grace_s` seconds, then end them. Twice does nothing more."""
        self._stopping.set()
        self._server.stop(grace_s).wait()
        if self._sweeper.is_alive():
            self._sweeper.join()

    def _sweep(self) -> None:
        while not self._stopping.wait(SWEEP_INTERVAL_S):
            self.host.sweep()

    def _look(self, job: PlannedJob) -> tuple[Sequence[PlanProgress], str]:
        # The engine belongs to its own thread: it looks, this thread waits for what it saw.
        seen: list[tuple[Sequence[PlanProgress], str]] = []
        ready = threading.Event()
        numbers = {stage.spec.stage_id for stage in job.stages}

        def look() -> None:
            engine = self._driver.engine
            stages = [
                PlanProgress(each.stage_id, each.name, each.width, each.done, each.running, each.failed, "running")
                for each in engine.progress()
                if each.stage_id in numbers
            ]
            seen.append((stages, engine.waiting_reason(job.job_id) if engine.has_job(job.job_id) else ""))
            ready.set()

        self._driver.post(look)
        ready.wait(LOOK_TIMEOUT_S)
        return seen[0] if seen else ((), "")


class _Service:
    """The methods of quiver_proto.services.DriverService."""

    def __init__(self, host: SessionHost, name: str) -> None:
        self._host = host
        self._name = name

    def handshake(self, request: Hello, context: grpc.ServicerContext) -> HelloReply:
        mine = versions.local_versions()
        versions.check(f"{request.role} {request.name}", mine, request.versions)
        return HelloReply(self._name, mine)

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

    def release_shuffle(self, request: ReleaseShuffle, context: grpc.ServicerContext) -> Ack:
        return self._host.release(request)


def _bind(server: grpc.Server, host: str, port: int, tls: TlsFiles | None) -> int:
    address = f"{host}:{port}"
    try:
        bound = server.add_secure_port(address, tls.server_credentials()) if tls else server.add_insecure_port(address)
    except RuntimeError:
        bound = 0
    if not bound:
        raise PortInUse(host, port)
    return int(bound)
