"""Typed errors over a real channel, and no method that answers without the token."""

from __future__ import annotations

import socket

import grpc
import pytest

from quiver_proto import cluster as c
from quiver_proto import errors, services
from quiver_proto.auth import RequireToken
from quiver_proto.cluster_status import GetStatus
from quiver_proto.rpc import Client, add_service, open_channel
from quiver_proto.services import BothStream, Manager, Method, Node, ServerStream, Unary, methods_of
from quiver_proto.serving import listen

TOKEN = "a-token-of-enough-length"


class Anything:
    """Implements every service; `result` is returned, or raised where it is an exception."""

    def __init__(self):
        self.result = c.Ack()
        self.calls = []

    def __getattr__(self, name):
        if name.startswith("_"):
            raise AttributeError(name)

        def serve(request, context):
            self.calls.append(name)
            if isinstance(self.result, BaseException):
                raise self.result
            return self.result

        return serve


@pytest.fixture(scope="module")
def edge():
    implementation = Anything()
    server, port = listen("127.0.0.1", 0, TOKEN, [(service, implementation) for service in services.SERVICES])
    server.start()
    implementation._address = f"127.0.0.1:{port}"
    yield implementation
    server.stop(None).wait()


@pytest.fixture
def manager(edge):
    edge.calls.clear()
    edge.result = c.Ack()
    with Client(edge._address, "manager", TOKEN) as client:
        yield client


QUIVER_ERRORS = [
    errors.ResourcesUnavailable("--executor-memory 64g", "the largest of 1 node has 4 GiB", "Ask for less."),
    errors.ExecutorLaunchFailed("node-a", "exit code 1", "ImportError: no module x"),
    errors.IncompatibleVersions("the manager", [["python", "3.11.7", "3.12.1", "differs"]]),
    errors.BadSetting("--cores", "0", "must be positive"),
    errors.JobCancelled(3, "asked by Ölaf"),
    errors.FetchFailed(1, 2, 3, "node-a", "checksum"),
    errors.QuotaExceeded("/tmp", 2_000, 1_000),
    errors.ManagerUnreachable("h:1", "it is ending"),
]


@pytest.mark.parametrize("error", QUIVER_ERRORS, ids=lambda error: error.code)
def test_an_error_keeps_its_type_fields_and_text(edge, manager, error):
    edge.result = error
    with pytest.raises(type(error)) as caught:
        manager.call(Manager.SUBMIT_JOB, c.SubmitJob("app", 1, ()))
    assert type(caught.value) is type(error)
    assert caught.value.fields == error.fields
    assert str(caught.value) == str(error)


def test_an_error_in_a_stream_keeps_its_type(edge, manager):
    edge.result = errors.NoProgress(1, "no node has registered", 30.0)
    with pytest.raises(errors.NoProgress):
        list(manager.stream(Manager.WATCH_APPLICATION, c.WatchApplication("app")))


def test_a_log_tail_of_any_length_does_not_break_the_status(edge, manager):
    edge.result = errors.ExecutorLaunchFailed("node-a", "exit code 1", "line\n" * 100_000)
    with pytest.raises(errors.ExecutorLaunchFailed) as caught:
        manager.call(Manager.GET_STATUS, GetStatus())
    assert 1_000 < len(caught.value.fields[2]) < 100_000


def test_an_unexpected_error_is_told_as_its_text(edge, manager, caplog):
    edge.result = ZeroDivisionError("division by zero")
    with pytest.raises(errors.QuiverError, match="ZeroDivisionError: division by zero"):
        manager.call(Manager.GET_STATUS, GetStatus())
    assert "a call failed" in caplog.text


def _call_raw(address: str, method: Method, metadata: tuple[tuple[str, str], ...]) -> grpc.StatusCode:
    """The status of a call that does not go through our client."""
    with open_channel(address) as channel:
        make = {Unary: channel.unary_unary, ServerStream: channel.unary_stream, BothStream: channel.stream_stream}[type(method)]
        call = make(method.path, request_serializer=bytes, response_deserializer=bytes)
        request = iter([b""]) if isinstance(method, BothStream) else b""
        try:
            reply = call(request, metadata=metadata, timeout=120)
            if not isinstance(method, Unary):
                list(reply)
        except grpc.RpcError as problem:
            return problem.code()
        return grpc.StatusCode.OK


