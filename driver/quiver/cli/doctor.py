"""`quiver doctor`: look at this machine and say what to mend."""

from __future__ import annotations

import json
import os
import sys
import tempfile
import time

import click

from quiver.cli import checks, observe
from quiver.cli.checks import Finding

UI_PORT = 4040
MANAGER_PORT = 7077
RELEASED_AT = 1_735_689_600.0
"""2025-01-01: no clock that is right shows an earlier time."""


@click.command()
@click.option("--manager", metavar="URL", help="Ask this manager too (quiver://host:port).")
@click.option("--secret-file", metavar="FILE", help="The cluster's secret. Else QUIVER_SECRET_FILE, else ~/.quiver/secret.")
@click.option("--local-dir", metavar="DIR", help="Where blocks will be written (quiver.local.dir). Else the temporary directory.")
@click.option("--json", "as_json", is_flag=True, help="Print the findings as JSON.")
def doctor(manager: str | None, secret_file: str | None, local_dir: str | None, as_json: bool) -> None:
    """Check this machine and say what to mend. Exit code 1 when something is broken."""
    findings = examine(manager, secret_file, local_dir)
    if as_json:
        click.echo(json.dumps(checks.as_json(findings), indent=2))
    else:
        click.echo(checks.as_text(findings))
        click.echo("\nSomething is broken: see FAIL above." if checks.broken(findings) else "\nReady.  Try: quiver demo")
    if checks.broken(findings):
        sys.exit(1)


def examine(manager: str | None = None, secret_file: str | None = None, local_dir: str | None = None) -> list[Finding]:
    """All findings, in the order in which they are shown."""
    findings = [checks.check_python(*observe.python())]
    for requirement in observe.requirements():
        name = checks.requirement_name(requirement)
        version = observe.installed_version(name)
        findings.append(checks.check_requirement(requirement, version, observe.import_error(name) if version is not None else ""))
    findings.append(_port(UI_PORT, "the web UI", moves=True))
    findings.append(_port(MANAGER_PORT, "the manager", moves=False))
    temporary = tempfile.gettempdir()
    for purpose, path in dict.fromkeys([("local dir", local_dir or temporary), ("temporary dir", temporary)]):
        findings.append(_directory(purpose, path))
    findings.append(checks.check_memory(*observe.memory(), observe.cgroup_memory_limit()))
    findings.append(checks.check_shm(*observe.shm()))
    told = observe.manager(manager, secret_file or "") if manager is not None else None
    findings.append(checks.check_clock(observe.monotonic_readings(), time.time(), RELEASED_AT, told.skew_s if told else None))
    findings.append(checks.check_open_files(*observe.open_file_limits()))
    secret = observe.secret(secret_file or os.environ.get("QUIVER_SECRET_FILE") or observe.default_secret_path())
    findings.append(checks.check_secret(secret.path, secret.mode, secret.owner, os.getuid()))
    if manager is not None and told is not None:
        findings.append(checks.check_manager(manager, told.error, told.nodes, told.cores))
    return findings


def _port(port: int, purpose: str, *, moves: bool) -> Finding:
    free = observe.port_is_free(port)
    return checks.check_port(port, purpose, free, None if free else observe.next_free_port(port), moves)


def _directory(purpose: str, path: str) -> Finding:
    problem = observe.directory_problem(path)
    return checks.check_directory(purpose, path, problem, 0 if problem else observe.free_bytes(path))
