"""Checksums and hashes."""

from __future__ import annotations

import re
from collections.abc import Sequence

from quiver.sql import types as t
from quiver.sql.lowering.names import cast
from quiver.sql.registry.define import define, result
from quiver.sql.registry.model import Function, Types, call, register, template
from quiver.sql.registry.python import python
from quiver_proto.spark_functions import digests


def _sha2(args: Sequence[str], kinds: Types) -> str:
    found = re.fullmatch(r"arrow_cast\('(\d+)', 'Int32'\)", args[1])
    bits = {"0": "256"}.get(found[1], found[1]) if found else ""
    if bits in ("224", "256", "384", "512"):
        return f"encode(sha{bits}({args[0]}), 'hex')"
    return python(digests.sha2, result("s"))(args, kinds)


register(Function("md5", template("arrow_cast(md5({0}), 'Utf8')"), result("s"), lambda kinds: [t.BinaryType()], arity=(1, 1)))
register(Function("sha1", call("sha1"), result("s"), lambda kinds: [t.BinaryType()], arity=(1, 1)), "sha")
register(Function("sha2", _sha2, result("s"), lambda kinds: [t.BinaryType(), t.IntegerType()], nullable=True, arity=(2, 2)))
register(Function("crc32", call("crc32"), result("l"), lambda kinds: [t.BinaryType()], arity=(1, 1)))


def _plain(args: Sequence[str], kinds: Types) -> tuple[list[str], list[t.DataType]]:
    """Intervals as the microseconds that they are, times as nanoseconds."""
    given, types = list(args), list(kinds)
    for place, kind in enumerate(kinds):
        if isinstance(kind, t.DayTimeIntervalType):
            given[place], types[place] = cast(args[place], t.LongType()), t.LongType()
        elif isinstance(kind, t.TimeType):
            given[place], types[place] = f"({cast(args[place], t.LongType())} * 1000)", t.LongType()
    return given, types


def _hash(args: Sequence[str], kinds: Types) -> str:
    given, types = _plain(args, kinds)
    return python(digests.hasher(tuple(kind.simpleString() for kind in types)), result("i"), nulls=True)(given, types)


define("hash", "**+", "i", _hash, nullable=False)
define("xxhash64", "**+", "l", lambda args, kinds: f"xxhash64({', '.join(_plain(args, kinds)[0])})", nullable=False)
