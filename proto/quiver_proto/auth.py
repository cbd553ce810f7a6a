"""The cluster's secret, the tokens made from it, and the gRPC interceptor that refuses every call without one.

Manager, node daemons and drivers of a cluster know its secret. Driver and executors of one application show one another a token
that anyone with the secret can make (`application_token`) and that tells nothing of it: a process that runs users' code never
holds the secret. TLS is one option more; without it, secret and tokens cross the network as they are, so use it between machines.
"""

from __future__ import annotations

import hashlib
import hmac
import os
import secrets
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import grpc

from quiver_proto.errors import BadSetting
from quiver_proto.ids import ApplicationId
from quiver_proto.private_files import create_private, read_private
from quiver_proto.private_files import state_dir as state_dir

TOKEN_KEY = "quiver-token"
"""The metadata key under which a caller shows its secret or token."""

_SHORTEST = 16
"""Characters that a secret must have at least."""


def find_secret(secret_file: str = "", *, create: bool = False, environ: Mapping[str, str] = os.environ) -> str:
    """The cluster's secret: from `secret_file`, else QUIVER_SECRET, else the file QUIVER_SECRET_FILE, else `state_dir()/secret`.

    `create` makes a missing file with a new secret and mode 0600. Raises BadSetting, naming where it looked, when there is none,
    when it is short, or when others may read a file of ours.
    """
    if not secret_file and environ.get("QUIVER_SECRET"):
        return _checked(environ["QUIVER_SECRET"].strip(), "QUIVER_SECRET")
    source = "--secret-file" if secret_file else "QUIVER_SECRET_FILE" if environ.get("QUIVER_SECRET_FILE") else "secret file"
    path = Path(secret_file or environ.get("QUIVER_SECRET_FILE") or state_dir(environ) / "secret").expanduser()
    if create:
        create_private(path, new_secret)
    try:
        text = read_private(path, source)
    except FileNotFoundError:
        raise BadSetting(
            source,
            str(path),
            "no such file. The manager makes one at its first start; copy it here, or set QUIVER_SECRET or --secret-file",
        ) from None
    return _checked(text, f"{source} {path}")


def new_secret() -> str:
    """256 random bits, printable."""
    return secrets.token_urlsafe(32)


def application_token(secret: str, application_id: ApplicationId) -> str:
    """The token of one application: the same wherever the secret is known, so nobody needs to store it."""
    return hmac.new(secret.encode(), b"quiver application " + application_id.encode(), hashlib.sha256).hexdigest()


def same(shown: str, expected: str) -> bool:
    """Compares in constant time. An empty expected token is never matched."""
    return bool(expected) and hmac.compare_digest(shown.encode(), expected.encode())


def _checked(secret: str, source: str) -> str:
    if len(secret) < _SHORTEST:
        raise BadSetting(source, "***", f"a secret has at least {_SHORTEST} characters; this one has {len(secret)}")
    if not secret.isascii() or not secret.isprintable() or " " in secret:
        raise BadSetting(source, "***", "a secret is printable ASCII without spaces")
    return secret


class RequireToken(grpc.ServerInterceptor):  # type: ignore[type-arg]
    """Refuses every call, of known and unknown methods alike, that does not show the token. ValueError for an empty one."""

    def __init__(self, token: str) -> None:
        if not token:
            raise ValueError("a server must have a token to require")
        self._token = token

    def intercept_service(
        self, continuation: Callable[[grpc.HandlerCallDetails], Any], handler_call_details: grpc.HandlerCallDetails
    ) -> Any:
        shown = [value for key, value in handler_call_details.invocation_metadata or () if key == TOKEN_KEY]
        if len(shown) == 1 and isinstance(shown[0], str) and same(shown[0], self._token):
            return continuation(handler_call_details)
        return _refuse_wrong if shown else _refuse_none


def _refusal(problem: str) -> Any:
    def refuse(_: Any, context: grpc.ServicerContext) -> None:
        context.abort(grpc.StatusCode.UNAUTHENTICATED, problem)

    # A stream-stream handler refuses calls of every kind before it has read a message.
    return grpc.stream_stream_rpc_method_handler(refuse)


_refuse_none, _refuse_wrong = _refusal("no secret was shown"), _refusal("not the right one")


@dataclass(frozen=True, slots=True)
class TlsFiles:
    """PEM files. A server shows `cert`; a client trusts what `ca` has signed. Who the client is, the secret says."""

    cert: str
    key: str
    ca: str

    def server_credentials(self) -> grpc.ServerCredentials:
        """Raises BadSetting when a file can't be read."""
        return grpc.ssl_server_credentials([(_pem(self.key, "--tls-key"), _pem(self.cert, "--tls-cert"))])

    def channel_credentials(self) -> grpc.ChannelCredentials:
        """Raises BadSetting when a file can't be read."""
        return grpc.ssl_channel_credentials(root_certificates=_pem(self.ca, "--tls-ca"))


def _pem(path: str, name: str) -> bytes:
    try:
        data = Path(path).expanduser().read_bytes()
    except OSError as problem:
        raise BadSetting(name, path, f"can't be read: {problem}") from None
    if b"-----BEGIN" not in data:
        raise BadSetting(name, path, "is not a PEM file")
    return data
