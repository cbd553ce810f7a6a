"""The hash that places keys in partitions: the same in every process of an application, at every attempt.

Python's own hash will do for most types once all executors run with one PYTHONHASHSEED. It won't for what Python hashes by address:
None (before 3.12) and NaN get a fixed hash here, also inside tuples and frozensets; objects without a __hash__ of their own
are refused.
"""

from __future__ import annotations

import sys
import types
from typing import Any

from quiver_proto.errors import UnstableKey
from quiver_proto.shorten import shorten

_PLAIN = frozenset({int, bool, str, bytes})
_BY_ADDRESS = (
    types.FunctionType,
    types.BuiltinFunctionType,
    types.MethodType,
    types.ModuleType,
    types.GeneratorType,
    types.CodeType,
    type,
)
_judged: dict[type, bool] = {}
"""Type -> does it hash by address? Grows by one entry for each type ever used as a key."""


def portable_hash(key: Any) -> int:
    """PySpark's portable_hash: None is 0, tuples are hashed from their elements, all else by `hash`.

    Raises UnstableKey for keys that hash by their address, TypeError for those that can't be hashed.
    """
    kind = type(key)
    if kind in _PLAIN:
        return hash(key)
    if key is None:
        return 0
    if isinstance(key, tuple):
        value = 0x345678
        for element in key:
            value ^= portable_hash(element)
            value *= 1000003
            value &= sys.maxsize
        value ^= len(key)
        return -2 if value == -1 else value
    if kind is float:
        return 0 if key != key else hash(key)
    if isinstance(key, frozenset):
        return hash(frozenset(map(portable_hash, key)))
    unstable = _judged.get(kind)
    if unstable is None:
        unstable = _judged[kind] = _hashes_by_address(kind)
    if unstable:
        raise UnstableKey(shorten(key), kind.__qualname__)
    return hash(key)


def is_seedless(key: Any) -> bool:
    """Is the key's hash the same in every process, whatever its PYTHONHASHSEED? (It is for numbers, None, and tuples of them.)"""
    if isinstance(key, tuple):
        return all(map(is_seedless, key))
    return key is None or type(key) in (int, bool, float, complex)


def is_plain(kinds: set[type]) -> bool:
    """May keys of all these types be placed by plain `hash`?"""
    return kinds <= _PLAIN


def _hashes_by_address(kind: type) -> bool:
    slot: object = kind.__hash__
    return slot is object.__hash__ or issubclass(kind, _BY_ADDRESS)
