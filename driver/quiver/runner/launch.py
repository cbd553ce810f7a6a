"""From a master URL to a driver: the one seam between the API and everything that runs."""

from __future__ import annotations

import logging
import os
import random
import re
import secrets
import sys
from typing import TYPE_CHECKING, Protocol

from quiver.plan.model import Driver
from quiver.runner.masters import Inline, Local, LocalCluster, RemoteDriver, Standalone, parse_master
from quiver.scheduler.model import Policy
from quiver.skew import SkewPolicy
from quiver_proto import __version__
from quiver_proto.discovery import discover
from quiver_proto.errors import BadSetting
from quiver_proto.events import ApplicationStarted
from quiver_proto.ids import new_application_id
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
from quiver_proto.units import parse_memory

if TYPE_CHECKING:
    from quiver.progress import ConsoleProgress
    from quiver.runner.inprocess import Application, InProcessDriver
    from quiver.runner.local import SupervisorLink

log = logging.getLogger("quiver.driver")

_DURATION = re.compile(r"\s*(\d+(?:\.\d+)?)\s*(ms|s|m|min|h|d)?\s*", re.IGNORECASE)
_DURATION_UNITS = {"ms": 1e-3, "s": 1.0, "m": 60.0, "min": 60.0, "h": 3600.0, "d": 86400.0}
UI_PORT = 4040
UI_DELAY_S = 1.0
SWEEP_DELAY_S = 2.0


class Settings(Protocol):
    """What `connect` needs of a Conf. `get` answers None where a key is not set."""

    def get(self, key: str, /) -> str | None: ...

    def getAll(self) -> list[tuple[str, str]]: ...


def connect(master: str, app_name: str, conf: Settings) -> Driver:
    """Start what `master` names and return the driver, ready for jobs.

    Raises BadMasterUrl, BadSetting, BadMemoryString, ManagerUnreachable, AuthenticationFailed, IncompatibleVersions,
    ResourcesUnavailable.
    """
    where = parse_master(master)
    match where:
        case RemoteDriver():
            from quiver.serve.client import RemoteDriver as Client

            return Client(where.address, app_name, conf)
        case Inline():
            return _inline(master, app_name, conf)
        case Local():
            return _local(where, master, app_name, conf)
        case LocalCluster() | Standalone():
            from quiver.runner.standalone import start_standalone

            return start_standalone(where, master, app_name, conf)


def event_log_dir(conf: Settings) -> str:
    """`quiver.eventLog.dir`, by default `~/.quiver/events`."""
    given = conf.get("quiver.eventLog.dir") or conf.get("spark.eventLog.dir")
    return os.path.expanduser(given) if given else os.path.expanduser("~/.quiver/events")


def application(master: str, app_name: str, conf: Settings, default_parallelism: int, max_failures: int | None) -> Application:
    """The application's fixed facts, from its settings."""
    from quiver.runner.inprocess import Application

    failures = max_failures if max_failures is not None else integer(conf, "spark.task.maxFailures", 4)
    is_local = isinstance(parse_master(master), Local | Inline)
    policy = Policy(
        max_task_failures=failures,
        max_stage_attempts=integer(conf, "spark.stage.maxConsecutiveAttempts", 4),
        locality_wait_s=seconds(conf, "spark.locality.wait", 3.0),
        no_progress_limit_s=seconds(conf, "quiver.job.noProgressLimit", 120.0),
        # In local mode no other executors will come.
        unsuitable_limit_s=0.0 if is_local else Policy().unsuitable_limit_s,
        barrier_slots_limit_s=0.0 if is_local else _barrier_slots_limit(conf),
        barrier_sync_timeout_s=seconds(conf, "spark.barrier.sync.timeout", 365 * 86400.0),
    )
    try:
        policy.validate()
    except ValueError as error:
        raise BadSetting("spark.task.maxFailures", str(failures), str(error)) from None
    limit = parse_memory(
        conf.get("quiver.driver.maxResultSize") or conf.get("spark.driver.maxResultSize") or "1g", "quiver.driver.maxResultSize"
    )
    parallelism = integer(conf, "spark.default.parallelism", default_parallelism)
    if parallelism < 1:
        raise BadSetting("spark.default.parallelism", str(parallelism), "must be at least 1")
    skew = SkewPolicy(
        integer(conf, "quiver.skew.factor", 5), parse_memory(conf.get("quiver.skew.thresholdBytes") or "64m", "quiver.skew.thresholdBytes")
    )
    return Application(new_application_id(), app_name, master, parallelism, limit, policy, secrets.token_urlsafe(32), skew=skew)


