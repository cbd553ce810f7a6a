"""Which of the kernel's own functions of Spark's meaning are used."""

from __future__ import annotations

from typing import Any, Final

SCALARS: Final = (
    "bitwise_not", "char", "crc32", "csc", "expm1", "hypot", "last_day", "luhn_check", "map_from_arrays", "map_from_entries", "rint",
    "sha1", "space", "xxhash64",
)  # fmt: skip
AGGREGATES: Final = ("collect_list", "collect_set", "try_sum")


def enable(context: Any) -> None:
    """Adds them to a session of the kernel, on the driver and in slots alike.

    Only those whose names the kernel does not know otherwise: a plan refers to functions by name, and one that was planned as the kernel's
    `date_part` could not be run where that name means Spark's.
    """
    from datafusion import SessionContext

    spark = SessionContext()
    spark.enable_spark_functions()
    for name in SCALARS:
        context.register_udf(spark.udf(name))
    for name in AGGREGATES:
        context.register_udaf(spark.udaf(name))
