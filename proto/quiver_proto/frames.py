"""Frames: Python values as bytes, for records between stages, splits, and results.

A frame is a pickle (protocol 5). It is opened only when it came from an authenticated peer of the same application, or from a
block that such a peer wrote and whose checksum is right; never from a data file.

Why not marshal, which is as fast: it writes every object with the buffer protocol (bytearray, array, numpy scalars) as plain
`bytes` without a word, and looking at all types first costs more than it saves. The C pickler in its memo-less `fast` mode
costs the same as marshal (30 ns for an (int, int) pair against 28, 35 against 24 for (str, int), 47 against 39 nested; with
its memo 48, 62 and 88) and is faithful. Memo-less pickles of records that share large objects, or of user classes, would be
larger, so the first records decide which mode a batch is written in.
"""

from __future__ import annotations

import io
import pickle
from collections.abc import Sequence
from typing import Any

PROTOCOL = 5
BATCH_RECORDS = 8192
"""How many records a frame holds at most, unless its writer has a reason."""

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


def load(frame: bytes | memoryview) -> Any:
    """What dump_records or dump_value was given. Records come back as a list."""
    return pickle.loads(frame)


def _dump_fast(value: Any) -> bytes:
    out = io.BytesIO()
    pickler = pickle.Pickler(out, PROTOCOL)
    pickler.fast = True
    pickler.dump(value)
    return out.getvalue()


def _checked(data: bytes, value: Any) -> bytes:
    # A reference to __main__ means another module in another process.
    return _dump_by_value(value) if b"__main__" in data else data


def _dump_by_value(value: Any) -> bytes:
    import cloudpickle

    data: bytes = cloudpickle.dumps(value, PROTOCOL)
    return data
