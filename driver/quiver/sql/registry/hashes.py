"""Checksums and hashes."""

from __future__ import annotations

import re
from collections.abc import Sequence

from quiver.sql import types as t
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
define("xxhash64", "*+", "l", "xxhash64", nullable=False)
define(
    "hash",
    "*+",
    "i",
    lambda args, kinds: python(digests.hasher(tuple(kind.simpleString() for kind in kinds)), result("i"), nulls=True)(args, kinds),
    nullable=False,
)
