"""What the node daemon can be told."""

from __future__ import annotations

import getpass
import re
import tempfile
from pathlib import Path
from typing import ClassVar

from pydantic import Field, field_validator

from quiver_executor.machine import available_cores, available_memory
from quiver_proto.auth import TlsFiles
from quiver_proto.errors import BadSetting
from quiver_proto.settings import DaemonSettings, MemoryBytes
from quiver_proto.units import parse_memory

_MANAGER = re.compile(r"(?:quiver://)?([^/\s:]+|\[[0-9a-fA-F:]+\]):(\d{1,5})/?")


def _default_local_dir() -> str:
    return str(Path(tempfile.gettempdir()) / f"quiver-{getpass.getuser()}" / "nodes")


class NodeSettings(DaemonSettings):
    """Flags, environment (`QUIVER_EXECUTOR_*`) and the table `[executor]` of the TOML file."""

    daemon: ClassVar[str] = "executor"

    manager: str = Field("127.0.0.1:7077", description="The cluster's manager, quiver://HOST:PORT, or @FILE: the port file that it writes.")
    cores: int = Field(default_factory=available_cores, ge=1, description="Cores for executors.")
    memory: MemoryBytes = Field(
        default_factory=available_memory, description="Memory for executors, such as 4g; without it the machine's (or cgroup's), less 1g."
    )
    local_dir: str = Field(
        default_factory=_default_local_dir,
        description="Directory for blocks and logs; what a killed daemon left in it is removed at start.",
    )
    block_port: int = Field(0, ge=0, le=65535, description="Port of the block server; 0 takes any free one.")
    quota: str = Field("", description="Most bytes of blocks per application, such as 100g. [default: no limit]")
    label: tuple[str, ...] = Field((), description="KEY=VALUE, told to the manager; may be repeated.")
    launch_limit_s: float = Field(60.0, gt=0, description="Seconds that an executor may take until it is up.")
    driver_gone_limit_s: float = Field(60.0, gt=0, description="Seconds that an executor stays without its driver.")
    keep_logs: int = Field(20, ge=0, description="How many ended applications' executor logs are kept.")

    @field_validator("manager")
    @classmethod
    def _manager_address(cls, text: str) -> str:
        if text.startswith("@"):
            return text
        match = _MANAGER.fullmatch(text)
        if match is None or not 0 < int(match[2]) < 65536:
            raise ValueError("must be quiver://HOST:PORT or @FILE")
        return f"{match[1]}:{match[2]}"

    @field_validator("quota")
    @classmethod
    def _quota_is_memory(cls, text: str) -> str:
        if text:
            parse_memory(text)
        return text

    @field_validator("label")
    @classmethod
    def _pairs(cls, labels: tuple[str, ...]) -> tuple[str, ...]:
        for label in labels:
            if not label.partition("=")[0] or "=" not in label:
                raise ValueError(f"{label!r} is not KEY=VALUE")
        return labels

    def manager_address(self) -> str | None:
        """`host:port`; None while the manager's port file is not there. Raises BadSetting when it holds something else."""
        if not self.manager.startswith("@"):
            return self.manager
        try:
            text = Path(self.manager[1:]).expanduser().read_text().strip()
        except FileNotFoundError:
            return None
        except OSError as problem:
            raise BadSetting("--manager", self.manager, f"can't be read: {problem.strerror}") from None
        if _MANAGER.fullmatch(text) is None:
            raise BadSetting("--manager", self.manager, f"holds {text!r}, which is not HOST:PORT")
        return text.removeprefix("quiver://").rstrip("/")

    @property
    def tls_paths(self) -> TlsFiles:
        """Absolute, for processes with another working directory; each "" without TLS."""
        return TlsFiles(*(str(Path(path).expanduser().absolute()) if path else "" for path in (self.tls_cert, self.tls_key, self.tls_ca)))

    @property
    def labels(self) -> dict[str, str]:
        return {key: value for key, _, value in (label.partition("=") for label in self.label)}
