"""Settings that can't be used; daemons, executors and ports that can't be had."""

from __future__ import annotations

from quiver_proto.errors.base import QuiverError


class ConfigurationError(QuiverError, ValueError):
    """A setting can't be used; the message names it, its value and a value that would do."""

    def __init__(self, message: str) -> None:
        super().__init__(message, message)


class BadMasterUrl(ConfigurationError):
    def __init__(self, url: str, problem: str = "unknown form") -> None:
        QuiverError.__init__(
            self,
            f"master URL {url!r}: {problem}. Use one of: inline, local, local[N], local[*], local-cluster[nodes,cores,memory], "
            "quiver://host:port, quiver-driver://host:port.",
            url,
            problem,
        )


class BadMemoryString(ConfigurationError):
    def __init__(self, text: str, where: str) -> None:
        QuiverError.__init__(
            self, f"{where}: {text!r} is not an amount of memory. Write a positive number with a unit, such as 512m or 4g.", text, where
        )


class BadSetting(ConfigurationError):
    def __init__(self, name: str, value: str, problem: str) -> None:
        QuiverError.__init__(self, f"setting {name}={value!r}: {problem}", name, value, problem)


class ConnectionFailed(QuiverError, ConnectionError):
    """The other side could not be reached, or refused us."""

    def __init__(self, message: str) -> None:
        super().__init__(message, message)


class ManagerUnreachable(ConnectionFailed):
    def __init__(self, address: str, problem: str) -> None:
        QuiverError.__init__(
            self,
            f"no manager answers at {address} ({problem}). Is `manager` running there? Start one with `manager --host HOST --port PORT`, "
            "or check the address with `quiver status --manager URL`.",
            address,
            problem,
        )


class DriverUnreachable(ConnectionFailed):
    def __init__(self, address: str, problem: str) -> None:
        QuiverError.__init__(
            self, f"no driver answers at {address} ({problem}). Start one there with `driver serve --port PORT`.", address, problem
        )


class AuthenticationFailed(ConnectionFailed):
    def __init__(self, address: str, problem: str) -> None:
        QuiverError.__init__(
            self,
            f"{address} refused the secret ({problem}). Give the cluster's secret with QUIVER_SECRET, or the file that holds it with "
            "--secret-file or QUIVER_SECRET_FILE.",
            address,
            problem,
        )


class IncompatibleVersions(ConnectionFailed):
    """`rows` are (component, ours, theirs, "ok" or "differs"), as shown in the message."""

    def __init__(self, peer: str, rows: list[list[str]]) -> None:
        widths = [max(len(str(row[i])) for row in [["component", "here", "there", ""], *rows]) for i in range(4)]
        lines = [
            "  " + "  ".join(str(cell).ljust(w) for cell, w in zip(row, widths)).rstrip()
            for row in [["component", "here", "there", ""], *rows]
        ]
        QuiverError.__init__(
            self,
            f"{peer} runs versions that can't work with ours:\n" + "\n".join(lines) + "\nInstall the same versions on both sides.",
            peer,
            rows,
        )


class MalformedMessage(QuiverError):
    """The bytes are not what a peer should have sent: another protocol version, or not Quiver at all."""

    def __init__(self, kind: str, problem: str) -> None:
        super().__init__(f"a {kind} can't be decoded: {problem}. Do both sides run the same version of Quiver?", kind, problem)


class PortInUse(QuiverError, OSError):
    def __init__(self, host: str, port: int) -> None:
        super().__init__(
            f"port {port} on {host} is in use. Stop what listens there, or choose another with --port (0 takes any free one).", host, port
        )


class ResourcesUnavailable(QuiverError):
    """No node can ever give what was asked for, or none did within the limit."""

    def __init__(self, wanted: str, available: str, advice: str) -> None:
        super().__init__(f"{wanted} can't be had: {available}. {advice}", wanted, available, advice)


class ExecutorLaunchFailed(ResourcesUnavailable):
    def __init__(self, node: str, reason: str, log: str) -> None:
        QuiverError.__init__(
            self, f"an executor could not be launched on {node}: {reason}." + (f" Its log ends:\n{log}" if log else ""), node, reason, log
        )
