"""The settings of `driver serve`, apart from what runs it, so that its help is quick."""

from __future__ import annotations

from typing import ClassVar

from pydantic import Field

from quiver_proto.settings import DaemonSettings

DEFAULT_PORT = 7078


class DriverSettings(DaemonSettings):
    """What `driver serve` can be told."""

    daemon: ClassVar[str] = "driver"

    port: int = Field(DEFAULT_PORT, ge=0, le=65535, description="Port to listen on; 0 takes any free one.")
    master: str = Field("local[*]", description="Where jobs run: local[N], local-cluster[nodes,cores,memory] or quiver://host:port.")
    name: str = Field("driver serve", description="The application's name in the UI.")
    conf: tuple[str, ...] = Field((), description="A setting of the application, key=value; may be repeated.")
    py_files: tuple[str, ...] = Field(
        (), description="Modules, folders, .zip, .egg or .whl that clients' functions import; may be repeated."
    )
    session_timeout_s: float = Field(
        120.0, gt=0, description="Seconds of silence after which a client's jobs are cancelled and its data let go."
    )
    heartbeat_interval_s: float = Field(5.0, gt=0, description="Seconds between signs of life that clients are asked for.")
