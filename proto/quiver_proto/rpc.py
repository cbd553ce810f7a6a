"""gRPC with dataclasses and typed errors at both ends: a server for plain objects, a client for `services` methods.

Server: `add_service(server, services.Manager, implementation)`, where `implementation.register_node(request, context)` takes and
gives dataclasses and may raise any QuiverError. Client: `Client(address, "manager", token).call(Manager.REGISTER_NODE, request)`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Any, Generic, TypeVar, cast

import grpc

from quiver_proto import codec
from quiver_proto.auth import TOKEN_KEY, TlsFiles
from quiver_proto.services import BothStream, Method, ServerStream, Unary, methods_of
from quiver_proto.wire_errors import abort, error_from, unreachable

Request = TypeVar("Request")
Reply = TypeVar("Reply")

CHANNEL_OPTIONS: tuple[tuple[str, int], ...] = (
    ("grpc.max_send_message_length", -1),
    ("grpc.max_receive_message_length", -1),
    ("grpc.max_metadata_size", 1 << 20),
    ("grpc.absolute_max_metadata_size", 1 << 20),
)
_CLIENT_OPTIONS = (
    *CHANNEL_OPTIONS,
    ("grpc.enable_http_proxy", 0),
    ("grpc.keepalive_time_ms", 20_000),
    ("grpc.keepalive_timeout_ms", 20_000),
    ("grpc.http2.max_pings_without_data", 0),
    ("grpc.initial_reconnect_backoff_ms", 100),
    ("grpc.min_reconnect_backoff_ms", 100),
    ("grpc.max_reconnect_backoff_ms", 2_000),
)


def add_service(server: grpc.Server, service: type, implementation: object) -> None:
    """Serve every method of `service` by the method of the same name in snake case. TypeError when one is missing."""
    methods = methods_of(service)
    missing = [method.handler for method in methods if not callable(getattr(implementation, method.handler, None))]
    if missing:
        raise TypeError(f"{type(implementation).__name__} lacks {', '.join(missing)} of {service.__name__}")
    handlers = {method.name: _handler(method, getattr(implementation, method.handler)) for method in methods}
    server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler(f"quiver.v1.{service.__name__}", handlers),))


def _handler(method: Method[Any, Any], serve: Callable[[Any, grpc.ServicerContext], Any]) -> grpc.RpcMethodHandler[Any, Any]:
    def one(request: Any, context: grpc.ServicerContext) -> Any:
        try:
            return serve(request, context)
        except Exception as error:
            abort(context, error)

    def many(request: Any, context: grpc.ServicerContext) -> Iterator[Any]:
        try:
            yield from serve(request, context)
        except Exception as error:
            abort(context, error)

    read, write = codec.deserializer(method.request), codec.serializer(method.reply)
    if isinstance(method, Unary):
        return grpc.unary_unary_rpc_method_handler(one, read, write)
    if isinstance(method, ServerStream):
        return grpc.unary_stream_rpc_method_handler(many, read, write)
    return grpc.stream_stream_rpc_method_handler(many, read, write)


def open_channel(address: str, tls: TlsFiles | None = None) -> grpc.Channel:
    """A channel to `host:port`: messages of any size, no HTTP proxy, quick to reconnect. Connects when first used."""
    if tls is None:
        return grpc.insecure_channel(address, options=_CLIENT_OPTIONS)
    return grpc.secure_channel(address, tls.channel_credentials(), options=_CLIENT_OPTIONS)


class Stream(Generic[Reply]):
    """Replies as they arrive. Iteration ends when the peer ends the stream, and raises the typed error when the call fails.

    `cancel` may be called from any thread; iteration then just ends.
    """

    def __init__(self, call: Any, address: str, peer: str) -> None:
        self._call, self._address, self._peer, self._cancelled = call, address, peer, False

    def __iter__(self) -> Iterator[Reply]:
        try:
            yield from self._call
        except grpc.RpcError as problem:
            if not self._cancelled:
                raise error_from(problem, self._address, self._peer) from None

    def cancel(self) -> None:
        self._cancelled = True
        self._call.cancel()


class Client:
    """Calls to one peer. Thread-safe. Every call shows `token`; every failure is a QuiverError.

    `peer` (manager, driver, node, executor) is what should answer, for the errors. Close it, or use it in a `with`.
    """

    def __init__(self, address: str, peer: str, token: str, tls: TlsFiles | None = None) -> None:
        self.address, self.peer = address, peer
        self._channel = open_channel(address, tls)
        self._metadata = ((TOKEN_KEY, token),)
        self._calls: dict[str, Any] = {}
        self._closed = False

    def call(self, method: Unary[Request, Reply], request: Request, timeout_s: float = 10.0) -> Reply:
        """Send `request` and wait for the reply, at most `timeout_s` seconds. Raises the typed error that the peer raised, or
        ManagerUnreachable, DriverUnreachable, ConnectionFailed, AuthenticationFailed."""
        call = self._callable(method, "unary_unary")
        try:
            return cast(Reply, call(request, timeout=timeout_s, metadata=self._metadata))
        except grpc.RpcError as problem:
            raise error_from(problem, self.address, self.peer) from None
        except ValueError as problem:
            raise self._after_close(problem) from None

    def stream(self, method: ServerStream[Request, Reply], request: Request) -> Stream[Reply]:
        """Send `request`; the replies come in the stream that is returned."""
        return self._begin(self._callable(method, "unary_stream"), request)

    def connect(self, method: BothStream[Request, Reply], requests: Iterable[Request]) -> Stream[Reply]:
        """Send `requests` as the iterator gives them (gRPC reads it in a thread of its own); replies come in the stream."""
        return self._begin(self._callable(method, "stream_stream"), iter(requests))

    def wait_until_reachable(self, timeout_s: float) -> None:
        """Raises ManagerUnreachable (or DriverUnreachable, ConnectionFailed) when no connection stands within `timeout_s` seconds."""
        try:
            grpc.channel_ready_future(self._channel).result(timeout=timeout_s)
        except grpc.FutureTimeoutError:
            raise unreachable(self.peer, self.address, f"no connection within {timeout_s:g} s") from None

    def close(self) -> None:
        """Ends all of its calls and streams; later ones fail as when nobody answers. Twice does nothing."""
        self._closed = True
        self._channel.close()

    def __enter__(self) -> Client:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _begin(self, call: Any, request: Any) -> Stream[Any]:
        try:
            return Stream(call(request, metadata=self._metadata), self.address, self.peer)
        except ValueError as problem:
            raise self._after_close(problem) from None

    def _after_close(self, problem: ValueError) -> Exception:
        """gRPC raises ValueError for a channel that another thread has closed."""
        return unreachable(self.peer, self.address, "this client is closed") if self._closed else problem

    def _callable(self, method: Method[Any, Any], kind: str) -> Any:
        call = self._calls.get(method.path)
        if call is None:
            make = getattr(self._channel, kind)
            call = make(
                method.path,
                request_serializer=codec.serializer(method.request),
                response_deserializer=codec.deserializer(method.reply),
            )
            self._calls[method.path] = call
        return call
