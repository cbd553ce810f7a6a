"""Every message survives the way to bytes and back."""

from __future__ import annotations

import dataclasses
import types
import typing
from collections.abc import Mapping, Sequence

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from quiver_proto import cluster, cluster_status, sessions
from quiver_proto import messages as m
from quiver_proto.codec import decode, decode_from_executor, decode_to_executor, encode, encode_from_executor, encode_to_executor
from quiver_proto.errors import MalformedMessage

integers = st.integers(-(2**63), 2**63 - 1)
floats = st.floats(allow_nan=False)
texts = st.text(st.characters(codec="utf-8"), max_size=12)
blobs = st.binary(max_size=20)
_SCALARS = {int: integers, float: floats, str: texts, bytes: blobs, bool: st.booleans()}


def strategy(hint):
    """Values of a dataclass field's type, as the codec must carry them."""
    hint = getattr(hint, "__supertype__", hint)
    if hint in _SCALARS:
        return _SCALARS[hint]
    origin, arguments = typing.get_origin(hint), typing.get_args(hint)
    if origin in (types.UnionType, typing.Union):
        return st.one_of([strategy(argument) for argument in arguments])
    if origin is tuple:
        return st.lists(strategy(arguments[0]), max_size=3).map(tuple)
    if origin is Mapping:
        return st.dictionaries(strategy(arguments[0]), strategy(arguments[1]), max_size=3)
    if origin is Sequence:
        return st.lists(strategy(arguments[0]), max_size=3)
    hints = typing.get_type_hints(hint)
    if issubclass(hint, tuple):
        return st.builds(hint, **{name: strategy(kind) for name, kind in hints.items()})
    return st.builds(hint, **{field.name: strategy(hints[field.name]) for field in dataclasses.fields(hint)})


def _dataclasses(module):
    return [value for value in vars(module).values() if dataclasses.is_dataclass(value) and value.__module__ == module.__name__]


@pytest.mark.parametrize(
    "kind", [*_dataclasses(cluster), *_dataclasses(cluster_status), *_dataclasses(sessions)], ids=lambda kind: kind.__name__
)
def test_cluster_and_session_messages_survive(kind):
    @given(strategy(kind))
    @settings(max_examples=15, deadline=None)
    def survives(message):
        assert decode(kind, encode(message)) == message

    survives()


tables = st.lists(st.tuples(integers, integers, st.sampled_from(["node-a", "node-b"]), texts), max_size=5).flatmap(
    lambda rows: st.builds(
        m.MapOutputTable,
        shuffle_id=integers,
        width=integers,
        map_indexes=st.just([row[0] for row in rows]),
        task_ids=st.just([row[1] for row in rows]),
        node_ids=st.just([row[2] for row in rows]),
        paths=st.just([row[3] for row in rows]),
    )
)
to_executor = st.one_of(
    st.builds(
        m.AddStage,
        integers,
        integers,
        blobs,
        st.dictionaries(integers, tables, max_size=3),
        st.dictionaries(texts, texts, max_size=3),
        st.dictionaries(texts, texts, max_size=3),
        st.dictionaries(integers, strategy(m.CacheTable), max_size=2),
        st.dictionaries(integers, strategy(m.BroadcastTable), max_size=2),
        integers,
    ),
    *(strategy(kind) for kind in typing.get_args(m.ToExecutor) if kind is not m.AddStage),
)
_METRICS = typing.get_type_hints(m.TaskMetrics)
metrics = st.builds(m.TaskMetrics, **{name: _SCALARS[kind] for name, kind in _METRICS.items()})
outcomes = st.one_of(
    st.tuples(blobs, st.none(), st.none()),
    st.tuples(st.none(), st.builds(m.ResultBlock, texts, texts, integers), st.none()),
    st.tuples(st.none(), st.none(), st.builds(m.MapOutput, integers, integers, texts, texts, texts, blobs, integers)),
)
extras = st.none() | st.builds(
    m.TaskExtras,
    st.lists(strategy(m.CachedBlock), max_size=2).map(tuple),
    blobs,
    st.lists(strategy(m.HeavyKey), max_size=2).map(tuple),
    st.lists(st.builds(m.OperatorMetrics, st.integers(0, 100), texts, texts, integers, integers, floats, *[integers] * 3), max_size=2).map(
        tuple
    ),
)
done = st.builds(
    lambda i, s, at, cost, out, more: m.TaskDone(i, s, at, cost, *out, more), integers, integers, floats, metrics, outcomes, extras
)
plain = st.recursive(st.one_of(texts, integers, st.booleans()), lambda inner: st.lists(inner, max_size=2), max_leaves=4)
failures = st.builds(
    m.TaskFailure,
    integers,
    st.sampled_from(m.FailureKind),
    texts,
    texts,
    texts,
    blobs,
    st.none() | st.tuples(texts.filter(bool), st.lists(plain, max_size=3).map(tuple)),
    texts,
    integers,
    texts,
    integers,
    floats,
    metrics,
    st.none() | st.tuples(integers, integers, integers, texts),
    st.none() | st.tuples(integers, integers),
)
from_executor = st.one_of(
    st.builds(m.TasksEnded, texts, st.lists(done, max_size=4), st.lists(failures, max_size=3)),
    *(strategy(kind) for kind in typing.get_args(m.FromExecutor) if kind is not m.TasksEnded),
)


@given(to_executor)
@settings(deadline=None)
def test_messages_to_an_executor_survive(message):
    assert decode_to_executor(encode_to_executor(message)) == message


@given(from_executor)
@settings(deadline=None)
def test_messages_from_an_executor_survive(message):
    assert decode_from_executor(encode_from_executor(message)) == message


@pytest.mark.parametrize(
    "read",
    [decode_to_executor, decode_from_executor, lambda data: decode(cluster.Ack, data), lambda data: decode(cluster.ClusterEvent, data)],
)
def test_what_is_not_a_message_is_refused(read):
    with pytest.raises(MalformedMessage):
        read(b"\xff\xff\xff not protobuf")


@pytest.mark.parametrize("read", [decode_to_executor, decode_from_executor, lambda data: decode(cluster.ClusterEvent, data)])
def test_a_kind_of_message_that_is_not_known_is_refused(read):
    with pytest.raises(MalformedMessage):
        read(b"")
