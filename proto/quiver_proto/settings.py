"""One frozen settings object per daemon, from flags, environment, a TOML file and defaults, in this order of precedence.

A daemon's settings are a subclass of DaemonSettings: a field is a flag (`--drain-timeout-s`), a variable
(`QUIVER_MANAGER_DRAIN_TIMEOUT_S`) and a key of the file's table `[manager]` (`drain-timeout-s`), and its description is the help
text. `command` makes the command line, `table` the page in the docs; there is no second list of settings anywhere.
"""

from __future__ import annotations

import os
import socket
import tomllib
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal, NamedTuple, Self, TypeVar

import click
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError, model_validator
from pydantic.fields import FieldInfo
from pydantic_core import PydanticUndefined

from quiver_proto.auth import TlsFiles
from quiver_proto.errors import BadMemoryString, BadSetting, QuiverError
from quiver_proto.units import format_bytes, parse_memory

MemoryBytes = Annotated[int, BeforeValidator(parse_memory)]
"""A field given as `512m` or `4g`."""

_ANY = ("0.0.0.0", "::")


class DaemonSettings(BaseModel):
    """What every daemon can be told."""

    model_config = ConfigDict(frozen=True, extra="forbid", validate_default=True)
    daemon: ClassVar[str] = "daemon"

    host: str = Field("127.0.0.1", description="Address to listen on. 0.0.0.0 is every interface; a secret is required on any.")
    port: int = Field(0, ge=0, le=65535, description="Port to listen on; 0 takes any free one.")
    advertise_host: str = Field(
        "", description="Name or address under which others reach this machine. [default: --host, or the host name]"
    )
    port_file: str = Field("", description="Write the address that was chosen (host:port) to this file once it listens.")
    pid_file: str = Field("", description="Write the process id to this file.")
    secret_file: str = Field(
        "", description="File with the cluster's secret. [default: $QUIVER_SECRET, $QUIVER_SECRET_FILE, or ~/.quiver/secret]"
    )
    tls_cert: str = Field("", description="PEM certificate to show; with --tls-key and --tls-ca all traffic is encrypted.")
    tls_key: str = Field("", description="PEM private key of --tls-cert.")
    tls_ca: str = Field("", description="PEM certificates that are trusted to sign others'.")
    log_level: Literal["debug", "info", "warning", "error"] = Field("info", description="Least severity that is logged.")
    log_format: Literal["text", "json"] = Field("text", description="One readable line an entry, or one JSON object.")
    drain_timeout_s: float = Field(20.0, ge=0, description="Seconds that SIGTERM waits for running work before it ends anyway.")

    @model_validator(mode="after")
    def _tls_is_whole(self) -> Self:
        given = [bool(self.tls_cert), bool(self.tls_key), bool(self.tls_ca)]
        if any(given) and not all(given):
            raise ValueError("--tls-cert, --tls-key and --tls-ca go together")
        return self

    @property
    def tls(self) -> TlsFiles | None:
        """None: no TLS."""
        return TlsFiles(self.tls_cert, self.tls_key, self.tls_ca) if self.tls_cert else None

    @property
    def public_host(self) -> str:
        """Where others reach a listener on `host`."""
        return self.advertise_host or (socket.getfqdn() if self.host in _ANY else self.host)


class Given(NamedTuple):
    """A setting's value and where it came from, for the message when it can't be used."""

    value: Any
    source: str


SettingsType = TypeVar("SettingsType", bound=DaemonSettings)


def flag_name(field: str) -> str:
    """`drain_timeout_s` -> `--drain-timeout-s`."""
    return "--" + field.replace("_", "-")


def environment_name(kind: type[DaemonSettings], field: str) -> str:
    """`QUIVER_MANAGER_PORT`."""
    return f"QUIVER_{kind.daemon}_{field}".upper().replace("-", "_")


def load(
    kind: type[SettingsType],
    flags: Mapping[str, Any],
    environ: Mapping[str, str] = os.environ,
    config: str = "",
) -> SettingsType:
    """The settings, each from the first of `flags` (None: not given), the environment, the file and the default that has it.

    `config` is the path of the TOML file, else the variable QUIVER_<DAEMON>_CONFIG. Raises BadSetting (or BadMemoryString), which
    names the flag and where the value came from.
    """
    given = _from_file(kind, config, environ)
    for field, info in kind.model_fields.items():
        name = environment_name(kind, field)
        if name in environ:
            text = environ[name]
            given[field] = Given([part for part in text.split(",") if part] if _is_list(info) else text, name)
    given |= {field: Given(value, "") for field, value in flags.items() if value is not None and value != ()}
    try:
        return kind.model_validate({field: value for field, (value, _) in given.items()})
    except ValidationError as error:
        raise _explained(error, given) from None


