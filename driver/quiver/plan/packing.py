"""Bodies and splits as bytes: pickles that are quick to open, of trees that may be thousands of nodes deep."""

from __future__ import annotations

import dataclasses
import io
import pickle
import threading
from collections.abc import Callable, Mapping
from operator import attrgetter, itemgetter
from typing import Any

from quiver_proto import ops
from quiver_proto.frames import PROTOCOL
from quiver_proto.storage import StorageLevel
from quiver_proto.store_options import StoreOptions

_DEEP = 100
"""Bodies of more operators than this are pickled bottom up."""


def dump_body(body: ops.StageBody) -> bytes:
    """A pickle that loads as `body`, however deep its tree is."""
    if len(body.operators) <= _DEEP:
        try:
            return _dump_nodes(body)
        except RecursionError:
            pass
    return _dump_nodes(_BottomUp(body))


def planned_body(body: ops.StageBody) -> tuple[bytes, Mapping[int, object]]:
    """`dump_body`, and the broadcasts that its functions refer to, by id."""
    met: dict[int, object] = {}
    _pickling.broadcasts = met
    try:
        return dump_body(body), met
    finally:
        del _pickling.broadcasts


def _dump_nodes(value: Any) -> bytes:
    out = io.BytesIO()
    pickler = pickle.Pickler(out, PROTOCOL)
    pickler.dispatch_table = _REDUCERS
    pickler.dump(value)
    return out.getvalue()


def _reducer(kind: type[Any]) -> Callable[[Any], tuple[Any, ...]]:
    """Nodes pickle as calls of their constructors: half the time, on both sides, of the state that dataclasses make."""
    names = [field.name for field in dataclasses.fields(kind)]
    if len(names) < 2:
        return lambda node: (kind, tuple(getattr(node, name) for name in names))
    values = attrgetter(*names)
    return lambda node: (kind, values(node))


_REDUCERS = {
    kind: _reducer(kind)
    for kind in (*vars(ops).values(), StorageLevel, StoreOptions)
    if isinstance(kind, type) and dataclasses.is_dataclass(kind)
}


def _reduced_function(function: ops.Function) -> tuple[Any, ...]:
    if function.broadcasts:
        getattr(_pickling, "broadcasts", {}).update((each.id, each) for each in function.broadcasts)
    return ops.Function, (function.pickled, function.call_site, function.name)


_REDUCERS[ops.Function] = _reduced_function
_pickling = threading.local()


class _BottomUp:
    """Pickles as its body, with every node before those above it: each finds its children in the pickler's memo, so nothing recurses."""

    def __init__(self, body: ops.StageBody) -> None:
        self._body = body

    def __reduce__(self) -> tuple[Any, ...]:
        order: list[Any] = []
        pending: list[Any] = [self._body.sink]
        while pending:
            node = pending.pop()
            order.append(node)
            pending.extend(getattr(node, name) for name in ("parent", "left", "right") if hasattr(node, name))
            pending.extend(getattr(node, "parents", ()))
        return itemgetter(-1), ((*reversed(order), self._body),)


def dump_split(split: Any) -> bytes:
    """A pickle that loads as `split`, however deep the pairs (index, rest) in it are."""
    try:
        return pickle.dumps(split, PROTOCOL)
    except RecursionError:
        return pickle.dumps(_Nested(split), PROTOCOL)


class _Nested:
    """Pickles as a deeply nested pair (index, rest), innermost first."""

    def __init__(self, split: Any) -> None:
        self._split = split

    def __reduce__(self) -> tuple[Any, ...]:
        levels = [self._split]
        while isinstance(levels[-1], tuple) and len(levels[-1]) == 2:
            levels.append(levels[-1][1])
        return itemgetter(-1), (tuple(reversed(levels)),)
