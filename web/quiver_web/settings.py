"""How the web process is started: its command line."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import dataclass

DEFAULT_PORT = 4040


@dataclass(frozen=True, slots=True)
class WebSettings:
    """File descriptors are inherited ones, None where there is none. `hosts`: further names the UI may be reached by."""

    log: str
    host: str
    port: int
    fd: int | None
    token_fd: int | None
    token_file: str | None
    lifeline: int | None
    keep: bool
    hosts: frozenset[str]
    root_path: str


def parse(arguments: Sequence[str] | None = None) -> WebSettings:
    """From the command line; ends the process with status 2 when it makes no sense."""
    parser = argparse.ArgumentParser(
        prog="python -m quiver_web",
        description="The web UI and REST API of one event log, while its application runs or later.",
    )
    parser.add_argument("--log", required=True, metavar="FILE", help="the event log, <application id>.jsonl")
    parser.add_argument("--host", default="127.0.0.1", help="the address to listen on (default: 127.0.0.1)")
    where = parser.add_mutually_exclusive_group()
    where.add_argument("--port", type=_port, default=DEFAULT_PORT, help=f"the port to listen on; 0: any free one (default: {DEFAULT_PORT})")
    where.add_argument("--fd", type=int, metavar="N", help="an inherited socket that listens already")
    token = parser.add_mutually_exclusive_group()
    token.add_argument("--token-fd", type=int, metavar="N", help="an inherited file descriptor to read the token from")
    token.add_argument("--token-file", metavar="FILE", help="a file that holds the token; without one a token is made and told")
    parser.add_argument("--lifeline", type=int, metavar="N", help="an inherited pipe: when its other end is closed, the driver is gone")
    parser.add_argument("--keep", action="store_true", help="stay when the driver is gone")
    parser.add_argument("--allow-host", action="append", default=[], metavar="NAME", help="a further host name to answer to")
    parser.add_argument("--root-path", default="", metavar="PATH", help="the prefix that a proxy passes on instead of cutting it off")
    given = parser.parse_args(arguments)
    hosts = {name.lower() for name in given.allow_host}
    return WebSettings(
        given.log, given.host, given.port, given.fd, given.token_fd, given.token_file, given.lifeline, given.keep, frozenset(hosts),
        given.root_path,
    )  # fmt: skip


def _port(text: str) -> int:
    number = int(text)
    if not 0 <= number <= 65535:
        raise argparse.ArgumentTypeError(f"{text} is not a port (0 to 65535)")
    return number