def _barrier_slots_limit(conf: Settings) -> float:
    """Seconds that slots for a barrier stage are waited for."""
    prefix = "spark.scheduler.barrier.maxConcurrentTasksCheck."
    return seconds(conf, prefix + "interval", 15.0) * integer(conf, prefix + "maxFailures", 1)


def integer(conf: Settings, key: str, default: int) -> int:
    """A whole number. Raises BadSetting."""
    text = conf.get(key)
    if text is None:
        return default
    try:
        return int(text)
    except ValueError:
        raise BadSetting(key, text, "must be a whole number") from None


def seconds(conf: Settings, key: str, default: float) -> float:
    """A duration such as `3s`, `500ms`, `2min`, or a bare number of seconds. Raises BadSetting."""
    text = conf.get(key)
    if text is None:
        return default
    match = _DURATION.fullmatch(text)
    if match is None:
        raise BadSetting(key, text, "must be a duration such as 3s, 500ms or 2min")
    return float(match[1]) * _DURATION_UNITS[(match[2] or "s").lower()]


def flag(conf: Settings, key: str, default: bool) -> bool:
    """`true` or `false`. Raises BadSetting."""
    text = conf.get(key)
    if text is None:
        return default
    if text.lower() not in ("true", "false"):
        raise BadSetting(key, text, "must be true or false")
    return text.lower() == "true"


def python_path(conf: Settings) -> tuple[str, ...]:
    """Where slots look for modules after their own path: the application's files, then the driver's path, as far as it exists there."""
    files = [os.path.abspath(path) for path in (conf.get("spark.submit.pyFiles") or "").split(",") if path and "://" not in path]
    return tuple(dict.fromkeys([*files, *(os.path.abspath(path) for path in sys.path)]))


def executor_environment(conf: Settings) -> dict[str, str]:
    """`spark.executorEnv.NAME` settings: environment variables of executors."""
    prefix = "spark.executorEnv."
    return {key.removeprefix(prefix): value for key, value in conf.getAll() if key.startswith(prefix)}


def hash_seed(conf: Settings) -> int:
    """PYTHONHASHSEED of all slots: as set for executors, else as this process has it, else a random one.

    With a fixed one, keys of text go to the same partitions in every run.
    """
    given = conf.get("spark.executorEnv.PYTHONHASHSEED") or os.environ.get("PYTHONHASHSEED") or "random"
    return int(given) if given.isdigit() and int(given) < 2**32 else random.SystemRandom().randrange(1, 2**32)


def announce(driver: InProcessDriver, conf: Settings) -> None:
    """Open the event log, and take the UI's port where the UI is wanted."""
    driver.events.append(started(driver.application, conf, driver.started_at))
    if not flag(conf, "spark.ui.enabled", True):
        return
    from quiver.runner.webui import WebUi

    port = integer(conf, "spark.ui.port", UI_PORT)
    ui = WebUi(driver.events.path, port)
    if ui.moved:
        log.warning("port %d is in use: the UI listens on %d", port, ui.port)
    driver.ui_url = ui.url
    driver.on_stop(ui.stop)
    driver.loop.call_later(UI_DELAY_S, ui.start)
    log.info("UI at %s", ui.url)


