"""The manager's settings."""

from __future__ import annotations

from typing import ClassVar, Self

from pydantic import Field, model_validator

from quiver_manager.model import Policy
from quiver_proto.auth import state_dir
from quiver_proto.settings import DaemonSettings

_DEFAULTS = Policy()


class ManagerSettings(DaemonSettings):
    """What the manager can be told; the limits are those of `quiver_manager.model.Policy`."""

    daemon: ClassVar[str] = "manager"

    port: int = Field(7077, ge=0, le=65535, description="Port to listen on; 0 takes any free one.")
    journal: str = Field(
        "", description="SQLite file that nodes and applications are journalled in. [default: ~/.quiver/manager/journal-PORT.db]"
    )
    heartbeat_interval_s: float = Field(
        _DEFAULTS.heartbeat_interval_s, description="Seconds between the signs of life of nodes and drivers."
    )
    node_timeout_s: float = Field(_DEFAULTS.node_timeout_s, description="Seconds of silence after which a node is lost.")
    application_timeout_s: float = Field(
        _DEFAULTS.application_timeout_s, description="Seconds of silence after which an application whose driver's stream broke is over."
    )
    recovery_s: float = Field(
        _DEFAULTS.recovery_s, ge=0, description="Seconds that nodes and drivers have to come back after the manager's restart."
    )
    no_node_limit_s: float = Field(
        _DEFAULTS.no_node_limit_s, ge=0, description="Seconds after which an application fails when no node has registered."
    )
    never_fits_limit_s: float = Field(
        _DEFAULTS.never_fits_limit_s, ge=0, description="Seconds after which an application fails that asks for more than any node has."
    )
    launch_timeout_s: float = Field(_DEFAULTS.launch_timeout_s, gt=0, description="Seconds that an executor may take to start.")
    max_launch_failures: int = Field(
        _DEFAULTS.max_launch_failures, description="Launches that may fail in a row before an application gets no more executors."
    )
    max_executor_deaths: int = Field(
        _DEFAULTS.max_executor_deaths, description="Executors that may die within five minutes before they are not replaced any more."
    )

    @model_validator(mode="after")
    def _limits_agree(self) -> Self:
        self.policy().validate()
        return self

    def policy(self) -> Policy:
        return Policy(
            heartbeat_interval_s=self.heartbeat_interval_s,
            node_timeout_s=self.node_timeout_s,
            application_timeout_s=self.application_timeout_s,
            recovery_s=self.recovery_s,
            no_node_limit_s=self.no_node_limit_s,
            never_fits_limit_s=self.never_fits_limit_s,
            launch_timeout_s=self.launch_timeout_s,
            max_launch_failures=self.max_launch_failures,
            max_executor_deaths=self.max_executor_deaths,
        )

    @property
    def journal_path(self) -> str:
        return self.journal or str(state_dir() / "manager" / f"journal-{self.port}.db")
