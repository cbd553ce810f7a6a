"""Errors keep their type across an RPC: a QuiverError travels as JSON in the trailing metadata of a gRPC status."""

from __future__ import annotations

import json
import logging
from typing import Any, NoReturn

import grpc

from quiver_proto.errors import (
    AuthenticationFailed,
    ConfigurationError,
    ConnectionFailed,
    DriverUnreachable,
    IncompatibleVersions,
    JobCancelled,
    ManagerUnreachable,
    QuiverError,
    ResourcesUnavailable,
    from_wire,
    to_wire,
)

METADATA_KEY = "quiver-error-bin"
_MAX_TEXT = 16_384
"""Characters kept of a field, so that a status fits into HTTP/2 headers (`rpc.CHANNEL_OPTIONS` allow 1 MiB)."""

_log = logging.getLogger("quiver.rpc")

_STATUS: tuple[tuple[type[QuiverError], grpc.StatusCode], ...] = (
    (AuthenticationFailed, grpc.StatusCode.UNAUTHENTICATED),
    (IncompatibleVersions, grpc.StatusCode.FAILED_PRECONDITION),
    (ConfigurationError, grpc.StatusCode.INVALID_ARGUMENT),
    (ResourcesUnavailable, grpc.StatusCode.RESOURCE_EXHAUSTED),
    (JobCancelled, grpc.StatusCode.CANCELLED),
)


def dump_fields(error: QuiverError) -> tuple[str, str]:
    """(code, fields in JSON), as messages carry it. Long texts are cut."""
    code, fields = to_wire(error)
    return code, json.dumps([_short(field) for field in fields])


def load_fields(code: str, fields: str) -> QuiverError:
    """The inverse of `dump_fields`."""
    return from_wire(code, tuple(json.loads(fields)))


def status_of(error: QuiverError) -> grpc.StatusCode:
    """The gRPC status under which an error travels."""
    return next((status for kind, status in _STATUS if isinstance(error, kind)), grpc.StatusCode.ABORTED)


def abort(context: grpc.ServicerContext, error: BaseException) -> NoReturn:
    """End the call with the error: a QuiverError keeps its type, anything else is logged here and told as its text. Raises."""
    if isinstance(error, QuiverError):
        code, fields = dump_fields(error)
        context.set_trailing_metadata(((METADATA_KEY, json.dumps([code, fields]).encode()),))
        context.abort(status_of(error), _ascii(error.message)[:1024])
    _log.exception("a call failed", exc_info=error)
    context.abort(grpc.StatusCode.INTERNAL, _ascii(f"{type(error).__name__}: {error}")[:1024])
    raise AssertionError("abort returned")


def error_from(problem: grpc.RpcError, address: str, peer: str) -> QuiverError:
    """What a failed call means to its caller. `peer` is manager, driver, node or executor: what should answer at `address`."""
    call: Any = problem
    for key, value in call.trailing_metadata() or ():
        if key == METADATA_KEY:
            return load_fields(*json.loads(value))
    status, text = call.code(), call.details() or ""
    match status:
        case grpc.StatusCode.UNAUTHENTICATED:
            return AuthenticationFailed(address, text or "not accepted")
        case grpc.StatusCode.UNAVAILABLE:
            return unreachable(peer, address, _plain(text))
        case grpc.StatusCode.DEADLINE_EXCEEDED:
            return unreachable(peer, address, "no answer in time")
        case grpc.StatusCode.UNIMPLEMENTED:
            return ConnectionFailed(f"what answers at {address} is not a Quiver {peer}, or one of another version ({text})")
        case grpc.StatusCode.CANCELLED:
            return ConnectionFailed(f"the call to the {peer} at {address} was cancelled")
    return QuiverError(f"the {peer} at {address} failed: {status.name}: {text}")


def unreachable(peer: str, address: str, problem: str) -> ConnectionFailed:
    """No such peer answers at `address`."""
    if peer == "manager":
        return ManagerUnreachable(address, problem)
    if peer == "driver":
        return DriverUnreachable(address, problem)
    return ConnectionFailed(f"no {peer} answers at {address} ({problem})")


def _plain(text: str) -> str:
    """gRPC's account of a failed connection, without its own internals."""
    for known in ("Connection refused", "Socket closed", "Name or service not known", "Domain name not found", "timed out"):
        if known.lower() in text.lower():
            return known.lower()
    return text.splitlines()[0] if text else "not reachable"


def _short(field: Any) -> Any:
    return field[-_MAX_TEXT:] if isinstance(field, str) else field


def _ascii(text: str) -> str:
    return text.encode("ascii", "replace").decode()
