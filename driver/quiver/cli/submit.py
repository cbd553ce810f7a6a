"""`driver run`, also known as `quiver submit`: spark-submit's flags for Python programs."""

from __future__ import annotations

import os
import platform
import sys
from typing import Any

import click

from quiver.cli.console import speak
from quiver.cli.script import run_script
from quiver.cli.submission import assemble, environment, read_properties
from quiver_proto import __version__
from quiver_proto.secret_texts import names_a_secret

_NEEDS_JVM = {
    "--class": "names a Java class",
    "--jars": "brings Java archives",
    "--packages": "brings Java archives from Maven",
}
"""Refused: the program would count on something that isn't there."""

_NO_EFFECT = ("--repositories", "--exclude-packages", "--driver-java-options", "--driver-library-path", "--driver-class-path")
"""Accepted with a remark: they tune a JVM, and there is none."""


def _refuse(ctx: click.Context, param: click.Parameter, value: str | None) -> None:
    if value is not None:
        flag = param.opts[0]
        raise click.UsageError(f"{flag} {_NEEDS_JVM[flag]}, and Quiver has no JVM to load it. Remove the flag.", ctx)


def _remark(ctx: click.Context, param: click.Parameter, value: str | None) -> None:
    if value is not None:
        click.echo(f"Note: {param.opts[0]} has no effect: Quiver has no JVM.", err=True)


def _deploy_mode(ctx: click.Context, param: click.Parameter, value: str | None) -> None:
    if value not in (None, "client"):
        raise click.UsageError(
            f"--deploy-mode {value}: the driver runs in this process (client mode). Run this command on a machine of the cluster instead.",
            ctx,
        )


def _version(ctx: click.Context, param: click.Parameter, value: bool) -> None:
    if value and not ctx.resilient_parsing:
        from importlib.metadata import version

        click.echo(f"Quiver {__version__} · Python {platform.python_version()} · pyarrow {version('pyarrow')}")
        ctx.exit()


def _jvm_options(command: Any) -> Any:
    for flag in _NEEDS_JVM:
        command = click.option(flag, hidden=True, expose_value=False, callback=_refuse)(command)
    for flag in _NO_EFFECT:
        command = click.option(flag, hidden=True, expose_value=False, callback=_remark)(command)
    return click.option("--deploy-mode", hidden=True, expose_value=False, callback=_deploy_mode)(command)


@click.command(context_settings={"allow_interspersed_args": False})
@click.option("--master", metavar="URL", help="inline, local, local[N], local[*], local-cluster[nodes,cores,memory], quiver://host:port or "
              "quiver-driver://host:port. Else QUIVER_MASTER, else local[*].")  # fmt: skip
@click.option("--name", metavar="NAME", help="The application's name in the UI.")
@click.option("--conf", "-c", multiple=True, metavar="KEY=VALUE", help="A setting; may be repeated.")
@click.option("--properties-file", metavar="FILE", help="Settings, one `key value` a line. --conf and the flags below win.")
@click.option(
    "--py-files", multiple=True, metavar="LIST", help="Modules, folders, .zip, .egg or .whl for driver and executors, comma-separated."
)
@click.option(
    "--files",
    multiple=True,
    metavar="LIST",
    help="Files and folders for tasks, comma-separated: they find them with Files.get(name).",
)
@click.option(
    "--archives",
    multiple=True,
    metavar="LIST",
    help="Archives that tasks get unpacked, comma-separated; archive.zip#name names it.",
)
@click.option("--executor-memory", metavar="SIZE", help="Memory of an executor, for example 2g.")
@click.option("--executor-cores", metavar="N", help="Cores of an executor.")
@click.option("--num-executors", metavar="N", help="How many executors to ask for.")
@click.option("--total-executor-cores", metavar="N", help="Most cores over all executors.")
@click.option(
    "--driver-memory", metavar="SIZE", help="Accepted for spark-submit's sake: the driver takes what it needs, there is no heap to size."
)
@click.option("--quiet", "-q", is_flag=True, help="Don't tell the UI's address.")
@click.option("--verbose", "-v", is_flag=True, help="Print what will be run, with which settings.")
@click.option("--version", is_flag=True, is_eager=True, expose_value=False, callback=_version, help="Print versions and exit.")
@_jvm_options
@click.argument("script", metavar="APP.PY", type=click.Path())
@click.argument("arguments", metavar="[ARGS]...", nargs=-1, type=click.UNPROCESSED)
def run(
    master: str | None,
    name: str | None,
    conf: tuple[str, ...],
    properties_file: str | None,
    py_files: tuple[str, ...],
    files: tuple[str, ...],
    archives: tuple[str, ...],
    executor_memory: str | None,
    executor_cores: str | None,
    num_executors: str | None,
    total_executor_cores: str | None,
    driver_memory: str | None,
    quiet: bool,
    verbose: bool,
    script: str,
    arguments: tuple[str, ...],
) -> None:
    """Run APP.PY with its ARGS. A `Context()` in the program takes the settings given here.

    \b
    driver run app.py input.txt
    driver run --master quiver://host:7077 --executor-memory 2g --py-files lib.zip app.py
    """
    submission = assemble(
        script,
        arguments,
        master=master,
        name=name,
        properties=read_properties(properties_file) if properties_file else {},
        conf=conf,
        flags={
            "spark.executor.memory": executor_memory,
            "spark.executor.cores": executor_cores,
            "spark.executor.instances": num_executors,
            "spark.cores.max": total_executor_cores,
            "spark.driver.memory": driver_memory,
        },
        py_files=py_files,
        files=files,
        archives=archives,
    )
    if verbose:
        click.echo(f"Program     {submission.script} {' '.join(submission.arguments)}".rstrip(), err=True)
        click.echo(f"Master      {submission.master or os.environ.get('QUIVER_MASTER') or 'as the program says, else local[*]'}", err=True)
        for key, value in sorted(submission.conf.items()):
            hidden = "(hidden)" if names_a_secret(key) else value
            click.echo(f"Setting     {key}={hidden}", err=True)
        for root in submission.python_path:
            click.echo(f"Import from {root}", err=True)
    os.environ.update(environment(submission))
    speak(quiet)
    code = run_script(submission.script, submission.arguments, submission.python_path)
    # Exit by SystemExit, not by click, so that the program's exit handlers and threads end as under plain Python.
    sys.exit(code)
