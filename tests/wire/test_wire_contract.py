"""The .proto files, the generated code, the table of services and the dataclasses agree with one another."""

from __future__ import annotations

import dataclasses
import subprocess
import sys
import typing
from pathlib import Path

import pytest

from quiver_proto import cluster, cluster_status, codec, messages, services, sessions
from quiver_proto.services import BothStream, ServerStream, Unary, methods_of
from quiver_proto.v1 import driver_pb2, executor_pb2, manager_pb2, node_pb2

_MODULES = {"Manager": manager_pb2, "Node": node_pb2, "Executor": executor_pb2, "DriverService": driver_pb2}
_UNIONS = {messages.ToExecutor: "DriverMessage", messages.FromExecutor: "ExecutorMessage"}


def test_generated_code_is_what_the_proto_files_give():
    script = Path(__file__).parents[2] / "proto" / "generate.py"
    done = subprocess.run([sys.executable, str(script), "--check"], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("service", services.SERVICES, ids=lambda service: service.__name__)
def test_every_rpc_of_the_proto_file_is_in_the_table_and_no_other(service):
    described = _MODULES[service.__name__].DESCRIPTOR.services_by_name[service.__name__].methods
    kinds = {(False, False): Unary, (False, True): ServerStream, (True, True): BothStream}
    in_proto = {
        (method.name, kinds[method.client_streaming, method.server_streaming], method.input_type.name, method.output_type.name)
        for method in described
    }
    in_table = {
        (m.name, type(m), _UNIONS.get(m.request) or m.request.__name__, _UNIONS.get(m.reply) or m.reply.__name__)
        for m in methods_of(service)
    }
    assert in_table == in_proto


def _dataclasses(module):
    return [value for value in vars(module).values() if dataclasses.is_dataclass(value) and value.__module__ == module.__name__]


@pytest.mark.parametrize(
    "kind", [*_dataclasses(cluster), *_dataclasses(cluster_status), *_dataclasses(sessions)], ids=lambda kind: kind.__name__
)
def test_a_dataclass_has_the_fields_of_its_message(kind):
    descriptor = codec._message_class(kind).DESCRIPTOR
    in_message = {field.containing_oneof.name if field.containing_oneof else field.name for field in descriptor.fields}
    assert {field.name for field in dataclasses.fields(kind)} == in_message
    for union in descriptor.oneofs_by_name:
        members = {codec._message_class(member).DESCRIPTOR.name for member in typing.get_args(typing.get_type_hints(kind)[union])}
        assert members == {field.message_type.name for field in descriptor.oneofs_by_name[union].fields}
