"""Frozen dataclasses to protobuf bytes and back. With `codec_tasks` and `codec_task_ends` (the executor's stream), it alone imports
generated code.

A dataclass goes to the protobuf message of its own name, field by field by name; `_compile` looks at the types once. What a
peer of another version sends beyond our fields is dropped, what it does not send has protobuf's default.
"""

from __future__ import annotations

import dataclasses
import types
import typing
from collections.abc import Callable, Hashable, Mapping
from functools import cache
from typing import Any, TypeVar, cast

from google.protobuf.message import DecodeError, Message

from quiver_proto import messages, sessions
from quiver_proto.codec_tasks import decode_from_executor, decode_to_executor, encode_from_executor, encode_to_executor
from quiver_proto.errors import MalformedMessage
from quiver_proto.ops import CallSite
from quiver_proto.v1 import driver_pb2, manager_pb2, node_pb2

__all__ = [
    "decode",
    "decode_from_executor",
    "decode_to_executor",
    "deserializer",
    "encode",
    "encode_from_executor",
    "encode_to_executor",
    "serializer",
]  # fmt: skip

T = TypeVar("T")
_Convert = Callable[[Any], Any]
_OTHER_NAMES: dict[type, str] = {CallSite: "PlanCallSite"}
_OWN_CODEC: dict[Any, tuple[Callable[[Any], bytes], Callable[[bytes], Any]]] = {
    messages.ToExecutor: (encode_to_executor, decode_to_executor),
    messages.FromExecutor: (encode_from_executor, decode_from_executor),
}


def encode(message: Any) -> bytes:
    """The protobuf bytes of a dataclass of `cluster`, `cluster_status` or `sessions`. ValueError for a number out of int64's range."""
    return cast(bytes, _compile(cast(Hashable, type(message)))[1](message).SerializeToString())


def decode(kind: type[T], data: bytes) -> T:
    """The inverse of `encode`. Raises MalformedMessage."""
    message_class, _, from_message = _compile(cast(Hashable, kind))
    try:
        return cast(T, from_message(message_class.FromString(data)))
    except DecodeError as problem:
        raise MalformedMessage(kind.__name__, str(problem)) from None


@cache
def _compile(kind: Any) -> tuple[Any, _Convert, _Convert]:
    """(protobuf class, dataclass to message, message to dataclass)."""
    message_class = _message_class(kind)
    hints = typing.get_type_hints(kind)
    plans = [(field.name, *_field_codec(hints[field.name], message_class, field.name)) for field in dataclasses.fields(kind)]

    def to_message(value: Any) -> Message:
        arguments: dict[str, Any] = {}
        for name, put, _ in plans:
            put(getattr(value, name), arguments)
        return cast(Message, message_class(**arguments))

    def from_message(message: Any) -> Any:
        return kind(*[take(message) for _, _, take in plans])

    return message_class, to_message, from_message


def _message_class(kind: type) -> Any:
    name = _OTHER_NAMES.get(kind, kind.__name__)
    modules = (driver_pb2, manager_pb2) if kind.__module__ == sessions.__name__ or kind is CallSite else (manager_pb2, node_pb2)
    for module in modules:
        if hasattr(module, name):
            return getattr(module, name)
    raise TypeError(f"{kind.__module__}.{kind.__name__} has no protobuf message")


def _field_codec(hint: Any, message_class: Any, name: str) -> tuple[Callable[[Any, dict[str, Any]], None], _Convert]:
    """(puts the field's value into constructor arguments, takes it out of a message)."""
    origin, arguments = typing.get_origin(hint), typing.get_args(hint)
    if origin in (types.UnionType, typing.Union):
        return _oneof_codec(arguments, message_class, name)
    element, container = hint, None
    if origin is tuple:
        element, container = arguments[0], "tuple"
    elif origin is Mapping:
        element, container = arguments[1], "mapping"
    to, of = _element_codec(element)

    def put(value: Any, into: dict[str, Any]) -> None:
        if container == "tuple":
            into[name] = [to(item) for item in value] if to else list(value)
        elif container == "mapping":
            into[name] = {key: to(item) for key, item in value.items()} if to else dict(value)
        else:
            into[name] = to(value) if to else value

    def take(message: Any) -> Any:
        value = getattr(message, name)
        if container == "tuple":
            return tuple([of(item) for item in value]) if of else tuple(value)
        if container == "mapping":
            return {key: of(item) for key, item in value.items()} if of else dict(value)
        return of(value) if of else value

    return put, take


def _element_codec(hint: Any) -> tuple[_Convert | None, _Convert | None]:
    """None for a scalar, which protobuf takes and gives as it is."""
    if not dataclasses.is_dataclass(hint):
        return None, None
    _, to_message, from_message = _compile(cast(type, hint))
    return to_message, from_message


def _oneof_codec(members: tuple[Any, ...], message_class: Any, name: str) -> tuple[Callable[[Any, dict[str, Any]], None], _Convert]:
    fields = {field.message_type.name: field.name for field in message_class.DESCRIPTOR.oneofs_by_name[name].fields}
    by_kind = {kind: (fields[_message_class(kind).DESCRIPTOR.name], *_compile(kind)[1:]) for kind in members}
    by_field = {field: from_message for field, _, from_message in by_kind.values()}

    def put(value: Any, into: dict[str, Any]) -> None:
        field, to_message, _ = by_kind[type(value)]
        into[field] = to_message(value)

    def take(message: Any) -> Any:
        field = message.WhichOneof(name)
        if field is None:
            raise MalformedMessage(message_class.DESCRIPTOR.name, "it holds none of the messages that this version knows")
        return by_field[field](getattr(message, field))

    return put, take


def serializer(kind: Any) -> Callable[[Any], bytes]:
    """Encodes messages of `kind`: a dataclass, or the union ToExecutor or FromExecutor."""
    return _OWN_CODEC[kind][0] if kind in _OWN_CODEC else encode


def deserializer(kind: Any) -> Callable[[bytes], Any]:
    """Decodes messages of `kind`, as `serializer`."""
    return _OWN_CODEC[kind][1] if kind in _OWN_CODEC else lambda data: decode(kind, data)
