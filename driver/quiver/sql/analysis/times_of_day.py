"""What calls about times of the day and buckets of time mean, where constants among their arguments decide. Pure."""

from __future__ import annotations

import datetime

from quiver.sql import types as t
from quiver.sql.analysis.pretty import pretty
from quiver.sql.analysis.typing import type_of
from quiver.sql.errors import AnalysisException
from quiver.sql.tree import expressions as e


def current_time(call: e.Call) -> e.Expression:
    """The time of the day now, with as many digits of the second as its argument says. Raises AnalysisException."""
    (precision,) = call.args if len(call.args) == 1 else (e.Literal(None if call.args else 6, t.IntegerType()),)
    digits = precision.value if isinstance(precision, e.Literal) else None
    if not isinstance(digits, int) or not 0 <= digits <= 6:
        raise AnalysisException(
            f'Cannot resolve "{pretty(call)}" due to data type mismatch: the `precision` must be between [0, 6].',
            "DATATYPE_MISMATCH.VALUE_OUT_OF_RANGE",
        )
    return e.Cast(e.Call("current_timestamp"), t.TimeType(digits))


def bucketed(call: e.Call) -> e.Call:
    """`time_bucket`, whose size is a constant above 0. Raises AnalysisException."""
    size = call.args[0] if call.args else None
    if not isinstance(size, e.Literal):
        raise AnalysisException(
            f'Cannot resolve "{pretty(call)}" due to data type mismatch: the input `bucketSize` should be a foldable '
            '"INTERVAL DAY TO SECOND" expression.',
            "DATATYPE_MISMATCH.NON_FOLDABLE_INPUT",
        )
    amount = size.value // datetime.timedelta(microseconds=1) if isinstance(size.value, datetime.timedelta) else size.value
    if isinstance(type_of(size), t.AnsiIntervalType) and isinstance(amount, int) and amount <= 0:
        raise AnalysisException(
            f'Cannot resolve "{pretty(call)}" due to data type mismatch: The `bucketSize` must be between (0, inf) '
            f"(current value = {pretty(size)}).",
            "DATATYPE_MISMATCH.VALUE_OUT_OF_RANGE",
        )
    return call


def first_moment(kind: t.DataType) -> e.Literal:
    """Where buckets of moments of this type begin unless another origin is given."""
    return e.Literal(datetime.datetime(1970, 1, 1), kind if isinstance(kind, t.TimestampNTZType) else t.TimestampType())