def _from_file(kind: type[DaemonSettings], config: str, environ: Mapping[str, str]) -> dict[str, Given]:
    path = config or environ.get(environment_name(kind, "config"), "")
    if not path:
        return {}
    source = "--config" if config else environment_name(kind, "config")
    try:
        content = tomllib.loads(Path(path).expanduser().read_text())
    except (OSError, UnicodeDecodeError) as problem:
        raise BadSetting(source, path, f"can't be read: {problem}") from None
    except tomllib.TOMLDecodeError as problem:
        raise BadSetting(source, path, f"is not TOML: {problem}") from None
    section = content.get(kind.daemon, {})
    if not isinstance(section, dict):
        raise BadSetting(source, path, f"[{kind.daemon}] must be a table of settings")
    given = {}
    for key, value in section.items():
        field = key.replace("-", "_")
        if field not in kind.model_fields:
            raise BadSetting(f"{key} in {path}", str(value), f"[{kind.daemon}] has no such setting; see {kind.daemon} --help")
        given[field] = Given(value, path)
    return given


def _explained(error: ValidationError, given: Mapping[str, Given]) -> QuiverError:
    first = error.errors()[0]
    problem = str(first["msg"]).removeprefix("Value error, ")
    if not first["loc"]:
        return BadSetting("command line", "", problem)
    field = str(first["loc"][0])
    found = given.get(field) or Given(first["input"], "its default")
    name = flag_name(field) + (f" ({found.source})" if found.source else "")
    if isinstance(first.get("ctx", {}).get("error"), BadMemoryString):
        return BadMemoryString(str(found.value), name)
    return BadSetting(name, str(found.value), problem[:1].lower() + problem[1:])


def _is_list(info: FieldInfo) -> bool:
    return str(info.annotation).startswith(("tuple", "list"))


def _default_text(info: FieldInfo) -> str:
    default = info.get_default(call_default_factory=True, validated_data={})
    if _is_size(info) and isinstance(default, int):
        return format_bytes(default)
    return "" if default in ("", (), PydanticUndefined) else str(default).lower() if isinstance(default, bool) else str(default)


def _metavar(info: FieldInfo) -> str:
    kinds = {"int": "N", "float": "SECONDS", "str": "TEXT"}
    if _is_size(info):
        return "SIZE"
    return kinds.get(getattr(info.annotation, "__name__", ""), "TEXT")


def _is_size(info: FieldInfo) -> bool:
    return any(isinstance(mark, BeforeValidator) for mark in info.metadata)


def table(kind: type[DaemonSettings]) -> str:
    """The settings as a Markdown table, in the order in which they are declared."""
    rows = ["| flag | environment | default | meaning |", "|---|---|---|---|"]
    for field, info in kind.model_fields.items():
        rows.append(f"| `{flag_name(field)}` | `{environment_name(kind, field)}` | {_default_text(info)} | {info.description} |")
    return "\n".join(rows)


def command(kind: type[SettingsType], run: Callable[[SettingsType], int], help_text: str) -> click.Command:
    """The daemon's command line. A setting that can't be used is told in one line and exits with 2; else `run`'s result is the code."""

    def callback(config: str | None, **flags: Any) -> None:
        try:
            settings = load(kind, flags, config=config or "")
            code = run(settings)
        except QuiverError as error:
            click.echo(f"{kind.daemon}: {error}", err=True)
            raise SystemExit(2 if isinstance(error, (BadSetting, BadMemoryString)) else 1) from None
        raise SystemExit(code)

    options: list[click.Parameter] = [
        click.Option(
            ["--config"],
            metavar="FILE",
            help=f"TOML file; settings are keys of its table [{kind.daemon}]. Flags win over environment, environment over file.",
        )
    ]
    options += [_option(field, info) for field, info in kind.model_fields.items()]
    epilog = f"Every flag is also an environment variable: --port is {environment_name(kind, 'port')}. Lists are separated by commas there."
    return click.Command(kind.daemon, callback=callback, params=options, help=help_text, epilog=epilog)


def _option(field: str, info: FieldInfo) -> click.Option:
    default = _default_text(info)
    text = (info.description or "") + (f" [default: {default}]" if default else "")
    if info.annotation is bool:
        return click.Option([f"{flag_name(field)}/--no-{field.replace('_', '-')}", field], default=None, help=text)
    choices = getattr(info.annotation, "__args__", ()) if "Literal" in str(info.annotation) else ()
    metavar = "|".join(choices) if choices else _metavar(info)
    return click.Option([flag_name(field), field], metavar=metavar, help=text, multiple=_is_list(info), default=None)
