"""Checksums and hashes."""

from __future__ import annotations

from quiver.sql import types as t
from quiver.sql.registry.define import define, result
from quiver.sql.registry.model import Function, register
from quiver.sql.registry.python import python
from quiver_proto.spark_functions import digests

register(Function("md5", python(digests.md5, result("s")), result("s"), lambda kinds: [t.BinaryType()], arity=(1, 1)))
register(Function("sha1", python(digests.sha1, result("s")), result("s"), lambda kinds: [t.BinaryType()], arity=(1, 1)), "sha")
register(
    Function(
        "sha2", python(digests.sha2, result("s")), result("s"), lambda kinds: [t.BinaryType(), t.IntegerType()], nullable=True, arity=(2, 2)
    )
)
register(Function("crc32", python(digests.crc32, result("l")), result("l"), lambda kinds: [t.BinaryType()], arity=(1, 1)))
define("xxhash64", "*+", "l", "xxhash64", nullable=False)
define(
    "hash",
    "*+",
    "i",
    lambda args, kinds: python(digests.hasher(tuple(kind.simpleString() for kind in kinds)), result("i"), nulls=True)(args, kinds),
    nullable=False,
)
