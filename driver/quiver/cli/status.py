"""`quiver status`: what a manager knows."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Sequence
from dataclasses import asdict

import click

from quiver_proto.cluster_status import ClusterStatus, GetStatus
from quiver_proto.units import format_bytes, format_seconds


@click.command()
@click.option("--manager", metavar="URL", help="quiver://host:port. Else QUIVER_MASTER, else quiver://127.0.0.1:7077.")
@click.option(
    "--secret-file", metavar="FILE", default="", help="The cluster's secret. Else QUIVER_SECRET, QUIVER_SECRET_FILE, ~/.quiver/secret."
)
@click.option("--tls-ca", metavar="FILE", default="", help="PEM certificates that are trusted to sign the manager's.")
@click.option("--json", "as_json", is_flag=True, help="Print everything as JSON.")
def status(manager: str | None, secret_file: str, tls_ca: str, as_json: bool) -> None:
    """Show a cluster's nodes, applications and executors."""
    url = manager or _from_environment() or "quiver://127.0.0.1:7077"
    answer = ask(url, secret_file, tls_ca)
    click.echo(json.dumps(asdict(answer), indent=2, default=str) if as_json else as_text(url, answer, time.time()))


def ask(url: str, secret_file: str = "", tls_ca: str = "") -> ClusterStatus:
    """Raises BadMasterUrl, BadSetting, ManagerUnreachable, AuthenticationFailed."""
    from quiver.runner.masters import Standalone, parse_master
    from quiver_proto.auth import TlsFiles, find_secret
    from quiver_proto.errors import BadMasterUrl
    from quiver_proto.rpc import Client
    from quiver_proto.services import Manager

    where = parse_master(url)
    if not isinstance(where, Standalone):
        raise BadMasterUrl(url, "a manager's address is quiver://host:port")
    with Client(where.address, "manager", find_secret(secret_file), TlsFiles("", "", tls_ca) if tls_ca else None) as client:
        return client.call(Manager.GET_STATUS, GetStatus(), timeout_s=5.0)


def as_text(url: str, answer: ClusterStatus, now: float) -> str:
    """Three tables, or what to do where one would be empty."""
    up = format_seconds(max(0.0, now - answer.started_at))
    parts = [f"Manager {url} · Quiver {answer.versions.get('quiver', '?')} · up {up}", ""]
    nodes = [
        (
            node.node_id, node.host, node.state, f"{node.cores_used}/{node.cores}",
            f"{format_bytes(node.memory_used_bytes)}/{format_bytes(node.memory_bytes)}", f"{format_seconds(node.last_heartbeat_age_s)} ago",
        )
        for node in answer.nodes
    ]  # fmt: skip
    parts += _section(
        "Nodes", ("node", "host", "state", "cores used", "memory used", "last heard"), nodes, f"none; start some: executor --manager {url}"
    )
    applications = [
        (
            app.application_id, app.name, app.user, app.state, f"{app.executors}/{app.executors_wanted}", str(app.cores), str(app.jobs),
            format_seconds(max(0.0, now - app.started_at)),
        )
        for app in answer.applications
    ]  # fmt: skip
    parts += _section(
        "Applications",
        ("application", "name", "user", "state", "executors", "cores", "jobs", "running for"),
        applications,
        f"none; run one: driver run --master {url} app.py",
    )
    parts += [f"  {app.application_id} waits: {app.waiting_reason}" for app in answer.applications if app.waiting_reason]
    executors = [(e.executor_id, e.node_id, e.state, str(e.cores), format_bytes(e.memory_bytes), e.address) for e in answer.executors]
    parts += _section("Executors", ("executor", "node", "state", "cores", "memory", "address"), executors, "none")
    return "\n".join(parts).rstrip()


def _section(title: str, header: Sequence[str], rows: Sequence[Sequence[str]], empty: str) -> list[str]:
    if not rows:
        return [f"{title}: {empty}", ""]
    widths = [max(len(row[i]) for row in (header, *rows)) for i in range(len(header))]
    lines = ["  " + "  ".join(cell.ljust(width) for cell, width in zip(row, widths)).rstrip() for row in (header, *rows)]
    return [f"{title} ({len(rows)})", *lines, ""]


def _from_environment() -> str | None:
    url = os.environ.get("QUIVER_MASTER", "")
    return url if url.startswith("quiver://") else None
