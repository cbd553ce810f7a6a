"""`quiver demo`: word count through a manager and two node daemons, started for the purpose and stopped after it."""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING

import click

from quiver.cli.tally import tally
from quiver_proto.errors import ConfigurationError, PathNotFound
from quiver_proto.units import format_seconds

if TYPE_CHECKING:
    from quiver.runner.local_cluster import RunningCluster

NODES = 2
NODE_MEMORY = 1 << 30
"""Bytes."""
EXECUTOR_MEMORY = "512m"
_UI_LINE = re.compile(r"UI: (http://([^:/]+):(\d+)/\?token=([\w-]+))\s*$")
_TOLD_LIMIT_S = 5.0
_END_LIMIT_S = 10.0


@click.command()
@click.option("--text", metavar="PATH", envvar="TEXT", help="A file, folder or glob to count. [default: Python's own standard library]")
@click.option("--keep", is_flag=True, envvar="KEEP", help="Keep the UI until Ctrl-C.")
def demo(text: str | None, keep: bool) -> None:
    """Word count on a small cluster started for the purpose: a manager and two node daemons on this machine."""
    from quiver.runner.local_cluster import RunningCluster

    program = find_program()
    if text and not os.path.exists(text) and not re.search(r"[*?\[]", text):
        raise PathNotFound(text, text)
    cores = max(1, len(os.sched_getaffinity(0)) // NODES)
    with _terminated_like_ctrl_c():
        click.echo(f"Starting a manager and {NODES} node daemons ({cores} core{'s' if cores > 1 else ''}, 1 GiB each) ...")
        cluster = RunningCluster(NODES, cores, NODE_MEMORY)
        try:
            _run(cluster, program, text, keep)
        except _ProgramFailed:
            click.echo(where_to_look(dead_daemons(cluster.pids), _kept_logs(cluster)), err=True)
            raise
        finally:
            cluster.stop()


class _Terminated(KeyboardInterrupt):
    """SIGTERM, which only we have got."""


class _ProgramFailed(click.exceptions.Exit):
    """The program has told what is wrong; its exit code becomes ours."""


def find_program() -> str:
    """`examples/wordcount.py` of this checkout, or the copy that was installed. Raises ConfigurationError."""
    package = Path(__file__).resolve().parents[1]
    for place in (package.parents[1] / "examples" / "wordcount.py", package / "examples" / "wordcount.py"):
        if place.exists():
            return str(place)
    raise ConfigurationError("examples/wordcount.py is missing; install Quiver again, or run the demo from a clone.")


def parse_ui_line(line: str) -> tuple[str, str, int, str] | None:
    """(address, host, port, token) in the line by which the program tells its UI's address; None for any other line."""
    match = _UI_LINE.match(line)
    return None if match is None else (match[1], match[2], int(match[3]), match[4])


def _run(cluster: RunningCluster, program: str, text: str | None, keep: bool) -> None:
    events = cluster.directory / "events"
    command = [
        *(sys.executable, "-P", "-m", "quiver.cli", "submit", "--quiet", "--master", cluster.url, "--executor-memory", EXECUTOR_MEMORY),
        *("--conf", f"quiver.secret.file={cluster.directory / 'secret'}", "--conf", f"quiver.eventLog.dir={events}"),
        *(program, *([text] if text else [])),
    ]
    click.echo(f"$ driver run --master {cluster.url} {os.path.relpath(program)}" + (f" {text}\n" if text else "\n"))
    started = time.monotonic()
    ui = _follow(command)
    took = time.monotonic() - started
    log = next(events.glob("*.jsonl"))
    with open(log, encoding="utf-8") as lines:
        click.echo(f"\n{tally(lines)} (with start-up and end: {format_seconds(took)})")
    if keep and ui is not None:
        _keep_ui(log, *ui)


def _follow(command: list[str]) -> tuple[str, int, str] | None:
    """Run the program, passing its output on; (host, port, token) of its UI. Raises _ProgramFailed."""
    ui = None
    clean = {key: value for key, value in os.environ.items() if not key.startswith("QUIVER_")}
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env={**clean, "PYTHONUNBUFFERED": "1"})
    try:
        assert process.stdout is not None
        for line in process.stdout:
            found = parse_ui_line(line)
            if found is None:
                click.echo(line, nl=False)
            else:
                ui = found[1:]
                click.echo(f"Watch it at {found[0]}\n")
        code = process.wait()
    except KeyboardInterrupt as interrupt:
        _end(process, told=not isinstance(interrupt, _Terminated))
        raise
    finally:
        if process.poll() is None:
            process.kill()
        process.wait()
        if process.stdout is not None:
            process.stdout.close()
    if code == 128 + signal.SIGINT:
        raise KeyboardInterrupt
    if code != 0:
        raise _ProgramFailed(code if code > 0 else 1)
    return ui


def _end(process: subprocess.Popen[str], told: bool) -> None:
    """Wait for the program to end. `told`: it may have had the terminal's Ctrl-C, as we had; a second would break off its tidying."""
    for limit_s in (_TOLD_LIMIT_S,) * told + (_END_LIMIT_S,):
        if not told:
            process.send_signal(signal.SIGINT)
        told = False
        try:
            process.wait(limit_s)
            return
        except subprocess.TimeoutExpired:
            continue
    process.kill()


def _keep_ui(log: Path, host: str, port: int, token: str) -> None:
    """The finished application's page, at the address that it had, until Ctrl-C."""
    from quiver.runner.webui import WebUi

    ui = WebUi(str(log), port, host)
    ui.token = token
    ui.start()
    try:
        click.echo(f"\nThe UI stays at http://{host}:{ui.port}/?token={token} until Ctrl-C.")
        signal.pause()
    except KeyboardInterrupt:
        click.echo()
    finally:
        ui.stop()


def dead_daemons(pids: Mapping[str, int]) -> list[str]:
    """Names of child processes that have ended, without reaping them."""
    return [name for name, pid in pids.items() if os.waitid(os.P_PID, pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is not None]


def where_to_look(dead: Sequence[str], logs: Mapping[str, Path]) -> str:
    """Which log to read first: that of a daemon that has ended, if one has."""
    lines = [""]
    lines += [f"The {name} daemon has ended. Read {logs[name]}" if name in logs else f"The {name} daemon has ended." for name in dead]
    if not dead:
        lines.append("All daemons were running. Their logs:")
    lines += [f"  {path}" for name, path in sorted(logs.items()) if name not in dead]
    return "\n".join([*lines, "`quiver doctor` checks this machine."])


def _kept_logs(cluster: RunningCluster) -> dict[str, Path]:
    """Copies of all logs, by name without suffix, where they outlive the cluster."""
    folder = Path(tempfile.mkdtemp(prefix="quiver-demo-logs-"))
    kept: dict[str, Path] = {}
    for log in sorted(cluster.directory.rglob("*.log")):
        copy = folder / "-".join(log.relative_to(cluster.directory).parts)
        shutil.copyfile(log, copy)
        kept[copy.stem] = copy
    return kept


@contextmanager
def _terminated_like_ctrl_c() -> Iterator[None]:
    """Within the block SIGTERM ends the demo as Ctrl-C does: everything is stopped."""

    def interrupt(number: int, frame: FrameType | None) -> None:
        raise _Terminated

    before = signal.signal(signal.SIGTERM, interrupt)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)