def started(app: Application, conf: Settings, at: float) -> ApplicationStarted:
    import getpass
    import platform
    import socket

    properties = {key: "(redacted)" if names_a_secret(key) else value for key, value in conf.getAll()}
    runtime = {"python": platform.python_version(), "executable": sys.executable, "platform": platform.platform()}
    return ApplicationStarted(
        at, app.application_id, app.name, getpass.getuser(), app.master, __version__, os.getpid(), socket.gethostname(), properties, runtime
    )


def console_progress(conf: Settings) -> ConsoleProgress | None:
    """A progress bar where a person would see it."""
    if not sys.stderr.isatty() or not flag(conf, "spark.ui.showConsoleProgress", True):
        return None
    from quiver.progress import ConsoleProgress

    return ConsoleProgress()


def work_dir_root(conf: Settings) -> str:
    """`quiver.local.dir`, by default `<tmp>/quiver-<user>`."""
    from quiver.runner.workdir import default_root

    given = conf.get("quiver.local.dir") or conf.get("spark.local.dir")
    return os.path.expanduser(given) if given else default_root()


def executor_memory(conf: Settings, default: int) -> int:
    """`spark.executor.memory` in bytes."""
    text = conf.get("spark.executor.memory")
    return default if text is None else parse_memory(text, "spark.executor.memory")


def local_memory() -> int:
    """What an executor in the driver's process tree may use, in bytes: three quarters of the machine's memory."""
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") * 3 // 4


def _inline(master: str, app_name: str, conf: Settings) -> Driver:
    from quiver.runner.inline import InlineDriver
    from quiver.runner.workdir import WorkDir

    app = application(master, app_name, conf, default_parallelism=1, max_failures=1)
    work_dir = WorkDir(work_dir_root(conf), app.application_id)
    driver = InlineDriver(app, event_log_dir(conf), work_dir.blocks, executor_memory(conf, local_memory()), conf)
    driver.events.append(started(app, conf, driver.started_at))
    driver.on_stop(work_dir.close)
    return driver


def _local(where: Local, master: str, app_name: str, conf: Settings) -> Driver:
    from quiver.runner.inprocess import InProcessDriver
    from quiver.runner.local import start_local_executor
    from quiver.runner.workdir import WorkDir

    app = application(master, app_name, conf, default_parallelism=where.cores, max_failures=where.max_failures)
    work_dir = WorkDir(work_dir_root(conf), app.application_id)
    driver = InProcessDriver(app, event_log_dir(conf), console_progress(conf))
    driver.on_stop(work_dir.sweep)
    driver.on_stop(work_dir.close)
    driver.make_broadcast_dir = lambda: work_dir.path

    def report(message: FromExecutor) -> None:
        match message:
            case TasksEnded():
                driver.engine.tasks_ended(message)
                driver.after_step()
            case BarrierArrived():
                driver.engine.barrier_arrived(message)
            case BlocksChanged():
                driver.engine.blocks_changed(message)
                driver.after_step()
            case BroadcastRemoved():
                driver.engine.broadcasts.removed(message.executor_id, message.broadcast_id)
            case ExecutorHeartbeat():
                driver.engine.heartbeat(message)
            case ExecutorHello() | Drained():
                pass

    link: SupervisorLink = start_local_executor(
        driver.loop,
        report,
        application_id=app.application_id,
        cores=where.cores,
        memory_bytes=executor_memory(conf, local_memory()),
        blocks_dir=work_dir.blocks,
        log_dir=work_dir.logs,
        python_path=python_path(conf),
        environment=executor_environment(conf),
        resources=discover(dict(conf.getAll()), "executor"),
        hash_seed=hash_seed(conf),
        quota_bytes=parse_memory(conf.get("quiver.local.quota") or "0", "quiver.local.quota") if conf.get("quiver.local.quota") else 0,
        storage_fraction=float(conf.get("quiver.storage.memoryFraction") or 0.5),
        eviction=conf.get("quiver.storage.eviction") or "lru",
    )
    announce(driver, conf)
    driver.engine.executor_added(link)
    driver.loop.call_later(SWEEP_DELAY_S, work_dir.sweep)
    driver.start()
    return driver