EVERY_METHOD = [method for service in services.SERVICES for method in methods_of(service)]
UNKNOWN = Unary("Manager", "NoSuchMethod", GetStatus, c.Ack)


@pytest.mark.parametrize("metadata", [(), (("quiver-token", "wrong"),), (("quiver-token", ""),), (("authorization", TOKEN),)], ids=str)
def test_no_method_answers_without_the_token(edge, metadata):
    edge.calls.clear()
    statuses = {method.path: _call_raw(edge._address, method, metadata) for method in [*EVERY_METHOD, UNKNOWN]}
    assert set(statuses.values()) == {grpc.StatusCode.UNAUTHENTICATED}, statuses
    assert edge.calls == []


def test_the_same_calls_do_arrive_with_the_token(edge):
    edge.calls.clear()
    edge.result = errors.NoProgress(1, "", 0)  # any typed error: it shows that the handler ran
    metadata = (("quiver-token", TOKEN),)
    unary = [method for method in EVERY_METHOD if not isinstance(method, BothStream)]
    assert {_call_raw(edge._address, method, metadata) for method in unary} == {grpc.StatusCode.ABORTED}
    assert edge.calls == [method.handler for method in unary]


def test_two_tokens_are_no_token(edge):
    both = (("quiver-token", TOKEN), ("quiver-token", "wrong"))
    assert _call_raw(edge._address, Manager.GET_STATUS, both) is grpc.StatusCode.UNAUTHENTICATED


def test_a_wrong_secret_is_an_authentication_failure_that_names_the_address(edge):
    with Client(edge._address, "manager", "not the secret") as client, pytest.raises(errors.AuthenticationFailed, match=edge._address):
        client.call(Manager.GET_STATUS, GetStatus())


def test_a_closed_client_fails_as_if_nobody_answered(edge):
    client = Client(edge._address, "manager", TOKEN)
    client.close()
    with pytest.raises(errors.ManagerUnreachable, match="this client is closed"):
        client.call(Manager.GET_STATUS, GetStatus())
    with pytest.raises(errors.ManagerUnreachable, match="this client is closed"):
        client.stream(Manager.WATCH_APPLICATION, c.WatchApplication("app"))


def test_a_server_without_a_token_is_impossible():
    with pytest.raises(ValueError, match="must have a token"):
        RequireToken("")
    with pytest.raises(ValueError, match="must have a token"):
        listen("127.0.0.1", 0, "", [])


def test_an_implementation_that_lacks_a_method_is_refused_at_once():
    class Half:
        def handshake(self, request, context): ...

    server = grpc.server(None)
    with pytest.raises(TypeError, match="Half lacks launch_executor"):
        add_service(server, Node, Half())


@pytest.mark.parametrize(
    ("peer", "kind"), [("manager", errors.ManagerUnreachable), ("driver", errors.DriverUnreachable), ("node", errors.ConnectionFailed)]
)
def test_nobody_there(peer, kind):
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{closed.getsockname()[1]}"  # Bound without listening: nobody else gets it meanwhile.
        with Client(address, peer, TOKEN) as client, pytest.raises(kind, match="connection refused"):
            client.call(Manager.GET_STATUS, GetStatus())


def test_a_cancelled_stream_just_ends(edge, manager):
    import threading

    opened, over = threading.Event(), threading.Event()

    def forever():
        opened.set()
        over.wait(120)
        yield c.ClusterEvent("app", 1, c.NodeGone("n", ""))

    edge.result = forever()
    stream = manager.stream(Manager.WATCH_APPLICATION, c.WatchApplication("app"))
    got = []
    reader = threading.Thread(target=lambda: got.extend(stream))
    reader.start()
    assert opened.wait(120)
    stream.cancel()
    reader.join(120)
    over.set()
    assert not reader.is_alive()
    assert got == []
