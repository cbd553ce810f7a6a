"""Entry points of the console scripts, and what a person sees when something goes wrong.

exit code   meaning
0           done
1           Quiver refused or failed; the message says what to try (no traceback of ours)
2           the command line was wrong
130         Ctrl-C
"""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from typing import NoReturn

import click

from quiver.cli.lazy import Lazy, LazyGroup
from quiver_proto import __version__
from quiver_proto.errors import QuiverError

INTERRUPTED = 130

_DRIVER = {
    "run": Lazy("quiver.cli.submit:run", "Run a program against a cluster or on this machine."),
    "serve": Lazy("quiver.cli.serve:serve", "Host sessions: many Python clients share one driver."),
}
_QUIVER = {
    "driver": Lazy("quiver.cli.entry:driver_group", "The driver: run a program, or serve remote clients."),
    "manager": Lazy("quiver.cli.delegate:manager", "Start the cluster manager."),
    "executor": Lazy("quiver.cli.delegate:executor", "Start the node daemon, which launches executors."),
    "submit": Lazy("quiver.cli.submit:run", "The same as `quiver driver run`."),
    "demo": Lazy("quiver.cli.demo:demo", "Word count on a small cluster started for the purpose."),
    "doctor": Lazy("quiver.cli.doctor:doctor", "Check this machine and say what to mend."),
    "status": Lazy("quiver.cli.status:status", "Show a cluster's nodes, applications and executors."),
}


@click.group(cls=LazyGroup, lazy=_DRIVER, name="driver")
@click.version_option(__version__, prog_name="driver", message="Quiver %(version)s")
def driver_group() -> None:
    """Plan and schedule applications.

    `driver run app.py` runs one program; `driver serve` hosts many clients of one application.
    """


@click.group(cls=LazyGroup, lazy=_QUIVER, name="quiver")
@click.version_option(__version__, prog_name="quiver", message="Quiver %(version)s")
def quiver_group() -> None:
    """A distributed data engine in Python.

    Begin with `quiver doctor`, then `quiver demo`, then `quiver submit your_program.py`.
    """


def main(arguments: Sequence[str] | None = None) -> NoReturn:
    """`quiver`. Exits the process."""
    run_command(quiver_group, "quiver", sys.argv[1:] if arguments is None else arguments)


def driver(arguments: Sequence[str] | None = None) -> NoReturn:
    """`driver`. Exits the process."""
    run_command(driver_group, "driver", sys.argv[1:] if arguments is None else arguments)


def run_command(command: click.Command, name: str, arguments: Sequence[str]) -> NoReturn:
    """Run `command` and exit with the code of the table above."""
    try:
        # Outside standalone mode click returns the code of an Exit; our commands themselves return nothing.
        code = command.main(list(arguments), prog_name=name, standalone_mode=False) or 0
    except click.ClickException as problem:
        problem.show()
        code = problem.exit_code
    except (click.Abort, KeyboardInterrupt):
        click.echo("Interrupted.", err=True)
        code = INTERRUPTED
    except QuiverError as error:
        click.echo(f"Error: {error}", err=True)
        code = 1
    except BrokenPipeError:
        # Whoever read our output has gone (`| head`); the interpreter must not try to flush into it again.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        code = 1
    sys.exit(code)
