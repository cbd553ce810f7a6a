"""Frames: Python values as bytes, for records between stages, splits, and results.

A frame is a pickle (protocol 5), or holds pairs as typed columns (quiver_proto.columns). It is opened only when it came from an
authenticated peer of the same application, or from a block that such a peer wrote and whose checksum is right; never from a data file.

Why not marshal, which is as fast: it writes every object with the buffer protocol (bytearray, array, numpy scalars) as plain
`bytes` without a word, and looking at all types first costs more than it saves. The C pickler in its memo-less `fast` mode
costs the same as marshal (30 ns for an (int, int) pair against 28, 35 against 24 for (str, int), 47 against 39 nested; with
its memo 48, 62 and 88) and is faithful. Memo-less pickles of records that share large objects, or of user classes, would be
larger, so the first records decide which mode a batch is written in.
"""

from __future__ import annotations

import io
import pickle
from collections.abc import Callable, Iterable, Sequence
from typing import Any

from quiver_proto.columns import MARK, open_columns

PROTOCOL = 5
APART_BYTES = 16 << 10
"""A smaller buffer costs more to keep apart than to copy."""

_SAMPLE = 16


def dump_records(records: Sequence[Any]) -> bytes:
    """One frame of a list of records. Raises what pickling raises (PicklingError, TypeError, AttributeError)."""
    if len(records) > _SAMPLE:
        try:
            sample = records[:_SAMPLE]
            small = _dump_fast(sample)
            if len(small) <= len(pickle.dumps(sample, PROTOCOL)) + 4 * _SAMPLE:
                return _checked(_dump_fast(records), records)
        except (pickle.PicklingError, ValueError, AttributeError, TypeError, RecursionError):
            pass
    return dump_value(records)


def dump_records_apart(records: Sequence[Any]) -> tuple[bytes, list[pickle.PickleBuffer]]:
    """As dump_records, but buffers of APART_BYTES and more (of numpy arrays, of Arrow) are not copied into the frame: they come apart, to
    be given to `load` in this order. Raises what pickling raises."""
    apart: list[pickle.PickleBuffer] = []

    def keep(buffer: pickle.PickleBuffer) -> bool:
        if buffer.raw().nbytes < APART_BYTES:
            return True
        apart.append(buffer)
        return False

    fast, data = False, b""
    if len(records) > _SAMPLE:
        try:
            sample = records[:_SAMPLE]
            fast = len(_dump_fast(sample, keep)) <= len(pickle.dumps(sample, PROTOCOL, buffer_callback=keep)) + 4 * _SAMPLE
            apart.clear()
            data = _dump_fast(records, keep) if fast else b""
        except (pickle.PicklingError, ValueError, AttributeError, TypeError, RecursionError):
            fast = False
    try:
        if not fast:
            apart.clear()
            data = pickle.dumps(records, PROTOCOL, buffer_callback=keep)
        if b"__main__" not in data:
            return data, apart
    except (pickle.PicklingError, AttributeError, TypeError):
        pass
    apart.clear()
    return _dump_by_value(records, keep), apart


def dump_value(value: Any) -> bytes:
    """One frame of any value. Functions and classes of `__main__`, which other processes can't import, go by value."""
    try:
        data = pickle.dumps(value, PROTOCOL)
    except (pickle.PicklingError, AttributeError, TypeError):
        return _dump_by_value(value)
    return _checked(data, value)


def dump_alone(value: Any) -> bytes:
    """Bytes that tell equal values from others wherever they were made: a pickle that does not depend on which parts of the value
    are one object. Dicts and sets are told in their own order."""
    try:
        return _dump_fast(value)
    except (pickle.PicklingError, ValueError, AttributeError, TypeError, RecursionError):
        return dump_value(value)


def load(frame: bytes | memoryview, apart: Iterable[Any] = ()) -> Any:
    """What dump_records or dump_value was given, or the pairs of a frame of columns. Records come back as a list; arrays are views of
    the buffers that came `apart`."""
    if frame[0] == MARK:
        return open_columns(frame).pairs()
    return pickle.loads(frame, buffers=apart)


def load_batch(frame: Any) -> Any:
    """As `load`, but pairs in columns come as Columns."""
    return open_columns(frame) if frame[0] == MARK else pickle.loads(frame)


def _dump_fast(value: Any, buffer_callback: Callable[[pickle.PickleBuffer], Any] | None = None) -> bytes:
    out = io.BytesIO()
    pickler = pickle.Pickler(out, PROTOCOL, buffer_callback=buffer_callback)
    pickler.fast = True
    pickler.dump(value)
    return out.getvalue()


def _checked(data: bytes, value: Any) -> bytes:
    # A reference to __main__ means another module in another process.
    return _dump_by_value(value) if b"__main__" in data else data


def _dump_by_value(value: Any, buffer_callback: Callable[[pickle.PickleBuffer], Any] | None = None) -> bytes:
    import cloudpickle

    data: bytes = cloudpickle.dumps(value, PROTOCOL, buffer_callback)
    return data
