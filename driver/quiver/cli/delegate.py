"""`quiver manager` and `quiver executor`: become the daemon. The packages don't import one another, so this process is replaced."""

from __future__ import annotations

import os
import sys
from typing import NoReturn

import click

_PASS_THROUGH = {"ignore_unknown_options": True, "allow_extra_args": True, "allow_interspersed_args": False, "help_option_names": []}


@click.command(context_settings=_PASS_THROUGH, add_help_option=False)
@click.argument("arguments", nargs=-1, type=click.UNPROCESSED)
def manager(arguments: tuple[str, ...]) -> None:
    """Start the cluster manager; takes the flags of `manager`."""
    _become("quiver_manager", arguments)


@click.command(context_settings=_PASS_THROUGH, add_help_option=False)
@click.argument("arguments", nargs=-1, type=click.UNPROCESSED)
def executor(arguments: tuple[str, ...]) -> None:
    """Start the node daemon; takes the flags of `executor`."""
    _become("quiver_executor", arguments)


def _become(package: str, arguments: tuple[str, ...]) -> NoReturn:
    sys.stdout.flush()
    os.execv(sys.executable, [sys.executable, "-P", "-m", package, *arguments])
